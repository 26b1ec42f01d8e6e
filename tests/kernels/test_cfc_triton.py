"""The liquid recurrence for GPUs against a naive loop, on a GPU or as Python under Triton's interpreter."""

from __future__ import annotations

import pytest
import torch
from tests.kernels.gpu import (
    DEVICE,
    DTYPE,
    INTERPRETING,
    assert_near,
    compile_for_a_gpu,
    gradients,
    needs_gpu,
    needs_kernels,
    needs_triton,
    poison,
    run_under_the_interpreter,
    without_gpu,
)
from tests.reference import cfc_naive

from neurofmx.kernels.cfc import CfCWeights, cfc
from neurofmx.kernels.gpu import cfc_op as module

# batch, time, inputs, units, backbone: no multiples of a block, one of everything, several programs
SIZES = (
    [(3, 5, 4, 5, 7), (1, 1, 1, 1, 1)]
    if INTERPRETING
    else [(3, 40, 20, 70, 33), (1, 1, 1, 1, 1), (40, 100, 64, 256, 128)]
)


@pytest.fixture(autouse=True)
def _small_blocks_and_poison(monkeypatch):
    """Blocks of which even small weights have several, as the interpreter is slow; new memory holds no numbers."""
    poison(monkeypatch)
    if INTERPRETING:
        monkeypatch.setattr(module, "ROWS", 2)
        monkeypatch.setattr(module, "BLOCK", 4)


def arguments(batch, time, inputs, units, backbone, dtype=DTYPE):
    """Random input, state, weights and elapsed times that want gradients."""
    torch.manual_seed(0)
    shapes = [(batch, time, inputs), (batch, units), (backbone, inputs + units), (backbone,)]
    shapes += [(4 * units, backbone), (4 * units,)]
    tensors = [torch.randn(shape, dtype=dtype, device=DEVICE) / max(1, shape[-1]) ** 0.5 for shape in shapes]
    tensors.append(torch.rand(batch, time, units, dtype=dtype, device=DEVICE) * 2)
    return [tensor.requires_grad_() for tensor in tensors]


def computed(given, mask=None):
    """States and last state by the kernel."""
    x, state, *weights, elapsed = given
    return cfc(x, state, CfCWeights(*weights), elapsed=elapsed, mask=mask, path="cuda")


def naively(given, mask=None):
    """The same tensors in float64, and the states of a naive loop over them, and the last state."""
    x, state, *weights, elapsed = exact = [tensor.detach().double().requires_grad_() for tensor in given]
    elapsed, outputs = elapsed.expand(*x.shape[:2], state.shape[1]), []
    for t in range(x.shape[1]):
        _, after = cfc_naive(x[:, t : t + 1], state, *weights, elapsed[:, t : t + 1])
        on = torch.ones_like(after[:, :1], dtype=torch.bool) if mask is None else mask[:, t, None]
        state = torch.where(on, after, state)
        outputs.append(torch.where(on, state, 0))
    return exact, (torch.stack(outputs, 1), state)


@needs_kernels
@pytest.mark.parametrize("rows", [16384, 6], ids=["one stretch", "stretches"])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_equals_the_naive_loop_in_outputs_state_and_gradients(size, masked, rows, monkeypatch):
    monkeypatch.setattr(module, "STRETCH", rows)
    given, mask = arguments(*size), torch.rand(size[:2], device=DEVICE) > 0.3 if masked else None
    exact, expected = naively(given, mask)
    ours = computed(given, mask)
    assert_near(ours, expected)
    assert_near(gradients(ours, given), gradients(expected, exact))


@needs_kernels
@pytest.mark.parametrize("shape", [(), (5,), (1, 5, 1)], ids=str)
def test_elapsed_times_that_broadcast_get_gradients_of_their_shape(shape):
    given = arguments(3, 5, 4, 5, 7)
    given[-1] = torch.rand(shape, dtype=DTYPE, device=DEVICE).requires_grad_()
    exact, expected = naively(given)
    ours = computed(given)
    assert_near(ours, expected)
    assert_near(gradients(ours, given), gradients(expected, exact))


@needs_kernels
def test_elapsed_times_may_want_no_gradient():
    given = arguments(3, 5, 4, 5, 7)
    exact, expected = naively(given)
    ours = computed([*given[:-1], given[-1].detach()])
    assert_near(gradients(ours, given[:-1]), gradients(expected, exact[:-1]))


@needs_kernels
def test_gradients_may_arrive_at_the_last_state_alone():
    given = arguments(3, 5, 4, 5, 7)
    exact, expected = naively(given)
    assert_near(gradients(computed(given)[1:], given), gradients(expected[1:], exact))


@needs_kernels
def test_chunks_equal_one_pass():
    with torch.no_grad():
        x, state, *weights, elapsed = arguments(*SIZES[0])
        whole, last = computed([x, state, *weights, elapsed])
        parts = []
        for chunk, span in zip(x.split(2, 1), elapsed.split(2, 1), strict=True):
            states, state = computed([chunk, state, *weights, span])
            parts.append(states)
    assert_near((torch.cat(parts, 1), state), (whole, last))


@needs_gpu
def test_same_bits_twice():
    given = arguments(*SIZES[0])
    runs = [[*(found := computed(given)), *gradients(found, given)] for _ in range(2)]
    assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))


@needs_gpu
@pytest.mark.parametrize(("setting", "bound"), [("highest", 1e-5), ("high", 2e-2)])
def test_digits_follow_the_setting_of_torch(setting, bound):
    before = torch.get_float32_matmul_precision()
    given = arguments(*SIZES[-1])
    try:
        torch.set_float32_matmul_precision(setting)
        ours = computed(given)
    finally:
        torch.set_float32_matmul_precision(before)
    assert (ours[0].double() - naively(given)[1][0]).abs().max() < bound


@needs_kernels
def test_no_sequences_give_no_outputs_and_gradients_of_zero():
    given = arguments(0, 4, 3, 2, 5)
    found = computed(given)
    assert found[0].shape == (0, 4, 2)
    assert not any(gradient.any() for gradient in gradients(found, given))


@needs_kernels
def test_torch_can_trace_and_check_the_operator():
    given = [*arguments(2, 2, 2, 3, 2), torch.tensor([[True, False], [True, True]], device=DEVICE)]
    torch.library.opcheck(module.cfc_op, given)
    compiled = torch.compile(module.run, backend="aot_eager", fullgraph=True)
    ours, plain = compiled(*given), module.run(*given)
    assert all(torch.equal(a, b) for a, b in zip(ours, plain, strict=True))
    assert_near(gradients(ours, given[:-1]), gradients(plain, given[:-1]))


@without_gpu
@needs_triton
def test_under_the_interpreter():
    run_under_the_interpreter(__file__)


@without_gpu
@needs_triton
def test_compiles_for_a_gpu(tmp_path):
    script = """
import torch
from neurofmx.kernels.gpu import cfc_op as module
torch.manual_seed(0)
shapes = (2, 3, 4), (2, 70), (33, 74), (33,), (280, 33), (280,), (1, 1, 70)
given = [torch.randn(shape, requires_grad=True) for shape in shapes]
for setting, mask in (("highest", torch.rand(2, 3) > 0.5), ("high", None)):
    torch.set_float32_matmul_precision(setting)
    states, last = module.run(*given, mask)
    (states.sum() + last.sum()).backward()
"""
    assert {"forward", "backward"} == set(compile_for_a_gpu(script, tmp_path))
