"""Text: from characters to tokens, by a vocabulary that the training text alone decides.

Whatever a token is, the result says how many words and bytes each token stands for, so that models that read words,
pieces of words or characters can be compared (`evaluation`). A word is what stands between blanks, and the end of a
line is one more: the convention behind the published perplexities of WikiText.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from neurofmx.recordings.recording import Recording, Signal

TRAINING = "train"  # the session that the vocabulary is learnt from
UNKNOWN, LINE_END = "<unk>", "<eos>"
WORD = re.compile(r"\n|\S+")
BLANK = [point for point in range(0x3001) if chr(point).isspace()]  # what `\S` is not; there are none above
NAMES = {"word": "word", "character": "character", "bpe": "byte-pair piece"}  # what a token of each unit is called
LINES = 1000  # how many are encoded at once, which bounds the memory


class TextOptions(BaseModel):
    """What a token is; part `preprocess` of a dataset's block."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    unit: Literal["word", "character", "bpe"] = Field(
        default="word", description="a token is a word, a character, or a piece of a word (byte-pair encoding)"
    )
    size: int | None = Field(
        default=None,
        ge=2,
        description="tokens of the vocabulary at most, the most frequent ones; null for all; bpe needs 257 or more",
        json_schema_extra={"group": "language"},
    )

    @property
    def rate(self) -> float:
        """Tokens a second, by convention."""
        return 1.0

    @model_validator(mode="after")
    def _pieces_are_counted(self) -> TextOptions:
        if self.unit == "bpe" and (self.size or 0) < 257:
            raise ValueError(f"size={self.size}: bpe needs 257 or more, the 256 bytes and a merge; 4096 is usual")
        return self


class Tokens(NamedTuple):
    """Tokens `(tokens,)` by number, and the character each ends before `(tokens,)`."""

    ids: np.ndarray
    ends: np.ndarray


class Vocabulary(NamedTuple):
    """What a text is made of, and the way there and back.

    Args:
        names: All tokens in the order of their numbers.
        encode: From a text to its tokens.
        decode: From numbers to a text. Words come with single blanks, as what stood between them is not kept; bytes
            that are no whole character become U+FFFD.
    """

    names: list[str]
    encode: Callable[[str], Tokens]
    decode: Callable[[Sequence[int]], str]


def preprocess(recordings: Iterable[Recording], options: TextOptions) -> list[Recording]:
    """Number the tokens of every text by a vocabulary of the training text.

    Args:
        recordings: Recordings with a signal `text (characters,)` of code points; those of session `train` decide the
            vocabulary.
        options: What a token is.

    Returns:
        Recordings with two signals on one clock, a token a second: `tokens (tokens,)`, numbers into the array
        `vocabulary (tokens of the vocabulary,)`, and `size (tokens, 2)`, the words that begin and the bytes that end
        with each token. Words and characters that training lacks become `<unk>`; an encoding by bytes has none.

    Raises:
        ValueError: If no recording is of session `train`, a text is empty, or one with trials is not cut into
            characters.
        ImportError: If `bpe` is asked for and the package tokenizers is missing.
    """
    recordings = list(recordings)
    if options.unit != "character" and any(recording.trials is not None for recording in recordings):
        raise ValueError(f"preprocess.unit={options.unit}: trials of a text lie at its characters; take unit=character")
    vocabulary = learn_vocabulary(recordings, options)
    return [_numbered(recording, _read(recording), vocabulary, NAMES[options.unit]) for recording in recordings]


def learn_vocabulary(recordings: Iterable[Recording], options: TextOptions) -> Vocabulary:
    """The vocabulary of the training text; arguments and errors are those of `preprocess`."""
    recordings = list(recordings)
    training = [_read(recording) for recording in recordings if recording.session == TRAINING]
    if not training:
        raise ValueError(
            f"no recording of session {TRAINING!r} among {', '.join(r.name for r in recordings)}: a vocabulary may be "
            f"learnt from the training text only; name that session {TRAINING!r}"
        )
    return _LEARN[options.unit](training, options.size)


def _read(recording: Recording) -> str:
    """Code points as a string."""
    text = recording.signal("text").data.astype("<u4").tobytes().decode("utf-32-le")
    if not text.strip():
        raise ValueError(f"recording {recording.name}, signal text: holds no word, check the raw file")
    return text


def _numbered(recording: Recording, text: str, vocabulary: Vocabulary, name: str) -> Recording:
    """One recording in tokens."""
    tokens = vocabulary.encode(text)
    clock = {"rate": 1.0, "start": 0.0}
    numbers = Signal(tokens.ids.astype(np.int32), unit="token", channels=(name,), **clock)
    size = Signal(_sizes(text, tokens.ends), unit="1", channels=("words", "bytes"), **clock)
    arrays = {**recording.arrays, "vocabulary": np.array(vocabulary.names, np.str_)}
    return replace(recording, signals={"tokens": numbers, "size": size}, arrays=arrays)


def _sizes(text: str, ends: np.ndarray) -> np.ndarray:
    """Words that begin, and bytes of UTF-8, between the end of the token before and that of each token."""
    points = np.frombuffer(text.encode("utf-32-le"), "<u4")
    length = 1 + sum((points >= limit).astype(np.int64) for limit in (0x80, 0x800, 0x10000))
    inside = ~np.isin(points, BLANK)
    begins = inside & np.r_[True, ~inside[:-1]] | (points == ord("\n"))
    running = np.concatenate([np.zeros((1, 2), np.int64), np.cumsum(np.stack([begins, length], 1), axis=0)])
    return np.diff(running[ends], axis=0, prepend=running[:1]).astype(np.int32)


def _word_ends(text: str) -> np.ndarray:
    """The character that each word ends before, `(words,)`."""
    points = np.frombuffer(text.encode("utf-32-le"), "<u4")
    inside = ~np.isin(points, BLANK)
    return 1 + np.flatnonzero(inside & np.r_[~inside[1:], True] | (points == ord("\n")))


def _frequent(counts: Counter[str], size: int | None) -> list[str]:
    """The unknown token and the most frequent others; of equals the first by code points."""
    counts.pop(UNKNOWN, None)
    order = sorted(counts, key=lambda name: (-counts[name], name))
    return [UNKNOWN, *(order if size is None else order[: size - 1])]


def _words(training: list[str], size: int | None) -> Vocabulary:
    """What stands between blanks; the end of a line is a word of its own."""

    def names_of(text: str) -> list[str]:
        return [LINE_END if word == "\n" else word for word in WORD.findall(text)]

    names = _frequent(Counter(word for text in training for word in names_of(text)), size)
    number = {name: index for index, name in enumerate(names)}

    def encode(text: str) -> Tokens:
        ids = np.array([number.get(name, 0) for name in names_of(text)])
        return Tokens(ids, _word_ends(text))

    def decode(ids: Sequence[int]) -> str:
        text = " ".join(names[i] for i in ids)
        return re.sub(rf" ?{LINE_END} ?", "\n", text)

    return Vocabulary(names, encode, decode)


def _characters(training: list[str], size: int | None) -> Vocabulary:
    """Every character."""
    names = _frequent(Counter(character for text in training for character in text), size)
    number = {name: index for index, name in enumerate(names)}

    def encode(text: str) -> Tokens:
        return Tokens(np.array([number.get(name, 0) for name in text]), np.arange(1, len(text) + 1))

    return Vocabulary(names, encode, lambda ids: "".join(names[i] for i in ids))


def _pieces(training: list[str], size: int | None) -> Vocabulary:
    """Pieces of words by byte-pair encoding, trained and applied line by line.

    Source: Sennrich et al. 2016, Neural machine translation of rare words with subword units, section 3.2; on bytes,
    Radford et al. 2019, Language models are unsupervised multitask learners, section 2.2.
    """
    try:
        from tokenizers import (
            Tokenizer,
            decoders,
            models,
            pre_tokenizers,
            trainers,
        )  # imported here: only this unit needs it
    except ImportError as error:
        raise ImportError(f"preprocess.unit=bpe: needs the package tokenizers ({error}); pip install it") from error

    tokenizer = Tokenizer(models.BPE())
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=size or 0, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False
    )
    tokenizer.train_from_iterator((line for text in training for line in text.splitlines(keepends=True)), trainer)
    numbers = tokenizer.get_vocab()

    def encode(text: str) -> Tokens:
        lines, ids, ends, before = text.splitlines(keepends=True), [], [], 0
        for first in range(0, len(lines), LINES):
            some = lines[first : first + LINES]
            for line, pieces in zip(some, tokenizer.encode_batch(some), strict=True):
                ids.extend(pieces.ids)
                ends.extend(before + end for _, end in pieces.offsets)
                before += len(line)
        return Tokens(np.array(ids), np.array(ends))

    names = sorted(numbers, key=lambda name: numbers[name])
    return Vocabulary(names, encode, lambda ids: tokenizer.decode(list(ids), skip_special_tokens=False))


_LEARN: dict[str, Callable[[list[str], int | None], Vocabulary]] = {
    "word": _words,
    "character": _characters,
    "bpe": _pieces,
}
