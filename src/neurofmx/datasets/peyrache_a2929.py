"""Head-direction and hippocampal units of a mouse that forages in an arena (Peyrache laboratory)."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import ClassVar, final

import numpy as np

from neurofmx.datasets.access.distribution import fetch_distribution_members
from neurofmx.datasets.shared.base import Dataset, Expected, Modality, Split
from neurofmx.recordings.recording import Events, Recording, Signal, Source
from neurofmx.recordings.task import Task
from neurofmx.recordings.timeline import interpolate

FILE = "A2929-200711.nwb"
SHA256 = "a329216d2108dac0fff3fd3326c99f52f1bec6c354c2cdb330978e558caeb1f2"
RATE = 120.0  # Hz, nominal rate of the motion capture


@final
class PeyracheA2929(Dataset):
    """One session: 7 units of the anterodorsal thalamus, 8 of CA1, and 529 s of tracked foraging.

    The one recording is limited to the time with tracking. Events `spikes` are named `adn-0` to `ca1-14`; signals are
    `head_direction` (rad, 0 to 2 pi) and `position` (x, y, z in m; the file names no unit). The camera's time stamps
    are rounded to 0.05 ms; both signals are interpolated from them to a regular 120 Hz, the angle after unwrapping.

    Source: Viejo et al., Pynapple, a toolbox for data analysis in neuroscience, eLife 12 (2023), test session A2929.
    """

    name: ClassVar[str] = "peyrache_a2929"
    modalities: ClassVar[tuple[Modality, ...]] = ("spikes",)
    species: ClassVar[str] = "mouse"
    licence: ClassVar[str] = "GPL-3.0 (pynapple package); none stated for the file itself"
    citation: ClassVar[str] = "Viejo et al. 2023, eLife 12:RP85786 (session A2929-200711)"
    homepage: ClassVar[str] = "https://pynapple.org"
    source: ClassVar[str] = "source distribution pynapple-0.3.0.tar.gz, tests/nwbfilestest/neurosuite/pynapplenwb"

    @property
    def task(self) -> Task:
        """Where the head points, in the horizontal plane."""
        return Task("circular", "head_direction", ("head_direction",))

    @property
    def split(self) -> Split:
        """A fifth of the session is left out at a time, with a gap as long as behaviour stays alike."""
        return Split("blocks-5fold-v1", kind="blocks", folds=5, validation="tail", gap=1.0)

    @property
    def expected(self) -> Expected:
        """One session of 15 units."""
        return Expected("spikes", recordings=1, channels=15, rate=RATE)

    def checksums(self) -> dict[str, str]:
        """The session's NWB file."""
        return {FILE: SHA256}

    def retrieve(self, names: tuple[str, ...], *, folder: Path, cache: Path) -> tuple[str, ...]:
        """Take the file out of pynapple's source distribution, 91 MB once."""
        fetch_distribution_members(
            "pynapple",
            "pynapple-0.3.0.tar.gz",
            sha256="4c35eace1181a94979beb39e99f2b85bab7854aa1b357b590d324d27856dbae3",
            members={f"pynapple-0.3.0/tests/nwbfilestest/neurosuite/pynapplenwb/{FILE}": SHA256},
            folder=folder,
            cache=cache,
        )
        return names

    def parse(self, folder: Path, sources: dict[str, Source]) -> list[Recording]:
        """The tracked part of the session."""
        stamps, angle, position, trains = _read_nwb(folder / FILE)
        clock = stamps[0] + np.arange(int((stamps[-1] - stamps[0]) * RATE) + 1) / RATE
        turned = interpolate(clock, stamps, angle, angle=True)
        moved = interpolate(clock, stamps, position, angle=False)
        head = Signal(turned, RATE, "rad", ("head_direction",), clock[0])
        return [
            Recording(
                subject="A2929",
                session="200711",
                signals={"head_direction": head, "position": Signal(moved, RATE, "m", ("x", "y", "z"), clock[0])},
                events={"spikes": Events.from_trains(trains).slice(head.start, head.stop)},
                sources=tuple(sources.values()),
            )
        ]


def _read_nwb(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Time stamps, head angle, position and one spike train per unit."""
    import pynwb  # imported here: two seconds that only this reader needs

    with warnings.catch_warnings():
        # the file was written by an early pynwb: its device has a field that the current one deprecates
        warnings.filterwarnings("ignore", "The 'manufacturer' field is deprecated", DeprecationWarning)
        with pynwb.NWBHDF5IO(path=path, mode="r") as io:
            return _extract(io.read())


def _extract(session) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Copy the arrays out of an open NWB file."""
    angle = session.acquisition["CompassDirection"]["ry"]
    axes = session.acquisition["Position"].spatial_series
    areas = session.units["location"][:]
    trains = {f"{area}-{i}": session.units["spike_times"][i] for i, area in enumerate(areas)}
    return angle.timestamps[:], angle.data[:], np.stack([axes[n].data[:] for n in "xyz"], axis=1), trains
