"""Batches of several streams: rows chosen alike in all parts, and what does not fit refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from multi_samples import LAYOUTS, LFP, POSE, SPIKES, rows_of
from neurofmx.tokenizers.multi_sample import MultiSample
from neurofmx.tokenizers.tokens import Sample


def test_rows_are_chosen_alike_in_all_parts() -> None:
    batch, index = rows_of(), torch.tensor([2, 0])
    batch.here[LFP][2] = False
    chosen = batch[index].to(torch.device("cpu"))
    assert len(chosen) == 2
    assert chosen.here[LFP].tolist() == [False, True]
    assert chosen.session.tolist() == [0, 0]
    for stream in LAYOUTS:
        assert torch.equal(chosen.samples[stream].x, batch.samples[stream].x[index])
        assert torch.equal(chosen.offset[stream], batch.offset[stream][index])
    assert batch.without(POSE).here[POSE].tolist() == [False] * 4
    assert batch.here[POSE].all()
    both = batch.with_here({LFP: torch.tensor([False, True, True, True])})
    assert both.here[LFP].tolist() == [False, True, False, True]


def test_a_single_stream_is_whole_and_begins_at_the_anchor() -> None:
    batch = MultiSample.single("a/eeg", Sample(torch.randn(3, 4, 2)))
    assert batch.streams == ("a/eeg",)
    assert batch.here["a/eeg"].all()
    assert (batch.offset["a/eeg"] == 0).all()
    assert batch.session.tolist() == [0, 0, 0]


def test_what_does_not_fit_is_refused() -> None:
    batch = rows_of()
    with pytest.raises(ValueError, match="a batch needs one stream or more"):
        replace(batch, samples={}, here={}, offset={})
    with pytest.raises(ValueError, match=r"here must have an entry for each stream .* it has \['toy/spikes'\]"):
        replace(batch, here={SPIKES: batch.here[SPIKES]})
    with pytest.raises(ValueError, match=r"as many rows as session, 4; here are .*'subject': 1"):
        replace(batch, subject=torch.zeros(1, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"here are .*offset\['toy/lfp'\]\": 3"):
        replace(batch, offset=batch.offset | {LFP: torch.zeros(3)})


def recorded() -> MultiSample:
    """Rows of which one is short, one lacks channels and one a stream."""
    batch = rows_of(rows=64)
    present = torch.ones(64, 5, dtype=torch.bool)
    present[1, 2:] = False
    length = torch.full((64,), 20)
    length[2] = 7
    sample = replace(batch.samples[SPIKES], present=present, length=length)
    batch.here[SPIKES][3] = False
    return replace(batch, samples=batch.samples | {SPIKES: sample})
