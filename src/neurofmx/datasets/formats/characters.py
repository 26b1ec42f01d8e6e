"""A text file as a signal of characters."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from neurofmx.recordings.recording import Signal


def read_characters(path: Path) -> Signal:
    """The code points of a UTF-8 file, one character a second by convention; line ends stay as they are.

    Args:
        path: The file.

    Returns:
        A signal `(characters,)` of numbers from 0 to 0x10FFFF.

    Raises:
        ValueError: If the file is empty or no UTF-8.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name}: is no UTF-8 (byte {error.start}); download it again") from error
    if not text:
        raise ValueError(f"{path.name}: is empty; download it again")
    return Signal(np.frombuffer(text.encode("utf-32-le"), "<u4"), 1.0, "character", ("character",))
