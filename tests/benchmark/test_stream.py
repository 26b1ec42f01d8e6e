"""Sample by sample is the same as all at once for a causal model, and a model that looks ahead is found out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from known_models import SMALL, Backwards, Forwards, Plain
from neurofmx.benchmark.adapters.fitted import FittedModel
from neurofmx.benchmark.adapters.networks import FrozenDecoder, TrainedNetwork
from neurofmx.benchmark.run import benchmark
from neurofmx.benchmark.stream import Stream, evaluate_stream, looks_ahead, streamed
from neurofmx.evaluation.answers import out_of_fold, save_answers
from neurofmx.headline import headline
from neurofmx.models.configs import HeadConfig, LstmConfig, TransformerConfig
from neurofmx.models.decoding.build import build_decoder
from neurofmx.models.fitted.per_recording import fit_decoder
from neurofmx.models.foundation.config import NeurofmxConfig
from neurofmx.models.pca import PcaConfig, PcaDecoder
from neurofmx.parts import TRAIN, VALIDATION
from neurofmx.tokenizers.cutting.windows import Windows
from neurofmx.tokenizers.tokens import Sample
from neurofmx.training.checkpoints.checkpoint import save_checkpoint
from neurofmx.training.checkpoints.settings import Settings, save_settings
from neurofmx.training.checkpoints.stored import save_arrays
from synthetic import ragged_windows, synthetic_windows

CONFIGS: dict[str, Any] = {
    "lstm": LstmConfig(hidden_dim=8, num_layers=1),
    "neurofmx": NeurofmxConfig(hidden_dim=8, num_layers=1, latents=2, num_attention_heads=2, kernels="reference"),
    "transformer": TransformerConfig(hidden_dim=8, num_layers=1, num_attention_heads=2),
}


class Running:
    """The mean so far of all channels, by hand; `late` adds what only the whole window knows."""

    def start(self, window: Sample) -> tuple[int, np.ndarray]:
        return 0, np.zeros(window.x.shape[2])

    def step(self, sample: np.ndarray, state: tuple[int, np.ndarray]) -> tuple[np.ndarray, tuple[int, np.ndarray]]:
        count, total = state[0] + 1, state[1] + sample
        return total / count, (count, total)


def sample(windows: int = 6) -> Sample:
    held = synthetic_windows("regression", channels=2)
    return Sample.of(held, 0, held.fold(0).test[:windows])


def test_a_causal_stream_ends_with_the_offline_answer_and_score() -> None:
    held = synthetic_windows("regression", channels=2)
    given, truth = sample(), held.y[held.fold(0).test[:6]]
    offline = given.x.numpy().mean(1).astype(float)
    assert isinstance(Running(), Stream)
    found = evaluate_stream(Running(), offline, given, truth, held.task)
    assert found["agrees"]
    assert found["stream_score"] == pytest.approx(headline(offline, truth, held.task), rel=1e-5)
    assert found["steps"] == 5 * given.x.shape[1]  # the first window warms up
    assert 0 < found["latency_ms"]["median"] <= found["latency_ms"]["p95"]
    assert found["latency_ms"]["answering"] == found["latency_ms"]["median"]  # it answers after every sample
    ahead = evaluate_stream(Running(), offline + given.x.numpy()[:, -1], given, truth, held.task)
    assert not ahead["agrees"]


def test_a_stream_that_never_answers_is_refused() -> None:
    class Silent(Running):
        def step(self, sample: np.ndarray, state: Any) -> Any:
            return None, state

    with pytest.raises(ValueError, match="ended without an answer"):
        streamed(Silent(), sample())


def test_states_that_depend_on_later_samples_are_seen() -> None:
    assert not looks_ahead(Forwards(), sample())
    assert looks_ahead(Backwards(), sample())
    with pytest.raises(ValueError, match="at least two"):
        looks_ahead(lambda s: s.x.mean(1, keepdim=True), sample())


@pytest.mark.parametrize("family", CONFIGS)
def test_a_decoder_streams_to_its_own_answers(family: str) -> None:
    held = synthetic_windows("regression")
    torch.manual_seed(0)
    frozen = FrozenDecoder(build_decoder(family, CONFIGS[family], HeadConfig(), held, fold=0))
    index = held.fold(0).test[:3]
    given = Sample.of(held, 0, index)
    found = evaluate_stream(
        frozen.stream(held),
        frozen.answer(given),
        given,
        held.y[index],
        held.task,
        ahead=looks_ahead(frozen, given),
    )
    assert found["agrees"]
    assert found["largest_difference"] < 1e-5
    assert found["looks_ahead"] is False
    assert found["stream_score"] == pytest.approx(found["offline_score"], abs=1e-6)


def test_a_network_that_reads_whole_windows_is_seen_to_look_ahead_and_cannot_stream() -> None:
    held = synthetic_windows()
    config = CONFIGS["neurofmx"].model_copy(update={"causal": False})
    torch.manual_seed(0)
    frozen = FrozenDecoder(build_decoder("neurofmx", config, HeadConfig(), held, fold=0))
    given = Sample.of(held, 0, np.arange(3))
    assert looks_ahead(frozen, given)
    with pytest.raises(ValueError, match="needs the whole window at once"):
        streamed(frozen.stream(held), given)


def test_states_of_a_decoder_are_those_that_its_head_reads() -> None:
    held = synthetic_windows()
    decoder = build_decoder("lstm", CONFIGS["lstm"], HeadConfig(), held, fold=0).eval()
    given = Sample.of(held, 0, np.arange(5))
    with torch.inference_mode():
        said = FrozenDecoder(decoder)(given)
        expected, _ = decoder.backbone(decoder.tokenizer(given)[0], None)
    torch.testing.assert_close(said.values, expected)


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """An LSTM's first weights for a fold and two seeds, and PCA fitted on it, as the train stage leaves them."""
    held = synthetic_windows()
    for seed in (1, 2):
        torch.manual_seed(seed)
        decoder = build_decoder("lstm", CONFIGS["lstm"], HeadConfig(), held, fold=0)
        save_checkpoint(tmp_path / f"synthetic/lstm/best_fold0_seed{seed}.safetensors", decoder.state_dict())
    fitted = PcaDecoder.fit(held, 0, PcaConfig(components=(3,), strengths=(1.0,)))
    save_arrays(tmp_path / "synthetic/pca/best_fold0.safetensors", fitted.arrays())
    save_settings(tmp_path / "synthetic/lstm", Settings("lstm", CONFIGS["lstm"], HeadConfig()))
    save_settings(tmp_path / "synthetic/pca", Settings("pca", PcaConfig()))
    return tmp_path


def test_what_is_trained_is_benchmarked_with_each_of_its_weights(trained: Path) -> None:
    held = synthetic_windows()
    lstm = TrainedNetwork("lstm", (1, 2), trained)
    pca = FittedModel("pca", trained)
    first, second = (lstm.prepare(held, fold=0, seed=seed) for seed in (1, 2))
    given = Sample.of(held, 0, np.arange(4))
    assert not np.allclose(first.answer(given), second.answer(given))
    found = benchmark({"lstm": lstm, "pca": pca}, {"synthetic": held}, options=SMALL)
    line = found.line("lstm", "synthetic")
    assert line["decoding"]["read_by"] == "own head"
    assert line["decoding"]["score"] < 0.75  # first weights answer by luck
    assert line["transfer"]["score"] > 0.85  # their states hold the answer nevertheless
    streaming = found.facts["results"][0]["streaming"]
    assert streaming["agrees"]
    assert streaming["looks_ahead"] is False
    assert found.line("pca", "synthetic")["latent"]["metrics"]["width"] == 3
    assert found.line("pca", "synthetic")["decoding"]["score"] > 0.85


def test_answers_that_are_kept_are_scored_on_all_folds(trained: Path, tmp_path: Path) -> None:
    held = synthetic_windows()
    scores = tmp_path / "scores"
    perfect = out_of_fold(held, lambda fold: 9.0 * np.eye(2)[held.y[held.fold(fold).test]])
    save_answers(scores / "synthetic/pca/answers.h5", perfect[None])
    pca = FittedModel("pca", trained, scores)
    found = benchmark({"pca": pca}, {"synthetic": held}, options=SMALL, linear={"synthetic": perfect[None]})
    line = found.line("pca", "synthetic")["decoding"]
    assert (line["read_by"], line["windows"], line["score"]) == ("stored answers", len(held.tested), 1.0)
    assert line["verdict"] == "ties"
    assert line["shuffled"] < 0.7
    save_answers(scores / "synthetic/pca/answers.h5", perfect[None, :5])
    with pytest.raises(ValueError, match=r"holds answers of shape \(1, 5, 2\)"):
        pca.stored_answers(held)


def test_a_model_that_was_not_trained_leaves_the_others_to_be_asked(trained: Path) -> None:
    gone = TrainedNetwork("gone", (1,), trained)
    found = benchmark({"gone": gone, "plain": Plain()}, {"synthetic": synthetic_windows()}, options=SMALL)
    assert "train first" in found.line("gone", "synthetic")["decoding"]["absent"]
    assert not found.line("plain", "synthetic")["decoding"]["absent"]


def test_a_model_without_common_states_has_its_kept_answers_scored_and_the_others_are_asked(tmp_path: Path) -> None:
    """PCA fits recordings with channels of their own one by one, which makes no common space of states."""
    held = ragged_windows([synthetic_windows(seed=1), synthetic_windows(seed=2, channels=5)])
    fitted = fit_decoder(PcaDecoder, held, 0, PcaConfig(components=(3,), strengths=(1.0,)))
    save_arrays(tmp_path / "synthetic/pca/best_fold0.safetensors", fitted.arrays())
    save_settings(tmp_path / "synthetic/pca", Settings("pca", PcaConfig()))
    perfect = out_of_fold(held, lambda fold: 9.0 * np.eye(2)[held.y[held.fold(fold).test]])
    save_answers(tmp_path / "scores/synthetic/pca/answers.h5", perfect[None])
    models = {"pca": FittedModel("pca", tmp_path, tmp_path / "scores"), "plain": Plain()}
    found = benchmark(models, {"synthetic": held}, options=SMALL)
    line = found.line("pca", "synthetic")
    assert line["decoding"]["score"] == 1.0
    assert "a decoder of its own" in line["transfer"]["absent"]
    assert not found.line("plain", "synthetic")["transfer"]["absent"]


def test_windows_without_a_validation_part_say_so_and_kept_answers_are_scored() -> None:
    base = synthetic_windows()
    held = replace(base, split=np.where(base.split == VALIDATION, TRAIN, base.split))
    perfect = out_of_fold(held, lambda fold: 9.0 * np.eye(2)[held.y[held.fold(fold).test]])

    class Kept(Plain):
        def stored_answers(self, windows: Windows) -> np.ndarray:
            return perfect[None]

    found = benchmark({"plain": Plain(), "kept": Kept()}, {"bare": held}, options=SMALL, linear={"bare": perfect})
    assert "fold 0 has no validation window" in found.line("plain", "bare")["decoding"]["absent"]
    assert found.line("kept", "bare")["decoding"]["score"] == 1.0
