"""The liquid layer against ncps with its weights, and time constants that can be stretched."""

from __future__ import annotations

import math
from itertools import pairwise

import ncps.torch
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neurofmx.kernels.cfc import cfc
from neurofmx.kernels.cfc_modes import cfc_mode
from neurofmx.kernels.ltc import ltc
from neurofmx.layers.cfc import CfC
from neurofmx.layers.liquid import LIQUID, liquid_cell

MODES = ("default", "pure", "no_gate")
CELLS = [*((name, "default") for name in LIQUID), ("cfc", "pure"), ("cfc", "no_gate")]
EVERY = pytest.mark.parametrize(("name", "wired"), [*((name, "ltc") for name in LIQUID), ("ncp", "cfc")])


def peer_of(layer):
    """`ncps.torch.CfC` with the layer's weights."""
    inputs = layer.backbone.in_features - layer.units
    peer = ncps.torch.CfC(inputs, layer.units, mode=layer.mode, backbone_units=12, batch_first=True)
    cell = peer.rnn_cell
    gates = [cell.ff1] if layer.mode == "pure" else [cell.ff1, cell.ff2, cell.time_a, cell.time_b]
    with torch.no_grad():
        cell.backbone[0].weight.copy_(layer.backbone.weight)
        cell.backbone[0].bias.copy_(layer.backbone.bias)
        for i, gate in enumerate(gates):
            gate.weight.copy_(layer.gates.weight.chunk(len(gates))[i])
            gate.bias.copy_(layer.gates.bias.chunk(len(gates))[i])
        if layer.mode == "pure":
            cell.w_tau.copy_(layer.idle_rate)
            cell.A.copy_(layer.end)
    return peer


def shaken(layer):
    """The layer with no weight at 0 or 1."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
        layer.log_tau.zero_()
    return layer


@pytest.mark.parametrize("mode", MODES)
def test_starts_as_the_cell_of_ncps(mode):
    torch.manual_seed(0)
    layer, x = CfC(6, 9, backbone_units=12, mode=mode), torch.randn(4, 30, 6)
    torch.testing.assert_close(layer(x), peer_of(layer)(x, torch.zeros(4, 9)), rtol=0, atol=1e-6)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("path", ["auto", "library"])
def test_is_the_cell_of_ncps_with_its_weights_over_irregular_time(mode, path):
    torch.manual_seed(0)
    layer = shaken(CfC(6, 9, backbone_units=12, mode=mode, path=path))
    x, elapsed, start = torch.randn(4, 12, 6), torch.rand(4, 12) + 0.1, torch.rand(4, 9)
    cell, state = peer_of(layer).rnn_cell, start  # its sequences take no time spans of their own for each sample
    for t, h in enumerate(layer(x, start, elapsed=elapsed)[0].unbind(1)):
        state, _ = cell(x[:, t], state, elapsed[:, t, None])
        torch.testing.assert_close(h, state, rtol=0, atol=2e-6)


def test_modes_differ_and_the_others_name_their_path():
    x, outputs = torch.randn(2, 6, 4), []
    for mode in MODES:
        torch.manual_seed(0)
        layer = CfC(4, 5, mode=mode)
        outputs.append(layer(x)[0])
        assert layer.path == ("auto" if mode == "default" else "reference")
        assert CfC(4, 5, mode=mode, path="library").path == "library"
    assert all((outputs[n] - outputs[n - 1]).abs().max() > 1e-2 for n in range(3))
    with pytest.raises(ValueError, match="unknown cfc mode 'pur'; did you mean 'pure'"):
        CfC(4, 5, mode="pur")  # type: ignore[arg-type]


def test_the_pure_cell_decays_to_its_end_as_its_equation_says():
    """Under a constant rate the distance to `A` shrinks exponentially, by the idle rate and the size of that rate."""
    layer = CfC(2, 3, mode="pure").double()
    with torch.no_grad():
        layer.gates.weight.zero_()
        layer.gates.bias.fill_(0.4)
        layer.idle_rate.fill_(-0.3)
        layer.end.fill_(2.0)
    x = torch.randn(1, 1, 2).double()
    for elapsed in (0.0, 0.5, 1.0, 100.0):
        h, _ = layer(x, elapsed=torch.full((1, 1), elapsed).double())
        torch.testing.assert_close(h, torch.full_like(h, 2 - 2 * math.exp(-0.7 * elapsed) * 0.4))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("modulated", [False, True])
def test_paths_agree_in_outputs_and_gradients(modulated, mode):
    torch.manual_seed(0)
    x = torch.randn(3, 7, 4, dtype=torch.float64)
    tau = torch.rand(3, 7, 5, dtype=torch.float64) + 0.5 if modulated else None
    layers = [CfC(4, 5, backbone_units=6, mode=mode, path=path).double() for path in ("reference", "numba", "library")]
    results = []
    for layer in layers:
        layer.load_state_dict(layers[0].state_dict())
        y, _ = layer(x, tau=tau)
        y.square().sum().backward()
        results.append([y, *(parameter.grad for parameter in layer.parameters())])
    for other in results[1:]:
        torch.testing.assert_close(other, results[0], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("mode", MODES)
def test_doubling_tau_is_doubling_the_base_time_constant(mode):
    torch.manual_seed(0)
    layer, x = CfC(4, 5, mode=mode), torch.randn(2, 6, 4)
    modulated, _ = layer(x, tau=torch.full((2, 6, 5), 2.0))
    plain, _ = layer(x)
    with torch.no_grad():
        layer.log_tau += torch.log(torch.tensor(2.0))
    torch.testing.assert_close(modulated, layer(x)[0])
    assert (modulated - plain).abs().max() > 1e-3


@pytest.mark.parametrize("mode", MODES)
def test_irregular_time_is_that_of_the_kernel(mode):
    torch.manual_seed(0)
    layer, x = CfC(4, 5, mode=mode), torch.randn(2, 6, 4)
    tau, elapsed = torch.rand(2, 6, 5) + 0.5, torch.rand(2, 6)
    irregular, _ = layer(x, tau=tau, elapsed=elapsed)
    torch.testing.assert_close(irregular, layer(x, tau=tau / elapsed[..., None])[0])


@pytest.mark.parametrize("mode", MODES)
def test_padding_is_silent_and_changes_no_state(mode):
    torch.manual_seed(0)
    layer, x = CfC(4, 5, mode=mode), torch.randn(2, 6, 4)
    mask = torch.arange(6) < torch.tensor([[4], [6]])
    padded, last = layer(x.masked_fill(~mask[..., None], torch.nan), mask=mask)
    short, end = layer(x[:1, :4])
    torch.testing.assert_close((padded[:1, :4], last[:1]), (short, end))
    assert not padded[0, 4:].any()


@pytest.mark.parametrize("mode", MODES)
@given(cuts=st.lists(st.integers(1, 5), min_size=1, max_size=5))
@settings(max_examples=6, deadline=None, derandomize=True)
def test_chunks_equal_one_pass(mode, cuts):
    torch.manual_seed(0)
    layer = CfC(4, 5, mode=mode).double()
    x, tau = torch.randn(2, sum(cuts), 4).double(), torch.rand(2, sum(cuts), 5).double() + 0.5
    whole, last = layer(x, tau=tau)
    state, parts = None, []
    for chunk, factors in zip(x.split(cuts, 1), tau.split(cuts, 1), strict=True):
        y, state = layer(chunk, state, tau=factors)
        parts.append(y)
    torch.testing.assert_close((torch.cat(parts, 1), state), (whole, last), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("name", "mode"), CELLS)
def test_factors_stretch_time_token_by_token_and_unit_by_unit_in_every_liquid_cell(name, mode):
    """A factor on a unit's time constant is that much less time for this unit at this token, and for no other."""
    torch.manual_seed(0)
    cell = liquid_cell(name, 3, 6, backbone_units=8, cfc_mode=mode).double()
    x, tau = torch.randn(2, 5, 3).double(), torch.rand(2, 5, 6).double() + 0.5
    y, state = cell(x, tau=tau)
    kernel, weights = (ltc, cell.weights) if name != "cfc" else (cfc if mode == "default" else cfc_mode, cell.weights)
    inputs = x if name == "cfc" else x * cell.input_factor + cell.input_offset
    start = torch.zeros(2, 6).double()
    wanted, last = kernel(inputs, start, weights, elapsed=1 / tau, path="reference")
    torch.testing.assert_close((y, state), (wanted, last), rtol=1e-10, atol=1e-12)
    changed = tau.clone()
    changed[:, 3, 2] *= 3
    other = cell(x, tau=changed)[0]
    torch.testing.assert_close(other[:, :3], y[:, :3], rtol=1e-12, atol=1e-12)
    moved = (other[:, 3] - y[:, 3]).abs().amax(0) > 1e-9
    assert moved[2]
    if name == "cfc":  # solved step by step, other neurons hear of it within the token
        assert moved.tolist() == [False, False, True, False, False, False]


@EVERY
def test_every_liquid_cell_slows_down_under_larger_factors(name, wired):
    """It moves less from where it is when no time passes, and half as far under twice a large factor."""
    torch.manual_seed(0)
    cell = liquid_cell(name, 3, 6, backbone_units=8, ncp_cell=wired).double()
    x, start = torch.randn(1, 1, 3).double(), torch.rand(1, 6).double()
    idle = cell(x, start, elapsed=torch.zeros(1, 1).double())[1]
    if wired == "ltc" and name != "cfc":  # a closed form jumps to where its gates stand
        torch.testing.assert_close(idle, start)
    ends = [cell(x, start, tau=torch.full((1, 1, 6), factor).double())[1] for factor in (1, 2, 4, 8, 1000, 2000)]
    moved = [(end - idle).abs() for end in ends]
    assert all(more.sum() > less.sum() for more, less in pairwise(moved))
    torch.testing.assert_close(2 * moved[-1], moved[-2], rtol=0.01, atol=0)


@EVERY
def test_every_liquid_cell_forgets_where_it_started(name, wired):
    torch.manual_seed(0)
    cell = liquid_cell(name, 3, 6, backbone_units=8, ncp_cell=wired)
    x = torch.randn(1, 200, 3)
    ends = [cell(x, start)[1] for start in (torch.full((1, 6), -1.0), torch.full((1, 6), 1.0))]
    torch.testing.assert_close(*ends, rtol=0, atol=1e-4)


def test_unknown_cell_is_refused():
    with pytest.raises(ValueError, match=r"unknown liquid_backbone 'cfg'; did you mean 'cfc'"):
        liquid_cell("cfg", 3, 6)
    with pytest.raises(ValueError, match=r"units must be 4 or more for the layers of a circuit, got 3"):
        liquid_cell("ncp", 3, 3)
