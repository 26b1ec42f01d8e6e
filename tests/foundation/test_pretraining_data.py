"""What a pretraining is fed: balanced draws, missing modalities, and sessions that nobody may have seen."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from neurofmx.foundation.held_out import Seen, SeenError, check_unseen, sessions_of
from neurofmx.foundation.missing import drop_modalities
from neurofmx.foundation.options import Balance
from neurofmx.foundation.sampling import BalancedDraws, weights
from neurofmx.parts import TEST
from neurofmx.tokenizers.cutting.origin import Origin
from neurofmx.tokenizers.cutting.windows import Windows
from neurofmx.tokenizers.multi_sample import MultiSample
from neurofmx.tokenizers.tokens import Sample
from synthetic import synthetic_windows


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("balance", "expected"),
    [("windows", [0.7, 0.2, 0.1]), ("datasets", [1 / 3, 1 / 3, 1 / 3]), ("species", [0.25, 0.25, 0.5])],
)
def test_every_step_holds_its_share_of_every_dataset(balance: Balance, expected: list[float]) -> None:
    share = weights([700, 200, 100], ["mouse", "mouse", "rat"], balance=balance)
    np.testing.assert_allclose(share, expected)
    draws = BalancedDraws([700, 200, 100], share, batch_size=10, steps=300)
    counts = np.array([[len(rows) for rows in step] for step in draws.epoch(generator())])
    assert (counts.sum(1) == 10).all()
    assert (np.abs(counts - 10 * share) < 1 + 1e-9).all()  # systematic sampling: never a whole row off
    np.testing.assert_allclose(counts.mean(0), 10 * share, atol=0.1)


def test_no_row_is_read_twice_before_all_were_read_once() -> None:
    draws = BalancedDraws([7, 40], np.array([0.5, 0.5]), batch_size=8, steps=14)
    steps = list(draws.epoch(generator()))
    small, large = (torch.cat([step[d] for step in steps]).tolist() for d in (0, 1))
    for first in range(0, len(small) - 7, 7):
        assert sorted(small[first : first + 7]) == list(range(7))
    assert set(Counter(small).values()) == {8}
    assert sorted(large[:40]) == list(range(40))
    assert small[:7] != small[7:14]


def test_draws_are_those_of_their_generator() -> None:
    draws = BalancedDraws([30, 50], np.array([0.4, 0.6]), batch_size=7, steps=9)
    one, same, other = (list(draws.epoch(generator(seed))) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for x, y in zip(one, same, strict=True) for a, b in zip(x, y, strict=True))
    assert not all(torch.equal(a, b) for x, y in zip(one, other, strict=True) for a, b in zip(x, y, strict=True))


def batch(rows: int = 12000) -> MultiSample:
    """Three streams; a row has the first, the first two, or all."""
    has = torch.arange(rows) % 3
    here = {name: has >= k for k, name in enumerate(("a", "b", "c"))}
    return MultiSample(
        {name: Sample(torch.ones(rows, 2, 1)) for name in here},
        here,
        {name: torch.zeros(rows) for name in here},
        *(torch.zeros(rows, dtype=torch.int64) for _ in range(3)),
    )


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_modalities_are_dropped_as_often_as_asked_and_never_all(share: float) -> None:
    whole = batch()
    left = drop_modalities(whole, share=share, generator=generator())
    before, after = (torch.stack([each.here[name] for name in "abc"], 1) for each in (whole, left))
    assert not (after & ~before).any()
    assert after.any(1).all()
    for count in (1, 2, 3):
        rows = before.sum(1) == count
        # all would be lost with share ** count, and then one of them is kept
        expected = share - share**count / count
        lost = 1 - after[rows].sum() / before[rows].sum()
        assert float(lost) == pytest.approx(expected, abs=0.02)
    pairs = before.sum(1) == 2
    kept = after[pairs][:, :2].float().mean(0)  # neither of the two is preferred
    assert float((kept[0] - kept[1]).abs()) < 0.06


def test_a_share_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="share=1"):
        drop_modalities(batch(3), share=1.0, generator=generator())


def windows(dataset: str, *origins: Origin) -> Windows:
    """Windows of some recordings."""
    made = synthetic_windows()
    return replace(made, dataset=dataset, origins=origins, group=np.arange(len(made.y)) % len(origins))


ONE, TWO = Origin("m/1", "m", ("aa",)), Origin("m/2", "m", ("bb",))


@pytest.mark.parametrize(
    ("evaluated", "seen"),
    [
        (windows("a", ONE, TWO), True),
        (windows("other_block_of_a", TWO, ONE), True),  # by its file
        (windows("renamed", Origin("x/9", "x", ("aa", "cc"))), True),
        (windows("b", TWO), False),
        (windows("b", Origin("m/1", "m", ("dd",))), False),  # another dataset may use the same names
        (windows("a", Origin("m/1", "m", ("dd",))), True),  # the same dataset does not
        (windows("half", Origin("m/7", "m", ("aa",)), Origin("m/8", "m", ("aa",))), False),  # a file of many sessions
        (windows("half", Origin("m/1", "m", ("aa",)), Origin("m/8", "m", ("aa",))), True),
    ],
)
def test_a_session_is_known_by_its_name_or_its_files(evaluated: Windows, seen: bool) -> None:
    known = sessions_of(windows("a", ONE))
    facts = [each._asdict() | {"files": list(each.files)} for each in known]  # as JSON keeps them
    for given in (known, facts):
        if seen:
            with pytest.raises(SeenError, match=r"of its sessions were pretrained on: \w/\d"):
                check_unseen(given, evaluated)
        else:
            check_unseen(given, evaluated)


def test_sessions_that_a_fold_only_tests_were_not_seen() -> None:
    made = windows("a", ONE, TWO)
    made = replace(made, split=np.where(made.group == 1, TEST, made.split))
    assert sessions_of(made, fold=0) == [Seen("a", "m/1", ("aa",))]
    assert len(sessions_of(made)) == 2
    with pytest.raises(ValueError, match="do not say which recordings"):
        sessions_of(replace(made, origins=()))
