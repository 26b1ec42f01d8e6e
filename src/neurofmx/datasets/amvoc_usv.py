"""Ultrasonic calls of mice with hand-annotated times (AMVOC's evaluation set)."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, final

import numpy as np

from neurofmx.datasets.access.repository import fetch_repository_files
from neurofmx.datasets.formats.wav import read_wav
from neurofmx.datasets.shared.base import Dataset, Expected, Modality, Split
from neurofmx.recordings.recording import Recording, Source, Trials
from neurofmx.recordings.task import Task

REPOSITORY = "tyiannak/amvoc"
COMMIT = "908176d04ee54f09fa4ebaa2cc19b948fae5364b"
SHA256 = {
    "gt_1.csv": "2b56818d55edf6848ff29ea3db1066b85a6de132318fa58ff735d10092b442ce",
    "gt_2.csv": "1e2baba79073dd62a3e0992c3a08b90e5b7f01416be17c5f49dd61a64cced04e",
    "gt_3.csv": "6f281b240a74f0c070b47bf9937132ea3c6242afaac72d1d9cabcf74eebc14d1",
    "gt_6.csv": "fa6e1904abaa4883ff3c3fcaa08dad0bf0777ee59da437caaeb8feeebb4a7560",
    "rec_1.wav": "083fe3749d4a9326ec72b16571bbf08172d2d147e78d936e5975fb6d614937cc",
    "rec_2.wav": "b9e51257d8469731397e0b8d6c6579fba549c6bd35d2b9d5c29afb76f46afae6",
    "rec_3.wav": "a1a4c18b39fc5ffde4c3d5ed87f373ce89477b9080650402619b953038c512c8",
    "rec_6.wav": "652f25379bccfa3521f06f716142886c67c89fa0fec400cff2a8a064597cbfb9",
}
NUMBERS = (1, 2, 3, 6)  # of the repository's nine; two of the others lack their sound
RATE = 250e3  # Hz


@final
class AmvocUsv(Dataset):
    """Four recordings of 5 to 6 s at 250 kHz with 120 annotated calls.

    Signal `audio` is `(time, 1)` in shares of full scale. Trials cover all of the time, alternately `silence` and
    `call` in the column `label`. The files do not say which recordings are of the same mouse, so a recording is a
    subject of its own, and a fold leaves one recording out.

    Source: Stoumpou et al., Analysis of mouse vocal communication (AMVOC), Bioacoustics 32 (2023).
    """

    name: ClassVar[str] = "amvoc_usv"
    modalities: ClassVar[tuple[Modality, ...]] = ("ultrasonic",)
    species: ClassVar[str] = "mouse"
    licence: ClassVar[str] = "MIT (the repository); none stated for the recordings themselves"
    citation: ClassVar[str] = "Stoumpou et al. 2023, Bioacoustics 32:199-229"
    homepage: ClassVar[str] = f"https://github.com/{REPOSITORY}"
    source: ClassVar[str] = f"repository {REPOSITORY} at {COMMIT}, data/vocalizations_evaluation/{{1,2,3,6}}"

    @property
    def task(self) -> Task:
        """Whether the mouse calls at an instant; calls are rare, so how often an answer is right says little."""
        return Task("classification", "label", ("silence", "call"), score="auc")

    @property
    def split(self) -> Split:
        """One recording is left out at a time. Calls come in bouts, of which a second is a rough measure."""
        return Split("recordings-4fold-v1", kind="groups", folds=4, validation="tail", gap=0.05, block=1.0)

    @property
    def expected(self) -> Expected:
        """Four recordings of one microphone."""
        return Expected("audio", recordings=len(NUMBERS), channels=1, rate=RATE)

    def checksums(self) -> dict[str, str]:
        """Sound and annotation of each recording."""
        return dict(SHA256)

    def retrieve(self, names: tuple[str, ...], *, folder: Path, cache: Path) -> tuple[str, ...]:
        """Download the files from the repository."""
        paths = {name: f"data/vocalizations_evaluation/{name[-5]}/{name}" for name in names}
        fetch_repository_files(REPOSITORY, COMMIT, paths=paths, checksums=SHA256, folder=folder, cache=cache)
        return names

    def parse(self, folder: Path, sources: dict[str, Source]) -> list[Recording]:
        """One recording a sound file."""
        return [self._recording(folder, number, sources) for number in NUMBERS]

    def _recording(self, folder: Path, number: int, sources: dict[str, Source]) -> Recording:
        """Sound and the times of its calls."""
        sound = read_wav(folder / f"rec_{number}.wav", name=f"rec_{number}.wav")
        calls = np.loadtxt(folder / f"gt_{number}.csv", delimiter=",", ndmin=2)
        files = (sources[f"rec_{number}.wav"], sources[f"gt_{number}.csv"])
        trials = alternating(calls, stop=sound.duration, names=self.task.names)
        return Recording(f"recording-{number}", "1", {"audio": sound}, trials=trials, sources=files)


def alternating(calls: np.ndarray, *, stop: float, names: tuple[str, ...]) -> Trials:
    """Trials that cover all of the time from 0 s: calls, and what lies between them.

    Args:
        calls: Start and stop of each call `(calls, 2)`, s, in any order; calls that touch become one, empty ones none.
        stop: End of the recording, s; what lies behind is cut off.
        names: Labels of the time between calls and of calls.

    Returns:
        The trials in order of time, with the column `label`.

    Example:
        >>> alternating(np.array([[0.5, 0.7], [0.6, 1.0]]), stop=2.0, names=("silence", "call")).start.tolist()
        [0.0, 0.5, 1.0]
    """
    edges, inside = [0.0], []
    for begin, end in np.clip(calls[np.argsort(calls[:, 0])], 0.0, stop).tolist():
        if end <= max(begin, edges[-1]):
            continue  # it is empty, or lies in the one before
        if begin > edges[-1]:
            edges.append(begin)
            inside.append(0)
        if inside and inside[-1] == 1:
            edges[-1] = end
        else:
            edges.append(end)
            inside.append(1)
    if edges[-1] < stop:
        edges.append(stop)
        inside.append(0)
    return Trials(np.array(edges[:-1]), np.array(edges[1:]), {"label": np.array(names)[inside]})
