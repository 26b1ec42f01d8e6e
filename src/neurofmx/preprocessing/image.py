"""Images: grey values or colours scaled to 0..1."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from neurofmx.recordings.recording import Recording

# share of red, green and blue in brightness, ITU-R BT.601
_BRIGHTNESS = np.array([0.299, 0.587, 0.114], np.float32)


class ImageOptions(BaseModel):
    """How images are scaled; part `preprocess` of a dataset's block."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    invert: bool = Field(default=False, description="exchange black and white")
    grey: bool = Field(default=False, description="turn colours into their brightness; grey images stay as they are")


def preprocess(recordings: Iterable[Recording], options: ImageOptions) -> list[Recording]:
    """Scale values by the range of their format, which is known beforehand and so leaks nothing.

    Args:
        recordings: Recordings with a signal `image (time, height, width)`, or `(time, height, width, 3)` in red, green
            and blue, and the array `range`, the lowest and highest value of the format.
        options: What to do.

    Returns:
        The same recordings with `image` in 0..1, single precision.

    Raises:
        ValueError: If a value is not finite or lies outside the range, or the shape is none of the two.
    """
    return [_scale(recording, options) for recording in recordings]


def _scale(recording: Recording, options: ImageOptions) -> Recording:
    """One recording."""
    image = recording.signal("image")
    colours = image.data.ndim == 4
    if image.data.ndim not in (3, 4) or (colours and image.data.shape[3] != 3):
        raise ValueError(
            f"recording {recording.name}: image must be (time, height, width), or (time, height, width, 3) for red, "
            f"green and blue, got shape {image.data.shape}"
        )
    low, high = recording.array("range").tolist()
    if not ((image.data >= low) & (image.data <= high)).all():  # also false for NaN
        raise ValueError(
            f"recording {recording.name}, signal image: values must be finite and lie in its range {low}..{high}, "
            f"got {np.min(image.data)}..{np.max(image.data)}; correct the raw data or the range of its reader"
        )
    unit = (image.data.astype(np.float32) - low) / (high - low)
    unit = unit @ _BRIGHTNESS if colours and options.grey else unit
    return recording.with_signal("image", replace(image, data=1 - unit if options.invert else unit, unit="1"))
