"""What is hidden is hidden everywhere: in samples, presence, times and streams, as much of it as was asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError

from neurofmx.foundation.mask_plans import mask, recorded
from neurofmx.foundation.options import MaskOptions
from neurofmx.tokenizers.masking import Masked
from neurofmx.tokenizers.multi_sample import MultiSample
from neurofmx.tokenizers.tokens import Sample

RATES = {"rat/spikes": 10.0, "rat/lfp": 40.0}


def batch(rows: int = 300) -> MultiSample:
    """Two streams over about the same 2 s, spikes of 12 units of which odd rows have 8; every third row has no lfp."""
    number = torch.arange(rows)
    present = torch.ones(rows, 12, dtype=torch.bool)
    present[number % 2 == 1, 8:] = False
    spikes = Sample(1 + torch.rand(rows, 20, 12), present=present, length=torch.where(number % 5 == 0, 15, 20))
    lfp = Sample(1 + torch.rand(rows, 80, 4))
    here = {"rat/spikes": torch.ones(rows, dtype=torch.bool), "rat/lfp": number % 3 != 0}
    offset = {"rat/spikes": torch.full((rows,), -1.0), "rat/lfp": -1.0 + 0.01 * (number % 7)}
    index = torch.zeros(rows, dtype=torch.int64)
    return MultiSample({"rat/spikes": spikes, "rat/lfp": lfp}, here, offset, index, index, index)


def masked(rows: MultiSample, seed: int = 0, **options: float) -> Masked:
    return mask(rows, RATES, MaskOptions(**options), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    "options", [{"time": 0.0, "modality": 0.0}, {"units": 0.0, "modality": 0.0}, {}, {"time": 0.0, "share": 0.9}]
)
def test_the_network_never_reads_what_it_is_asked_for(options: dict[str, float]) -> None:
    whole = batch()
    left = masked(whole, **options)
    for name, sample in left.batch.samples.items():
        hidden = left.hidden[name]
        assert hidden.any()
        assert not sample.x[hidden].any()
        # only what was recorded is asked for, in rows that have the stream
        assert not (hidden & ~recorded(whole.samples[name])).any()
        assert not hidden[~whole.here[name]].any()
        # and all that is not hidden is still there
        shown = ~hidden & recorded(whole.samples[name]) & whole.here[name][:, None, None]
        assert torch.equal(sample.x[shown], whole.samples[name].x[shown])


def test_hidden_units_are_hidden_for_the_whole_window_and_not_present() -> None:
    left = masked(batch(), time=0.0, modality=0.0, share=0.25)
    sample, hidden = left.batch.samples["rat/spikes"], left.hidden["rat/spikes"]
    units = hidden.any(1)
    has = recorded(batch().samples["rat/spikes"])
    assert torch.equal(hidden, units[:, None] & has)
    assert sample.present is not None
    assert not (sample.present & units).any()
    assert units.sum(1).tolist() == [3 if row % 2 == 0 else 2 for row in range(300)]
    assert left.seen["rat/spikes"].all()


def test_hidden_times_are_the_same_moments_in_streams_of_other_rates() -> None:
    whole = batch()
    left = masked(whole, units=0.0, modality=0.0, share=0.3, span_s=0.25)
    share = []
    for row in range(len(whole)):
        dark = {}
        for name, rate in RATES.items():
            samples = whole.samples[name].x.shape[1]
            time = float(whole.offset[name][row]) + (torch.arange(samples) + 0.5) / rate
            gone = ~left.seen[name][row]
            assert torch.equal(gone & recorded(whole.samples[name])[row].any(1), left.hidden[name][row].any(1)) or (
                not whole.here[name][row]
            )
            dark[name] = (time, gone)
        if not whole.here["rat/lfp"][row]:
            continue
        share.append(float(dark["rat/lfp"][1].float().mean()))
        # every sample of spikes has the lfp sample at its middle hidden or shown as itself
        time, gone = dark["rat/spikes"]
        lfp_time, lfp_gone = dark["rat/lfp"]
        nearest = (time[:, None] - lfp_time).abs().argmin(1)
        inside = (time > lfp_time[0]) & (time < lfp_time[-1])
        assert (gone == lfp_gone[nearest])[inside].float().mean() > 0.8
    assert sum(share) / len(share) == pytest.approx(0.3, abs=0.05)
    assert max(share) < 1


def test_a_hidden_modality_is_gone_and_never_the_last_one() -> None:
    whole = batch(900)
    left = masked(whole, units=1e-9, time=1e-9, modality=1.0)
    both = whole.here["rat/lfp"]
    here = torch.stack([left.batch.here[name] for name in RATES], 1)
    assert here.any(1).all()
    assert (here[both].sum(1) == 1).all()
    assert torch.equal(here[~both][:, 0], torch.ones(int((~both).sum()), dtype=torch.bool))
    assert 0.4 < float(here[both][:, 0].float().mean()) < 0.6
    for name in RATES:
        gone = whole.here[name] & ~left.batch.here[name]
        assert torch.equal(left.hidden[name][gone], recorded(whole.samples[name])[gone])


def test_plans_are_drawn_by_their_weights_and_by_the_generator_alone() -> None:
    whole = batch(3000)
    left = masked(whole, units=2.0, time=1.0, modality=1.0)
    both = whole.here["rat/lfp"]
    gone = both & ~(left.batch.here["rat/lfp"] & left.batch.here["rat/spikes"])
    time = ~left.seen["rat/spikes"].all(1)
    assert float(gone[both].float().mean()) == pytest.approx(0.25, abs=0.04)
    assert float(time[~both].float().mean()) == pytest.approx(1 / 3, abs=0.05)
    again, other = masked(whole, units=2.0), masked(whole, seed=1, units=2.0)
    same = [torch.equal(left.hidden[n], each.hidden[n]) for n in RATES for each in (again, other)]
    assert same == [True, False, True, False]


def test_of_one_channel_only_time_is_hidden() -> None:
    whole = batch()
    one = {name: sample.with_x(sample.x[..., :1]) for name, sample in whole.samples.items()}
    spikes = replace(one["rat/spikes"], present=None)
    rows = replace(whole, samples={"rat/spikes": spikes, "rat/lfp": one["rat/lfp"]})
    left = masked(rows, modality=0.0, units=9.0)
    assert all((~left.seen["rat/spikes"]).any(1).tolist())
    with pytest.raises(ValueError, match=r"pretrain\.mask\.time=0: of rows that have one channel"):
        masked(rows, modality=0.0, time=0.0)


def test_what_cannot_be_masked_is_refused() -> None:
    text = Sample(torch.zeros(2, 3, 1, dtype=torch.int64))
    rows = replace(batch(2), samples={"rat/spikes": text, "rat/lfp": batch(2).samples["rat/lfp"]})
    with pytest.raises(ValueError, match="stream rat/spikes: numbers of a text"):
        masked(rows)
    with pytest.raises(ValidationError, match="need a plan"):
        MaskOptions(units=0.0, time=0.0)
