"""Fetch all datasets of `run` and `pretrain`, or a suite: several at once, each resumable, one failure harms no other.

What is complete in data/raw already is left alone. The rest goes into .downloads/ready, from where `dvc repro` takes it
without fetching. data/raw/MANIFEST.json, which no stage depends on, then lists all files there are.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tqdm import tqdm

from _stage import Params, downloads, fetched, mirror, run, write_json
from neurofmx.datasets import Dataset
from neurofmx.datasets.access.progress import MARK, VARIABLE
from neurofmx.datasets.shared.manifest import NAME, rows_of
from neurofmx.params import check_params, read_tree
from neurofmx.tables import pick
from neurofmx.variants import variant_tree

RAW = Path("data/raw")
BAR = "{desc:<24.24} {n_fmt:>7}B {postfix}"


def main(params: Params, suite: str | None, jobs: int, only: str | None) -> None:
    """Fetch all, or in a process of its own one."""
    if jobs < 1:
        raise ValueError(f"--jobs {jobs}: must be 1 or more, the datasets that are fetched at a time")
    if suite is not None:
        params = check_params(variant_tree(read_tree(), suite), source=f"params.yaml, as suite {suite} changes it")
    wanted = wanted_by(params)
    if only is not None:
        where = "run.datasets and pretrain.datasets" + (f" with suite {suite}" if suite else "; --suite adds a suite's")
        return fetch_one(only, pick(wanted, only, f"dataset ({where})"), mirror(params))
    with Board(len(wanted)) as board:
        failed = board.fetch(wanted, suite, jobs)
    summarise()
    if failed:
        reasons = "\n".join(f"  {name}: {reason}" for name, reason in failed.items())
        raise RuntimeError(
            f"{len(failed)} of {len(wanted)} datasets could not be fetched, the others are done:\n{reasons}"
        )
    return None


def wanted_by(params: Params) -> dict[str, Dataset]:
    """The datasets of a run, and those that it is pretrained on, by name."""
    pretrain = {name: params.pretraining(name).dataset for name in params.pretrain.datasets}
    return pretrain | {name: params.dataset(name).dataset for name in params.run.datasets}


def fetch_one(name: str, dataset: Dataset, source: str | None) -> None:
    """Fetch what is missing of one dataset, from a mirror if there is one."""
    ready = fetched(name)
    dataset.download(ready, mirror=source, cache=downloads())
    rows = rows_of(ready)
    kept = {NAME, *(row["file"] for row in rows)}
    for path in [path for path in ready.rglob("*") if path.is_file()]:  # of options that were chosen before
        if path.relative_to(ready).as_posix() not in kept:
            path.unlink()
    print(f"{len(rows)} files, {tqdm.format_sizeof(sum(row['bytes'] for row in rows))}B")


class Board:
    """A line for each dataset that is being fetched, and one for all of them.

    Args:
        count: Number of datasets.
    """

    def __init__(self, count: int) -> None:
        self._all = tqdm(total=count, desc="all datasets", unit="dataset", position=0, disable=None)
        self._processes: list[subprocess.Popen[str]] = []
        self._lock, self._free = threading.Lock(), [*range(64, 0, -1)]

    def __enter__(self) -> Board:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:  # after Ctrl-C: what they have stays, and is gone on with
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        self._all.close()

    def fetch(self, wanted: dict[str, Dataset], suite: str | None, jobs: int) -> dict[str, str]:
        """Fetch datasets, `jobs` at a time; returns the reason of each that failed."""
        pool = ThreadPoolExecutor(jobs)
        try:
            reasons = pool.map(lambda name: self._one(name, wanted[name], suite), wanted)
            failed = {name: reason for name, reason in zip(wanted, reasons, strict=True) if reason}
        except BaseException:
            self.__exit__()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
        return failed

    def _one(self, name: str, dataset: Dataset, suite: str | None) -> str:
        """Fetch one, if it is not there; returns why it failed, or nothing."""
        if dataset.local:
            said, reason = "on this machine, `dvc repro` takes it from there", ""
        elif dataset.holds(RAW / name) or dataset.holds(fetched(name)):
            said, reason = "there already", ""
        else:
            said, reason = self._process(name, suite)
        with self._lock:
            tqdm.write(f"{name}: {said}")
            self._all.update()
        return reason

    def _process(self, name: str, suite: str | None) -> tuple[str, str]:
        """Fetch one in a process of its own; returns what it said last, and why it failed, or nothing."""
        chosen = ["--only", name, *(["--suite", suite] if suite else [])]
        with self._lock:
            position = self._free.pop()
        bar = tqdm(desc=name, unit="B", unit_scale=True, position=position, leave=False, disable=None, bar_format=BAR)
        process = subprocess.Popen(
            [sys.executable, __file__, *chosen],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=os.environ | {VARIABLE: "lines"},
        )
        self._processes.append(process)
        said = list(self._follow(process, bar))
        bar.close()
        with self._lock:
            self._free.append(position)
        last = said[-1] if said else ""
        reason = "" if process.wait() == 0 else (last or f"ended with {process.returncode}")
        return (f"failed: {reason}", reason) if reason else (last, "")

    def _follow(self, process: subprocess.Popen[str], bar: tqdm) -> Any:
        """Show how far a process is; yields what else it prints."""
        have: dict[str, int] = {}
        assert process.stdout is not None
        for line in process.stdout:
            if not line.startswith(MARK):
                if line.strip():
                    yield line.strip()
                continue
            file, count, total = json.loads(line[len(MARK) :])
            have[file] = count
            share = f", {100 * count // total} % of {file}" if total else f", {file}"
            bar.set_postfix_str(f"of {len(have)} files{share}", refresh=False)
            bar.update(sum(have.values()) - bar.n)


def summarise() -> None:
    """List all files of all datasets that are there: size, checksum, source, licence, and when they came."""
    path, now = RAW / NAME, datetime.now(UTC).isoformat(timespec="seconds")
    before = json.loads(path.read_text()) if path.is_file() else []
    known = {(row["dataset"], row["file"], row["sha256"]): row["when"] for row in before}
    places = {file.parent.name: file.parent for top in (fetched(""), RAW) for file in top.glob(f"*/{NAME}")}
    rows = [{"dataset": name} | row for name, folder in sorted(places.items()) for row in rows_of(folder)]
    write_json(path, [row | {"when": known.get((row["dataset"], row["file"], row["sha256"]), now)} for row in rows])


if __name__ == "__main__":
    run(
        main,
        flags={
            "suite": {"help": "a suite of params.yaml, beside what `run` names"},
            "jobs": {"type": int, "default": 4, "help": "datasets at a time, default 4"},
            "only": {"help": "one dataset, in this process"},
        },
    )
