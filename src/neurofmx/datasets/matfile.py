"""Variables of a MATLAB file of version 5, with errors that name the file and the variable.

SciPy's reader is compiled and was not made for damaged files: some end the process. Readers of datasets only hand it
files whose checksum was verified (`Dataset.read`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np


def read_mat(path: Path, *names: str) -> tuple[np.ndarray, ...]:
    """Read variables of a MATLAB file.

    Args:
        path: The file.
        names: Variables to read.

    Returns:
        One array a name, as MATLAB holds them: every one has two dimensions at least, cells are object arrays.

    Raises:
        ValueError: If the file cannot be read, or lacks a variable.
    """
    from scipy.io import loadmat

    try:
        found = loadmat(path, variable_names=names)
    except Exception as error:  # the reader lets whatever it stumbles over through
        raise ValueError(
            f"{path.name}: no MATLAB file of version 5 that can be read ({error}); download it again"
        ) from error
    missing = [name for name in names if name not in found]
    if missing:
        raise ValueError(f"{path.name}: holds no variable {', '.join(missing)}; download the file again")
    return tuple(found[name] for name in names)


def same_length(path: Path, **arrays: np.ndarray) -> int:
    """The number of rows that all arrays share; raises ValueError naming those that differ."""
    rows = {name: len(array) for name, array in arrays.items()}
    if len(set(rows.values())) != 1:
        raise ValueError(f"{path.name}: {', '.join(rows)} must have as many rows, have {list(rows.values())}")
    return next(iter(rows.values()))
