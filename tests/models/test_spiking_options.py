"""Options of the spiking neurons in a network: each streams, learns, matters, and says what computes it."""

from __future__ import annotations

import pydantic
import pytest
import torch
from tests.models.test_hybrid import data, network

from neurofmx.models.population import integrate_population_coding

SLOW = {"synaptic_tau": 3.0, "threshold_adaptation": 0.5, "adaptation_tau": 8.0}
OPTIONS = [
    SLOW,
    {"synaptic_tau": 3.0},
    {"threshold_adaptation": 0.5},
    SLOW | {"use_population_coding": True, "population_size": 3},
    {"surrogate": "sigmoid", "surrogate_slope": 4.0},
    {"surrogate": "triangular", "surrogate_slope": 0.5},
    {"surrogate": "gaussian", "surrogate_slope": 2.0},
    SLOW | {"surrogate": "gaussian", "surrogate_slope": 2.0, "recompute_tokens": 5},
]


@pytest.mark.parametrize("changes", OPTIONS, ids=str)
def test_streams_and_gradients_reach_every_parameter(changes):
    model, x = network(**changes), data().requires_grad_()
    whole, last = model(x)
    start, states = model(x[:, :5])
    end, states = model(x[:, 5:], states)
    torch.testing.assert_close((torch.cat([start, end], 1), states), (whole, last), rtol=1e-10, atol=1e-10)
    whole.square().sum().backward()
    silent = [name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert silent == []


@pytest.mark.parametrize(
    "changes", [{"synaptic_tau": 2.0}, {"threshold_adaptation": 1.0}, {"adaptation_tau": 2.0}], ids=str
)
def test_slow_states_change_the_output(changes):
    plain = network(**SLOW)
    assert (network(**(SLOW | changes))(data())[0] - plain(data())[0]).abs().max() > 1e-7
    assert (network()(data())[0] - plain(data())[0]).abs().max() > 1e-7


@pytest.mark.parametrize(
    ("option", "fixed"),
    [("learn_beta", {"beta_logit", "rho_logit", "alpha_logit"}), ("learn_threshold", {"threshold_raw", "kappa_raw"})],
)
def test_what_is_not_learnt_gets_no_gradient(option, fixed):
    model = network(**SLOW, **{option: False})
    model(data())[0].square().sum().backward()
    numbers = {name.split(".")[-1]: weight for name, weight in model.named_parameters() if "encoder.neurons" in name}
    assert {name for name, weight in numbers.items() if weight.grad is None} == fixed


def test_populations_keep_slow_neurons():
    model = network(**SLOW, spiking_units=32).float()
    same = integrate_population_coding(model, 3, threshold_spread=0.0)
    assert torch.equal(same(data().float())[0], model(data().float())[0])
    assert same.config.synaptic_tau == 3.0


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        (SLOW, "numba"),
        (SLOW | {"kernels": "reference"}, "reference"),
        ({"surrogate": "gaussian"}, "lif_readout reference, cfc numba, selective_scan numba"),
        (SLOW | {"surrogate": "gaussian"}, "alif reference, cfc numba, selective_scan numba"),
        ({"synaptic_tau": 3.0, "kernels": "library", "use_mamba": False}, "alif snntorch, cfc ncps"),
    ],
    ids=str,
)
def test_the_network_says_what_computes_it(changes, name):
    assert network(**changes).kernels == name


def test_library_neurons_with_synapses_give_the_same_network():
    results = []
    for kernels in ("reference", "library"):
        model = network(use_mamba=False, synaptic_tau=3.0, kernels=kernels)
        y, _ = model(data())
        y.square().sum().backward()
        results.append([y, *(weight.grad for weight in model.parameters())])
    torch.testing.assert_close(*results, rtol=1e-4, atol=1e-5)  # snnTorch's spikes are float32


@pytest.mark.parametrize(
    "changes",
    [{"threshold_adaptation": 0.5}, {"synaptic_tau": 3.0, "reset": "zero"}, {"surrogate": "gaussian"}],
    ids=str,
)
def test_neurons_that_the_library_does_not_have_are_refused(changes):
    network(**changes, kernels="auto")
    with pytest.raises(pydantic.ValidationError, match="use kernels=auto or reference"):
        network(**changes, kernels="library")
