"""Heads: what is read out of the latents and when, channels in any order, domains turned round, targets by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from multi_samples import LAYOUTS, LFP, POSE, SPIKES, STEP, heads_of, model_of, rows_of, with_x
from neurofmx.models.configs import HeadConfig
from neurofmx.models.foundation.contrastive import ContrastiveProjection
from neurofmx.models.foundation.targets import sample_times, samples_at
from neurofmx.recordings.task import Task

CLOSE = {"rtol": 1e-9, "atol": 1e-9}


def test_reconstruction_and_forecast_see_what_they_may() -> None:
    """A change in the last second reaches a whole reconstruction everywhere, one of the past and a forecast later."""
    model, batch = model_of(), rows_of()
    heads, time = heads_of(model), sample_times(batch, LFP, rate=40.0)
    ahead = torch.tensor([0.05, 0.3])
    x = batch.samples[LFP].x.clone()
    x[:, 44:] += 1.0  # from 1.0 s on, as the LFP begins at -0.1 s; the first such token is complete at 1.1 s
    made, changed = model(batch)[0], model(with_x(batch, LFP, x))[0]
    readout = heads.readout
    whole, past, later = (
        [read(states) for states in (made, changed)]
        for read in (
            lambda states: readout.reconstruct(states, LFP, time),
            lambda states: readout.reconstruct(states, LFP, time, past=True),
            lambda states: readout.forecast(states, LFP, ahead),
        )
    )
    assert whole[0].shape == (4, 80, 3)
    assert (whole[1] - whole[0]).abs().amax((0, 2)).min() > 1e-6
    known = time[0] < 1.0  # before the step from 1.0 to 1.2 s
    torch.testing.assert_close(past[1][:, known], past[0][:, known], **CLOSE)
    assert (past[1] - past[0])[:, ~known].abs().amax((0, 2)).min() > 1e-6
    steps = made.time[0] < 1.1
    assert later[0].shape == (4, len(steps), 2, 3)
    torch.testing.assert_close(later[1][:, steps], later[0][:, steps], **CLOSE)
    assert (later[1] - later[0])[:, ~steps].abs().amax((0, 2, 3)).min() > 1e-6


def test_a_forecast_is_that_of_each_step_alone() -> None:
    model, batch = model_of(), rows_of()
    heads, states = heads_of(model), model(batch)[0]
    ahead = torch.tensor([0.1, 0.4])
    found = heads.readout.forecast(states, POSE, ahead)
    for step in (0, 5):
        only = states._replace(
            states=states.states[:, step : step + 1],
            mask=torch.ones(4, 1, dtype=torch.bool),
            time=states.time[:, step : step + 1],
            latents=states.latents[:, step : step + 1],
        )
        times = states.time[:, step, None] + ahead
        torch.testing.assert_close(found[:, step], heads.readout.reconstruct(only, POSE, times), **CLOSE)


def test_channels_are_read_in_any_order_and_only_where_there_are_some() -> None:
    model, batch = model_of(), rows_of()
    heads, states = heads_of(model), model(batch)[0]
    time, recording = sample_times(batch, SPIKES, rate=10.0), torch.arange(4) % 3
    before = heads.readout.reconstruct(states, SPIKES, time, recording=recording)
    apart = [
        heads.readout.reconstruct(states, SPIKES, time, recording=torch.full((4,), number))[number]
        for number in range(3)
    ]
    torch.testing.assert_close(before[:3], torch.stack(apart), **CLOSE)
    order = torch.tensor([4, 2, 0, 1, 3])
    rows = heads.readout.channels.rows(f"{SPIKES}#0")
    vectors = heads.readout.channels.vectors.data
    vectors[rows.start : rows.stop] = vectors[rows.start : rows.stop][order]
    after = heads.readout.reconstruct(states, SPIKES, time, recording=recording)
    torch.testing.assert_close(after[0], before[0][:, order], **CLOSE)
    torch.testing.assert_close(after[1:3], before[1:3], **CLOSE)
    heads.readout.add(SPIKES, channels=7)
    wider = heads.readout.reconstruct(states, SPIKES, time, recording=torch.tensor([0, 1, 2, 3]))
    torch.testing.assert_close(wider[:3, :, :5], after[:3], **CLOSE)
    assert (wider[:3, :, 5:] == 0).all()
    assert (wider[3, :, 5:] != 0).all()
    for wrong in ({"channels": 0}, {"channels": 2, "recordings": 0}):
        with pytest.raises(ValueError, match="1 of each or more"):
            heads.readout.add("toy/eeg", **wrong)
    assert "toy/eeg" not in heads.readout.streams


@pytest.mark.parametrize("hidden", [0.0, torch.nan])
def test_latents_behind_the_end_of_a_row_say_nothing(hidden: float) -> None:
    model, batch = model_of(), rows_of()
    heads, states = heads_of(model), model(batch)[0]
    mask = states.mask.clone()
    mask[0, 4:] = False
    latents = states.latents.clone()
    latents[0, 4:] = hidden
    shorter = states._replace(mask=mask, latents=latents)
    time = sample_times(batch, POSE, rate=4.0)
    found = heads.readout.reconstruct(shorter, POSE, time)
    cut = heads.readout.reconstruct(
        states._replace(mask=mask[:1, :4], time=states.time[:1, :4], latents=latents[:1, :4]), POSE, time[:1]
    )
    torch.testing.assert_close(found[:1], cut, **CLOSE)


def test_targets_by_hand() -> None:
    """Four samples a second from -0.5 s: times 0.1 and 0.6 s fall in samples 2 and 4; 9 s is behind the window."""
    batch = rows_of(POSE, rows=3)
    x = torch.arange(8.0, dtype=torch.float64)[:, None].expand(3, 8, 2).clone()
    x[0, 6:] = torch.nan
    batch = replace(with_x(batch, POSE, x), offset={POSE: torch.full((3,), -0.5)})
    batch.here[POSE][2] = False
    sample = replace(
        batch.samples[POSE], length=torch.tensor([5, 8, 8]), present=torch.tensor([[1, 1], [1, 0], [1, 1]]).bool()
    )
    batch = replace(batch, samples={POSE: sample})
    time = torch.tensor([[0.1, 0.6, 1.1, 9.0, -0.6]]).expand(3, 5)
    values, there = samples_at(batch, POSE, time, rate=4.0)
    assert values[0].tolist() == [[2, 2], [4, 4], [0, 0], [0, 0], [0, 0]]
    assert values[1].tolist() == [[2, 0], [4, 0], [6, 0], [0, 0], [0, 0]]
    assert there[1].tolist() == [[True, False]] * 3 + [[False, False]] * 2
    assert not there[2].any()
    middles = sample_times(batch, POSE, rate=4.0)
    torch.testing.assert_close(middles[0], torch.arange(8, dtype=torch.float64) / 4 - 0.375)


@pytest.mark.parametrize("begin", [0.0, 0.1, -0.3, 0.7])
def test_a_time_on_a_border_is_in_the_sample_that_begins_there(begin: float) -> None:
    """Offsets of joined rows are in single precision, times in double: 0.1 s is not the same number in both."""
    batch = rows_of(POSE, rows=1)
    batch = replace(
        with_x(batch, POSE, torch.arange(20.0, dtype=torch.float64)[None, :, None]),
        offset={POSE: torch.tensor([begin], dtype=torch.float32)},
    )
    times = begin + 0.1 * torch.arange(20, dtype=torch.float64)
    assert samples_at(batch, POSE, times[None], rate=10.0)[0][0, :, 0].tolist() == list(range(20))


def test_the_domain_branch_turns_gradients_round_for_the_states_alone() -> None:
    model, batch = model_of(), rows_of()
    heads = heads_of(model)
    slopes = []
    for strength in (None, 0.25):
        states = heads.mean(model(batch)[0]).detach().requires_grad_()
        heads.zero_grad()
        logits = heads.species.logits(states) if strength is None else heads.species(states, strength)
        torch.nn.functional.cross_entropy(logits, batch.species).backward()
        own = torch.cat([p.grad.flatten() for p in heads.species.parameters()])
        slopes.append((states.grad, own))
    torch.testing.assert_close(slopes[1][0], -0.25 * slopes[0][0], **CLOSE)
    torch.testing.assert_close(slopes[1][1], slopes[0][1], **CLOSE)
    assert slopes[0][0].abs().max() > 0


def test_tasks_are_answered_for_windows_and_steps() -> None:
    model, batch = model_of(), rows_of()
    heads, states = heads_of(model), model(batch)[0]
    task = Task("regression", "xy", ("x", "y"))
    decoder = heads.add_task("toy", task, HeadConfig(pool="last", dropout=0.0)).double()
    each = decoder.each(states.states)
    assert each.shape == (*states.mask.shape, 2)
    torch.testing.assert_close(decoder(states.states, states.mask), each[:, -1], **CLOSE)
    with pytest.raises(ValueError, match="'toy' is a task already"):
        heads.add_task("toy", task)
    with pytest.raises(ValueError, match="the next token is no behaviour"):
        heads.add_task("text", Task("next_token", "text", ("a", "b")))


def test_two_modalities_answer_what_neither_does_alone() -> None:
    """The class is the product of two signs, one in each stream: either alone says nothing, and chance is 0.5."""
    generator = torch.Generator().manual_seed(0)
    batch = rows_of(SPIKES, LFP, rows=512)
    signs = 2.0 * torch.randint(2, (2, 512), generator=generator) - 1.0
    samples = {
        stream: batch.samples[stream].with_x(0.5 * batch.samples[stream].x + sign[:, None, None])
        for stream, sign in zip((SPIKES, LFP), signs, strict=True)
    }
    batch = replace(batch, samples={name: s.with_x(s.x.float()) for name, s in samples.items()})
    label = (signs.prod(0) > 0).long()
    model = model_of(SPIKES, LFP).float()
    head = heads_of(model).add_task(
        "product", Task("classification", "product", ("no", "yes")), HeadConfig(pool="mean")
    )
    optimizer = torch.optim.AdamW([*model.parameters(), *head.parameters()], lr=5e-3)
    for index in torch.randperm(384 * 8, generator=generator).remainder(384).split(64):
        made = model.train()(batch[index])[0]
        optimizer.zero_grad()
        head.loss(head(made.states, made.mask), label[index]).backward()
        optimizer.step()
    held = torch.arange(384, 512)
    right = []
    for rows in (batch[held], batch[held].without(LFP), batch[held].without(SPIKES)):
        with torch.no_grad():
            made = model.eval()(rows)[0]
            right.append(float((head(made.states, made.mask).argmax(1) == label[held]).double().mean()))
    assert right[0] > 0.9
    assert max(right[1:]) < 0.65


def test_projections_lie_on_the_sphere() -> None:
    head = ContrastiveProjection(16, width=5).double()
    found = head(torch.randn(7, 16, dtype=torch.float64))
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(7, dtype=torch.float64), **CLOSE)


def test_layouts_of_these_tests_are_of_three_rates() -> None:
    assert len({layout.patch / layout.rate for layout in LAYOUTS.values()}) == 3
    assert STEP == 0.2
