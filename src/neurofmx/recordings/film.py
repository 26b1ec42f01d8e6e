"""Frames of a film, one at a time: a film of minutes would not fit into memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer

Size = tuple[int, int]


class Frame(NamedTuple):
    """One picture of a film.

    Args:
        time: When it is shown, s from the film's first frame.
        picture: Values 0 to 255, `(height, width)` in grey or `(height, width, 3)` in red, green and blue.
    """

    time: float
    picture: np.ndarray


def frames(path: Path | str, *, grey: bool, size: Size | None = None) -> Iterator[Frame]:
    """Decode a film frame by frame, in the order in which they are shown.

    Args:
        path: A film of any format that FFmpeg reads.
        grey: Whether to give grey values instead of colours.
        size: Rows and columns to scale to, by the mean over the area; default the film's own.

    Yields:
        The frames; each is an array of its own.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is no film, is damaged, or its frames have no time stamps.
    """
    from av.error import FFmpegError

    first, shown, scaling = None, 0, Scaling(grey=grey, size=size)
    with open_film(path) as container:
        container.streams.video[0].thread_type = "AUTO"  # several frames at a time: the pictures are the same
        try:
            for frame in container.decode(video=0):
                if frame.pts is None or frame.time_base is None:
                    raise ValueError(
                        f"{path}: its frames have no time stamps; copy it into a container that keeps them"
                    )
                first = frame.pts if first is None else first
                yield Frame(float((frame.pts - first) * frame.time_base), scaling.decoded(frame))
                shown += 1
        except FFmpegError as error:
            raise ValueError(
                f"{path} is damaged after frame {shown} ({error}); delete it and download again"
            ) from error


def frame_rate(path: Path | str) -> float:
    """Mean rate of a film, frames a second.

    Args:
        path: A film of any format that FFmpeg reads.

    Returns:
        The rate, Hz.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is no film or states no rate.
    """
    with open_film(path) as container:
        rate = container.streams.video[0].average_rate
        if not rate:
            raise ValueError(f"{path}: the film states no frame rate; copy it into a container that keeps it")
        return float(rate)


class Scaling:
    """Colour and size of pictures, one after the other: what the first needs to be set up serves all of its form.

    Args:
        grey: Whether to turn colours into grey values; a grey picture stays grey.
        size: Rows and columns to scale to, by the mean over the area; default each picture's own.
    """

    def __init__(self, *, grey: bool, size: Size | None = None) -> None:
        from av.video.reformatter import VideoReformatter

        self.grey, self.size = grey, size
        self._reformatter = VideoReformatter()

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """Scale a picture of values 0 to 255, `(height, width)` or `(height, width, 3)`.

        Returns:
            Values 0 to 255, `(rows, columns)` or `(rows, columns, 3)`.
        """
        from av import VideoFrame

        colours = picture.ndim == 3
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(picture, np.uint8), "rgb24" if colours else "gray")
        return self._shaped(frame, grey=self.grey or not colours)

    def decoded(self, frame: VideoFrame) -> np.ndarray:
        """Scale a frame of a film; values as of a picture."""
        return self._shaped(frame, grey=self.grey)

    def _shaped(self, frame: VideoFrame, *, grey: bool) -> np.ndarray:
        from av.video.reformatter import Interpolation

        height, width = self.size or (frame.height, frame.width)
        wanted = {"width": width, "height": height, "format": "gray" if grey else "rgb24"}
        return self._reformatter.reformat(frame, **wanted, interpolation=Interpolation.AREA).to_ndarray()


def open_film(path: Path | str) -> InputContainer:
    """An open film; whoever opens it closes it.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, or holds no pictures.
    """
    import av
    from av.error import FFmpegError

    if not Path(path).is_file():
        raise FileNotFoundError(f"no film {path}; run the stage that downloads it (`dvc repro`)")
    try:
        container = av.open(str(path))
    except FFmpegError as error:
        raise ValueError(f"{path} is damaged or no film ({error}); delete it and download again") from error
    if not container.streams.video:
        container.close()
        raise ValueError(f"{path} holds no pictures; name a film")
    return container
