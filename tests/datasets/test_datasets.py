"""Every dataset of the table: complete facts, and on real data what its facts promise."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from neurofmx.datasets import DATASETS, Dataset, pick
from neurofmx.preprocessing import PREPROCESS

FACTS = ("name", "species", "licence", "citation", "homepage", "source")


@pytest.mark.parametrize("name", DATASETS)
def test_the_facts_are_complete(name: str) -> None:
    cls = DATASETS[name]
    assert cls.name == name
    assert all(isinstance(getattr(cls, fact), str) and getattr(cls, fact) for fact in FACTS)
    assert cls.modalities
    assert set(cls.modalities) <= set(PREPROCESS)
    assert cls().split.name.endswith("-v1")
    assert len(set(cls().task.names)) == len(cls().task.names)
    assert all(len(sha256) == 64 for sha256 in cls().checksums().values())


@pytest.mark.parametrize("name", DATASETS)
def test_reading_finds_what_the_facts_promise(name: str, raw: Callable[[str], Path]) -> None:
    dataset = DATASETS[name]()
    recordings = dataset.read(raw(name))
    expected = dataset.expected
    assert len(recordings) == len({recording.name for recording in recordings}) == expected.recordings
    for recording in recordings:
        assert recording.sources
        if expected.signal in recording.events:
            assert len(recording.event(expected.signal).names) == expected.channels
            assert recording.signal(dataset.task.target).rate == expected.rate
        else:
            signal = recording.signal(expected.signal)
            assert (int(np.prod(signal.data.shape[1:])), signal.rate) == (expected.channels, expected.rate)
            assert np.isfinite(signal.data).all()


@pytest.mark.parametrize("name", DATASETS)
def test_every_recording_can_answer_the_task(name: str, raw: Callable[[str], Path]) -> None:
    dataset = DATASETS[name]()
    seen: set[str] = set()
    left_out_whole = dataset.split.kind == "groups" and dataset.split.by == "recording"
    for recording in dataset.read(raw(name)):
        if dataset.task.kind == "classification":
            trials = recording.require_trials()
            labels = set(trials.column(dataset.task.target))
            assert labels == set(dataset.task.names) if left_out_whole else labels <= set(dataset.task.names)
            seen |= labels
            assert (trials.start >= recording.start).all()
            assert (trials.stop <= recording.stop + 1e-9).all()
        elif dataset.task.kind == "next_token":
            assert recording.signal(dataset.task.target).unit == "character"
            assert "train" not in (*dataset.split.test, *dataset.split.held)  # where the vocabulary is learnt
        elif dataset.task.kind == "regression":
            target = recording.signal(dataset.task.target)
            assert target.channels == dataset.task.names
            assert np.isfinite(target.data).all()
        elif dataset.task.kind == "circular":
            angle = recording.signal(dataset.task.target)
            assert angle.unit == "rad"
            assert ((angle.data >= 0) & (angle.data <= 2 * np.pi)).all()
        else:
            target = recording.signal(dataset.task.target)
            assert target.channels == dataset.task.names
            assert np.isfinite(target.data).all()
    assert dataset.task.kind != "classification" or seen == set(dataset.task.names)


@pytest.mark.parametrize("name", DATASETS)
def test_a_second_download_has_the_same_bytes(name: str, raw: Callable[[str], Path], tmp_path: Path) -> None:
    first = raw(name)
    cache = Path(__file__).parents[2] / ".downloads"
    DATASETS[name]().download(tmp_path, mirror=os.environ.get("NEUROFMX_MIRROR"), cache=cache)
    files = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert all((first / path).read_bytes() == (tmp_path / path).read_bytes() for path in files)


@pytest.mark.parametrize("name", DATASETS)
def test_unknown_options_and_changes_are_refused(name: str) -> None:
    with pytest.raises(ValidationError, match=r"Extra inputs are not permitted"):
        DATASETS[name](colour="red")
    with pytest.raises(ValidationError, match=r"frozen"):
        DATASETS[name]().seed = 3


def test_the_nearest_name_is_suggested() -> None:
    assert issubclass(pick("haxby2001"), Dataset)
    with pytest.raises(ValueError, match=r"unknown dataset 'haxby2011'; did you mean 'haxby2001'\?"):
        pick("haxby2011")
