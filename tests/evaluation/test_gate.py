"""The gate against loops, known variances and simulated truth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import accuracy_score, balanced_accuracy_score, r2_score, roc_auc_score

from neurofmx.evaluation.gate import Difference, interval, paired_difference
from neurofmx.headline import headline
from neurofmx.recordings.task import Task

SIDES = Task("classification", "side", ("left", "right"))
PLACE = Task("regression", "place", ("x", "y"))
HEADING = Task("circular", "heading", ("heading",))
RANKED = Task("classification", "side", ("left", "right"), score="auc")
BALANCED = Task("classification", "side", ("left", "right"), score="balanced_accuracy")
TASKS = {"classification": SIDES, "auc": RANKED, "balanced": BALANCED, "regression": PLACE, "circular": HEADING}


def session(kind: str, *, n: int = 90, seeds: int = 2, noise: float = 0.8) -> tuple[np.ndarray, ...]:
    """Outputs of two models `(seeds, n, width)`, truth, and blocks of unequal size in no order."""
    rng = np.random.default_rng(7)
    if kind in ("classification", "auc", "balanced"):
        y = rng.integers(0, 2, n)
        truth = np.eye(2)[y]
    elif kind == "regression":
        truth = y = rng.normal(size=(n, 2)) * (1, 30) + (0, 1000)
    else:
        y = rng.uniform(0, 2 * np.pi, n)
        truth = np.stack([np.cos(y), np.sin(y)], 1)
    ours, theirs = (truth + level * rng.normal(size=(seeds, n, 2)) for level in (noise, 1.3 * noise))
    return ours, theirs, y, rng.integers(0, 12, n)


def plain_score(outputs: np.ndarray, y: np.ndarray, kind: str) -> float:
    """Headline by scikit-learn."""
    if kind == "auc":
        return float(roc_auc_score(y, outputs[:, 1] - outputs[:, 0]))
    if kind in ("classification", "balanced"):
        count = accuracy_score if kind == "classification" else balanced_accuracy_score
        return float(count(y, outputs.argmax(1)))
    return float(r2_score(np.stack([np.cos(y), np.sin(y)], 1) if kind == "circular" else y, outputs))


@pytest.mark.parametrize("kind", TASKS)
def test_equals_a_loop_over_draws_that_copies_windows(kind: str) -> None:
    ours, theirs, y, block = session(kind)
    draws, names = 40, np.unique(block)
    rng = np.random.default_rng(5)
    blocks = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)
    seeds = rng.multinomial(2, [0.5, 0.5], size=draws)
    spread = []
    for of_block, of_seed in zip(blocks, seeds, strict=True):
        index = np.concatenate([np.tile(np.flatnonzero(block == b), k) for b, k in zip(names, of_block, strict=True)])
        chosen = np.repeat([0, 1], of_seed)
        spread.append(
            np.mean([plain_score(ours[s, index], y[index], kind) for s in chosen])
            - np.mean([plain_score(theirs[s, index], y[index], kind) for s in chosen])
        )
    found = paired_difference(ours, theirs, y, block, TASKS[kind], draws=draws, seed=5)
    np.testing.assert_allclose((found.low, found.high), np.quantile(spread, [0.025, 0.975]), atol=1e-10)
    plain = [np.mean([plain_score(o, y, kind) for o in both]) for both in (ours, theirs)]
    assert found.value == pytest.approx(plain[0] - plain[1])


@pytest.mark.parametrize("kind", TASKS)
def test_the_value_of_the_interval_is_the_mean_headline(kind: str) -> None:
    ours, _, y, block = session(kind, seeds=3)
    found = interval(ours, y, block, TASKS[kind])
    assert found.value == pytest.approx(np.mean([headline(o, y, TASKS[kind]) for o in ours]))
    assert found.low < found.value < found.high


@pytest.mark.parametrize("kind", TASKS)
def test_a_model_differs_from_itself_by_exactly_nothing(kind: str) -> None:
    ours, _, y, block = session(kind)
    found = paired_difference(ours, ours, y, block, TASKS[kind])
    assert (found.value, found.low, found.high) == (0, 0, 0)
    assert found.verdict == "ties"
    assert not found.beats


def test_swapping_the_models_flips_the_difference() -> None:
    ours, theirs, y, block = session("regression")
    one = paired_difference(ours, theirs, y, block, PLACE, draws=500)
    other = paired_difference(theirs, ours, y, block, PLACE, draws=500)
    np.testing.assert_allclose((other.value, other.low, other.high), (-one.value, -one.high, -one.low), atol=1e-12)


def test_width_is_that_of_a_proportion_when_windows_are_independent() -> None:
    rng = np.random.default_rng(0)
    y = np.zeros(900, int)
    outputs = np.eye(2)[(rng.random(900) > 0.8).astype(int)]
    found = interval(outputs, y, np.arange(900), SIDES, draws=4000)
    expected = 2 * 1.96 * np.sqrt(found.value * (1 - found.value) / 900)
    assert found.high - found.low == pytest.approx(expected, rel=0.07)


def test_windows_that_share_their_fate_widen_the_interval() -> None:
    rng = np.random.default_rng(1)
    wrong = np.repeat(rng.random(60) > 0.7, 10)  # ten windows of a block are right or wrong together
    outputs, y = np.eye(2)[wrong.astype(int)], np.zeros(600, int)
    together = interval(outputs, y, np.repeat(np.arange(60), 10), SIDES)
    alone = interval(outputs, y, np.arange(600), SIDES)
    ratio = (together.high - together.low) / (alone.high - alone.low)
    assert ratio == pytest.approx(np.sqrt(10), rel=0.15)


def test_pairing_narrows_the_interval_of_alike_models() -> None:
    ours, _, y, block = session("regression", seeds=1, n=400)
    alike = ours + 0.05 * np.random.default_rng(2).normal(size=ours.shape)
    paired = paired_difference(ours, alike, y, block, PLACE)
    single = interval(ours, y, block, PLACE)
    assert paired.high - paired.low < 0.5 * (single.high - single.low)


def test_covers_the_truth_as_often_as_it_says() -> None:
    # accuracy is P(hard + noise <= level) with a sum of variance 2
    truth = norm.cdf(1.2, scale=np.sqrt(2)) - norm.cdf(0.8, scale=np.sqrt(2))
    rng = np.random.default_rng(11)
    y, block = np.zeros(300, int), np.repeat(np.arange(60), 5)
    inside = 0
    for _ in range(200):
        hard = np.repeat(rng.normal(size=60), 5)  # blocks are hard for both models alike
        ours, theirs = ((hard + rng.normal(size=300) > level).astype(int) for level in (1.2, 0.8))
        found = paired_difference(np.eye(2)[ours], np.eye(2)[theirs], y, block, SIDES, draws=400)
        inside += found.low <= truth <= found.high
    assert 0.90 <= inside / 200 <= 0.99


def test_a_better_seed_or_a_worse_one_widens_the_interval() -> None:
    ours, _, y, block = session("regression", seeds=1, n=400)
    worse = ours + 0.8 * np.random.default_rng(3).normal(size=ours.shape)
    mixed = interval(np.concatenate([ours, worse]), y, block, PLACE)
    same = interval(np.concatenate([ours, ours]), y, block, PLACE)
    assert mixed.high - mixed.low > 1.2 * (same.high - same.low)


def test_one_reference_serves_all_seeds() -> None:
    ours, theirs, y, block = session("regression", seeds=3)
    once = paired_difference(ours, theirs[0], y, block, PLACE)
    repeated = paired_difference(ours, np.stack([theirs[0]] * 3), y, block, PLACE)
    np.testing.assert_allclose(
        (once.value, once.low, once.high), (repeated.value, repeated.low, repeated.high), atol=1e-12
    )


@given(shift=st.floats(-1e4, 1e4), factor=st.floats(0.01, 100))
@settings(max_examples=20, deadline=None)
def test_r2_has_no_unit(shift: float, factor: float) -> None:
    ours, _, y, block = session("regression", seeds=1)
    one = interval(ours, y, block, PLACE, draws=50)
    other = interval(ours * factor + shift, y * factor + shift, block, PLACE, draws=50)
    np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("low", "high", "word"), [(0.01, 0.1, "wins"), (-0.1, -0.01, "loses"), (-0.1, 0.1, "ties"), (0, 0.1, "ties")]
)
def test_verdicts(low: float, high: float, word: str) -> None:
    difference = Difference((low + high) / 2, low, high)
    assert difference.verdict == word
    assert difference.beats == (word == "wins")


def test_what_cannot_be_drawn_is_refused() -> None:
    ours, theirs, y, block = session("regression", seeds=3)
    with pytest.raises(ValueError, match="single block"):
        interval(ours, y, np.zeros(len(y), int), PLACE)
    with pytest.raises(ValueError, match=r"block has shape \(5,\)"):
        interval(ours, y, block[:5], PLACE)
    with pytest.raises(ValueError, match="draws=0"):
        interval(ours, y, block, PLACE, draws=0)
    with pytest.raises(ValueError, match="confidence=95"):
        interval(ours, y, block, PLACE, confidence=95)
    with pytest.raises(ValueError, match="3 seeds, reference_outputs 2"):
        paired_difference(ours, theirs[:2], y, block, PLACE)


def test_a_draw_without_variation_is_refused() -> None:
    y = np.repeat([[0.0], [1.0]], 10, axis=0)
    task = Task("regression", "level", ("level",))
    with pytest.raises(ValueError, match="level does not vary in some draw"):
        interval(y + 0.1, y, np.repeat([0, 1], 10), task)


@pytest.mark.parametrize("kind", ["auc", "balanced"])
def test_draws_that_lack_a_class_are_left_out(kind: str) -> None:
    ours, theirs, _, _ = session(kind, n=40, seeds=1)
    block = np.arange(40) // 4
    y = (block == 3).astype(int)  # a draw misses that block in about a third of the cases
    found = paired_difference(ours, theirs, y, block, TASKS[kind], draws=60, seed=2)
    drawn = np.random.default_rng(2).multinomial(10, np.full(10, 0.1), size=60)
    assert 0 < np.sum(drawn[:, 3] == 0) < 60
    spread = []
    for of_block in drawn[drawn[:, 3] > 0]:
        index = np.concatenate([np.tile(np.flatnonzero(block == b), k) for b, k in enumerate(of_block)])
        spread.append(plain_score(ours[0, index], y[index], kind) - plain_score(theirs[0, index], y[index], kind))
    np.testing.assert_allclose((found.low, found.high), np.quantile(spread, [0.025, 0.975]), atol=1e-10)


def test_windows_with_level_answers_count_half() -> None:
    rng = np.random.default_rng(4)
    y, block = rng.integers(0, 2, 200), np.arange(200) // 5
    outputs = np.stack([np.zeros(200), np.round(rng.normal(y, 1.0), 0)], 1)  # many ties
    assert interval(outputs, y, block, RANKED, draws=20).value == pytest.approx(plain_score(outputs, y, "auc"))


def test_a_class_that_no_draw_can_hold_is_refused() -> None:
    ours, _, y, block = session("auc", seeds=1)
    with pytest.raises(ValueError, match="no draw of blocks holds every class of side, so auc is undefined"):
        interval(ours, np.zeros_like(y), block, RANKED)
    assert interval(ours, np.zeros_like(y), block, SIDES).value >= 0


def test_of_two_perplexities_the_lower_one_wins() -> None:
    rng = np.random.default_rng(0)
    text, block = Task("next_token", "text", ("the", "cat")), np.repeat(np.arange(20), 5)
    y = np.stack([rng.integers(3, 6, 100), np.full(100, 20)], axis=1)
    worse = np.log(rng.uniform(0.1, 0.6, (100, 4)))
    better = 0.8 * worse
    found = paired_difference(better, worse, y, block, text)
    assert found.high < 0
    assert found.verdict == "wins"
    assert found.beats
    assert paired_difference(worse, better, y, block, text).verdict == "loses"
    assert paired_difference(worse, worse, y, block, text).verdict == "ties"
    # as a loop over draws that copies windows
    drawn = np.random.default_rng(5).multinomial(20, np.full(20, 1 / 20), size=30)
    spread = []
    for counts in drawn:
        index = np.concatenate([np.tile(np.flatnonzero(block == b), n) for b, n in enumerate(counts)])
        a, b = (np.exp(-each[index].sum() / y[index, 0].sum()) for each in (better, worse))
        spread.append(a - b)
    found = paired_difference(better, worse, y, block, text, draws=30, seed=5)
    np.testing.assert_allclose((found.low, found.high), np.quantile(spread, [0.025, 0.975]))
