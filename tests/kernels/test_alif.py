"""Neurons with synaptic currents and adaptive thresholds: closed forms, a naive loop, snnTorch, plain neurons."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kernels.compiled import same_bits
from tests.reference import alif_naive, gradients

from neurofmx.kernels.alif import alif
from neurofmx.kernels.cpu.alif_op import alif_op
from neurofmx.kernels.lif import lif
from neurofmx.kernels.lif_neuron import AlifState

PATHS = pytest.mark.parametrize("path", ["reference", "numba"])
RESETS = pytest.mark.parametrize("reset", ["subtract", "zero"])
FEW = settings(max_examples=8, deadline=None, derandomize=True)
NUMBERS = ["beta", "threshold", "alpha", "rho", "kappa"]
SHAPES = [(1, 1, 1, 1), (3, 17, 5, 1), (2, 9, 300, 2), (9, 3, 130, 4), (2, 700, 3, 1)]


def arguments(batch=3, time=17, neurons=5, dtype=torch.float64):
    """Random currents, the three states and the five numbers of each neuron, that want gradients."""
    torch.manual_seed(0)
    current = torch.randn(batch, time, neurons, dtype=dtype) * 0.7 + 0.4
    potential, synaptic = torch.randn(2, batch, neurons, dtype=dtype)
    adaptation = torch.rand(batch, neurons, dtype=dtype)
    decays = torch.rand(3, neurons, dtype=dtype) * torch.tensor([[0.3], [0.5], [0.3]], dtype=dtype) + 0.6
    beta, alpha, rho = decays[0], decays[1] - 0.4, decays[2]
    threshold, kappa = torch.rand(2, neurons, dtype=dtype) + 0.3
    made = current, potential, synaptic, adaptation, beta, threshold, alpha, rho, kappa
    return [tensor.detach().clone().requires_grad_() for tensor in made]


def call(inputs, **settings):
    """The kernel on what `arguments` makes: spikes, potentials and the last state."""
    numbers = dict(zip(NUMBERS, inputs[4:], strict=True))
    spikes, potentials, last = alif(inputs[0], AlifState(*inputs[1:4]), **(numbers | settings))
    return spikes, potentials, *last


@PATHS
@RESETS
@pytest.mark.parametrize("surrogate", ["fast_sigmoid", "atan", "straight_through"])
def test_equals_the_naive_loop_in_outputs_states_and_gradients(reset, surrogate, path):
    inputs, how = arguments(), {"reset": reset, "surrogate": surrogate, "slope": 5.0}
    ours, naive = call(inputs, path=path, **how), alif_naive(*inputs, **how)
    assert torch.equal(ours[0], naive[0])
    assert 0.1 < ours[0].mean() < 0.9
    torch.testing.assert_close(ours, naive, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradients(ours, inputs), gradients(naive, inputs), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("batch", "time", "neurons", "hold"), SHAPES)
def test_numba_has_the_bits_of_the_reference_and_its_gradients(batch, time, neurons, hold, dtype):
    inputs = arguments(batch, time, neurons, dtype)
    for reset in ("subtract", "zero"):
        how = {"hold": hold, "reset": reset, "surrogate": "atan", "slope": 2.0}
        reference, numba = (call(inputs, path=path, **how) for path in ("reference", "numba"))
        assert same_bits(numba, reference)
        for ours, theirs in zip(gradients(numba, inputs), gradients(reference, inputs), strict=True):
            assert (ours - theirs).norm() <= (1e-4 if dtype == torch.float32 else 1e-11) * theirs.norm()


@PATHS
@RESETS
def test_without_current_and_adaptation_it_is_the_plain_neuron_to_the_last_bit(path, reset):
    inputs = arguments(dtype=torch.float32)
    state = AlifState(inputs[1], torch.zeros_like(inputs[1]), torch.zeros_like(inputs[1]))
    how = {"beta": inputs[4], "threshold": inputs[5], "hold": 3, "reset": reset, "path": path}
    ours, plain = alif(inputs[0], state, **how), lif(inputs[0], inputs[1], **how)
    assert same_bits((*ours[:2], ours[2].potential), plain)


@PATHS
def test_synaptic_neurons_are_those_of_snntorch(path):
    inputs = arguments()
    inputs[8] = torch.zeros(5, dtype=torch.float64)
    ours, library = call(inputs, path=path), call(inputs, path="library")
    assert torch.equal(ours[0], library[0])
    torch.testing.assert_close(ours, library, rtol=1e-12, atol=1e-12)
    leaves = [inputs[index] for index in (0, 1, 2, 4, 5, 6)]
    weighed = [gradients((spikes, potentials), leaves) for spikes, potentials, *_ in (ours, library)]
    torch.testing.assert_close(*weighed, rtol=1e-5, atol=1e-5)  # snnTorch's spikes are float32


def one(current, steps, **settings):
    """Spikes and last state of one neuron at rest under a constant current."""
    x, rest = torch.full((1, steps, 1), current, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
    spikes, potentials, last = alif(x, AlifState(rest, rest, rest), **settings)
    return spikes[0, :, 0], potentials[0, :, 0], last


@PATHS
def test_potential_under_a_held_current_is_the_closed_form_of_two_decays(path):
    """`i[n] = x (1 - alpha^n) / (1 - alpha)`, and `u` its sum weighted by `beta^(n - m)`."""
    x, alpha, beta, steps = 0.01, 0.8, 0.95, 60
    _, potentials, last = one(x, steps, beta=beta, threshold=1e6, alpha=alpha, path=path)
    n = torch.arange(1, steps + 1, dtype=torch.float64)
    wanted = (1 - beta**n) / (1 - beta) - alpha * (beta**n - alpha**n) / (beta - alpha)
    torch.testing.assert_close(potentials, x / (1 - alpha) * wanted)
    torch.testing.assert_close(last.synaptic[0, 0].item(), x * (1 - alpha**steps) / (1 - alpha))


@PATHS
def test_threshold_of_a_neuron_that_always_fires_rises_as_the_closed_form_says(path):
    """Spikes at steps 1 to n leave `a[n] = 1 - rho^(n - 1)`, as the last one is not in it yet."""
    rho, steps = 0.9, 40
    spikes, _, last = one(100.0, steps, beta=0.5, threshold=1.0, rho=rho, kappa=2.0, path=path)
    assert spikes.all()
    assert last.adaptation.item() == pytest.approx(1 - rho ** (steps - 1))


@PATHS
def test_rate_of_an_adapting_neuron_settles_where_drive_and_threshold_balance(path):
    """Without leak all charge leaves by spikes of mean size `theta + kappa r`: `x = r (theta + kappa r)`."""
    x, theta, kappa, steps = 0.3, 1.0, 4.0, 6_000
    wanted = (math.sqrt(theta**2 + 4 * kappa * x) - theta) / (2 * kappa)
    spikes, _, _ = one(x, steps, beta=1.0, threshold=theta, rho=0.99, kappa=kappa, path=path)
    assert spikes[steps // 2 :].mean().item() == pytest.approx(wanted, rel=0.01)
    first, late = spikes[:20].mean().item(), spikes[-100:].mean().item()
    assert first > 1.3 * late  # spike-frequency adaptation
    plain, _, _ = one(x, 1000, beta=1.0, threshold=theta, path=path)
    assert plain.mean().item() == pytest.approx(x, rel=0.01)


@PATHS
@given(cuts=st.lists(st.integers(1, 9), min_size=1, max_size=5))
@FEW
def test_chunks_equal_one_pass(path, cuts):
    inputs = [tensor.detach() for tensor in arguments(time=sum(cuts))]
    whole, state, parts = call(inputs, path=path), inputs[1:4], []
    for chunk in inputs[0].split(cuts, 1):
        spikes, potentials, *state = call([chunk, *state, *inputs[4:]], path=path)
        parts.append((spikes, potentials))
    assert same_bits((*(torch.cat(part, 1) for part in zip(*parts, strict=True)), *state), whole)


@PATHS
@RESETS
@given(kept=st.lists(st.lists(st.booleans(), min_size=9, max_size=9), min_size=2, max_size=2))
@FEW
def test_a_masked_step_is_as_if_it_were_not_there(path, reset, kept):
    inputs, mask = arguments(batch=2, time=9), torch.tensor(kept)
    mask[0, 4] = True  # or nothing would depend on anything
    how = {"hold": 2, "reset": reset, "path": path}
    ours, parts = call(inputs, mask=mask, **how), []
    for b, steps in enumerate(mask):
        alone = [inputs[0][b : b + 1, steps], *(state[b : b + 1] for state in inputs[1:4]), *inputs[4:]]
        outputs = [torch.zeros_like(inputs[0][b]).repeat_interleave(2, 0) for _ in range(2)]
        states = [state[b] for state in inputs[1:4]]
        if steps.any():
            found = call(alone, hold=2, reset=reset, path="reference")
            where = steps.repeat_interleave(2).nonzero()[:, 0]
            outputs = [zeros.index_put((where,), out[0]) for zeros, out in zip(outputs, found[:2], strict=True)]
            states = [state[0] for state in found[2:]]
        parts.append((*outputs, *states))
    wanted = tuple(torch.stack(part) for part in zip(*parts, strict=True))
    torch.testing.assert_close(ours, wanted, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradients(ours, inputs), gradients(wanted, inputs), rtol=1e-10, atol=1e-10)


@PATHS
def test_one_number_serves_all_neurons_in_any_layout(path):
    inputs = arguments()
    numbers = dict.fromkeys(NUMBERS, 0.6)
    spread = [tensor.transpose(0, -1).contiguous().transpose(0, -1) for tensor in inputs[:4]]
    ours = alif(spread[0], AlifState(*spread[1:]), **numbers, path=path)
    theirs = alif_naive(
        *inputs[:4], *(torch.full((5,), 0.6, dtype=torch.float64) for _ in NUMBERS), "subtract", "fast_sigmoid", 25.0
    )
    torch.testing.assert_close((*ours[:2], *ours[2]), theirs)


@pytest.mark.parametrize("masked", [False, True])
def test_operator_is_a_good_citizen_of_torch(masked):
    inputs = arguments()
    mask = torch.rand(3, 17) < 0.8 if masked else None
    torch.library.opcheck(alif_op, (*inputs, mask, 2, [0.0, 1.0, 50.0, 625.0]))


def test_an_empty_batch_gives_empty_outputs_and_zero_gradients():
    inputs = arguments(batch=0)
    outputs = call(inputs, path="numba", hold=2)
    assert [tuple(out.shape) for out in outputs] == [(0, 34, 5), (0, 34, 5), (0, 5), (0, 5), (0, 5)]
    assert all((gradient == 0).all() for gradient in gradients(outputs, inputs))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hold": 0}, "hold must be 1 step or more, got 0"),
        ({"kappa": torch.zeros(2)}, r"kappa must have the shape \(neurons=5\), got \(2,\)"),
        ({"path": "library"}, "path='library' has neither mask, adaptation nor such a hard reset: choose path='auto'"),
        ({"surrogate": "gaussian", "path": "numba"}, "surrogate='gaussian' is computed by plain torch alone"),
        ({"path": "cuda"}, "current must be on a CUDA device"),
    ],
)
def test_wrong_arguments_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        call(arguments(), **change)
    inputs = arguments()
    inputs[3] = inputs[3][:, :2]
    with pytest.raises(ValueError, match=r"state.adaptation must have the shape \(batch=3, neurons=5\), got \(3, 2\)"):
        call(inputs)
