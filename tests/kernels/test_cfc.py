"""The liquid recurrence against a naive loop, ncps and its limits in time."""

from __future__ import annotations

import sys

import ncps.torch
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kernels.compiled import assert_bits_depend_on_nothing, assert_survives_a_fork
from tests.reference import cfc_naive, gradients

from neurofmx.kernels.cfc import CfCWeights, cfc
from neurofmx.kernels.cpu.cfc_op import cfc_op
from neurofmx.kernels.cpu.simd import panels
from neurofmx.kernels.cpu.simd.lanes import BYTES

PATHS = pytest.mark.parametrize("path", ["reference", "numba"])
FEW = settings(max_examples=8, deadline=None, derandomize=True)
# batch, time, inputs, units, backbone: beside, below and above the width of a panel
SHAPES = [
    (1, 1, 1, 1, 1),
    (2, 1, 33, 5, 40),
    (5, 40, 3, 17, 9),
    (13, 33, 20, 64, 33),
    (1, 70, 2, 100, 64),
    (33, 9, 7, 6, 8),
]


def arguments(batch=3, time=6, inputs=4, units=5, backbone=7, dtype=torch.float64):
    """Random input, state, weights and elapsed times that want gradients."""
    torch.manual_seed(0)
    shapes = [(batch, time, inputs), (batch, units), (backbone, inputs + units), (backbone,), (4 * units, backbone)]
    tensors = [torch.randn(shape, dtype=dtype) * 0.6 for shape in [*shapes, (4 * units,)]]
    tensors[2] *= 1.5 / (inputs + units) ** 0.5
    tensors[4] *= 1.5 / backbone**0.5
    tensors.append(torch.rand(batch, time, units, dtype=dtype) * 2)
    return [tensor.requires_grad_() for tensor in tensors]


def call(inputs, **settings):
    """The kernel on what `arguments` makes."""
    x, state, *weights, elapsed = inputs
    return cfc(x, state, CfCWeights(*weights), elapsed=elapsed, **settings)


@pytest.mark.parametrize("path", ["reference", "numba", "library"])
def test_equals_the_naive_loop_in_outputs_state_and_gradients(path):
    inputs = arguments()
    ours, naive = call(inputs, path=path), cfc_naive(*inputs)
    torch.testing.assert_close(ours, naive, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradients(ours, inputs), gradients(naive, inputs), rtol=1e-10, atol=1e-10)


@PATHS
def test_equals_the_sequence_class_of_ncps_with_copied_weights(path):
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
    ours, theirs = cfc(x, state, weights, path=path), peer(x, state)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
    wanted = [x, state, *peer.parameters()]
    torch.testing.assert_close(gradients(ours, wanted), gradients(theirs, wanted), rtol=1e-4, atol=1e-5)


def close(found, wanted, dtype):
    """Whether tensors agree up to the precision of their numbers, relative to their size."""
    for ours, theirs in zip(found, wanted, strict=True):
        assert (ours - theirs).norm() <= (1e-5 if dtype == torch.float32 else 1e-11) * (theirs.norm() + 1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("shared", [(), (0,), (1,), (0, 1), (2,)])
def test_numba_equals_the_reference(shape, dtype, shared):
    inputs = arguments(*shape, dtype)
    for axis in shared:  # of the elapsed time
        inputs[-1] = inputs[-1].detach().narrow(axis, 0, 1).requires_grad_()
    reference, numba = (call(inputs, path=path) for path in ("reference", "numba"))
    close(numba, reference, dtype)
    close(gradients(numba, inputs), gradients(reference, inputs), dtype)


@pytest.mark.parametrize("register", [16, 32, 64])
def test_whole_panels_are_whole_vectors_on_every_processor(register, monkeypatch):
    monkeypatch.setattr(panels, "REGISTER", register)
    for size in (1, 5, 17, 64):
        wide = panels.padded(size, 4)
        assert wide >= size
        assert wide % panels.width_of(4) == 0
        assert wide * 4 % BYTES == 0


@pytest.mark.parametrize("shape", [(70, 19, 5, 6, 7), (150, 3, 2, 5, 4)])
def test_more_samples_than_go_back_together_equal_the_reference(shape):
    inputs = arguments(*shape)
    reference, numba = (call(inputs, path=path) for path in ("reference", "numba"))
    close(gradients(numba, inputs), gradients(reference, inputs), torch.float64)


def test_long_sequences_equal_the_reference():
    inputs = arguments(2, 5000, 3, 6, 5)
    reference, numba = (call(inputs, path=path) for path in ("reference", "numba"))
    close(numba, reference, torch.float64)
    close(gradients(numba, inputs), gradients(reference, inputs), torch.float64)


@PATHS
def test_gradcheck(path):
    inputs = arguments(batch=2, time=3, inputs=2, units=2, backbone=3)
    mask = torch.tensor([[True, True, True], [True, False, True]])
    assert torch.autograd.gradcheck(lambda *args: call(args, mask=mask, path=path), inputs)


@PATHS
@pytest.mark.parametrize("elapsed", [0.0, 1e9])
def test_limits_in_time(elapsed, path):
    x, state, W, w, V, v, _ = arguments(time=1)
    y, _ = cfc(x, state, CfCWeights(W, w, V, v), elapsed=elapsed, path=path)
    z = 1.7159 * torch.tanh(0.666 * torch.nn.functional.linear(torch.cat([x[:, 0], state], 1), W, w))
    f, g, a, b = torch.nn.functional.linear(z, V, v).chunk(4, 1)
    f, g = f.tanh(), g.tanh()
    at_once = f + b.sigmoid() * (g - f)  # no time: only the offset decides
    at_last = torch.where(a > 0, g, f)  # all time: the sign of the rate decides
    torch.testing.assert_close(y[:, 0], at_once if elapsed == 0 else at_last)


@PATHS
def test_one_number_means_the_same_time_everywhere(path):
    x, state, *weights, _ = arguments()
    number = cfc(x, state, CfCWeights(*weights), elapsed=0.7, path=path)
    tensor = cfc(x, state, CfCWeights(*weights), elapsed=torch.full((3, 6, 5), 0.7, dtype=torch.float64), path=path)
    torch.testing.assert_close(number, tensor, rtol=0, atol=0)


def test_library_path_uses_no_random_numbers():
    inputs = arguments()
    before = torch.get_rng_state()
    call(inputs, path="library")
    assert torch.equal(before, torch.get_rng_state())


@PATHS
@given(kept=st.lists(st.lists(st.booleans(), min_size=7, max_size=7), min_size=3, max_size=3))
@FEW
def test_a_masked_step_is_as_if_it_were_not_there(path, kept):
    inputs, mask = arguments(time=7), torch.tensor(kept)
    mask[0, 4] = True  # or nothing would depend on anything
    with torch.no_grad():
        for padded in (inputs[0], inputs[-1]):
            padded[~mask] = torch.nan
    ours = call(inputs, mask=mask, path=path)
    states, last = torch.zeros_like(ours[0]), []
    for b, steps in enumerate(mask):
        end = inputs[1][b : b + 1]
        if steps.any():
            there = [inputs[0][b : b + 1, steps], end, *inputs[2:6], inputs[6][b : b + 1, steps]]
            found, end = cfc_naive(*there)
            states = states.index_put((torch.tensor(b), steps.nonzero()[:, 0]), found[0])
        last.append(end)
    naive = states, torch.cat(last)
    torch.testing.assert_close(ours, naive, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradients(ours, inputs), gradients(naive, inputs), rtol=1e-10, atol=1e-10)


@PATHS
@given(cuts=st.lists(st.integers(1, 20), min_size=1, max_size=4))
@FEW
def test_chunks_equal_one_pass(path, cuts):
    inputs = arguments(time=sum(cuts))
    whole = call(inputs, path=path)
    state, parts = inputs[1], []
    for x, elapsed in zip(inputs[0].split(cuts, 1), inputs[-1].split(cuts, 1), strict=True):
        y, state = call([x, state, *inputs[2:6], elapsed], path=path)
        parts.append(y)
    chunks = torch.cat(parts, 1), state
    torch.testing.assert_close(chunks, whole, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradients(chunks, inputs), gradients(whole, inputs), rtol=1e-10, atol=1e-10)


@PATHS
@given(order=st.permutations(range(5)))
@FEW
def test_permuting_units_permutes_the_states(path, order):
    x, state, W, w, V, v, elapsed = arguments()
    inputs, order = x.shape[2], torch.tensor(order)
    gates = torch.cat([order + gate * 5 for gate in range(4)])
    columns = torch.cat([torch.arange(inputs), inputs + order])
    moved = call([x, state[:, order], W[:, columns], w, V[gates], v[gates], elapsed[..., order]], path=path)
    plain = call([x, state, W, w, V, v, elapsed], path=path)
    torch.testing.assert_close(moved, (plain[0][..., order], plain[1][:, order]), rtol=1e-12, atol=1e-12)


@PATHS
@pytest.mark.parametrize("weigh", [
    lambda states, last: states.sum(),
    lambda states, last: states[:, 3].exp().sum(),
    lambda states, last: last.pow(2).sum(),
    lambda states, last: (states.mean((0, 2)).sin()).sum(),
    lambda states, last: (states.transpose(0, 2) @ torch.ones(3, 2).double()).sin().sum(),
])  # fmt: skip
def test_gradients_may_be_missing_or_repeat(weigh, path):
    inputs = arguments()
    found = torch.autograd.grad(weigh(*call(inputs, path=path)), inputs)
    wanted = torch.autograd.grad(weigh(*cfc_naive(*inputs)), inputs)
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-12)


def test_any_layout_in_memory():
    inputs = arguments()
    spread = [tensor.detach().mT.contiguous().mT.requires_grad_() if tensor.dim() > 1 else tensor for tensor in inputs]
    assert not spread[0].is_contiguous()
    ours, naive = call(spread, path="numba"), cfc_naive(*inputs)
    torch.testing.assert_close(ours, naive)
    torch.testing.assert_close(gradients(ours, spread), gradients(naive, inputs))


@PATHS
def test_half_precision_is_widened(path):
    inputs = [tensor.detach().bfloat16() for tensor in arguments()]
    found = call(inputs, path=path)
    assert found[0].dtype == torch.float32
    torch.testing.assert_close(found, cfc_naive(*(tensor.float() for tensor in inputs)))


@PATHS
def test_an_empty_batch_gives_empty_states(path):
    inputs = arguments(batch=0)
    states, last = call(inputs, path=path)
    assert states.shape == (0, 6, 5)
    assert last.shape == (0, 5)
    found = torch.autograd.grad(states.sum() + last.sum(), inputs)
    for gradient, tensor in zip(found, inputs, strict=True):
        assert gradient.shape == tensor.shape
        assert not gradient.any()


def test_nan_comes_out_as_nan():
    inputs = arguments(batch=9, time=4, units=40)
    with torch.no_grad():
        inputs[0][2, 1, 0] = torch.nan
    states, _ = call(inputs, path="numba")
    assert states[2, 1:].isnan().all()
    assert not states[2, 0].isnan().any()
    assert not states[[0, 1, *range(3, 9)]].isnan().any()


def bits(inputs):
    """Outputs and gradients of the compiled loops."""
    found = call(inputs, path="numba")
    return [*found, *gradients(found, inputs)]


@pytest.mark.parametrize("batch", [1, 3, 17, 70])
def test_bits_depend_neither_on_the_run_nor_on_threads(batch):
    inputs = arguments(batch, 37, 20, 40, 33, torch.float32)
    assert_bits_depend_on_nothing(lambda: bits(inputs))


def test_works_in_a_forked_child():
    inputs = [tensor.detach() for tensor in arguments(9, 30, dtype=torch.float32)]
    assert_survives_a_fork(lambda: call(inputs, path="numba"))


def test_operator_is_registered_as_torch_wants_it():
    x, state, *weights, elapsed = arguments()
    mask = torch.tensor([[True] * 6, [False, True] * 3, [True] * 5 + [False]])
    for course in ((elapsed, mask), (elapsed[:1].detach().requires_grad_(), None)):
        torch.library.opcheck(cfc_op, (x, state, *weights, *course))


def test_compiled_by_torch_it_gives_the_same():
    inputs = arguments(dtype=torch.float32)
    mask = torch.tensor([[True] * 6, [False, True] * 3, [True] * 5 + [False]])
    eager = call(inputs, mask=mask, path="numba")
    run = torch.compile(lambda *args: call(args, mask=mask, path="numba"), fullgraph=True, backend="aot_eager")
    compiled = run(*inputs)
    torch.testing.assert_close(compiled, eager, rtol=0, atol=0)
    torch.testing.assert_close(gradients(compiled, inputs), gradients(eager, inputs), rtol=0, atol=0)


def test_without_numba_the_path_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "neurofmx.kernels.cpu.cfc_op", None)
    with pytest.raises(ImportError, match=r"needs numba.*: run `pip install numba` or choose path='reference'"):
        call(arguments(), path="numba")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"elapsed": torch.ones(3, 2, 5)}, r"elapsed must broadcast to \(batch=3, time=6, units=5\), got \(3, 2, 5\)"),
        ({"elapsed": torch.ones(1, 1, 1, 1)}, r"elapsed must broadcast to .*, got \(1, 1, 1, 1\)"),
        ({"state": torch.zeros(2, 5)}, r"state must have the shape \(batch=3, units\), got \(2, 5\)"),
        ({"mask": torch.ones(3, 5, dtype=torch.bool)}, r"mask must have the shape \(batch=3, length=6\), got \(3, 5\)"),
        ({"mask": torch.ones(3, 6)}, r"mask must be of torch\.bool"),
        ({"mask": torch.ones(3, 6, dtype=torch.bool), "path": "library"}, "knows no mask: choose path='auto'"),
        ({"x": torch.zeros(3, 6, 4), "path": "numba"}, r"backbone_weight must be torch\.float32 like x"),
        ({"path": "cuda"}, r"x must be on a CUDA device for path='cuda', got cpu: choose path='auto'"),
        ({"path": "ncps"}, "unknown path 'ncps'; known: cuda, library, numba, reference"),
    ],
)
def test_wrong_arguments_are_refused(change, message):
    x, state, *weights, _ = arguments()
    with pytest.raises(ValueError, match=message):
        cfc(**({"x": x, "state": state, "weights": CfCWeights(*weights)} | change))


def test_biases_of_the_wrong_size_are_refused():
    x, state, W, w, V, v, _ = arguments()
    for weights in (CfCWeights(W, w[:-1], V, v), CfCWeights(W, w, V, v[:-1])):
        with pytest.raises(ValueError, match="_bias must have the shape"):
            cfc(x, state, weights)
