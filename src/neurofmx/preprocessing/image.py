"""Images: grey values scaled to 0..1."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from neurofmx.recording import Recording


class ImageOptions(BaseModel):
    """How images are scaled; part `preprocess` of a dataset's block."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    invert: bool = Field(default=False, description="exchange black and white")


def preprocess(recordings: Iterable[Recording], options: ImageOptions) -> list[Recording]:
    """Scale grey values by the range of their format, which is known beforehand and so leaks nothing.

    Args:
        recordings: Recordings with a signal `image (time, height, width)` and the array `range`, the lowest and
            highest grey value of the format.
        options: What to do.

    Returns:
        The same recordings with `image` in 0..1, single precision.

    Raises:
        ValueError: If a value is not finite or lies outside the range.
    """
    return [_scale(recording, invert=options.invert) for recording in recordings]


def _scale(recording: Recording, *, invert: bool) -> Recording:
    """One recording."""
    image = recording.signal("image")
    low, high = recording.array("range").tolist()
    if not ((image.data >= low) & (image.data <= high)).all():  # also false for NaN
        raise ValueError(
            f"recording {recording.name}, signal image: values must be finite and lie in its range {low}..{high}, "
            f"got {np.min(image.data)}..{np.max(image.data)}; correct the raw data or the range of its reader"
        )
    unit = (image.data.astype(np.float32) - low) / (high - low)
    return recording.with_signal("image", replace(image, data=1 - unit if invert else unit, unit="1"))
