"""Windows of symbols whose last one asks for what came earlier: exact answers, and chance known in closed form."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated, ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from neurofmx.datasets.shared.base import Expected, Modality, Split
from neurofmx.datasets.shared.generated import Generated
from neurofmx.recordings.recording import Recording, Signal, Trials
from neurofmx.recordings.task import Task

TRAINING, HELD = "train", "valid"


class MemoryTask(Generated):
    """Generated windows, one trial each, of the training length and of other lengths to test on.

    Signal `text` holds symbols as code points, one a second by convention; `preprocess: {unit: character}` numbers
    them, and `tokenize: {anchor: trial, pad: true}` cuts a window a trial. Recordings are `train`, `valid` and, for
    each length, `test-<length>`: a model that is trained on short windows is asked about long ones.

    Args:
        length: Tokens of a window in training and validation, the one that asks included, default 64.
        test_lengths: Tokens of the windows to test on, a recording each, default 64, 256 and 1024.
        windows: Windows to train on, default 8000.
        tested: Windows of validation, and of each length to test on, default 500.
        seed: Seed of all draws, default 0.
    """

    modalities: ClassVar[tuple[Modality, ...]] = ("text",)
    species: ClassVar[str] = "none (generated)"
    licence: ClassVar[str] = "the package's own"
    local: ClassVar[bool] = True
    file: ClassVar[str] = "windows.h5"

    length: int = Field(default=64, ge=4)
    test_lengths: tuple[Annotated[int, Field(ge=4)], ...] = Field(default=(64, 256, 1024), min_length=1)
    windows: int = Field(default=8000, ge=10)
    tested: int = Field(default=500, ge=10)
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _lengths_differ(self) -> Self:
        if len(set(self.test_lengths)) < len(self.test_lengths):
            raise ValueError(f"test_lengths={list(self.test_lengths)}: names a length twice")
        return self

    @property
    @abstractmethod
    def answers(self) -> Sequence[str]:
        """The symbols that may be the answer, each as often as any other."""

    @abstractmethod
    def draw(self, length: int, rng: np.random.Generator) -> tuple[str, str]:
        """A window of so many symbols, and the right answer."""

    @property
    def chance(self) -> float:
        """Accuracy of who never looks at the window."""
        return 1 / len(self.answers)

    @property
    def task(self) -> Task:
        """What the last symbol asks for."""
        return Task("classification", "answer", tuple(self.answers))

    @property
    def split(self) -> Split:
        """The generated division; every window is drawn by itself."""
        test = tuple(f"test-{length}" for length in self.test_lengths)
        return Split("generated-v1", kind="given", folds=1, validation="groups", test=test, held=(HELD,))

    @property
    def expected(self) -> Expected:
        """Training, validation and one recording a length."""
        return Expected("text", recordings=2 + len(self.test_lengths), channels=1, rate=1.0)

    def generate(self) -> list[Recording]:
        """Draw all windows from the options.

        Returns:
            The recordings, with the answer of each window as trial column `answer`.
        """
        wanted = {TRAINING: (self.windows, self.length), HELD: (self.tested, self.length)}
        wanted |= {f"test-{length}": (self.tested, length) for length in self.test_lengths}
        # a stream of draws each, so that another length to test on changes no training window
        keys = (0, 1, *(2 + length for length in self.test_lengths))
        return [
            self._recording(session, *size, np.random.default_rng((self.seed, key)))
            for (session, size), key in zip(wanted.items(), keys, strict=True)
        ]

    def _recording(self, session: str, windows: int, length: int, rng: np.random.Generator) -> Recording:
        """Windows of one length, one after the other."""
        drawn = [self.draw(length, rng) for _ in range(windows)]
        points = np.frombuffer("".join(text for text, _ in drawn).encode("utf-32-le"), "<u4")
        start = np.arange(windows) * float(length)
        trials = Trials(start, start + length, {"answer": np.array([answer for _, answer in drawn])})
        return Recording(self.name, session, {"text": Signal(points, 1.0, "character", ("character",))}, trials=trials)
