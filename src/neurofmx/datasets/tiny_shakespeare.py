"""Tiny Shakespeare: a million characters of plays, the usual first text of a character model."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, final

from neurofmx.datasets.access.repository import fetch_repository_files
from neurofmx.datasets.formats.characters import read_characters
from neurofmx.datasets.shared.base import Dataset, Expected, Modality, Split
from neurofmx.recordings.recording import Recording, Source
from neurofmx.recordings.task import Task

FILE = "input.txt"
SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
PARTS = {"train": (0.0, 0.8), "valid": (0.8, 0.9), "test": (0.9, 1.0)}  # shares of the text, in its order


@final
class TinyShakespeare(Dataset):
    """1,115,394 characters, 65 distinct ones, of plays one after the other.

    Signal `text` holds the characters as code points, one a second by convention. The file has no parts; it is divided
    in its order, as its users do: the last tenth is the test, and the tenth before it serves to choose settings.

    Source: Karpathy, The unreasonable effectiveness of recurrent neural networks (2015).
    """

    name: ClassVar[str] = "tiny_shakespeare"
    modalities: ClassVar[tuple[Modality, ...]] = ("text",)
    species: ClassVar[str] = "none (plays of William Shakespeare)"
    licence: ClassVar[str] = "public domain (text); BSD-3-Clause (repository)"
    citation: ClassVar[str] = "Karpathy 2015, The unreasonable effectiveness of recurrent neural networks"
    homepage: ClassVar[str] = "https://karpathy.github.io/2015/05/21/rnn-effectiveness/"
    source: ClassVar[str] = "github.com/pytorch/examples at 77f55b9, distributed/minGPT-ddp/mingpt/data"

    @property
    def task(self) -> Task:
        """After every token, the next one."""
        return Task("next_token", "text", ())

    @property
    def split(self) -> Split:
        """Tenths of the text, in its order. Two thousand tokens, about a scene, make a block of their own."""
        return Split(
            "tenths-v1", kind="given", folds=1, validation="groups", test=("test",), held=("valid",), block=2000.0
        )

    @property
    def expected(self) -> Expected:
        """Three parts."""
        return Expected("text", recordings=3, channels=1, rate=1.0)

    def checksums(self) -> dict[str, str]:
        """One text file."""
        return {FILE: SHA256}

    def retrieve(self, names: tuple[str, ...], *, folder: Path, cache: Path) -> tuple[str, ...]:
        """Fetch the file from the repository."""
        fetch_repository_files(
            "pytorch/examples",
            "77f55b912142e11fcfdf5b530231fb9c52f181e8",
            paths={FILE: f"distributed/minGPT-ddp/mingpt/data/{FILE}"},
            checksums={FILE: SHA256},
            folder=folder,
            cache=cache,
        )
        return names

    def parse(self, folder: Path, sources: dict[str, Source]) -> list[Recording]:
        """One recording a part, each on the clock of the whole text."""
        text = read_characters(folder / FILE)
        return [
            Recording(
                "shakespeare",
                name,
                {"text": text.slice(*(int(len(text.data) * share) for share in shares))},
                sources=tuple(sources.values()),
            )
            for name, shares in PARTS.items()
        ]
