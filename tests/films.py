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


def write_talkie(
    path: Path,
    pictures: np.ndarray,
    sound: np.ndarray,
    *,
    rate: int = 10,
    sound_rate: int = 8000,
    late_s: float = 0.0,
    pause_s: float = 0.0,
    codecs: tuple[str, str] = ("ffv1", "pcm_s16le"),
) -> None:
    """Write grey pictures `(time, rows, columns)` with sound `(samples,)` from -1 to 1, both lossless by default.

    The sound begins `late_s` after the first picture, and its second half `pause_s` later than it should.
    """
    samples, share = np.round(32767 * sound).astype(np.int16)[None], sound_rate // rate
    with av.open(str(path), "w") as container:
        shown, heard = container.add_stream(codecs[0], rate=rate), container.add_stream(codecs[1], rate=sound_rate)
        shown.height, shown.width = pictures.shape[1:]
        shown.pix_fmt = "gray" if codecs[0] == "ffv1" else "yuv420p"
        heard.layout = "mono"
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, "gray").reformat(format=shown.pix_fmt)
            frame.pts, frame.time_base = index, Fraction(1, rate)
            container.mux(shown.encode(frame))
            part = samples[:, index * share : (index + 1) * share]
            if part.size:
                late = late_s + (pause_s if 2 * index >= len(pictures) else 0.0)
                spoken = av.AudioFrame.from_ndarray(part, format="s16", layout="mono")
                spoken.sample_rate, spoken.time_base = sound_rate, Fraction(1, sound_rate)
                spoken.pts = index * share + round(late * sound_rate)
                container.mux(heard.encode(spoken))
        for stream in (shown, heard):
            container.mux(stream.encode(None))
