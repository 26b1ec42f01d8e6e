"""What the readers of sounds, pictures and poses make of real files, compared with what other code says of them."""

import csv
import gzip
import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from neurofmx.datasets.amvoc_usv import alternating
from neurofmx.datasets.cifar10_subset import Cifar10Subset
from neurofmx.datasets.dlc_openfield import PICTURES, DlcOpenfield, centroids
from neurofmx.datasets.fsdd import Fsdd
from neurofmx.datasets.vocalpy import Vocalpy
from neurofmx.recordings.recording import Recording

Raw = Callable[[str], Path]
Read = Callable[[str], list[Recording]]


def test_words_are_those_of_libsndfile(raw: Raw, read: Read) -> None:
    words = {f"{word.subject}/{word.session}": word for word in read("fsdd")}
    with zipfile.ZipFile(raw("fsdd") / "fsdd_12per.zip") as bundle:
        for name in bundle.namelist()[::50]:
            digit, speaker, take = Path(name).stem.split("_")
            oracle, rate = soundfile.read(io.BytesIO(bundle.read(name)))
            word = words[f"{speaker}/take-{int(take):02d}-digit-{digit}"]
            np.testing.assert_allclose(word.signal("audio").data[:, 0], oracle, atol=1e-7)
            assert word.require_trials().column("label").tolist() == [digit]
            assert word.require_trials().stop[0] == pytest.approx(len(oracle) / rate)


def test_a_fold_of_fsdd_is_a_speaker_or_some_takes(read: Read) -> None:
    speakers = list(dict.fromkeys(word.subject for word in read("fsdd")))
    assert (len(speakers), Fsdd().split.folds, Fsdd().split.by) == (6, 6, "subject")
    takes = Fsdd(leave_out="takes").split
    sessions = [word.session for word in read("fsdd")]
    for part in np.array_split(np.arange(720), takes.folds):  # recordings are dealt to folds in order
        rest = np.delete(np.arange(720), part)
        assert len(part) == 144
        shared = {sessions[i][:7] for i in part} & {sessions[i][:7] for i in rest}
        assert len(shared) <= 2, "a take may be cut in two, at either end"


def test_calls_are_where_the_annotation_has_them(raw: Raw, read: Read) -> None:
    recordings = read("amvoc_usv")
    assert [recording.subject for recording in recordings] == [f"recording-{k}" for k in (1, 2, 3, 6)]
    for recording in recordings:
        number = recording.subject[-1]
        with (raw("amvoc_usv") / f"gt_{number}.csv").open() as file:
            calls = [[float(cell) for cell in row] for row in csv.reader(file)]
        trials = recording.require_trials()
        instants = np.linspace(0, trials.stop[-1], 5003)[:-1]
        annotated = [any(begin <= t < end for begin, end in calls) for t in instants]
        trial = np.searchsorted(trials.start, instants, side="right") - 1
        assert (trials.column("label")[trial] == "call").tolist() == annotated
        oracle, rate = soundfile.read(raw("amvoc_usv") / f"rec_{number}.wav")
        np.testing.assert_allclose(recording.signal("audio").data[:, 0], oracle, atol=1e-7)
        assert recording.signal("audio").rate == rate == 250e3


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)).map(sorted), max_size=6))
def test_trials_cover_all_of_the_time_once(calls: list[list[int]]) -> None:
    trials = alternating(np.array(calls, float).reshape(-1, 2), stop=90.0, names=("silence", "call"))
    np.testing.assert_array_equal(trials.start, [0.0, *trials.stop[:-1]])
    assert trials.stop[-1] == 90.0
    label = trials.column("label")
    assert (label[1:] != label[:-1]).all()
    for instant in np.arange(90) + 0.5:
        (inside,) = np.flatnonzero((trials.start <= instant) & (instant < trials.stop))
        assert (label[inside] == "call") == any(begin <= instant < end for begin, end in calls)


def test_animals_keep_their_rates_and_microphones(raw: Raw, read: Read) -> None:
    recordings = read("vocalpy")
    assert [recording.sources[0].name for recording in recordings] == list(Vocalpy().checksums())
    for recording in recordings:
        (source,) = recording.sources
        oracle, rate = soundfile.read(raw("vocalpy") / source.name, always_2d=True)
        np.testing.assert_allclose(recording.signal("audio").data, oracle, atol=1e-7)
        assert recording.signal("audio").rate == rate


def test_mnist_images_are_rows_of_the_table_the_digits_in_turn(raw: Raw, read: Read) -> None:
    with gzip.open(raw("mnist_5k") / "mnist_5k.csv.gz", "rt") as file:
        rows = [[float(cell) for cell in line.split(",")] for line in file.readlines()[::500]]  # first of each digit
    (recording,) = read("mnist_5k")
    images, label = recording.signal("image").data, recording.require_trials().column("label")
    np.testing.assert_array_equal(images[:10].reshape(10, -1), [row[:-1] for row in rows])
    assert label.reshape(500, 10).tolist() == [list("0123456789")] * 500


def test_photographs_are_those_of_another_decoder(raw: Raw, read: Read) -> None:
    train, test = read("cifar10_subset")
    names = Cifar10Subset().task.names
    with zipfile.ZipFile(raw("cifar10_subset") / "cifar10_subset_jpg.zip") as bundle:
        for recording, index in ((train, 0), (train, 2999), (test, 123)):
            label = recording.require_trials().column("label")[index]
            assert label == names[index % 10]
            content = bundle.read(f"{recording.session}/{label}/{index // 10:04d}.jpg")
            with av.open(io.BytesIO(content)) as container:
                (frame,) = container.decode(video=0)
                oracle = frame.to_ndarray(format="rgb24")
            difference = np.abs(recording.signal("image").data[index].astype(int) - oracle)
            assert difference.mean() < 6, "the two decoders draw colours up in different ways"
    assert [recording.session for recording in (train, test)] == ["train", "test"]
    assert Cifar10Subset().split.test == ("test",)


def test_the_mouse_is_half_a_second_ahead(read: Read) -> None:
    (film,) = read("dlc_openfield")
    place, ahead = film.signal("pose"), film.signal("ahead")
    np.testing.assert_array_equal(place.data[15:], ahead.data[:-15])
    assert 15 / place.rate == pytest.approx(0.5, abs=1e-4)
    assert (place.data.min(axis=0) > 0).all()
    assert (place.data.max(axis=0) < (640, 480)).all()
    assert np.abs(np.diff(place.data, axis=0)).max() < 20  # pixels a frame: no jump to something else


def test_a_dark_square_is_found_where_it_is() -> None:
    pictures = np.full((40, 12, 16), 200, np.uint8)
    for index in range(40):
        pictures[index, 4:7, index % 12 : index % 12 + 2] = 90
    np.testing.assert_allclose(centroids(pictures), [[index % 12 + 1.0, 5.5] for index in range(40)])
    assert np.isnan(centroids(np.full((3, 4, 4), 9, np.uint8))).all()


def test_labelled_pictures_carry_their_keypoints(raw: Raw, tmp_path: Path) -> None:
    raw("dlc_openfield")  # skips where there is no mirror
    dataset = DlcOpenfield(part="labelled")
    dataset.download(tmp_path, mirror=os.environ.get("NEUROFMX_MIRROR"), cache=tmp_path / "cache")
    (labelled,) = dataset.read(tmp_path)
    with (tmp_path / "labeled-data/m4s1/CollectedData_Pranav.csv").open() as file:
        rows = {row[0]: [float(cell) for cell in row[1:]] for row in list(csv.reader(file))[3:]}
    for index, name in enumerate(PICTURES):
        places = [*labelled.signal("pose").data[index], *labelled.signal("tailbase").data[index]]
        assert places == rows[name]
    pictures = labelled.signal("video").data
    assert pictures.shape == (39, 480, 640)
    x, y = labelled.signal("pose").data.reshape(39, 3, 2).mean(axis=1).round().astype(int).T
    assert np.median(pictures[np.arange(39), y, x]) < np.median(pictures) - 30, "a mouse's head is dark"
