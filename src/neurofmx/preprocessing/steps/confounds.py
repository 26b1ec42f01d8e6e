"""Confounds: what moved with the head, the heart and the scanner, taken out of every voxel by regression."""

from __future__ import annotations

from fnmatch import fnmatchcase

import numpy as np

from neurofmx.recordings.recording import Recording

SIGNAL = "confounds"
_LEAST = 1e-10  # of the largest singular value: below it, a combination of columns is rounding


def choose(recording: Recording, patterns: tuple[str, ...], *, option: str) -> np.ndarray:
    """Columns of a recording's confounds, with the values that cannot be known filled in.

    A derivative has no first value; as in fMRIPrep's tables it is NaN. It gets the mean of its column, which asks
    nothing of the first volume.

    Args:
        recording: A recording with a signal `confounds (time, columns)`.
        patterns: Names of columns, in which `*` stands for anything: `trans_*`, `csf`.
        option: What to call `patterns` in the error message.

    Returns:
        The chosen columns `(time, chosen)`, in the order of the table.

    Raises:
        ValueError: If there are no confounds, a pattern meets no column, or a column has NaN after its first three
            values.
    """
    signal = recording.signal(SIGNAL)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in signal.channels):
            raise ValueError(
                f"{option}: recording {recording.name} has no column {pattern!r}; it has "
                f"{', '.join(signal.channels[:40])}"
            )
    taken = [i for i, name in enumerate(signal.channels) if any(fnmatchcase(name, pattern) for pattern in patterns)]
    columns = np.array(signal.data[:, taken], np.float64)
    unknown = ~np.isfinite(columns)
    if unknown[3:].any():
        bad = [signal.channels[i] for i in np.array(taken)[unknown[3:].any(axis=0)]]
        raise ValueError(
            f"{option}: recording {recording.name} has NaN inside {', '.join(bad)}; leave these columns out"
        )
    means = np.nanmean(columns, axis=0)
    return np.where(unknown, means, columns)


def regress_out(data: np.ndarray, confounds: np.ndarray) -> np.ndarray:
    """What least squares cannot explain by confounds and a constant.

    Args:
        data: Samples `(time, features)`.
        confounds: Columns `(time, columns)`; linearly dependent ones do no harm.

    Returns:
        The residual plus the mean of each feature, so that a mean survives where nothing else removes it.

    Raises:
        ValueError: If there are as many independent columns as samples, which would explain anything.

    Example:
        >>> time = np.arange(4.0)[:, None]
        >>> regress_out(5 + 2 * time, time).ravel().round(6).tolist()
        [8.0, 8.0, 8.0, 8.0]
    """
    mean = data.mean(axis=0)
    centred = confounds - confounds.mean(axis=0)
    size = np.sqrt((centred**2).sum(axis=0))
    scaled = centred[:, size > 0] / size[size > 0]
    basis, strength, _ = np.linalg.svd(scaled, full_matrices=False)
    basis = basis[:, strength > _LEAST * strength.max(initial=0)]
    if basis.shape[1] >= len(data) - 1:
        raise ValueError(
            f"preprocess.confounds: {basis.shape[1]} independent columns explain all of {len(data)} volumes; name fewer"
        )
    return data - basis @ (basis.T @ (data - mean))
