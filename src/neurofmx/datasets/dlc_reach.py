"""A mouse that reaches for a joystick: keypoints tracked by DeepLabCut (the demo of DLC2Kinematics)."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal, final

from neurofmx.datasets.access.repository import fetch_repository_files
from neurofmx.datasets.formats.deeplabcut import read_h5
from neurofmx.datasets.shared.base import Dataset, Expected, Modality, Split
from neurofmx.recordings.recording import Recording, Signal, Source
from neurofmx.recordings.task import Task

REPOSITORY = "AdaptiveMotorControlLab/DLC2Kinematics"
COMMIT = "dd2b036a43843b1798af4604a49c3b38fd3104b6"
SHA256 = {
    "reachingDEMO_2D.h5": "5ad81f6cb6d2025d6a308797335e816ca0f35dba29dde28fc6facc25a5332596",
    "reachingDEMO_3D.h5": "a5b032968f6c153191e8f9e6c53c41080aa1798f3dea9439890137414b6fe6d0",
}
TARGET = "joystick"
OBJECTS = (TARGET, "lick", "water_tube")  # what is not the mouse
PARTS = 30  # keypoints of the mouse


@final
class DlcReach(Dataset):
    """800 frames of one skilled reach with 30 keypoints of the mouse and the joystick.

    Signal `pose` is `(800, 60)` in pixels with the likelihoods of the network as `confidence (800, 30)`, or `(800, 90)`
    in the units of the calibration with NaN where the cameras do not agree; `joystick` is what the paw moves. The
    frame rate is not stated: frames come one a second, by convention, so seconds are frames. One short clip in which
    everything drifts tests the format; what it says about decoding is little.

    Args:
        view: The `2D` picture of one camera (default), or the `3D` places from two.

    Source: Mathis et al., DLC2Kinematics (2021), examples.
    """

    name: ClassVar[str] = "dlc_reach"
    modalities: ClassVar[tuple[Modality, ...]] = ("pose",)
    species: ClassVar[str] = "mouse"
    licence: ClassVar[str] = "Apache-2.0"
    citation: ClassVar[str] = "Mathis et al. 2021, DLC2Kinematics, doi:10.5281/zenodo.6669074"
    homepage: ClassVar[str] = f"https://github.com/{REPOSITORY}"
    source: ClassVar[str] = f"repository {REPOSITORY} at {COMMIT}, examples"

    view: Literal["2D", "3D"] = "2D"

    @property
    def task(self) -> Task:
        """Where the joystick is."""
        return Task("regression", TARGET, self._axes)

    @property
    def split(self) -> Split:
        """A fifth of the clip is left out at a time, with 10 frames on either side."""
        return Split("blocks-5fold-v1", kind="blocks", folds=5, validation="tail", gap=10.0, block=20.0)

    @property
    def expected(self) -> Expected:
        """One clip."""
        return Expected("pose", recordings=1, channels=PARTS * len(self._axes), rate=1.0)

    @property
    def _axes(self) -> tuple[str, ...]:
        return ("x", "y") if self.view == "2D" else ("x", "y", "z")

    @property
    def _file(self) -> str:
        return f"reachingDEMO_{self.view}.h5"

    def checksums(self) -> dict[str, str]:
        """The table of the wanted view."""
        return {self._file: SHA256[self._file]}

    def retrieve(self, names: tuple[str, ...], *, folder: Path, cache: Path) -> tuple[str, ...]:
        """Download the table from the repository."""
        paths = {name: f"examples/{name}" for name in names}
        fetch_repository_files(REPOSITORY, COMMIT, paths=paths, checksums=SHA256, folder=folder, cache=cache)
        return names

    def parse(self, folder: Path, sources: dict[str, Source]) -> list[Recording]:
        """The one clip."""
        table = read_h5(folder / self._file)
        parts = tuple(part for part in table.parts if part not in OBJECTS)
        axes, unit = self._axes, "px" if self.view == "2D" else "calibrated unit"
        places = table.of(parts, axes).reshape(len(table.values), -1)
        signals = {
            "pose": Signal(places, 1.0, unit, tuple(f"{part}-{axis}" for part in parts for axis in axes)),
            TARGET: Signal(table.of((TARGET,), axes)[:, 0], 1.0, unit, axes),
        }
        if self.view == "2D":
            signals["confidence"] = Signal(table.of(parts, ("likelihood",))[:, :, 0], 1.0, "1", parts)
        return [Recording("mouse", "reach", signals, sources=tuple(sources.values()))]
