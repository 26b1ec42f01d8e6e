"""Noise is as large as it says and the same for all; silent neurons are those that never fire."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.synthetic import ragged_windows, synthetic_windows

from neurofmx.evaluation.perturb import noisy, silenced_channels, silenced_neurons, spiking_units
from neurofmx.evaluation.robustness import (
    Robustness,
    kept,
    load_harmed,
    robustness_report,
    save_harmed,
)
from neurofmx.models.configs import LstmConfig
from neurofmx.models.hybrid.config import HybridConfig
from neurofmx.models.hybrid.network import MambaLiquidSpikingNetwork
from neurofmx.models.lstm import Lstm
from neurofmx.recordings.task import Task

SMALL = {"hidden_dim": 8, "liquid_units": 8, "backbone_units": 5, "num_layers": 2, "num_spike_steps": 3}
TEXT = Task("next_token", "text", ("the", "cat"))


def network(**changes: object) -> MambaLiquidSpikingNetwork:
    torch.manual_seed(0)
    return MambaLiquidSpikingNetwork(HybridConfig(**(SMALL | {"spiking_units": 10} | changes))).eval()


def test_noise_has_its_level_in_units_of_the_training_windows() -> None:
    windows = synthetic_windows(windows=900, noise=1.0)
    for fold in range(windows.folds):
        test = windows.fold(fold).test
        difference = noisy(windows, 0.7).scaled(fold, test) - windows.scaled(fold, test)
        assert difference.std() == pytest.approx(0.7, rel=0.03)
        np.testing.assert_allclose(
            noisy(windows, 1.4).scaled(fold, test) - windows.scaled(fold, test), 2 * difference, atol=1e-4
        )
    assert np.array_equal(noisy(windows, 0.0).x, windows.x)
    assert np.array_equal(noisy(windows, 0.7).x, noisy(windows, 0.7).x), "all models meet the same noise"


def test_noise_leaves_alone_what_was_not_recorded() -> None:
    own = ragged_windows([synthetic_windows(channels=2), synthetic_windows(channels=4, seed=1)])
    changed = noisy(own, 0.5)
    lacks = own.group == 0
    assert np.array_equal(changed.x[lacks][..., 2:], own.x[lacks][..., 2:])
    assert not np.array_equal(changed.x[lacks][..., :2], own.x[lacks][..., :2])
    short = replace(synthetic_windows(), length=np.full(120, 4))
    test = short.fold(0).test
    assert not noisy(short, 0.5).scaled(0, test)[:, 4:].any(), "padding stays at the mean"
    with pytest.raises(ValueError, match="there is no noise on numbers of tokens"):
        noisy(replace(synthetic_windows(), task=TEXT), 0.5)
    with pytest.raises(ValueError, match="level=-1"):
        noisy(synthetic_windows(), -1)


def test_silent_neurons_never_fire_and_the_others_go_on() -> None:
    model, x = network(), 3 * torch.randn(4, 20, 8)
    block = model.blocks[0]
    assert spiking_units(model) == 10
    before = block.encoder(x)[0].sum((0, 1, 2))
    with silenced_neurons(model, 4, seed=1):
        spikes, potentials, _ = block.encoder(x)
        read = block.encoder.readout(x, weights=[1.0, 1.0, 1.0], carry=0.0)
        changed = model(x)[0]
    silent = spikes.sum((0, 1, 2)) == 0
    assert (before > 0).all()
    assert silent.sum() == 4
    assert torch.equal(spikes.sum((0, 1, 2))[~silent], before[~silent])
    assert not potentials[..., silent].any()
    assert not read.counts[:, silent].any()
    assert (changed - model(x)[0]).abs().max() > 1e-4
    with silenced_neurons(model, 0, seed=1):
        assert torch.equal(model(x)[0], model(x)[0])
    assert torch.equal(block.encoder(x)[0].sum((0, 1, 2)), before), "the hooks are gone"


def test_more_silent_neurons_are_the_same_and_others() -> None:
    model, x = network(), 3 * torch.randn(4, 20, 8)
    sets = []
    for count in (2, 5):
        with silenced_neurons(model, count, seed=3):
            sets.append(set(torch.nonzero(model.blocks[1].encoder(x)[0].sum((0, 1, 2)) == 0)[:, 0].tolist()))
    assert sets[0] < sets[1]
    with (
        pytest.raises(ValueError, match="count=10: must leave one of 10 spiking neurons"),
        silenced_neurons(model, 10, seed=0),
    ):
        pass


def test_networks_without_spikes_lose_channels_of_their_input() -> None:
    assert spiking_units(Lstm(LstmConfig(hidden_dim=4))) == 0
    assert spiking_units(network(use_spikes=False)) == 0
    x = torch.randn(5, 6, 4)
    harmed = silenced_channels(x, 3, seed=0)
    gone = (harmed == 0).all((0, 1))
    assert gone.sum() == 3
    assert torch.equal(harmed[..., ~gone], x[..., ~gone])
    with pytest.raises(ValueError, match="count=4: must leave one of 4 input channels"):
        silenced_channels(x, 4, seed=0)


def test_what_is_kept_is_1_for_no_harm_0_at_chance_and_nothing_where_there_was_nothing() -> None:
    task = Task("classification", "side", ("left", "right"))
    found = kept(np.array([0.9, 0.5, 0.3, 0.7, 0.6]), np.array([0.9, 0.9, 0.9, 0.9, 0.4]), np.full(5, 0.5), task)
    np.testing.assert_allclose(found, [1, 0, 0, 0.5, np.nan])
    found = kept(np.array([10.0, 100.0, 1000.0]), np.full(3, 10.0), np.full(3, 1000.0), TEXT)
    np.testing.assert_allclose(found, [1, 0.5, 0], atol=1e-12)


def test_the_report_holds_what_is_kept_beside_the_linear_model() -> None:
    rng, task = np.random.default_rng(0), Task("classification", "side", ("left", "right"))
    y, block = rng.integers(0, 2, 200), np.arange(200) // 5
    right = np.eye(2)[y]
    wrong = right.copy()
    wrong[:50] = right[:50, ::-1]  # a quarter of the answers is lost
    chance = np.tile([0.1, 0.0], (200, 1))
    found = robustness_report(
        np.stack([right, right]),
        {"noise_1": np.stack([wrong, wrong]), "silenced_3": np.stack([right, right])},
        y,
        block,
        task,
        chance=chance,
        what="spiking neurons of each block",
        linear=(right[None], {"noise_1": wrong[None]}),
        draws=200,
    )
    of_chance = np.mean(y == 0)
    one = found["conditions"]["noise_1"]
    assert one["score"] == pytest.approx(0.75)
    assert one["kept"]["value"] == pytest.approx((0.75 - of_chance) / (1 - of_chance))
    assert one["kept"]["low"] < one["kept"]["value"] < one["kept"]["high"]
    assert one["linear_kept"]["value"] == pytest.approx(one["kept"]["value"])
    silent = found["conditions"]["silenced_3"]
    assert (silent["kept"]["value"], silent["kept"]["low"], "linear_kept" in silent) == (1, 1, False)
    assert found["silenced"] == "spiking neurons of each block"


def test_answers_under_harm_are_read_back(tmp_path) -> None:
    answers = {"noise_0.5": np.random.default_rng(0).normal(size=(2, 5, 3)), "silenced_4": np.zeros((2, 5, 3))}
    save_harmed(tmp_path / "harmed.h5", answers)
    found = load_harmed(tmp_path / "harmed.h5")
    assert list(found) == list(answers)
    assert all(np.array_equal(found[name], answers[name]) for name in answers)
    assert load_harmed(tmp_path / "none.h5") == {}


def test_nothing_is_asked_unless_params_ask_for_it() -> None:
    assert not Robustness().asked
    assert Robustness(noise=(0.5,)).asked
    for wrong in ({"noise": (0,)}, {"silenced": (0,)}, {"silence": (1,)}):
        with pytest.raises(ValueError, match=r"greater than|Extra"):
            Robustness(**wrong)
