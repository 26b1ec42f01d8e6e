"""What a step asks, and when it asks nothing: a contrast without anything to be told from is no loss of 0."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import get_args

import pytest
import torch

from multi_samples import LFP, POSE, SPIKES, heads_of, model_of, rows_of
from neurofmx.datasets.shared.base import Modality
from neurofmx.foundation.roles import BY_MODALITY, by_role
from neurofmx.foundation.self_supervision import Step, contrast, forecast, mmd, temporal, tri_modal
from neurofmx.losses.info_nce import info_nce
from neurofmx.losses.mmd import domain_mmd
from neurofmx.losses.temporal_contrastive import temporal_contrastive
from neurofmx.models.foundation.assembled import Assembled
from neurofmx.models.neurofmx import NeuralStates
from neurofmx.tokenizers.masking import Masked
from neurofmx.tokenizers.multi_sample import MultiSample


def step_of(batch: MultiSample, anchor: list[float], other: MultiSample | None = None) -> Step:
    """A step in which nothing is hidden; the other view is of another batch."""
    model = model_of(SPIKES, POSE)

    def read(rows: MultiSample) -> NeuralStates:
        return model(rows)[0]

    return Step(
        Assembled(model, heads_of(model)),
        batch,
        Masked.of(batch),
        read(batch),
        lambda: read(other or rows_of(SPIKES, POSE, seed=1)),
        torch.tensor(anchor, dtype=torch.float64),
        torch.tensor([0.1], dtype=torch.float64),
        1.0,
    )


def of_one_session(**offsets: float) -> MultiSample:
    """Four rows of 2 s of one session, in which streams begin at other times."""
    batch = rows_of(SPIKES, POSE)
    offset = {name: time + offsets.get(name.split("/")[1], 0.0) for name, time in batch.offset.items()}
    return replace(batch, offset=offset, session=torch.zeros(4, dtype=torch.int64))


@pytest.mark.parametrize("loss", [contrast, temporal])
def test_rows_that_all_share_time_ask_nothing(loss) -> None:
    assert loss(step_of(of_one_session(), [0.0, 0.5, 1.0, 1.5])) is None
    assert loss(step_of(of_one_session(), [0.0, 0.5, 10.0, 10.5])).item() > 0


def test_rows_that_are_all_apart_have_no_neighbour_in_time() -> None:
    step = step_of(of_one_session(), [0.0, 10.0, 20.0, 30.0])
    assert temporal(step) is None
    assert contrast(step) is not None


def test_rows_share_time_over_all_their_streams() -> None:
    """Spikes 1.5 s before and the pose from 1 s after the moment on: rows 4.2 s apart share 0.3 s of time."""
    batch, anchor = of_one_session(spikes=-1.5, pose=1.0), [0.0, 4.2, 0.1, 4.3]
    step = step_of(batch, anchor)
    assert step.reach == pytest.approx(4.5)
    assert contrast(step) is None
    assert temporal(step) is None
    lacking = replace(batch, here=batch.here | {POSE: torch.zeros(4, dtype=torch.bool)})
    step = step_of(lacking, anchor)  # without the pose they share none
    assert step.reach == pytest.approx(2.0)
    z = step.network.heads.contrastive(step.mean)
    other = step.network.heads.contrastive(step.network.heads.mean(step.other()))
    apart = torch.tensor([[0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]], dtype=torch.bool)
    torch.testing.assert_close(contrast(step), info_nce(z, other, negatives=apart))
    how = {"near": 2.0, "apart": 3.5, "duration": 2.0}
    torch.testing.assert_close(temporal(step), temporal_contrastive(z, step.anchor, **how))


def test_every_modality_has_a_role() -> None:
    assert BY_MODALITY.keys() == set(get_args(Modality))
    assert by_role({"a": "video", "b": "emg", "c": "video"}, stimuli=("c", "d")) == {
        "behaviour": ["a"],
        "neural": ["b"],
        "stimulus": ["c"],
    }


def told_apart(step: Step, rows: list[int], *streams: str) -> torch.Tensor:
    """InfoNCE of rows of two streams, each read by a model that is given nothing else."""
    views = []
    for name in streams:
        one = step.batch.samples[name]
        alone = MultiSample(
            {name: one},
            {name: step.batch.here[name]},
            {name: step.batch.offset[name]},
            step.batch.session,
            step.batch.subject,
            step.batch.species,
        )
        states = step.network.model(alone[torch.tensor(rows)])[0]
        views.append(step.network.heads.contrastive(step.network.heads.mean(states)))
    return info_nce(*views)


def test_neurons_behaviour_and_stimulus_are_read_apart() -> None:
    anchor = [0.0, 10.0, 20.0, 30.0]
    step = step_of(of_one_session(), anchor)
    torch.testing.assert_close(tri_modal(step), told_apart(step, [0, 1, 2, 3], SPIKES, POSE))
    one = torch.tensor([True, True, False, True])
    lacking = replace(step.batch, here=step.batch.here | {POSE: one})
    step = step_of(lacking, anchor)  # a row with one of them alone takes no part
    torch.testing.assert_close(tri_modal(step), told_apart(step, [0, 1, 3], SPIKES, POSE))
    assert tri_modal(step_of(of_one_session(), [0.0, 0.5, 1.0, 1.5])) is None  # they share time
    assert tri_modal(replace(step, stimuli=(SPIKES, POSE))) is None
    nobody = replace(step.batch, here=step.batch.here | {POSE: torch.zeros(4, dtype=torch.bool)})
    assert tri_modal(step_of(nobody, anchor)) is None


def test_three_kinds_are_told_two_by_two_and_streams_of_one_kind_are_read_together() -> None:
    model, batch = model_of(), replace(rows_of(), session=torch.zeros(4, dtype=torch.int64))
    states, anchor = model(batch)[0], torch.tensor([0.0, 10.0, 20.0, 30.0], dtype=torch.float64)
    ahead = torch.tensor([0.1], dtype=torch.float64)
    step = Step(Assembled(model, heads_of(model)), batch, Masked.of(batch), states, lambda: states, anchor, ahead, 1.0)
    shown = replace(step, stimuli=(LFP,))
    apart = [told_apart(shown, [0, 1, 2, 3], *pair) for pair in combinations((SPIKES, POSE, LFP), 2)]
    torch.testing.assert_close(tri_modal(shown), torch.stack(apart).mean())
    heads = step.network.heads
    both = heads.contrastive(heads.mean(model(batch.without(POSE))[0]))
    pose = heads.contrastive(heads.mean(model(batch.without(SPIKES, LFP))[0]))
    torch.testing.assert_close(tri_modal(step), info_nce(both, pose))


def test_the_losses_settings_are_those_of_the_step() -> None:
    """Each against the loss itself, and each matters."""
    step = replace(step_of(of_one_session(), [0.0, 0.5, 10.0, 10.5]), ahead=torch.tensor([0.1, 0.3]).double())
    other = replace(step, temperature=0.7, discount=0.25, bandwidths=(0.3, 2.0))
    for loss in (contrast, temporal, forecast, mmd, tri_modal):
        assert loss(other).item() != pytest.approx(loss(step).item(), rel=1e-3), loss.__name__
    species = step.batch.species
    torch.testing.assert_close(mmd(other), domain_mmd(step.mean, species, multiples=(0.3, 2.0)))
    near, far = (forecast(replace(step, ahead=step.ahead[[k]])).item() for k in (0, 1))
    assert min(near, far) < forecast(other).item() < max(near, far)
    assert abs(forecast(other).item() - near) < abs(forecast(step).item() - near)
    learnt = torch.tensor(0.7, requires_grad=True)
    for loss in (contrast, temporal, tri_modal):
        value = loss(replace(step, temperature=learnt))
        torch.testing.assert_close(value, loss(other))
        assert torch.autograd.grad(value, learnt)[0] != 0
