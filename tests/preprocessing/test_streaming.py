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


@pytest.mark.skipif(not STATUS.exists(), reason="how much a process holds is known on Linux")
@pytest.mark.parametrize(("how", "ends"), [("in blocks", True), ("all at once", False)])
def test_200_megabytes_are_cleaned_within_100(how: str, ends: bool, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path), how],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
    )
    assert (done.returncode == 0) == ends, done.stderr
    assert ends or "MemoryError" in done.stderr
