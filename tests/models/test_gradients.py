"""Histograms of oriented gradients against a naive loop, and what they must not notice."""

import math

import numpy as np
import pytest

from neurofmx.models.fitted.features.gradients import Gradients, blocks, histograms

RNG = np.random.default_rng(0)


def naive_histograms(picture: np.ndarray, *, cell: int, turn: float, bins: int = 9) -> np.ndarray:
    """Pixel by pixel."""
    rows, columns, colours = picture.shape
    out = np.zeros((rows // cell, columns // cell, bins))
    for r in range(rows):
        for c in range(columns):
            best = (0.0, 0.0, 0.0)
            for k in range(colours):
                down = picture[r + 1, c, k] - picture[r - 1, c, k] if 0 < r < rows - 1 else 0.0
                right = picture[r, c + 1, k] - picture[r, c - 1, k] if 0 < c < columns - 1 else 0.0
                best = max(best, (math.hypot(down, right), down, right))
            place = math.atan2(best[1], best[2]) % turn / turn * bins
            low = int(place)
            out[r // cell, c // cell, low % bins] += best[0] * (1 - (place - low))
            out[r // cell, c // cell, (low + 1) % bins] += best[0] * (place - low)
    return out


@pytest.mark.parametrize("turn", [np.pi, 2 * np.pi])
def test_histograms_are_those_of_a_loop_over_pixels(turn: float) -> None:
    pictures = RNG.normal(size=(2, 16, 24, 3))
    ours = histograms(pictures, cell=4, turn=turn)
    np.testing.assert_allclose(ours, [naive_histograms(p, cell=4, turn=turn) for p in pictures], atol=1e-12)


def test_a_slope_to_the_right_fills_one_bin() -> None:
    slope = np.broadcast_to(np.arange(16.0)[:, None], (1, 16, 16, 1))
    directions, orientations = (histograms(slope, cell=8, turn=t).sum(axis=(0, 1, 2)) for t in (2 * np.pi, np.pi))
    assert np.flatnonzero(directions).tolist() == np.flatnonzero(orientations).tolist() == [0]
    falling = histograms(-slope, cell=8, turn=2 * np.pi).sum(axis=(0, 1, 2))
    assert np.flatnonzero(falling > 1e-9).tolist() == [4, 5]  # half a turn lies between two of nine bins


def test_blocks_have_one_length_and_forget_contrast() -> None:
    histogram = RNG.uniform(size=(2, 4, 5, 9))
    vectors = blocks(histogram)
    assert vectors.shape == (2, 3, 4, 36)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=3), 1, rtol=1e-5)
    np.testing.assert_allclose(vectors, blocks(100 * histogram), rtol=1e-4)
    spiky = np.zeros((1, 2, 2, 9))
    spiky[..., :2] = [100.0, 1.0]  # 4 cells of 0.5 each after the first step: clipped at 0.2
    clipped = blocks(spiky)[0, 0, 0].reshape(4, 9)[:, 0]
    np.testing.assert_allclose(clipped, 0.2 / np.sqrt(4 * 0.2**2 + 4 * 0.005**2), rtol=1e-3)
    assert not blocks(np.zeros((1, 2, 2, 9))).any()


def test_edges_do_not_change_with_light_but_colours_do() -> None:
    dark = RNG.normal(size=(3, 16, 16, 3))
    bright = 2 * dark + 5
    kind = Gradients.fit(dark.reshape(3, 16, 48), np.zeros(3), grid=(16, 16, 3))
    a, b = kind.transform(dark.reshape(3, 16, 48)), kind.transform(bright.reshape(3, 16, 48))
    edges = 3 * 3 * 36 + 36
    np.testing.assert_allclose(a[:, :edges], b[:, :edges], atol=1e-3)
    np.testing.assert_allclose(2 * a[:, edges:] + 5, b[:, edges:], atol=1e-9)
    np.testing.assert_allclose(a[:, edges:].reshape(3, 4, 4, 3), dark.reshape(3, 4, 4, 4, 4, 3).mean(axis=(2, 4)))


def test_pictures_that_cells_do_not_divide_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"needs pictures of a multiple of 8 pixels, from 16 on, got 28 x 28: use 'flat'"
    ):
        Gradients.fit(np.zeros((1, 28, 28)), np.zeros(1), grid=(28, 28))
