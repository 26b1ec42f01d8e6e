"""Films give the pictures that were written into them, one at a time, or say what is wrong."""

from pathlib import Path

import av
import numpy as np
import pytest
from scipy.io import wavfile
from tests.films import write_film

from neurofmx.recordings.film import Scaling, frame_rate, frames

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (7, 16, 24), np.uint8)
COLOURS = RNG.integers(0, 256, (3, 16, 24, 3), np.uint8)


def test_a_lossless_film_comes_back_with_its_times(tmp_path: Path) -> None:
    times = [40, 80, 120, 160, 240, 280, 320]  # a frame is missing at 200 ms
    write_film(tmp_path / "film.mkv", GREY, times)
    read = list(frames(tmp_path / "film.mkv", grey=True))
    np.testing.assert_array_equal([frame.picture for frame in read], GREY)
    np.testing.assert_allclose([frame.time for frame in read], (np.array(times) - 40) / 1000)


def test_the_rate_is_that_of_the_film(tmp_path: Path) -> None:
    write_film(tmp_path / "film.mkv", GREY, range(0, 7 * 40, 40))
    assert frame_rate(tmp_path / "film.mkv") == 25.0


def test_colours_and_their_brightness(tmp_path: Path) -> None:
    write_film(tmp_path / "film.mkv", COLOURS, [0, 40, 80])
    read = [frame.picture for frame in frames(tmp_path / "film.mkv", grey=False)]
    np.testing.assert_array_equal(read, COLOURS)
    grey = [frame.picture for frame in frames(tmp_path / "film.mkv", grey=True)]
    np.testing.assert_allclose(grey, COLOURS @ np.array([0.299, 0.587, 0.114]), atol=2)  # ITU-R BT.601


def test_smaller_pictures_are_means_over_the_area(tmp_path: Path) -> None:
    write_film(tmp_path / "film.mkv", GREY, range(0, 7 * 40, 40))
    means = GREY.reshape(7, 4, 4, 6, 4).mean(axis=(2, 4))
    read = [frame.picture for frame in frames(tmp_path / "film.mkv", grey=True, size=(4, 6))]
    np.testing.assert_allclose(read, means, atol=1)
    np.testing.assert_allclose([*map(Scaling(grey=True, size=(4, 6)), GREY)], means, atol=1)


def test_a_grey_picture_stays_grey() -> None:
    np.testing.assert_array_equal(Scaling(grey=False)(GREY[0]), GREY[0])
    np.testing.assert_array_equal(Scaling(grey=False)(COLOURS[0]), COLOURS[0])


def test_one_scaling_serves_pictures_of_any_form() -> None:
    pictures = [GREY[0], COLOURS[0], COLOURS[1][:8], GREY[1]]
    scaling = Scaling(grey=True, size=(4, 6))
    for picture in pictures:
        np.testing.assert_array_equal(scaling(picture), Scaling(grey=True, size=(4, 6))(picture))


def test_what_is_no_film_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no film .*absent.mp4; run the stage"):
        next(frames(tmp_path / "absent.mp4", grey=True))
    (tmp_path / "text.mp4").write_text("no film at all")
    with pytest.raises(ValueError, match=r"text.mp4 is damaged or no film"):
        next(frames(tmp_path / "text.mp4", grey=True))
    wavfile.write(tmp_path / "sound.wav", 8000, np.zeros(800, np.int16))
    with pytest.raises(ValueError, match=r"sound.wav holds no pictures"):
        frame_rate(tmp_path / "sound.wav")


def test_a_film_that_breaks_off_is_refused(tmp_path: Path) -> None:
    pictures = RNG.integers(0, 256, (20, 32, 32), np.uint8)
    with av.open(str(tmp_path / "film.mp4"), "w") as container:  # its index stands at the end
        stream = container.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt = 32, 32, "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "gray").reformat(format="yuv420p")))
        container.mux(stream.encode(None))
    content = (tmp_path / "film.mp4").read_bytes()
    (tmp_path / "half.mp4").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"half.mp4 is damaged"):
        list(frames(tmp_path / "half.mp4", grey=True))
