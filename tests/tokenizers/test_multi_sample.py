"""Batches of several streams: rows chosen alike in all parts, and what does not fit refused; what masks hide."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from multi_samples import LAYOUTS, LFP, POSE, SPIKES, rows_of
from neurofmx.tokenizers.masking import Masked, mask_modality, mask_time, mask_units
from neurofmx.tokenizers.multi_sample import MultiSample
from neurofmx.tokenizers.tokens import Sample

PATCH = {stream: layout.patch for stream, layout in LAYOUTS.items()}


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


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


def test_hidden_units_are_absent_and_asked_for() -> None:
    batch = recorded()
    masked = mask_units(Masked.of(batch), 0.4, generator=draws(), streams=[SPIKES])
    sample, hidden = masked.batch.samples[SPIKES], masked.hidden[SPIKES]
    assert sample.present is not None
    assert (sample.x.where(hidden, 0.0) == 0).all()
    unseen = hidden.any(1)
    assert not (unseen & sample.present).any()
    assert sample.present.any(1).all()  # one unit stays
    assert not hidden[1, :, 2:].any()  # absent from the first
    assert not hidden[2, 7:].any()  # padding
    assert not hidden[3].any()  # a row without the stream
    assert 0.3 < float(unseen[4:].double().mean()) < 0.5
    shown = ~hidden[4:]
    assert torch.equal(sample.x[4:][shown], batch.samples[SPIKES].x[4:][shown])
    assert not masked.hidden[LFP].any()
    assert masked.seen[SPIKES].all()


def test_hidden_times_are_whole_tokens() -> None:
    masked = mask_time(Masked.of(recorded()), 0.3, patch=PATCH, generator=draws(), span=2)
    for stream, layout in LAYOUTS.items():
        seen, hidden = masked.seen[stream], masked.hidden[stream]
        tokens = seen.unflatten(1, (-1, layout.patch))
        assert torch.equal(tokens.any(2), tokens.all(2))
        assert 0.15 < 1 - float(seen.double().mean()) < 0.45
        assert not (hidden.any(2) & seen).any()
        assert (masked.batch.samples[stream].x.flatten(2)[hidden] == 0).all()
    assert not masked.hidden[SPIKES][2, 7:].any()
    assert torch.equal(masked.hidden[LFP].all(2), ~masked.seen[LFP])


def test_no_row_loses_its_last_modality() -> None:
    batch = recorded()
    batch.here[LFP][3] = False  # this row has its pose alone
    masked = mask_modality(Masked.of(batch), 0.9, generator=draws())
    here = torch.stack(list(masked.batch.here.values()))
    assert here.any(0).all()
    assert here[2, 3]
    assert 1.0 <= float(here.double().sum(0).mean()) < 1.4
    for stream in LAYOUTS:
        lost = batch.here[stream] & ~masked.batch.here[stream]
        assert torch.equal(masked.hidden[stream].flatten(1).any(1), lost)
    only = mask_modality(Masked.of(batch), 1.0, generator=draws(), streams=[SPIKES])
    assert not only.batch.here[SPIKES].any()
    assert torch.equal(only.batch.here[LFP], batch.here[LFP])


def test_masks_add_up_and_are_drawn_from_the_generator() -> None:
    def all_three(seed: int) -> Masked:
        generator = draws(seed)
        masked = mask_units(Masked.of(recorded()), 0.3, generator=generator)
        masked = mask_time(masked, 0.3, patch=PATCH, generator=generator)
        return mask_modality(masked, 0.3, generator=generator)

    first, again, other = all_three(0), all_three(0), all_three(1)
    for stream in LAYOUTS:
        assert torch.equal(first.hidden[stream], again.hidden[stream])
        assert not torch.equal(first.hidden[stream], other.hidden[stream])
    units = mask_units(Masked.of(recorded()), 0.3, generator=draws(0))
    assert (first.hidden[SPIKES] | ~units.hidden[SPIKES]).all()


def test_shares_and_streams_are_checked() -> None:
    masked = Masked.of(rows_of())
    with pytest.raises(ValueError, match=r"share=1.0: must be 0 or more and below 1"):
        mask_units(masked, 1.0, generator=draws())
    with pytest.raises(ValueError, match="'toy/eeg' cannot be hidden so; streams that can: toy/spikes, toy/lfp"):
        mask_time(masked, 0.1, patch=PATCH, generator=draws(), streams=["toy/eeg"])
    with pytest.raises(ValueError, match="span=0"):
        mask_time(masked, 0.1, patch=PATCH, generator=draws(), span=0)
    with pytest.raises(ValueError, match="share=2"):
        mask_modality(masked, 2, generator=draws())
