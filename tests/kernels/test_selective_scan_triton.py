"""The scan for GPUs against the reference, on a GPU or as Python under Triton's interpreter."""

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

from neurofmx.kernels.gpu import selective_scan_op as module
from neurofmx.kernels.selective_scan import selective_scan

# batch, length, d_inner, d_state: no multiples of a tile, one of everything, several chunks, many chunks
SIZES = (
    [(2, 9, 5, 2), (1, 1, 1, 1)]
    if INTERPRETING
    else [(2, 77, 70, 16), (1, 1, 1, 1), (3, 300, 33, 5), (1, 3000, 64, 16)]
)
USUAL = (1, 5, 3, 2) if INTERPRETING else SIZES[0]
EVERYTHING, NOTHING = ("gate", "state", "mask", "softplus"), ()
OPTIONS = [EVERYTHING, NOTHING, ("gate", "softplus"), ("state", "mask")]
# beyond the first size one set of options is enough for the interpreter
CASES = [
    (size, options)
    for size in SIZES
    for options in OPTIONS
    if not INTERPRETING or size == SIZES[0] or options == EVERYTHING
]


@pytest.fixture(autouse=True)
def _small_tiles_and_poison(monkeypatch):
    """Tiles of which even a short sequence has several, as the interpreter is slow; new memory holds no numbers."""
    poison(monkeypatch)
    if INTERPRETING:
        for name in ("FORWARD", "BACKWARD", "CHAIN"):
            monkeypatch.setattr(module, name, module.Cut(4 if name == "FORWARD" else 2, 4))


def arguments(batch, length, inner, states, options=EVERYTHING, dtype=DTYPE):
    """Tensors that want gradients, and mask and softplus, in the order of the operator."""
    torch.manual_seed(0)
    u, z, dt = (torch.randn(batch, length, inner, dtype=dtype, device=DEVICE) for _ in range(3))
    B, C = (torch.randn(batch, length, states, dtype=dtype, device=DEVICE) for _ in range(2))
    A = -torch.rand(inner, states, dtype=dtype, device=DEVICE) * 3
    D, state = (
        torch.randn(inner, dtype=dtype, device=DEVICE),
        torch.randn(batch, inner, states, device=DEVICE).to(dtype),
    )
    dt = dt if "softplus" in options else dt.abs() * 0.3
    tensors = [u, dt, A, B, C, D, z if "gate" in options else None, state if "state" in options else None]
    for tensor in tensors:
        if tensor is not None:
            tensor.requires_grad_()
    mask = torch.rand(batch, length, device=DEVICE) > 0.3 if "mask" in options else None
    return [*tensors, mask, "softplus" in options]


def scanned(given, path="cuda"):
    """Outputs and last state by the kernels, or by another path."""
    *tensors, z, state, mask, softplus = given
    return selective_scan(*tensors, gate=z, softplus=softplus, state=state, mask=mask, path=path)


def exactly(given):
    """The same tensors in float64, and the reference's outputs and last state for them."""
    *tensors, mask, softplus = given
    exact = [x if x is None else x.detach().double().requires_grad_() for x in tensors]
    return wanted(exact), scanned([*exact, mask, softplus], "reference")


def wanted(given):
    """The tensors that want gradients."""
    return [x for x in given if isinstance(x, torch.Tensor) and x.requires_grad]


@needs_kernels
@pytest.mark.parametrize(("size", "options"), CASES, ids=lambda part: "-".join(map(str, part)))
def test_equals_the_reference_in_outputs_state_and_gradients(size, options):
    given = arguments(*size, options)
    exact, expected = exactly(given)
    ours = scanned(given)
    assert_near(ours, expected)
    assert_near(gradients(ours, wanted(given)), gradients(expected, exact))


@needs_kernels
@pytest.mark.parametrize("arriving", [0, 1], ids=["outputs", "state"])
def test_gradients_may_arrive_at_one_result_alone(arriving):
    given = arguments(*USUAL)
    exact, expected = exactly(given)
    ours = torch.autograd.grad(module.scan(*given)[arriving].sum(), wanted(given))
    slopes = torch.autograd.grad(expected[arriving].sum(), exact, allow_unused=True, materialize_grads=True)
    assert_near(ours, slopes)


@needs_kernels
def test_parts_of_wider_products_give_the_same_bits():
    given = arguments(*USUAL)
    strided = [torch.cat([x, x], -1)[..., : x.shape[-1]] if k in (0, 1, 3, 4, 6) else x for k, x in enumerate(given)]
    assert not strided[0].is_contiguous()
    assert all(torch.equal(a, b) for a, b in zip(module.scan(*strided), module.scan(*given), strict=True))


@needs_kernels
def test_chunks_equal_one_pass():
    with torch.no_grad():
        u, dt, A, B, C, D, z, state, mask, softplus = arguments(*USUAL)
        whole, last = module.scan(u, dt, A, B, C, D, z, state, mask, softplus)
        parts, cut = [], USUAL[1] // 2 + 1
        for piece in zip(*(sequence.split(cut, 1) for sequence in (u, dt, B, C, z, mask)), strict=True):
            y, state = module.scan(*piece[:2], A, *piece[2:4], D, piece[4], state, piece[5], softplus)
            parts.append(y)
    assert_near((torch.cat(parts, 1), state), (whole, last))


@needs_kernels
def test_a_mask_is_as_good_as_cutting_the_padding_off_and_hides_what_stands_there():
    with torch.no_grad():
        u, dt, A, B, C, D, z, state, mask, softplus = arguments(*USUAL)
        keep = USUAL[1] - 3
        mask = torch.arange(USUAL[1], device=DEVICE).expand(USUAL[:2]) < keep
        short = module.scan(
            *(x[:, :keep] for x in (u, dt)), A, *(x[:, :keep] for x in (B, C)), D, z[:, :keep], state, None, softplus
        )
        padded = [torch.where(mask.unsqueeze(2), x, torch.nan) for x in (u, dt, B, C, z)]
        y, last = module.scan(*padded[:2], A, *padded[2:4], D, padded[4], state, mask, softplus)
    assert not y[:, keep:].any()
    assert_near((y[:, :keep], last), short)


@needs_gpu
def test_same_bits_twice():
    given = arguments(*USUAL)
    runs = [[*(found := module.scan(*given)), *gradients(found, wanted(given))] for _ in range(2)]
    assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))


@needs_kernels
def test_no_sequences_give_no_outputs_and_gradients_of_zero():
    given = arguments(0, 4, 3, 2)
    y, last = module.scan(*given)
    assert y.shape == (0, 4, 3)
    assert last.shape == (0, 3, 2)
    assert not any(gradient.any() for gradient in gradients((y, last), wanted(given)))


@needs_kernels
def test_torch_can_trace_and_check_the_operator():
    given = arguments(1, 3, 2, 2)
    torch.library.opcheck(module.scan, given)
    compiled = torch.compile(module.scan, backend="aot_eager", fullgraph=True)
    ours, plain = compiled(*given), module.scan(*given)
    assert all(torch.equal(a, b) for a, b in zip(ours, plain, strict=True))
    assert_near(gradients(ours, wanted(given)), gradients(plain, wanted(given)))


@without_gpu
@needs_triton
def test_under_the_interpreter():
    run_under_the_interpreter(__file__)


@without_gpu
@needs_triton
def test_compiles_for_a_gpu(tmp_path):
    script = """
import torch
from neurofmx.kernels.gpu import selective_scan_op as module
torch.manual_seed(0)
u, dt, z = (torch.randn(2, 40, 33, requires_grad=True) for _ in range(3))
B, C, A, D = torch.randn(2, 40, 4), torch.randn(2, 40, 4), -torch.rand(33, 4), torch.rand(33)
for gate, state, mask, soft in ((z, torch.randn(2, 33, 4), torch.rand(2, 40) > 0.5, True), (None, None, None, False)):
    y, last = module.scan(u, dt, A, B, C, D, gate, state, mask, soft)
    (y.sum() + last.sum()).backward()
"""
    assert {"ends", "chain", "outputs", "starts", "gradients"} == set(compile_for_a_gpu(script, tmp_path))
