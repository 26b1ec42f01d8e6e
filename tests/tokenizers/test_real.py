"""Real recordings: what a tokenizer makes of them, even before any training, tells what was going on.

Tokens of a window are averaged, with their deviation beside, and read by logistic or ridge regression that is fitted on
one part of a recording and asked about another. A tokenizer that loses or mixes up what it reads fails.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from scipy.io import loadmat, wavfile
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from neurofmx.datasets import DATASETS
from neurofmx.params import load_params
from neurofmx.plan import Item
from neurofmx.preprocessing import PREPROCESS
from neurofmx.tokenizers.cutting.cut import cut
from neurofmx.tokenizers.spectrogram import pitch
from neurofmx.tokenizers.table import build_tokenizer
from neurofmx.tokenizers.tokens import Layout, Sample

PARAMS = Path(__file__).parents[2] / "params.yaml"
Folder = Callable[[str], Path]


class Case(NamedTuple):
    """Windows, their answers (classes or values), and which of them a readout is fitted on."""

    sample: Sample
    layout: Layout
    y: np.ndarray
    train: np.ndarray
    width: int = 64  # of a token
    flat: bool = False  # read every token by itself, where it says where and not when
    options: dict[str, int] = {}  # noqa: RUF012


def of_dataset(folder: Folder, name: str, modality: str, *, every: int = 1, flat: bool = False) -> Case:
    """Windows as the default pipeline makes them, with training and test windows of the first fold."""
    chosen = load_params(PARAMS)._prepare(name, Item(kind=name, modality=modality))
    clean = PREPROCESS[modality].preprocess(chosen.dataset.read(folder(name)), chosen.preprocess)
    task = chosen.dataset.task
    windows = cut(
        list(clean),
        signal=PREPROCESS[modality].signal,
        task=task,
        split=chosen.dataset.split,
        options=chosen.tokenize,
        modality=modality,
        dataset=name,
    )
    fold = windows.fold(0)
    index = np.concatenate([fold.train, fold.validation, fold.test])[::every]
    y = windows.y[index]
    y = np.stack([np.cos(y), np.sin(y)], 1) if task.kind == "circular" else y
    return Case(Sample.of(windows, 0, index), Layout.of(windows), y, ~np.isin(index, fold.test), flat=flat)


def calcium(folder: Folder) -> Case:
    """Hippocampal units of a mouse on a track, 1 s each; asked is where it is, in the last quarter of the session."""
    trains, places = (
        loadmat(folder("sheintuch2022") / f"C24M4_{name}.mat")[name][0, 1, 0]
        for name in ("spike_train", "stimulus_trace")
    )
    x = trains[:, (trains > 0).sum(0) > 20].astype(np.float32)
    end = np.arange(20, len(x), 3)
    windows = (x / x.std(0))[end[:, None] + np.arange(-20, 0)]
    layout = Layout((20, x.shape[1]), rate=20.0, patch=4)
    y, train = places.ravel()[end - 10, None], end < 0.75 * len(x) - 20
    return Case(tensor(windows), layout, y, train, width=256, options={"width": 256})


def field_potential(folder: Folder) -> Case:
    """Seconds of voltage of a rat, from CA1 or from entorhinal cortex; asked is which."""
    traces = [np.load(folder("bycycle_lfp") / f"{place}.npy") for place in ("ca1", "ec3")]
    x = np.concatenate([(trace / trace.std()).reshape(60, 1250, 1) for trace in traces])
    second = np.tile(np.arange(60), 2)
    return Case(tensor(x), Layout((1250, 1), rate=1250.0, patch=250), np.repeat([0, 1], 60), second < 40)


def seizure(folder: Folder) -> Case:
    """Quarter seconds of a person's electrodes, with their places; asked is whether the seizure has begun."""
    import mne

    base = folder("mne_misc_ieeg")
    raw = mne.io.read_raw_edf(next(base.glob("*.edf")), preload=True, verbose="error")
    names = [name for name in raw.ch_names if not name.startswith("EKG")]
    rate, voltage = raw.info["sfreq"], raw.get_data(names).T
    windows = len(voltage) // 248
    x = (voltage / voltage.std(0))[: windows * 248].reshape(windows, 248, -1)
    rows = [line.split("\t") for line in next(base.glob("*electrodes.tsv")).read_text().splitlines()[1:]]
    known = {name: [float(v) if v != "n/a" else np.nan for v in place[:3]] for name, *place in rows}
    places = torch.tensor([known.get(name, [np.nan] * 3) for name in names], dtype=torch.float32)
    assert places.isfinite().any()
    middle = (np.arange(windows) + 0.5) * 248 / rate
    layout = Layout((248, x.shape[2]), rate=rate, patch=124, positions=True)
    sample = Sample(tensor(x).x, positions=places.expand(windows, -1, -1))
    y = (middle > raw.annotations[0]["onset"]).astype(int)
    return Case(sample, layout, y, np.arange(windows) % 3 != 0)


def gesture(folder: Folder) -> Case:
    """Seconds of the muscles of a forearm; asked is the gesture, in another session than the one fitted on."""
    x, y, train = [], [], []
    for session in ("training0", "Test0"):
        for number in range(28):
            file = folder("myo_armband") / f"EvaluationDataset/Male0/{session}/classe_{number}.dat"
            x.append(np.fromfile(file, np.int16).reshape(-1, 8)[:800].reshape(4, 200, 8) / 30)
            y += [number % 7] * 4
            train += [session == "training0"] * 4
    return Case(tensor(np.concatenate(x)), Layout((200, 8), rate=200.0, patch=40), np.array(y), np.array(train))


def speech(folder: Folder, *, asked: int, takes: str = "0369") -> Case:
    """Spoken digits of unequal length; asked is which digit (0) or who speaks (1), by takes that were not fitted on."""
    with zipfile.ZipFile(folder("fsdd") / "fsdd_12per.zip") as archive:
        names = [name for name in archive.namelist() if re.search(rf"_[{takes}]\.wav$", name)]
        clips = [wavfile.read(io.BytesIO(archive.read(name)))[1].astype(np.float32) for name in names]
    length = torch.tensor([min(len(clip), 8000) for clip in clips])
    x = np.zeros((len(clips), 8000, 1), np.float32)
    for row, clip in zip(x, clips, strict=True):
        row[: len(clip), 0] = clip[:8000] / clip.std()
    facts = [Path(name).stem.split("_") for name in names]
    y = np.unique([fact[asked] for fact in facts], return_inverse=True)[1]
    train = np.array([fact[2] != takes[-1] for fact in facts])
    return Case(Sample(torch.tensor(x), length=length), Layout((8000, 1), rate=8000.0, patch=80), y, train)


def calls(folder: Folder) -> Case:
    """20 ms of a mouse's cage at 250 kHz; asked is whether it calls, in another recording than the one fitted on."""
    x, y = [], []
    for number in (1, 3):
        rate, sound = wavfile.read(folder("amvoc_usv") / f"rec_{number}.wav")
        when = np.loadtxt(folder("amvoc_usv") / f"gt_{number}.csv", delimiter=",")
        middle = 0.01 + 0.02 * np.arange(250)
        x.append((sound / sound.std())[:1250000].reshape(250, 5000, 1))
        y.append(((middle[:, None] >= when[:, 0]) & (middle[:, None] < when[:, 1])).any(1).astype(int))
    assert rate == 250000
    layout = Layout((5000, 1), rate=250e3, patch=250)
    return Case(tensor(np.concatenate(x)), layout, np.concatenate(y), np.arange(500) < 250)


def mouse(folder: Folder) -> tuple[np.ndarray, np.ndarray]:
    """Frames (39, 60, 80) of a mouse seen from above, and where four points of its body are (39, 4, 2), in frames."""
    from PIL import Image

    base = folder("dlc_openfield") / "labeled-data/m4s1"
    rows = [line.split(",") for line in (base / "CollectedData_Pranav.csv").read_text().splitlines()[3:]]
    places = {Path(row[0]).name: np.array(row[-8:], float).reshape(4, 2) for row in rows}
    frames = sorted(base.glob("*.png"))
    grey = [np.asarray(Image.open(frame).convert("L").resize((80, 60))) / 255 for frame in frames]
    return np.stack(grey), np.stack([places[frame.name] for frame in frames]) / 8


def video(folder: Folder) -> Case:
    """Single frames; asked is where the mouse is."""
    frames, places = mouse(folder)
    x = (frames - frames.mean()) / frames.std()
    layout = Layout((1, 60, 80), rate=10.0)
    return Case(tensor(x[:, None]), layout, places.mean(1), np.arange(len(x)) % 3 != 1, flat=True)


def posture(folder: Folder) -> Case:
    """Keypoints with their frames; asked is which way the mouse looks, from tail to snout."""
    frames, places = mouse(folder)
    places = np.nan_to_num(places, nan=places[np.isfinite(places)].mean())
    heading = places[:, 0] - places[:, 3]
    layout = Layout((1, 8), rate=10.0, beside=Layout((1, 60, 80), rate=10.0))
    sample = Sample(tensor((places / 10).reshape(-1, 1, 8)).x, beside=tensor(frames[:, None]))
    return Case(sample, layout, heading / np.linalg.norm(heading, axis=1, keepdims=True), np.arange(39) % 3 != 1)


def robot(folder: Folder) -> Case:
    """24 distances around a robot along a wall, four in a row; asked is what it does. Later rounds are tested."""
    rows = [line.split(",") for line in (folder("scitos") / "sensor_readings_24.data").read_text().splitlines()]
    rows = [row for row in rows if len(row) == 25 and row[0][0].isdigit()]
    x = np.array([row[:24] for row in rows], np.float32)
    y = np.unique([row[24] for row in rows], return_inverse=True)[1]
    index = np.arange(3, len(x), 4)
    windows = ((x - x.mean(0)) / x.std(0))[index[:, None] + np.arange(-3, 1)]
    return Case(tensor(windows), Layout((4, 24), rate=9.0, patch=4), y[index], np.arange(len(index)) < 1000)


def tensor(x: np.ndarray) -> Sample:
    """Windows without masks."""
    return Sample(torch.tensor(np.ascontiguousarray(x), dtype=torch.float32))


# tokenizer, recordings, least share of right answers or of explained variance; chance is the commonest class, or 0
CASES: list[tuple[str, Callable[[Folder], Case], float]] = [
    ("spikes", partial(of_dataset, name="peyrache_a2929", modality="spikes", every=6), 0.7),
    ("calcium", calcium, 0.3),
    ("lfp", field_potential, 0.8),
    ("ieeg", seizure, 0.75),
    ("ecog", seizure, 0.75),
    ("eeg", partial(of_dataset, name="eegbci", modality="eeg"), 0.6),
    ("emg", gesture, 0.8),
    ("fmri", partial(of_dataset, name="haxby2001", modality="fmri", every=2), 0.2),
    ("image", partial(of_dataset, name="digits", modality="image", every=2, flat=True), 0.8),
    ("audio", partial(speech, asked=0), 0.6),
    ("vocalization", partial(speech, asked=1, takes="09"), 0.8),
    ("ultrasonic", calls, 0.8),
    ("video", video, 0.4),
    ("behavior_video", posture, 0.5),
    ("trajectory", robot, 0.55),
]


@pytest.mark.parametrize(("name", "read", "least"), CASES, ids=[f"{case[0]}" for case in CASES])
def test_tokens_of_real_recordings_tell_what_was_going_on(
    name: str, read: Callable[[Folder], Case], least: float, folder: Folder
) -> None:
    case = read(folder)
    torch.manual_seed(0)
    tokenizer = build_tokenizer(name, case.layout, case.width, options=case.options).eval()
    with torch.no_grad():
        values, mask, _ = tokenizer(case.sample)
    rows = values.flatten(1) if case.flat else summary(values, mask)
    readout = Ridge(300.0 if len(rows) > 100 else 10.0) if case.y.ndim == 2 else LogisticRegression(C=0.1, max_iter=500)
    model = make_pipeline(StandardScaler(), readout).fit(rows[case.train], case.y[case.train])
    score = model.score(rows[~case.train], case.y[~case.train])
    print(f"{name}: {score:.3f}, at least {least}")
    assert score > least


def summary(values: torch.Tensor, mask: torch.Tensor | None) -> np.ndarray:
    """Mean and deviation of each window's tokens (windows, 2 * dim)."""
    there = torch.ones(values.shape[:2]) if mask is None else mask.float()
    weight = (there / there.sum(1, keepdim=True))[..., None]
    mean = (weight * values).sum(1)
    deviation = (weight * (values - mean[:, None]).square()).sum(1).sqrt()
    return torch.cat([mean, deviation], 1).numpy()


def test_pitch_of_speech_is_that_of_librosa(folder: Folder) -> None:
    """Where a voice surely has a pitch, in all but a few frames the same as by another method (YIN)."""
    librosa = pytest.importorskip("librosa")
    case = speech(folder, asked=0, takes="0")
    clips = case.sample.x[:24, :4000, 0]
    height, sure = pitch(clips, rate=8000.0, size=400, hop=80, low=60.0, high=500.0)
    agree = []
    for clip, ours, certain in zip(clips.numpy(), height.numpy(), sure.numpy(), strict=True):
        theirs = librosa.yin(clip, fmin=60, fmax=500, sr=8000, frame_length=400, hop_length=80)[:50]
        agree.append(np.abs(np.log2(ours / theirs))[certain > 0.8] < 0.1)
    share = np.concatenate(agree)
    assert len(share) > 200
    assert share.mean() > 0.85


def test_a_real_text_is_read_back_from_its_tokens(folder: Folder) -> None:
    """The nearest vector of the table is the character that stood there."""
    part, *_ = DATASETS["tiny_shakespeare"]().read(folder("tiny_shakespeare"))
    text = np.asarray(part.signal("text").data[:4000]).astype(np.int64).ravel()
    characters, numbers = np.unique(text, return_inverse=True)
    torch.manual_seed(0)
    tokenizer = build_tokenizer("text", Layout((500, 1), vocabulary=len(characters)), 32).eval()
    with torch.no_grad():
        values, *_ = tokenizer(Sample(torch.tensor(numbers.reshape(8, 500, 1))))
        nearest = torch.cdist(values.flatten(0, 1), tokenizer.vectors.weight).argmin(1).numpy()
    np.testing.assert_array_equal(characters[nearest], text)


def test_real_speech_reaches_the_frames_it_was_heard_during(folder: Folder) -> None:
    """No set here has a film with its sound: pictures of a mouse at 10 Hz stand beside spoken digits, 0.8 s each."""
    frames, _ = mouse(folder)
    words = speech(folder, asked=0, takes="0").sample.x[:3, :6400]
    sound = words.reshape(1, -1, 1)
    hushed = sound.clone()
    hushed[:, 9600:] = 0.0  # from 1.2 s on; a token lasts 0.4 s
    layout = Layout((24, 60, 80), rate=10.0, patch=4, beside=Layout((sound.shape[1], 1), rate=8000.0, patch=80))
    torch.manual_seed(0)
    tokenizer = build_tokenizer("video_audio", layout, 16, options={"fusion": "concat"}).eval()
    film = tensor(frames[None, :24])
    with torch.no_grad():
        heard, half = (tokenizer(replace(film, beside=Sample(each))).values[0] for each in (sound, hushed))
    changed = ((heard - half).abs().amax(1) > 1e-5).tolist()
    assert changed[:2] == [False, False]
    assert changed[4], "the third word begins at 1.6 s"
