"""NeuroFMx on one dataset alone: a decoder like that of any other family."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from neurofmx.models.configs import HeadConfig
from neurofmx.models.decoding.build import build_head
from neurofmx.models.decoding.decoder import Decoder, refuse_beside
from neurofmx.models.decoding.head import Head
from neurofmx.models.decoding.token_head import TokenHead
from neurofmx.models.foundation.config import NeurofmxConfig
from neurofmx.models.foundation.streams import Stream
from neurofmx.models.neurofmx import NeuroFMx, StreamState
from neurofmx.tokenizers.cutting.windows import Windows
from neurofmx.tokenizers.multi_sample import MultiSample
from neurofmx.tokenizers.table import build_tokenizer, default_tokenizer
from neurofmx.tokenizers.tokens import Layout, Sample, Tokenizer

STEPS = 16  # most steps of a window where the config names no step; a text has one a token


class Carried(NamedTuple):
    """What a stream carries from one stretch to the next.

    Args:
        backbone: State of the model.
        before: Samples of the last token (B, samples, C), for tokenizers that look back.
        samples: Samples that were read.
    """

    backbone: StreamState
    before: Tensor
    samples: int


class NeuroFMxDecoder(Decoder):
    """Answer the task of one dataset from its windows, which are the model's only stream.

    Args:
        backbone: The model, which knows the stream.
        head: States and their mask to outputs.
        stream: Name of the stream.
        subject: Whose each recording is (recordings,), an index into the backbone's subjects; None for nobody's.
    """

    subject: Tensor | None

    def __init__(
        self, backbone: NeuroFMx, head: Head | TokenHead, *, stream: str, subject: Tensor | None = None
    ) -> None:
        nn.Module.__init__(self)  # a decoder's tokenizer stands inside the backbone here
        self.backbone, self.head, self.stream = backbone, head, stream
        self.register_buffer("subject", subject, persistent=False)  # a fact of the windows, as the sessions' order is

    @property
    def tokenizer(self) -> Tokenizer:
        """What reads the windows."""
        return self.backbone.streams[self.stream].tokenizer

    def forward(self, sample: Sample, state: Carried | None = None) -> tuple[Tensor, Carried]:
        """Outputs and the state to carry on from, as of `Decoder.forward`."""
        if state is not None:
            refuse_beside(sample)
        read = sample if state is None else _behind(sample, state)
        batch, earlier = MultiSample.single(self.stream, read, **self._whose(read)), 0
        if state is not None:
            earlier = state.before.shape[1]
            start = state.backbone.time(self.backbone.step_s)
            batch.offset[self.stream] = start - earlier / self.backbone.streams[self.stream].layout.rate
        shown = torch.arange(read.x.shape[1], device=read.x.device) >= earlier
        seen = {self.stream: shown.expand(len(read), -1)} if earlier else None
        states, carried = self.backbone(batch, None if state is None else state.backbone, seen=seen)
        answers = self.head(states.states, None if sample.length is None else states.mask)
        before = read.x[:, -self.backbone.streams[self.stream].samples :]
        return answers, Carried(carried, before, read.start + read.x.shape[1])

    def _whose(self, sample: Sample) -> dict[str, Tensor | None]:
        """Session and subject of each window, where they have embeddings; a window of no recording is of the first."""
        recording, whose = sample.recording, dict[str, Tensor | None]()
        if len(self.backbone.sessions):
            whose["session"] = recording
        if self.subject is not None and recording is not None and len(self.backbone.subjects):
            whose["subject"] = self.subject[recording]
        return whose


def _behind(sample: Sample, state: Carried) -> Sample:
    """Windows behind the samples of the last token before them."""
    earlier = state.before.shape[1]
    length = None if sample.length is None else sample.length + earlier
    read = replace(sample, x=torch.cat([state.before, sample.x], 1), length=length)
    return read.starting_at(state.samples - earlier)


def build_neurofmx(config: NeurofmxConfig, head: HeadConfig, windows: Windows, *, fold: int) -> NeuroFMxDecoder:
    """A freshly initialised decoder for one fold of a dataset; arguments as of `decoding.build.build_decoder`.

    Sessions and their subjects get embeddings where each session has channels of its own: every fold then trains on all
    of them. Subjects are named as in the windows' origins.
    """
    dim, layout = config.sizes.hidden_dim, Layout.of(windows)
    reader = windows.tokenizer or default_tokenizer(windows.modality, windows.montage)
    tokenizer = build_tokenizer(reader, layout, dim, options=windows.tokenizer_options)
    name = f"{windows.dataset}/{windows.modality}"
    step_s = config.step_s or _step(Stream(tokenizer, layout, windows.modality))
    model = NeuroFMx(config, step_s=step_s)
    model.streams.add(name, tokenizer, layout, modality=windows.modality)
    for recording in range(layout.recordings if layout.varied else 0):
        model.add_session(f"{windows.dataset}/{recording}")
    subject = _subjects(model, windows) if layout.varied and windows.origins else None
    answer = build_head(dim, head, windows, tokenizer, fold=fold)
    return NeuroFMxDecoder(model, answer, stream=name, subject=subject)


def _subjects(model: NeuroFMx, windows: Windows) -> Tensor:
    """Embeddings for all subjects; returns the index of each recording's (recordings,)."""
    for name in dict.fromkeys(origin.subject for origin in windows.origins):
        model.add_subject(name)
    return torch.tensor([model.subjects.rows(origin.subject)[0] for origin in windows.origins])


def _step(stream: Stream) -> float:
    """Length of a step, s: a token, or of long windows as many as leave `STEPS` steps; a text always a token."""
    tokens = 1 if stream.layout.vocabulary else -(-stream.moments // STEPS)
    return tokens * stream.spacing
