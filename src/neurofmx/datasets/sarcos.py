"""A humanoid's arm of seven joints: which torques made it move as it did (SARCOS)."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal, final

import numpy as np

from neurofmx.datasets.access.repository import fetch_repository_files
from neurofmx.datasets.formats.matfile import read_mat
from neurofmx.datasets.shared.base import Dataset, Expected, Modality, Split
from neurofmx.recordings.recording import Recording, Signal, Source
from neurofmx.recordings.task import Task

FILE = "sarcos_inv_test.mat"
SHA256 = "161a59b5c3b4f4b404584323f181607b2acbe620eb134dc720760dc3f38f5cec"
JOINTS = 7
RATE = 10.0  # Hz; measured, see the class


@final
class Sarcos(Dataset):
    """4449 samples of positions, velocities and accelerations, and the torques of the seven joints.

    Signal `trajectory` is `(time, 21)`: positions in rad, velocities in rad/s, accelerations in rad/s^2 of joints 1 to
    7; signal `torque` is `(time, 7)`.

    The file is the test part of the published division. Its rows have been taken for shuffled ones; they are not: from
    one to the next the positions change by 0.10 to 0.11 times the mean of their velocities (correlation over the joints
    0.79 to 0.96), so they are 0.1 s apart, in their order, and neighbours are alike. Whoever tests on random rows, or
    on this file after training on the rows between, tests on near copies of training rows. `order=recorded` leaves
    contiguous stretches out; `order=shuffled` repeats the custom, to hold its scores against published ones.

    Args:
        order: `recorded` (default) or `shuffled`, with rows dealt anew by a fixed seed and no gap.

    Source: Vijayakumar and Schaal, Locally weighted projection regression, ICML (2000).
    """

    name: ClassVar[str] = "sarcos"
    modalities: ClassVar[tuple[Modality, ...]] = ("trajectory",)
    species: ClassVar[str] = "none (robot arm)"
    licence: ClassVar[str] = "none stated"
    citation: ClassVar[str] = "Rasmussen and Williams 2006, Gaussian Processes for Machine Learning, section 2.5"
    homepage: ClassVar[str] = "https://gaussianprocess.org/gpml/data"
    source: ClassVar[str] = "github.com/probml/pmtkdata at 1f3ffa3, sarcos_inv_test.mat"

    order: Literal["recorded", "shuffled"] = "recorded"

    @property
    def task(self) -> Task:
        """The seven torques."""
        return Task("regression", "torque", tuple(f"torque-{i + 1}" for i in range(JOINTS)))

    @property
    def split(self) -> Split:
        """A fifth of the movement at a time, at a distance of 2 s, after which positions correlate by 0.2 or less."""
        name, gap = ("blocks-5fold-v1", 2.0) if self.order == "recorded" else ("shuffled-5fold-v1", 0.0)
        return Split(name, kind="blocks", folds=5, validation="tail", gap=gap, block=10.0)

    @property
    def expected(self) -> Expected:
        """One movement."""
        return Expected("trajectory", recordings=1, channels=3 * JOINTS, rate=RATE)

    def checksums(self) -> dict[str, str]:
        """One MATLAB file."""
        return {FILE: SHA256}

    def retrieve(self, names: tuple[str, ...], *, folder: Path, cache: Path) -> tuple[str, ...]:
        """Fetch the file from the repository."""
        fetch_repository_files(
            "probml/pmtkdata",
            "1f3ffa3d21a38c8e9e5010dcedb71262b35b446a",
            paths={FILE: FILE},
            checksums={FILE: SHA256},
            folder=folder,
            cache=cache,
        )
        return names

    def parse(self, folder: Path, sources: dict[str, Source]) -> list[Recording]:
        """The whole movement."""
        table = _read(folder / FILE)
        if self.order == "shuffled":
            table = table[np.random.default_rng(0).permutation(len(table))]
        parts = (("position", "velocity", "acceleration"), ("torque",))
        inputs, torques = (tuple(f"{part}-{i + 1}" for part in each for i in range(JOINTS)) for each in parts)
        return [
            Recording(
                subject="sarcos",
                session=self.order,
                signals={
                    "trajectory": Signal(table[:, : 3 * JOINTS], RATE, "rad, rad/s, rad/s^2", inputs),
                    "torque": Signal(table[:, 3 * JOINTS :], RATE, "a.u.", torques),
                },
                sources=tuple(sources.values()),
            )
        ]


def _read(path: Path) -> np.ndarray:
    """The table `(time, 28)`."""
    (table,) = read_mat(path, path.stem).values()
    if table.ndim != 2 or table.shape[1] != 4 * JOINTS:
        raise ValueError(f"{path.name}: the table must have {4 * JOINTS} columns, got shape {table.shape}")
    return np.ascontiguousarray(table, np.float64)
