"""Spoken digits: six people say zero to nine (Free Spoken Digit Dataset)."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import ClassVar, Literal, final

import numpy as np

from neurofmx.datasets.access.bundle import fetch_repository_bundle
from neurofmx.datasets.formats.wav import read_wav
from neurofmx.datasets.shared.base import Dataset, Expected, Modality, Split
from neurofmx.recordings.recording import Recording, Source, Trials
from neurofmx.recordings.task import Task

REPOSITORY = "Jakobovski/free-spoken-digit-dataset"
COMMIT = "26eb9aaf76e81b692f806f9140c2d2777410d7a1"
FILE = "fsdd_12per.zip"
SHA256 = "1a81bcada19803b9780684be3708295116aa0ef4677ea03ee556f818a6f038aa"
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
TAKES = 12  # of 50 that the repository holds
RATE = 8000.0  # Hz


@final
class Fsdd(Dataset):
    """720 recordings of one spoken digit each, trimmed to the word: 6 people, 10 digits, 12 takes.

    Signal `audio` is `(time, 1)` at 8 kHz, in shares of full scale. The one trial of a recording is the whole of it,
    with the digit as `label`. The subject is the speaker; recordings are in order of take, then digit, then speaker.

    Args:
        leave_out: What a fold is tested on: a `speaker` (default), whom training never heard, or `takes` of speakers
            whose other takes it heard.

    Source: Jackson et al., Free Spoken Digit Dataset, v1.0.10 (2020), takes 0 to 11.
    """

    name: ClassVar[str] = "fsdd"
    modalities: ClassVar[tuple[Modality, ...]] = ("audio",)
    species: ClassVar[str] = "human"
    licence: ClassVar[str] = "CC BY-SA 4.0"
    citation: ClassVar[str] = "Jackson et al. 2018, Free Spoken Digit Dataset, doi:10.5281/zenodo.1342401"
    homepage: ClassVar[str] = f"https://github.com/{REPOSITORY}"
    source: ClassVar[str] = f"repository {REPOSITORY} at {COMMIT}, recordings"

    leave_out: Literal["speaker", "takes"] = "speaker"

    @property
    def task(self) -> Task:
        """Which digit was said."""
        return Task("classification", "label", tuple("0123456789"))

    @property
    def split(self) -> Split:
        """One speaker at a time, or a fifth of the takes."""
        if self.leave_out == "speaker":
            return Split("speakers-6fold-v1", kind="groups", folds=6, validation="groups", by="subject")
        return Split("takes-5fold-v1", kind="groups", folds=5, validation="groups")

    @property
    def expected(self) -> Expected:
        """One recording a word."""
        return Expected("audio", recordings=len(SPEAKERS) * 10 * TAKES, channels=1, rate=RATE)

    def checksums(self) -> dict[str, str]:
        """All recordings in one file."""
        return {FILE: SHA256}

    def retrieve(self, names: tuple[str, ...], *, folder: Path, cache: Path) -> tuple[str, ...]:
        """Download the recordings one by one and pack them."""
        fetch_repository_bundle(
            REPOSITORY, COMMIT, [_member(*key) for key in _keys()], target=folder / FILE, sha256=SHA256, cache=cache
        )
        return names

    def parse(self, folder: Path, sources: dict[str, Source]) -> list[Recording]:
        """One recording a word."""
        with zipfile.ZipFile(folder / FILE) as bundle:
            return [self._word(bundle.read(_member(*key)), *key, sources[FILE]) for key in _keys()]

    def _word(self, content: bytes, take: int, digit: int, speaker: str, source: Source) -> Recording:
        """One spoken digit."""
        sound = read_wav(io.BytesIO(content), name=_member(take, digit, speaker))
        trial = Trials(np.array([0.0]), np.array([sound.duration]), {"label": np.array([str(digit)])})
        return Recording(speaker, f"take-{take:02d}-digit-{digit}", {"audio": sound}, trials=trial, sources=(source,))


def _keys() -> list[tuple[int, int, str]]:
    """Take, digit and speaker of every recording, in the order of the dataset."""
    return [(take, digit, speaker) for take in range(TAKES) for digit in range(10) for speaker in SPEAKERS]


def _member(take: int, digit: int, speaker: str) -> str:
    """Path of a recording in the repository."""
    return f"recordings/{digit}_{speaker}_{take}.wav"
