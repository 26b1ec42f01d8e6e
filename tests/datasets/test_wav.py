"""Sound files of every width, read as libsndfile reads them."""

import io
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from neurofmx.datasets.formats.wav import read_wav

SOUND = np.random.default_rng(0).uniform(-0.9, 0.9, (500, 2))


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_sound_is_a_share_of_full_scale(subtype: str, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", SOUND, 22050, subtype=subtype)
    oracle, rate = soundfile.read(tmp_path / "a.wav")
    sound = read_wav(tmp_path / "a.wav", name="a.wav")
    np.testing.assert_allclose(sound.data, oracle, atol=1e-7)
    assert (sound.rate, sound.channels, sound.unit) == (rate, ("1", "2"), "full scale")


def test_bytes_are_read_like_a_file(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", SOUND[:, 0], 8000)
    sound = read_wav(io.BytesIO((tmp_path / "a.wav").read_bytes()), name="a.wav")
    assert sound.data.shape == (500, 1)


@pytest.mark.parametrize("kept", [0, 20, 44, 1000])
def test_a_truncated_file_is_refused(kept: int, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", SOUND, 8000)
    content = (tmp_path / "a.wav").read_bytes()[:kept]
    with pytest.raises(ValueError, match=r"a.wav (is truncated or no WAV file|holds no sample)"):
        read_wav(io.BytesIO(content), name="a.wav")


@given(st.integers(0, 59), st.binary(min_size=1, max_size=16))
def test_a_damaged_header_ends_in_our_error(at: int, noise: bytes) -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, SOUND[:8], 8000, format="WAV")
    content = bytearray(buffer.getvalue())
    content[at : at + len(noise)] = noise
    with suppress(ValueError):  # all that may come of it: some sound, or our refusal
        assert len(read_wav(io.BytesIO(content), name="a.wav").data)


def test_other_files_are_refused() -> None:
    with pytest.raises(ValueError, match=r"text.wav is truncated or no WAV file"):
        read_wav(io.BytesIO(b"no sound at all, but long enough for a header of 44 bytes"), name="text.wav")
