"""The liquid time-constant recurrence against a naive loop, ncps, closed forms and its limits."""

from __future__ import annotations

from itertools import pairwise

import ncps.torch
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from tests.reference import gradients, ltc_naive

from neurofmx.kernels.cpu.ltc_op import ltc_op
from neurofmx.kernels.ltc import LTCWeights, Synapses, ltc

PATHS = pytest.mark.parametrize("path", ["reference", "numba"])
FEW = settings(max_examples=6, deadline=None, derandomize=True)
# batch, time, inputs, units: beside, below and above the width of a vector; odd and even numbers of rows
SHAPES = [(1, 1, 1, 1), (3, 7, 5, 17), (9, 20, 33, 6), (2, 40, 3, 70), (1, 33, 80, 16)]


def arguments(batch=3, time=6, inputs=4, units=5, dtype=torch.float64):
    """Random inputs, state, weights and elapsed times that want gradients."""
    torch.manual_seed(0)

    def between(low, high, *shape):
        return torch.rand(*shape, dtype=dtype) * (high - low) + low

    def synapses(sources):
        shape = sources, units
        reversal = torch.randint(2, shape).to(dtype) * 2 - 1
        return between(0.01, 3, *shape) / sources, between(0.3, 0.8, *shape), between(3, 8, *shape), reversal

    tensors = [torch.randn(batch, time, inputs, dtype=dtype), torch.randn(batch, units, dtype=dtype) * 0.5]
    tensors += [between(0.4, 0.6, units), between(0.01, 1, units), between(-0.2, 0.2, units)]
    tensors += [*synapses(units), *synapses(inputs), between(0.1, 2, batch, time, units)]
    return [tensor.requires_grad_() for tensor in tensors]


def weights_of(inputs, wired=None, sensed=None):
    """The weights among what `arguments` makes."""
    return LTCWeights(*inputs[2:5], Synapses(*inputs[5:9], wired), Synapses(*inputs[9:13], sensed))


def call(inputs, wired=None, sensed=None, **settings):
    """The kernel on what `arguments` makes."""
    return ltc(inputs[0], inputs[1], weights_of(inputs, wired, sensed), elapsed=inputs[13], **settings)


def naive(inputs, unfolds=6):
    """The naive loop on the same."""
    return ltc_naive(*inputs[:5], inputs[5:9], inputs[9:13], inputs[13], unfolds)


@pytest.mark.parametrize("path", ["reference", "numba", "library"])
def test_equals_the_naive_loop_in_outputs_state_and_gradients(path):
    inputs = arguments(2, 2, 3, 4)
    ours, wanted = call(inputs, unfolds=3, path=path), naive(inputs, 3)
    torch.testing.assert_close(ours, wanted, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradients(ours, inputs), gradients(wanted, inputs), rtol=1e-10, atol=1e-10)


@PATHS
def test_equals_the_sequence_class_of_ncps_with_copied_weights(path):
    torch.manual_seed(0)
    peer = ncps.torch.LTC(6, 10, batch_first=True)
    own = {name: parameter for name, parameter in peer.rnn_cell.named_parameters() if parameter.requires_grad}
    positive = torch.nn.functional.softplus

    def synapses(prefix):
        named = (own[prefix + name] for name in ("mu", "sigma", "erev"))
        return Synapses(positive(own[f"{prefix}w"]), *named)

    neurons = positive(own["cm"]), positive(own["gleak"]), own["vleak"]
    weights = LTCWeights(*neurons, synapses(""), synapses("sensory_"))
    x, state = torch.randn(4, 30, 6, requires_grad=True), torch.zeros(4, 10, requires_grad=True)
    ours, theirs = ltc(x, state, weights, path=path), peer(x, state)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-6)
    wanted = [x, state, *(parameter for name, parameter in own.items() if "put" not in name and name != "cm")]
    torch.testing.assert_close(gradients(ours, wanted), gradients(theirs, wanted), rtol=1e-3, atol=1e-4)


def close(found, wanted, dtype):
    """Whether tensors agree up to the precision of their numbers, relative to their size."""
    for ours, theirs in zip(found, wanted, strict=True):
        assert (ours - theirs).norm() <= (3e-5 if dtype == torch.float32 else 1e-11) * (theirs.norm() + 1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("shared", "unfolds"), [((), 6), ((0,), 1), ((1,), 2), ((0, 1), 3), ((2,), 5)])
def test_numba_equals_the_reference(shape, dtype, shared, unfolds):
    inputs = arguments(*shape, dtype)
    for axis in shared:  # of the elapsed time
        inputs[-1] = inputs[-1].detach().narrow(axis, 0, 1).requires_grad_()
    _, _, sources, units = shape
    wiring = (torch.rand(units, units) < 0.4, torch.rand(sources, units) < 0.4) if 0 in shared else (None, None)
    reference, numba = (call(inputs, *wiring, unfolds=unfolds, path=path) for path in ("reference", "numba"))
    close(numba, reference, dtype)
    close(gradients(numba, inputs), gradients(reference, inputs), dtype)


def test_long_sequences_equal_the_reference():
    inputs = arguments(1, 5000, 2, 3)
    reference, numba = (call(inputs, unfolds=1, path=path) for path in ("reference", "numba"))
    close(numba, reference, torch.float64)
    close(gradients(numba, inputs), gradients(reference, inputs), torch.float64)


@PATHS
def test_gradcheck(path):
    inputs = arguments(2, 3, 2, 2)
    mask = torch.tensor([[True, True, True], [True, False, True]])
    wired = torch.tensor([[True, False], [True, True]])
    assert torch.autograd.gradcheck(lambda *args: call(args, wired, mask=mask, unfolds=2, path=path), inputs)


@PATHS
def test_synapses_that_are_not_there_have_no_effect_and_no_gradient(path):
    inputs = arguments()
    wired, sensed = torch.rand(5, 5) < 0.5, torch.rand(4, 5) < 0.5
    wired[:, 2], sensed[:, 3] = False, False  # neurons that nothing reaches
    ours = call(inputs, wired, sensed, path=path)
    cut = [*inputs]
    cut[5], cut[9] = (inputs[place].detach() * there for place, there in ((5, wired), (9, sensed)))
    torch.testing.assert_close(ours, call(cut, path="reference"), rtol=1e-12, atol=1e-12)
    found = gradients(ours, inputs)
    for place, there in ((5, wired), (9, sensed)):
        for gradient in found[place : place + 4]:
            assert not gradient[~there].any()


def alone(inputs):
    """The weights of the same neurons without synapses."""
    return LTCWeights(*inputs[2:5], *(Synapses(torch.zeros_like(inputs[n]), *inputs[n + 1 : n + 4]) for n in (5, 9)))


@PATHS
def test_a_neuron_without_synapses_decays_exponentially_and_the_solver_is_of_first_order(path):
    inputs = [tensor.detach() for tensor in arguments(time=1)]
    x, state, c, g, rest = inputs[:5]
    exact = rest + (state - rest) * torch.exp(-1.5 * g / c)
    errors = []
    for unfolds in (40, 80, 160):
        _, last = ltc(x, state, alone(inputs), elapsed=1.5, unfolds=unfolds, path=path)
        errors.append((last - exact).abs())
    for coarse, fine in pairwise(errors):
        torch.testing.assert_close(coarse / fine, torch.full_like(coarse, 2), rtol=0.05, atol=0)


@PATHS
def test_driven_by_a_constant_input_alone_it_relaxes_to_the_closed_form_with_its_time_constant(path):
    inputs = [tensor.detach() for tensor in arguments(time=1)]
    x, state, c, g, rest = inputs[:5]
    w, mu, sigma, erev = inputs[9:13]
    opened = w * torch.sigmoid(sigma * (x[:, 0, :, None] - mu))
    total, steady = g + opened.sum(1), (g * rest + (erev * opened).sum(1)) / (g + opened.sum(1))
    weights = alone(inputs)._replace(sensory=Synapses(w, mu, sigma, erev))
    _, last = ltc(x, state, weights, elapsed=0.5, unfolds=4000, path=path)
    torch.testing.assert_close(last, steady + (state - steady) * torch.exp(-0.5 * total / c), rtol=0, atol=2e-4)
    _, last = ltc(x, state, weights, elapsed=1e12, path=path)
    torch.testing.assert_close(last, steady, rtol=1e-9, atol=1e-9)


def solved(inputs, elapsed):
    """Potentials after some time under a held input, by a Runge-Kutta method of high order with narrow tolerances."""
    x, state, c, g, rest = (tensor.detach().numpy() for tensor in inputs[:5])
    between, sensory = ([t.detach().numpy() for t in inputs[n : n + 4]] for n in (5, 9))

    def opened(synapses, sources):
        w, mu, sigma, _ = synapses
        return w / (1 + np.exp(-sigma * (sources[:, None] - mu)))

    def slope(_time, v, heard):
        by_neurons, by_inputs = opened(between, v), opened(sensory, heard)
        pull = (by_neurons * (between[3] - v)).sum(0) + (by_inputs * (sensory[3] - v)).sum(0)
        return (g * (rest - v) + pull) / c

    ends = [
        solve_ivp(slope, (0, elapsed), v, method="DOP853", args=(heard,), rtol=1e-11, atol=1e-12).y[:, -1]
        for v, heard in zip(state, x[:, 0], strict=True)
    ]
    return torch.as_tensor(np.stack(ends))


@PATHS
def test_a_wired_network_meets_a_fine_solution_of_its_equation_with_errors_of_first_order(path):
    """Half the step halves the error, and what is left when the first order is taken out is of the second."""
    inputs = arguments(time=1)
    exact, found = solved(inputs, 1.5), []
    for unfolds in (50, 100, 200, 400):
        _, last = ltc(inputs[0], inputs[1], weights_of(inputs), elapsed=1.5, unfolds=unfolds, path=path)
        found.append(last.detach())
    errors = [float((last - exact).norm()) for last in found]
    assert all(1.9 < coarse / fine < 2.1 for coarse, fine in pairwise(errors))
    assert errors[-1] < 2e-3 * float((exact - inputs[1].detach()).norm())
    better = [float((2 * fine - coarse - exact).norm()) for coarse, fine in pairwise(found)]
    assert all(3.5 < coarse / fine < 4.5 for coarse, fine in pairwise(better))


@PATHS
def test_no_time_changes_nothing_and_gradients_stay_finite(path):
    inputs = arguments()
    inputs[-1] = torch.zeros_like(inputs[-1]).requires_grad_()
    states, last = found = call(inputs, path=path)
    torch.testing.assert_close(states, inputs[1][:, None].expand_as(states))
    assert all(gradient.isfinite().all() for gradient in gradients(found, inputs))
    torch.testing.assert_close(last, inputs[1])


@PATHS
def test_a_time_constant_doubled_is_an_elapsed_time_halved(path):
    inputs = [tensor.detach() for tensor in arguments()]
    slower = [*inputs]
    slower[2] = inputs[2] * 2
    faster = [*inputs[:-1], inputs[-1] / 2]
    torch.testing.assert_close(call(slower, path=path), call(faster, path=path), rtol=1e-12, atol=1e-12)


@PATHS
def test_under_a_held_input_two_halves_of_a_step_are_the_step(path):
    inputs = [tensor.detach() for tensor in arguments()]
    halves = [inputs[0].repeat_interleave(2, 1), *inputs[1:-1], inputs[-1].repeat_interleave(2, 1) / 2]
    whole, parts = call(inputs, unfolds=6, path=path), call(halves, unfolds=3, path=path)
    torch.testing.assert_close((parts[0][:, 1::2], parts[1]), whole, rtol=1e-12, atol=1e-12)


@PATHS
@given(scale=st.floats(0.01, 1e4))
@FEW
def test_potentials_stay_between_what_pulls_at_them(path, scale):
    inputs = [tensor.detach() for tensor in arguments(time=20)]
    states, _ = call([inputs[0] * scale, *inputs[1:-1], inputs[-1] * scale], path=path)
    bound = torch.cat([inputs[1].flatten(), inputs[4], inputs[8].flatten(), inputs[12].flatten()])
    assert states.min() >= bound.min() - 1e-9
    assert states.max() <= bound.max() + 1e-9


@PATHS
@given(kept=st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=2, max_size=2))
@FEW
def test_a_masked_step_is_as_if_it_were_not_there(path, kept):
    inputs, mask = arguments(2, 4, 2, 3), torch.tensor(kept)
    mask[0, 2] = True  # or nothing would depend on anything
    with torch.no_grad():
        for padded in (inputs[0], inputs[-1]):
            padded[~mask] = torch.nan
    ours = call(inputs, mask=mask, unfolds=2, path=path)
    states, last = torch.zeros_like(ours[0]), []
    for b, steps in enumerate(mask):
        end = inputs[1][b : b + 1]
        if steps.any():
            found, end = naive([inputs[0][b : b + 1, steps], end, *inputs[2:13], inputs[13][b : b + 1, steps]], 2)
            states = states.index_put((torch.tensor(b), steps.nonzero()[:, 0]), found[0])
        last.append(end)
    wanted = states, torch.cat(last)
    torch.testing.assert_close(ours, wanted, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradients(ours, inputs), gradients(wanted, inputs), rtol=1e-10, atol=1e-10)


@PATHS
@given(cuts=st.lists(st.integers(1, 20), min_size=1, max_size=4))
@FEW
def test_chunks_equal_one_pass(path, cuts):
    inputs = arguments(time=sum(cuts))
    whole = call(inputs, unfolds=2, path=path)
    state, parts = inputs[1], []
    for x, elapsed in zip(inputs[0].split(cuts, 1), inputs[-1].split(cuts, 1), strict=True):
        y, state = call([x, state, *inputs[2:13], elapsed], unfolds=2, path=path)
        parts.append(y)
    chunks = torch.cat(parts, 1), state
    torch.testing.assert_close(chunks, whole, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradients(chunks, inputs), gradients(whole, inputs), rtol=1e-9, atol=1e-9)


@PATHS
@given(order=st.permutations(range(5)))
@FEW
def test_permuting_units_permutes_the_potentials(path, order):
    inputs, order = [tensor.detach() for tensor in arguments()], torch.tensor(order)
    x, state, *neurons = inputs[:5]
    between, sensory = inputs[5:9], inputs[9:13]
    moved = [
        x,
        state[:, order],
        *(tensor[order] for tensor in neurons),
        *(tensor[order][:, order] for tensor in between),
    ]
    moved += [*(tensor[:, order] for tensor in sensory), inputs[13][..., order]]
    states, last = call(inputs, path=path)
    torch.testing.assert_close(call(moved, path=path), (states[..., order], last[:, order]), rtol=1e-10, atol=1e-12)


def test_steep_synapses_and_large_inputs_saturate():
    inputs = arguments(dtype=torch.float32)
    with torch.no_grad():
        inputs[0] *= 1e6
        inputs[11] *= 1e3
    reference, numba = (call(inputs, path=path) for path in ("reference", "numba"))
    close(numba, reference, torch.float32)
    close(gradients(numba, inputs), gradients(reference, inputs), torch.float32)


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


def test_operator_is_registered_as_torch_wants_it():
    inputs = arguments()
    mask = torch.tensor([[True] * 6, [False, True] * 3, [True] * 5 + [False]])
    wired, sensed = torch.rand(5, 5) < 0.5, torch.rand(4, 5) < 0.5
    neurons, recurrent, sensory = (
        torch.stack([tensor.detach() for tensor in inputs[place]]).requires_grad_()
        for place in (slice(2, 5), slice(5, 9), slice(9, 13))
    )
    given = inputs[0], inputs[1], neurons, recurrent, sensory
    torch.library.opcheck(ltc_op, (*given, inputs[13], mask, wired, sensed, 2))
    torch.library.opcheck(ltc_op, (*given, inputs[13][:1].detach().requires_grad_(), None, None, None, 2))


def test_compiled_by_torch_it_gives_the_same():
    inputs = arguments(dtype=torch.float32)
    mask = torch.tensor([[True] * 6, [False, True] * 3, [True] * 5 + [False]])
    eager = call(inputs, mask=mask, path="numba")
    run = torch.compile(lambda *args: call(args, mask=mask, path="numba"), fullgraph=True, backend="aot_eager")
    compiled = run(*inputs)
    torch.testing.assert_close(compiled, eager, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(gradients(compiled, inputs), gradients(eager, inputs), rtol=1e-5, atol=1e-5)


def test_library_path_uses_no_random_numbers():
    inputs = arguments()
    before = torch.get_rng_state()
    call(inputs, path="library")
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"elapsed": torch.ones(3, 2, 5)}, r"elapsed must broadcast to \(batch=3, time=6, units=5\), got \(3, 2, 5\)"),
        ({"state": torch.zeros(2, 5)}, r"state must have the shape \(batch=3, units\), got \(2, 5\)"),
        ({"state": torch.zeros(3, 4)}, r"capacitance must have the shape \(units=4\), got \(5,\)"),
        ({"x": torch.zeros(3, 6, 3)}, r"sensory.weight must have the shape \(sources=3, units=5\), got \(4, 5\)"),
        ({"unfolds": 0}, "unfolds must be 1 or more, got 0; the usual value is 6"),
        ({"mask": torch.ones(3, 6, dtype=torch.bool), "path": "library"}, "knows no mask: choose path='auto'"),
        ({"x": torch.zeros(3, 6, 4), "path": "numba"}, r"neurons weights must be torch\.float32 like x"),
        ({"path": "cuda"}, r"x must be on a CUDA device for path='cuda', got cpu: choose path='auto'"),
        ({"path": "ncps"}, "unknown path 'ncps'; known: cuda, library, numba, reference"),
    ],
)
def test_wrong_arguments_are_refused(change, message):
    inputs = arguments()
    with pytest.raises(ValueError, match=message):
        ltc(**({"x": inputs[0], "state": inputs[1], "weights": weights_of(inputs)} | change))
