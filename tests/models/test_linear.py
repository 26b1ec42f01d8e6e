"""The linear decoder: tuned on validation, blind to the test windows, the same after a round trip."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.datasets import load_digits
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score

from neurofmx.headline import headline
from neurofmx.models.fitted.linear import LinearConfig, LinearDecoder
from neurofmx.models.pca import PcaConfig, PcaDecoder
from neurofmx.parts import GAP, TEST, VALIDATION
from neurofmx.preprocessing.splits import add_validation, contiguous_blocks, leave_groups_out
from neurofmx.recordings.task import Task
from neurofmx.tokenizers.cutting.windows import Windows
from synthetic import synthetic_windows

KINDS = ["classification", "regression", "circular"]
MODELS = [
    (LinearDecoder, LinearConfig()),
    (LinearDecoder, LinearConfig(features="riemann")),
    (PcaDecoder, PcaConfig(components=(2, 8))),
]


def out_of_fold(windows: Windows, model, config) -> tuple[np.ndarray, np.ndarray]:
    """Answers to the test windows of all folds, and their truth."""
    parts = [windows.fold(k).test for k in range(windows.folds)]
    answers = [model.fit(windows, k, config).predict(windows.scaled(k, index)) for k, index in enumerate(parts)]
    return np.concatenate(answers), windows.y[np.concatenate(parts)]


@pytest.mark.parametrize("kind", KINDS)
def test_reads_a_planted_pattern(kind) -> None:
    windows = synthetic_windows(kind)
    outputs, y = out_of_fold(windows, LinearDecoder, LinearConfig())
    assert headline(outputs, y, windows.task) > 0.93


@pytest.mark.parametrize("kind", ["regression", "circular"])
def test_is_the_ridge_that_a_search_by_hand_finds(kind) -> None:
    windows, strengths = synthetic_windows(kind, noise=3.0), (0.1, 1.0, 10.0, 100.0, 1000.0)
    train, validation, test = windows.fold(1)
    rows = windows.scaled(1, np.arange(len(windows.y))).reshape(len(windows.y), -1)
    values = windows.y if kind == "regression" else np.stack([np.cos(windows.y), np.sin(windows.y)], 1)

    def fitted(strength: float, index: np.ndarray, asked: np.ndarray) -> np.ndarray:
        mean, std = rows[index].mean(0), rows[index].std(0)
        model = Ridge(alpha=strength).fit((rows[index] - mean) / std, values[index])
        return model.predict((rows[asked] - mean) / std)

    scores = [r2_score(values[validation], fitted(s, train, validation)) for s in strengths]
    best = strengths[int(np.argmax(scores))]
    decoder = LinearDecoder.fit(windows, 1, LinearConfig(strengths=strengths))
    assert decoder.readout.strength[0] == best
    expected = fitted(best, np.concatenate([train, validation]), test)
    np.testing.assert_allclose(decoder.predict(windows.scaled(1, test)), expected, atol=1e-4)


@pytest.mark.parametrize(("model", "config"), MODELS)
@pytest.mark.parametrize("kind", KINDS)
def test_test_windows_never_matter(kind, model, config) -> None:
    windows = synthetic_windows(kind, time=12)
    hidden = np.isin(windows.split[0], (TEST, GAP))
    x, y = windows.x.copy(), windows.y.copy()
    x[hidden] = 1e3
    y[hidden] = 1 - y[hidden]
    plain, spoilt = (model.fit(w, 0, config).arrays() for w in (windows, replace(windows, x=x, y=y)))
    assert plain.keys() == spoilt.keys()
    for name, array in plain.items():
        np.testing.assert_array_equal(spoilt[name], array, err_msg=name)


@pytest.mark.parametrize(
    ("model", "config"), [*MODELS, (LinearDecoder, LinearConfig(features="csp", csp_components=2))]
)
def test_arrays_hold_all_of_it(model, config) -> None:
    windows = synthetic_windows(time=12)
    decoder = model.fit(windows, 0, config)
    arrays = {name: array.copy() for name, array in decoder.arrays().items()}
    back = model.from_arrays(arrays)
    x = windows.scaled(0, windows.fold(0).test)
    np.testing.assert_array_equal(back.predict(x), decoder.predict(x))
    assert back.parameters == decoder.parameters
    assert all(array.flags.c_contiguous and array.ndim > 0 for array in decoder.arrays().values())


def test_arrays_of_another_model_are_refused() -> None:
    arrays = LinearDecoder.fit(synthetic_windows(), 0, LinearConfig()).arrays()
    with pytest.raises(ValueError, match="do not fit"):
        PcaDecoder.from_arrays(arrays)
    with pytest.raises(ValueError, match=r"unknown arrays \['other.weight'\]"):
        LinearDecoder.from_arrays(arrays | {"other.weight": np.zeros(1)})
    arrays.pop("readout.bias")
    with pytest.raises(ValueError, match="bias"):
        LinearDecoder.from_arrays(arrays)


def test_parameters_are_counted() -> None:
    windows = synthetic_windows(time=6, channels=4)
    assert LinearDecoder.fit(windows, 0, LinearConfig()).parameters == (6 * 4 + 1) * 2
    riemann = LinearDecoder.fit(windows, 0, LinearConfig(features="riemann"))
    assert riemann.parameters == (4 * 5 // 2 + 1) * 2 + 4 * 4


def test_auto_reads_covariances_of_eeg_only() -> None:
    for modality, kind in (("eeg", "riemann"), ("spikes", "flat")):
        windows = synthetic_windows(time=12, modality=modality)
        auto, named = (LinearDecoder.fit(windows, 0, LinearConfig(features=f)).arrays() for f in ("auto", kind))
        assert auto.keys() == named.keys()


def test_of_equal_scores_the_stronger_penalty() -> None:
    windows = synthetic_windows("regression")
    blank = replace(windows, x=np.zeros_like(windows.x), mean=0 * windows.mean, std=1 + 0 * windows.std)
    assert LinearDecoder.fit(blank, 0, LinearConfig(strengths=(1.0, 7.0, 3.0))).readout.strength[0] == 7


def test_what_cannot_be_fitted_is_refused() -> None:
    windows = synthetic_windows("circular")
    with pytest.raises(ValueError, match="features='csp' needs classes"):
        LinearDecoder.fit(windows, 0, LinearConfig(features="csp"))
    split = np.where(windows.split == VALIDATION, GAP, windows.split)
    with pytest.raises(ValueError, match="no validation window"):
        LinearDecoder.fit(replace(windows, split=split), 0, LinearConfig())
    for wrong in ({"strengths": (-1.0,)}, {"strengths": ()}, {"features": "fourier"}, {"alpha": 1}):
        with pytest.raises(ValidationError, match=next(iter(wrong))):
            LinearConfig.model_validate(wrong)


def assemble(x: np.ndarray, y: np.ndarray, split: np.ndarray, task: Task, modality: str) -> Windows:
    """Windows around given pieces."""
    like = synthetic_windows(windows=len(y), folds=len(split), modality=modality)
    train = [x[row == 0] for row in split]
    std = np.stack([np.maximum(t.std((0, 1)), 1e-9) for t in train])
    mean = np.stack([t.mean((0, 1)) for t in train])
    whole = {"length": np.full(len(y), x.shape[1]), "present": np.ones((1, x.shape[2]), bool)}
    return replace(like, x=x.astype(np.float32), y=y, split=split, task=task, mean=mean, std=std, **whole)


def test_reaches_the_reference_on_digits() -> None:
    """0.93 with contiguous folds, whose writers training never saw."""
    digits = load_digits()
    start = np.arange(len(digits.target), dtype=float)
    group = np.zeros(len(start), int)
    split = contiguous_blocks(group, start, start + 1, folds=5, gap=0.0)
    split = add_validation(split, group, start, start + 1, by="tail", gap=0.0, fraction=0.2)
    task = Task("classification", "label", tuple("0123456789"))
    windows = assemble(digits.images, digits.target, split, task, "image")
    outputs, y = out_of_fold(windows, LinearDecoder, LinearConfig())
    assert headline(outputs, y, task) > 0.90


@pytest.mark.skipif("NEUROFMX_MIRROR" not in os.environ, reason="needs eegbci: set NEUROFMX_MIRROR to a mirror")
@pytest.mark.parametrize(("runs", "reference"), [((6, 10, 14), 0.956), ((4, 8, 12), 0.82)])
def test_reaches_the_reference_on_motor_imagery(runs: tuple[int, ...], reference: float) -> None:
    """Imagined fists against feet, and left against right, leaving one run out."""
    import mne

    x, y, group, start = [], [], [], []
    for number, run in enumerate(runs):
        path = Path(os.environ["NEUROFMX_MIRROR"]) / f"eegbci/S001/S001R{run:02d}.edf"
        raw = mne.io.read_raw_edf(path, preload=True, verbose="ERROR").set_eeg_reference("average", verbose="ERROR")
        data = raw.filter(7, 30, verbose="ERROR").get_data().T
        events, names = mne.events_from_annotations(raw, verbose="ERROR")
        for sample, _, code in events[events[:, 2] != names["T0"]]:
            x.append(data[sample + 80 : sample + 400])
            y.append(int(code == names["T2"]))
            group.append(number)
            start.append(sample / 160 + 0.5)
    group, start = np.array(group), np.array(start)
    split = leave_groups_out(group, folds=3)
    split = add_validation(split, group, start, start + 2, by="tail", gap=0.0, fraction=0.2)
    task = Task("classification", "label", ("T1", "T2"))
    windows = assemble(1e6 * np.array(x), np.array(y), split, task, "eeg")
    outputs, truth = out_of_fold(windows, LinearDecoder, LinearConfig())
    assert headline(outputs, truth, task) > reference - 0.03


def test_padding_counts_for_nothing() -> None:
    """Windows cut short give the same covariances, whatever stands behind their end."""
    windows = synthetic_windows(time=12)
    length = np.where(np.arange(len(windows.y)) % 2, 12, 8)
    short = replace(windows, length=length)
    rubbish = short.x.copy()
    rubbish[~short.recorded(np.arange(len(length)))] = 1e6
    for features in ("riemann", "flat"):
        config = LinearConfig(features=features)
        plain, spoilt = (LinearDecoder.fit(w, 0, config).arrays() for w in (short, replace(short, x=rubbish)))
        for name, array in plain.items():
            np.testing.assert_array_equal(spoilt[name], array)
    with pytest.raises(ValueError, match="features='csp' needs windows of one length"):
        LinearDecoder.fit(short, 0, LinearConfig(features="csp"))
