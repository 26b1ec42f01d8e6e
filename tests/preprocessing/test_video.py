"""Video: pictures at regular times, never from the future, one in memory at a time."""

import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.films import write_film

from neurofmx.preprocessing.video import VideoOptions, preprocess, regular
from neurofmx.recordings.film import Frame
from neurofmx.recordings.recording import Recording, Signal

RNG = np.random.default_rng(0)
PICTURES = RNG.integers(0, 256, (30, 16, 24), np.uint8)
AS_IT_IS = {"rate": None, "size": None}


def film(tmp_path: Path, pictures: np.ndarray = PICTURES, *, rate: int = 25, **signals: Signal) -> Recording:
    """A recording with a film."""
    write_film(tmp_path / "film.mkv", pictures, range(0, len(pictures) * 1000 // rate, 1000 // rate))
    return Recording("m", "1", signals, arrays={"film": np.array(str(tmp_path / "film.mkv"))})


@pytest.mark.parametrize("rate", [10.0, 25.0, 40.0])
def test_a_picture_is_the_last_one_shown_by_then(rate: float) -> None:
    shown = np.sort(RNG.uniform(0, 2, 50))
    shown[0] = 0.0
    frames = [Frame(time, np.array(index)) for index, time in enumerate(shown)]
    picked = [int(p) for p in regular(frames, begin=0.3, end=1.7, rate=rate, lasting=0.04)]
    naive = [max(i for i, time in enumerate(shown) if time <= 0.3 + k / rate) for k in range(round(1.4 * rate))]
    assert picked == naive


def test_the_last_frame_is_shown_for_as_long_as_the_others() -> None:
    frames = [Frame(time, np.array(time)) for time in (0.0, 0.1, 0.2)]
    assert [float(p) for p in regular(frames, begin=0.0, end=np.inf, rate=20.0, lasting=0.1)] == [
        0,
        0,
        0.1,
        0.1,
        0.2,
        0.2,
    ]


def test_no_more_than_a_few_frames_are_held() -> None:
    alive: list[weakref.ref] = []
    most = 0

    def shown() -> Iterator[Frame]:
        for index in range(50):
            picture = np.zeros((4, 4))
            alive.append(weakref.ref(picture))
            yield Frame(index / 50, picture)

    for _ in regular(shown(), begin=0.0, end=np.inf, rate=20.0, lasting=0.02):
        most = max(most, sum(ref() is not None for ref in alive))
    assert most <= 3


def test_a_film_is_read_as_it_was_written(tmp_path: Path) -> None:
    (done,) = preprocess([film(tmp_path)], VideoOptions(**AS_IT_IS))
    video = done.signal("video")
    np.testing.assert_allclose(video.data, PICTURES / 255, atol=1e-6)
    assert (video.rate, video.unit, video.data.dtype) == (25.0, "1", np.float32)
    assert "film" not in done.arrays, "a path of this machine must not reach the clean file"


def test_crop_size_and_colour(tmp_path: Path) -> None:
    (done,) = preprocess([film(tmp_path)], VideoOptions(rate=None, crop=(4, 8, 8, 12), size=(2, 3)))
    means = PICTURES[:, 4:12, 8:20].reshape(30, 2, 4, 3, 4).mean(axis=(2, 4))
    np.testing.assert_allclose(done.signal("video").data, means / 255, atol=1 / 255)
    coloured = RNG.integers(0, 256, (3, 16, 24, 3), np.uint8)
    (done,) = preprocess([film(tmp_path, coloured)], VideoOptions(grey=False, **AS_IT_IS))
    np.testing.assert_allclose(done.signal("video").data, coloured / 255, atol=1e-6)
    with pytest.raises(ValueError, match=r"preprocess.crop=\[10, 0, 8, 8\] leaves the pictures of 16 x 24"):
        preprocess([film(tmp_path)], VideoOptions(rate=None, crop=(10, 0, 8, 8)))


def test_signals_are_taken_at_the_pictures_times(tmp_path: Path) -> None:
    line = Signal(np.arange(100.0), 100.0, "px", ("x",), 0.2)  # from 0.2 to 1.2 s
    (done,) = preprocess([film(tmp_path, x=line)], VideoOptions(rate=5.0, size=None))
    video, moved = done.signal("video"), done.signal("x")
    np.testing.assert_allclose(video.times, 0.2 + np.arange(5) / 5)
    np.testing.assert_array_equal(moved.times, video.times)
    np.testing.assert_allclose(moved.data, np.arange(5) * 20.0)
    np.testing.assert_allclose(video.data, PICTURES[[5, 10, 15, 20, 25]] / 255, atol=1e-6)


def test_pictures_in_a_signal_are_treated_alike(tmp_path: Path) -> None:
    held = Recording("m", "1", {"video": Signal(PICTURES, 25.0, "grey value", ())})
    for options in (VideoOptions(rate=10.0, size=(4, 6)), VideoOptions(rate=10.0, crop=(0, 0, 8, 8), size=(4, 4))):
        ours, oracle = (preprocess([r], options)[0].signal("video") for r in (held, film(tmp_path)))
        np.testing.assert_allclose(ours.data, oracle.data, atol=1e-6)


def test_a_time_without_pictures_is_refused(tmp_path: Path) -> None:
    late = Signal(np.zeros(10), 10.0, "px", ("x",), 7.0)
    with pytest.raises(ValueError, match=r"recording m/1: no picture lies in the time that all signals cover"):
        preprocess([film(tmp_path, x=late)], VideoOptions(size=None))


def test_the_real_mouse_is_dark_where_it_is_said_to_be(read: Callable[[str], list[Recording]]) -> None:
    (session,) = read("dlc_openfield")
    (done,) = preprocess([session.slice(0.0, 20.0)], VideoOptions(rate=2.0, size=(48, 64)))
    video, place = done.signal("video"), done.signal("pose").data / 10  # 640 x 480 pixels to 64 x 48
    dark = (np.median(video.data, axis=0) - video.data).reshape(len(video.data), -1)
    darkest = np.argsort(dark, axis=1)[:, -60:]  # a fiftieth of the picture, about as much as the mouse covers
    rows, columns = (np.median(index, axis=1) + 0.5 for index in np.unravel_index(darkest, video.data.shape[1:]))
    assert len(place) == 41  # 20 s, both ends included
    assert np.median(np.hypot(columns - place[:, 0], rows - place[:, 1])) < 1.5
