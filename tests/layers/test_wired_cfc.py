"""The wired closed-form layer against ncps with its weights and wiring, and what a wiring leaves out."""

from __future__ import annotations

import math

import ncps.torch
import ncps.wirings
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neurofmx.kernels.wired_cfc import ncps_names
from neurofmx.layers.inference import in_precision
from neurofmx.layers.liquid import circuit, liquid_cell
from neurofmx.layers.wired_cfc import WiredCfC
from neurofmx.layers.wiring import Wiring, neural_circuit

COURSE = ("inter", "command", "motor")
MODES = pytest.mark.parametrize("mode", ["default", "pure", "no_gate"])


def both(mode, *, inputs=6, units=20, motor=4, path="auto"):
    """Our layer and ncps' cell on a wiring that ncps has drawn, with our weights, none of them at 0 or 1."""
    torch.manual_seed(0)
    drawn = ncps.wirings.AutoNCP(units, motor)
    peer = ncps.torch.WiredCfCCell(inputs, drawn, mode=mode).double()
    command = [drawn.get_type_of_neuron(neuron) for neuron in range(units)].count("command")
    wiring = Wiring(drawn.sensory_adjacency_matrix, drawn.adjacency_matrix, motor, command)
    layer = WiredCfC(inputs, units, wiring=wiring, mode=mode, path=path).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
        layer.log_tau.zero_()
        for number, name in enumerate(COURSE):
            theirs = dict(getattr(peer, f"layer_{number}").named_parameters())
            for weight, values in ncps_names(raw(layer, name), mode).items():
                theirs[weight].copy_(values)
    return layer, peer


def raw(layer, name):
    """The weights of a layer as they are stored, absent synapses too: it is ncps that masks them on its side."""
    gates = layer.gates[name]
    return layer.weights(name)._replace(gates_weight=gates.weight)


def in_our_order(layer, state):
    """A state of ncps, layer by layer as signals pass them, in the order of neurons."""
    sizes = [len(range(layer.units)[layer.wiring.layers[name]]) for name in COURSE]
    by_name = dict(zip(COURSE, state.split(sizes, 1), strict=True))
    return torch.cat([by_name[name] for name in layer.wiring.layers], 1)


@MODES
@pytest.mark.parametrize("path", ["auto", "library"])
def test_is_the_wired_cell_of_ncps_over_irregular_time(mode, path):
    layer, peer = both(mode, path=path)
    x, elapsed = torch.randn(3, 12, 6).double(), torch.rand(3, 12).double() + 0.1
    theirs = 0.5 * torch.randn(3, 20).double()
    y, last = layer(x, in_our_order(layer, theirs), elapsed=elapsed)
    for t in range(12):
        motor, theirs = peer(x[:, t], theirs, elapsed[:, t, None])
        torch.testing.assert_close(y[:, t], in_our_order(layer, theirs), rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(y[:, t, :4], motor, rtol=1e-12, atol=1e-12)  # motor neurons are first
    torch.testing.assert_close(last, y[:, -1], rtol=0, atol=0)


@MODES
def test_gradients_are_those_of_ncps_and_none_reaches_an_absent_synapse(mode):
    layer, peer = both(mode)
    x, theirs = torch.randn(2, 5, 6).double(), torch.zeros(2, 20).double()
    layer(x)[0][..., :4].square().sum().backward()
    outputs = []
    for token in x.unbind(1):
        motor, theirs = peer(token, theirs, torch.ones(2, 1).double())
        outputs.append(motor)
    torch.stack(outputs, 1).square().sum().backward()
    absent = 0
    for number, name in enumerate(COURSE):
        gates, there = layer.gates[name], layer.get_buffer(f"wired_{name}")
        cell = getattr(peer, f"layer_{number}")
        names = ["ff1"] if mode == "pure" else ["ff1", "ff2", "time_a", "time_b"]
        wanted = torch.cat([getattr(cell, each).weight.grad for each in names])
        torch.testing.assert_close(gates.weight.grad, wanted, rtol=1e-9, atol=1e-12)
        assert not gates.weight.grad[~there].any()
        masked = names[:1] if mode == "pure" else names[:2]
        absent += len(masked) * int((cell.sparsity_mask == 0).sum())
    assert layer.absent == absent > 0


@MODES
def test_weights_start_in_the_ranges_of_ncps(mode):
    """Xavier's bound of each gate of each layer, and ncps' of the idle rate, of which we take the size."""
    torch.manual_seed(0)
    layer = WiredCfC(30, 60, wiring=circuit(30, 60), mode=mode)
    for name in COURSE:
        own = len(range(60)[layer.wiring.layers[name]])
        sources = layer.gates[name].in_features
        bound = math.sqrt(6 / (own + sources))
        for gate in layer.gates[name].weight.chunk(1 if mode == "pure" else 4):
            assert 0.95 * bound < gate.abs().max() <= bound
        if mode == "pure":
            rates = layer.idle_rate[layer.wiring.layers[name]]
            assert rates.min() >= 0
            assert 0.6 * math.sqrt(6 / (1 + own)) < rates.max() <= math.sqrt(6 / (1 + own))


def test_a_signal_passes_the_layers_within_a_token_through_wired_synapses_alone():
    """What an input moves, at weights of 1 in place of the time gates, are the neurons that the wiring leads to."""
    wiring = neural_circuit(5, 20, motor=4, sparsity=0.8)
    layer = WiredCfC(5, 20, wiring=wiring).double()
    with torch.no_grad():
        for name in COURSE:
            half = len(layer.gates[name].weight) // 2
            layer.gates[name].weight[half:] = 0  # rate and offset of time hear everything
    x = torch.zeros(1, 1, 5).double().requires_grad_()
    reached = wiring.sensory != 0
    steps = (wiring.recurrent != 0).astype(int)
    inter, command, motor = (wiring.layers[name] for name in COURSE)
    wanted = reached.astype(int)
    wanted[:, command] = wanted[:, inter] @ steps[inter, command]
    wanted[:, motor] = wanted[:, command] @ steps[command, motor]
    for neuron in range(20):
        (gradient,) = torch.autograd.grad(layer(x)[0][0, 0, neuron], x)
        assert ((gradient[0, 0] != 0).numpy() == (wanted[:, neuron] != 0)).all()
    assert (wanted == 0).any()


@MODES
def test_factors_stretch_time_and_layers_behind_hear_of_it(mode):
    torch.manual_seed(0)
    layer, x = WiredCfC(3, 6, wiring=circuit(3, 6), mode=mode).double(), torch.randn(2, 5, 3).double()
    tau = torch.rand(2, 5, 6).double() + 0.5
    y, _ = layer(x, tau=tau)
    with torch.no_grad():
        layer.log_tau += math.log(2.0)
    torch.testing.assert_close(layer(x, tau=tau / 2)[0], y, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(layer(x, tau=tau, elapsed=torch.full((2, 5), 2.0).double())[0], y)
    changed = (tau / 2).clone()
    changed[:, 3, 2] *= 3  # of the only command neuron: 0 and 1 are motor, 3 to 5 inter neurons
    other = layer(x, tau=changed)[0]
    torch.testing.assert_close(other[:, :3], y[:, :3], rtol=1e-10, atol=1e-12)
    moved = (other[:, 3] - y[:, 3]).abs().amax(0) > 1e-9
    assert moved.tolist() == [True, True, True, False, False, False]


@MODES
@given(cuts=st.lists(st.integers(1, 5), min_size=1, max_size=5))
@settings(max_examples=6, deadline=None, derandomize=True)
def test_chunks_equal_one_pass(mode, cuts):
    torch.manual_seed(0)
    layer = WiredCfC(4, 9, wiring=circuit(4, 9), mode=mode).double()
    x, tau = torch.randn(2, sum(cuts), 4).double(), torch.rand(2, sum(cuts), 9).double() + 0.5
    whole, last = layer(x, tau=tau)
    state, parts = None, []
    for chunk, factors in zip(x.split(cuts, 1), tau.split(cuts, 1), strict=True):
        y, state = layer(chunk, state, tau=factors)
        parts.append(y)
    torch.testing.assert_close((torch.cat(parts, 1), state), (whole, last), rtol=1e-10, atol=1e-12)


@MODES
def test_padding_is_silent_and_changes_no_state(mode):
    torch.manual_seed(0)
    layer, x = WiredCfC(4, 9, wiring=circuit(4, 9), mode=mode), torch.randn(2, 6, 4)
    mask = torch.arange(6) < torch.tensor([[4], [6]])
    padded, last = layer(x.masked_fill(~mask[..., None], torch.nan), mask=mask)
    short, end = layer(x[:1, :4])
    torch.testing.assert_close((padded[:1, :4], last[:1]), (short, end))
    assert not padded[0, 4:].any()


@pytest.mark.parametrize("precision", ["int8", "bfloat16"])
@torch.no_grad()
def test_matrices_are_rounded_for_inference_and_absent_synapses_stay_absent(precision):
    torch.manual_seed(0)
    layer, x = liquid_cell("ncp", 5, 20, ncp_cell="cfc"), torch.randn(2, 8, 5)
    wanted, wired = layer(x)[0], layer.weights("motor").gates_weight != 0
    rounded = in_precision(torch.nn.ModuleList([layer]), precision)[0]
    assert type(rounded.gates["motor"]) is not torch.nn.Linear
    assert not rounded.weights("motor").gates_weight[~wired].any()
    error = (rounded(x)[0] - wanted).abs().max()
    assert 0 < error < 0.05 * wanted.abs().max()


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"wiring must be for \(inputs, units\) = \(4, 9\), got \(4, 12\): draw one"):
        WiredCfC(4, 9, wiring=neural_circuit(4, 12, motor=3))
    with pytest.raises(ValueError, match="unknown cfc mode 'pur'"):
        WiredCfC(4, 9, wiring=circuit(4, 9), mode="pur")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"unknown ncp_cell 'gru'.* known: cfc, ltc"):
        liquid_cell("ncp", 4, 9, ncp_cell="gru")  # type: ignore[arg-type]
