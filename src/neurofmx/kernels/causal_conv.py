"""A causal convolution over time for every channel by itself, followed by SiLU, as it opens a Mamba block.

Symbols: `u` inputs, `w` weight, K its width in steps, `y` outputs.

    y[t] = silu(bias + sum_k w[k] u[t - K + 1 + k])
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import torch
from torch import Tensor
from torch.nn.functional import silu

from neurofmx.kernels.checks import no_numba, require_cpu, require_cuda
from neurofmx.kernels.path import Path, resolve
from neurofmx.kernels.precision import full_precision
from neurofmx.kernels.shapes import require_shape
from neurofmx.tables import pick


@full_precision
def causal_conv_silu(
    u: Tensor, weight: Tensor, bias: Tensor, *, state: Tensor | None = None, path: Path = "auto"
) -> tuple[Tensor, Tensor]:
    """Convolves every channel with its own weights and applies SiLU.

    Args:
        u: Inputs (batch, length, channels).
        weight: Weights (width, channels); the last belongs to the step itself, the first to the one longest ago.
        bias: Bias (channels,).
        state: The inputs before the first step (batch, width - 1, channels); `None` for zeros.
        path: `auto`, `reference` (plain torch), `numba` (compiled loops for the CPU) or `cuda` (plain torch, on a GPU).

    Returns:
        Outputs (batch, length, channels), and the last inputs (batch, width - 1, channels) to hand to the next call.

    Raises:
        ValueError: If a shape or `path` is wrong, or the path cannot compute on this device.
        ImportError: If the package behind the path is missing.

    Source:
        Gu and Dao (2023), Mamba, figure 3.
    """
    batch, _, channels = require_shape("u", u, batch=None, length=None, channels=None)
    width, _ = require_shape("weight", weight, width=None, channels=channels)
    require_shape("bias", bias, channels=channels)
    if state is not None and width > 1:
        require_shape("state", state, batch=batch, steps=width - 1, channels=channels)
    run = pick(_PATHS, resolve(path, u.device), "path")
    return run(u, weight, bias, state), _last(u, width - 1, state)


def _last(u: Tensor, steps: int, state: Tensor | None) -> Tensor:
    """The last `steps` inputs, a copy that does not keep all of them in memory."""
    length = u.shape[1]
    if length >= steps:
        return u[:, length - steps :].clone()
    before = u.new_zeros(u.shape[0], steps, u.shape[2]) if state is None else state
    return torch.cat([before[:, length:], u], 1)


def _reference(u: Tensor, weight: Tensor, bias: Tensor, state: Tensor | None) -> Tensor:
    """A few shifted products, which on CPUs are three times faster than torch's depthwise convolution."""
    before = u.new_zeros(u.shape[0], weight.shape[0] - 1, u.shape[2]) if state is None else state
    padded, length = torch.cat([before, u], 1), u.shape[1]
    convolved = bias
    for lag, row in enumerate(weight.unbind(0)):
        convolved = torch.addcmul(convolved, padded.narrow(1, lag, length), row)
    return silu(convolved)


def _numba(u: Tensor, weight: Tensor, bias: Tensor, state: Tensor | None) -> Tensor:
    """The same in compiled loops."""
    widest = reduce(torch.promote_types, (x.dtype for x in (u, weight, bias, state) if x is not None))
    u, weight, bias = (x.to(widest) for x in (u, weight, bias))
    require_cpu("u", u)
    try:
        from neurofmx.kernels.cpu.causal_conv_op import causal_conv_silu_op
        from neurofmx.kernels.cpu.direct import call
    except ImportError as error:
        raise no_numba(error) from error

    return call(causal_conv_silu_op, u, weight, bias, None if state is None else state.to(widest))


def _cuda(u: Tensor, weight: Tensor, bias: Tensor, state: Tensor | None) -> Tensor:
    """Plain torch, on a GPU."""
    require_cuda("u", u)
    return _reference(u, weight, bias, state)


_PATHS: dict[str, Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]] = {
    "reference": _reference,
    "numba": _numba,
    "cuda": _cuda,
}
