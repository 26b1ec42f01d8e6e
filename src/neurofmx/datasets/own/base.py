"""The contract of somebody's own files: found by a path, copied, and read as the options say."""

from __future__ import annotations

import os
import re
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import ClassVar, final

import numpy as np
from pydantic import Field, field_validator

from neurofmx.atomic import atomic
from neurofmx.datasets.access.progress import copy_file
from neurofmx.datasets.own.clock import on_clock_of, target_signal
from neurofmx.datasets.own.intervals import Labelled, require_classes
from neurofmx.datasets.own.options import Division, Target
from neurofmx.datasets.own.refusal import Refused, listed, reading
from neurofmx.datasets.shared.base import Dataset, Expected, Modality, Split
from neurofmx.datasets.shared.checksum import matches, sha256_of
from neurofmx.recordings.recording import Events, Recording, Signal, Source
from neurofmx.recordings.task import Task

SIGNALS: dict[str, str] = {"fmri": "bold"}  # all others are named as their modality
NOBODY = "unknown"


@dataclass(frozen=True, eq=False)
class Found:
    """What a reader took out of one file.

    Args:
        brain: What the modality reads: a signal, or spikes; none where it reads one of the arrays.
        target: Values to decode, where the task asks for values.
        labelled: Trials with their label, where it asks for classes.
        subject: Who was recorded, where the file says so.
        arrays: What belongs to the recording but not to a time.
    """

    brain: Signal | Events | None
    target: Signal | None = None
    labelled: Labelled | None = None
    subject: str | None = None
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


class OwnRecordings(Dataset):
    """Files that somebody brings, described by options alone.

    Args:
        path: A file, a folder, or a pattern such as `recordings/*.edf`; seen from the checkout where it is relative.
        target: What is asked.
        division: How the recordings are divided into folds; default blocks of time in 5 folds, 2 s apart.
        naming: Regular expression for the file's path below `path`, with the groups `subject` and `session`; default
            `sub-<subject>` in it, then what the file says, and the path itself as session.
        modality: How it is cleaned; a run's item sets it.
    """

    species: ClassVar[str] = "as the files say"
    licence: ClassVar[str] = "the owner's own"
    citation: ClassVar[str] = "the owner's own"
    homepage: ClassVar[str] = "docs/your_own_data.md"
    source: ClassVar[str] = "files of the user"
    local: ClassVar[bool] = True
    what: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]]
    companions: ClassVar[tuple[str, ...]] = ()  # endings of files that belong to one of the same name

    path: str = Field(min_length=1)
    target: Target
    division: Division = Division()
    naming: str | None = None
    modality: Modality | None = None

    @field_validator("naming")
    @classmethod
    def _names_both(cls, naming: str | None) -> str | None:
        """A pattern that names neither subject nor session would name every recording alike."""
        try:
            groups = set(re.compile(naming or "(?P<session>)").groupindex)
        except re.error as error:
            raise ValueError(f"is no regular expression: {error}") from error
        if not groups or groups - {"subject", "session"}:
            raise ValueError("must have the groups (?P<subject>...) or (?P<session>...), and no others")
        return naming

    @abstractmethod
    def choose(self, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Which files are recordings, in a fixed order, and which others belong to each.

        Args:
            names: Relative paths of all files.
        """

    @abstractmethod
    def take(self, root: Path, name: str, beside: tuple[str, ...]) -> Found:
        """Read one recording.

        Args:
            root: The folder that `name` is relative to.
            name: The file.
            beside: The files that belong to it.

        Raises:
            Refused: If it does not hold what the options ask for.
        """

    @property
    def task(self) -> Task:
        """As `target` says."""
        return self.target.task

    @property
    def split(self) -> Split:
        """As `division` says."""
        return self.division.split

    @property
    def expected(self) -> Expected | None:
        """Nothing: the files are not known beforehand."""
        return None

    @property
    def signal(self) -> str:
        """Name of the signal or events that the modality's cleaning reads."""
        return SIGNALS.get(self.recorded, self.recorded)

    @property
    def recorded(self) -> Modality:
        """The modality, which must be chosen by now."""
        if self.modality not in self.modalities:
            raise Refused(f"modality={self.modality}: {self.name} holds {', '.join(self.modalities)}; choose one")
        return self.modality

    def checksums(self) -> dict[str, str]:
        """None: the manifest learns them from the files."""
        return {}

    @final
    def retrieve(self, names: tuple[str, ...], *, folder: Path, cache: Path) -> tuple[str, ...]:
        """Look whether the options fit the files, then copy them: a link could be made read-only by DVC."""
        root, there = self._locate()
        chosen = self._chosen(there, where=str(root))
        looked = (self._recording(root, name, beside) for name, beside in chosen.items())
        self._require_whole([(name, labelled) for name, _, labelled in looked])
        copied = tuple(dict.fromkeys(name for main, beside in chosen.items() for name in (main, *beside)))
        for name in copied:
            if not matches(folder / name, sha256_of(root / name)):
                with atomic(folder / name) as part:
                    copy_file(root / name, part)
        return copied

    @final
    def parse(self, folder: Path, sources: dict[str, Source]) -> list[Recording]:
        """One recording a file, or a file and those that belong to it."""
        read = [
            self._recording(folder, name, beside, sources=tuple(sources[each] for each in (name, *beside)))
            for name, beside in self._chosen(sources, where=str(folder)).items()
        ]
        self._require_whole([(name, labelled) for name, _, labelled in read])
        return self.together([recording for _, recording, _ in read])

    def together(self, recordings: list[Recording]) -> list[Recording]:
        """Make recordings alike that were read one by one; default as they are."""
        return recordings

    def values(self, times: np.ndarray, values: np.ndarray) -> Signal:
        """Values to decode as the target's signal; arguments and errors are those of `target_signal`."""
        return target_signal(
            times,
            values,
            kind=self.target.kind,
            degrees=self.target.degrees,
            names=self.task.names,
            max_gap=self.target.max_gap,
        )

    def _locate(self) -> tuple[Path, list[str]]:
        """The folder, and the files in it that `path` names."""
        path = Path(os.environ.get("DVC_ROOT", ".")) / self.path
        if path.is_file():
            return path.parent, self._with_companions(path.parent, [path])
        if path.is_dir():
            return path, sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
        fixed = list(_fixed_parts(path))
        root = Path(*fixed)
        pattern = path.relative_to(root).as_posix()
        found = sorted(file for file in root.glob(pattern) if file.is_file()) if len(fixed) < len(path.parts) else []
        if not found:
            raise FileNotFoundError(
                f"path={self.path}: no such file or folder, and no file of that pattern, in {Path.cwd()}; "
                f"the nearest folder that exists is {_nearest(root)}"
            )
        return root, self._with_companions(root, found)

    def _with_companions(self, root: Path, files: list[Path]) -> list[str]:
        """Names of files, and of those that stand beside them, which `path` need not name."""
        beside = [file.with_suffix(ending) for file in files for ending in self.companions]
        there = {*files, *(file for file in beside if file.is_file())}
        return sorted(file.relative_to(root).as_posix() for file in there)

    def _chosen(self, names: Iterable[str], *, where: str) -> dict[str, tuple[str, ...]]:
        """The recordings among files, of which there must be some."""
        names = list(names)
        chosen = self.choose(names)
        if not chosen:
            raise Refused(
                f"path={self.path}: {where} holds nothing to be read as {self.what}; it holds {listed(names)}"
            )
        return chosen

    def _recording(
        self, root: Path, name: str, beside: tuple[str, ...], sources: tuple[Source, ...] = ()
    ) -> tuple[str, Recording, Labelled | None]:
        """One recording, with its subject and session, and its labels."""
        with reading(root / name, self.what):
            found = self.take(root, name, beside)
            brain, target = found.brain, found.target
            if isinstance(brain, Signal) and target is not None:
                brain, target = on_clock_of(target, brain)
            elif isinstance(brain, Events) and target is not None:
                brain = brain.slice(target.start, target.stop)
            signals = {} if target is None else {"target": target}
            signals |= {self.signal: brain} if isinstance(brain, Signal) else {}
            subject, session = self.who(name, found.subject)
            recording = Recording(
                subject,
                session,
                signals,
                {self.signal: brain} if isinstance(brain, Events) else {},
                None if found.labelled is None else found.labelled.trials,
                sources,
                found.arrays,
            )
        return recording.name, recording, found.labelled

    def who(self, name: str, said: str | None) -> tuple[str, str]:
        """Subject and session of a file: by `naming`, by `sub-` in its path, or by what it says itself."""
        stem = name[: -len(_suffix(name, self.suffixes))].replace("/", "_")
        if self.naming is not None:
            match = re.search(self.naming, name)
            if match is None:
                raise Refused(f"naming={self.naming}: does not fit the path {name}")
            groups = match.groupdict()
            return groups.get("subject") or said or NOBODY, groups.get("session") or stem
        entity = re.search(r"(?:^|[/_])sub-([A-Za-z0-9]+)", name)
        return (entity[1] if entity else said) or NOBODY, stem

    def _require_whole(self, read: list[tuple[str, Labelled | None]]) -> None:
        """What holds over all recordings: names that differ, people that are known, classes that occur."""
        names = [name for name, _ in read]
        if len(set(names)) < len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise Refused(f"naming: {listed(twice)} stands for several files; let `naming` tell them apart")
        if self.division.by == "subject" and any(name.startswith(f"{NOBODY}/") for name in names):
            raise Refused(
                "division.by=subject: the files do not say who was recorded; set naming, such as "
                "'(?P<subject>[^_]+)_(?P<session>.+)'"
            )
        if self.target.kind == "classification":
            found = [labelled for _, labelled in read if labelled is not None]
            require_classes(found, self.target.classes, option=self.target.column or "the usual column")


def _suffix(name: str, suffixes: tuple[str, ...]) -> str:
    """The longest of the suffixes that a name ends with."""
    fitting = [suffix for suffix in suffixes if name.lower().endswith(suffix)]
    return max(fitting, key=len) if fitting else PurePosixPath(name).suffix


def _fixed_parts(path: Path) -> Iterator[str]:
    """The parts of a path before its first wildcard."""
    for part in path.parts:
        if any(mark in part for mark in "*?["):
            return
        yield part


def _nearest(path: Path) -> Path:
    """The deepest folder on the way to a path that exists."""
    return next(folder for folder in (path, *path.parents, Path()) if folder.is_dir())
