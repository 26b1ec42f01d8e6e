"""Streams of any modality to one set of tokens, of which each says when it was and when it was complete.

Shapes: B rows, N tokens of all streams together, D width of a token.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from neurofmx.models.foundation.registry import EmbeddingRegistry
from neurofmx.tokenizers.multi_sample import MultiSample
from neurofmx.tokenizers.tokens import Layout, Sample, Tokenizer

EDGE = 1e-3  # of the time between two tokens: rounding


class TokenSet(NamedTuple):
    """Tokens of all streams of a batch.

    Args:
        values: The tokens (B, N, D); 0 behind the mask.
        mask: Which of them stand for something recorded (B, N), bool.
        time: Centre of what each reads on its row's clock (B, N), s, float64.
        end: When the last sample that it reads was over (B, N), s, float64.
    """

    values: Tensor
    mask: Tensor
    time: Tensor
    end: Tensor


class Stream(nn.Module):
    """One stream: how its windows become tokens.

    Args:
        tokenizer: Of any modality.
        layout: Of the windows that it was built for.
        modality: What was recorded, such as `spikes`: streams of one modality share its embedding.

    Attributes:
        spacing: Time from one token to the next, s.
        moments: Different times that the tokens of a window have.
        ahead: How much later than a token's own samples what it reads may end, s; 0 for tokenizers that read patch by
            patch. It is measured, by what a window's end reaches.
        tail: The same of the last token of a window alone, as frames that are centred on a sample have it.
    """

    def __init__(self, tokenizer: Tokenizer, layout: Layout, modality: str) -> None:
        super().__init__()
        self.tokenizer, self.layout, self.modality = tokenizer, layout, modality
        self.spacing, self.moments = _spacing(tokenizer, layout)
        self.ahead = self.tail = 0.0
        if self.moments > 1 and not layout.vocabulary:
            self.ahead, self.tail = _ahead(self)

    @property
    def duration(self) -> float:
        """Length of a whole window, s."""
        return self.layout.shape[0] / self.layout.rate

    @property
    def samples(self) -> int:
        """Samples from one token to the next."""
        return max(1, round(self.spacing * self.layout.rate))


class Streams(nn.Module):
    """All streams of a model, and the embeddings that tell their tokens apart.

    Args:
        dim: Width of a token.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.streams = nn.ModuleDict()
        self.modalities = EmbeddingRegistry(dim)

    def add(self, name: str, tokenizer: Tokenizer, layout: Layout, *, modality: str) -> None:
        """Read one more stream; nothing else changes.

        Args:
            name: Of the stream, without a dot: `cao2021/spikes`.
            tokenizer: Windows to tokens of width `dim`.
            layout: Of the windows.
            modality: What was recorded.

        Raises:
            ValueError: If the name is taken.
        """
        if name in self.streams:
            raise ValueError(f"name={name!r} is a stream already; choose another, or read it as it is")
        self.streams[name] = Stream(tokenizer, layout, modality)
        if modality not in self.modalities:
            self.modalities.add(modality)

    def __getitem__(self, name: str) -> Stream:
        """The stream of a name.

        Raises:
            ValueError: If there is none.
        """
        if name not in self.streams:
            raise ValueError(f"stream {name!r} is unknown; add it first; known: {', '.join(self.streams) or 'none'}")
        stream = self.streams[name]
        assert isinstance(stream, Stream)
        return stream

    def __iter__(self) -> Iterator[str]:
        """Names of all streams."""
        return iter(self.streams)

    def forward(self, batch: MultiSample, seen: Mapping[str, Tensor] | None = None) -> TokenSet:
        """Tokens of the streams that a batch has, those of each stream in order of time.

        Args:
            batch: The rows. What a row lacks is not read at all: it may be NaN.
            seen: By stream, which samples are shown (B, T), bool; a token whose middle sample is not, is hidden.

        Returns:
            The tokens; none where no row has any stream.
        """
        parts = [
            self._tokens(name, batch, None if seen is None else seen.get(name))
            for name in batch.samples
            if bool(batch.here[name].any())
        ]
        if not parts:
            device, rows = batch.session.device, len(batch)
            nothing = torch.zeros(rows, 0, dtype=torch.float64, device=device)
            values = torch.zeros(rows, 0, self.dim, device=device)
            return TokenSet(values, nothing.bool(), nothing, nothing)
        return TokenSet(*(torch.cat(each, 1) for each in zip(*parts, strict=True)))

    def _tokens(self, name: str, batch: MultiSample, seen: Tensor | None) -> TokenSet:
        """Tokens of one stream; the tokenizer is given the rows that have it alone."""
        stream, here = self[name], batch.here[name]
        values, mask, time = stream.tokenizer(_those(batch.samples[name], here))
        values = values + self.modalities.vectors[self.modalities.rows(stream.modality)[0]]
        whole = torch.ones(values.shape[:2], dtype=torch.bool, device=values.device) if mask is None else mask
        values, mask = _spread(values.masked_fill(~whole[..., None], 0.0), here), _spread(whole, here)
        clock = time.double() + batch.offset[name].double().masked_fill(~here, 0.0)[:, None]
        end = _complete(clock + stream.spacing / 2, mask, stream)
        if seen is not None:
            middle = (time * stream.layout.rate).long().clamp(max=seen.shape[1] - 1)
            mask = mask & seen[:, middle]
            values = values.masked_fill(~mask[..., None], 0.0)
        return TokenSet(values, mask, clock, end)


def _those(sample: Sample, here: Tensor) -> Sample:
    """The rows that have a stream."""
    return sample if bool(here.all()) else sample[here.nonzero()[:, 0]]


def _spread(part: Tensor, here: Tensor) -> Tensor:
    """Rows that have a stream among all rows, 0 in the others."""
    if len(part) == len(here):
        return part
    whole = part.new_zeros(len(here), *part.shape[1:])
    return whole.index_copy(0, here.nonzero()[:, 0], part)


def _complete(end: Tensor, recorded: Tensor, stream: Stream) -> Tensor:
    """When all that tokens read was over (B, N), whose own samples end (B, N); no row's tokens read behind its last."""
    if not stream.ahead:
        return end
    last = end.masked_fill(~recorded, -torch.inf).amax(1, keepdim=True)
    return torch.minimum(end + stream.ahead, torch.maximum(last, end) + stream.tail)


def _spacing(tokenizer: Tokenizer, layout: Layout) -> tuple[float, int]:
    """Time from one token to the next, and how many different times there are, as an empty window says."""
    training, weight = tokenizer.training, next(tokenizer.parameters())
    with torch.no_grad():
        time = tokenizer.eval()(_empty(layout, weight)).time.double().unique()
    tokenizer.train(training)
    if len(time) > 1:
        return float((time[-1] - time[0]) / (len(time) - 1)), len(time)
    return 2 * float(time[0]) or layout.shape[0] / layout.rate, 1


@torch.no_grad()
def _ahead(stream: Stream) -> tuple[float, float]:
    """How much later than its own samples what a token reads ends, s; and what a window's last token reads."""
    tokenizer, training = stream.tokenizer, stream.tokenizer.training
    window = _empty(stream.layout, next(tokenizer.parameters()))
    window.x[:, -stream.samples :] = torch.nan  # reaches all that is computed from it, however little it would count
    made = tokenizer.eval()(window)
    tokenizer.train(training)
    time, reading = made.time.double(), made.values.isnan().any(-1)[0]
    if stream.layout.beside is not None:  # which may be read whole
        reading = torch.ones_like(reading)
    tail = stream.duration - float(time.max()) - stream.spacing / 2
    tail = tail if tail > EDGE * stream.spacing else 0.0
    return (float(time.max() - time[reading].min()) if bool(reading.any()) else 0.0) + tail, tail


def _empty(layout: Layout, weight: Tensor) -> Sample:
    """One window in which nothing happens, where the weights are and of their precision."""
    kind = torch.int64 if layout.vocabulary else weight.dtype
    sample = Sample(torch.zeros(1, *layout.shape, dtype=kind, device=weight.device))
    if layout.positions:
        sample = replace(sample, positions=weight.new_zeros(1, layout.channels, 3))
    return sample if layout.beside is None else replace(sample, beside=_empty(layout.beside, weight))
