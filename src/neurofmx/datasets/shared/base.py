"""The contract of a dataset: facts, options, download and reader."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, final

from pydantic import BaseModel, ConfigDict

from neurofmx.datasets.access.mirror import take_from_mirror
from neurofmx.datasets.shared.checksum import matches, require
from neurofmx.datasets.shared.manifest import NAME, options_of, verify_manifest, write_manifest
from neurofmx.recordings.recording import Recording, Source
from neurofmx.recordings.task import Task

# Each is a module of `preprocessing` and an entry of `tokenizers.table.DEFAULTS`.
Modality = Literal[
    "audio",
    "calcium",
    "ecog",
    "eeg",
    "emg",
    "fmri",
    "ieeg",
    "image",
    "lfp",
    "pose",
    "spikes",
    "text",
    "trajectory",
    "ultrasonic",
    "video",
    "vocalization",
]


@dataclass(frozen=True)
class Split:
    """A named way to divide a dataset, so that two scores with the same name are comparable.

    Args:
        name: Name with a version; any change of the division takes a new one.
        kind: `groups` leaves whole recordings or people out, `blocks` leaves contiguous blocks of time out, `given`
            takes the division that the source publishes.
        folds: Number of folds, at least 2; with `given` 1, or by `subject` the number of subjects.
        validation: Where validation data come from: further `groups`, or the `tail` of the training time.
        by: What a group is: a `recording`, or all recordings of a `subject`; default `recording`. With `given`,
            `subject` makes a fold for each, with a model of its own.
        test: Sessions that a `given` division tests on.
        held: Sessions that a `given` division validates on; none takes the `tail` of the others.
        gap: Time left out on each side of a block, s, default 0.
        block: Stretch of time within which windows are not independent of each other, s, default 10. Intervals of
            scores are drawn from such stretches, or from trials where those are longer.
    """

    name: str
    kind: Literal["groups", "blocks", "given"]
    folds: int
    validation: Literal["groups", "tail"]
    gap: float = 0.0
    block: float = 10.0
    by: Literal["recording", "subject"] = "recording"
    test: tuple[str, ...] = ()
    held: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        given = self.kind == "given"
        fits = self.folds >= 2 if not given else self.folds == 1 or (self.by == "subject" and self.folds > 1)
        if not fits or self.gap < 0 or self.block <= 0:
            raise ValueError(
                f"split {self.name}: folds must be 2 or more (`given`: 1, or the subjects), gap 0 s or more, block "
                f"above 0 s, got {self}"
            )
        if given != bool(self.test) or (self.held and not given) or set(self.held) & set(self.test):
            raise ValueError(f"split {self.name}: `given` names its test sessions, apart from held ones, got {self}")


@dataclass(frozen=True)
class Expected:
    """What the reader must find: a check that the right files were read in the right way.

    Args:
        signal: Name of the signal, or of the events, that hold the neural data.
        recordings: Number of recordings.
        channels: Values per sample (channels, voxels of the grid, pixels) or number of units; one number for all
            recordings, or one for each.
        rate: Sampling rate of the signal, Hz; for events that of the behaviour beside them; one number for all
            recordings, or one for each.
    """

    signal: str
    recordings: int
    channels: int | tuple[int, ...]
    rate: float | tuple[float, ...]


class Dataset(BaseModel, ABC):
    """A source of recordings. Options are fields, settable from `params.yaml`; facts are class variables.

    Attributes:
        name: Name of the dataset: its module, its key in `DATASETS` and its folder in a mirror.
        modalities: What was recorded; each picks a preprocessing and a tokenizer. A run takes one at a time.
        species: Who was recorded.
        licence: Terms of use, as stated at the source.
        citation: What to cite.
        homepage: Where to read more.
        source: The public source, in words.
        local: Whether the files are on this machine anyway, so that nothing is fetched beforehand; default no.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]
    modalities: ClassVar[tuple[Modality, ...]]
    species: ClassVar[str]
    licence: ClassVar[str]
    citation: ClassVar[str]
    homepage: ClassVar[str]
    source: ClassVar[str]
    local: ClassVar[bool] = False

    @property
    @abstractmethod
    def task(self) -> Task:
        """What a decoder is asked for."""

    @property
    @abstractmethod
    def split(self) -> Split:
        """How the recordings are divided into folds."""

    @property
    @abstractmethod
    def expected(self) -> Expected | None:
        """What reading must find; none where the recordings are the user's own."""

    @abstractmethod
    def checksums(self) -> dict[str, str]:
        """SHA-256 sum by file, each the archive's own relative path; none for generated data and the user's own."""

    @abstractmethod
    def retrieve(self, names: tuple[str, ...], *, folder: Path, cache: Path) -> tuple[str, ...]:
        """Put files from the public source into a folder.

        Args:
            names: The files of `checksums` that are still missing.
            folder: The raw folder.
            cache: Folder of partial and finished downloads.

        Returns:
            The files put there.
        """

    @abstractmethod
    def parse(self, folder: Path, sources: dict[str, Source]) -> Iterable[Recording]:
        """Read verified files; a generator reads one recording at a time, for those that do not fit in memory together.

        Args:
            folder: The raw folder.
            sources: Its files, by name.

        Returns:
            The recordings, in a fixed order.
        """

    @final
    def download(self, folder: Path, *, mirror: str | None, cache: Path) -> None:
        """Put the archive's own files and their MANIFEST.json into a folder.

        Files that are there and right are kept. The manifest is written last: without it nothing is trusted.

        Args:
            folder: The raw folder, made if need be.
            mirror: A folder or address that holds `<dataset>/<file>`, or none.
            cache: Folder of partial and finished downloads, shared by all datasets.

        Raises:
            FileNotFoundError: If a file, or the mirror's folder, does not exist.
            ConnectionError: If neither mirror nor public source can be reached.
            ValueError: If a file has the wrong checksum.
        """
        folder.mkdir(parents=True, exist_ok=True)
        (folder / NAME).unlink(missing_ok=True)
        expected = self.checksums()
        missing = {name: sha256 for name, sha256 in expected.items() if not matches(folder / name, sha256)}
        if mirror and missing:
            missing = take_from_mirror(mirror, self.name, missing, folder=folder, cache=cache)
        made = self.retrieve(tuple(missing), folder=folder, cache=cache) if missing or not expected else ()
        for name in missing:
            require(folder / name, expected[name], origin=f"{self.name}: {name}")
        self._describe(folder, {*expected, *made})

    @final
    def holds(self, folder: Path) -> bool:
        """Whether a folder is a finished and undamaged `download` with the same options.

        Args:
            folder: A raw folder, or where one would be.
        """
        try:
            verify_manifest(folder, dataset=self.name)
        except (FileNotFoundError, ValueError):
            return False
        return options_of(folder) == self.model_dump(mode="json")

    @final
    def read(self, folder: Path) -> list[Recording]:
        """Read a raw folder after checking every byte against its manifest.

        Args:
            folder: A folder filled by `download`.

        Returns:
            The recordings, in a fixed order.

        Raises:
            FileNotFoundError: If the download is missing or was interrupted.
            ValueError: If a file is truncated, changed or does not hold what is expected.
        """
        return list(self.stream(folder))

    @final
    def stream(self, folder: Path) -> Iterator[Recording]:
        """Read a raw folder one recording at a time; arguments and errors are those of `read`."""
        found = False
        for recording in self.parse(folder, verify_manifest(folder, dataset=self.name)):
            found = True
            yield recording
        if not found:
            raise ValueError(f"{self.name}: no recording in {folder}; its options choose none")

    def _describe(self, folder: Path, files: set[str]) -> None:
        """Write the manifest."""
        options = self.model_dump(mode="json")
        facts = {"dataset": self.name, "source": self.source, "licence": self.licence, "options": options}
        write_manifest(folder, files, **facts)
