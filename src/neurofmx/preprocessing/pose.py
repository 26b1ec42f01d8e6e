"""Poses: keypoints that were seen, gaps bridged and marked, places relative to the body."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from typing import Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from neurofmx.preprocessing.steps.checks import Bad
from neurofmx.recordings.recording import Recording, Signal

MEASURED = "pose_measured"  # name of the mask beside the pose
_log = logging.getLogger(__name__)


class PoseOptions(BaseModel):
    """How keypoints are cleaned; part `preprocess` of a dataset's block."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    min_confidence: float = Field(default=0.6, ge=0, le=1, description="a place of lower confidence counts as not seen")
    max_gap: float | None = Field(default=None, ge=0, description="longest gap that is bridged, s; none for any length")
    min_seen: float = Field(default=0.5, ge=0, le=1, description="share of frames in which a keypoint must be seen")
    bad: Bad = Field(
        default="drop", description="keypoints seen less, or with a longer gap: `drop` them everywhere, or `error`"
    )
    centre: tuple[str, ...] = Field(
        default=(), description="keypoints whose mean is the origin; none keeps the picture's"
    )
    length: tuple[str, str] | None = Field(
        default=None,
        description="keypoints whose median distance over the recording is the unit; none keeps the picture's",
    )
    heading: tuple[str, str] | None = Field(
        default=None, description="keypoints, rear and front, along which the first axis points; planar poses only"
    )

    @model_validator(mode="after")
    def _about_the_body(self) -> Self:
        """Turning needs a point to turn about."""
        if self.heading is not None and not self.centre:
            raise ValueError("heading needs centre, the keypoints to turn about")
        for name in ("length", "heading"):
            if (pair := getattr(self, name)) is not None and pair[0] == pair[1]:
                raise ValueError(f"{name} must name two different keypoints, got {pair[0]} twice")
        return self


def preprocess(recordings: Iterable[Recording], options: PoseOptions) -> list[Recording]:
    """Clean the keypoints of every recording.

    Args:
        recordings: Recordings with a signal `pose (time, keypoints * axes)`, channels named `<keypoint>-<axis>` with
            the axes of a keypoint side by side, NaN where nothing was seen; and where known a signal `confidence
            (time, keypoints)`, 0 to 1, whose channels are the keypoints.
        options: What to do.

    Returns:
        The same recordings with `pose` free of gaps, and `pose_measured (time, keypoints)`, 1 where a place was seen
        and 0 where it was interpolated (before the first and after the last sight: held).

    Raises:
        ValueError: If a keypoint is seen too rarely and `bad` is `error`, none is left, or one that an option names is
            missing.
    """
    gated = [_gate(recording, options) for recording in recordings]
    gone = _rarely_seen(gated, options)
    return [_finish(recording, gone, options) for recording in gated]


def keypoints(pose: Signal) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the keypoints and of the axes of a pose.

    Args:
        pose: Signal with channels `<keypoint>-<axis>`.

    Returns:
        Keypoints and axes, in the order of the channels.

    Raises:
        ValueError: If the channels are not every keypoint with every axis, side by side.

    Example:
        >>> keypoints(Signal(np.zeros((1, 4)), 30.0, "px", ("snout-x", "snout-y", "tail-x", "tail-y")))
        (('snout', 'tail'), ('x', 'y'))
    """
    split = [name.rpartition("-") for name in pose.channels]
    names, axes = (tuple(dict.fromkeys(part[i] for part in split)) for i in (0, 2))
    if pose.channels != tuple(f"{name}-{axis}" for name in names for axis in axes):
        raise ValueError(
            f"pose: channels must be <keypoint>-<axis>, the axes of a keypoint side by side, got {pose.channels[:4]}..."
        )
    return names, axes


def bridge(values: np.ndarray) -> np.ndarray:
    """Interpolate NaN linearly in time; before the first and after the last value, hold it.

    Args:
        values: Places `(time, ...)`, each column with at least one value.

    Returns:
        The same without NaN, float64.
    """
    columns, time = values.reshape(len(values), -1), np.arange(len(values))
    filled = np.empty(columns.shape)
    for k, column in enumerate(columns.T):
        known = ~np.isnan(column)
        filled[:, k] = np.interp(time, time[known], column[known])
    return filled.reshape(values.shape)


def longest_gap(seen: np.ndarray) -> int:
    """Length of the longest run of False, samples.

    Example:
        >>> longest_gap(np.array([True, False, False, True, False]))
        2
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], ~seen, [False]]).astype(np.int8)))
    return int(max((edges[1::2] - edges[::2]), default=0))


def _gate(recording: Recording, options: PoseOptions) -> Recording:
    """NaN where a keypoint was not seen well."""
    pose = recording.signal("pose")
    names, axes = keypoints(pose)
    places = np.array(pose.data, np.result_type(pose.data.dtype, np.float32))  # changed below, in this copy alone
    places = places.reshape(len(places), len(names), len(axes))
    seen = np.asarray(np.isfinite(places).all(axis=2))
    if "confidence" in recording.signals:
        confidence = recording.signal("confidence")
        if confidence.channels != names or len(confidence.data) != len(places):
            raise ValueError(
                f"recording {recording.name}: confidence must have a sample and a channel for every keypoint of pose"
            )
        seen &= np.asarray(confidence.data) >= options.min_confidence
    places[~seen] = np.nan
    return recording.with_signal("pose", replace(pose, data=places.reshape(pose.data.shape)))


def _rarely_seen(recordings: list[Recording], options: PoseOptions) -> set[str]:
    """Keypoints that are left out everywhere, or the refusal to."""
    gone: set[str] = set()
    for recording in recordings:
        for name, reason in _reasons(recording, options).items():
            if options.bad == "error":
                raise ValueError(
                    f"recording {recording.name}: keypoint {name} {reason}; loosen preprocess.min_seen, max_gap or "
                    f"min_confidence, or set preprocess.bad=drop to leave it out everywhere"
                )
            gone.add(name)
    if gone:
        _log.warning("dropped %d keypoints that are rarely seen: %s", len(gone), ", ".join(sorted(gone)))
    return gone


def _reasons(recording: Recording, options: PoseOptions) -> dict[str, str]:
    """What is wrong with which keypoint."""
    pose = recording.signal("pose")
    names, axes = keypoints(pose)
    seen = np.isfinite(pose.data[:, :: len(axes)])
    found = {}
    for name, column in zip(names, seen.T, strict=True):
        gap = longest_gap(column) / pose.rate
        if not column.any() or column.mean() < options.min_seen:
            found[name] = f"is seen in {column.mean():.0%} of the frames, below min_seen={options.min_seen:.0%}"
        elif options.max_gap is not None and gap > options.max_gap:
            found[name] = f"has a gap of {gap:.3g} s, above max_gap={options.max_gap:g} s"
    return found


def _finish(recording: Recording, gone: set[str], options: PoseOptions) -> Recording:
    """Leave out, bridge, mark and normalise."""
    pose = recording.signal("pose")
    names, axes = keypoints(pose)
    kept = [index for index, name in enumerate(names) if name not in gone]
    if not kept:
        raise ValueError(
            f"recording {recording.name}: no keypoint is seen well enough; lower preprocess.min_seen or min_confidence"
        )
    places = pose.data.reshape(len(pose.data), len(names), len(axes))
    places = places if len(kept) == len(names) else places[:, kept]
    left = tuple(names[index] for index in kept)
    seen = replace(pose, data=np.isfinite(places[:, :, 0]).astype(np.float32), unit="1", channels=left)
    placed = _about_body(bridge(places), left, options, where=recording.name).reshape(len(places), -1)
    unit = pose.unit if options.length is None else f"distance {options.length[0]} to {options.length[1]}"
    channels = tuple(f"{name}-{axis}" for name in left for axis in axes)
    clean = replace(pose, data=placed.astype(np.float32), unit=unit, channels=channels)
    others = {name: signal for name, signal in recording.signals.items() if name != "confidence"}
    return replace(recording, signals=others | {"pose": clean, MEASURED: seen})


def _about_body(places: np.ndarray, names: tuple[str, ...], options: PoseOptions, *, where: str) -> np.ndarray:
    """Places `(time, keypoints, axes)` relative to the body: moved, turned and scaled."""
    wanted = {*options.centre, *(options.length or ()), *(options.heading or ())}
    if missing := sorted(wanted - set(names)):
        raise ValueError(
            f"recording {where}: preprocess names the keypoints {', '.join(missing)}, there are {', '.join(names)}"
        )
    at = {name: places[:, index] for index, name in enumerate(names)}
    moved = places
    if options.centre:
        moved = places - np.mean([at[name] for name in options.centre], axis=0)[:, None]
    if options.heading is not None:
        moved = _turned(moved, at[options.heading[1]] - at[options.heading[0]], where=where)
    if options.length is not None:
        unit = np.median(np.linalg.norm(at[options.length[1]] - at[options.length[0]], axis=1))
        moved = moved / _positive(unit, options.length, where=where)
    return moved


def _turned(places: np.ndarray, heading: np.ndarray, *, where: str) -> np.ndarray:
    """Turn every frame so that its heading `(time, 2)` points along the first axis."""
    if heading.shape[1] != 2:
        raise ValueError(f"recording {where}: preprocess.heading needs a planar pose, got {heading.shape[1]} axes")
    angle = np.arctan2(heading[:, 1], heading[:, 0])
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    x, y = places[..., 0], places[..., 1]
    return np.stack([cos * x + sin * y, cos * y - sin * x], axis=2)


def _positive(unit: float, pair: tuple[str, str], *, where: str) -> float:
    """A length to divide by."""
    if unit <= 0:
        raise ValueError(
            f"recording {where}: preprocess.length: {pair[0]} and {pair[1]} lie on each other; take others"
        )
    return unit
