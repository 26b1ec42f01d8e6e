"""fMRI: from volumes to detrended, standardised voxels or parcels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator
from scipy.signal import butter, detrend, sosfiltfilt

from neurofmx.preprocessing.checks import Bad, screen
from neurofmx.recording import Recording, Signal

_ORDER = 5  # of the Butterworth high-pass, run forwards and backwards


class FmriOptions(BaseModel):
    """How volumes become features; part `preprocess` of a dataset's block."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mask: bool = Field(default=True, description="keep the voxels of the recording's mask, not the whole grid")
    atlas: str | None = Field(default=None, description="label image: means over its parcels instead of voxels")
    detrend: bool = Field(default=True, description="remove the linear trend of every voxel in every run")
    high_pass: float | None = Field(default=None, gt=0, description="corner of a zero-phase Butterworth high-pass, Hz")
    standardize: bool = Field(default=True, description="zero mean and unit variance per voxel and run")
    bad: Bad = Field(default="error", description="constant or non-finite voxels: `error`, or `drop` them everywhere")

    @field_validator("atlas")
    @classmethod
    def _is_there(cls, atlas: str | None) -> str | None:
        if atlas is not None and not Path(atlas).is_file():
            raise ValueError("no such file; give the path of a NIfTI label image, or null for voxels")
        return atlas


def preprocess(recordings: Iterable[Recording], options: FmriOptions) -> list[Recording]:
    """Clean every run on its own, so that nothing passes from a test run to a training run.

    Args:
        recordings: Recordings with a signal `bold (time, x, y, z)` and the arrays `mask` and `affine`.
        options: What to do.

    Returns:
        The same recordings with `bold (time, features)`; features are named `voxel-x-y-z` or `parcel-label`.

    Raises:
        ValueError: If the signal is no volume, a voxel is unusable, or the atlas does not meet the image.
    """
    chosen = (recording.with_signal("bold", _select(recording, options)) for recording in recordings)
    usable = screen(chosen, "bold", bad=options.bad, option="preprocess.bad")
    return [recording.with_signal("bold", _clean(recording.signal("bold"), options)) for recording in usable]


def parcel_means(volumes: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Average the voxels of each parcel.

    Args:
        volumes: Volumes `(time, x, y, z)`.
        labels: Parcel of every voxel `(x, y, z)`, integers, 0 for none.

    Returns:
        Means `(time, parcels)` and the labels `(parcels,)`, ascending, of the parcels that have a voxel.

    Example:
        >>> means, found = parcel_means(np.arange(4.0).reshape(1, 4, 1, 1), np.array([0, 7, 7, 2]).reshape(4, 1, 1))
        >>> means.tolist(), found.tolist()
        ([[3.0, 1.5]], [2, 7])
    """
    inside = labels > 0
    found, parcel = np.unique(labels[inside], return_inverse=True)
    members = np.equal.outer(parcel, np.arange(len(found)))
    return volumes[:, inside] @ (members / np.maximum(members.sum(axis=0), 1)), found


def _select(recording: Recording, options: FmriOptions) -> Signal:
    """From the image grid to named columns."""
    bold = recording.signal("bold")
    if bold.data.ndim != 4:
        raise ValueError(f"recording {recording.name}: bold must be (time, x, y, z), got shape {bold.data.shape}")
    if options.atlas is not None:
        return _parcels(recording, bold, options.atlas)
    grid = bold.data.shape[1:]
    mask = recording.array("mask").astype(bool) if options.mask else np.ones(grid, bool)
    if mask.shape != grid:
        raise ValueError(f"recording {recording.name}: mask must have the grid {grid} of bold, got {mask.shape}")
    names = tuple("voxel-" + "-".join(map(str, position)) for position in np.argwhere(mask))
    return replace(bold, data=bold.data[:, mask], channels=names)


def _parcels(recording: Recording, bold: Signal, atlas: str) -> Signal:
    """Means over an atlas that is brought to the image's grid by nearest neighbour."""
    from nibabel import nifti1  # imported here: only an atlas needs them
    from nilearn.image import resample_img

    affine, grid = recording.array("affine"), bold.data.shape[1:]
    image = resample_img(
        nifti1.load(atlas), affine, grid, interpolation="nearest", force_resample=True, copy_header=True
    )
    means, labels = parcel_means(bold.data, np.rint(image.get_fdata()).astype(int))
    if not len(labels):
        raise ValueError(f"recording {recording.name}: no parcel of {atlas} lies in the image; is it in its space?")
    return replace(bold, data=means, channels=tuple(f"parcel-{label}" for label in labels))


def _clean(bold: Signal, options: FmriOptions) -> Signal:
    """Detrend, filter and standardise in time."""
    data = bold.data.astype(np.float64)
    if options.detrend:
        data = detrend(data, axis=0)
    if options.high_pass is not None:
        data = _high_pass(data, options.high_pass, rate=bold.rate)
    if options.standardize:
        data = (data - data.mean(axis=0)) / data.std(axis=0)
    return replace(bold, data=data.astype(np.float32), unit="z" if options.standardize else bold.unit)


def _high_pass(data: np.ndarray, corner: float, *, rate: float) -> np.ndarray:
    """A Butterworth filter in both directions, which leaves no delay and half the amplitude at the corner."""
    if corner >= rate / 2:
        raise ValueError(f"preprocess.high_pass must be below half the rate, {rate / 2} Hz, got {corner}")
    return sosfiltfilt(butter(_ORDER, corner, "highpass", fs=rate, output="sos"), data, axis=0)
