"""Histograms of oriented gradients and coarse colours: what linear models read of photographs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurofmx.models.fitted.features.oscillations import Features

_BINS = 9
_FINE, _WIDE = 4, 8  # pixels of a cell, on each side
_CLIP = 0.2


@dataclass(frozen=True, eq=False)
class Gradients(Features):
    """Edges in fine cells by their direction, in wide cells by their orientation, and the colours of fine cells.

    Args:
        grid: Shape of a picture, `(rows, columns)` or `(rows, columns, 3)`, as an array `(2,)` or `(3,)`; rows and
            columns are multiples of 8.

    Source:
        Dalal and Triggs 2005, "Histograms of oriented gradients for human detection", CVPR: the strongest colour at
        each pixel, votes shared between two bins, blocks of 2 by 2 cells, normalised, clipped at 0.2 and normalised.
    """

    grid: np.ndarray

    @classmethod
    def fit(cls, x: np.ndarray, y: np.ndarray, *, grid: tuple[int, ...]) -> Gradients:
        """Learns nothing but the shape of a picture.

        Args:
            x: Windows of one picture, shape `(n, rows, columns * colours)`.
            y: Labels, not used.
            grid: Shape of a picture.

        Raises:
            ValueError: If rows or columns are no multiple of 8, or fewer than 16.
        """
        if any(side % _WIDE or side < 2 * _WIDE for side in grid[:2]):
            raise ValueError(
                f"features='gradients' needs pictures of a multiple of {_WIDE} pixels, from {2 * _WIDE} on, got "
                f"{grid[0]} x {grid[1]}: use 'flat'"
            )
        return cls(np.array(grid))

    def transform(self, x: np.ndarray) -> np.ndarray:
        """Windows `(n, rows, columns * colours)` as rows `(n, features)`."""
        rows, columns = self.grid[:2]
        pictures = np.asarray(x, np.float64).reshape(len(x), rows, columns, -1)
        fine = histograms(pictures, cell=_FINE, turn=2 * np.pi)
        wide = histograms(pictures, cell=_WIDE, turn=np.pi)
        colours = _cells(pictures, _FINE) / _FINE**2
        return np.concatenate([part.reshape(len(x), -1) for part in (blocks(fine), blocks(wide), colours)], axis=1)


def histograms(pictures: np.ndarray, *, cell: int, turn: float) -> np.ndarray:
    """How much of each cell's gradient points in which direction.

    Args:
        pictures: Values `(n, rows, columns, colours)`; at each pixel the colour with the largest gradient counts.
        cell: Pixels of a cell, on each side.
        turn: Angle after which directions repeat, rad: 2 pi for directions, pi for orientations.

    Returns:
        Sums of gradient length `(n, rows / cell, columns / cell, 9)`; bin k is centred on `k * turn / 9`, and a
        gradient between two bins is shared between them. The outermost pixels have no gradient across the edge.
    """
    length, angle = _gradient(pictures)
    place = angle % turn / turn * _BINS
    lower = np.floor(place).astype(int)
    share = place - lower
    votes = np.stack(
        [length * ((lower % _BINS == k) * (1 - share) + ((lower + 1) % _BINS == k) * share) for k in range(_BINS)],
        axis=3,
    )
    return _cells(votes, cell)


def blocks(histogram: np.ndarray) -> np.ndarray:
    """Neighbouring cells as vectors of one length, in which contrast and lighting do not count.

    Args:
        histogram: Histograms `(n, r, c, bins)`.

    Returns:
        Vectors `(n, r - 1, c - 1, 4 * bins)` of 2 by 2 cells: length 1, clipped at 0.2, length 1 again; 0 where there
        is no gradient.
    """
    corners = [histogram[:, i : i - 1 or None, j : j - 1 or None] for i in (0, 1) for j in (0, 1)]
    return _unit(np.minimum(_unit(np.concatenate(corners, axis=3)), _CLIP))


def _gradient(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Length and angle of the gradient `(n, rows, columns)`, rows downwards."""
    down, right = np.zeros_like(pictures), np.zeros_like(pictures)
    down[:, 1:-1] = pictures[:, 2:] - pictures[:, :-2]
    right[:, :, 1:-1] = pictures[:, :, 2:] - pictures[:, :, :-2]
    length = np.hypot(down, right)
    strongest = length.argmax(axis=3)[..., None]
    length, down, right = (np.take_along_axis(each, strongest, axis=3)[..., 0] for each in (length, down, right))
    return length, np.arctan2(down, right)


def _cells(values: np.ndarray, cell: int) -> np.ndarray:
    """Sums over cells `(n, rows / cell, columns / cell, k)`."""
    n, rows, columns, k = values.shape
    return values.reshape(n, rows // cell, cell, columns // cell, cell, k).sum(axis=(2, 4))


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors along the last axis brought to length 1; one of a thousandth of the usual contrast or less fades."""
    length = np.sqrt(np.sum(vectors**2, axis=-1, keepdims=True) + 1e-6)
    return vectors / length
