"""What is beside windows is read by all models: the linear ones as if both stood in one window, networks through it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from neurofmx.benchmark.material import Material
from neurofmx.benchmark.settings import BenchmarkOptions
from neurofmx.headline import headline
from neurofmx.models.configs import HeadConfig, LstmConfig
from neurofmx.models.decoding.build import build_decoder
from neurofmx.models.fitted.beside import BesideDecoder
from neurofmx.models.fitted.linear import LinearConfig, LinearDecoder
from neurofmx.models.fitted.per_recording import PerRecording, fit_decoder, load_decoder
from neurofmx.models.foundation.config import NeurofmxConfig
from neurofmx.models.pca import PcaConfig, PcaDecoder
from neurofmx.tokenizers.cutting.windows import Windows
from neurofmx.tokenizers.tokens import Sample
from neurofmx.training.batches import Batches
from neurofmx.training.checkpoints.stored import load_arrays, save_arrays
from neurofmx.training.curriculum import beginnings
from synthetic import ragged_windows, synthetic_windows

MODELS = [(LinearDecoder, LinearConfig()), (PcaDecoder, PcaConfig(components=(2, 8)))]


def together(*, kind: Any = "regression", seed: int = 0, channels: int = 4, **facts: Any) -> Windows:
    """Two values, of which the windows say the first and what is beside them the second."""
    windows = synthetic_windows(kind, windows=240, channels=channels, seed=seed)
    rng = np.random.default_rng(seed)
    drive = rng.normal(size=(2, 240))
    own, other = (
        (each[:, None, None] * rng.normal(size=shape) + 0.3 * rng.normal(size=(240, *shape))).astype(np.float32)
        for each, shape in zip(drive, ((6, channels), (9, 2)), strict=True)
    )
    answers = {"y": drive.T} if kind == "regression" else {"y": (drive.sum(0) > 0).astype(np.int64)}
    windows = scaled_by_training(replace(windows, x=own, **answers), own)
    beside = replace(windows, x=other, present=np.zeros(0), positions=np.zeros(0), length=np.zeros(0, int), **facts)
    return replace(windows, beside=scaled_by_training(replace(beside, dataset="other", rate=9.0), other))


def scaled_by_training(windows: Windows, x: np.ndarray) -> Windows:
    train = [x[row == 0] for row in windows.split]
    moments = {"mean": [t.mean((0, 1)) for t in train], "std": [t.std((0, 1)) for t in train]}
    return replace(windows, **{name: np.stack(each) for name, each in moments.items()})


def in_one(windows: Windows) -> Windows:
    """The same samples in windows of one step, one form behind the other."""
    assert windows.beside is not None
    forms = [windows, windows.beside]
    return replace(
        windows,
        x=np.concatenate([each.x.reshape(len(each.x), 1, -1) for each in forms], axis=2),
        mean=np.concatenate([np.tile(each.mean, each.x.shape[1]) for each in forms], axis=1),
        std=np.concatenate([np.tile(each.std, each.x.shape[1]) for each in forms], axis=1),
        present=np.zeros(0),
        positions=np.zeros(0),
        length=np.zeros(0, int),
        beside=None,
    )


@pytest.mark.parametrize("kind", ["regression", "classification"])
def test_the_linear_model_is_that_of_both_forms_in_one_window(kind: str) -> None:
    """Of flat features side by side there is one ridge and one logistic regression, however they are named."""
    windows = together(kind=kind)
    for fold in range(3):
        test = windows.fold(fold).test
        fitted = fit_decoder(LinearDecoder, windows, fold, LinearConfig())
        assert isinstance(fitted, BesideDecoder)
        expected = fit_decoder(LinearDecoder, in_one(windows), fold, LinearConfig())
        np.testing.assert_allclose(
            fitted.answer(windows, fold, test), expected.answer(in_one(windows), fold, test), rtol=1e-3, atol=1e-3
        )
        assert fitted.parameters == expected.parameters


@pytest.mark.parametrize(("kind", "config"), MODELS)
def test_both_forms_answer_what_each_alone_cannot(kind: Any, config: Any, tmp_path: Path) -> None:
    windows = together()
    assert windows.beside is not None
    test = windows.fold(0).test
    scores = [
        headline(fit_decoder(kind, each, 0, config).answer(each, 0, test), windows.y[test], windows.task)
        for each in (windows, replace(windows, beside=None), windows.beside)
    ]
    assert scores[0] > 0.9
    assert max(scores[1:]) < 0.6, "each form says one of two values"
    fitted = fit_decoder(kind, windows, 0, config)
    save_arrays(tmp_path / "fitted.safetensors", fitted.arrays(), fold=0)
    back = load_decoder(kind, load_arrays(tmp_path / "fitted.safetensors")[0])
    assert isinstance(back, BesideDecoder)
    np.testing.assert_array_equal(back.answer(windows, 0, test), fitted.answer(windows, 0, test))
    assert back.parameters == fitted.parameters > 0
    with pytest.raises(ValueError, match="nothing is beside its windows"):
        back.answer(replace(windows, beside=None), 0, test)
    arrays = fitted.arrays()
    with pytest.raises(ValueError, match="unknown arrays"):
        load_decoder(kind, arrays | {"beside.other": np.zeros(1)})
    arrays.pop("beside.mean")
    with pytest.raises(ValueError, match="do not fit"):
        BesideDecoder.from_arrays(kind, arrays)


@pytest.mark.parametrize(("kind", "config"), MODELS)
def test_recordings_with_their_own_channels_have_models_of_both_forms(kind: Any, config: Any) -> None:
    alone = [together(channels=channels, seed=channels) for channels in (3, 5)]
    forms = [replace(each, beside=None) for each in alone], [each.beside for each in alone]
    whole = ragged_windows(forms[0])
    windows = replace(whole, beside=ragged_windows([each for each in forms[1] if each is not None]))
    for fold in range(3):
        fitted = fit_decoder(kind, windows, fold, config)
        assert isinstance(fitted, PerRecording)
        outputs = load_decoder(kind, fitted.arrays()).answer(windows, fold, np.arange(len(windows.y)))
        for number, each in enumerate(alone):
            expected = fit_decoder(kind, each, fold, config).answer(each, fold, np.arange(len(each.y)))
            np.testing.assert_allclose(outputs[windows.group == number], expected, rtol=1e-6, atol=1e-6)


def test_a_recordings_own_channels_may_be_those_of_one_form_alone() -> None:
    """Of units of two sessions and one camera: what the camera says is scaled over both."""
    alone = [together(channels=channels, seed=channels) for channels in (3, 5)]
    whole = ragged_windows([replace(each, beside=None) for each in alone])
    assert alone[0].beside is not None
    seen = np.concatenate([each.beside.x for each in alone if each.beside is not None])
    facts = {name: getattr(whole, name) for name in ("y", "group", "block", "start", "stop", "anchor", "split")}
    empty = {"present": np.zeros(0), "positions": np.zeros(0), "length": np.zeros(0, int), "montage": "same"}
    camera = scaled_by_training(replace(alone[0].beside, x=seen, **facts, **empty), seen)
    windows = replace(whole, beside=camera)
    test = windows.fold(0).test
    answers = fit_decoder(LinearDecoder, windows, 0, LinearConfig()).answer(windows, 0, test)
    assert headline(answers, windows.y[test], windows.task) > 0.9


POSE = {"modality": "pose", "tokenizer": "behavior_video"}


def posture() -> Windows:
    """Keypoints with their film: 6 frames of 2 keypoints, and 6 pictures of 4 by 5 pixels."""
    windows, rng = synthetic_windows(windows=120, channels=4), np.random.default_rng(0)
    film = synthetic_windows(windows=120, time=24, channels=5)
    x = rng.normal(size=film.x.shape) + windows.y[:, None, None]
    beside = replace(film, x=x.astype(np.float32), grid=(4, 5), rate=6.0, modality="video", dataset="film")
    return replace(windows, rate=6.0, beside=beside, **POSE)


@pytest.mark.parametrize(
    ("family", "config"),
    [
        ("lstm", LstmConfig(hidden_dim=8, num_layers=1)),
        ("neurofmx", NeurofmxConfig(hidden_dim=16, num_layers=1, latents=2, latent_layers=1, num_attention_heads=2)),
    ],
)
def test_a_network_reads_what_is_beside_its_windows(family: str, config: Any) -> None:
    windows = posture()
    assert windows.beside is not None
    torch.manual_seed(0)
    decoder = build_decoder(family, config, HeadConfig(), windows, fold=0)
    index = windows.fold(0).test[:8]
    sample = Sample.of(windows, 0, index)
    dark = replace(windows, beside=replace(windows.beside, x=windows.beside.x - 3))
    assert not np.allclose(decoder.predict(sample), decoder.predict(Sample.of(dark, 0, index)), atol=1e-6)
    answers, state = decoder(sample)
    with pytest.raises(ValueError, match="read whole: no state is carried on to them"):
        decoder(sample, state)
    torch.nn.functional.cross_entropy(answers, torch.as_tensor(windows.y[index])).backward()
    reads = [w.grad for name, w in decoder.named_parameters() if "frames" in name or "sight" in name]
    assert reads
    assert all(grad is not None and grad.abs().sum() > 0 for grad in reads)


def test_batches_hold_both_forms_from_memory_and_from_a_file() -> None:
    windows, cpu = posture(), torch.device("cpu")
    kept, read = (
        Batches(windows, 1, batch_size=16, device=cpu, use_cache=cached).epoch(torch.Generator().manual_seed(0))
        for cached in (True, False)
    )
    for (one, _), (other, _) in zip(kept, read, strict=True):
        assert one.beside is not None
        assert other.beside is not None
        assert torch.equal(one.beside.x, other.beside.x)
        assert len(one.beside) == len(one)


def test_a_curriculum_by_length_is_refused() -> None:
    windows = posture()
    sample, y = Sample.of(windows, 0, np.arange(4)), torch.as_tensor(windows.y[:4])
    assert beginnings(sample, y, share=1.0, unit=1)[0] is sample
    with pytest.raises(ValueError, match=r"train.curriculum=length: windows with something beside them are read whole"):
        beginnings(sample, y, share=0.5, unit=1)


def test_the_benchmark_scores_answers_and_reads_no_states() -> None:
    assert "what is beside them" in Material("posture", posture(), BenchmarkOptions()).read
    assert not Material("alone", replace(posture(), beside=None), BenchmarkOptions()).read
