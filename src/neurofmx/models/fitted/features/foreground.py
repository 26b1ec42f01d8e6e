"""What stands out from the background of a film: how much of it there is, and where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurofmx.models.fitted.features.oscillations import Features

_BRIGHTEST = 99.5  # percentile of the difference to the background that counts as surely in front of it
_SHARE = 0.25  # of that difference: what is less is noise


@dataclass(frozen=True, eq=False)
class Foreground(Features):
    """Amount and centre of what differs from the median picture, in every frame of a window.

    Single pixels say little to a linear model: where an animal never went in training, a pixel has no weight. Where an
    animal is, is the mean over the pixels that it covers, and that is linear in its place.

    Args:
        background: Median picture of the training windows, shape `(rows, columns, colours)`.
        threshold: Difference below which a pixel belongs to the background, shape `(1,)`.

    Source:
        The background by a median, and the place as centre of the pixels in front of it: Piccardi 2004, "Background
        subtraction techniques: a review", IEEE SMC, section 2.3.
    """

    background: np.ndarray
    threshold: np.ndarray

    @classmethod
    def fit(cls, x: np.ndarray, y: np.ndarray, *, grid: tuple[int, ...]) -> Foreground:
        """Learn background and threshold from the last frame of each window.

        Args:
            x: Windows, shape `(n, frames * rows, columns * colours)`.
            y: Answers, not used.
            grid: Shape of a picture, `(rows, columns)` or `(rows, columns, 3)`.
        """
        last = _pictures(x[:, -grid[0] :], grid)[:, 0]
        background = np.median(last, axis=0)
        difference = np.abs(last - background).mean(axis=3)
        return cls(background, np.array([_SHARE * np.percentile(difference, _BRIGHTEST)]))

    def transform(self, x: np.ndarray) -> np.ndarray:
        """Windows as rows `(n, frames * 3)`: sum of the difference, and column and row of its centre, pixels.

        A frame without foreground has its centre in the middle of the picture.
        """
        rows, columns, _ = self.background.shape
        difference = np.abs(_pictures(x, self.background.shape) - self.background).mean(axis=4)
        difference[difference < self.threshold[0]] = 0.0
        mass = difference.sum(axis=(2, 3))
        shares = difference / np.where(mass > 0, mass, 1.0)[..., None, None]
        column, row = (shares.sum(axis=axis) @ (np.arange(n) - (n - 1) / 2) for axis, n in ((2, columns), (3, rows)))
        return np.stack([mass, column, row], axis=2).reshape(len(x), -1)


def _pictures(x: np.ndarray, grid: tuple[int, ...]) -> np.ndarray:
    """Windows as pictures `(n, frames, rows, columns, colours)`."""
    return np.asarray(x, np.float64).reshape(len(x), -1, grid[0], grid[1], grid[2] if len(grid) == 3 else 1)
