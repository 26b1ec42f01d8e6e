"""Nested dictionaries of arrays in one HDF5 file, the same bytes for the same input."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from neurofmx.atomic import atomic
from neurofmx.recordings.lazy import is_lazy, pieces

FORMAT = "neurofmx-1"
Tree = dict[str, Any]


def write_trees(path: Path | str, trees: Iterable[Tree]) -> None:
    """Write trees one after the other, holding one at a time in memory.

    Args:
        path: The file to write. It appears only when complete.
        trees: Nested dictionaries; leaves are numpy arrays (numbers or strings), strings and numbers. A lazy array
            of numbers is written a piece at a time, and gives the same bytes as the array it stands for.

    Raises:
        TypeError: If a leaf is none of these.
        OSError: If the disk is full; a file that was there before stays.
    """
    with atomic(path) as part:
        try:
            _write_file(part, trees)
        except RuntimeError as error:  # what HDF5 raises where closing the file cannot write the rest
            raise OSError(f"cannot write {path} ({error}); is the disk full?") from error


def read_trees(path: Path | str) -> Iterator[Tree]:
    """Read back what `write_trees` wrote, one tree at a time.

    Args:
        path: A file of `write_trees`.

    Yields:
        The trees, in the order they were written.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is truncated, damaged or not one of these.
    """
    with _open(Path(path)) as file:
        for group in file.values():
            yield _read(group)


@contextmanager
def open_trees(path: Path | str, *, leave: Callable[[str], bool]) -> Iterator[list[Tree]]:
    """Open what `write_trees` wrote, with the large arrays left in the file.

    Args:
        path: A file of `write_trees`.
        leave: Which arrays to leave, by their place in a tree such as `signals/eeg/data`. They are datasets of h5py, to
            be read inside the `with` block alone.

    Yields:
        The trees, in the order they were written.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is truncated, damaged or not one of these.
    """
    with _open(Path(path)) as file:
        yield [_read(group, lambda place: leave(place.split("/", 2)[2])) for group in file.values()]


def _open(path: Path) -> h5py.File:
    """Open a file of this format or say what is wrong with it."""
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}; run the stage that writes it (`dvc repro`)")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise ValueError(f"{path} is truncated, damaged or no HDF5 file ({error}); delete it and re-run") from error
    if file.attrs.get("format") == FORMAT:
        return file
    found = file.attrs.get("format", "none")
    file.close()
    raise ValueError(f"{path}: its format must be {FORMAT!r}, found {found!r}; delete it and re-run its stage")


def _write_file(path: Path, trees: Iterable[Tree]) -> None:
    """All trees, numbered in their order."""
    with h5py.File(path, "w", track_order=True) as file:
        file.attrs["format"] = FORMAT
        for index, tree in enumerate(trees):
            _write(file.create_group(f"{index:06d}", track_order=True), tree)


def _write(group: h5py.Group, tree: Tree) -> None:
    """Sub-trees become groups, arrays datasets, everything else attributes."""
    for name, value in tree.items():
        if isinstance(value, dict):
            _write(group.create_group(name, track_order=True), value)
        elif is_lazy(value):
            _write_pieces(group, name, value)
        elif isinstance(value, np.ndarray):
            _write_array(group, name, value)
        elif isinstance(value, (str, int, float)):
            group.attrs[name] = value
        else:
            raise TypeError(f"{group.name}/{name}: must be an array, string or number, got {type(value).__name__}")


def _write_array(group: h5py.Group, name: str, array: np.ndarray) -> None:
    """Strings go in as UTF-8 of variable length, which numpy's own string types are not."""
    if array.dtype.kind in "UO":
        group.create_dataset(name, data=array.astype(object), dtype=h5py.string_dtype())
    else:
        group.create_dataset(name, data=array)


def _write_pieces(group: h5py.Group, name: str, array: Any) -> None:
    """Holds one piece of the array at a time."""
    dataset = group.create_dataset(name, shape=array.shape, dtype=array.dtype)
    for first, last in pieces(array):
        dataset[first:last] = array[first:last]


def _read(group: Any, leave: Callable[[str], bool] = lambda place: False) -> Tree:
    """The inverse of `_write`; arrays that are left stay datasets."""
    tree: Tree = {name: _plain(value) for name, value in group.attrs.items()}
    for name, item in group.items():
        if isinstance(item, h5py.Group):
            tree[name] = _read(item, leave)
        else:
            tree[name] = item if leave(item.name) else _read_array(item)
    return tree


def _read_array(dataset: h5py.Dataset) -> np.ndarray:
    """An array in memory; strings as numpy strings."""
    if h5py.check_string_dtype(dataset.dtype) is None:
        return dataset[...]
    return np.asarray(dataset.asstr()[...], dtype=str)


def _plain(value: Any) -> Any:
    """Attributes come back as numpy scalars: make them Python's own."""
    return value.item() if isinstance(value, np.generic) else value
