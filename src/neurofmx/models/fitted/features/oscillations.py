"""What a linear model reads of a window: samples as they are, or what they say about oscillations.

Each kind learns a few arrays from training windows and afterwards needs numpy only. Symbols: n windows, t samples,
c channels; `X (t, c)` one window, `S = X'X / t` its covariance. Samples that pad a short window are 0 in all channels
(`Windows.scaled`): a covariance leaves them out, and among flat samples they say no more than the mean.

A channel that a window's recording lacks is NaN from its first sample on. Among flat samples it is at its mean, 0. As
no power is not the mean power, a covariance takes it for a channel of the mean variance of those that there are,
related to none of them, and in each band it has the mean log power of the others.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np


class Features(ABC):
    """Turns windows into rows of numbers.

    `SHARED_UNIT` says whether the numbers of a row are coordinates of one space: they are then standardised with one
    scale for all, as scaling each by itself would bend that space.
    """

    SHARED_UNIT: ClassVar[bool] = False

    @abstractmethod
    def transform(self, x: np.ndarray) -> np.ndarray:
        """Windows `(n, t, c)` as rows `(n, features)`, float64."""

    def arrays(self) -> dict[str, np.ndarray]:
        """What was learnt, by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class Flat(Features):
    """Every sample of every channel, time by time."""

    @classmethod
    def fit(cls, x: np.ndarray, y: np.ndarray) -> Flat:
        """Learns nothing; the same call as for the other kinds."""
        return cls()

    def transform(self, x: np.ndarray) -> np.ndarray:
        """Windows `(n, t, c)` as rows `(n, t * c)`."""
        return np.asarray(at_mean(x), np.float64).reshape(len(x), -1)


@dataclass(frozen=True, eq=False)
class CommonSpatialPatterns(Features):
    """Logarithm of the power behind spatial filters that tell the classes apart.

    Args:
        filters: Spatial filters, shape `(filters, c)`.

    Source:
        Blankertz et al. 2008, Optimizing spatial filters for robust EEG single-trial analysis, equations 1 to 4.
    """

    filters: np.ndarray

    @classmethod
    def fit(cls, x: np.ndarray, y: np.ndarray, *, components: int = 4) -> CommonSpatialPatterns:
        """Learn the filters with MNE.

        Args:
            x: Windows, shape `(n, t, c)`.
            y: Labels, shape `(n,)`.
            components: Filters to keep, 1 to c.
        """
        from mne.decoding import CSP
        from mne.utils import use_log_level

        with use_log_level("ERROR"):
            csp = CSP(n_components=components, reg="oas").fit(_channels_first(at_mean(x)), y)
        return cls(np.asarray(csp.filters_)[:components])

    def transform(self, x: np.ndarray) -> np.ndarray:
        """Windows `(n, t, c)` as log power `(n, filters)`."""
        sources = np.einsum("fc,ntc->nft", self.filters, np.asarray(at_mean(x), np.float64))
        return np.log(np.mean(sources**2, axis=2))


@dataclass(frozen=True, eq=False)
class TangentSpace(Features):
    """Covariances of the channels, seen from their Riemannian mean as points of a flat space.

    Args:
        reference: Riemannian mean of the training covariances, shape `(c, c)`.

    Source:
        Barachant et al. 2012, Multiclass brain-computer interface classification by Riemannian geometry, equations 9
        and 13; the shrinkage is Chen et al. 2010, Shrinkage algorithms for MMSE covariance estimation, equation 23.
    """

    SHARED_UNIT: ClassVar[bool] = True

    reference: np.ndarray

    @classmethod
    def fit(cls, x: np.ndarray, y: np.ndarray) -> TangentSpace:
        """Learn the mean of the windows `(n, t, c)` with pyRiemann; the labels are not used."""
        from pyriemann.utils import mean_riemann

        return cls(np.asarray(mean_riemann(shrunk_covariances(x))))

    def transform(self, x: np.ndarray) -> np.ndarray:
        """Windows `(n, t, c)` as rows `(n, c * (c + 1) / 2)`."""
        whitener = _of_eigenvalues(self.reference, lambda values: values**-0.5)
        whitened = whitener @ shrunk_covariances(x) @ whitener
        rows, columns = np.triu_indices(len(self.reference))
        weight = np.where(rows == columns, 1.0, np.sqrt(2.0))  # keeps the length: off-diagonals stand for two
        return weight * _of_eigenvalues(whitened, np.log)[:, rows, columns]


@dataclass(frozen=True, eq=False)
class BandPower(Features):
    """Logarithm of each channel's power in bands that are a quarter of an octave wide, or one line where that is less.

    The bands follow from the window's length alone, so they suit every rate: the lowest holds one cycle a window, the
    highest ends at half the rate.

    Args:
        edges: First spectral line of each band, and one past the last line, shape `(bands + 1,)`.

    Source:
        Welch 1967, The use of fast Fourier transform for the estimation of power spectra, with one Hann segment.
    """

    edges: np.ndarray

    @classmethod
    def fit(cls, x: np.ndarray, y: np.ndarray) -> BandPower:
        """Learns the length of windows `(n, t, c)` alone."""
        return cls(band_edges(x.shape[1]))

    def transform(self, x: np.ndarray) -> np.ndarray:
        """Windows `(n, t, c)` as log power `(n, bands * c)`."""
        there = present(x)
        x = at_mean(x)
        centred = np.asarray(x, np.float64) - np.mean(x, axis=1, keepdims=True)
        lines = np.fft.rfft(centred * np.hanning(x.shape[1])[:, None], axis=1)
        power = np.add.reduceat(np.abs(lines) ** 2, self.edges[:-1], axis=1)
        mean = power / np.diff(self.edges)[:, None] / x.shape[1]
        log = np.log(mean + 1e-12)
        if not there.all():
            others = np.mean(log, axis=2, keepdims=True, where=there[:, None])
            log = np.where(there[:, None], log, others)
        return log.reshape(len(x), -1)


def present(x: np.ndarray) -> np.ndarray:
    """Which channels the recording of each window has `(n, c)`, bool: those that are not NaN from the first sample on.

    Args:
        x: Windows, shape `(n, t, c)`.

    Example:
        >>> present(np.array([[[1.0, np.nan], [2.0, np.nan]]])).tolist()
        [[True, False]]
    """
    return ~np.isnan(x[:, 0])


def at_mean(x: np.ndarray) -> np.ndarray:
    """Windows `(n, t, c)` with channels that a recording lacks at their mean, 0; the same array where it has all."""
    there = present(x)
    return x if there.all() else np.where(there[:, None], x, x.dtype.type(0))


def band_edges(samples: int) -> np.ndarray:
    """First spectral line of each band of a window, and one past the last line.

    Example:
        >>> band_edges(40).tolist()
        [1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 13, 16, 19, 21]
    """
    lines = samples // 2 + 1
    edges = np.unique(np.round(2 ** np.arange(0, np.log2(max(lines, 2)), 0.25)).astype(int))
    return np.append(edges[edges < lines], lines) if lines > 1 else np.array([0, 1])


def shrunk_covariances(x: np.ndarray) -> np.ndarray:
    """Covariance of each window's channels, pulled towards a multiple of the identity so that it has full rank.

    Args:
        x: Windows, shape `(n, t, c)`; samples that are 0 in all channels pad a short window and do not count, channels
            of NaN are absent.

    Returns:
        Oracle-approximating shrunk covariances, shape `(n, c, c)`; an absent channel has the mean variance of the
        others, and 0 with them.

    Source:
        Chen et al. 2010, Shrinkage algorithms for MMSE covariance estimation, equation 23.
    """
    there = present(x)
    if there.all():
        return _shrunk(x)
    found = np.zeros((len(x), x.shape[2], x.shape[2]))
    for pattern in np.unique(there, axis=0):
        rows, kept, lost = (np.flatnonzero(each) for each in ((there == pattern).all(1), pattern, ~pattern))
        some = _shrunk(x[np.ix_(rows, np.arange(x.shape[1]), kept)])
        found[np.ix_(rows, kept, kept)] = some
        found[rows[:, None], lost, lost] = np.trace(some, axis1=1, axis2=2)[:, None] / len(kept)
    return found


def _shrunk(x: np.ndarray) -> np.ndarray:
    """The same of windows whose recordings have all channels."""
    recorded = np.any(x != 0, axis=2, keepdims=True)
    t, c = recorded.sum(axis=1, keepdims=True), x.shape[2]
    total = np.asarray(x, np.float64)
    centred = (total - total.sum(axis=1, keepdims=True) / t) * recorded
    covariance = np.einsum("nti,ntj->nij", centred, centred, optimize=True) / t
    scale = np.trace(covariance, axis1=1, axis2=2)[:, None, None] / c
    mean_square = np.mean(covariance**2, axis=(1, 2))[:, None, None]
    needed = mean_square + scale**2
    offered = (t + 1) * (mean_square - scale**2 / c)
    shrinkage = np.minimum(needed / np.maximum(offered, np.finfo(float).tiny), 1.0)
    return (1 - shrinkage) * covariance + shrinkage * scale * np.eye(c)


def _of_eigenvalues(matrices: np.ndarray, function) -> np.ndarray:
    """Apply a function to symmetric matrices `(..., c, c)`."""
    values, vectors = np.linalg.eigh(matrices)
    return (vectors * function(values)[..., None, :]) @ np.swapaxes(vectors, -1, -2)


def _channels_first(x: np.ndarray) -> np.ndarray:
    """Windows `(n, t, c)` as MNE and pyRiemann take them, `(n, c, t)`."""
    return np.ascontiguousarray(np.swapaxes(x, 1, 2), np.float64)
