"""A layer of spiking neurons: time constants, copies, and slow states that stream."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference import alif_naive

from neurofmx.kernels.lif_neuron import AlifState
from neurofmx.layers.population_encoder import PopulationSpikingEncoder
from neurofmx.layers.spike_encoder import SpikeEncoder
from neurofmx.layers.spike_to_mamba import SpikeToMambaAdapter
from neurofmx.layers.spiking_neurons import SpikingNeurons

SLOW = {"synaptic_tau": 3.0, "threshold_adaptation": 1.8, "adaptation_tau": 8.0}
FEW = settings(max_examples=6, deadline=None, derandomize=True)


def test_start_values_are_those_asked_for():
    neurons = SpikingNeurons(3, beta=0.8, threshold=1.2, **SLOW)
    found = [neurons.beta, neurons.threshold, neurons.alpha, neurons.rho, neurons.kappa]
    wanted = [0.8, 1.2, math.exp(-1 / 3), math.exp(-1 / 8), 1.8]
    torch.testing.assert_close(torch.stack(found), torch.tensor(wanted)[:, None].expand(5, 3))


@pytest.mark.parametrize("tau", [1e-6, 1e-2, 1e12])
def test_no_time_constant_is_too_short_or_too_long(tau):
    neurons = SpikingNeurons(1, synaptic_tau=tau)
    assert neurons.alpha.item() == pytest.approx(math.exp(-1 / tau), abs=1e-6)


@pytest.mark.parametrize("path", ["reference", "numba"])
def test_holds_each_current_for_all_steps_of_the_naive_neuron(path):
    torch.manual_seed(0)
    neurons, x = SpikingNeurons(5, num_spike_steps=4, path=path, **SLOW).double(), torch.randn(3, 6, 5).double() + 0.5
    spikes, potentials, state = neurons(x)
    numbers = neurons.beta, neurons.threshold, neurons.alpha, neurons.rho, neurons.kappa
    rest, how = torch.zeros(3, 5).double(), ("subtract", "fast_sigmoid", 25.0)
    wanted = alif_naive(x.repeat_interleave(4, 1), rest, rest, rest, *numbers, *how)
    torch.testing.assert_close((spikes.flatten(1, 2), potentials.flatten(1, 2), *state), wanted)
    assert spikes.mean() > 0.05


def test_plain_neurons_carry_potentials_alone_and_slow_ones_all_three():
    x = torch.randn(2, 3, 4)
    assert isinstance(SpikingNeurons(4)(x)[2], torch.Tensor)
    for slow in ({"synaptic_tau": 3.0}, {"threshold_adaptation": 1.0}):
        assert isinstance(SpikingNeurons(4, **slow)(x)[2], AlifState)


@pytest.mark.parametrize("kind", [SpikeEncoder, PopulationSpikingEncoder])
@pytest.mark.parametrize("method", ["rate", "temporal", "potential"])
@given(cuts=st.lists(st.integers(1, 4), min_size=1, max_size=4))
@FEW
def test_slow_states_stream(kind, method, cuts):
    torch.manual_seed(0)
    steps = {"num_spike_steps": 4} if kind is SpikeEncoder else {"num_steps": 4}
    encoder = kind(3, 4, **steps, **SLOW).double()
    adapter = SpikeToMambaAdapter(4, 2, method=method, tau=6.0).double()
    x = 2 * torch.randn(2, sum(cuts), 3).double()
    whole, membrane, trace, parts = adapter.read(encoder, x), None, None, []
    for chunk in x.split(cuts, 1):
        y, membrane, trace, *_ = adapter.read(encoder, chunk, membrane, trace)
        parts.append(y)
    torch.testing.assert_close((torch.cat(parts, 1), membrane, trace), tuple(whole[:3]), rtol=1e-10, atol=1e-10)


def test_adaptation_lowers_the_rate_and_a_synapse_raises_it():
    def rate(**slow):
        torch.manual_seed(0)
        return SpikeEncoder(16, 64, **slow)(torch.randn(4, 16, 16))[0].mean().item()

    assert rate(threshold_adaptation=1.8) < 0.9 * rate() < 0.9 * rate(synaptic_tau=3.0)
    assert rate(threshold_adaptation=5.0) < rate(threshold_adaptation=1.0)
    assert rate(threshold_adaptation=1.8, adaptation_tau=5.0) != rate(threshold_adaptation=1.8, adaptation_tau=500.0)


def test_copies_fire_as_their_originals():
    torch.manual_seed(0)
    neurons, x = SpikingNeurons(32, num_spike_steps=4, learn_beta=False, **SLOW), torch.randn(2, 5, 32)
    for number in neurons.parameters():
        number.data += 0.3 * torch.randn(32)
    spikes, _, state = neurons(x)
    more = neurons.copies(3)
    again, _, last = more(x.repeat(1, 1, 3))
    assert torch.equal(again, spikes.repeat(1, 1, 1, 3))
    assert torch.equal(last.adaptation, state.adaptation.repeat(1, 3))
    assert [p.requires_grad for p in more.parameters()] == [p.requires_grad for p in neurons.parameters()]
    more.threshold_raw.data.zero_()
    assert neurons.threshold_raw.all()


def test_thresholds_are_scaled_and_a_factor_of_one_changes_nothing():
    neurons = SpikingNeurons(4, threshold=1.3)
    before = neurons.threshold_raw.detach().clone()
    neurons.scale_thresholds(torch.tensor([1.0, 0.5, 2.0, 1.0], dtype=torch.float64))
    torch.testing.assert_close(neurons.threshold, torch.tensor([1.3, 0.65, 2.6, 1.3]))
    assert torch.equal(neurons.threshold_raw[[0, 3]], before[[0, 3]])
    with pytest.raises(ValueError, match=r"factors must be above 0, got -1\.0: choose a smaller spread"):
        neurons.scale_thresholds(torch.tensor([1.0, -1.0, 1.0, 1.0]))


@pytest.mark.parametrize(
    ("slow", "what", "named"),
    [
        ({}, "auto", "numba"),
        (SLOW, "auto", "numba"),
        ({"surrogate": "gaussian"}, "auto", "reference"),
        (SLOW | {"surrogate": "triangular"}, "auto", "reference"),
        (SLOW, "reference", "reference"),
    ],
)
def test_the_layer_says_which_path_it_takes(slow, what, named):
    assert SpikingNeurons(2, path=what, **slow).path_on(torch.device("cpu")) == named


def test_slow_neurons_have_no_kernel_of_a_gpu_and_say_so():
    device = torch.device("cuda")
    assert [SpikingNeurons(2, **slow).path_on(device) for slow in ({}, SLOW)] == ["cuda", "reference"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"synaptic_tau": 0.0}, r"synaptic_tau must be above 0 spike steps, got 0\.0; None is without a synapse"),
        ({"threshold_adaptation": -1.0}, r"threshold_adaptation must be 0 or more, got -1\.0"),
        ({"adaptation_tau": -1.0}, r"adaptation_tau must be above 0 spike steps, got -1\.0"),
    ],
)
def test_impossible_neurons_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        SpikingNeurons(2, **change)
