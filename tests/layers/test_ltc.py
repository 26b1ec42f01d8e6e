"""The layer of leaky neurons with graded synapses against ncps with its weights, wirings and stretched time."""

from __future__ import annotations

import ncps.torch
import ncps.wirings
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neurofmx.kernels.path import numba_is_there
from neurofmx.layers.liquid import liquid_cell
from neurofmx.layers.ltc import LTC
from neurofmx.layers.wiring import Wiring, neural_circuit


def peer_of(layer, inputs):
    """`ncps.torch.LTC` with the layer's weights."""
    wiring = ncps.wirings.Wiring(layer.units)
    wiring.set_output_dim(layer.units)
    peer = ncps.torch.LTC(inputs, wiring, batch_first=True)
    cell, named = peer.rnn_cell, {"cm": layer.capacitance_raw, "gleak": layer.leak_raw, "vleak": layer.rest}
    named |= {"input_w": layer.input_factor, "input_b": layer.input_offset}
    named |= {"output_w": layer.output_factor, "output_b": layer.output_offset}
    for prefix, synapses in (("", layer.recurrent), ("sensory_", layer.sensory)):
        there = torch.ones_like(synapses.reversal) if synapses.wired is None else synapses.wired.float()
        values = (synapses.weight_raw, synapses.midpoint, synapses.steepness, synapses.reversal, there)
        names = ("w", "mu", "sigma", "erev", "sparsity_mask")
        named |= {prefix + name: value for name, value in zip(names, values, strict=True)}
    with torch.no_grad():
        for name, value in named.items():
            cell._params[name].copy_(value)
    return peer


def shaken(layer):
    """The layer with other factors and offsets than 1 and 0."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter += 0.1 * torch.rand_like(parameter)
    return layer


@pytest.mark.parametrize("wired", [False, True])
def test_is_the_cell_of_ncps(wired):
    torch.manual_seed(0)
    wiring = neural_circuit(6, 12, motor=3) if wired else None
    layer, x = shaken(LTC(6, 12, wiring=wiring)), torch.randn(4, 30, 6)
    torch.testing.assert_close(layer(x), peer_of(layer, 6)(x, torch.zeros(4, 12)), rtol=0, atol=2e-6)


def test_is_the_cell_of_ncps_with_the_masks_and_signs_of_its_own_wiring():
    """Nothing but weights is copied: the synapses come from ncps on one side and from our wiring on the other."""
    torch.manual_seed(0)
    theirs = ncps.wirings.AutoNCP(20, 4)
    peer = ncps.torch.LTC(6, theirs, batch_first=True)  # draws the wiring
    command = [theirs.get_type_of_neuron(neuron) for neuron in range(20)].count("command")
    wiring = Wiring(theirs.sensory_adjacency_matrix, theirs.adjacency_matrix, 4, command)
    layer = LTC(6, 20, wiring=wiring)
    own = peer.rnn_cell._params
    for prefix, synapses in (("", layer.recurrent), ("sensory_", layer.sensory)):
        assert torch.equal(synapses.wired.float(), own[f"{prefix}sparsity_mask"])
        there = synapses.wired
        assert torch.equal(synapses.reversal[there], own[f"{prefix}erev"][there])
        with torch.no_grad():
            for name, weight in (("w", "weight_raw"), ("mu", "midpoint"), ("sigma", "steepness")):
                own[prefix + name].copy_(getattr(synapses, weight))
    with torch.no_grad():
        for name, weight in (("cm", "capacitance_raw"), ("gleak", "leak_raw"), ("vleak", "rest")):
            own[name].copy_(getattr(layer, weight))
    x = torch.randn(3, 20, 6)
    y, last = layer(x)
    outputs, end = peer(x, torch.zeros(3, 20))
    torch.testing.assert_close((y[..., :4], last), (outputs, end), rtol=0, atol=2e-6)  # it hands motor neurons out


@pytest.mark.parametrize("modulated", [False, True])
def test_paths_agree_in_outputs_and_gradients(modulated):
    torch.manual_seed(0)
    x = torch.randn(3, 7, 4, dtype=torch.float64)
    tau = torch.rand(3, 7, 9, dtype=torch.float64) + 0.5 if modulated else None
    layers = [LTC(4, 9, wiring=neural_circuit(4, 9, motor=2), path=path) for path in ("reference", "numba", "library")]
    results = []
    for layer in layers:
        layer.load_state_dict(layers[0].state_dict())
        y, _ = layer.double()(x, tau=tau)
        y.square().sum().backward()
        results.append([y, *(parameter.grad for parameter in layer.parameters())])
    for other in results[1:]:
        torch.testing.assert_close(other, results[0], rtol=1e-9, atol=1e-12)


def test_doubling_tau_is_doubling_the_capacitance():
    torch.manual_seed(0)
    layer, x = LTC(4, 5).double(), torch.randn(2, 6, 4).double()
    modulated, _ = layer(x, tau=torch.full((2, 6, 5), 2.0).double())
    plain, _ = layer(x)
    with torch.no_grad():
        layer.capacitance_raw.copy_((2 * layer.weights.capacitance).expm1().log())
    torch.testing.assert_close(modulated, layer(x)[0])
    assert (modulated - plain).abs().max() > 1e-3


def test_irregular_time_is_that_of_the_kernel():
    torch.manual_seed(0)
    layer, x = LTC(4, 5), torch.randn(2, 6, 4)
    tau, elapsed = torch.rand(2, 6, 5) + 0.5, torch.rand(2, 6)
    irregular, _ = layer(x, tau=tau, elapsed=elapsed)
    torch.testing.assert_close(irregular, layer(x, tau=tau / elapsed[..., None])[0])


def test_padding_is_silent_and_changes_no_state():
    torch.manual_seed(0)
    layer, x = shaken(LTC(4, 5)), torch.randn(2, 6, 4)
    mask = torch.arange(6) < torch.tensor([[4], [6]])
    padded, last = layer(x.masked_fill(~mask[..., None], torch.nan), mask=mask)
    short, end = layer(x[:1, :4])
    torch.testing.assert_close((padded[:1, :4], last[:1]), (short, end))
    assert not padded[0, 4:].any()


@given(cuts=st.lists(st.integers(1, 5), min_size=1, max_size=5))
@settings(max_examples=10, deadline=None, derandomize=True)
def test_chunks_equal_one_pass(cuts):
    torch.manual_seed(0)
    layer = LTC(4, 5).double()
    x, tau = torch.randn(2, sum(cuts), 4).double(), torch.rand(2, sum(cuts), 5).double() + 0.5
    whole, last = layer(x, tau=tau)
    state, parts = None, []
    for chunk, factors in zip(x.split(cuts, 1), tau.split(cuts, 1), strict=True):
        y, state = layer(chunk, state, tau=factors)
        parts.append(y)
    torch.testing.assert_close((torch.cat(parts, 1), state), (whole, last), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("units", [8, 64, 256])
def test_time_constants_start_below_a_token_in_networks_of_any_size(units):
    torch.manual_seed(0)
    weights = LTC(64, units).weights
    total = weights.leak + (weights.recurrent.weight.sum(0) + weights.sensory.weight.sum(0)) / 2  # half open
    time_constants = weights.capacitance / total
    assert 0.1 < time_constants.median() < 1


def test_a_circuit_hears_its_inputs_through_its_layers():
    torch.manual_seed(0)
    cell = liquid_cell("ncp", 5, 20)
    x = torch.randn(1, 4, 5, requires_grad=True)
    layers = cell.wiring.layers

    def reached(place, token):
        (gradient,) = torch.autograd.grad(cell(x)[0][0, token, place].sum(), x, retain_graph=True)
        return gradient[0, : token + 1].abs().sum() > 0

    assert reached(layers["inter"], 0)
    assert reached(layers["motor"], 3)
    y, _ = cell(x)
    (gradient,) = torch.autograd.grad(y[0, -1, layers["inter"]].sum(), cell.recurrent.weight_raw)
    assert not gradient.any()  # inter neurons hear inputs alone


def test_a_wiring_for_other_sizes_is_refused():
    with pytest.raises(ValueError, match=r"wiring must be for \(inputs, units\) = \(4, 9\), got \(4, 12\): draw one"):
        LTC(4, 9, wiring=neural_circuit(4, 12, motor=3))


def test_the_default_path_is_compiled():
    assert numba_is_there()
    assert LTC(2, 3).path == "auto"
