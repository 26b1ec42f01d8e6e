"""Spiking neurons against closed forms, a naive loop and snnTorch."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kernels.compiled import same_bits
from tests.reference import gradients, lif_naive

from neurofmx.kernels.checks import require_cpu
from neurofmx.kernels.cpu.lif_op import lif_op
from neurofmx.kernels.lif import lif

PATHS = pytest.mark.parametrize("path", ["reference", "numba"])
RESETS = pytest.mark.parametrize("reset", ["subtract", "zero"])
SHAPES = [
    (1, 1, 1, 1),
    (3, 17, 5, 1),
    (9, 40, 16, 1),
    (2, 33, 300, 2),
    (9, 3, 300, 20),
    (1, 6, 257, 7),
    (2, 5000, 3, 1),
]
FEW = settings(max_examples=8, deadline=None, derandomize=True)


def constant(current, steps, **settings):
    """Spike steps (counted from 1) of one neuron at rest under a constant current."""
    x = torch.full((1, steps, 1), current, dtype=torch.float64)
    spikes, _, _ = lif(x, torch.zeros(1, 1, dtype=torch.float64), **settings)
    return (spikes[0, :, 0].nonzero()[:, 0] + 1).tolist()


def steps_to_threshold(current, beta, threshold):
    """From `u[n] = I (1 - beta^n) / (1 - beta) > theta`."""
    return math.ceil(math.log(1 - threshold * (1 - beta) / current) / math.log(beta))


@PATHS
@pytest.mark.parametrize(("current", "beta", "threshold"), [(0.13, 0.95, 1.0), (0.3, 0.8, 1.2), (0.07, 0.99, 0.5)])
def test_first_spike_comes_when_the_closed_form_says(current, beta, threshold, path):
    first = constant(current, 60, beta=beta, threshold=threshold, path=path)[0]
    assert first == steps_to_threshold(current, beta, threshold)


@PATHS
@pytest.mark.parametrize(("current", "beta", "threshold"), [(0.13, 0.95, 1.0), (0.3, 0.8, 1.2), (0.07, 0.99, 0.5)])
def test_hard_reset_fires_with_the_period_of_the_closed_form(current, beta, threshold, path):
    period = steps_to_threshold(current, beta, threshold)
    fired = constant(current, 10 * period, beta=beta, threshold=threshold, reset="zero", path=path)
    # After a spike the potential starts again from zero, and the reset step already takes in current.
    assert fired == [period * k for k in range(1, 11)]


@PATHS
def test_too_weak_a_current_never_fires(path):
    assert constant(0.049, 2000, beta=0.95, threshold=1.0, path=path) == []


@PATHS
def test_without_leak_soft_reset_loses_no_charge(path):
    # of 300.7 thresholds put in
    assert len(constant(0.3007, 1000, beta=1.0, threshold=1.0, path=path)) == 300


def arguments(batch=3, time=17, neurons=5, dtype=torch.float64):
    """Random currents, potentials, decays and thresholds that want gradients."""
    torch.manual_seed(0)
    current = torch.randn(batch, time, neurons, dtype=dtype) * 0.7 + 0.3
    potential = torch.randn(batch, neurons, dtype=dtype)
    beta = torch.rand(neurons, dtype=dtype) * 0.3 + 0.7
    threshold = torch.rand(neurons, dtype=dtype) + 0.3
    return [tensor.requires_grad_() for tensor in (current, potential, beta, threshold)]


def call(inputs, **settings):
    """The kernel on what `arguments` makes."""
    current, potential, beta, threshold = inputs
    return lif(current, potential, beta=beta, threshold=threshold, **settings)


@RESETS
@pytest.mark.parametrize("surrogate", ["fast_sigmoid", "atan", "straight_through"])
@pytest.mark.parametrize("path", ["reference", "numba", "library"])
def test_equals_the_naive_loop_in_outputs_state_and_gradients(reset, surrogate, path):
    inputs = arguments()
    settings = {"reset": reset, "surrogate": surrogate, "slope": 5.0}
    ours, naive = call(inputs, path=path, **settings), lif_naive(*inputs, **settings)
    assert torch.equal(ours[0], naive[0])
    assert 0.1 < ours[0].mean() < 0.9
    torch.testing.assert_close(ours, naive, rtol=1e-12, atol=1e-12)
    # snnTorch's spikes are float32, and so are the gradients that pass them.
    tolerance = {"rtol": 1e-5, "atol": 1e-5} if path == "library" else {"rtol": 1e-10, "atol": 1e-10}
    torch.testing.assert_close(gradients(ours, inputs), gradients(naive, inputs), **tolerance)


@RESETS
@pytest.mark.parametrize("surrogate", ["sigmoid", "triangular", "gaussian"])
def test_surrogates_without_a_compiled_form_are_those_of_the_naive_loop_on_the_reference(reset, surrogate):
    inputs = arguments()
    settings = {"reset": reset, "surrogate": surrogate, "slope": 2.0}
    ours, naive = call(inputs, **settings), lif_naive(*inputs, **settings)
    torch.testing.assert_close(ours, naive, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradients(ours, inputs), gradients(naive, inputs), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("path", ["auto", "reference"])
def test_sigmoid_has_the_gradients_of_snntorch(path):
    inputs = arguments()
    ours, library = (call(inputs, surrogate="sigmoid", slope=5.0, path=name) for name in (path, "library"))
    torch.testing.assert_close(gradients(ours, inputs), gradients(library, inputs), rtol=1e-5, atol=1e-5)


@PATHS
@RESETS
def test_spikes_are_those_of_snntorch_bit_by_bit(reset, path):
    torch.manual_seed(1)
    current, potential = torch.randn(8, 300, 16) * 0.4, torch.zeros(8, 16)
    beta, threshold = torch.rand(16) * 0.2 + 0.8, torch.rand(16) + 0.5
    ours = lif(current, potential, beta=beta, threshold=threshold, reset=reset, path=path)
    library = lif(current, potential, beta=beta, threshold=threshold, reset=reset, path="library")
    assert all(torch.equal(a, b) for a, b in zip(ours, library, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("batch", "time", "neurons", "hold"), SHAPES)
def test_numba_has_the_bits_of_the_reference_and_its_gradients(batch, time, neurons, hold, dtype):
    inputs = arguments(batch, time, neurons, dtype)
    for reset in ("subtract", "zero"):
        reference, numba = (call(inputs, hold=hold, reset=reset, path=path) for path in ("reference", "numba"))
        assert all(torch.equal(a, b) for a, b in zip(numba, reference, strict=True))
        found, wanted = gradients(numba, inputs), gradients(reference, inputs)
        for ours, theirs in zip(found, wanted, strict=True):
            error = (ours - theirs).norm() / theirs.norm()
            assert error < (3e-5 if dtype == torch.float32 else 1e-12)


@PATHS
def test_holding_a_current_repeats_it(path):
    inputs = arguments()
    held = call(inputs, hold=4, path=path)
    repeated = lif_naive(inputs[0].repeat_interleave(4, 1), *inputs[1:], "subtract", "fast_sigmoid", 25.0)
    torch.testing.assert_close(held, repeated, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradients(held, inputs), gradients(repeated, inputs), rtol=1e-10, atol=1e-10)


@PATHS
@RESETS
def test_gradcheck_of_the_potentials(reset, path):
    # The spikes themselves have no true gradient; their surrogates are held against the naive loop.
    inputs = arguments(batch=2, time=11, neurons=3)
    assert torch.autograd.gradcheck(lambda *args: call(args, reset=reset, hold=2, path=path)[1:], inputs)


@PATHS
def test_numbers_for_all_neurons_and_sequences_in_any_layout(path):
    current, potential, beta, _ = arguments()
    spread = current.transpose(0, 2).contiguous().transpose(0, 2), potential.t().contiguous().t()
    assert not spread[0].is_contiguous()
    ours = lif(*spread, beta=beta[0], threshold=0.7, path=path)
    naive = lif_naive(
        current, potential, beta[0], torch.tensor(0.7, dtype=torch.float64), "subtract", "fast_sigmoid", 25.0
    )
    torch.testing.assert_close(ours, naive)
    inputs = [current, potential, beta]
    torch.testing.assert_close(gradients(ours, inputs), gradients(naive, inputs))


@PATHS
@RESETS
@given(kept=st.lists(st.lists(st.booleans(), min_size=9, max_size=9), min_size=3, max_size=3))
@FEW
def test_a_masked_step_is_as_if_it_were_not_there(path, reset, kept):
    inputs = arguments(time=9)
    mask = torch.tensor(kept)
    mask[0, 4] = True  # or nothing would depend on anything
    ours = call(inputs, mask=mask, hold=2, reset=reset, path=path)
    parts = []
    for b, steps in enumerate(mask):
        u = inputs[1][b : b + 1]
        spikes, potentials = (torch.zeros_like(inputs[0][b]).repeat_interleave(2, 0) for _ in range(2))
        if steps.any():
            there = inputs[0][b : b + 1, steps].repeat_interleave(2, 1)
            naive = lif_naive(there, u, *inputs[2:], reset, "fast_sigmoid", 25.0)
            where = steps.repeat_interleave(2).nonzero()[:, 0]
            spikes, potentials = (
                zeros.index_put((where,), out[0]) for zeros, out in zip((spikes, potentials), naive[:2], strict=True)
            )
            u = naive[2]
        parts.append((spikes, potentials, u[0]))
    naive = tuple(torch.stack(part) for part in zip(*parts, strict=True))
    torch.testing.assert_close(ours, naive, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradients(ours, inputs), gradients(naive, inputs), rtol=1e-10, atol=1e-10)


@PATHS
@given(cuts=st.lists(st.integers(1, 9), min_size=1, max_size=5))
@FEW
def test_chunks_equal_one_pass(path, cuts):
    inputs = [tensor.detach() for tensor in arguments(time=sum(cuts))]
    whole, state, parts = call(inputs, path=path), inputs[1], []
    for chunk in inputs[0].split(cuts, 1):
        spikes, _, state = call([chunk, state, *inputs[2:]], path=path)
        parts.append(spikes)
    assert torch.equal(torch.cat(parts, 1), whole[0])
    assert torch.equal(state, whole[2])


@PATHS
def test_permuting_neurons_permutes_everything(path):
    inputs = arguments(neurons=37, dtype=torch.float32)
    order = torch.randperm(37)
    moved = [tensor.detach()[..., order].requires_grad_() for tensor in inputs]
    ours, theirs = call(inputs, path=path), call(moved, path=path)
    assert all(torch.equal(a[..., order], b) for a, b in zip(ours, theirs, strict=True))
    weight = torch.randn(3, 17, 37)
    found = torch.autograd.grad((ours[0] * weight).sum(), inputs)
    wanted = torch.autograd.grad((theirs[0] * weight[..., order]).sum(), moved)
    torch.testing.assert_close([gradient[..., order] for gradient in found], list(wanted))


@PATHS
def test_an_empty_batch_gives_empty_outputs_and_zero_gradients(path):
    inputs = arguments(batch=0)
    outputs = call(inputs, path=path, hold=2)
    assert [tuple(out.shape) for out in outputs] == [(0, 34, 5), (0, 34, 5), (0, 5)]
    found = torch.autograd.grad(sum(out.sum() for out in outputs), inputs)
    assert [tuple(gradient.shape) for gradient in found] == [(0, 17, 5), (0, 5), (5,), (5,)]
    assert all((gradient == 0).all() for gradient in found)


@pytest.mark.parametrize("masked", [False, True])
def test_operator_is_a_good_citizen_of_torch(masked):
    inputs = arguments()
    mask = torch.rand(3, 17) < 0.8 if masked else None
    torch.library.opcheck(lif_op, (*inputs, mask, 2, [0.0, 1.0, 50.0, 625.0]))


def test_compiled_by_torch_gives_the_same():
    inputs = arguments()
    compiled = torch.compile(lambda *args: call(args, path="numba", hold=2), fullgraph=True, backend="aot_eager")
    ours, theirs = compiled(*inputs), call(inputs, path="numba", hold=2)
    assert same_bits(ours, theirs)
    assert same_bits(gradients(ours, inputs), gradients(theirs, inputs))


def test_library_path_leaves_no_neuron_behind():
    import snntorch

    before = len(snntorch.SpikingNeuron.instances)
    lif(torch.ones(1, 2, 3), torch.zeros(1, 3), beta=0.9, threshold=1.0, path="library")
    assert len(snntorch.SpikingNeuron.instances) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reset": "soft"}, "unknown reset 'soft'; known: subtract, zero"),
        ({"path": "fast"}, "unknown path 'fast'; known: cuda, library, numba, reference"),
        ({"path": "cuda"}, "current must be on a CUDA device for path='cuda', got cpu: choose path='auto'"),
        ({"surrogate": "sigmoids"}, "did you mean 'sigmoid'"),
        ({"surrogate": "gaussian", "path": "numba"}, "surrogate='gaussian' is computed by plain torch alone: choose"),
        ({"surrogate": "triangular", "path": "library"}, "unknown surrogate of snnTorch with the same formula 'triang"),
        ({"slope": -1.0}, "slope must be above 0, got -1.0"),
        ({"hold": 0}, "hold must be 1 step or more, got 0"),
        ({"potential": torch.zeros(2, 4)}, r"potential must have the shape \(batch=2, neurons=3\), got \(2, 4\)"),
        ({"current": torch.zeros(2, 3)}, r"current must have the shape \(batch, time, neurons\), got \(2, 3\)"),
        ({"current": torch.zeros(2, 5, 3).int()}, "current must hold floating point numbers, got torch.int32"),
        ({"beta": torch.zeros(2)}, r"beta must have the shape \(neurons=3\), got \(2,\)"),
        ({"mask": torch.ones(2, 4).bool()}, r"mask must have the shape \(batch=2, length=5\), got \(2, 4\)"),
        ({"mask": torch.ones(2, 5)}, "mask must be of torch.bool"),
        ({"mask": torch.ones(2, 5).bool(), "path": "library"}, "knows no mask: choose path='auto'"),
    ],
)
def test_wrong_arguments_are_refused(change, message):
    good = {"current": torch.zeros(2, 5, 3), "potential": torch.zeros(2, 3), "beta": 0.9, "threshold": 1.0}
    with pytest.raises(ValueError, match=message):
        lif(**(good | change))


def test_compiled_loops_want_the_cpu():
    with pytest.raises(ValueError, match="current must be on the CPU for path='numba', got meta: choose"):
        require_cpu("current", torch.zeros(1, device="meta"))
