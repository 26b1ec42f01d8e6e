"""Every dataset of the table: complete facts, and on real data what its facts promise."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from tests.raw_folders import dataset_of

from neurofmx.datasets import DATASETS, Dataset, pick
from neurofmx.datasets.own.base import OwnRecordings
from neurofmx.datasets.shared.archive import Archive
from neurofmx.preprocessing import PREPROCESS
from neurofmx.recordings.recording import Recording

ROOT = Path(__file__).parents[2]
# a recording of these is one word, or one animal
ONE_CLASS_A_RECORDING = ("fsdd", "vocalpy")
FACTS = ("name", "species", "licence", "citation", "homepage", "source")


@pytest.mark.parametrize("name", DATASETS)
def test_the_facts_are_complete(name: str) -> None:
    cls = DATASETS[name]
    assert cls.name == name
    assert all(isinstance(getattr(cls, fact), str) and getattr(cls, fact) for fact in FACTS)
    assert cls.modalities
    assert set(cls.modalities) <= set(PREPROCESS)
    dataset = dataset_of(name)
    assert dataset.split.name.endswith("-v1")
    assert len(set(dataset.task.names)) == len(dataset.task.names)
    assert all(len(sha256) == 64 for sha256 in dataset.checksums().values())


@pytest.mark.parametrize("name", DATASETS)
def test_reading_finds_what_the_facts_promise(name: str, read: Callable[[str], list[Recording]]) -> None:
    dataset = dataset_of(name)
    recordings = read(name)
    expected = dataset.expected
    if expected is None:  # somebody's own files: tests/datasets/test_own_*.py; or an archive that nobody here has met
        assert isinstance(dataset, (OwnRecordings, Archive))
        return
    assert len(recordings) == len({recording.name for recording in recordings}) == expected.recordings
    channels, rates = (
        value if isinstance(value, tuple) else (value,) * len(recordings)
        for value in (expected.channels, expected.rate)
    )
    for recording, width, rate in zip(recordings, channels, rates, strict=True):
        assert recording.sources
        if expected.signal in recording.events:
            assert len(recording.event(expected.signal).names) == width
            assert recording.signal(dataset.task.target).rate == rate
        else:
            signal = recording.signal(expected.signal)
            assert (int(np.prod(signal.data.shape[1:])), signal.rate) == (width, rate)
            assert np.isfinite(signal.data).all()


@pytest.mark.parametrize("name", DATASETS)
def test_every_recording_can_answer_the_task(name: str, read: Callable[[str], list[Recording]]) -> None:
    dataset = dataset_of(name)
    seen: set[str] = set()
    left_out_whole = dataset.split.kind == "groups" and dataset.split.by == "recording"
    for recording in read(name):
        if dataset.task.kind == "classification":
            trials = recording.require_trials()
            labels = set(trials.column(dataset.task.target))
            every = left_out_whole and len(trials) > 1 and name not in ONE_CLASS_A_RECORDING
            assert labels == set(dataset.task.names) if every else labels <= set(dataset.task.names)
            seen |= labels
            assert (trials.start >= recording.start).all()
            assert (trials.stop <= recording.stop + 1e-9).all()
        elif dataset.task.kind == "next_token":
            assert recording.signal(dataset.task.target).unit == "character"
            assert "train" not in (*dataset.split.test, *dataset.split.held)  # where the vocabulary is learnt
        else:
            target = recording.signal(dataset.task.target)
            known = target.data[np.isfinite(target.data)]
            assert len(known) > 0.8 * target.data.size  # NaN: not asked there
            assert len(dataset.task.names) == target.data[0].size
            assert known.std() > 0
            if dataset.task.kind == "circular":
                assert target.unit == "rad"
                assert ((known >= 0) & (known <= 2 * np.pi)).all()
    assert dataset.task.kind != "classification" or seen == set(dataset.task.names)


@pytest.mark.parametrize("name", DATASETS)
def test_a_second_download_has_the_same_bytes(name: str, raw: Callable[[str], Path], tmp_path: Path) -> None:
    first = raw(name)
    cache = ROOT / ".downloads"
    dataset_of(name).download(tmp_path, mirror=os.environ.get("NEUROFMX_MIRROR"), cache=cache)
    files = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert all((first / path).read_bytes() == (tmp_path / path).read_bytes() for path in files)


@pytest.mark.parametrize("name", DATASETS)
def test_unknown_options_and_changes_are_refused(name: str) -> None:
    with pytest.raises(ValidationError, match=r"Extra inputs are not permitted"):
        DATASETS[name](colour="red")
    with pytest.raises(ValidationError, match=r"frozen"):
        dataset_of(name).seed = 3


def test_the_nearest_name_is_suggested() -> None:
    assert issubclass(pick("haxby2001"), Dataset)
    with pytest.raises(ValueError, match=r"unknown dataset 'haxby2011'; did you mean 'haxby2001'\?"):
        pick("haxby2011")


def test_the_page_of_archives_names_every_client_and_tests_that_exist() -> None:
    page = (ROOT / "docs/archives.md").read_text(encoding="utf-8")
    clients = {name for name, kind in DATASETS.items() if issubclass(kind, Archive)}
    assert clients <= set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    files = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")}
    named = re.findall(r"`(test_\w+)(?:\.py|\.\.\.)?`", page)
    assert len(named) > 20
    assert not [
        name for name in named if name not in files and not any(f"def {name}" in text for text in files.values())
    ]
