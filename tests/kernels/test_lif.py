"""Spiking neurons against closed forms, a naive loop and snnTorch."""

from __future__ import annotations

import math

import pytest
import torch
from tests.reference import gradients, lif_naive

from neurofmx.kernels.lif import lif


def constant(current, steps, **settings):
    """Spike steps (counted from 1) of one neuron at rest under a constant current."""
    x = torch.full((1, steps, 1), current, dtype=torch.float64)
    spikes, _, _ = lif(x, torch.zeros(1, 1, dtype=torch.float64), **settings)
    return (spikes[0, :, 0].nonzero()[:, 0] + 1).tolist()


def steps_to_threshold(current, beta, threshold):
    """From `u[n] = I (1 - beta^n) / (1 - beta) > theta`."""
    return math.ceil(math.log(1 - threshold * (1 - beta) / current) / math.log(beta))


@pytest.mark.parametrize(("current", "beta", "threshold"), [(0.13, 0.95, 1.0), (0.3, 0.8, 1.2), (0.07, 0.99, 0.5)])
def test_first_spike_comes_when_the_closed_form_says(current, beta, threshold):
    first = constant(current, 60, beta=beta, threshold=threshold)[0]
    assert first == steps_to_threshold(current, beta, threshold)


@pytest.mark.parametrize(("current", "beta", "threshold"), [(0.13, 0.95, 1.0), (0.3, 0.8, 1.2), (0.07, 0.99, 0.5)])
def test_hard_reset_fires_with_the_period_of_the_closed_form(current, beta, threshold):
    period = steps_to_threshold(current, beta, threshold)
    fired = constant(current, 10 * period, beta=beta, threshold=threshold, reset="zero")
    # After a spike the potential starts again from zero, and the reset step already takes in current.
    assert fired == [period * k for k in range(1, 11)]


def test_too_weak_a_current_never_fires():
    assert constant(0.049, 2000, beta=0.95, threshold=1.0) == []


def test_without_leak_soft_reset_loses_no_charge():
    assert len(constant(0.3007, 1000, beta=1.0, threshold=1.0)) == 300  # of 300.7 thresholds put in


def arguments(seed=0, neurons=5):
    """Random currents, potentials, decays and thresholds that want gradients."""
    torch.manual_seed(seed)
    current = torch.randn(3, 17, neurons, dtype=torch.float64) * 0.7 + 0.3
    potential = torch.randn(3, neurons, dtype=torch.float64)
    beta = torch.rand(neurons, dtype=torch.float64) * 0.3 + 0.7
    threshold = torch.rand(neurons, dtype=torch.float64) + 0.3
    return [tensor.requires_grad_() for tensor in (current, potential, beta, threshold)]


@pytest.mark.parametrize("reset", ["subtract", "zero"])
@pytest.mark.parametrize("surrogate", ["fast_sigmoid", "atan", "straight_through"])
@pytest.mark.parametrize("path", ["reference", "library"])
def test_equals_the_naive_loop_in_outputs_state_and_gradients(reset, surrogate, path):
    inputs = arguments()
    current, potential, beta, threshold = inputs
    settings = {"reset": reset, "surrogate": surrogate, "slope": 5.0}
    ours = lif(current, potential, beta=beta, threshold=threshold, path=path, **settings)
    naive = lif_naive(*inputs, **settings)
    assert torch.equal(ours[0], naive[0])
    assert 0.1 < ours[0].mean() < 0.9
    torch.testing.assert_close(ours, naive, rtol=1e-12, atol=1e-12)
    # snnTorch's spikes are float32, and so are the gradients that pass them.
    tolerance = {"rtol": 1e-10, "atol": 1e-10} if path == "reference" else {"rtol": 1e-5, "atol": 1e-5}
    torch.testing.assert_close(gradients(ours, inputs), gradients(naive, inputs), **tolerance)


@pytest.mark.parametrize("reset", ["subtract", "zero"])
def test_spikes_are_those_of_snntorch_bit_by_bit(reset):
    torch.manual_seed(1)
    current, potential = torch.randn(8, 300, 16) * 0.4, torch.zeros(8, 16)
    beta, threshold = torch.rand(16) * 0.2 + 0.8, torch.rand(16) + 0.5
    ours = lif(current, potential, beta=beta, threshold=threshold, reset=reset)
    library = lif(current, potential, beta=beta, threshold=threshold, reset=reset, path="library")
    assert all(torch.equal(a, b) for a, b in zip(ours, library, strict=True))


def test_library_path_leaves_no_neuron_behind():
    import snntorch

    before = len(snntorch.SpikingNeuron.instances)
    lif(torch.ones(1, 2, 3), torch.zeros(1, 3), beta=0.9, threshold=1.0, path="library")
    assert len(snntorch.SpikingNeuron.instances) == before


def test_chunks_equal_one_pass():
    current, potential, beta, threshold = (tensor.detach() for tensor in arguments())
    whole = lif(current, potential, beta=beta, threshold=threshold)
    state, parts = potential, []
    for chunk in current.split([1, 6, 10], 1):
        spikes, _, state = lif(chunk, state, beta=beta, threshold=threshold)
        parts.append(spikes)
    assert torch.equal(torch.cat(parts, 1), whole[0])
    assert torch.equal(state, whole[2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reset": "soft"}, "unknown reset 'soft'; .* known: subtract, zero"),
        ({"path": "cuda"}, "unknown path 'cuda'; .* known: library, reference"),
        ({"surrogate": "sigmoid"}, "did you mean 'fast_sigmoid'"),
        ({"potential": torch.zeros(2, 4)}, r"potential must have the shape \(batch=2, neurons=3\), got \(2, 4\)"),
        ({"current": torch.zeros(2, 3)}, r"current must have the shape \(batch, time, neurons\), got \(2, 3\)"),
    ],
)
def test_wrong_arguments_are_refused(change, message):
    good = {"current": torch.zeros(2, 5, 3), "potential": torch.zeros(2, 3), "beta": 0.9, "threshold": 1.0}
    with pytest.raises(ValueError, match=message):
        lif(**(good | change))
