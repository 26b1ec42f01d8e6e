"""The liquid recurrence against a naive loop, ncps and its limits in time."""

from __future__ import annotations

import ncps.torch
import pytest
import torch
from tests.reference import cfc_naive, gradients

from neurofmx.kernels.cfc import CfCWeights, cfc


def arguments(batch=3, time=6, inputs=4, units=5, backbone=7, dtype=torch.float64):
    """Random input, state, weights and elapsed times that want gradients."""
    torch.manual_seed(0)
    shapes = [(batch, time, inputs), (batch, units), (backbone, inputs + units), (backbone,), (4 * units, backbone)]
    tensors = [torch.randn(shape, dtype=dtype) * 0.6 for shape in [*shapes, (4 * units,)]]
    tensors.append(torch.rand(batch, time, units, dtype=dtype) * 2)
    return [tensor.requires_grad_() for tensor in tensors]


@pytest.mark.parametrize("path", ["reference", "library"])
def test_equals_the_naive_loop_in_outputs_state_and_gradients(path):
    inputs = arguments()
    x, state, *weights, elapsed = inputs
    ours = cfc(x, state, CfCWeights(*weights), elapsed=elapsed, path=path)
    naive = cfc_naive(*inputs)
    torch.testing.assert_close(ours, naive, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradients(ours, inputs), gradients(naive, inputs), rtol=1e-10, atol=1e-10)


def test_equals_the_sequence_class_of_ncps_with_copied_weights():
    torch.manual_seed(0)
    peer = ncps.torch.CfC(6, 10, backbone_units=16, batch_first=True)
    cell = peer.rnn_cell
    gates = [cell.ff1, cell.ff2, cell.time_a, cell.time_b]
    weights = CfCWeights(
        cell.backbone[0].weight,
        cell.backbone[0].bias,
        torch.cat([gate.weight for gate in gates]),
        torch.cat([gate.bias for gate in gates]),
    )
    x, state = torch.randn(4, 50, 6, requires_grad=True), torch.zeros(4, 10, requires_grad=True)
    ours, theirs = cfc(x, state, weights), peer(x, state)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
    wanted = [x, state, *peer.parameters()]
    torch.testing.assert_close(gradients(ours, wanted), gradients(theirs, wanted), rtol=1e-4, atol=1e-5)


def test_gradcheck():
    x, state, *weights, elapsed = arguments(batch=2, time=3, inputs=2, units=2, backbone=3)
    assert torch.autograd.gradcheck(
        lambda x, state, elapsed, *weights: cfc(x, state, CfCWeights(*weights), elapsed=elapsed),
        (x, state, elapsed, *weights),
    )


@pytest.mark.parametrize("elapsed", [0.0, 1e9])
def test_limits_in_time(elapsed):
    x, state, W, w, V, v, _ = arguments(time=1)
    y, _ = cfc(x, state, CfCWeights(W, w, V, v), elapsed=elapsed)
    z = 1.7159 * torch.tanh(0.666 * torch.nn.functional.linear(torch.cat([x[:, 0], state], 1), W, w))
    f, g, a, b = torch.nn.functional.linear(z, V, v).chunk(4, 1)
    f, g = f.tanh(), g.tanh()
    at_once = f + b.sigmoid() * (g - f)  # no time: only the offset decides
    at_last = torch.where(a > 0, g, f)  # all time: the sign of the rate decides
    torch.testing.assert_close(y[:, 0], at_once if elapsed == 0 else at_last)


def test_one_number_means_the_same_time_everywhere():
    x, state, *weights, _ = arguments()
    number = cfc(x, state, CfCWeights(*weights), elapsed=0.7)
    tensor = cfc(x, state, CfCWeights(*weights), elapsed=torch.full((3, 6, 5), 0.7, dtype=torch.float64))
    torch.testing.assert_close(number, tensor, rtol=0, atol=0)


def test_library_path_uses_no_random_numbers():
    x, state, *weights, _ = arguments()
    before = torch.get_rng_state()
    cfc(x, state, CfCWeights(*weights), path="library")
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"elapsed": torch.ones(3, 2, 5)}, r"elapsed must broadcast to \(batch=3, time=6, units=5\), got \(3, 2, 5\)"),
        ({"state": torch.zeros(2, 5)}, r"state must have the shape \(batch=3, units\), got \(2, 5\)"),
        ({"path": "ncps"}, "unknown path 'ncps'; .* known: library, reference"),
    ],
)
def test_wrong_arguments_are_refused(change, message):
    x, state, *weights, _ = arguments()
    with pytest.raises(ValueError, match=message):
        cfc(**({"x": x, "state": state, "weights": CfCWeights(*weights)} | change))
