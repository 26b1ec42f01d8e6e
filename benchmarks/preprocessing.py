"""How fast recordings are cleaned, and with how much memory; also one that is larger than the memory.

    python -m benchmarks --only preprocessing                        every modality, a few minutes of recording each
    python -m benchmarks.preprocessing ieeg --mib 10240 --folder DIR  one of 10 GiB, made and cleaned in that folder
    python -m benchmarks.preprocessing ieeg calcium audio --mib 10240 --folder DIR --out benchmarks/results
                                                                     writes large_recordings.md and .json

A recording of noise (`benchmarks.recordings`) is written to a file first. What is timed, in a process of its own, is
reading it, cleaning it and writing the clean file, as the preprocess stage does.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.machine import ROOT, facts, where
from benchmarks.memory import give_back, peak
from benchmarks.recordings import CASES, MIB
from neurofmx.atomic import atomic
from neurofmx.recordings.recording import save


@dataclass(frozen=True)
class Measured:
    """One line of the table: seconds of processor and wall time; MiB in, out, and at the peak on top of the start."""

    modality: str
    size: str
    options: dict[str, Any] = field(default_factory=dict)
    recorded_s: float = 0.0
    seconds: float = 0.0
    wall_s: float = 0.0
    mib: float = 0.0
    clean_mib: float = 0.0
    peak_mib: float = 0.0


def run(modality: str, *, mib: int, folder: Path, options: Mapping[str, Any] | None = None) -> Measured:
    """Make a recording and clean it in a process of its own.

    Args:
        modality: A key of `CASES`.
        mib: Size of the recording, MiB.
        folder: Where the recording and the clean file are put, and removed from.
        options: Options of its preprocessing, on top of those of the case.

    Returns:
        What was measured.

    Raises:
        RuntimeError: If the process failed, with its last words.
    """
    case = CASES[modality]
    chosen = {**case.options, **(options or {})}
    with tempfile.TemporaryDirectory(dir=folder, prefix="preprocessing-") as inner:
        raw, clean = Path(inner) / "raw.h5", Path(inner) / "clean.h5"
        recorded = case.make(case, raw, mib * MIB)
        words = ["--clean", str(raw), str(clean), "--options", json.dumps(chosen), modality]
        paths = os.pathsep.join(filter(None, (str(ROOT / "src"), os.environ.get("PYTHONPATH", ""))))
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.preprocessing", *words],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": paths},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"{modality}: cleaning ended with {done.returncode}: {done.stderr[-2000:]}")
        found = json.loads(done.stdout.splitlines()[-1])
        made = sum(file.stat().st_size for file in Path(inner).iterdir() if file != clean)
        sizes = {"mib": made / MIB, "clean_mib": clean.stat().st_size / MIB}
    return Measured(modality, case.size, chosen, recorded, **found, **sizes)


def clean_file(modality: str, raw: Path, clean: Path, options: Mapping[str, Any]) -> dict[str, float]:
    """Clean a file in this process: seconds of processor and wall time, and the rise of the peak of memory, MiB."""
    import librosa.filters  # noqa: F401  what an import takes is not the recording's
    import mne.filter  # noqa: F401
    import scipy.signal  # noqa: F401

    from neurofmx.preprocessing import PREPROCESS

    way = PREPROCESS[modality]
    give_back()
    before, began, wall = peak(), time.process_time(), time.perf_counter()
    with CASES[modality].open(raw) as recordings:
        save(clean, way.preprocess(recordings, way.options(**options)))
    seconds = time.process_time() - began
    return {"seconds": seconds, "wall_s": time.perf_counter() - wall, "peak_mib": peak() - before}


METHOD = """\
Noise, float32, read from a file, cleaned and written to a file, in a process of its own, once, by processor time on one
thread (`wall s` beside it, as busy as the machine was). MB/s counts the raw file; `times real time` is seconds recorded
by seconds needed. Peak MiB is the rise of resident memory. Voltages (eeg, ecog, emg, ieeg, lfp), calcium and sound
(audio, vocalization, ultrasonic) are streamed: their peak does not grow with the recording. A film is decoded frame by
frame, its MiB are those of the coded film. Others (fmri, pose, spikes) are held as a whole.
"""


def table(rows: Sequence[Measured]) -> str:
    """Rows as a Markdown table."""
    head = ("modality", "recording", "options", "MiB", "MB/s", "times real time", "wall s", "peak MiB")
    lines = [
        (
            row.modality,
            row.size,
            ", ".join(f"{name} {value}" for name, value in row.options.items()) or "defaults",
            f"{row.mib:.0f}",
            f"{row.mib * MIB / 1e6 / row.seconds:.0f}",
            f"{row.recorded_s / row.seconds:.3g}",
            f"{row.wall_s:.0f}",
            f"{row.peak_mib:.0f}",
        )
        for row in rows
    ]
    rules = ("---", "---", "---", "---:", "---:", "---:", "---:", "---:")
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, rules, *lines))


def write(rows: Sequence[Measured], folder: Path, *, name: str = "preprocessing") -> None:
    """Writes `NAME.md` and `NAME.json`."""
    known = facts("mne", "scipy", "h5py")
    head = f"# {name.replace('_', ' ')}\n\n{where(known)}."
    with atomic(folder / f"{name}.md") as part:
        part.write_text(f"{head}\n\n{table(rows)}\n{METHOD}")
    with atomic(folder / f"{name}.json") as part:
        part.write_text(json.dumps({"facts": known, "rows": [asdict(row) for row in rows]}, indent=1) + "\n")


def run_all(*, quick: bool, folder: Path) -> list[Measured]:
    """Measure every modality and write the table; `quick` takes tiny recordings."""
    with tempfile.TemporaryDirectory(prefix="neurofmx-") as space:
        rows = [run(name, mib=1 if quick else 256, folder=Path(space)) for name in CASES]
    write(rows, folder)
    return rows


def main(words: Sequence[str] | None = None) -> int:
    """The command for recordings of any size."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks.preprocessing", description=(__doc__ or "").splitlines()[0]
    )
    made.add_argument("modality", nargs="+", choices=CASES)
    made.add_argument("--mib", type=int, default=256, help="size of the recording (default: 256)")
    made.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where three times that fits")
    made.add_argument("--options", type=json.loads, default={}, help="options of the preprocessing, JSON")
    made.add_argument("--out", type=Path, metavar="FOLDER", help="write large_recordings.md and .json there")
    made.add_argument("--clean", nargs=2, type=Path, metavar=("RAW", "CLEAN"), help="clean this file, in this process")
    chosen = made.parse_args(words)
    if chosen.clean:
        print(json.dumps(clean_file(chosen.modality[0], *chosen.clean, chosen.options)))
        return 0
    rows = [run(name, mib=chosen.mib, folder=chosen.folder, options=chosen.options) for name in chosen.modality]
    print(table(rows))
    if chosen.out:
        write(rows, chosen.out, name="large_recordings")
    return 0


if __name__ == "__main__":
    sys.exit(main())
