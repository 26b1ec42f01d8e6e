"""One layer of a wired closed-form cell against a naive loop and ncps."""

from __future__ import annotations

import ncps.torch
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference import gradients, wired_cfc_naive

from neurofmx.kernels.wired_cfc import LayerWeights, ncps_names, wired_cfc

MODES = {"default": 4, "no_gate": 4, "pure": 1}
BOTH = pytest.mark.parametrize("mode", MODES)


def arguments(mode, batch=3, time=6, inputs=4, units=5):
    """Random input, state, weights and elapsed times that want gradients."""
    torch.manual_seed(0)
    gates = MODES[mode] * units
    shapes = [(batch, time, inputs), (batch, units), (gates, inputs + units), (gates,)]
    shapes += [(units,), (units,)] if mode == "pure" else []
    tensors = [torch.randn(shape, dtype=torch.float64) * 0.6 for shape in shapes]
    tensors.append(torch.rand(batch, time, units, dtype=torch.float64) * 2)
    return [tensor.requires_grad_() for tensor in tensors]


def call(mode, inputs, **options):
    """The kernel on what `arguments` makes."""
    x, state, *weights, elapsed = inputs
    return wired_cfc(x, state, LayerWeights(*weights), mode=mode, elapsed=elapsed, **options)


@BOTH
@pytest.mark.parametrize("path", ["reference", "library"])
def test_equals_the_naive_loop_in_outputs_state_and_gradients(path, mode):
    inputs = arguments(mode)
    ours, naive = call(mode, inputs, path=path), wired_cfc_naive(*inputs)
    if mode == "no_gate":
        naive = wired_cfc_naive(*inputs, gated=False)
    torch.testing.assert_close(ours, naive, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradients(ours, inputs), gradients(naive, inputs), rtol=1e-10, atol=1e-10)


@BOTH
def test_gradcheck(mode):
    inputs = arguments(mode, 2, 3, 2, 2)
    mask = torch.tensor([[True, True, True], [True, False, True]])
    assert torch.autograd.gradcheck(lambda *args: call(mode, args, mask=mask), inputs)


@BOTH
def test_is_the_cell_of_ncps_without_a_backbone(mode):
    """A cell of its own, whose weights are copied by the names that ours are given."""
    x, state, *weights, elapsed = arguments(mode)
    cell = ncps.torch.CfCCell(4, 5, mode=mode, backbone_layers=0).double()
    named = ncps_names(LayerWeights(*weights), mode)
    assert set(named) == {name for name, _ in cell.named_parameters()}
    with torch.no_grad():
        for name, parameter in cell.named_parameters():
            parameter.copy_(named[name])
    for t, h in enumerate(call(mode, [x, state, *weights, elapsed])[0].unbind(1)):
        state, _ = cell(x[:, t], state, elapsed[:, t])
        torch.testing.assert_close(h, state, rtol=1e-12, atol=1e-12)


@BOTH
def test_padding_is_silent_and_changes_no_state(mode):
    inputs = [tensor.detach() for tensor in arguments(mode, 2)]
    mask = torch.tensor([[True, False, True, True, False, False]]).expand(2, 6)
    holes = [torch.where(mask[..., None], inputs[0], torch.nan), *inputs[1:]]
    y, last = call(mode, holes, mask=mask)
    there = mask[0]
    short, end = call(mode, [inputs[0][:, there], *inputs[1:-1], inputs[-1][:, there]])
    torch.testing.assert_close((y[:, there], last), (short, end), rtol=1e-12, atol=1e-12)
    assert not y[:, ~there].any()


@BOTH
@given(cuts=st.lists(st.integers(1, 5), min_size=1, max_size=5))
@settings(max_examples=6, deadline=None, derandomize=True)
def test_chunks_equal_one_pass(mode, cuts):
    x, state, *weights, elapsed = (tensor.detach() for tensor in arguments(mode, time=sum(cuts)))
    whole, last = call(mode, [x, state, *weights, elapsed])
    parts = []
    for piece, span in zip(x.split(cuts, 1), elapsed.split(cuts, 1), strict=True):
        y, state = call(mode, [piece, state, *weights, span])
        parts.append(y)
    torch.testing.assert_close((torch.cat(parts, 1), state), (whole, last), rtol=1e-12, atol=1e-12)


def test_half_precision_is_widened():
    inputs = [tensor.detach().bfloat16() for tensor in arguments("default")]
    assert {out.dtype for out in call("default", inputs)} == {torch.float32}


@pytest.mark.parametrize(
    ("mode", "change", "message"),
    [
        ("default", {"gates_weight": torch.zeros(19, 9)}, r"gates_weight must have the shape \(gates=20"),
        ("default", {"end": torch.zeros(5)}, r"end is a weight of mode='pure' and of no other"),
        ("pure", {"idle_rate": None}, r"idle_rate is a weight of mode='pure' and of no other"),
        ("pure", {"end": torch.zeros(4)}, r"end must have the shape \(units=5\)"),
    ],
)
def test_wrong_weights_are_refused(mode, change, message):
    x, state, *weights, _ = (tensor.detach() for tensor in arguments(mode))
    with pytest.raises(ValueError, match=message):
        wired_cfc(x, state, LayerWeights(*weights)._replace(**change), mode=mode)


def test_wrong_names_are_refused():
    inputs = arguments("default")
    with pytest.raises(ValueError, match="unknown path 'numba'"):
        call("default", inputs, path="numba")
    with pytest.raises(ValueError, match="unknown cfc mode 'pur'; did you mean 'pure'"):
        call("pur", inputs)
    with pytest.raises(ValueError, match="path='library' knows no mask"):
        call("default", inputs, path="library", mask=torch.ones(3, 6, dtype=torch.bool))
