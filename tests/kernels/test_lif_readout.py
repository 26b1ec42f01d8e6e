"""Readouts of spiking neurons against the sums that define them, over spikes of the naive loop."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kernels.compiled import same_bits
from tests.reference import gradients, lif_naive

from neurofmx.kernels.cpu.lif_readout_op import lif_readout_op
from neurofmx.kernels.lif_readout import lif_readout

PATHS = pytest.mark.parametrize("path", ["reference", "numba"])
RESETS = pytest.mark.parametrize("reset", ["subtract", "zero"])
WEIGHTS, CARRY = [0.3, -0.2, 0.7], 0.6
SHAPES = [(1, 1, 1), (3, 6, 5), (20, 5, 16), (9, 4, 130), (9, 3, 300), (2, 4, 300), (1, 1700, 7)]
FEW = settings(max_examples=8, deadline=None, derandomize=True)


def arguments(batch=3, length=6, neurons=5, dtype=torch.float64):
    """Random currents, potentials, traces, decays and thresholds that want gradients."""
    torch.manual_seed(0)
    current = torch.randn(batch, length, neurons, dtype=dtype) * 0.5 + 0.4
    potential, trace = torch.randn(2, batch, neurons, dtype=dtype)
    beta = torch.rand(neurons, dtype=dtype) * 0.3 + 0.7
    threshold = torch.rand(neurons, dtype=dtype) + 0.5
    return [tensor.detach().requires_grad_() for tensor in (current, potential, trace, beta, threshold)]


def call(inputs, **settings):
    """The kernel on what `arguments` makes."""
    current, potential, trace, beta, threshold = inputs
    settings = {"weights": WEIGHTS, "carry": CARRY} | settings
    return lif_readout(current, potential, trace, beta=beta, threshold=threshold, **settings)


def naive(inputs, reset="subtract", surrogate="fast_sigmoid", slope=25.0, weights=WEIGHTS, carry=CARRY):
    """Every spike of the naive loop, and the sums one by one."""
    current, potential, trace, beta, threshold = inputs
    steps = len(weights)
    held = current.repeat_interleave(steps, 1)
    spikes, potentials, last = lif_naive(held, potential, beta, threshold, reset, surrogate, slope)
    traces = []
    for token in range(current.shape[1]):
        trace = carry * trace
        for step, weight in enumerate(weights):
            trace = trace + weight * spikes[:, token * steps + step]
        traces.append(trace)
    return torch.stack(traces, 1), potentials[:, steps - 1 :: steps], last, trace, spikes.detach().sum(1)


@RESETS
@pytest.mark.parametrize("surrogate", ["fast_sigmoid", "atan", "straight_through"])
@pytest.mark.parametrize("path", ["reference", "numba", "library"])
def test_equals_the_naive_sums_in_outputs_states_and_gradients(reset, surrogate, path):
    inputs = arguments()
    settings = {"reset": reset, "surrogate": surrogate, "slope": 5.0}
    ours, theirs = call(inputs, path=path, **settings), naive(inputs, **settings)
    assert torch.equal(ours.counts, theirs[4])
    assert 10 < ours.counts.sum() < 200
    torch.testing.assert_close(tuple(ours), theirs, rtol=1e-12, atol=1e-12)
    tolerance = {"rtol": 1e-5, "atol": 1e-5} if path == "library" else {"rtol": 1e-10, "atol": 1e-10}
    torch.testing.assert_close(gradients(ours[:4], inputs), gradients(theirs[:4], inputs), **tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("batch", "length", "neurons"), SHAPES)
def test_numba_has_the_spikes_of_the_reference_and_its_gradients(batch, length, neurons, dtype):
    inputs = arguments(batch, length, neurons, dtype)
    for reset in ("subtract", "zero"):
        reference, numba = (call(inputs, reset=reset, path=path) for path in ("reference", "numba"))
        for exact in ("ends", "potential", "counts"):
            assert torch.equal(getattr(numba, exact), getattr(reference, exact))
        torch.testing.assert_close(numba.traces, reference.traces)
        found, wanted = gradients(numba[:4], inputs), gradients(reference[:4], inputs)
        for ours, theirs in zip(found, wanted, strict=True):
            assert (ours - theirs).norm() / theirs.norm() < (3e-5 if dtype == torch.float32 else 1e-12)


@PATHS
def test_gradcheck_of_the_potentials(path):
    inputs = arguments(batch=2, length=4, neurons=3)
    assert torch.autograd.gradcheck(lambda *args: call(args, path=path)[1:3], inputs)


@PATHS
@RESETS
@given(kept=st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=3, max_size=3))
@FEW
def test_a_masked_token_is_as_if_it_were_not_there(path, reset, kept):
    inputs, mask, parts = arguments(), torch.tensor(kept), []
    mask[0, 4] = True  # or nothing would depend on anything
    ours = call(inputs, mask=mask, reset=reset, path=path)
    for b, tokens in enumerate(mask):
        states = [tensor[b : b + 1] for tensor in inputs[1:3]]
        sums, ends = (torch.zeros_like(inputs[0][b]) for _ in range(2))
        last, count = states, torch.zeros(1, 5).double()
        if tokens.any():
            alone = naive([inputs[0][b : b + 1, tokens], *states, *inputs[3:]], reset)
            where = tokens.nonzero()[:, 0]
            sums, ends = sums.index_put((where,), alone[0][0]), ends.index_put((where,), alone[1][0])
            last, count = alone[2:4], alone[4]
        parts.append((sums, ends, last[0][0], last[1][0], count[0]))
    theirs = tuple(torch.stack(part) for part in zip(*parts, strict=True))
    torch.testing.assert_close(tuple(ours), theirs, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradients(ours[:4], inputs), gradients(theirs[:4], inputs), rtol=1e-10, atol=1e-10)


@PATHS
@given(cuts=st.lists(st.integers(1, 4), min_size=1, max_size=5))
@FEW
def test_chunks_equal_one_pass(path, cuts):
    inputs = [tensor.detach() for tensor in arguments(length=sum(cuts), dtype=torch.float32)]
    whole, states, traces, counts = call(inputs, path=path), inputs[1:3], [], 0
    for chunk in inputs[0].split(cuts, 1):
        part = call([chunk, *states, *inputs[3:]], path=path)
        states, counts = part[2:4], counts + part.counts
        traces.append(part.traces)
    torch.testing.assert_close(torch.cat(traces, 1), whole.traces)
    torch.testing.assert_close((*states, counts), (*whole[2:4], whole.counts))


@PATHS
def test_an_empty_batch_gives_empty_outputs_and_zero_gradients(path):
    inputs = arguments(batch=0)
    outputs = call(inputs, path=path)
    assert [tuple(out.shape) for out in outputs] == [(0, 6, 5), (0, 6, 5), (0, 5), (0, 5), (0, 5)]
    found = torch.autograd.grad(sum(out.sum() for out in outputs), inputs)
    assert [gradient.shape for gradient in found] == [tensor.shape for tensor in inputs]
    assert all((gradient == 0).all() for gradient in found)


def test_memory_of_the_steps_is_never_asked_for():
    inputs, steps = arguments(16, 8, 64, torch.float32), 200
    written = 16 * 8 * 64 * steps * 4  # bytes of all spikes
    with torch.profiler.profile(profile_memory=True) as profile:
        outputs = call(inputs, weights=[0.1] * steps, path="numba")
        gradients(outputs[:4], inputs)
    asked = sum(max(0, event.self_cpu_memory_usage) for event in profile.events())
    assert asked < written / 4


@pytest.mark.parametrize("masked", [False, True])
def test_operator_is_a_good_citizen_of_torch(masked):
    mask = torch.rand(3, 6) < 0.8 if masked else None
    torch.library.opcheck(lif_readout_op, (*arguments(), mask, [CARRY, *WEIGHTS], [0.0, 1.0, 50.0, 625.0]))


def test_compiled_by_torch_gives_the_same():
    inputs = arguments()
    compiled = torch.compile(lambda *args: call(args, path="numba"), fullgraph=True, backend="aot_eager")
    ours, theirs = compiled(*inputs), call(inputs, path="numba")
    assert same_bits(ours, theirs)
    assert same_bits(gradients(ours[:4], inputs), gradients(theirs[:4], inputs))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": []}, "weights must name the weight of one step or more, got none"),
        ({"trace": torch.zeros(2, 4)}, r"trace must have the shape \(batch=2, neurons=3\), got \(2, 4\)"),
        ({"mask": torch.ones(2, 5)}, "mask must be of torch.bool"),
        ({"path": "cuda"}, "current must be on a CUDA device for path='cuda'"),
        ({"reset": "soft"}, "unknown reset 'soft'"),
    ],
)
def test_wrong_arguments_are_refused(change, message):
    good = {"current": torch.zeros(2, 5, 3), "potential": torch.zeros(2, 3), "trace": torch.zeros(2, 3)}
    good |= {"beta": 0.9, "threshold": 1.0, "weights": [1.0], "carry": 0.0}
    with pytest.raises(ValueError, match=message):
        lif_readout(**(good | change))
