"""The liquid layer against ncps with its weights, and time constants that can be stretched."""

from __future__ import annotations

import ncps.torch
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neurofmx.layers.cfc import CfC
from neurofmx.layers.liquid import LIQUID, liquid_cell


def peer_of(layer):
    """`ncps.torch.CfC` with the layer's weights."""
    peer = ncps.torch.CfC(layer.backbone.in_features - layer.units, layer.units, backbone_units=12, batch_first=True)
    cell = peer.rnn_cell
    with torch.no_grad():
        cell.backbone[0].weight.copy_(layer.backbone.weight)
        cell.backbone[0].bias.copy_(layer.backbone.bias)
        for i, gate in enumerate([cell.ff1, cell.ff2, cell.time_a, cell.time_b]):
            gate.weight.copy_(layer.gates.weight.chunk(4)[i])
            gate.bias.copy_(layer.gates.bias.chunk(4)[i])
    return peer


def test_starts_as_the_cell_of_ncps():
    torch.manual_seed(0)
    layer, x = CfC(6, 9, backbone_units=12), torch.randn(4, 30, 6)
    torch.testing.assert_close(layer(x), peer_of(layer)(x, torch.zeros(4, 9)), rtol=0, atol=1e-6)


@pytest.mark.parametrize("modulated", [False, True])
def test_paths_agree_in_outputs_and_gradients(modulated):
    torch.manual_seed(0)
    x = torch.randn(3, 7, 4, dtype=torch.float64)
    tau = torch.rand(3, 7, 5, dtype=torch.float64) + 0.5 if modulated else None
    layers = [CfC(4, 5, backbone_units=6, path=path).double() for path in ("reference", "numba", "library")]
    results = []
    for layer in layers:
        layer.load_state_dict(layers[0].state_dict())
        y, _ = layer(x, tau=tau)
        y.square().sum().backward()
        results.append([y, *(parameter.grad for parameter in layer.parameters())])
    for other in results[1:]:
        torch.testing.assert_close(other, results[0], rtol=1e-10, atol=1e-12)


def test_doubling_tau_is_doubling_the_base_time_constant():
    torch.manual_seed(0)
    layer, x = CfC(4, 5), torch.randn(2, 6, 4)
    modulated, _ = layer(x, tau=torch.full((2, 6, 5), 2.0))
    plain, _ = layer(x)
    with torch.no_grad():
        layer.log_tau += torch.log(torch.tensor(2.0))
    torch.testing.assert_close(modulated, layer(x)[0])
    assert (modulated - plain).abs().max() > 1e-3


def test_irregular_time_is_that_of_the_kernel():
    torch.manual_seed(0)
    layer, x = CfC(4, 5), torch.randn(2, 6, 4)
    tau, elapsed = torch.rand(2, 6, 5) + 0.5, torch.rand(2, 6)
    irregular, _ = layer(x, tau=tau, elapsed=elapsed)
    torch.testing.assert_close(irregular, layer(x, tau=tau / elapsed[..., None])[0])


def test_padding_is_silent_and_changes_no_state():
    torch.manual_seed(0)
    layer, x = CfC(4, 5), torch.randn(2, 6, 4)
    mask = torch.arange(6) < torch.tensor([[4], [6]])
    padded, last = layer(x.masked_fill(~mask[..., None], torch.nan), mask=mask)
    short, end = layer(x[:1, :4])
    torch.testing.assert_close((padded[:1, :4], last[:1]), (short, end))
    assert not padded[0, 4:].any()


@given(cuts=st.lists(st.integers(1, 5), min_size=1, max_size=5))
@settings(max_examples=10, deadline=None, derandomize=True)
def test_chunks_equal_one_pass(cuts):
    torch.manual_seed(0)
    layer = CfC(4, 5).double()
    x, tau = torch.randn(2, sum(cuts), 4).double(), torch.rand(2, sum(cuts), 5).double() + 0.5
    whole, last = layer(x, tau=tau)
    state, parts = None, []
    for chunk, factors in zip(x.split(cuts, 1), tau.split(cuts, 1), strict=True):
        y, state = layer(chunk, state, tau=factors)
        parts.append(y)
    torch.testing.assert_close((torch.cat(parts, 1), state), (whole, last), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", LIQUID)
def test_every_liquid_cell_slows_down_under_larger_factors(name):
    torch.manual_seed(0)
    cell = liquid_cell(name, 3, 6, backbone_units=8)
    x, start = torch.randn(1, 1, 3), torch.rand(1, 6)
    ends = [cell(x, start, tau=torch.full((1, 1, 6), factor))[1] for factor in (1e6, 2e6, 1e7)]
    torch.testing.assert_close(ends[0], ends[2], rtol=1e-4, atol=1e-4)  # no time passes
    assert not torch.equal(cell(x, start)[1], ends[0])


@pytest.mark.parametrize("name", LIQUID)
def test_every_liquid_cell_forgets_where_it_started(name):
    torch.manual_seed(0)
    cell = liquid_cell(name, 3, 6, backbone_units=8)
    x = torch.randn(1, 200, 3)
    ends = [cell(x, start)[1] for start in (torch.full((1, 6), -1.0), torch.full((1, 6), 1.0))]
    torch.testing.assert_close(*ends, rtol=0, atol=1e-4)


def test_unknown_cell_is_refused():
    with pytest.raises(ValueError, match=r"unknown liquid_backbone 'cfg'; did you mean 'cfc'"):
        liquid_cell("cfg", 3, 6)
