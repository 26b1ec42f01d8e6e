"""Text becomes tokens by a vocabulary of the training text, and nothing of it is lost on the way."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from neurofmx.datasets import DATASETS
from neurofmx.preprocessing.text import TextOptions, learn_vocabulary, preprocess
from neurofmx.recordings.recording import Recording, Signal
from tokenizers import decoders

PLAY = "the cat sat on the mat\nthe cat ate the rat \n\n the naïve cat\n" * 3
UNITS = [TextOptions(), TextOptions(unit="character"), TextOptions(unit="bpe", size=270)]


def text(session: str, content: str) -> Recording:
    points = np.frombuffer(content.encode("utf-32-le"), "<u4")
    return Recording("s", session, {"text": Signal(points, 1.0, "character", ("character",))})


def tokens(recording: Recording) -> list[str]:
    return [recording.array("vocabulary")[i] for i in recording.signal("tokens").data]


@pytest.mark.parametrize("options", UNITS, ids=lambda o: o.unit)
def test_words_and_bytes_are_counted_whatever_a_token_is(options: TextOptions) -> None:
    (clean,) = preprocess([text("train", PLAY)], options)
    words, size = clean.signal("size").data.sum(axis=0)
    assert words == len(PLAY.replace("\n", " <eos> ").split())
    # blanks belong to the token behind them; words leave those at the end of the text out
    assert size == len(PLAY.encode())
    assert len(clean.signal("size").data) == len(clean.signal("tokens").data)


def test_words_by_hand() -> None:
    (clean,) = preprocess([text("train", "a b a\n c é\n")], TextOptions())
    assert tokens(clean) == ["a", "b", "a", "<eos>", "c", "é", "<eos>"]
    assert clean.signal("size").data.tolist() == [[1, 1], [1, 2], [1, 2], [1, 1], [1, 2], [1, 3], [1, 1]]
    assert clean.array("vocabulary").tolist() == ["<unk>", "<eos>", "a", "b", "c", "é"]


def test_pieces_of_words_join_to_the_text() -> None:
    (clean,) = preprocess([text("train", PLAY)], TextOptions(unit="bpe", size=270))
    assert decoders.ByteLevel().decode(tokens(clean)) == PLAY


def test_merges_are_those_that_counting_pairs_finds() -> None:
    """Sennrich's algorithm by hand, on words without ties."""
    content = "lower " * 7 + "lowest " * 5 + "newer " * 4 + "wide " * 2
    words = Counter({tuple(word): n for word, n in Counter(content.replace(" ", "_").split("_")).items() if word})
    merges = []
    for _ in range(2):
        pairs: Counter[tuple[str, str]] = Counter()
        for word, n in words.items():
            for pair in pairwise(word):
                pairs[pair] += n
        best, merged = pairs.most_common(1)[0][0], Counter[tuple[str, ...]]()
        for word, n in words.items():
            joined = "|".join(word).replace("|".join(best), "".join(best))
            merged[tuple(joined.split("|"))] += n
        merges.append("".join(best))
        words = merged
    found = preprocess([text("train", "\n".join(content.split()))], TextOptions(unit="bpe", size=258))
    assert found[0].array("vocabulary")[256:].tolist() == merges


@pytest.mark.parametrize("options", UNITS, ids=lambda o: o.unit)
def test_the_vocabulary_is_learnt_from_the_training_text_alone(options: TextOptions) -> None:
    one = preprocess([text("train", PLAY), text("test", "the dog")], options)
    other = preprocess([text("train", PLAY), text("test", "zzz QQQ zzz QQQ zzz")], options)
    np.testing.assert_array_equal(one[0].array("vocabulary"), other[1].array("vocabulary"))
    np.testing.assert_array_equal(one[0].signal("tokens").data, other[0].signal("tokens").data)


def test_what_training_lacks_is_unknown_but_never_to_bytes() -> None:
    both = [text("train", PLAY), text("test", "the 犬 sat")]
    assert tokens(preprocess(both, TextOptions())[1]) == ["the", "<unk>", "sat"]
    assert tokens(preprocess(both, TextOptions(unit="character"))[1])[4] == "<unk>"
    pieces = preprocess(both, TextOptions(unit="bpe", size=270))[1]
    assert decoders.ByteLevel().decode(tokens(pieces)) == "the 犬 sat"
    assert pieces.signal("size").data[:, 1].sum() == len("the 犬 sat".encode())


def test_a_size_keeps_the_most_frequent_words() -> None:
    (clean,) = preprocess([text("train", "c b b a a a")], TextOptions(size=3))
    assert clean.array("vocabulary").tolist() == ["<unk>", "a", "b"]
    assert tokens(clean) == ["<unk>", "b", "b", "a", "a", "a"]


@given(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1).filter(str.strip))
@settings(max_examples=15, deadline=None)
def test_any_text_keeps_its_words_and_bytes(content: str) -> None:
    for options in UNITS:
        _, clean = preprocess([text("train", PLAY), text("test", content)], options)
        words, size = clean.signal("size").data.sum(axis=0)
        inside = content if options.unit != "word" else content[: len(content.rstrip(" \t\r\f\v")) or None]
        assert size <= len(content.encode())
        if options.unit != "word":
            assert size == len(inside.encode())
        assert words == sum(c == "\n" for c in content) + len(content.split())


def test_what_cannot_be_numbered_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no recording of session 'train' among s/test"):
        preprocess([text("test", "a b")], TextOptions())
    with pytest.raises(ValueError, match=r"s/train, signal text: holds no word"):
        preprocess([text("train", " \n ")], TextOptions())
    with pytest.raises(ValidationError, match=r"size=100: bpe needs 257 or more"):
        TextOptions(unit="bpe", size=100)


def test_wikitext_has_the_published_number_of_words(raw: Callable[[str], Path]) -> None:
    _, valid, test = DATASETS["wikitext2"]().read(raw("wikitext2"))
    parts = preprocess([replace(valid, session="train"), test], TextOptions())
    assert [len(part.signal("tokens").data) for part in parts] == [217_646, 245_569]
    assert parts[1].signal("size").data[:, 0].tolist() == [1] * 245_569


@pytest.mark.parametrize("options", UNITS, ids=lambda o: o.unit)
def test_a_text_in_tokens_can_be_read_again(options: TextOptions) -> None:
    vocabulary = learn_vocabulary([text("train", PLAY)], options)
    (clean,) = preprocess([text("train", PLAY)], options)
    assert vocabulary.names == clean.array("vocabulary").tolist()
    again = vocabulary.decode(clean.signal("tokens").data.tolist())
    if options.unit == "word":  # the blanks between words are not kept
        assert [line.split() for line in again.split("\n")] == [line.split() for line in PLAY.split("\n")]
        assert "  " not in again
    else:
        assert again == PLAY
