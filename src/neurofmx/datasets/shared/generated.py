"""Datasets that a computation makes: the options are all they are made of, and no archive holds them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from neurofmx.datasets.shared.base import Dataset
from neurofmx.recordings.recording import Recording, Source, load, save


class Generated(Dataset):
    """Recordings that follow from the options: `download` makes them and keeps them in one file.

    Attributes:
        file: Name of the file.
    """

    file: ClassVar[str]

    @abstractmethod
    def generate(self) -> list[Recording]:
        """Make the recordings; the same options make the same ones.

        Raises:
            ImportError: If what makes them, a simulator, is not installed.
        """

    def checksums(self) -> dict[str, str]:
        """None: the bytes follow from the options."""
        return {}

    def retrieve(self, names: tuple[str, ...], *, folder: Path, cache: Path) -> tuple[str, ...]:
        """Make the recordings and keep them."""
        save(folder / self.file, self.generate())
        return (self.file,)

    def parse(self, folder: Path, sources: dict[str, Source]) -> Iterable[Recording]:
        """Read what was kept."""
        return [replace(made, sources=tuple(sources.values())) for made in load(folder / self.file)]
