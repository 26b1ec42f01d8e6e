"""What moves in front of a background is found, in grey and in colour."""

import numpy as np
import pytest

from neurofmx.models.fitted.features.foreground import Foreground

RNG = np.random.default_rng(0)
ROWS, COLUMNS = 12, 20


def film(places: np.ndarray, *, colours: int = 1) -> np.ndarray:
    """A square of 3 by 3 pixels at `(windows, frames, 2)` rows and columns, before a textured background."""
    background = RNG.uniform(0, 5, (ROWS, COLUMNS, colours))
    noise = RNG.normal(0, 0.01, (*places.shape[:2], ROWS, COLUMNS, colours))
    pictures = background + noise
    for window, frame in np.ndindex(places.shape[:2]):
        row, column = places[window, frame]
        pictures[window, frame, row : row + 3, column : column + 3] -= 10
    return pictures.reshape(len(places), places.shape[1] * ROWS, COLUMNS * colours)


@pytest.mark.parametrize("colours", [1, 3])
def test_the_centre_of_what_differs_is_its_place(colours: int) -> None:
    places = np.stack([RNG.integers(0, ROWS - 2, (80, 2)), RNG.integers(0, COLUMNS - 2, (80, 2))], axis=2)
    x = film(places, colours=colours)
    kind = Foreground.fit(x, np.zeros(80), grid=(ROWS, COLUMNS) if colours == 1 else (ROWS, COLUMNS, colours))
    mass, column, row = np.moveaxis(kind.transform(x).reshape(80, 2, 3), 2, 0)
    np.testing.assert_allclose(mass, 90, rtol=0.01)
    np.testing.assert_allclose(row, places[..., 0] + 1 - (ROWS - 1) / 2, atol=0.01)
    np.testing.assert_allclose(column, places[..., 1] + 1 - (COLUMNS - 1) / 2, atol=0.01)


def test_an_empty_scene_has_its_centre_in_the_middle() -> None:
    places = np.stack([RNG.integers(0, ROWS - 2, (40, 1)), RNG.integers(0, COLUMNS - 2, (40, 1))], axis=2)
    kind = Foreground.fit(film(places), np.zeros(40), grid=(ROWS, COLUMNS))
    np.testing.assert_array_equal(kind.transform(kind.background.reshape(1, ROWS, COLUMNS)), 0)
