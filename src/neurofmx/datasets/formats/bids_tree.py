"""Names, sidecars and events of a folder in the Brain Imaging Data Structure (BIDS)."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from neurofmx.recordings.recording import Trials

ABSENT = ("n/a", "")  # how BIDS writes a value that is not known


@dataclass(frozen=True)
class Named:
    """What the name of a file says.

    Args:
        path: The file, relative to the root of the dataset.
        entities: Value by key, such as `{"sub": "01", "task": "rest"}`.
        suffix: Last part of the name, such as `bold`.
        extension: From the first dot on, such as `.nii.gz`.
    """

    path: str
    entities: dict[str, str]
    suffix: str
    extension: str

    def applies_to(self, other: Named) -> bool:
        """Whether a sidecar of this name holds for another file: same folder or above it, and nothing that differs."""
        above = PurePosixPath(other.path).is_relative_to(PurePosixPath(self.path).parent)
        return above and self.entities.items() <= other.entities.items()


def named(path: str) -> Named:
    """Read the name of a file.

    Example:
        >>> name = named("sub-01/func/sub-01_task-rest_run-2_bold.nii.gz")
        >>> name.entities, name.suffix, name.extension
        ({'sub': '01', 'task': 'rest', 'run': '2'}, 'bold', '.nii.gz')
    """
    stem, dot, rest = PurePosixPath(path).name.partition(".")
    *pairs, suffix = stem.split("_")
    entities = dict(pair.split("-", 1) for pair in pairs if "-" in pair)
    return Named(path, entities, suffix, dot + rest)


def select(paths: Iterable[str], *, suffix: str, extensions: tuple[str, ...], **entities: str | None) -> list[Named]:
    """Files whose names hold certain entities.

    Args:
        paths: Files, relative to the root of the dataset.
        suffix: Last part of the name.
        extensions: Which extensions to take.
        **entities: Value by key; None for a key that the name must not have.

    Returns:
        Their names, sorted by path.
    """
    names = (named(path) for path in sorted(paths))
    return [
        name
        for name in names
        if name.suffix == suffix
        and name.extension in extensions
        and all(name.entities.get(key) == value for key, value in entities.items())
    ]


def sidecar(folder: Path, paths: Iterable[str], of: Named) -> dict[str, Any]:
    """Everything that the JSON files of a dataset say about a file; what lies nearer to it wins.

    Args:
        folder: Root of the dataset.
        paths: Its files, relative to the root.
        of: The file.

    Returns:
        The merged fields.

    Raises:
        ValueError: If a JSON file is damaged.
    """
    found = [name for name in map(named, paths) if name.extension == ".json" and name.suffix == of.suffix]
    fields: dict[str, Any] = {}
    for name in sorted((name for name in found if name.applies_to(of)), key=_nearness):
        try:
            fields |= json.loads((folder / name.path).read_text(encoding="utf-8-sig"))
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"{folder / name.path} is no JSON object ({error}); delete it and download again"
            ) from error
    return fields


def table(path: Path) -> dict[str, np.ndarray]:
    """Columns of a table with tabs; raises ValueError if it has no header or a row of another length."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = [row for row in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE) if row]
    if not rows or len(set(rows[0])) < len(rows[0]) or {len(row) for row in rows} != {len(rows[0])}:
        raise ValueError(f"{path} must be a table with tabs, unique column names and rows of one length")
    return {name: np.array([row[i].strip() for row in rows[1:]], dtype=np.str_) for i, name in enumerate(rows[0])}


def numbers(column: np.ndarray, *, path: Path, name: str) -> np.ndarray:
    """Values `(rows,)` of a column, NaN where it says `n/a`; raises ValueError for what is no number."""
    try:
        return np.array([np.nan if cell in ABSENT else float(cell) for cell in column], np.float64)
    except ValueError as error:
        raise ValueError(f"{path}, column {name}: must hold numbers or n/a ({error})") from error


def trials(path: Path, *, column: str, conditions: tuple[str, ...], join: float = 0.0) -> Trials:
    """Events of an `events.tsv` that belong to the asked conditions, as trials.

    Args:
        path: The table, with `onset` and `duration` in s.
        column: Column that names the condition, usually `trial_type`.
        conditions: Which conditions become trials; other events are none.
        join: Pause in s up to which events of one condition that follow one another are one trial (a block of
            pictures), default 0 for every event on its own.

    Returns:
        Trials with their `label`, sorted by onset. An unknown duration is 0.

    Raises:
        ValueError: If the table lacks a column, an onset is no number, or none of the conditions occurs.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "events.tsv"
        >>> rows = ["onset", "duration", "trial_type"], ["2", "0.5", "cat"], ["4", "0.5", "cat"], ["9", "n/a", "shoe"]
        >>> _ = path.write_text("".join("\\t".join(row) + "\\n" for row in rows))
        >>> blocks = trials(path, column="trial_type", conditions=("cat", "shoe"), join=2.0)
        >>> blocks.start.tolist(), blocks.stop.tolist(), blocks.column("label").tolist()
        ([2.0, 9.0], [4.5, 9.0], ['cat', 'shoe'])
    """
    held = table(path)
    lacking = [name for name in ("onset", "duration", column) if name not in held]
    if lacking:
        raise ValueError(f"{path} has no column {', '.join(lacking)}; it has {', '.join(held)}: correct options.column")
    kept = np.isin(held[column], conditions)
    if not kept.any():
        seen = ", ".join(sorted(set(held[column]))[:12])
        raise ValueError(f"{path}: none of {list(conditions)} occurs in {column} ({seen}); correct options.conditions")
    onset = numbers(held["onset"][kept], path=path, name="onset")
    if not np.isfinite(onset).all():
        raise ValueError(f"{path}: every onset must be known")
    duration = np.maximum(np.nan_to_num(numbers(held["duration"][kept], path=path, name="duration")), 0.0)
    order = np.argsort(onset, kind="stable")
    start, stop, label = onset[order], (onset + duration)[order], held[column][kept][order]
    first = np.r_[True, (label[1:] != label[:-1]) | (start[1:] - stop[:-1] > join)]
    if not join:
        first[:] = True
    block = np.cumsum(first) - 1
    ends = np.full(int(block[-1]) + 1, -np.inf)
    np.maximum.at(ends, block, stop)
    return Trials(start[first], ends, {"label": label[first]})


def _nearness(name: Named) -> tuple[int, int]:
    """How near a sidecar lies to what it describes: depth of its folder, then how much its name says."""
    return len(PurePosixPath(name.path).parts), len(name.entities)
