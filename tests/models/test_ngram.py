"""The n-gram against sums worked out by hand, a plain loop over counts, and published numbers."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import check_grad
from tests.raw_folders import raw
from tests.tokenizers.test_text_windows import part
from tests.tokenizers.test_text_windows import windows as counting

from neurofmx.datasets import DATASETS
from neurofmx.models.fitted import ngram
from neurofmx.models.fitted.linear import LinearConfig
from neurofmx.models.fitted.ngram import NgramDecoder
from neurofmx.preprocessing.text import TextOptions, preprocess
from neurofmx.recordings.recording import Recording
from neurofmx.tokenizers.cutting.cut import CutOptions, cut
from neurofmx.tokenizers.cutting.stretches import stretches
from neurofmx.tokenizers.cutting.windows import Windows

__all__ = ["raw"]
V = 5
DISCOUNTS = np.array([[0.4, 0.7, 0.9], [0.5, 0.8, 1.1], [0.6, 1.1, 1.3]])


def some_text(length: int = 300, seed: int = 0) -> np.ndarray:
    """Tokens 0 to 4 that follow one another with some preference."""
    rng, text = np.random.default_rng(seed), [0]
    for _ in range(length - 1):
        text.append(int(rng.choice([(text[-1] + 1) % V, int(rng.integers(V))], p=[0.6, 0.4])))
    return np.array(text, np.int32)


def decoder(text: np.ndarray, order: int, first: tuple[int, ...] = (0,)) -> NgramDecoder:
    return NgramDecoder(text, np.array(first), DISCOUNTS[:order], np.array([V]))


def test_a_bigram_by_hand() -> None:
    # a b a b a c: "ab" twice, "ba" twice, "ac" once; one token stands before each of a, b and c
    text = np.array([0, 1, 0, 1, 0, 2], np.int32)
    discounts = np.array([[0.5, 0.8, 1.0], [0.5, 0.8, 1.0]])
    model = NgramDecoder(text, np.array([0]), discounts, np.array([3]))
    p = np.exp(model.log_likelihood(np.zeros((3, 1, 1), int), np.array([[0], [1], [2]])))
    back = (0.5 * 1 + 0.8 * 1) / 3 * (1 / 3)
    np.testing.assert_allclose(p[:, 0], [back, (2 - 0.8) / 3 + back, (1 - 0.5) / 3 + back])


@pytest.mark.parametrize("order", [1, 2, 3])
def test_probabilities_have_the_sum_one(order: int) -> None:
    model = decoder(some_text(60), order)
    contexts = np.stack(np.meshgrid(*[np.arange(V)] * 3), -1).reshape(-1, 3, 1)  # also ones that never came
    total = sum(np.exp(model.log_likelihood(contexts, np.full((len(contexts), 3), w))) for w in range(V))
    np.testing.assert_allclose(total, 1, atol=1e-12)


def plain(text: list[int], order: int) -> Callable[[tuple[int, ...], int], float]:
    """The same probability by counting in dictionaries."""
    grams = {k: Counter(tuple(text[i : i + k]) for i in range(len(text) - k + 1)) for k in range(1, order + 1)}
    counts = {order: dict(grams[order])} | {
        k: dict(Counter(gram[1:] for gram in grams[k + 1])) for k in range(1, order)
    }

    @cache
    def probability(context: tuple[int, ...], token: int) -> float:
        k = len(context) + 1
        lower = probability(context[1:], token) if context else 1 / V
        after = {gram[-1]: n for gram, n in counts[k].items() if gram[:-1] == context}
        if not after:
            return lower
        discount = {w: DISCOUNTS[k - 1][min(n, 3) - 1] for w, n in after.items()}
        own = after.get(token, 0) - discount.get(token, 0.0)
        return (own + sum(discount.values()) * lower) / sum(after.values())

    return probability


@pytest.mark.parametrize("order", [1, 2, 3])
def test_equals_a_plain_count(order: int) -> None:
    text, asked = some_text(), some_text(40, seed=1)
    expected = plain(text.tolist(), order)
    found = np.exp(decoder(text, order).log_likelihood(asked[None, :-1, None], asked[None, 1:]))[0]
    for t, p in enumerate(found):
        context = tuple(asked[max(0, t - order + 2) : t + 1].tolist()) if order > 1 else ()
        assert p == pytest.approx(expected(context, int(asked[t + 1]))), t


def test_stretches_of_text_are_not_read_across() -> None:
    together = decoder(np.array([0, 1, 2, 3], np.int32), 2)
    apart = decoder(np.array([0, 1, 2, 3], np.int32), 2, first=(0, 2))
    asked = np.array([[[1]]]), np.array([[2]])
    assert together.log_likelihood(*asked) > apart.log_likelihood(*asked)
    assert apart.parameters == together.parameters - 1  # the pair 1 2 was not there


def test_windows_that_follow_one_another_are_read_as_one_text() -> None:
    made = counting()
    text, first = stretches(made, np.r_[0:5, 7:10])
    assert first.tolist() == [0, 21]
    assert text.tolist() == [*range(21), *range(28, 41)]


def test_the_slope_that_the_search_follows_is_the_true_one() -> None:
    levels = ngram._count(some_text(), np.array([0]), order=3, vocabulary=V)
    x, y = some_text(80, seed=2)[None, :-1], some_text(80, seed=2)[None, 1:]
    seen = [ngram._seen(levels, k, x, y, V, top=k == 2) for k in range(3)]

    def loss(flat: np.ndarray) -> float:
        return ngram._loss(seen, flat.reshape(3, 3), V)[0]

    def slope(flat: np.ndarray) -> np.ndarray:
        return ngram._loss(seen, flat.reshape(3, 3), V)[1]

    assert check_grad(loss, slope, DISCOUNTS.ravel()) < 1e-5


def random_windows() -> Windows:
    """Windows of `some_text` in place of numbers that count up."""
    made = counting(parts=[part(name, tokens=801) for name in ("train", "valid", "test")])
    spans = some_text(601 * 4)[(np.arange(600) * 4)[:, None] + np.arange(5)]
    return replace(made, x=spans[:, :-1, None], y=spans[:, 1:], task=replace(made.task, names=tuple("abcde")))


def test_it_is_tuned_and_its_arrays_hold_all_of_it() -> None:
    made = random_windows()
    model, test = NgramDecoder.fit(made, 0, LinearConfig()), made.fold(0).test
    back = NgramDecoder.from_arrays(model.arrays())
    likelihood = model.log_likelihood(made.x[test], made.y[test])
    np.testing.assert_array_equal(back.log_likelihood(made.x[test], made.y[test]), likelihood)
    assert back.parameters == model.parameters
    assert np.exp(-likelihood.mean()) < V  # better than guessing
    with pytest.raises(ValueError, match="do not fit"):
        NgramDecoder.from_arrays({"weight": np.zeros(1)})


def test_test_windows_never_matter() -> None:
    made = random_windows()
    x, y, test = made.x.copy(), made.y.copy(), made.fold(0).test
    x[test], y[test] = 0, 0
    plain_, spoilt = (NgramDecoder.fit(w, 0, LinearConfig()).arrays() for w in (made, replace(made, x=x, y=y)))
    for name, array in plain_.items():
        np.testing.assert_array_equal(spoilt[name], array, err_msg=name)


def real(name: str, recordings: list[Recording], options: TextOptions) -> Windows:
    """Windows of 128 tokens of a real text."""
    dataset = DATASETS[name]()
    return cut(
        preprocess(recordings, options),
        signal="tokens",
        task=dataset.task,
        split=dataset.split,
        options=CutOptions(anchor="sample", start=0, stop=128, stride=128),
        modality="text",
        dataset=name,
    )


def counted(windows: Windows, index: np.ndarray, order: int) -> float:
    """Bits a token of the test windows, counted in others without tuning."""
    model = NgramDecoder(*stretches(windows, index), np.array([ngram.START] * order), np.array([windows.task.width]))
    test = windows.fold(0).test
    return -model.log_likelihood(windows.x[test], windows.y[test]).mean() / np.log(2)


def test_reaches_the_reference_on_characters_of_shakespeare(raw: Callable[[str], Path]) -> None:
    """4.83, 3.58, 2.95 and 2.57 bits a character with smoothed n-grams of none to three characters before."""
    recordings = DATASETS["tiny_shakespeare"]().read(raw("tiny_shakespeare"))
    made = real("tiny_shakespeare", recordings, TextOptions(unit="character"))
    train, validation, test = made.fold(0)
    for order, reference in ((1, 4.83), (2, 3.58), (3, 2.95)):
        assert counted(made, np.r_[train, validation], order) == pytest.approx(reference, abs=0.01)
    tuned = NgramDecoder.fit(made, 0, LinearConfig(max_order=4))
    assert tuned.order == 4
    assert -tuned.log_likelihood(made.x[test], made.y[test]).mean() / np.log(2) < 2.57


def test_reaches_the_reference_on_words_of_wikipedia(raw: Callable[[str], Path]) -> None:
    """Counted in `valid`, tested on `test`, words of both known: perplexity 885 of single words, 460 of pairs."""
    _, valid, test = DATASETS["wikitext2"]().read(raw("wikitext2"))
    points = np.concatenate([part.signal("text").data for part in (valid, test)])
    both = replace(valid, session="train", signals={"text": replace(valid.signal("text"), data=points)})
    made = real("wikitext2", [both, valid, test], TextOptions())
    for order, reference in ((1, 885), (2, 460)):
        assert 2 ** counted(made, made.fold(0).validation, order) < 1.03 * reference
