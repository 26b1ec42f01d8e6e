"""Noise is as large as it says and the same for all; silent neurons are those that never fire."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tests.synthetic import ragged_windows, synthetic_windows

from neurofmx.evaluation.perturb import (
    input_channels,
    noisy,
    silenced_channels,
    silenced_neurons,
    spiking_neurons,
)
from neurofmx.evaluation.robustness import (
    Robustness,
    kept,
    load_harmed,
    robustness_report,
    save_harmed,
    silenced_count,
    silenced_name,
)
from neurofmx.layers.inference import Precision, in_precision
from neurofmx.layers.spike_code import SCHEMES
from neurofmx.models.configs import LstmConfig
from neurofmx.models.hybrid.config import HybridConfig
from neurofmx.models.hybrid.network import MambaLiquidSpikingNetwork
from neurofmx.models.lstm import Lstm
from neurofmx.recordings.task import Task
from neurofmx.tokenizers.tokens import Sample

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


POPULATIONS = {"use_population_coding": True, "population_size": 3}
SLOW = {"synaptic_tau": 2.0, "threshold_adaptation": 0.1}


@pytest.mark.parametrize(("changes", "neurons"), [({}, 10), (SLOW, 10), (POPULATIONS, 30), (POPULATIONS | SLOW, 30)])
def test_silent_neurons_never_fire_and_the_others_go_on(changes: dict[str, Any], neurons: int) -> None:
    model, x = network(**changes), 3 * torch.randn(4, 20, 8)
    encoder = model.blocks[0].encoder
    reading = {"weights": [1.0, 1.0, 1.0], "carry": 0.0}
    assert spiking_neurons(model) == neurons
    before = encoder.readout(x, **reading).counts.sum(0)
    with silenced_neurons(model, 4, seed=1):
        read, (_, _, last) = encoder.readout(x, **reading), encoder(x)
        changed = model(x)[0]
    silent = read.counts.sum(0) == 0
    assert (before > 0).all()
    assert silent.sum() == 4
    assert torch.equal(read.counts.sum(0)[~silent], before[~silent])
    for state in (read.potential, last):
        assert not (state.potential if changes.keys() & SLOW.keys() else state)[:, silent].any()
    assert (changed - model(x)[0]).abs().max() > 1e-4
    whole = model(x)[0]
    with silenced_neurons(model, 0, seed=1):
        assert torch.equal(model(x)[0], whole)
    assert torch.equal(encoder.readout(x, **reading).counts.sum(0), before), "they fire again"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_silent_neuron_takes_its_own_part_from_its_populations_mean(scheme: str) -> None:
    model, x = network(**POPULATIONS, encoding_scheme=scheme), 3 * torch.randn(4, 20, 8)
    encoder, adapter = model.blocks[0].encoder, model.blocks[0].adapter
    torch.nn.init.normal_(encoder.mean.logits)
    spikes, _, _ = encoder.neurons(encoder.mean.shared(encoder.current(x)))
    before, _, _ = encoder(x)
    with silenced_neurons(model, 1, seed=5):
        after, potentials, _ = encoder(x)
        read = adapter.read(encoder, x)
    (place,) = torch.nonzero(read.counts.sum(0) == 0)[:, 0].tolist()
    expected = before.clone()
    expected[..., place % 10] -= encoder.mean.weights.flatten()[place] * SCHEMES[scheme].worth(spikes)[..., place]
    torch.testing.assert_close(after, expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(read.tokens, adapter(after, potentials)[0])


@pytest.mark.parametrize("changes", [{}, POPULATIONS, SLOW])
def test_silent_neurons_are_silent_all_along_a_stream(changes: dict[str, Any]) -> None:
    model, x, state, parts = network(**changes), torch.randn(4, 20, 8), None, []
    torch.nn.init.constant_(model.blocks[0].norm.weight, 5.0)  # so that every neuron has something to fire for
    with silenced_neurons(model, 4, seed=1), torch.no_grad():
        whole, _ = model(x)
        silent = model.spike_counts[0].sum(0) == 0
        for piece in x.split([1, 7, 12], 1):
            y, state = model(piece, state)
            assert not model.spike_counts[0][:, silent].any()
            parts.append(y)
    assert silent.sum() == 4
    torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
def test_neurons_are_silenced_in_any_precision(precision: Precision) -> None:
    model, x = in_precision(network(), precision), 3 * torch.randn(4, 20, 8)
    assert spiking_neurons(model) == 10
    with silenced_neurons(model, 4, seed=1), torch.no_grad():
        model(x)
    assert (model.spike_counts.sum(1) == 0).sum(1).tolist() == [4, 4]


def test_more_silent_neurons_are_the_same_and_others() -> None:
    model, x = network(**POPULATIONS), 3 * torch.randn(4, 20, 8)
    sets = []
    for count in (2, 5):
        with silenced_neurons(model, count, seed=3), torch.no_grad():
            model(x)
        sets.append(set(torch.nonzero(model.spike_counts[1].sum(0) == 0)[:, 0].tolist()))
    assert [len(each) for each in sets] == [2, 5]
    assert sets[0] < sets[1]
    with (
        pytest.raises(ValueError, match="count=30: must leave one of 30 spiking neurons"),
        silenced_neurons(model, 30, seed=0),
    ):
        pass


def test_a_share_is_as_many_of_the_neurons_as_there_are() -> None:
    robustness = Robustness(silenced=(8, 0.25))
    assert [silenced_name(each) for each in robustness.silenced] == ["silenced_8", "silenced_0.25"]
    assert [[silenced_count(each, of) for each in robustness.silenced] for of in (2, 10, 128, 640)] == [
        [8, 1],
        [8, 2],
        [8, 32],
        [8, 160],
    ]


def test_networks_without_spikes_lose_channels_of_their_input() -> None:
    assert spiking_neurons(Lstm(LstmConfig(hidden_dim=4))) == 0
    assert spiking_neurons(network(use_spikes=False)) == 0
    x = torch.randn(5, 6, 4)
    harmed = silenced_channels(Sample(x), 3, seed=0).x
    gone = (harmed == 0).all((0, 1))
    assert gone.sum() == 3
    assert torch.equal(harmed[..., ~gone], x[..., ~gone])
    with pytest.raises(ValueError, match="count=4: must leave one of 4 input channels"):
        silenced_channels(Sample(x), 4, seed=0)


def test_what_is_beside_the_windows_loses_channels_and_gets_noise_as_they_do() -> None:
    given = Sample(torch.randn(5, 6, 4), beside=Sample(torch.randn(5, 9, 3)))
    harmed = silenced_channels(given, 5, seed=0)
    assert given.beside is not None
    assert harmed.beside is not None
    lost = [(each == 0).all((0, 1)) for each in (harmed.x, harmed.beside.x)]
    assert sum(int(gone.sum()) for gone in lost) == 5
    assert all(gone.any() for gone in lost)
    for each, whole, gone in zip((harmed.x, harmed.beside.x), (given.x, given.beside.x), lost, strict=True):
        assert torch.equal(each[..., ~gone], whole[..., ~gone])
    with pytest.raises(ValueError, match="count=7: must leave one of 7 input channels"):
        silenced_channels(given, 7, seed=0)
    one, other = (synthetic_windows(windows=900, noise=1.0, channels=channels) for channels in (4, 3))
    windows = replace(one, beside=other)
    assert input_channels(windows) == 7
    made = noisy(windows, 0.7)
    assert made.beside is not None
    assert np.array_equal(made.x, noisy(one, 0.7).x), "their own noise is that of windows alone"
    test = windows.fold(0).test
    drawn = [b.scaled(0, test) - a.scaled(0, test) for a, b in ((one, made), (other, made.beside))]
    assert drawn[1].std() == pytest.approx(0.7, rel=0.03)
    shared = np.corrcoef(drawn[0][..., :3].ravel(), drawn[1].ravel())[0, 1]
    assert abs(shared) < 0.05, "two forms of one moment are measured apart"


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
        of=128,
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
    assert (found["silenced"], found["silenced_of"]) == ("spiking neurons of each block", 128)


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
    for wrong in ({"noise": (0,)}, {"silenced": (0,)}, {"silenced": (1.5,)}, {"silence": (1,)}):
        with pytest.raises(ValueError, match=r"greater than|less than|Extra"):
            Robustness(**wrong)
