"""A recording that is larger than the memory that is left."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STATUS = Path("/proc/self/status")
SCRIPT = """
import resource, sys
from pathlib import Path
import numpy as np
import neurofmx.recordings.lazy, neurofmx.preprocessing.steps.cleaned
from neurofmx.preprocessing.steps.voltage import VoltageOptions, clean
from neurofmx.recordings.recording import Recording, Signal, opened, save

MB, NAMES, OPTIONS = 10**6, tuple("ABCDEFGHIJKLMNOP"), VoltageOptions(low=2.0, high=50.0, rate=250.0)
neurofmx.preprocessing.steps.cleaned.BLOCK, neurofmx.recordings.lazy.PIECE = 2**20, 2**19


class Generated(neurofmx.recordings.lazy.Lazy):  # a 10 Hz sine in every channel, nowhere stored
    def read(self, first, last):
        wave = np.sin(2 * np.pi * (np.arange(first, last) % 1000) / 100)
        return np.tile(wave[:, None], (1, 16))


def recorded(samples):
    return Recording("s", "1", {"x": Signal(Generated((samples, 16), np.float64), 1000.0, "V", NAMES)})


folder, whole = Path(sys.argv[1]), 200 * MB // (8 * 16)
save(folder / "short.h5", clean([recorded(5000)], "x", OPTIONS))  # everything is imported
if sys.argv[2] == "all at once":
    neurofmx.preprocessing.steps.cleaned.BLOCK = 2**30
now = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmData"))
resource.setrlimit(resource.RLIMIT_DATA, (now * 1024 + 100 * MB,) * 2)
save(folder / "clean.h5", clean([recorded(whole)], "x", OPTIONS))
with opened(folder / "clean.h5") as (recording,):
    x = recording.signal("x").slice(1000, 1001)
    assert np.abs(x.data[:, 3] - np.sin(2 * np.pi * 10 * x.times)).max() < 0.01
"""


STRETCHES = """
import resource, sys
from pathlib import Path
import numpy as np
import neurofmx.preprocessing.calcium, neurofmx.preprocessing.steps.framewise, neurofmx.recordings.lazy
from neurofmx.preprocessing import PREPROCESS
from neurofmx.recordings.recording import Recording, Signal, opened, save

MB, folder, how, modality = 10**6, Path(sys.argv[1]), sys.argv[2], sys.argv[3]
RATE, CHANNELS, LEVEL, OPTIONS = {
    "calcium": (30.0, 16, 50.0, {"baseline_s": 10.0}),
    "audio": (16e3, 1, 0.0, {"bands": 20}),
}[modality]
WAVE, WAY = (1.0, 440.0)[modality == "audio"], PREPROCESS[modality]
neurofmx.recordings.lazy.PIECE = neurofmx.preprocessing.calcium.BLOCK = 2**19


class Generated(neurofmx.recordings.lazy.Lazy):  # a sine in every channel, nowhere stored
    def read(self, first, last):
        wave = LEVEL + np.sin(2 * np.pi * WAVE * (np.arange(first, last) / RATE))
        return np.tile(wave[:, None], (1, CHANNELS))


def recorded(samples):
    made = Generated((samples, CHANNELS), np.float64)
    signal = Signal(made, RATE, "1", tuple("ABCDEFGHIJKLMNOP"[:CHANNELS]))
    return WAY.preprocess([Recording("s", "1", {modality: signal})], WAY.options(**OPTIONS))


save(folder / "short.h5", recorded(20_000))  # everything is imported
if how == "all at once":
    neurofmx.preprocessing.calcium.BLOCK = neurofmx.preprocessing.steps.framewise.FRAMES = 2**30
now = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmData"))
resource.setrlimit(resource.RLIMIT_DATA, (now * 1024 + 100 * MB,) * 2)
save(folder / "clean.h5", recorded(200 * MB // (8 * CHANNELS)))
with opened(folder / "clean.h5") as (recording,):
    clean = recording.signal(modality).slice(1000, 1010)
    if modality == "audio":
        peaks = np.array([float(name.split()[1]) for name in clean.channels])
        assert set(clean.data[:].argmax(axis=1)) == {np.abs(peaks - WAVE).argmin()}
    else:
        baseline = (LEVEL + np.sin(2 * np.pi * WAVE * clean.times)) / (1 + clean.data[:, 3])
        assert baseline.std() < 0.01 and 49 <= baseline.mean() < 49.2
"""


@pytest.mark.skipif(not STATUS.exists(), reason="how much a process holds is known on Linux")
@pytest.mark.parametrize(("how", "ends"), [("in blocks", True), ("all at once", False)])
@pytest.mark.parametrize("modality", ["voltage", "calcium", "audio"])
def test_200_megabytes_are_cleaned_within_100(modality: str, how: str, ends: bool, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT if modality == "voltage" else STRETCHES, str(tmp_path), how, modality],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
    )
    assert (done.returncode == 0) == ends, done.stderr
    assert ends or "MemoryError" in done.stderr
