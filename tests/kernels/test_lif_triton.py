"""Spiking neurons for GPUs against the reference, on a GPU or as Python under Triton's interpreter."""

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

from neurofmx.kernels.gpu import lif_op, lif_readout_op
from neurofmx.kernels.lif import lif
from neurofmx.kernels.lif_readout import lif_readout

# batch, length, neurons: more and fewer neurons than a program has
SIZES = [(2, 5, 35), (1, 1, 1)] if INTERPRETING else [(3, 40, 75), (1, 1, 1), (32, 512, 256), (1, 3000, 8)]
WEIGHTS, CARRY = [0.1, 0.4, -0.2, 0.9], 0.7


@pytest.fixture(autouse=True)
def _poison(monkeypatch):
    """New memory holds no numbers."""
    poison(monkeypatch)


def arguments(batch, length, neurons, dtype=DTYPE):
    """Random currents, potentials, traces, decays and thresholds that want gradients."""
    torch.manual_seed(0)
    current = torch.randn(batch, length, neurons, dtype=dtype, device=DEVICE) * 0.7 + 0.3
    potential, trace = (torch.randn(batch, neurons, dtype=dtype, device=DEVICE) for _ in range(2))
    beta, threshold = (torch.rand(neurons, dtype=dtype, device=DEVICE) * 0.3 + start for start in (0.7, 0.5))
    return [tensor.requires_grad_() for tensor in (current, potential, trace, beta, threshold)]


def a_mask(batch, length):
    """Steps that count, about two thirds of all."""
    return torch.rand(batch, length, device=DEVICE) > 0.3


def driven(inputs, *, hold=1, mask=None, reset="subtract", surrogate="fast_sigmoid"):
    """Neurons by the kernel and by the reference."""
    current, potential, _, beta, threshold = inputs
    neuron = {"beta": beta, "threshold": threshold, "reset": reset, "surrogate": surrogate, "slope": 5.0}
    return [lif(current, potential, hold=hold, mask=mask, path=path, **neuron) for path in ("cuda", "reference")]


def read(inputs, *, mask=None, reset="subtract", surrogate="fast_sigmoid"):
    """Neurons and their readout by the kernel and by the reference."""
    *given, beta, threshold = inputs
    neuron = {"beta": beta, "threshold": threshold, "reset": reset, "surrogate": surrogate, "slope": 5.0}
    reading = {"weights": WEIGHTS, "carry": CARRY, "mask": mask}
    return [tuple(lif_readout(*given, path=path, **neuron, **reading)) for path in ("cuda", "reference")]


@needs_kernels
@pytest.mark.parametrize("hold", [1, 3])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(
    ("reset", "surrogate"), [("subtract", "fast_sigmoid"), ("zero", "atan"), ("subtract", "straight_through")]
)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_spikes_are_those_of_the_reference_bit_by_bit_and_gradients_near(size, reset, surrogate, masked, hold):
    inputs, mask = arguments(*size), a_mask(*size[:2]) if masked else None
    ours, reference = driven(inputs, hold=hold, mask=mask, reset=reset, surrogate=surrogate)
    assert all(torch.equal(a, b) for a, b in zip(ours, reference, strict=True))
    wanted = [inputs[k] for k in (0, 1, 3, 4)]
    assert_near(gradients(ours, wanted), gradients(reference, wanted))


@needs_kernels
def test_spikes_are_those_of_the_reference_in_float32_too():
    ours, reference = driven(arguments(*SIZES[0], dtype=torch.float32), hold=4)
    assert torch.equal(ours[0], reference[0])
    assert 0.1 < ours[0].mean() < 0.9


@needs_kernels
@pytest.mark.parametrize("arriving", [0, 1, 2], ids=["spikes", "potentials", "last"])
def test_gradients_may_arrive_at_one_result_alone(arriving):
    inputs = arguments(*SIZES[0])
    ours, reference = driven(inputs, hold=2)
    found, expected = (
        torch.autograd.grad(results[arriving].sum(), inputs, allow_unused=True, materialize_grads=True)
        for results in (ours, reference)
    )
    assert_near(found, expected)


@needs_kernels
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("reset", "surrogate"), [("subtract", "fast_sigmoid"), ("zero", "atan")])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_readouts_are_those_of_the_reference_and_so_are_gradients(size, reset, surrogate, masked):
    inputs, mask = arguments(*size), a_mask(*size[:2]) if masked else None
    ours, reference = read(inputs, mask=mask, reset=reset, surrogate=surrogate)
    assert torch.equal(ours[4], reference[4])  # numbers of spikes
    assert torch.equal(ours[1], reference[1])  # potentials
    assert_near(ours, reference)
    assert_near(gradients(ours[:4], inputs), gradients(reference[:4], inputs))


@needs_kernels
@pytest.mark.parametrize("arriving", range(4), ids=["traces", "ends", "potential", "trace"])
def test_gradients_may_arrive_at_one_readout_alone(arriving):
    inputs = arguments(*SIZES[0])
    found, expected = (
        torch.autograd.grad(results[arriving].sum(), inputs, allow_unused=True, materialize_grads=True)
        for results in read(inputs)
    )
    assert_near(found, expected)


@needs_kernels
def test_chunks_equal_one_pass():
    with torch.no_grad():
        current, potential, trace, beta, threshold = arguments(*SIZES[0])
        whole, _ = read([current, potential, trace, beta, threshold])
        parts = []
        for chunk in current.split(2, 1):
            (traces, _, potential, trace, _), _ = read([chunk, potential, trace, beta, threshold])
            parts.append(traces)
    assert_near((torch.cat(parts, 1), potential, trace), (whole[0], *whole[2:4]))


@needs_gpu
def test_same_bits_twice():
    inputs = arguments(*SIZES[0])
    runs = [[*(found := read(inputs)[0]), *gradients(found[:4], inputs)] for _ in range(2)]
    assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))


@needs_kernels
def test_no_sequences_give_no_outputs_and_gradients_of_zero():
    inputs = arguments(0, 4, 3)
    found = *driven(inputs)[0], *read(inputs)[0][:4]
    assert found[0].shape == (0, 4, 3)
    assert not any(gradient.any() for gradient in gradients(found, inputs))


@needs_kernels
def test_torch_can_trace_and_check_the_operators():
    current, potential, trace, beta, threshold = arguments(1, 2, 3)
    mask, knobs = a_mask(1, 2), [0.0, 1.0, 10.0, 25.0]
    torch.library.opcheck(lif_op.lif_op, (current, potential, beta, threshold, mask, 2, knobs))
    given = (current, potential, trace, beta, threshold, mask, [CARRY, *WEIGHTS], knobs)
    torch.library.opcheck(lif_readout_op.lif_readout_op, given)
    compiled = torch.compile(lif_readout_op.run, backend="aot_eager", fullgraph=True)
    ours, plain = compiled(*given), lif_readout_op.run(*given)
    assert all(torch.equal(a, b) for a, b in zip(ours, plain, strict=True))


@without_gpu
@needs_triton
def test_under_the_interpreter():
    run_under_the_interpreter(__file__)


@without_gpu
@needs_triton
def test_compiles_for_a_gpu(tmp_path):
    script = """
import torch
from neurofmx.kernels.gpu import lif_op, lif_readout_op
x, state, beta = torch.randn(2, 3, 40, requires_grad=True), torch.zeros(2, 40), torch.full((40,), 0.9)
for mask, hard in ((torch.rand(2, 3) > 0.5, 0.0), (None, 1.0)):
    knobs = [hard, 1.0, 2.0, 3.0]
    spikes, potentials, last = lif_op.run(x, state, beta, beta, mask, 4, knobs)
    (spikes.sum() + potentials.sum() + last.sum()).backward()
    traces, ends, *_ = lif_readout_op.run(x, state, state, beta, beta, mask, [0.5] * 5, knobs)
    (traces.sum() + ends.sum()).backward()
"""
    assert {"forward", "backward"} == set(compile_for_a_gpu(script, tmp_path))
