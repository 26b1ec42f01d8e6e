"""Recordings of one's own as numpy archives: arrays by name, and a rate."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar, Self, final

import numpy as np
from pydantic import Field, model_validator

from neurofmx.datasets.own.base import Found, OwnRecordings
from neurofmx.datasets.own.intervals import Labelled, labelled
from neurofmx.datasets.own.refusal import Refused, choose
from neurofmx.datasets.shared.base import Modality
from neurofmx.recordings.recording import Events, Signal


@final
class Npz(OwnRecordings):
    """Arrays written by `numpy.savez`; one file a recording.

    Args:
        series: Array of samples `(time, channels)`, for images `(time, height, width)`; for spikes the array of their
            times, s.
        units: Spikes: array of the unit of each, any numbers or names.
        rate: Samples a second of `series` (of the target, where the series are spikes), Hz, or the array that holds it.
        unit: Physical unit of the samples, default `V`.
        channels: Array of the channels' names; default `channel-0` and so on.
        range: Images: lowest and highest grey value, default 0 and 255.
        start: Array of the trials' starts, s.
        stop: Array of their ends, s; without it `duration` says how long they last.
        duration: Length of a trial, s, in place of `stop`.
        times: Array of the target's time stamps, s; default one value a sample at `rate`.

    The labels are `target.column`, by default the array `label`; values to decode are `target.series`.
    """

    name: ClassVar[str] = "npz"
    modalities: ClassVar[tuple[Modality, ...]] = ("calcium", "ecog", "eeg", "emg", "ieeg", "image", "lfp", "spikes")
    what: ClassVar[str] = "a numpy archive (.npz)"
    suffixes: ClassVar[tuple[str, ...]] = (".npz",)

    series: str
    units: str | None = None
    rate: float | str | None = None
    unit: str = "V"
    channels: str | None = None
    range: tuple[float, float] = (0.0, 255.0)
    start: str = "start"
    stop: str | None = None
    duration: float | None = Field(default=None, gt=0)
    times: str | None = None

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        """Samples need a rate, trials an end, values one array."""
        if self.units is None and self.rate is None:
            raise ValueError("rate: samples need one, in Hz or as the name of an array; spikes need `units` instead")
        if self.target.kind == "classification" and self.stop is None and self.duration is None:
            raise ValueError("stop: trials need the array of their ends, or a duration in s")
        if len(self.target.series) > 1:
            raise ValueError(f"target.series={list(self.target.series)}: must be one array; its columns are variables")
        if self.target.kind != "classification" and self.rate is None and self.times is None:
            raise ValueError("times: the target needs the array of its time stamps, or a rate")
        return self

    def choose(self, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Every `.npz` file."""
        return {name: () for name in sorted(names) if name.lower().endswith(self.suffixes)}

    def take(self, root: Path, name: str, beside: tuple[str, ...]) -> Found:
        """Read the named arrays, without the pickles that an archive could hold."""
        # opened here, as numpy leaves a file open that it cannot read
        with (root / name).open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = _Arrays(archive)
            brain = self._spikes(arrays) if self.units is not None else self._samples(arrays)
            target = None if self.target.kind == "classification" else self._target(arrays, brain)
            trials = self._trials(arrays) if self.target.kind == "classification" else None
        image = self.signal == "image"
        return Found(brain, target, trials, arrays={"range": np.array(self.range)} if image else {})

    def _samples(self, arrays: _Arrays) -> Signal:
        """The series as a signal."""
        data = arrays.numbers(self.series, "series")
        if data.ndim not in ((3,) if self.signal == "image" else (1, 2)) or not len(data):
            needed = "(time, height, width)" if self.signal == "image" else "(time, channels)"
            raise Refused(f"series={self.series}: its shape must be {needed}, got {data.shape}")
        if data.dtype.kind != "f":
            data = data.astype(np.float32)
        rate = self._rate(arrays)
        if data.ndim == 3:
            return Signal(data, rate, "grey value", ())
        data = data.reshape(len(data), -1)
        if self.channels is None:
            return Signal(data, rate, self.unit, tuple(f"channel-{i}" for i in range(data.shape[1])))
        names = arrays.get(self.channels, "channels").reshape(-1)
        return Signal(data, rate, self.unit, tuple(str(channel) for channel in names))

    def _spikes(self, arrays: _Arrays) -> Events:
        """Times and units as one train a unit."""
        assert self.units is not None
        times, units = arrays.numbers(self.series, "series"), arrays.get(self.units, "units")
        if times.ndim != 1 or times.shape != units.shape or not len(times):
            raise Refused(f"series, units: must be equally long, (spikes,), got {times.shape} and {units.shape}")
        return Events.from_trains({f"unit-{unit}": times[units == unit] for unit in np.unique(units)})

    def _target(self, arrays: _Arrays, brain: Signal | Events) -> Signal:
        """The values to decode, at their own times or those of the series."""
        series = self.target.series[0]
        values = arrays.numbers(series, "target.series")
        if values.ndim not in (1, 2):
            raise Refused(f"target.series={series}: its shape must be (time,) or (time, variables), got {values.shape}")
        if self.times is not None:
            times = arrays.numbers(self.times, "times").astype(np.float64)
        elif isinstance(brain, Signal) and len(values) != len(brain.data):
            raise Refused(
                f"target.series={series}: has {len(values)} values, the series {len(brain.data)} samples; "
                "name the array of its time stamps in `times`"
            )
        else:
            times = np.arange(len(values)) / self._rate(arrays)
        return self.values(times, values)

    def _trials(self, arrays: _Arrays) -> Labelled:
        """The rows of the trials' arrays."""
        start = arrays.numbers(self.start, "start")
        stop = start if self.stop is None else arrays.numbers(self.stop, "stop")
        labels = arrays.get(self.target.column or "label", "target.column")
        if start.ndim != 1 or labels.ndim != 1:
            raise Refused(f"start, target.column: must be (trials,), got {start.shape} and {labels.shape}")
        return labelled(start, stop, labels.tolist(), classes=self.target.classes, duration=self.duration)

    def _rate(self, arrays: _Arrays) -> float:
        """Samples a second."""
        if not isinstance(self.rate, str):
            return float(self.rate or 0)
        rate = arrays.numbers(self.rate, "rate")
        if rate.size != 1:
            raise Refused(f"rate={self.rate}: must hold one number, got shape {rate.shape}")
        return float(rate.reshape(()))


class _Arrays:
    """An open archive, whose arrays are asked for by options."""

    def __init__(self, archive: np.lib.npyio.NpzFile) -> None:
        self._archive = archive

    def get(self, name: str, option: str) -> np.ndarray:
        """An array; raises Refused naming the ones there are."""
        return self._archive[choose(self._archive.files, name, option=option, what="array")]

    def numbers(self, name: str, option: str) -> np.ndarray:
        """An array of numbers."""
        array = self.get(name, option)
        if array.dtype.kind not in "iufb":
            raise Refused(f"{option}={name}: must hold numbers, holds {array.dtype}")
        return array
