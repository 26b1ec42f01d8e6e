"""Recordings of noise in every modality, as large as wanted, to be cleaned by `benchmarks.preprocessing`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from neurofmx.recordings.recording import Events, Recording, Signal, opened, save

MIB = 2**20


@dataclass(frozen=True)
class Case:
    """A recording of one modality and how it is cleaned.

    Args:
        rate: Samples a second, Hz.
        shape: Channels, cells or keypoints; rows and columns of a picture; or voxels of a volume `(x, y, z)`.
        unit: What the shape counts.
        options: Options of the modality's preprocessing.
        make: Writes a recording of about that many bytes and returns its length in s.
        open: Opens what was written, its signals left in the file where the preprocessing streams.
    """

    rate: float
    shape: tuple[int, ...]
    unit: str
    options: Mapping[str, Any]
    make: Callable[[Case, Path, int], float]
    open: Callable[[Path], AbstractContextManager[list[Recording]]] = opened

    @property
    def size(self) -> str:
        """In words; spikes have times in place of a rate."""
        return f"{'x'.join(map(str, self.shape))} {self.unit}" + (f", {self.rate:g} Hz" if self.rate else "")


class Noise:
    """Float32 noise that is never held as a whole: the same 2^20 values over and over, each time a little larger."""

    def __init__(self, shape: tuple[int, ...], *, mean: float = 0.0) -> None:
        self.shape, self.ndim, self.dtype = shape, len(shape), np.dtype(np.float32)
        self._values = np.random.default_rng(0).normal(loc=mean, size=MIB).astype(np.float32)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: slice) -> np.ndarray:
        first, last, _ = index.indices(len(self))
        row = int(np.prod(self.shape[1:]))
        place = np.arange(first * row, last * row)
        return (self._values[place % MIB] * (1 + place // MIB * 1e-3)).astype(np.float32).reshape(-1, *self.shape[1:])


def _channels(case: Case, path: Path, size: int, *, signal: str, unit: str, mean: float = 0.0) -> float:
    """Channels of noise, 60 s or more."""
    samples = max(int(60 * case.rate), size // (4 * case.shape[0]))
    names = tuple(f"A{k + 1}" for k in range(case.shape[0]))
    made = Signal(Noise((samples, *case.shape), mean=mean), case.rate, unit, names)  # type: ignore[arg-type]
    save(path, [Recording("made", "1", {signal: made})])
    return made.duration


def _volumes(case: Case, path: Path, size: int) -> float:
    """Volumes of noise, half of whose voxels are brain."""
    volumes = max(50, size // (4 * int(np.prod(case.shape))))
    signal = Signal(Noise((volumes, *case.shape)), case.rate, "a.u.", ())  # type: ignore[arg-type]
    mask = np.arange(int(np.prod(case.shape))).reshape(case.shape) % 2 == 0
    save(path, [Recording("made", "1", {"bold": signal}, arrays={"mask": mask, "affine": np.eye(4)})])
    return signal.duration


def _spikes(case: Case, path: Path, size: int) -> float:
    """Poisson spikes, 10 a second and unit, at 16 bytes a spike."""
    rng, units = np.random.default_rng(0), case.shape[0]
    count = size // 16
    seconds = count / (10 * units)
    times = np.sort(rng.uniform(0, seconds, count))
    events = Events(times, rng.integers(0, units, count), tuple(f"u{k}" for k in range(units)))
    save(path, [Recording("made", "1", events={"spikes": events})])
    return seconds


def _poses(case: Case, path: Path, size: int) -> float:
    """Places of keypoints in two dimensions, of which a tenth of the confidences is too low."""
    (count,) = case.shape
    samples = max(int(60 * case.rate), size // (12 * count))
    names = tuple(f"k{k}" for k in range(count))
    axes = tuple(f"{name}-{axis}" for name in names for axis in "xy")
    sure = np.random.default_rng(0).uniform(0.55, 1.0, (samples, count)).astype(np.float32)
    places = Signal(Noise((samples, 2 * count)), case.rate, "px", axes)  # type: ignore[arg-type]
    save(path, [Recording("made", "1", {"pose": places, "confidence": Signal(sure, case.rate, "1", names)})])
    return places.duration


def _film(case: Case, path: Path, size: int) -> float:
    """A film beside the recording: grey noise, four pixels wide, which a usual codec packs as it packs fur."""
    import av

    rng, film, count = np.random.default_rng(0), path.with_suffix(".mp4"), 0
    rows, columns = case.shape
    with av.open(str(film), "w") as container:
        stream = container.add_stream("mpeg4", rate=int(case.rate))
        stream.height, stream.width, stream.pix_fmt, stream.bit_rate = rows, columns, "yuv420p", 20_000_000
        written = 0
        while written < size or count < case.rate:
            picture = rng.integers(0, 256, (rows // 4, columns // 4), np.uint8).repeat(4, 0).repeat(4, 1)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, "gray")):
                container.mux(packet)
                written += packet.size
            count += 1
        container.mux(stream.encode(None))
    save(path, [Recording("made", "1", arrays={"film": np.array(str(film))})])
    return count / case.rate


@contextmanager
def _in_memory(path: Path) -> Iterator[list[Recording]]:
    """For preprocessing that takes a recording as a whole."""
    from neurofmx.recordings.recording import load

    yield load(path)


def _voltage(name: str) -> Callable[[Case, Path, int], float]:
    return partial(_channels, signal=name, unit="V")


_SOUND = partial(_channels, signal="audio", unit="1")
_MONTAGE = {"notch": 50.0, "reference": "bipolar", "high": 200.0, "rate": 500.0}

CASES: dict[str, Case] = {
    "audio": Case(16e3, (1,), "channel", {}, _SOUND),
    "calcium": Case(30.0, (300,), "cells", {}, partial(_channels, signal="calcium", unit="1", mean=20.0)),
    "ecog": Case(1000.0, (128,), "channels", {}, _voltage("ecog")),
    "eeg": Case(500.0, (64,), "channels", {}, _voltage("eeg")),
    "emg": Case(2000.0, (16,), "channels", {"rate": 200.0}, _voltage("emg")),
    "fmri": Case(0.5, (40, 48, 40), "voxels", {}, _volumes, _in_memory),
    "ieeg": Case(1000.0, (256,), "channels", _MONTAGE, _voltage("ieeg")),
    "lfp": Case(1250.0, (64,), "channels", {}, _voltage("lfp")),
    "pose": Case(100.0, (20,), "keypoints", {}, _poses, _in_memory),
    "spikes": Case(0.0, (200,), "units", {}, _spikes),
    "ultrasonic": Case(250e3, (1,), "channel", {}, _SOUND),
    "video": Case(30.0, (480, 640), "pixels", {}, _film, _in_memory),
    "vocalization": Case(32e3, (1,), "channel", {}, _SOUND),
}
