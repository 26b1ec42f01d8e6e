"""Two-photon calcium traces of a mouse's visual cortex, with running and drifting gratings (Allen Institute)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, final

import h5py
import numpy as np
from pydantic import Field

from neurofmx.datasets.formats.nwb_series import item, read_intervals, read_series
from neurofmx.datasets.shared.base import Expected, Modality, Split
from neurofmx.datasets.shared.dandiset import Dandiset, Patterns, Version, entities
from neurofmx.recordings.recording import Recording
from neurofmx.recordings.task import Task

MODULE = "processing/brain_observatory_pipeline"
RATE = 30.0  # Hz, nominal frame rate of the microscope
DIRECTIONS = ("0", "45", "90", "135", "180", "225", "270", "315")  # degrees


@final
class Allen2p(Dandiset):
    """dF/F of the cells of one imaging plane, the speed on the wheel, and gratings of 8 directions and 6 contrasts.

    Signals are `calcium (time, cells)` and `running_speed (time, 1)`, both brought from the frames' time stamps to
    30 Hz, so that they share one clock; trials are the gratings, 2 s each, with `direction` and `contrast` as text.

    NWB on DANDI is the default, not `allensdk`: that needs numpy below 1.24, which nothing else here runs with, and
    fetches whole files of an older layout, while these are published under a version, with SHA-256 sums, and are read
    by ranges. `allensdk` in an environment of its own writes NWB that the kind `nwb` reads.

    Args:
        target: `running_speed`, or the grating's `direction`.

    Source: Millman et al., VIP interneurons in mouse primary visual cortex selectively enhance responses to weak but
    specific stimuli, eLife 9 (2020).
    """

    name: ClassVar[str] = "allen_2p"
    modalities: ClassVar[tuple[Modality, ...]] = ("calcium",)
    species: ClassVar[str] = "mouse"
    licence: ClassVar[str] = "stated on the dandiset's page, with the Allen Institute's terms of use"
    citation: ClassVar[str] = "Millman et al. 2020, eLife 9:e55130; Millman and de Vries, DANDI:000039/0.230223.1216"
    homepage: ClassVar[str] = "https://dandiarchive.org/dandiset/000039/0.230223.1216"
    source: ClassVar[str] = "DANDI 000039, Allen Institute: contrast tuning in mouse visual cortex"
    dandiset: ClassVar[str] = "000039"

    version: Version = "0.230223.1216"
    assets: Patterns = ("sub-661968859/sub-661968859_ses-682746585_behavior+ophys.nwb",)
    target: Literal["running_speed", "direction"] = Field(default="running_speed", description="what is decoded")

    @property
    def task(self) -> Task:
        """How fast the mouse runs, or where the grating drifts to."""
        if self.target == "direction":
            return Task("classification", "direction", DIRECTIONS)
        return Task("regression", "running_speed", ("running_speed",))

    @property
    def split(self) -> Split:
        """A fifth of each session is left out at a time, with a gap as long as running and calcium last."""
        return Split("blocks-5fold-v1", kind="blocks", folds=5, validation="tail", gap=5.0, block=30.0)

    @property
    def expected(self) -> Expected:
        """One plane of 27 cells, with the default file."""
        return Expected("calcium", recordings=1, channels=27, rate=RATE)

    def extract(self, path: str, files: Mapping[str, h5py.File]) -> list[Recording]:
        """The session of one file, over the time that both signals cover."""
        file, who = files[path], entities(path)
        rois = item(file, f"{MODULE}/Fluorescence/DfOverF/rois")[:]
        cells = tuple(f"cell{row}" for row in np.asarray(rois))
        span = {"start": self.start, "stop": self.stop, "rate": RATE}
        traces = read_series(item(file, f"{MODULE}/Fluorescence/DfOverF"), channels=cells, **span)
        running = item(file, f"{MODULE}/RunningBehavior/running_speed")
        signals = {"calcium": traces, "running_speed": read_series(running, channels=("running_speed",), **span)}
        shown, span = item(file, "intervals/epochs"), {"start": self.start, "stop": self.stop}
        gratings = read_intervals(shown, columns=("direction", "contrast"), among=DIRECTIONS, **span)
        return [Recording(who["sub"], who["ses"], signals, trials=gratings)]
