"""Damaged and odd files: every reader gives recordings or one of our errors, never a traceback from the inside."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.datasets.own_files import (
    example,
    session,
    write_bids,
    write_edf,
    write_fmri,
    write_npz,
    write_nwb,
    write_visit,
)

from neurofmx.datasets import DATASETS
from neurofmx.datasets.digits import FILE, Digits
from neurofmx.datasets.own.refusal import Refused

SIDES = {"kind": "classification", "classes": ["left", "right"]}
VALUES = {"kind": "regression", "series": "speed", "variables": ["x", "y"]}
quick = settings(
    max_examples=40, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
DAMAGE = st.one_of(
    st.tuples(st.just("cut"), st.floats(0, 1), st.just(b"")),
    st.tuples(st.just("write"), st.floats(0, 1), st.binary(min_size=1, max_size=12)),
    st.tuples(st.just("head"), st.floats(0, 1), st.binary(min_size=1, max_size=12)),
    st.tuples(st.just("insert"), st.floats(0, 1), st.binary(min_size=1, max_size=12)),
)


def damaged(body: bytes, how: tuple[str, float, bytes]) -> bytes:
    """Bytes cut off, overwritten (anywhere, or in the first kilobytes, where the structure is), or pushed apart."""
    kind, where, new = how
    at = int(where * (min(len(body), 2048) if kind == "head" else len(body)))
    if kind == "cut":
        return body[:at]
    return body[:at] + new + body[at if kind == "insert" else at + len(new) :]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("fuzz")
    made = session(2, trials=4)
    write_edf(root / "edf/a.edf", made)
    write_nwb(root / "nwb/a.nwb", made)
    write_npz(root / "npz/a.npz", made)
    write_visit(root / "film/a.mkv", made)
    write_bids(root / "bids", made)
    write_bids(root / "meg", made, datatype="meg", form="FIF")
    write_fmri(root / "fmri")
    return root


OPTIONS: dict[str, dict[str, Any]] = {
    "edf": {"modality": "eeg", "target": SIDES},
    "nwb": {"modality": "eeg", "series": "Field", "target": SIDES | {"column": "side"}, "where": {"location": ["M1"]}},
    "npz": {"modality": "eeg", "series": "volts", "rate": "fs", "stop": "stop", "target": SIDES},
    "film": {"modality": "audio", "target": SIDES},
    "bids": {"modality": "eeg", "target": SIDES},
    "meg": {"modality": "eeg", "datatype": "meg", "target": SIDES},
    "fmri": {"modality": "fmri", "target": {"kind": "classification", "classes": ["face", "house"]}},
}


def reads_or_refuses(which: str, folder: Path, **changes: Any) -> bool:
    """Read every sample of a folder; true if it could be read, false if it was refused with its name."""
    kind = DATASETS["bids" if which in ("meg", "fmri") else which]
    chosen = kind(**{"path": str(folder)} | OPTIONS[which] | changes)
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    try:
        for recording in chosen.parse(folder, {name: None for name in names}):  # type: ignore[arg-type]
            for signal in recording.signals.values():
                assert np.asarray(signal.data).dtype.kind == "f"
    except Refused:
        return False
    return True


@quick
@given(how=DAMAGE)
@pytest.mark.parametrize(
    ("which", "file"),
    [
        ("edf", "a.edf"),
        ("nwb", "a.nwb"),
        ("npz", "a.npz"),
        ("film", "a.mkv"),
        ("film", "a.csv"),
        ("bids", "sub-01/eeg/sub-01_task-imagery_run-1_events.tsv"),
        ("bids", "sub-01/eeg/sub-01_task-imagery_run-1_channels.tsv"),
        ("meg", "sub-01/meg/sub-01_task-imagery_run-1_meg.fif"),
        ("fmri", "task-look_bold.json"),
        ("fmri", "sub-01/func/sub-01_task-look_run-1_bold.nii.gz"),
    ],
    ids=lambda value: value.rsplit("_", 1)[-1],
)
def test_damaged_bytes(files: Path, which: str, file: str, how: tuple[str, float, bytes]) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / which
        shutil.copytree(files / which, folder)
        (folder / file).write_bytes(damaged((folder / file).read_bytes(), how))
        reads_or_refuses(which, folder)


def paths_of(file: h5py.File) -> list[str]:
    """All groups and datasets below the root."""
    found: list[str] = []
    file.visit(found.append)
    return found


ODD: dict[str, Callable[[h5py.Dataset | h5py.Group], Any]] = {
    "text": lambda old: "not a number",
    "texts": lambda old: np.array([b"a", b"b"]),
    "nothing": lambda old: np.zeros((0,)),
    "one": lambda old: np.float64(3.0),
    "nan": lambda old: np.full(getattr(old, "shape", (2,)) or (1,), np.nan),
    "huge": lambda old: np.full(getattr(old, "shape", (2,)) or (1,), 2**62),
    "short": lambda old: old[:1] if isinstance(old, h5py.Dataset) and old.ndim else np.zeros(1),
    "cube": lambda old: np.zeros((2, 2, 2)),
}


@settings(quick, max_examples=80)
@given(pick=st.integers(0, 10_000), what=st.sampled_from(["gone", "group", "bare", *ODD]), spikes=st.booleans())
def test_nwb_with_missing_groups_and_wrong_contents(files: Path, pick: int, what: str, spikes: bool) -> None:
    changes: dict[str, Any] = {"target": VALUES}
    if spikes:
        changes |= {"modality": "spikes", "series": "units", "where": {"quality": ["good"]}}
    with tempfile.TemporaryDirectory() as place:
        path = shutil.copy(files / "nwb/a.nwb", place)
        with h5py.File(path, "r+") as file:
            relevant = [p for p in paths_of(file) if not p.startswith("specifications")]
            name = relevant[pick % len(relevant)]
            old = file[name]
            new = None if what in ("gone", "group", "bare") else ODD[what](old)
            if what == "bare":
                for key in list(old.attrs):
                    del old.attrs[key]
            else:
                del file[name]
            if what == "group":
                file.create_group(name)
            elif new is not None:
                file[name] = new
        reads_or_refuses("nwb", Path(place), **changes)
        reads_or_refuses("nwb", Path(place))


ARRAYS = st.sampled_from(
    [
        np.zeros(0),
        np.zeros((2, 2, 2)),
        np.array(3.0),
        np.array("text"),
        np.array(["a", "b"]),
        np.array([np.nan, np.inf]),
        np.array([1, 2, 3]),
        np.array([2**63 - 1]),
        np.array([True, False]),
        np.array([1 + 2j]),
        np.zeros(2, dtype=[("a", "i4")]),
        np.array(["2020-01-01"], dtype="datetime64[D]"),
        np.array([{"a": 1}], dtype=object),
    ]
)


@quick
@given(name=st.sampled_from(["volts", "fs", "names", "start", "stop", "label", "angle"]), array=ARRAYS)
def test_npz_with_other_arrays(files: Path, name: str, array: np.ndarray) -> None:
    with tempfile.TemporaryDirectory() as place:
        write_npz(Path(place) / "a.npz", session(2, trials=4), **{name: array})
        for changes in ({}, {"channels": "names"}, {"target": {"kind": "circular", "series": "angle"}}):
            reads_or_refuses("npz", Path(place), **changes)


@quick
@given(
    rows=st.lists(
        st.lists(st.sampled_from(["1.0", "n/a", "", "left", "right", "inf", "nan", "-3", "1e400", "ä"]), max_size=4),
        max_size=5,
    ),
    head=st.sampled_from(["onset\tduration\ttrial_type", "onset\ttrial_type", "trial_type", "", "onset\tonset\tvalue"]),
)
def test_bids_with_odd_tables(files: Path, rows: list[list[str]], head: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "bids"
        shutil.copytree(files / "bids", folder)
        events = folder / "sub-01/eeg/sub-01_task-imagery_run-1_events.tsv"
        events.write_text("\n".join([head, *("\t".join(row) for row in rows)]), encoding="utf-8")
        reads_or_refuses("bids", folder)


@settings(quick, max_examples=12)
@given(facts=st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=3), st.lists, max_leaves=3))
def test_bids_with_odd_facts(files: Path, facts: Any) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "fmri"
        shutil.copytree(files / "fmri", folder)
        (folder / "task-look_bold.json").write_text(json.dumps({"RepetitionTime": facts}))
        reads_or_refuses("fmri", folder)


@pytest.mark.parametrize("which", OPTIONS)
def test_whole_files_are_read(files: Path, which: str) -> None:
    """What the tests above damage can be read before."""
    assert reads_or_refuses(which, files / which)


@pytest.mark.parametrize("kind", ["nwb", "bids", "edf", "npz", "film"])
def test_the_examples_are_read(kind: str, tmp_path: Path) -> None:
    chosen = DATASETS[kind](**example(kind, tmp_path / "own"))
    chosen.download(tmp_path / "raw", mirror=None, cache=tmp_path)
    assert chosen.read(tmp_path / "raw")


@quick
@given(how=DAMAGE)
def test_a_pinned_file_may_not_change_by_a_byte(how: tuple[str, float, bytes]) -> None:
    """All readers of pinned files stand behind the manifest."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        Digits().download(folder, mirror=None, cache=folder / "cache")
        whole = (folder / FILE).read_bytes()
        changed = damaged(whole, how)
        (folder / FILE).write_bytes(changed)
        if changed == whole:
            return
        with pytest.raises(ValueError, match="truncated or changed"):
            Digits().read(folder)
