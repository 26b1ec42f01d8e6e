"""The sound of a film is what was written into it, on the clock of the pictures, or the error says what is wrong."""

from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile
from tests.films import write_film, write_talkie

from neurofmx.recordings.soundtrack import soundtrack

RNG = np.random.default_rng(0)
PICTURES = RNG.integers(0, 256, (20, 16, 24), np.uint8)
SOUND = RNG.uniform(-1, 1, 2 * 8000)


def test_a_lossless_track_comes_back_with_its_time(tmp_path: Path) -> None:
    for late in (0.0, 0.25):
        write_talkie(tmp_path / "film.mkv", PICTURES, SOUND, late_s=late)
        heard = soundtrack(tmp_path / "film.mkv")
        assert (heard.rate, heard.channels, heard.unit) == (8000.0, ("1",), "full scale")
        assert heard.start == pytest.approx(late, abs=1e-3)  # this container counts milliseconds
        assert heard.data.dtype == np.float32
        np.testing.assert_array_equal(heard.data[:, 0] * 2**15, np.round(32767 * SOUND))


def test_a_click_of_a_lossy_film_is_heard_when_it_is_seen(tmp_path: Path) -> None:
    """Coders of this kind begin with samples of their own, which are to be left out."""
    pictures, sound = np.zeros((20, 16, 32), np.uint8), 0.01 * RNG.normal(size=2 * 16000)
    pictures[10] = 255
    sound[16000:16400] = 0.9 * np.sin(np.arange(400))
    write_talkie(tmp_path / "film.mp4", pictures, sound, sound_rate=16000, codecs=("mpeg4", "aac"))
    heard = soundtrack(tmp_path / "film.mp4")
    loud = np.abs(heard.data[:, 0]) > 0.3
    assert heard.times[loud].min() == pytest.approx(1.0, abs=0.005)
    assert heard.times[loud].max() == pytest.approx(1.025, abs=0.005)


def test_sound_that_pauses_is_refused(tmp_path: Path) -> None:
    write_talkie(tmp_path / "film.mkv", PICTURES, SOUND, pause_s=0.3)
    with pytest.raises(ValueError, match=r"its sound breaks off 1\.000 s after .* goes on at 1\.300"):
        soundtrack(tmp_path / "film.mkv")


def test_what_has_no_sound_is_refused(tmp_path: Path) -> None:
    write_film(tmp_path / "silent.mkv", PICTURES, range(0, 2000, 100))
    with pytest.raises(ValueError, match=r"silent.mkv holds no sound; take a film with sound, or read its pictures"):
        soundtrack(tmp_path / "silent.mkv")
    wavfile.write(tmp_path / "sound.wav", 8000, np.zeros(800, np.int16))
    with pytest.raises(ValueError, match=r"sound.wav holds no pictures"):
        soundtrack(tmp_path / "sound.wav")
    with pytest.raises(FileNotFoundError, match=r"no film .*absent.mkv"):
        soundtrack(tmp_path / "absent.mkv")
