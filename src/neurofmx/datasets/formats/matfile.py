"""Variables of a MATLAB file, checked for being there and being numbers.

SciPy's reader is compiled and was not made for damaged files: some end the process. Readers of datasets only hand it
files whose checksum was verified (`Dataset.read`).
"""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np


def read_mat(
    path: Path, *names: str, optional: tuple[str, ...] = (), cells: tuple[str, ...] = ()
) -> dict[str, np.ndarray]:
    """Read variables of a MATLAB file up to version 7.

    Args:
        path: The file.
        *names: Variables that must be there and hold numbers.
        optional: The same for variables that may be missing.
        cells: Cell arrays that must be there.

    Returns:
        Arrays by name in this order, at least two-dimensional, as MATLAB keeps them; cells are arrays of objects.

    Raises:
        ValueError: If the file is damaged or of version 7.3, or a variable is missing or not numeric.
    """
    from scipy.io import loadmat  # imported here: a quarter of a second that only such files need
    from scipy.io.matlab import MatReadError

    try:
        held = loadmat(path, variable_names=[*names, *optional, *cells])
    except NotImplementedError as error:
        raise ValueError(f"{path}: a MATLAB 7.3 file; save it with `-v7` and use a mirror") from error
    except (MatReadError, ValueError, TypeError, OSError, EOFError, KeyError, IndexError, zlib.error) as error:
        raise ValueError(f"{path} is no sound MATLAB file ({error}); delete it and download again") from error
    missing = [name for name in (*names, *cells) if name not in held]
    if missing:
        known = ", ".join(name for name in held if not name.startswith("__")) or "none of those asked for"
        raise ValueError(f"{path}: no variable {', '.join(missing)}, found {known}; is it the archive's own file?")
    arrays = {name: np.asarray(held[name]) for name in (*names, *optional, *cells) if name in held}
    odd = [
        name for name, array in arrays.items() if (array.dtype.kind not in "biuf") != (name in cells) or not array.size
    ]
    if odd:
        raise ValueError(
            f"{path}: {', '.join(odd)} must hold real numbers (cells: arrays); is it the archive's own file?"
        )
    return arrays


def require_rows(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Refuse arrays that do not have one row a sample each; raises ValueError naming their lengths."""
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"{path}: the variables must be equally long, got {lengths}; delete it and download again")


def stretches(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the stretches of equal codes.

    Args:
        codes: One code a sample `(time,)`.

    Returns:
        First sample, sample after the last, and code of each stretch, `(stretches,)` each.

    Example:
        >>> first, last, code = stretches(np.array([0, 0, 3, 3, 0]))
        >>> first.tolist(), last.tolist(), code.tolist()
        ([0, 2, 4], [2, 4, 5], [0, 3, 0])
    """
    first = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]])
    return first, np.r_[first[1:], len(codes)], codes[first]
