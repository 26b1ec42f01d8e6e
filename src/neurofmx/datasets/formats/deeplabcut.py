"""Keypoints as DeepLabCut stores them: HDF5 tables of tracked films, CSV tables of labelled pictures."""

from __future__ import annotations

import csv
import io
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

KEY = "df_with_missing"  # DeepLabCut's name of the table


@dataclass(frozen=True, eq=False)
class Keypoints:
    """A table of keypoints.

    Args:
        values: Values `(frames, keypoints, coordinates)`, NaN where there is none.
        parts: Name of each keypoint.
        coordinates: Such as `x`, `y` and `likelihood`.
        frames: Name or number of each frame.
    """

    values: np.ndarray
    parts: tuple[str, ...]
    coordinates: tuple[str, ...]
    frames: tuple[str, ...]

    def of(self, parts: tuple[str, ...], coordinates: tuple[str, ...]) -> np.ndarray:
        """Values `(frames, parts, coordinates)` of some keypoints and coordinates, in that order."""
        rows, columns = (
            [known.index(n) for n in names] for known, names in ((self.parts, parts), (self.coordinates, coordinates))
        )
        return self.values[:, rows][:, :, columns]


def read_h5(path: Path) -> Keypoints:
    """Read a table that DeepLabCut wrote with pandas as HDF5.

    The names of the columns are stored as a pickle. Only lists, tuples, strings and numbers are accepted in it: what
    names a class or function is refused, so that nothing of the file is executed.

    Args:
        path: The file.

    Returns:
        The keypoints.

    Raises:
        ValueError: If the file is damaged or holds no such table.
    """
    try:
        with h5py.File(path) as file:
            table: Any = file[f"{KEY}/table"]
            rows, columns = table[()], _plain(bytes(table.attrs["values_block_0_kind"]))
        if rows.ndim != 1:
            raise ValueError(f"its table has {rows.ndim} dimensions, not one of frames")
        values, index = np.asarray(rows["values_block_0"], np.float64), rows["index"].tolist()
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, AttributeError, IndexError) as error:
        raise ValueError(f"{path.name} is damaged or no DeepLabCut table ({error}); download it again") from error
    frames = tuple(name.decode(errors="replace") if isinstance(name, bytes) else str(name) for name in index)
    return _table(values, columns, frames, where=path.name)


def read_csv(path: Path) -> Keypoints:
    """Read a table of labelled pictures; arguments, returns and errors are those of `read_h5`."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    if len(rows) < 4 or [row[0] for row in rows[:3]] != ["scorer", "bodyparts", "coords"]:
        raise ValueError(f"{path.name} is no DeepLabCut table: it must begin with scorer, bodyparts and coords")
    try:
        values = np.array([[float(cell or "nan") for cell in row[1:]] for row in rows[3:]])
    except ValueError as error:
        raise ValueError(f"{path.name} is damaged ({error}); download it again") from error
    columns = list(zip(*(row[1:] for row in rows[:3]), strict=True))
    return _table(values, columns, tuple(row[0] for row in rows[3:]), where=path.name)


class _Plain(pickle.Unpickler):
    """Reads data only."""

    def find_class(self, module_name: str, global_name: str) -> object:
        """Refuse whatever is not data."""
        raise pickle.UnpicklingError(f"its column names refer to {module_name}.{global_name}")


def _plain(content: bytes) -> list[tuple[str, ...]]:
    """Column names out of a pickle that can do nothing."""
    try:
        columns = _Plain(io.BytesIO(content)).load()
    except Exception as error:  # a damaged pickle may raise anything
        raise ValueError(str(error) or type(error).__name__) from error
    if not isinstance(columns, list) or not all(isinstance(column, tuple) and len(column) > 1 for column in columns):
        raise ValueError("its columns are not named by scorer, keypoint and coordinate")
    return [tuple(map(str, column)) for column in columns]


def _table(values: np.ndarray, columns: list[tuple[str, ...]], frames: tuple[str, ...], *, where: str) -> Keypoints:
    """Columns `(scorer, part, coordinate)` as an array of parts and coordinates."""
    names = [tuple(column[-2:]) for column in columns]
    parts, coordinates = (tuple(dict.fromkeys(name[i] for name in names)) for i in (0, 1))
    if names != [(part, coordinate) for part in parts for coordinate in coordinates] or values.shape[1:] != (
        len(names),
    ):
        raise ValueError(f"{where}: must hold every coordinate of every keypoint, side by side, of one animal")
    return Keypoints(values.reshape(len(values), len(parts), len(coordinates)), parts, coordinates, frames)
