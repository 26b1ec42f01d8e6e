"""Sound files: WAV of any width, as shares of full scale."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import IO

import numpy as np
import scipy  # loads scipy.io when it is used

from neurofmx.recordings.recording import Signal


def read_wav(file: Path | IO[bytes], *, name: str) -> Signal:
    """Read a WAV file.

    Args:
        file: A file, or its open bytes.
        name: What to call it in messages.

    Returns:
        Sound `(time, channels)` from -1 to 1 in single precision; the channels are named `1`, `2`, ...

    Raises:
        ValueError: If the file is no WAV file, is truncated, or holds no sample.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "Reached EOF prematurely", scipy.io.wavfile.WavFileWarning)
            # notes beside the sound
            warnings.filterwarnings("ignore", "Chunk .* not understood", scipy.io.wavfile.WavFileWarning)
            rate, samples = scipy.io.wavfile.read(file)
    except Exception as error:  # in a damaged header SciPy stumbles in many ways, also over names it never set
        raise ValueError(f"{name} is truncated or no WAV file ({error}); delete it and download again") from error
    if not len(samples):
        raise ValueError(f"{name} holds no sample; delete it and download again")
    sound = _full_scale(samples.reshape(len(samples), -1))
    return Signal(sound, float(rate), "full scale", tuple(str(i + 1) for i in range(sound.shape[1])))


def _full_scale(samples: np.ndarray) -> np.ndarray:
    """Whole numbers as shares of the largest one; 8 bits lie around 128, floating point is a share already."""
    if samples.dtype.kind == "f":
        return samples.astype(np.float32)
    if samples.dtype == np.uint8:
        return (samples.astype(np.float32) - 128) / 128
    return (samples / -float(np.iinfo(samples.dtype).min)).astype(np.float32)
