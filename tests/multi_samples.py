"""Rows of several streams and a small model that reads them, for tests of what is multimodal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from neurofmx.models.foundation.config import NeurofmxConfig
from neurofmx.models.foundation.heads import NeuroFMxHeads
from neurofmx.models.neurofmx import NeuroFMx
from neurofmx.tokenizers.multi_sample import MultiSample
from neurofmx.tokenizers.table import build_tokenizer
from neurofmx.tokenizers.tokens import Layout, Sample

SPIKES, LFP, POSE = "toy/spikes", "toy/lfp", "toy/pose"
STEP = 0.2  # s
# tokens of 0.2, 0.1 and 0.5 s; all windows last 2 s
LAYOUTS = {
    SPIKES: Layout((20, 5), rate=10.0, patch=2, recordings=3, varied=True),
    LFP: Layout((80, 3), rate=40.0, patch=4),
    POSE: Layout((8, 2), rate=4.0, patch=2),
}
TOKENIZERS = {SPIKES: "spikes", LFP: "linear", POSE: "trajectory"}
SIZES = {"hidden_dim": 16, "num_layers": 2, "latents": 3, "num_attention_heads": 2, "d_state": 4, "dropout": 0.0}


def model_of(*streams: str, seed: int = 0, **config: Any) -> NeuroFMx:
    """A small model in double precision that reads some streams, of two sessions and subjects."""
    torch.manual_seed(seed)
    model = NeuroFMx(NeurofmxConfig(**SIZES | config), step_s=STEP)
    for stream in streams or LAYOUTS:
        tokenizer = build_tokenizer(TOKENIZERS[stream], LAYOUTS[stream], model.dim)
        model.streams.add(stream, tokenizer, LAYOUTS[stream], modality=stream.split("/")[1])
    for name in ("first", "second"):
        model.add_session(name)
        model.add_subject(name)
    return model.double().eval()


def heads_of(model: NeuroFMx) -> NeuroFMxHeads:
    """All heads of that model, for all streams."""
    torch.manual_seed(1)
    heads = NeuroFMxHeads(model.config, step_s=model.step_s)
    for stream, layout in LAYOUTS.items():
        heads.readout.add(stream, channels=layout.channels, recordings=layout.recordings)
    for domain in ("mouse", "rat"):
        heads.species.add(domain)
    return heads.double().eval()


def rows_of(*streams: str, rows: int = 4, seed: int = 0) -> MultiSample:
    """Rows of some streams, all whole: the LFP begins 0.1 s before the anchor, the others with it."""
    generator = torch.Generator().manual_seed(seed)
    samples, offsets = {}, {SPIKES: 0.0, LFP: -0.1, POSE: 0.0}
    for stream in streams or LAYOUTS:
        x = torch.randn(rows, *LAYOUTS[stream].shape, generator=generator, dtype=torch.float64)
        samples[stream] = Sample(x, recording=torch.arange(rows) % 3)
    return MultiSample(
        samples,
        here={stream: torch.ones(rows, dtype=torch.bool) for stream in samples},
        offset={stream: torch.full((rows,), offsets[stream], dtype=torch.float64) for stream in samples},
        session=torch.arange(rows) % 2,
        subject=torch.arange(rows) % 2,
        species=torch.arange(rows) % 2,
    )


def with_x(batch: MultiSample, stream: str, x: Tensor) -> MultiSample:
    """The same rows with other samples of one stream."""
    return replace(batch, samples=batch.samples | {stream: batch.samples[stream].with_x(x)})


def stretch(batch: MultiSample, begin: float, end: float) -> tuple[MultiSample, dict[str, Tensor]]:
    """The tokens of all streams that are complete after `begin` and by `end`, s, as a stream would bring them.

    A tokenizer may look back, as that of movements does: so the token before comes along, and is not shown.
    """
    samples, offset, seen = {}, {}, {}
    for stream, sample in batch.samples.items():
        layout = LAYOUTS[stream]
        length, start = layout.patch / layout.rate, float(batch.offset[stream][0])
        first, last = (
            min(max(int((time - start) / length + 1e-6), 0), layout.shape[0] // layout.patch) for time in (begin, end)
        )
        if last > first:
            earlier = max(0, first - 1)
            samples[stream] = replace(sample, x=sample.x[:, earlier * layout.patch : last * layout.patch])
            offset[stream] = batch.offset[stream] + earlier * length
            shown = torch.arange(earlier, last).repeat_interleave(layout.patch) >= first
            seen[stream] = shown.expand(len(batch), -1)
    here = {stream: batch.here[stream] for stream in samples}
    return replace(batch, samples=samples, here=here, offset=offset), seen
