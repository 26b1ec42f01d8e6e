"""The sound of a film, on the clock of its pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neurofmx.recordings.film import open_film
from neurofmx.recordings.timeline import Signal

if TYPE_CHECKING:
    from av.container import InputContainer

GAP = 0.02  # s: time stamps of films are rounded, and none of their sounds is that short


def soundtrack(path: Path | str) -> Signal:
    """Decode the first track of sound of a film.

    Args:
        path: A film of any format that FFmpeg reads.

    Returns:
        Sound `(time, channels)` from -1 to 1 in single precision, its channels named `1`, `2`, ...; time 0 is when the
        film's first picture is shown.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is no film, is damaged, has no sound, or its sound breaks off and goes on later.
    """
    from av.error import FFmpegError

    try:
        with open_film(path) as container:
            zero = _first_shown(container, path)
        with open_film(path) as container:
            if not container.streams.audio:
                raise ValueError(f"{path} holds no sound; take a film with sound, or read its pictures alone")
            rate = container.streams.audio[0].rate
            begin, count, parts = None, 0, list[np.ndarray]()
            for time, part in _parts(container, path):
                begin = time if begin is None else begin
                reached = begin + count / rate
                if abs(time - reached) > GAP:
                    raise ValueError(
                        f"{path}: its sound breaks off {reached - zero:.3f} s after the first picture and goes on at "
                        f"{time - zero:.3f} s; cut the film there"
                    )
                parts.append(part)
                count += len(part)
    except FFmpegError as error:
        raise ValueError(f"{path}: its sound is damaged ({error}); delete it and download again") from error
    if begin is None or not count:
        raise ValueError(f"{path}: its track of sound is empty; take a film with sound, or read its pictures alone")
    sound = np.concatenate(parts)
    return Signal(sound, float(rate), "full scale", tuple(str(i + 1) for i in range(sound.shape[1])), begin - zero)


def _first_shown(container: InputContainer, path: Path | str) -> float:
    """Time stamp of the first picture, s."""
    frame = next(container.decode(video=0), None)
    if frame is None or frame.time is None:
        raise ValueError(f"{path}: its pictures have no time stamps; copy it into a container that keeps them")
    return float(frame.time)


def _parts(container: InputContainer, path: Path | str) -> Iterator[tuple[float, np.ndarray]]:
    """Time stamp, s, and samples `(time, channels)` of what is decoded at a time."""
    from av.audio.resampler import AudioResampler

    to_shares = AudioResampler(format="fltp")
    for frame in container.decode(audio=0):
        if frame.time is None:
            raise ValueError(f"{path}: its sound has no time stamps; copy it into a container that keeps them")
        # a change of format keeps nothing back, so that a frame gives all of its samples
        yield float(frame.time), np.concatenate([each.to_ndarray() for each in to_shares.resample(frame)], axis=1).T
