"""Simulated sessions in bins, and the truth behind every bin.

A bin is 50 ms long: counts of spikes, means of LFP, EEG and fluorescence, the logarithm of the mean square of EMG. Bins
share no sample, so what is hidden in one bin is in no other, and the noise of a bin is that of its own samples.

Spikes and fluorescence of one unit would give each other away beyond any rate. So electrodes record the units of even
number, and the microscope sees those of odd number.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import scipy  # loads scipy.signal, half a second, when it is used

from neurofmx.datasets.simulated import CALCIUM_DECAY, RATE, TRIAL, TURN, TURNS, Simulated, tuned_rate
from neurofmx.recordings.recording import Events, Recording, Signal, Source

STREAMS = ("spikes", "lfp", "eeg", "emg", "calcium")
BIN = 10  # samples
BINS = RATE / BIN  # bins a second, Hz
DECAY = float(np.exp(-1 / (CALCIUM_DECAY * RATE)))  # of fluorescence, in a sample


class Tuning(NamedTuple):
    """Von Mises tuning of units to the heading.

    Args:
        preferred_direction: Angle of the highest rate `(units,)`, rad.
        concentration: Sharpness `(units,)`.
        peak_rate: Highest rate `(units,)`, Hz.
    """

    preferred_direction: np.ndarray
    concentration: np.ndarray
    peak_rate: np.ndarray

    def rate(self, heading: np.ndarray) -> np.ndarray:
        """Rates `(..., units)` at angles `(...)`, Hz."""
        flat = tuned_rate(np.ravel(heading), **self._asdict())
        return flat.reshape(*np.shape(heading), len(self.peak_rate))

    def of(self, units: np.ndarray) -> Tuning:
        """The tuning of some units."""
        return Tuning(*(part[units] for part in self))


@dataclass(frozen=True, eq=False)
class Truth:
    """What a session was made of, sample by sample at `RATE`.

    Args:
        heading: Angle, with whole turns added up `(time,)`, rad.
        wander: Speed of turning about its mean `(time,)`, rad/s.
        way: Which way the trial turns, -1 or 1, `(time,)`.
        latent: The coupled latents `(time, 3)`.
        fluorescence: Of each cell, without the noise of the microscope `(time, cells)`.
        expected_fluorescence: Its mean over all spikes that the true rates could have drawn `(time, cells)`.
        spiking: Tuning of the units whose spikes are recorded.
        imaged: Tuning of the cells whose fluorescence is.
        mixing: Of `lfp` and `eeg`, weights of the latents and the heading's cosine and sine `(channels, 5)`.
        noise: Standard deviation of the noise of a sample of `lfp`, `eeg` and `calcium`.
    """

    heading: np.ndarray
    wander: np.ndarray
    way: np.ndarray
    latent: np.ndarray
    fluorescence: np.ndarray
    expected_fluorescence: np.ndarray
    spiking: Tuning
    imaged: Tuning
    mixing: dict[str, np.ndarray]
    noise: float

    def trial(self, sample: np.ndarray) -> np.ndarray:
        """Number of the trial that samples lie in."""
        return np.asarray(sample) // round(TRIAL * RATE)

    def begins(self, sample: np.ndarray) -> np.ndarray:
        """Whether a trial begins with samples."""
        return self.trial(sample) != self.trial(sample - 1)


class Session(NamedTuple):
    """One session.

    Args:
        recording: Signals of `STREAMS` in bins, and `head_direction` at the end of the bin before each.
        truth: What it was made of.
    """

    recording: Recording
    truth: Truth


def simulate(*, seed: int, minutes: float, units: int, noise: float) -> Session:
    """One simulated session; arguments as of `neurofmx.datasets.simulated.Simulated`.

    Returns:
        Its bins and its truth; the same arguments give the same numbers.
    """
    made = Simulated(seed=seed, minutes=minutes, units=units, noise=noise)
    (recording,) = made.generate()
    truth = truth_of(recording, noise=noise)
    spikes, cells = halves(units)
    samples = len(truth.heading) // BIN * BIN
    raw = {name: np.asarray(recording.signal(name).data[:samples], np.float64) for name in ("lfp", "eeg", "emg")}
    raw["calcium"] = np.asarray(recording.signal("calcium").data[:samples, cells], np.float64)
    counts = _counted(recording.event("spikes"), samples)[:, spikes]
    last = np.maximum(np.arange(0, samples, BIN) - 1, 0)
    binned = {
        "spikes": in_bins(counts).sum(1),
        "emg": np.log(np.mean(in_bins(raw["emg"]) ** 2, axis=1)),
        **{name: in_bins(raw[name]).mean(1) for name in ("lfp", "eeg", "calcium")},
        "head_direction": truth.heading[last] % (2 * np.pi),
    }
    signals = {name: _signal(name, data) for name, data in binned.items()}
    # no file was read: what the options say stands for it
    source = Source(recording.session, hashlib.sha256(made.model_dump_json().encode()).hexdigest())
    return Session(replace(recording, signals=signals, events={}, arrays={}, sources=(source,)), truth)


def truth_of(recording: Recording, *, noise: float) -> Truth:
    """The truth that stands beside a simulated recording.

    Args:
        recording: One that `Simulated` has generated.
        noise: Its option.
    """
    heading = np.unwrap(recording.signal("head_direction").data)
    speed = np.diff(heading) * RATE
    labels = recording.require_trials().column("label")
    way = np.repeat(2.0 * (labels == TURNS[1]) - 1, round(TRIAL * RATE))[: len(heading)]
    everyone = Tuning(*(recording.array(name) for name in Tuning._fields))
    spikes, cells = halves(len(everyone.peak_rate))
    imaged = everyone.of(cells)
    counts = _counted(recording.event("spikes"), len(heading))[:, cells]
    return Truth(
        heading,
        np.r_[speed[0], speed] - TURN * way,  # nobody knows the speed of the first sample
        way,
        recording.signal("latent").data,
        fluoresced(counts),
        fluoresced(imaged.rate(heading) / RATE),
        everyone.of(spikes),
        imaged,
        {name: recording.array(f"{name}_mixing") for name in ("lfp", "eeg")},
        noise,
    )


def fluoresced(spikes: np.ndarray, *, axis: int = 0) -> np.ndarray:
    """Fluorescence of spikes in samples: each raises it by one, which decays; nothing was there before."""
    return scipy.signal.lfilter([1.0], [1.0, -DECAY], spikes, axis=axis)


def halves(units: int) -> tuple[np.ndarray, np.ndarray]:
    """Units whose spikes are recorded, and those whose fluorescence is."""
    return np.arange(0, units, 2), np.arange(1, units, 2)


def in_bins(samples: np.ndarray) -> np.ndarray:
    """Samples `(time, ...)` as `(bins, BIN, ...)`."""
    return samples.reshape(-1, BIN, *samples.shape[1:])


def _counted(events: Events, samples: int) -> np.ndarray:
    """Spikes of every sample `(time, units)`."""
    index = (events.times * RATE).astype(int)
    inside = index < samples
    counts = np.zeros((samples, len(events.names)))
    np.add.at(counts, (index[inside], events.sources[inside]), 1)
    return counts


def _signal(name: str, data: np.ndarray) -> Signal:
    """A signal in bins."""
    if data.ndim == 1:
        return Signal(data, BINS, "rad", (name,))
    return Signal(data.astype(np.float32), BINS, "a.u.", tuple(f"{name}-{i}" for i in range(data.shape[1])))
