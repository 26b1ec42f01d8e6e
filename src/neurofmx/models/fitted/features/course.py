"""The course of a sound of any length: the shape of its spectrum in equal parts of its own duration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy  # loads scipy.fft when it is used

from neurofmx.models.fitted.features.oscillations import Features, at_mean


@dataclass(frozen=True, eq=False)
class Course(Features):
    """Cepstrum of each of ten equal parts of a window, however long the sound in it is.

    A word said slowly is the same word: linear stretching lays its beginning, middle and end onto each other.

    Args:
        parts: Number of parts, shape `(1,)`.
        coefficients: Coefficients of the cosine transform over channels that are kept, shape `(1,)`.

    Source:
        Sakoe and Chiba 1978, "Dynamic programming algorithm optimization for spoken word recognition", IEEE TASSP 26,
        section 1, names this the linear normalisation of time that their warping refines; the cosine transform is Davis
        and Mermelstein 1980, equation 1.
    """

    parts: np.ndarray
    coefficients: np.ndarray

    @classmethod
    def fit(cls, x: np.ndarray, y: np.ndarray, *, parts: int = 10, coefficients: int = 13) -> Course:
        """Learns nothing but the size of what it is given.

        Args:
            x: Windows, shape `(n, t, c)`.
            y: Labels, not used.
            parts: Number of parts, at least 1.
            coefficients: Coefficients to keep; all of them where there are fewer channels.
        """
        return cls(np.array([min(parts, x.shape[1])]), np.array([min(coefficients, x.shape[2])]))

    def transform(self, x: np.ndarray) -> np.ndarray:
        """Windows `(n, t, c)`, 0 behind the end of the sound, as rows `(n, parts * coefficients)`."""
        parts = int(self.parts[0])
        x = at_mean(x)
        totals = np.cumsum(np.pad(np.asarray(x, np.float64), ((0, 0), (1, 0), (0, 0))), axis=1)
        edges = sound_length(x)[:, None] * np.arange(parts + 1) / parts
        reached = _between(totals, edges)
        means = np.diff(reached, axis=1) / np.diff(edges, axis=1)[..., None]
        shape = np.asarray(scipy.fft.dct(means, axis=2, norm="ortho"))[:, :, : int(self.coefficients[0])]
        return shape.reshape(len(x), -1)


def sound_length(x: np.ndarray) -> np.ndarray:
    """Samples of each window before the zeros that pad it.

    Args:
        x: Windows, shape `(n, t, c)`.

    Returns:
        Lengths `(n,)`, at least 1.

    Example:
        >>> sound_length(np.array([[[1.0], [0.0], [2.0], [0.0]]])).tolist()
        [3]
    """
    there = np.any(x != 0, axis=2)
    return np.maximum(x.shape[1] - np.argmax(there[:, ::-1], axis=1), 1) * np.any(there, axis=1) + ~np.any(
        there, axis=1
    )


def _between(totals: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Running totals `(n, t + 1, c)` at edges `(n, e)` that may lie within a sample, which is then shared out."""
    below = np.minimum(np.floor(edges).astype(int), totals.shape[1] - 1)
    above = np.minimum(below + 1, totals.shape[1] - 1)
    rows = np.arange(len(totals))[:, None]
    share = (edges - below)[..., None]
    return (1 - share) * totals[rows, below] + share * totals[rows, above]
