"""The course of a sound does not depend on how slowly it goes, nor on what pads it."""

import numpy as np
import pytest
from scipy.fft import dct

from neurofmx.models.fitted.features.course import Course, sound_length

RNG = np.random.default_rng(0)


def fitted(x: np.ndarray, **options) -> Course:
    return Course.fit(x, np.zeros(len(x)), **options)


def naive(sound: np.ndarray, parts: int) -> np.ndarray:
    """Means of equal parts, with every sample cut into as many pieces as there are parts."""
    return np.repeat(sound, parts, axis=0).reshape(parts, len(sound), -1).mean(axis=1)


@pytest.mark.parametrize("length", [1, 4, 10, 13, 37])
def test_parts_are_means_over_equal_shares_of_the_sound(length: int) -> None:
    x = np.zeros((1, 40, 6))
    x[0, :length] = RNG.normal(size=(length, 6))
    rows = fitted(x, parts=4, coefficients=6).transform(x)
    np.testing.assert_allclose(rows, dct(naive(x[0, :length], 4), norm="ortho").reshape(1, -1), atol=1e-12)


def test_a_sound_at_half_the_speed_is_the_same() -> None:
    sound = RNG.normal(size=(15, 20))
    x = np.zeros((2, 60, 20))
    x[0, :15], x[1, :30] = sound, np.repeat(sound, 2, axis=0)
    fast, slow = fitted(x).transform(x)
    np.testing.assert_allclose(fast, slow)
    assert len(fast) == 10 * 13


def test_what_pads_a_window_is_left_out() -> None:
    x = RNG.normal(size=(3, 30, 4))
    padded = np.concatenate([x, np.zeros((3, 25, 4))], axis=1)
    np.testing.assert_allclose(fitted(padded).transform(padded), fitted(x).transform(x), atol=1e-12)
    assert sound_length(padded).tolist() == [30, 30, 30]


def test_silence_and_short_windows_are_finite() -> None:
    assert sound_length(np.zeros((2, 5, 3))).tolist() == [1, 1]
    x = RNG.normal(size=(2, 3, 2))
    assert fitted(x).transform(x).shape == (2, 3 * 2)
    np.testing.assert_array_equal(fitted(x).transform(np.zeros((1, 3, 2))), 0)
