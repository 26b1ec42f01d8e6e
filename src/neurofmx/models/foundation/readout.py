"""Signals read out of the latents: what a stream was, or will be, at any time, for every channel or unit.

Shapes: B rows, K steps, L latents, D channels of a latent, T times asked about, H horizons, C channels of a stream.
Symbols: `z` answer of the latents to a query for (stream, time), `w, b` vector and offset of a channel.

    y[t, c] = w[c].z[t] / sqrt(D) + b[c]

A query for each channel would cost C times as much attention; the product asks all channels of a time at once. It is
equivariant over channels: permuting their vectors permutes what is read.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from neurofmx.models.foundation.perceiver_io import PerceiverDecoder
from neurofmx.models.foundation.registry import EmbeddingRegistry
from neurofmx.models.foundation.time_embedding import TimeEmbedding
from neurofmx.models.neurofmx import NeuralStates

EDGE = 1e-3  # of a step: rounding of times


class SignalReadout(nn.Module):
    """Reconstruction and forecast by output queries.

    Args:
        dim: Channels of latents and queries.
        step_s: Length of a time step, s.
        shortest_s: Shortest period of the time embedding, s.
        heads: Attention heads; must divide `dim`.
        feedforward: Width of the feed-forward layer in units of `dim`.
        dropout: Share of what each part adds that is dropped in training.
        attention_dropout: Share of attention weights dropped in training.

    Source:
        Jaegle et al. 2022, "Perceiver IO", section 3.2 (queries); Azabou et al. 2023, "A unified, scalable framework
        for neural population decoding", section 2.2 (embeddings of units).
    """

    def __init__(
        self,
        dim: int,
        *,
        step_s: float,
        shortest_s: float,
        heads: int,
        feedforward: int = 4,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.step_s = step_s
        self.streams, self.channels = EmbeddingRegistry(dim), EmbeddingRegistry(dim + 1)
        self.time = TimeEmbedding(dim, shortest=shortest_s)
        self.look = PerceiverDecoder(
            dim, heads=heads, feedforward=feedforward, dropout=dropout, attention_dropout=attention_dropout
        )

    def add(self, stream: str, *, channels: int, recordings: int = 1) -> None:
        """Read one more stream, or further recordings of a known one; everything else stays as it is.

        Args:
            stream: Its name.
            channels: Channels of each recording; those with fewer than another answer 0 behind their last.
            recordings: Recordings with channels of their own; 1 where all have the same.

        Raises:
            ValueError: If `channels` or `recordings` is below 1.
        """
        if channels < 1 or recordings < 1:
            raise ValueError(f"channels={channels}, recordings={recordings}: a stream has 1 of each or more")
        if stream not in self.streams:
            self.streams.add(stream)
        known = self.recordings(stream)
        for number in range(known, known + recordings):
            self.channels.add(_channels_of(stream, number), rows=channels)

    def recordings(self, stream: str) -> int:
        """How many recordings of a stream have channels of their own here."""
        number = 0
        while _channels_of(stream, number) in self.channels:
            number += 1
        return number

    def reconstruct(
        self,
        states: NeuralStates,
        stream: str,
        time: Tensor,
        *,
        recording: Tensor | None = None,
        past: bool = False,
    ) -> Tensor:
        """What a stream was at some times.

        Args:
            states: Of the model.
            stream: Name of a stream that was added; rows that lack it are answered as well.
            time: Times on the rows' clocks (B, T), s.
            recording: Index of each row's recording (B,); None for the first.
            past: Whether a time is answered by the steps alone that began before it; else by all steps of the row.

        Returns:
            Channels (B, T, C), in the units of the stream's windows (standardised).
        """
        visible = states.mask[:, None].expand(-1, time.shape[1], -1)
        if past:
            begins = states.time - self.step_s
            visible = visible & (begins[:, None] < time.double()[..., None] + EDGE * self.step_s)
        answers = self.ask(self.queries(stream, time), states.latents, visible)
        return self._channels(answers, stream, recording)

    def forecast(self, states: NeuralStates, stream: str, ahead: Tensor, *, recording: Tensor | None = None) -> Tensor:
        """What a stream will be some time after the end of every step, from that step's latents alone.

        Args:
            states: Of the model.
            stream: Name of a stream that was added.
            ahead: How long after the end of a step (H,), s, above 0.
            recording: Index of each row's recording (B,); None for the first.

        Returns:
            Channels (B, K, H, C).
        """
        rows, steps = states.mask.shape
        time = states.time[..., None] + ahead.double()
        queries = self.queries(stream, time.flatten(0, 1))
        answers = self.ask(queries, states.latents.flatten(0, 1)[:, None], None).view(rows, steps, len(ahead), -1)
        return self._channels(answers.flatten(1, 2), stream, recording).unflatten(1, (steps, len(ahead)))

    def queries(self, stream: str, time: Tensor) -> Tensor:
        """Queries (B, T, D) for a stream at times (B, T), s."""
        (row,) = self.streams.rows(stream)
        return self.streams.vectors[row] + self.time(time)

    def ask(self, queries: Tensor, latents: Tensor, visible: Tensor | None) -> Tensor:
        """Answers (B, T, D) to queries (B, T, D) from latents (B, K, L, D) of the steps that each sees (B, T, K)."""
        mask = None if visible is None else visible.repeat_interleave(latents.shape[2], 2)
        return self.look(queries, latents.flatten(1, 2), mask)

    def _channels(self, answers: Tensor, stream: str, recording: Tensor | None) -> Tensor:
        """Channels (B, T, C) of answers (B, T, D)."""
        vectors = self.channels(self._rows(stream, recording, answers.device))
        weights, offsets = vectors[..., :-1], vectors[..., -1:]
        return answers @ weights.mT / answers.shape[-1] ** 0.5 + offsets.mT

    def _rows(self, stream: str, recording: Tensor | None, device: torch.device) -> Tensor:
        """Vector of each channel (B, C), or (1, C) where all rows have the same; -1 where a recording has fewer."""
        rows = [self.channels.rows(_channels_of(stream, number)) for number in range(max(1, self.recordings(stream)))]
        first = torch.tensor([each.start for each in rows], device=device)
        number = torch.tensor([len(each) for each in rows], device=device)
        place = torch.arange(max(map(len, rows)), device=device)
        index = torch.where(place < number[:, None], first[:, None] + place, -1)
        return index[:1] if recording is None or len(rows) == 1 else index[recording]


def _channels_of(stream: str, recording: int) -> str:
    """Under which name the channels of a recording stand."""
    return f"{stream}#{recording}"
