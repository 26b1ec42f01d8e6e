"""fMRI: from volumes to detrended, standardised voxels or parcels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import scipy  # loads scipy.signal, half a second, when it is used
from pydantic import BaseModel, ConfigDict, Field, field_validator

from neurofmx.preprocessing.steps.atlas import SCHAEFER, Atlas, load_atlas
from neurofmx.preprocessing.steps.checks import Bad, screen
from neurofmx.preprocessing.steps.confounds import choose, regress_out
from neurofmx.recordings.recording import Recording, Signal

_ORDER = 5  # of the Butterworth high-pass, run forwards and backwards


class FmriOptions(BaseModel):
    """How volumes become features; part `preprocess` of a dataset's block."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mask: bool = Field(default=True, description="keep the voxels of the recording's mask, not the whole grid")
    atlas: str | None = Field(
        default=None, description="means over parcels instead of voxels: `schaefer400`, or the path of a label image"
    )
    confounds: tuple[str, ...] = Field(
        default=(), description="columns of the recording's confounds to regress out; `*` stands for anything"
    )
    detrend: bool = Field(default=True, description="remove the linear trend of every voxel in every run")
    high_pass: float | None = Field(default=None, gt=0, description="corner of a zero-phase Butterworth high-pass, Hz")
    standardize: bool = Field(default=True, description="zero mean and unit variance per voxel and run")
    bad: Bad = Field(default="error", description="constant or non-finite voxels: `error`, or `drop` them everywhere")

    @field_validator("atlas")
    @classmethod
    def _is_there(cls, atlas: str | None) -> str | None:
        if atlas is not None and atlas != SCHAEFER and not Path(atlas).is_file():
            raise ValueError(f"no such file; give {SCHAEFER}, the path of a NIfTI label image, or null for voxels")
        return atlas


def preprocess(recordings: Iterable[Recording], options: FmriOptions) -> list[Recording]:
    """Clean every run on its own, so that nothing passes from a test run to a training run.

    Args:
        recordings: Recordings with a signal `bold (time, x, y, z)` and the arrays `mask` and `affine`; a generator is
            read one recording at a time, and only its features stay in memory.
        options: What to do.

    Returns:
        The same recordings with `bold (time, features)`; features are named `voxel-x-y-z` or `parcel-label`. With an
        atlas there is also the array `bold_positions (features, 3)`, the centre of every parcel in m.

    Raises:
        ConnectionError: If the atlas cannot be had.
        ValueError: If the signal is no volume, a voxel is unusable, the atlas does not meet the image, or the confounds
            are not those that are asked for. A parcel without a voxel in the image counts as unusable: see `bad`.
    """
    atlas = None if options.atlas is None else load_atlas(options.atlas)
    # map keeps no hold of a recording, as a loop's variable would while the next one is read
    chosen = map(partial(_selected, options=options, atlas=atlas), recordings)
    usable = screen(chosen, "bold", bad=options.bad, option="preprocess.bad")
    clean = [recording.with_signal("bold", _clean(recording, options)) for recording in usable]
    return clean if atlas is None else _with_positions(clean, atlas)


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
    shares = 1 / np.bincount(parcel, minlength=len(found))
    members = scipy.sparse.csr_array(
        (shares[parcel], (parcel, np.arange(len(parcel)))), shape=(len(found), len(parcel))
    )
    return (members @ volumes[:, inside].T).T, found


def _selected(recording: Recording, *, options: FmriOptions, atlas: Atlas | None) -> Recording:
    """The recording with features in place of volumes."""
    return recording.with_signal("bold", _select(recording, options, atlas))


def _select(recording: Recording, options: FmriOptions, atlas: Atlas | None) -> Signal:
    """From the image grid to named columns."""
    bold = recording.signal("bold")
    if bold.data.ndim != 4:
        raise ValueError(f"recording {recording.name}: bold must be (time, x, y, z), got shape {bold.data.shape}")
    grid = bold.data.shape[1:]
    optional = atlas is not None and "mask" not in recording.arrays  # an atlas says by itself what to keep
    mask = recording.array("mask").astype(bool) if options.mask and not optional else np.ones(grid, bool)
    if mask.shape != grid:
        raise ValueError(f"recording {recording.name}: mask must have the grid {grid} of bold, got {mask.shape}")
    if atlas is not None:
        return _parcels(recording, bold, atlas, mask, name=str(options.atlas))
    names = tuple("voxel-" + "-".join(map(str, position)) for position in np.argwhere(mask))
    return replace(bold, data=bold.data[:, mask], channels=names)


def _parcels(recording: Recording, bold: Signal, atlas: Atlas, mask: np.ndarray, *, name: str) -> Signal:
    """Means over an atlas that is brought to the image's grid by nearest neighbour; NaN for what no voxel reaches."""
    from nilearn.image import resample_img  # imported here: a second that only an atlas needs

    affine, grid = recording.array("affine"), bold.data.shape[1:]
    image = resample_img(atlas.image, affine, grid, interpolation="nearest", force_resample=True, copy_header=True)
    means, labels = parcel_means(bold.data, np.rint(np.asanyarray(image.dataobj)).astype(int) * mask)
    if not len(labels):
        raise ValueError(f"recording {recording.name}: no parcel of {name} lies in the image; is it in its space?")
    data = np.full((len(means), len(atlas.names)), np.nan)
    data[:, np.searchsorted(list(atlas.names), labels)] = means
    return replace(bold, data=data, channels=tuple(f"parcel-{name}" for name in atlas.names.values()))


def _with_positions(recordings: list[Recording], atlas: Atlas) -> list[Recording]:
    """Add where the parcels that are left lie."""
    labels = np.rint(np.asanyarray(atlas.image.dataobj)).astype(int)
    places = np.argwhere(labels > 0)
    parcel = np.searchsorted(list(atlas.names), labels[labels > 0])
    count = np.bincount(parcel)[:, None]
    sums = np.stack([np.bincount(parcel, weights=axis) for axis in places.T], axis=1)
    affine = np.asarray(atlas.image.affine)
    metres = (sums / count @ affine[:3, :3].T + affine[:3, 3]) / 1000  # from mm
    known = {f"parcel-{name}": row for name, row in zip(atlas.names.values(), metres, strict=True)}
    return [
        replace(one, arrays=one.arrays | {"bold_positions": np.stack([known[c] for c in one.signal("bold").channels])})
        for one in recordings
    ]


def _clean(recording: Recording, options: FmriOptions) -> Signal:
    """Detrend, filter, take confounds out and standardise, in time; the confounds are detrended and filtered alike."""
    bold = recording.signal("bold")
    data = _drift(bold.data.astype(np.float64), options, rate=bold.rate)
    if options.confounds:
        confounds = choose(recording, options.confounds, option="preprocess.confounds")
        data = regress_out(data, _drift(confounds, options, rate=bold.rate))
    if options.standardize:
        data = (data - data.mean(axis=0)) / data.std(axis=0)
    return replace(bold, data=data.astype(np.float32), unit="z" if options.standardize else bold.unit)


def _drift(data: np.ndarray, options: FmriOptions, *, rate: float) -> np.ndarray:
    """Remove lines and slow waves."""
    if options.detrend:
        data = scipy.signal.detrend(data, axis=0)
    return data if options.high_pass is None else _high_pass(data, options.high_pass, rate=rate)


def _high_pass(data: np.ndarray, corner: float, *, rate: float) -> np.ndarray:
    """A Butterworth filter in both directions, which leaves no delay and half the amplitude at the corner."""
    if corner >= rate / 2:
        raise ValueError(f"preprocess.high_pass must be below half the rate, {rate / 2} Hz, got {corner}")
    high_pass = scipy.signal.butter(_ORDER, corner, "highpass", fs=rate, output="sos")
    return scipy.signal.sosfiltfilt(high_pass, data, axis=0)
