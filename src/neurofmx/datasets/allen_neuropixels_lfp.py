"""Field potentials along a Neuropixels probe in a mouse's brain, with running and gratings (Allen Institute)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, final

import h5py
import numpy as np
from pydantic import Field

from neurofmx.datasets.formats.nwb_series import (
    Node,
    electrode_names,
    electrode_positions,
    electrode_table,
    item,
    of_type,
    read_intervals,
    read_series,
)
from neurofmx.datasets.shared.base import Expected, Modality, Split
from neurofmx.datasets.shared.dandiset import Dandiset, Patterns, Version, entities
from neurofmx.recordings.recording import Recording
from neurofmx.recordings.task import Task

RATE = 1250.0  # Hz, nominal rate of the published LFP
RUNNING_RATE = 50.0  # Hz, below that of the wheel's samples
ORIENTATIONS = ("0", "45", "90", "135", "180", "225", "270", "315")  # degrees
MICRON = 1e-6  # m


@final
class AllenNeuropixelsLfp(Dandiset):
    """LFP of the electrodes of one probe, the running speed, and drifting gratings of the same session.

    Signals are `lfp (time, electrodes)` in V at 1250 Hz and `running_speed` in the unit of the file at 50 Hz, array
    `lfp_positions` is the electrode's place in the Allen atlas in m, `lfp_location` its brain area. Trials are
    presentations of `stimulus` with `orientation` as text. A probe's file of about 2 GB holds LFP alone and is read
    together with its session's file; only the stretch from `start` to `stop` is fetched. The default stretch holds the
    first drifting gratings.

    Args:
        stimulus: Table of presentations, as the session's file names it.
        target: `running_speed`, or the `orientation` of the stimulus.

    Source: Siegle et al., Survey of spiking in the mouse visual system reveals functional hierarchy, Nature 592 (2021).
    """

    name: ClassVar[str] = "allen_neuropixels_lfp"
    modalities: ClassVar[tuple[Modality, ...]] = ("lfp",)
    species: ClassVar[str] = "mouse"
    licence: ClassVar[str] = "stated on the dandiset's page, with the Allen Institute's terms of use"
    citation: ClassVar[str] = "Siegle et al. 2021, Nature 592:86-92"
    homepage: ClassVar[str] = "https://dandiarchive.org/dandiset/000021"
    source: ClassVar[str] = "DANDI 000021, Allen Institute: Visual Coding, Neuropixels"
    dandiset: ClassVar[str] = "000021"

    version: Version = "draft"  # no version of it is published
    assets: Patterns = ("sub-699733573/sub-699733573_ses-715093703_probe-810755797_ecephys.nwb",)
    start: float = 1590.0
    stop: float | None = 2190.0
    stimulus: str = Field(default="drifting_gratings_presentations", description="table of presentations")
    target: Literal["running_speed", "orientation"] = Field(default="running_speed", description="what is decoded")

    @property
    def task(self) -> Task:
        """How fast the mouse runs, or where the grating drifts to."""
        if self.target == "orientation":
            return Task("classification", "orientation", ORIENTATIONS)
        return Task("regression", "running_speed", ("running_speed",))

    @property
    def split(self) -> Split:
        """A fifth of each session is left out at a time, with a gap as long as running lasts."""
        return Split("blocks-5fold-v1", kind="blocks", folds=5, validation="tail", gap=5.0, block=30.0)

    @property
    def expected(self) -> Expected:
        """One probe of 93 electrodes, with the default file."""
        return Expected("lfp", recordings=1, channels=93, rate=RATE)

    def partners(self, path: str) -> tuple[str, ...]:
        """The session's file, which has behaviour and stimuli."""
        who = entities(path)
        return (f"sub-{who['sub']}/sub-{who['sub']}_ses-{who['ses']}.nwb",)

    def extract(self, path: str, files: Mapping[str, h5py.File]) -> list[Recording]:
        """One probe's recording."""
        probe, session, who = files[path], files[self.partners(path)[0]], entities(path)
        series = _lfp(probe)
        rows = series["electrodes"][:]
        span = {"start": self.start, "stop": self.stop}
        lfp = read_series(series, channels=electrode_names(probe, rows), rate=RATE, **span)
        running = item(session, "processing/running/running_speed")
        speed = read_series(running, channels=("running_speed",), rate=RUNNING_RATE, **span)
        shown = item(session, f"intervals/{self.stimulus}")
        trials = read_intervals(shown, columns=("orientation",), among=ORIENTATIONS, **span)  # the others are blank
        return [
            Recording(
                who["sub"],
                f"{who['ses']}-{who['probe']}",
                {"lfp": lfp, "running_speed": speed},
                trials=trials,
                arrays=_places(probe, rows),
            )
        ]


def _lfp(probe: h5py.File) -> Node:
    """The one electrical series inside a container of type LFP."""
    found = [
        series
        for container in of_type(item(probe, "acquisition"), "LFP").values()
        for series in of_type(container, "ElectricalSeries").values()
    ]
    if len(found) != 1:
        raise ValueError(f"{probe.filename}: expected one LFP series in /acquisition, found {len(found)}")
    return found[0]


def _places(probe: h5py.File, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Where the electrodes lie."""
    areas = [each.decode() if isinstance(each, bytes) else str(each) for each in electrode_table(probe)["location"][:]]
    placed = {f"lfp_{name}": array for name, array in electrode_positions(probe, rows, metre=MICRON).items()}
    return placed | {"lfp_location": np.array(areas, str)[rows]}
