"""Gaussian smoothing in time, centred or of the past only: for spike counts, calcium events and their like."""

from __future__ import annotations

from typing import Literal

import numpy as np
import scipy  # loads scipy.ndimage when it is used

Smoothing = Literal["none", "centred", "causal"]


def reach(smoothing: Smoothing, *, sigma: float) -> float:
    """How far a sample is mixed with others: `4 sigma`, in the unit of sigma; 0 without smoothing."""
    return 0.0 if smoothing == "none" else 4 * sigma


def smoothed(data: np.ndarray, smoothing: Smoothing, *, sigma: float) -> np.ndarray:
    """Smooth samples, or leave them as they are.

    Args:
        data: Samples `(time, channels)`.
        smoothing: `none`, `centred`, or `causal` (past only).
        sigma: Standard deviation of the kernel, samples.

    Returns:
        Samples `(time, channels)`.
    """
    return data if smoothing == "none" else smooth(data, gaussian_kernel(sigma, causal=smoothing == "causal"))


def gaussian_kernel(sigma: float, *, causal: bool) -> np.ndarray:
    """Weights of a Gaussian smoother.

    Args:
        sigma: Standard deviation, bins.
        causal: Whether the future has no weight.

    Returns:
        Weights `(2 r + 1,)` with sum 1 and `r` the smallest whole number of bins above 4 sigma; weight `r + k` is that
        of `k` bins ago.
    """
    reach = int(np.ceil(4 * sigma))
    lag = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (lag / sigma) ** 2)
    if causal:
        weights[lag < 0] = 0.0
    return weights / weights.sum()


def smooth(data: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Convolve in time; at the ends the weights that fall outside are given to those inside.

    Args:
        data: Samples `(time, channels)`.
        kernel: Weights as `gaussian_kernel` gives them.

    Returns:
        Smoothed samples `(time, channels)`; a constant stays what it is, up to the ends.
    """
    present = scipy.ndimage.convolve1d(np.ones(len(data)), kernel, mode="constant")
    return scipy.ndimage.convolve1d(data.astype(np.float64), kernel, axis=0, mode="constant") / present[:, None]
