"""Filters of finite reach: a sample of their output depends on that many samples before and after it, and no others.

So a long recording can be filtered a piece at a time, with the same result as the whole: read the piece with its
neighbourhood, filter, cut the neighbourhood off. At the true ends of a recording each filter continues the signal by
its reflection through the end point, as MNE does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import scipy  # loads scipy.signal, half a second, when it is used


@dataclass(frozen=True)
class Step:
    """A filter.

    Args:
        apply: Maps rows `(channels, time)` to as many.
        reach: Samples that the output depends on, on each side.
    """

    apply: Callable[[np.ndarray], np.ndarray]
    reach: int


def band_pass(low: float | None, high: float | None, *, rate: float) -> Step:
    """Keep a band of frequencies, at their time.

    Args:
        low: Lower edge, Hz; none for no high-pass.
        high: Upper edge, Hz; none for no low-pass.
        rate: Sampling rate, Hz.

    Source:
        Widmann et al. 2015, Digital filter design for electrophysiological data; MNE's windowed sinc of zero phase,
        with its transitions: a quarter of the edge, at least 2 Hz and at most what lies beyond the edge.
    """
    from mne.filter import create_filter, filter_data  # imported here: a second that only voltages need

    kernel = create_filter(None, rate, low, high, verbose="ERROR")
    return Step(lambda rows: filter_data(rows, rate, low, high, verbose="ERROR"), len(kernel) // 2)


def notch(frequency: float, *, harmonics: bool, rate: float) -> Step:
    """Remove the mains, and its multiples up to half the rate.

    Args:
        frequency: Of the mains, Hz.
        harmonics: Whether its multiples go as well.
        rate: Sampling rate, Hz.
    """
    from mne.filter import create_filter, notch_filter

    lines = mains_lines(frequency, harmonics=harmonics, rate=rate)
    below, above = (lines * (1 + side / 400) + side / 2 for side in (-1, 1))  # the band stop that MNE makes of them
    edges: dict[str, Any] = {"l_trans_bandwidth": 0.5, "h_trans_bandwidth": 0.5}
    kernel = create_filter(None, rate, list(above), list(below), **edges, verbose="ERROR")
    return Step(lambda rows: notch_filter(rows, rate, lines, verbose="ERROR"), len(kernel) // 2)


def mains_lines(frequency: float, *, harmonics: bool, rate: float) -> np.ndarray:
    """The frequency, and its multiples whose notch still fits below half the rate.

    Example:
        >>> mains_lines(60.0, harmonics=True, rate=500.0).tolist()
        [60.0, 120.0, 180.0, 240.0]
    """
    multiples = np.arange(1, max(2, int(rate / 2 / frequency) + 1)) * frequency
    fits = multiples * (1 + 1 / 400) + 1 < rate / 2
    fits[0] = True
    return multiples[fits] if harmonics else multiples[:1]


def envelope(low: float, high: float | None, *, rate: float, log: bool = False) -> Step:
    """Amplitude of a band: the length of the analytic signal, whose imaginary part is the Hilbert transform.

    Args:
        low: Lower edge of the band, Hz, above 0.
        high: Upper edge, Hz; none for half the rate.
        rate: Sampling rate, Hz.
        log: Whether to give the natural logarithm of the power, the amplitude squared.

    Source:
        Oppenheim and Schafer, Discrete-Time Signal Processing, section 12.4: the windowed ideal transformer. It is as
        long as the distance of the band from 0 Hz and from half the rate asks for; within that distance it fades.
    """
    room = low if high is None else min(low, rate / 2 - high)
    reach = int(np.ceil(3.3 * rate / room / 2))
    lag = np.arange(-reach, reach + 1)
    ideal = np.divide(2, np.pi * lag, where=lag % 2 == 1, out=np.zeros(len(lag)))
    kernel = (ideal * np.hamming(len(lag)))[None]

    def apply(rows: np.ndarray) -> np.ndarray:
        turned = scipy.signal.oaconvolve(reflected(rows, reach), kernel, mode="valid", axes=-1)
        power = rows**2 + turned**2
        return np.log(np.maximum(power, np.finfo(np.float32).tiny)) if log else np.sqrt(power)

    return Step(apply, reach)


def reflected(rows: np.ndarray, reach: int) -> np.ndarray:
    """Continue rows `(channels, time)` by `reach` samples at both ends, by reflection through the end point."""
    pad = min(reach, rows.shape[1] - 1)
    longer = np.pad(rows, ((0, 0), (pad, pad)), mode="reflect", reflect_type="odd")
    return np.pad(longer, ((0, 0), (reach - pad, reach - pad)), mode="edge")


@dataclass(frozen=True)
class Resampling:
    """A change of rate by a whole ratio in a polyphase filter: FFT resampling of padded data stretches time.

    Args:
        up: Samples after, in lowest terms.
        down: Samples before.
    """

    up: int
    down: int

    @classmethod
    def between(cls, old: float, new: float, *, option: str = "preprocess.rate") -> Resampling:
        """From a rate to another, Hz; raises ValueError, naming the option, if no whole ratio up to 1000 joins them."""
        ratio = Fraction(new / old).limit_denominator(1000)
        if not ratio or abs(float(ratio) * old - new) > 1e-9 * new:
            raise ValueError(
                f"{option} must be a ratio of whole numbers up to 1000 times the recording's {old:g} Hz, got {new:g}"
            )
        return cls(ratio.numerator, ratio.denominator)

    @property
    def reach(self) -> int:
        """Samples before that a sample after depends on, on each side."""
        return 0 if self.up == self.down else 10 * max(self.up, self.down) // self.up + 1

    def length(self, samples: int) -> int:
        """Samples after, of so many before."""
        return -(-samples * self.up // self.down)

    def apply(self, rows: np.ndarray) -> np.ndarray:
        """Rows `(channels, time)` at the new rate."""
        return rows if self.up == self.down else scipy.signal.resample_poly(rows, self.up, self.down, axis=1)


def total_reach(steps: Sequence[Step]) -> int:
    """Samples that all steps after one another depend on, on each side."""
    return sum(step.reach for step in steps)
