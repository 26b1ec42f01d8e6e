"""Answers are timed in turns, beside those of the same weights in float32, for every fold and seed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from neurofmx.evaluation.inference_time import ROUNDS, times_in_turns
from neurofmx.evaluation.networks import network_answers
from neurofmx.evaluation.robustness import Robustness
from neurofmx.layers.inference import Precision
from neurofmx.models.configs import HeadConfig, LstmConfig
from neurofmx.models.decoding.build import build_decoder
from neurofmx.models.decoding.decoder import Decoder
from neurofmx.training.checkpoints.checkpoint import save_checkpoint
from neurofmx.training.checkpoints.settings import Settings, save_settings
from synthetic import synthetic_windows

CONFIG, HEAD = LstmConfig(hidden_dim=8, num_layers=1), HeadConfig(pool="last")


def test_calls_take_turns_and_the_first_of_each_is_not_counted() -> None:
    order: list[str] = []
    now = 0.0

    def call(name: str, seconds: float) -> None:
        nonlocal now
        now += seconds if name in order else 100.0  # the first one compiles
        order.append(name)

    found = times_in_turns([lambda: call("a", 1.0), lambda: call("b", 3.0)], clock=lambda: now)
    assert found == [1.0, 3.0]
    assert order == ["a", "b"] * (ROUNDS + 1)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_every_fold_and_seed_is_timed_in_its_precision_and_in_float32(
    precision: Precision, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows, timed = synthetic_windows(), []
    for fold in range(windows.folds):
        torch.manual_seed(fold)
        weights = build_decoder("lstm", CONFIG, HEAD, windows, fold=fold).state_dict()
        for kind in ("best", "last"):
            save_checkpoint(tmp_path / f"{kind}_fold{fold}_seed1.safetensors", weights, curve=[(1, 0.5, 0.4)])
    save_settings(tmp_path, Settings("lstm", CONFIG, HEAD))
    monkeypatch.setattr("neurofmx.evaluation.networks.times_in_turns", lambda calls: timed.append(calls) or [0.2, 0.1])
    plain: list[bool] = []
    monkeypatch.setattr(Decoder, "predict", spy(Decoder.predict, plain))
    asked = {"seeds": (1,), "context": 0.0, "robustness": Robustness(), "timed": True}
    found = network_answers(windows, tmp_path, precision=precision, **asked).inference
    assert [(job["fold"], job["seed"]) for job in found] == [(fold, 1) for fold in range(windows.folds)]
    plain.clear()
    for call in timed[0]:
        assert len(call()) == 32
    if precision == "float32":
        assert plain == [True], "there is nothing to hold it against"
    else:
        assert plain == [False, True]
    test = 32
    assert [job["ms"] for job in found] == pytest.approx([200 / test] * windows.folds)
    assert [job["float32_ms"] for job in found] == pytest.approx([100 / test] * windows.folds)


def spy(predict, plain: list[bool]):
    """`predict` that notes whether the network's LSTM is torch's own."""

    def noting(self, *given, **named):
        plain.append(any(isinstance(module, torch.nn.LSTM) for module in self.modules()))
        return predict(self, *given, **named)

    return noting
