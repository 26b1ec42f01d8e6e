"""Video: frames at a fixed rate, grey or in colour, cropped and made smaller."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from neurofmx.preprocessing.steps.alignment import aligned, shared_span
from neurofmx.recordings.film import Frame, Scaling, frame_rate, frames
from neurofmx.recordings.recording import Recording, Signal

FILM = "film"  # name of the array that holds the path of a film that is yet to be decoded
_ROUNDING = 1e-6  # s: time stamps of films are rounded

Pixels = Annotated[int, Field(ge=1)]
Position = Annotated[int, Field(ge=0)]


class VideoOptions(BaseModel):
    """How video becomes pictures; part `preprocess` of a dataset's block."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    rate: float | None = Field(default=10.0, gt=0, description="pictures a second, Hz; none keeps the film's")
    crop: tuple[Position, Position, Pixels, Pixels] | None = Field(
        default=None, description="first row, first column, rows and columns to keep, pixels of the film; none for all"
    )
    size: tuple[Pixels, Pixels] | None = Field(
        default=(48, 64), description="rows and columns to scale to, by the mean over the area; none keeps the size"
    )
    grey: bool = Field(default=True, description="grey values instead of red, green and blue")


def preprocess(recordings: Iterable[Recording], options: VideoOptions) -> list[Recording]:
    """Make the pictures of every recording small, one frame in memory at a time.

    Picture k, at time `k / rate` from the start, is the last frame shown by then, never a later one. Pictures cover
    the time that the film and all signals have in common.

    Args:
        recordings: Recordings with the array `film`, the path of a film whose first frame is shown at time 0; or with
            a signal `video (time, height, width)`, or `(time, height, width, 3)`, of values 0 to 255.
        options: What to do.

    Returns:
        Recordings with the signal `video (time, rows, columns)`, `(time, rows, columns, 3)` in colour, 0..1 in single
        precision; every other signal at the pictures' times. The film's path is gone.

    Raises:
        FileNotFoundError: If the film is missing.
        ValueError: If the film is damaged, the crop leaves its pictures, or nothing is common to all signals.
    """
    return [_shrunk(recording, options) for recording in recordings]


def regular(shown: Iterable[Frame], *, begin: float, end: float, rate: float, lasting: float) -> Iterator[np.ndarray]:
    """Pictures at regular times: each the last frame shown by then.

    Args:
        shown: Frames in order of time, the first no later than `begin`; one is held at a time.
        begin: Time of the first picture, s.
        end: Time before which the last picture lies, s.
        rate: Pictures a second, Hz.
        lasting: How long the last frame is shown, s.

    Yields:
        The pictures.
    """
    count, held, last = 0, None, begin
    for frame in shown:
        while held is not None and begin + count / rate < min(end, frame.time) - _ROUNDING:
            yield held
            count += 1
        if begin + count / rate >= end - _ROUNDING:
            return
        held, last = frame.picture, frame.time
    while held is not None and begin + count / rate < min(end, last + lasting) - _ROUNDING:
        yield held
        count += 1


def _shrunk(recording: Recording, options: VideoOptions) -> Recording:
    """One recording."""
    native, start, shown = _source(recording, options)
    others = replace(recording, signals={name: s for name, s in recording.signals.items() if name != "video"})
    begin, end = shared_span(others) if others.signals else (start, np.inf)
    begin, rate = max(start, begin), options.rate or native
    pictures = regular(shown, begin=begin, end=end, rate=rate, lasting=1 / native)
    scaling = Scaling(grey=options.grey, size=options.size)
    small = [scaling(_cropped(picture, options, where=recording.name)) for picture in pictures]
    if not small:
        raise ValueError(f"recording {recording.name}: no picture lies in the time that all signals cover; slice it")
    video = Signal(np.divide(np.stack(small), 255, dtype=np.float32), rate, "1", (), begin)
    arrays = {name: array for name, array in recording.arrays.items() if name != FILM}
    return replace(recording, signals={**aligned(others, video, times=video.times), "video": video}, arrays=arrays)


def _source(recording: Recording, options: VideoOptions) -> tuple[float, float, Iterator[Frame]]:
    """Rate, start and frames of a film or of a signal."""
    if FILM in recording.arrays:
        path = str(recording.array(FILM).item())
        size = options.size if options.crop is None else None  # scaled while it is decoded, where nothing is cut off
        return frame_rate(path), 0.0, frames(path, grey=options.grey, size=size)
    video = recording.signal("video")
    return video.rate, video.start, (Frame(*pair) for pair in zip(video.times.tolist(), video.data, strict=True))


def _cropped(picture: np.ndarray, options: VideoOptions, *, where: str) -> np.ndarray:
    """What is kept of one picture."""
    if options.crop is None:
        return picture
    row, column, rows, columns = options.crop
    height, width = picture.shape[:2]
    if row + rows > height or column + columns > width:
        raise ValueError(
            f"recording {where}: preprocess.crop={list(options.crop)} leaves the pictures of {height} x {width}"
        )
    return picture[row : row + rows, column : column + columns]
