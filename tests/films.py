"""Films with known pictures, written by FFmpeg's lossless codecs."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def write_film(path: Path, pictures: np.ndarray, times_ms: Sequence[int]) -> None:
    """Write pictures `(time, rows, columns)`, or `(time, rows, columns, 3)`, to be shown from the given times on."""
    colours = pictures.ndim == 4
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=Fraction(1000, int(np.median(np.diff(times_ms)))))
        stream.height, stream.width = pictures.shape[1:3]
        stream.pix_fmt = "bgr0" if colours else "gray"
        stream.codec_context.time_base = Fraction(1, 1000)
        for picture, time in zip(pictures, times_ms, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24" if colours else "gray")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
