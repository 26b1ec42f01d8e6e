"""Selective scan: the linear recurrence of a state-space layer whose coefficients depend on the input.

Symbols: `h` state (d_inner, d_state), `u` input, `y` output, `dt` step size, `A` decay rates, `B` what enters the
state, `C` what is read from it, `D` what bypasses it, `z` gate.

    h[t] = exp(dt[t] A) h[t-1] + dt[t] B[t] u[t]
    y[t] = (C[t] h[t] + D u[t]) silu(z[t])
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from neurofmx.kernels.checks import no_numba, require_cpu, require_cuda, require_mask
from neurofmx.kernels.cuda import cuda_path
from neurofmx.kernels.path import Path, import_library, resolve
from neurofmx.kernels.precision import full_precision
from neurofmx.kernels.shapes import require_shape
from neurofmx.tables import pick


class _Scan(NamedTuple):
    """The arguments of a scan, under the names of `selective_scan`."""

    u: Tensor
    dt: Tensor
    A: Tensor
    B: Tensor
    C: Tensor
    D: Tensor
    gate: Tensor | None
    state: Tensor | None
    mask: Tensor | None
    softplus: bool


@full_precision
def selective_scan(
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    *,
    gate: Tensor | None = None,
    softplus: bool = False,
    state: Tensor | None = None,
    mask: Tensor | None = None,
    path: Path = "auto",
) -> tuple[Tensor, Tensor]:
    """Runs an input-dependent diagonal state-space model over a sequence.

    Args:
        u: Inputs (batch, length, d_inner).
        dt: Step sizes (batch, length, d_inner), above 0, or what they are the softplus of.
        A: Decay rates (d_inner, d_state), below 0 for a state that forgets.
        B: Input coefficients (batch, length, d_state).
        C: Output coefficients (batch, length, d_state).
        D: Weight of the input in the output (d_inner,).
        gate: Gate (batch, length, d_inner), through whose SiLU the outputs go; `None` for outputs as they are.
        softplus: Whether the step sizes are the softplus of `dt`.
        state: State before the first step (batch, d_inner, d_state); `None` for zeros.
        mask: Steps that count (batch, length), of booleans: at the others, such as padding, the state is held and the
            output is 0. `None` if all count.
        path: `auto`, `reference` (plain torch), `numba` (compiled loops for the CPU), `cuda` (our Triton kernels; plain
            torch on a GPU that cannot run them; and mamba-ssm, where it is built, for calls without a state, a mask and
            gradients, see `neurofmx.kernels.cuda`) or `library` (mamba-ssm: on a GPU, from a zero state, and without a
            mask).

    Returns:
        Outputs (batch, length, d_inner), and the last state (batch, d_inner, d_state) to hand to the next call.

    Raises:
        ValueError: If a shape or `path` is wrong, or the path cannot compute this, or not on this device.
        ImportError: If the package behind the path is missing.

    Source:
        Gu and Dao (2023), Mamba, algorithm 2 and section 3.2; zero-order hold for A and Euler's step for B, as in
        its implementation.
    """
    batch, length, inner = require_shape("u", u, batch=None, length=None, d_inner=None)
    require_shape("dt", dt, batch=batch, length=length, d_inner=inner)
    _, states = require_shape("A", A, d_inner=inner, d_state=None)
    require_shape("B", B, batch=batch, length=length, d_state=states)
    require_shape("C", C, batch=batch, length=length, d_state=states)
    require_shape("D", D, d_inner=inner)
    if gate is not None:
        require_shape("gate", gate, batch=batch, length=length, d_inner=inner)
    if state is not None:
        require_shape("state", state, batch=batch, d_inner=inner, d_state=states)
    require_mask(mask, batch, length)
    run = pick(_PATHS, resolve(path, u.device), "path")
    return run(_Scan(u, dt, A, B, C, D, gate, state, mask, softplus))


def _reference(scan: _Scan) -> tuple[Tensor, Tensor]:
    """Step by step in torch; coefficients are made inside the loop, where they stay in the processor's cache."""
    u, dt, _, B, C, D, gate, state, mask, _ = scan
    if mask is not None:  # a step of size 0 holds the state
        counts, idle = mask.unsqueeze(2), -torch.inf if scan.softplus else 0.0
        u, B, C = (torch.where(counts, sequence, 0) for sequence in (u, B, C))
        dt, gate = torch.where(counts, dt, idle), None if gate is None else torch.where(counts, gate, 0)
    dt = F.softplus(dt) if scan.softplus else dt
    rates = scan.A.t().contiguous()  # channels last, so that every operation runs along them
    h = u.new_zeros(u.shape[0], *rates.shape) if state is None else state.transpose(1, 2)
    outputs = []
    for step, drive, enter, read in _steps(u, dt, B, C):
        h = torch.baddbmm((step * rates).exp() * h, enter, drive)
        outputs.append(torch.bmm(read, h))
    y = torch.addcmul(torch.cat(outputs, 1), u, D)
    return y if gate is None else y * F.silu(gate), h.transpose(1, 2)


def _steps(u: Tensor, dt: Tensor, B: Tensor, C: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Per step `dt` and `dt u` (batch, 1, d_inner), `B` (batch, d_state, 1) and `C` (batch, 1, d_state)."""
    sequences = dt.unsqueeze(2), (dt * u).unsqueeze(2), B.unsqueeze(3), C.unsqueeze(2)
    return zip(*(sequence.unbind(1) for sequence in sequences), strict=True)


def _numba(scan: _Scan) -> tuple[Tensor, Tensor]:
    """The same in compiled loops."""
    scan = _same_numbers(scan)
    require_cpu("u", scan.u)
    try:
        from neurofmx.kernels.cpu.direct import call
        from neurofmx.kernels.cpu.selective_scan_op import selective_scan_op
    except ImportError as error:
        raise no_numba(error) from error

    tensors, softplus = scan[:-1], scan.softplus
    remember = torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in tensors)
    y, end, _ = call(selective_scan_op, *tensors, softplus, remember)
    return y, end


def _same_numbers(scan: _Scan) -> _Scan:
    """The widest of the given types of number for all tensors, as torch's own operations would take it."""
    *tensors, _, _ = scan
    dtypes = {x.dtype for x in tensors if x is not None}
    if len(dtypes) == 1:
        return scan
    widest = reduce(torch.promote_types, dtypes)
    changed = {name: x.to(widest) for name, x in zip(scan._fields, tensors, strict=False) if x is not None}
    return scan._replace(**changed)


def _cuda(scan: _Scan) -> tuple[Tensor, Tensor]:
    """The fastest on a GPU that can compute this, see `neurofmx.kernels.cuda`."""
    scan = _same_numbers(scan)
    require_cuda("u", scan.u)
    trained = torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in scan[:-1])
    plain = scan.state is None and scan.mask is None and not trained
    return _ON_CUDA[cuda_path("selective_scan", scan.u.device, scan.u.dtype, plain)](scan)


def _triton(scan: _Scan) -> tuple[Tensor, Tensor]:
    """Our kernels for a GPU."""
    from neurofmx.kernels.gpu.selective_scan_op import scan as compute

    return compute(*scan)


def _library(scan: _Scan) -> tuple[Tensor, Tensor]:
    """The same through mamba-ssm's CUDA kernel."""
    if scan.mask is not None:
        raise ValueError(
            "mask must be None for path='library', since mamba-ssm knows no masks: "
            "choose path='auto', 'numba' or 'reference'"
        )
    if not scan.u.is_cuda:
        raise ValueError(
            f"path='library' of selective_scan needs CUDA and `pip install mamba-ssm`, got tensors on {scan.u.device}: "
            "move model and data to a CUDA device or choose path='reference'"
        )
    if scan.state is not None and bool(scan.state.any()):
        raise ValueError(
            "state must be None or zero for path='library', since mamba-ssm starts every scan from rest: "
            "choose path='reference' to carry a state over"
        )
    module = import_library("mamba_ssm.ops.selective_scan_interface", install="mamba-ssm --no-build-isolation")
    return _channels_first(module.selective_scan_fn, scan)


def _channels_first(kernel: Callable[..., tuple[Tensor, Tensor]], scan: _Scan) -> tuple[Tensor, Tensor]:
    """Calls a scan that wants (batch, channels, length) and returns (outputs, last state) in that order."""
    u, dt, B, C = (sequence.transpose(1, 2).contiguous() for sequence in (scan.u, scan.dt, scan.B, scan.C))
    z = None if scan.gate is None else scan.gate.transpose(1, 2).contiguous()
    y, state = kernel(u, dt, scan.A, B, C, D=scan.D, z=z, delta_softplus=scan.softplus, return_last_state=True)
    return y.transpose(1, 2), state


_ON_CUDA: dict[str, Callable[[_Scan], tuple[Tensor, Tensor]]] = {
    "mamba_ssm": _library,
    "triton": _triton,
    "reference": _reference,
}
_PATHS: dict[str, Callable[[_Scan], tuple[Tensor, Tensor]]] = {
    "reference": _reference,
    "numba": _numba,
    "cuda": _cuda,
    "library": _library,
}
