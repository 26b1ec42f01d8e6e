"""Schedules of the learning rate against torch's and against their formula."""

from __future__ import annotations

import math
from typing import get_args

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, OneCycleLR

from neurofmx.training.options import TrainOptions
from neurofmx.training.schedule import SCHEDULES

TOTAL, WARMUP = 50, 10


def ours(name: str, *, total: int = TOTAL, warmup: int = WARMUP) -> list[float]:
    return [SCHEDULES[name](step, total=total, warmup=warmup) for step in range(total)]


def of_torch(make, steps: int) -> list[float]:
    """Rates that a scheduler of torch gives to each step."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler, rates = make(optimizer), []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def test_every_schedule_can_be_asked_for() -> None:
    assert set(get_args(TrainOptions.model_fields["schedule"].annotation)) == set(SCHEDULES)


@pytest.mark.parametrize("name", sorted(set(SCHEDULES) - {"one_cycle"}))
def test_the_rise_is_straight_and_ends_at_the_highest_rate(name: str) -> None:
    assert ours(name)[:WARMUP] == pytest.approx([(step + 1) / WARMUP for step in range(WARMUP)])
    assert max(ours(name)) == 1.0


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize(("total", "warmup"), [(1, 0), (2, 1), (7, 0), (7, 6), (50, 10)])
def test_every_factor_lies_between_0_and_1(name: str, total: int, warmup: int) -> None:
    factors = ours(name, total=total, warmup=warmup)
    assert all(0 <= factor <= 1 for factor in factors)
    assert max(factors) > 0


def test_one_cycle_is_that_of_torch() -> None:
    theirs = of_torch(lambda o: OneCycleLR(o, max_lr=1.0, total_steps=TOTAL, pct_start=WARMUP / TOTAL), TOTAL)
    assert ours("one_cycle") == pytest.approx(theirs, abs=1e-12)


def test_cosine_and_linear_are_those_of_torch_after_the_rise() -> None:
    fall = TOTAL - WARMUP
    assert ours("cosine")[WARMUP:] == pytest.approx(of_torch(lambda o: CosineAnnealingLR(o, fall), fall))
    straight = of_torch(lambda o: LinearLR(o, start_factor=1.0, end_factor=0.0, total_iters=fall), fall)
    assert ours("linear")[WARMUP:] == pytest.approx(straight)


def test_the_others_follow_their_formula() -> None:
    assert ours("constant")[WARMUP:] == [1.0] * (TOTAL - WARMUP)
    assert ours("inverse_sqrt")[WARMUP:] == pytest.approx([math.sqrt(WARMUP / (s + 1)) for s in range(WARMUP, TOTAL)])
    assert ours("stable_decay")[WARMUP:40] == [1.0] * 30
    assert ours("stable_decay")[40:] == pytest.approx([1 - k / 10 for k in range(10)])
