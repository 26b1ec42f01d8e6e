"""Selective scan: the linear recurrence of a state-space layer whose coefficients depend on the input.

Symbols: `h` state (d_inner, d_state), `u` input, `y` output, `dt` step size, `A` decay rates, `B` what enters the
state, `C` what is read from it, `D` what bypasses it.

    h[t] = exp(dt[t] A) h[t-1] + dt[t] B[t] u[t]
    y[t] = C[t] h[t] + D u[t]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from neurofmx.kernels.path import Path, import_library
from neurofmx.kernels.precision import full_precision
from neurofmx.kernels.shapes import require_shape
from neurofmx.tables import pick


@full_precision
def selective_scan(
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    *,
    state: Tensor | None = None,
    path: Path = "reference",
) -> tuple[Tensor, Tensor]:
    """Runs an input-dependent diagonal state-space model over a sequence.

    Args:
        u: Inputs (batch, length, d_inner).
        dt: Step sizes (batch, length, d_inner), above 0: softplus is the caller's.
        A: Decay rates (d_inner, d_state), below 0 for a state that forgets.
        B: Input coefficients (batch, length, d_state).
        C: Output coefficients (batch, length, d_state).
        D: Weight of the input in the output (d_inner,).
        state: State before the first step (batch, d_inner, d_state); `None` for zeros.
        path: `reference` (plain torch) or `library` (mamba-ssm: CUDA only, and only from a zero state).

    Returns:
        Outputs (batch, length, d_inner), and the last state (batch, d_inner, d_state) to hand to the next call.

    Raises:
        ValueError: If a shape or `path` is wrong, or `path` is `library` on another device or from a given state.
        ImportError: If `path` is `library` and mamba-ssm is missing.

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
    if state is not None:
        require_shape("state", state, batch=batch, d_inner=inner, d_state=states)
    return pick(_PATHS, path, "path")(u, dt, A, B, C, D, state)


def _reference(
    u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, state: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Step by step in torch; coefficients are made inside the loop, where they stay in the processor's cache."""
    rates = A.t().contiguous()  # channels last, so that every operation runs along them
    h = u.new_zeros(u.shape[0], *rates.shape) if state is None else state.transpose(1, 2)
    outputs = []
    for step, drive, enter, read in _steps(u, dt, B, C):
        h = torch.baddbmm((step * rates).exp() * h, enter, drive)
        outputs.append(torch.bmm(read, h))
    return torch.addcmul(torch.cat(outputs, 1), u, D), h.transpose(1, 2)


def _steps(u: Tensor, dt: Tensor, B: Tensor, C: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Per step `dt` and `dt u` (batch, 1, d_inner), `B` (batch, d_state, 1) and `C` (batch, 1, d_state)."""
    sequences = dt.unsqueeze(2), (dt * u).unsqueeze(2), B.unsqueeze(3), C.unsqueeze(2)
    return zip(*(sequence.unbind(1) for sequence in sequences), strict=True)


def _library(
    u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, state: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The same through mamba-ssm's CUDA kernel."""
    if not u.is_cuda:
        raise ValueError(
            f"path='library' of selective_scan needs CUDA and `pip install mamba-ssm`, got tensors on {u.device}: "
            "move model and data to a CUDA device or choose path='reference'"
        )
    if state is not None and bool(state.any()):
        raise ValueError(
            "state must be None or zero for path='library', since mamba-ssm starts every scan from rest: "
            "choose path='reference' to carry a state over"
        )
    module = import_library("mamba_ssm.ops.selective_scan_interface", install="mamba-ssm --no-build-isolation")
    return _channels_first(module.selective_scan_fn, u, dt, A, B, C, D)


def _channels_first(
    scan: Callable[..., tuple[Tensor, Tensor]], u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor
) -> tuple[Tensor, Tensor]:
    """Calls a scan that wants (batch, channels, length) and returns (outputs, last state) in that order."""
    u, dt, B, C = (sequence.transpose(1, 2).contiguous() for sequence in (u, dt, B, C))
    y, state = scan(u, dt, A, B, C, D=D, return_last_state=True)
    return y.transpose(1, 2), state


_PATHS: dict[str, Callable[..., tuple[Tensor, Tensor]]] = {"reference": _reference, "library": _library}
