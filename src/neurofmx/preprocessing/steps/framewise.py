"""Features of a sound that are made where they are read, some frames at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import numpy as np

from neurofmx.preprocessing.steps.blocks import Blocked
from neurofmx.preprocessing.steps.spectra import frames_of
from neurofmx.recordings.recording import Signal

FRAMES = 1024  # that are in memory at once
Describe = Callable[[np.ndarray], np.ndarray]  # frames (f, length) to features (f, channels)


@final
class Framewise(Blocked):
    """What a function makes of the frames of a sound, 1024 at a time.

    Args:
        sound: Sound `(n, 1)`, in memory or lazy.
        describe: Maps frames `(f, length)` to features `(f, channels)`, each frame by itself.
        channels: Features of a frame.
        length: Samples of a frame.
        hop: Samples from frame to frame.
        dtype: Type of the features.

    Shape:
        `(1 + n // hop, channels)`.
    """

    def __init__(self, sound: Any, describe: Describe, *, channels: int, length: int, hop: int, dtype: Any) -> None:
        super().__init__((1 + len(sound) // hop, channels), dtype, samples=FRAMES)
        self._sound, self._describe, self._length, self._hop = sound, describe, length, hop

    def make(self, first: int, last: int) -> np.ndarray:
        """The features of a block of frames."""
        return self._describe(frames_of(self._sound, first, last, length=self._length, hop=self._hop))


def framewise(
    sound: Signal,
    describe: Describe,
    channels: tuple[str, ...],
    *,
    frames: tuple[int, int],
    unit: str,
    dtype: Any = np.float32,
) -> Signal:
    """Features of a sound as a signal.

    Args:
        sound: Sound `(n, 1)`.
        describe: As for `Framewise`.
        channels: Names of the features.
        frames: Samples of a frame, and from frame to frame.
        unit: Unit of the features.
        dtype: Their type.

    Returns:
        Features `(1 + n // hop, channels)`, made where they are read; the first frame is at the sound's start.
    """
    length, hop = frames
    data = Framewise(sound.data, describe, channels=len(channels), length=length, hop=hop, dtype=dtype)
    return Signal(data, sound.rate / hop, unit, channels, sound.start)  # type: ignore[arg-type]
