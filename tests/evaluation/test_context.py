"""Language models with context: every token answered once, after what the option says and nothing else."""

import numpy as np
import pytest
import torch
from tests.models.test_language_models import NETWORKS, network, text_windows
from tests.tokenizers.test_text_windows import part, windows

from neurofmx.evaluation.context import sliding, text_answers
from neurofmx.models.fitted.ngram import NgramDecoder
from neurofmx.tokenizers.cutting.stretches import stretches
from neurofmx.tokenizers.tokens import Sample


@pytest.mark.parametrize(("time", "context"), [(6, 0), (6, 3), (6, 5), (7, 2)])
@pytest.mark.parametrize("length", [8, 25, 31])
def test_each_token_is_answered_once_after_as_much_as_was_asked_for(time: int, context: int, length: int) -> None:
    text = np.arange(100, 100 + length, dtype=np.int32)
    asked: list[int] = []

    def answer(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Says how many tokens of its window it had read, and checks that it is asked for what follows."""
        assert x.shape[1:] == (time, 1)
        np.testing.assert_array_equal(x[..., 0] + 1, y)
        asked.append(len(x))
        return np.broadcast_to(np.arange(1.0, time + 1), y.shape)

    read = sliding(text, answer, time=time, context=context)
    assert read.shape == (length - 1,)
    known = np.minimum(np.arange(1, length), context + 1)  # the token before is always read
    assert np.all(read >= known)
    assert np.all(read[:time] == np.arange(1, time + 1))
    if context == 0 and (length - 1) % time == 0:
        assert asked == [(length - 1) // time]


@pytest.mark.parametrize("places", [None, 60])
@pytest.mark.parametrize(("family", "options"), NETWORKS)
def test_a_carried_state_says_what_one_pass_says(family: str, options: dict, places: int | None) -> None:
    made = text_windows(places, parts=[part("train"), part("valid"), part("test", tokens=61)])
    model = network(family, options, made=made).eval()
    test = made.fold(0).test
    (text,) = stretches(made, test).each()
    assert len(text) == 61
    x, y = text[None, :-1, None], text[None, 1:]
    with torch.no_grad():
        states, _ = model(Sample(torch.as_tensor(x, dtype=torch.int64)))
        whole = model.head.logits(states).log_softmax(-1).numpy()
    exact = np.take_along_axis(whole, y[..., None].astype(np.int64), 2)[..., 0]

    def pieces(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return model.stream_likelihood(x, y, piece=7)

    def windowed(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return model.log_likelihood(Sample(torch.as_tensor(x, dtype=torch.int64)), y)

    carried = text_answers(made, test, context="carried", windowed=windowed, carried=pieces)
    np.testing.assert_allclose(carried, exact.reshape(5, 12), atol=2e-5)
    alone = text_answers(made, test, context=0.0, windowed=windowed)
    np.testing.assert_allclose(alone[0], carried[0], atol=2e-5)  # before the first window there is no text
    assert np.abs(alone[1:] - carried[1:]).max() > 1e-4
    whole_text, middle = (text_answers(made, test, context=0.0, windowed=windowed, length=n) for n in (60, 24))
    np.testing.assert_allclose(whole_text, exact.reshape(5, 12), atol=2e-5)  # one window, longer than in training
    np.testing.assert_allclose(middle[:2], whole_text[:2], atol=2e-5)
    assert np.abs(middle[2:4] - whole_text[2:4]).max() > 1e-4
    with pytest.raises(ValueError, match="a text of 61 tokens in one piece holds no window of 61"):
        text_answers(made, test, context=0.0, windowed=windowed, length=61)
    half = text_answers(made, test, context="carried", windowed=windowed)  # a state that grows: windows overlap
    np.testing.assert_array_equal(half, text_answers(made, test, context=0.5, windowed=windowed))


@pytest.mark.parametrize("family", ["lstm", "neurofmx"])
def test_a_text_with_more_tokens_than_places_is_refused_before_it_is_read(family: str) -> None:
    model = network(family, dict(NETWORKS)[family], places=20).eval()
    tokens, read = np.arange(21)[None], []
    model.backbone.register_forward_pre_hook(lambda *given: read.append(given))
    with pytest.raises(ValueError, match=r"21 tokens in one piece: .*max_position_embeddings=20 is all"):
        model.stream_likelihood(tokens[..., None], tokens, piece=7)
    assert not read
    model.stream_likelihood(tokens[:, 1:, None], tokens[:, 1:], piece=7)
    assert len(read) == 3


def test_an_ngram_with_its_text_before_it_is_less_surprised_at_the_start_of_a_window() -> None:
    tokens = np.random.default_rng(0).integers(0, 50, 20)
    repeated = [part(name, tokens=201) for name in ("train", "valid", "test")]
    for recording in repeated:
        recording.signal("tokens").data[:] = np.resize(tokens, 201)
    made = windows(parts=repeated)
    model = NgramDecoder(np.resize(tokens, 400).astype(np.int32), np.array([0]), np.full((3, 3), 0.5), np.array([50]))
    test, ask = made.fold(0).test, model.log_likelihood
    alone, carried = (text_answers(made, test, context=c, windowed=ask, carried=ask) for c in (0.0, "carried"))
    (text,) = stretches(made, test).each()
    np.testing.assert_allclose(carried.ravel(), ask(text[None, :-1, None], text[None, 1:])[0])
    assert np.all(carried[1:, 0] >= alone[1:, 0])
    assert carried[1:, 0].mean() > alone[1:, 0].mean()
    # with two tokens before it a trigram knows as much as it ever does
    half = text_answers(made, test, context=0.5, windowed=ask)
    np.testing.assert_allclose(half, carried)


def test_texts_that_do_not_follow_one_another_are_not_joined() -> None:
    made = windows(stride=10)
    assert [len(text) for text in stretches(made, made.fold(0).test).each()] == [5, 5, 5, 5]
