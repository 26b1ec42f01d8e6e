"""Tables of an NWB file: columns of numbers, texts, choices and lists, chosen by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from neurofmx.datasets.own.options import label_text
from neurofmx.datasets.own.refusal import Refused, choose, listed

LABELS = ("label", "channel_name", "electrode_name")  # columns that name a row, the first there is


@dataclass(frozen=True, eq=False)
class Table:
    """A DynamicTable, or some of its rows.

    Args:
        group: The table.
        rows: Which rows, in order.

    Source: Hierarchical Data Modeling Framework, common schema 1.8, DynamicTable.
    """

    group: Any
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def columns(self) -> list[str]:
        """Names of the columns, without the helpers of other columns."""
        names = [name for name, item in self.group.items() if isinstance(item, h5py.Dataset)]
        return sorted(name for name in names if name != "id" and not name.endswith(("_index", "_elements")))

    @property
    def ids(self) -> list[int]:
        """Number of every row, as the file gives it."""
        return [int(number) for number in self.group["id"][:][self.rows]]

    @property
    def names(self) -> list[str]:
        """Name of every row: its label where all differ, else its number."""
        for column in LABELS:
            if column in self.columns:
                labels = [label_text(value) for value in self.column(column, option="where")]
                if len(set(labels)) == len(labels):
                    return labels
        return [f"row-{number}" for number in self.ids]

    def column(self, name: str, *, option: str) -> Sequence[Any]:
        """One value a row; a list for a column of lists.

        Args:
            name: The column.
            option: The option that asked for it.

        Returns:
            Values `(rows,)`: numbers, texts, or arrays.

        Raises:
            Refused: If there is no such column, listing those there are.
        """
        name = choose(self.columns, name, option=option, what=f"column of {self.group.name.strip('/')}")
        values = self._values(name)
        end = name
        while (end := f"{end}_index") in self.group:  # lists, or lists of lists
            stops = self.group[end][:].astype(np.int64)
            starts = np.r_[0, stops[:-1]]
            if (stops < starts).any() or (len(stops) and stops[-1] > len(values)):
                raise Refused(f"{option}={name}: {end} points outside of the column")
            values = [values[a:b] for a, b in zip(starts, stops, strict=True)]
        if len(self.rows) and self.rows.max() >= len(values):
            raise Refused(f"{option}={name}: the column has {len(values)} rows, row {self.rows.max()} is needed")
        return [values[i] for i in self.rows]

    def where(self, allowed: Mapping[str, Sequence[str]]) -> np.ndarray:
        """Positions, among the rows here, of those whose columns hold allowed values.

        Args:
            allowed: Values by column.

        Returns:
            Positions `(kept,)`.

        Raises:
            Refused: If a column is unknown, or no row has the values, listing what there is.
        """
        keep = np.ones(len(self), bool)
        for column, values in allowed.items():
            held = np.array([label_text(value) for value in self.column(column, option="where")], dtype=object)
            hit = np.isin(held, list(values))
            if not hit.any():
                raise Refused(f"where.{column}={list(values)}: no row has that; there is {listed(sorted(set(held)))}")
            keep &= hit
        if not keep.any():
            raise Refused(f"where={dict(allowed)}: no row has all of that at once")
        return np.flatnonzero(keep)

    def positions(self, keep: np.ndarray) -> np.ndarray | None:
        """Place `(kept, 3)` of rows, in the file's unit, where all of them have one."""
        if not {"x", "y", "z"} <= set(self.columns):
            return None
        place = np.array([self.column(axis, option="where") for axis in "xyz"], np.float64).T[keep]
        return place if np.isfinite(place).all() else None

    def _values(self, name: str) -> Any:
        """All values of a column: texts as str, and choices by what they stand for."""
        dataset: Any = self.group[name]
        if h5py.check_string_dtype(dataset.dtype) is not None:
            return np.asarray(dataset.asstr()[:], dtype=object)
        values = dataset[:]
        elements = dataset.attrs.get("elements")  # EnumData: numbers that stand for the rows of another column
        if elements is not None:
            meant: Any = self.group.file[elements]
            texts = np.asarray(meant.asstr()[:], dtype=object) if h5py.check_string_dtype(meant.dtype) else meant[:]
            return texts[values.astype(np.int64)]
        return values


def table_of(group: Any, rows: np.ndarray | None = None) -> Table:
    """A table of all rows, or of some.

    Raises:
        Refused: If it is no table, or a row is not there.
    """
    if not isinstance(group, h5py.Group) or not isinstance(group.get("id"), h5py.Dataset):
        raise Refused(f"{getattr(group, 'name', group)}: is no table of NWB, it has no column id")
    table: Any = group
    count = len(table["id"])
    rows = np.arange(count) if rows is None else rows
    if len(rows) and not 0 <= rows.min() <= rows.max() < count:
        raise Refused(f"{group.name}: has {count} rows, row {rows.max()} is needed")
    return Table(table, rows)
