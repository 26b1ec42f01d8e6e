"""Series of brain volumes in NIfTI files, with the time between them."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from neurofmx.recordings.timeline import Trials

SECONDS = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6, "unknown": 1.0}
TOLERANCE = 1e-3  # s; headers hold single precision


class Volumes(NamedTuple):
    """A series of volumes.

    Args:
        data: Samples `(time, x, y, z)`, or `(x, y, z)` for a single volume, as the file holds them.
        affine: From voxel index to mm, `(4, 4)`.
        interval: Time from one volume to the next, s; 0 where the header does not say.
    """

    data: np.ndarray
    affine: np.ndarray
    interval: float


def read_volumes(path: Path) -> Volumes:
    """Read a NIfTI file in the numbers it was stored in, which takes half the memory where these are integers.

    Args:
        path: The file, `.nii` or `.nii.gz`.

    Returns:
        Its volumes, time first.

    Raises:
        ValueError: If the file is damaged or is neither a volume nor a series.
    """
    from nibabel import filebasedimages, nifti1, spatialimages, wrapstruct  # imported here: half a second

    unsound = (filebasedimages.ImageFileError, spatialimages.HeaderDataError, wrapstruct.WrapStructError)
    try:
        image = nifti1.load(path)
        data = np.asanyarray(image.dataobj)
        steps, (_, unit) = np.asarray(image.header.get_zooms(), np.float64), image.header.get_xyzt_units()
    except (*unsound, OSError, EOFError, ValueError, KeyError, MemoryError, OverflowError, zlib.error) as error:
        raise ValueError(f"{path} is no sound NIfTI file ({error}); delete it and download again") from error
    if data.ndim not in (3, 4):
        raise ValueError(f"{path} must be a volume or a series of volumes, got shape {data.shape}")
    interval = float(steps[3]) * SECONDS.get(str(unit), 1.0) if data.ndim == 4 else 0.0
    return Volumes(np.moveaxis(data, -1, 0) if data.ndim == 4 else data, np.asarray(image.affine), interval)


def repetition_time(series: Volumes, fields: dict[str, Any], *, path: Path) -> float:
    """The time between volumes, from the sidecar and the header, which must agree.

    Args:
        series: The volumes.
        fields: The sidecar's fields.
        path: The file, for messages.

    Returns:
        The sidecar's `RepetitionTime`, else the header's, s.

    Raises:
        ValueError: If neither states it, or both do and differ by more than 1 ms.
    """
    stated = fields.get("RepetitionTime")
    if stated is not None and (isinstance(stated, bool) or not isinstance(stated, int | float) or not stated > 0):
        raise ValueError(f"{path}: RepetitionTime must be a number above 0 s, got {stated!r}; correct the sidecar")
    if stated is None and not series.interval > 0:
        raise ValueError(
            f"{path}: neither header nor sidecar state a repetition time; add RepetitionTime to the sidecar"
        )
    if stated is not None and series.interval > 0 and abs(stated - series.interval) > TOLERANCE:
        raise ValueError(
            f"{path}: the sidecar states a repetition time of {stated} s, the header {series.interval:g} s; correct one"
        )
    return float(stated) if stated is not None else series.interval


def blocks(labels: np.ndarray, *, interval: float, rest: str) -> Trials:
    """Turn one label a volume into trials, one per stretch of equal labels.

    Args:
        labels: Label `(volumes,)` of every volume.
        interval: Time from one volume to the next, s.
        rest: The label that is no trial.

    Returns:
        Trials with their `label`, from the start of the first volume to the end of the last.

    Example:
        >>> trials = blocks(np.array(["rest", "cat", "cat", "rest"]), interval=2.5, rest="rest")
        >>> trials.start, trials.stop, trials.columns["label"]
        (array([2.5]), array([7.5]), array(['cat'], dtype='<U4'))
    """
    first = np.flatnonzero(np.r_[True, labels[1:] != labels[:-1]])
    last = np.r_[first[1:], len(labels)]
    shown = labels[first] != rest
    return Trials(first[shown] * interval, last[shown] * interval, {"label": labels[first][shown]})
