"""Population coding in a network: what was there stays, and what is new streams and learns."""

from __future__ import annotations

import pydantic
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.models.test_hybrid import data, network, spared

from neurofmx.models.cross_modal import integrate_cross_modal_attention
from neurofmx.models.population import integrate_population_coding

SCHEMES = ["rate", "temporal", "hybrid"]


@pytest.mark.parametrize("method", ["rate", "temporal", "potential"])
@pytest.mark.parametrize("size", [1, 3, 5, 7])
def test_equal_thresholds_leave_the_network_as_it_is_to_the_last_bit(method, size):
    model, x = network(spike_to_mamba_method=method, spiking_units=32).float(), data().float()
    for weight in model.parameters():  # as after some training
        weight.data += 0.1 * torch.randn_like(weight)
    wider = integrate_population_coding(model, size, threshold_spread=0.0)
    y, states = model(x)
    again, more = wider(x)
    assert torch.equal(again, y)
    assert torch.equal(more[0].membrane, states[0].membrane.repeat(1, size))
    torch.testing.assert_close(wider.spike_rates, model.spike_rates)
    assert torch.equal(wider(x, more)[0], model(x, states)[0])


def test_equal_thresholds_of_any_number_of_units_leave_it_up_to_rounding():
    """torch rounds sigmoids differently at the end of an array, which is then another neuron's place."""
    model, x = network(), data()
    torch.testing.assert_close(integrate_population_coding(model, threshold_spread=0.0)(x)[0], model(x)[0])


def test_a_spread_of_thresholds_moves_the_outputs_and_keeps_every_other_weight():
    model, x = network(), data()
    before, copied = model(x)[0], {name: value.clone() for name, value in model.state_dict().items()}
    wider = integrate_population_coding(model, 5, threshold_distribution="gaussian")
    moved = (wider(x)[0] - before).abs().max()
    assert moved > 1e-6
    assert (integrate_population_coding(model, 5, threshold_spread=1e-3)(x)[0] - before).abs().max() <= moved
    assert torch.equal(model(x)[0], before)
    kept = wider.state_dict()
    for name, value in copied.items():
        if "encoder.neurons" not in name:
            assert torch.equal(kept[name], value)
    assert not {value.data_ptr() for value in kept.values()} & {
        value.data_ptr() for value in model.state_dict().values()
    }


def test_integrated_and_built_networks_are_the_same():
    built = network(use_population_coding=True, threshold_distribution="logarithmic").float()
    model = integrate_population_coding(network().float(), threshold_distribution="logarithmic")
    assert model.config == built.config
    assert spared(model) == spared(built) == {"A_log", "fusion", "logits"}
    torch.testing.assert_close(dict(model.state_dict()), dict(built.state_dict()))
    assert torch.equal(model(data().float())[0], built(data().float())[0])
    with pytest.raises(ValueError, match="the network has populations of 5 neurons already"):
        integrate_population_coding(model, 3)


@pytest.mark.parametrize("mode", ["sequential", "parallel", "bidirectional"])
def test_attention_goes_in_before_or_behind_and_changes_no_answer(mode):
    model, x = network(integration_mode=mode, spiking_units=8).eval(), data()
    alone = integrate_population_coding(model, 3)
    behind = integrate_cross_modal_attention(alone, 2)
    before = integrate_population_coding(integrate_cross_modal_attention(model, 2), 3)
    assert behind.config == before.config
    for both in (behind, before):
        assert torch.equal(both(x)[0], alone(x)[0])


def test_mode_and_fixed_parameters_are_kept():
    model = network().eval()
    model.blocks[0].encoder.neurons.beta_logit.requires_grad_(False)
    wider = integrate_population_coding(model, 3)
    assert not wider.blocks[0].encoder.training
    assert wider.blocks[0].encoder.neurons.threshold_raw.dtype == torch.float64
    fixed = [name for name, weight in wider.named_parameters() if not weight.requires_grad]
    assert fixed == ["blocks.0.encoder.neurons.beta_logit"]


@pytest.mark.parametrize("scheme", SCHEMES)
@given(cuts=st.lists(st.integers(1, 6), min_size=1, max_size=5))
@settings(max_examples=5, deadline=None)
def test_chunks_equal_one_pass(scheme, cuts):
    model, x = network(use_population_coding=True, encoding_scheme=scheme, population_size=3), data(sum(cuts))
    whole, last = model(x)
    states, parts = None, []
    for chunk in x.split(cuts, 1):
        y, states = model(chunk, states)
        parts.append(y)
    torch.testing.assert_close((torch.cat(parts, 1), states), (whole, last), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_gradients_reach_every_parameter_and_no_output_sees_the_future(scheme):
    model, x = network(use_population_coding=True, encoding_scheme=scheme, population_size=3), data().requires_grad_()
    y, _ = model(x)
    (gradient,) = torch.autograd.grad(y[:, :7].square().sum(), x, retain_graph=True)
    assert not gradient[:, 7:].any()
    y.square().sum().backward()
    silent = [name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert silent == []


SETTINGS = [
    ("population_size", 7),
    ("threshold_distribution", "gaussian"),
    ("threshold_distribution", "logarithmic"),
    ("threshold_spread", 0.2),
    ("encoding_scheme", "temporal"),
    ("encoding_scheme", "hybrid"),
    ("use_population_coding", False),
]


@pytest.mark.parametrize("method", ["rate", "temporal"])
@pytest.mark.parametrize(("key", "value"), SETTINGS)
def test_every_setting_matters(key, value, method):
    settings = {"use_population_coding": True, "spike_to_mamba_method": method}
    plain, changed = network(**settings), network(**(settings | {key: value}))
    assert (plain(data())[0] - changed(data())[0]).abs().max() > 1e-7


def test_a_scheme_that_nobody_reads_is_refused():
    with pytest.raises(pydantic.ValidationError, match="encoding_scheme=hybrid would do nothing, as spike_to_mamba"):
        network(use_population_coding=True, encoding_scheme="hybrid", spike_to_mamba_method="potential")
    network(encoding_scheme="hybrid", spike_to_mamba_method="potential")  # without populations nothing reads it


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_network_says_what_computes_it(scheme):
    model = network(use_population_coding=True, encoding_scheme=scheme, kernels="auto")
    assert model.kernels == "numba"
