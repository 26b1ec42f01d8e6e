"""The other two forms of the closed-form continuous-time (CfC) recurrence, in plain torch.

Symbols: those of `neurofmx.kernels.cfc`; of the pure form `q` rate of the input, `w` rate without one, `A` state that
time leads to.

    no_gate:  h <- tanh(W_f z) + tanh(W_g z) sigmoid(a e + b)
    pure:     q = W_f z      h <- A - A exp(-e (|w| + |q|)) q

`no_gate` adds what time opens in place of going from one state to the other; `pure` is the approximation of the
differential equation's solution that the other two forms are derived from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear

from neurofmx.kernels.cfc import CfCWeights, ncps_parameters, require_weights
from neurofmx.kernels.checks import require_mask
from neurofmx.kernels.course import elapsed_of, without_padding
from neurofmx.kernels.lecun_tanh import LECUN_SCALE, LECUN_SLOPE
from neurofmx.kernels.path import import_library
from neurofmx.kernels.precision import full_precision
from neurofmx.kernels.shapes import require_shape
from neurofmx.tables import pick

CfCMode = Literal["default", "pure", "no_gate"]
GATES: dict[str, int] = {"default": 4, "no_gate": 4, "pure": 1}  # products of the features, by mode
Close = Callable[[Tensor, Tensor], Tensor]


class PureWeights(NamedTuple):
    """The weights of a pure CfC cell.

    Args:
        backbone_weight: `W` (backbone, inputs + units), inputs first.
        backbone_bias: Its bias (backbone,).
        rate_weight: `W_f` (units, backbone).
        rate_bias: Its bias (units,).
        idle_rate: `w` (units,), of which the size counts.
        end: `A` (units,).
    """

    backbone_weight: Tensor
    backbone_bias: Tensor
    rate_weight: Tensor
    rate_bias: Tensor
    idle_rate: Tensor
    end: Tensor


@full_precision
def cfc_mode(
    x: Tensor,
    state: Tensor,
    weights: CfCWeights | PureWeights,
    *,
    elapsed: float | Tensor = 1.0,
    mask: Tensor | None = None,
    path: str = "reference",
) -> tuple[Tensor, Tensor]:
    """Runs a closed-form cell over a sequence: without a gate, or pure, as its weights say.

    Args:
        x: Inputs (batch, time, inputs).
        state: State before the first step (batch, units).
        weights: Those of `cfc` for a cell without a gate, or those of a pure cell.
        elapsed: Time that passes at a step, as `cfc` takes it.
        mask: False where a step is padding (batch, time): there the state waits, and the output is 0.
        path: `reference` (plain torch, on every device) or `library` (ncps).

    Returns:
        States (batch, time, units), and the last one (batch, units).

    Raises:
        ValueError: If a shape or `path` is wrong.
        ImportError: If ncps is wanted and missing.

    Source:
        Hasani et al. (2022), Closed-form continuous-time neural networks, Nature Machine Intelligence 4; the forms and
        their names are those of `ncps.torch.CfCCell`, the authors' package.
    """
    batch, time, inputs = require_shape("x", x, batch=None, time=None, inputs=None)
    _, units = require_shape("state", state, batch=batch, units=None)
    if isinstance(weights, CfCWeights):
        require_weights(weights, inputs, units)
    else:
        _require_pure(weights, inputs, units)
    require_mask(mask, batch, time)
    span = elapsed_of(elapsed, x, units).expand(batch, time, units)
    return pick(_PATHS, path, "path")(x, state.to(x.dtype), weights, span, mask)


def _require_pure(weights: PureWeights, inputs: int, units: int) -> None:
    """Checks the shapes of the weights."""
    joined = inputs + units
    backbone, _ = require_shape("backbone_weight", weights.backbone_weight, backbone=None, inputs_and_units=joined)
    require_shape("backbone_bias", weights.backbone_bias, backbone=backbone)
    require_shape("rate_weight", weights.rate_weight, units=units, backbone=backbone)
    for name in ("rate_bias", "idle_rate", "end"):
        require_shape(name, getattr(weights, name), units=units)


def _reference(
    x: Tensor, state: Tensor, weights: CfCWeights | PureWeights, spans: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Step by step in torch."""
    x, spans = without_padding(x, mask), without_padding(spans, mask)
    close = _without_gate(weights) if isinstance(weights, CfCWeights) else _pure(weights)
    from_input, from_state = (LECUN_SLOPE * weights.backbone_weight).split([x.shape[2], state.shape[1]], 1)
    drives, recurrent, states = linear(x, from_input, LECUN_SLOPE * weights.backbone_bias), from_state.t(), []
    for t, (drive, span) in enumerate(zip(drives.unbind(1), spans.unbind(1), strict=True)):
        after = close(LECUN_SCALE * torch.addmm(drive, state, recurrent).tanh(), span)
        state = after if mask is None else torch.where(mask[:, t, None], after, state)
        states.append(state)
    return without_padding(torch.stack(states, 1), mask), state


def opened(gates: Tensor, span: Tensor) -> Tensor:
    """The state after a step of a cell without a gate.

    Args:
        gates: `W_f z, W_g z, a, b` (batch, 4 units).
        span: Elapsed time (batch, units).

    Returns:
        The state (batch, units).
    """
    start, end, rate, offset = gates.chunk(4, 1)
    return torch.addcmul(start.tanh(), end.tanh(), torch.addcmul(offset, rate, span).sigmoid())


def solved(rate: Tensor, span: Tensor, idle_rate: Tensor, end: Tensor) -> Tensor:
    """The state after a step of a pure cell.

    Args:
        rate: `q` (batch, units).
        span: Elapsed time (batch, units).
        idle_rate: `w` (units,).
        end: `A` (units,).

    Returns:
        The state (batch, units).
    """
    return end - end * torch.exp(-span * (idle_rate.abs() + rate.abs())) * rate


def _without_gate(weights: CfCWeights) -> Close:
    """The state after a step out of features and elapsed time."""
    return lambda features, span: opened(linear(features, weights.gates_weight, weights.gates_bias), span)


def _pure(weights: PureWeights) -> Close:
    """The same of a pure cell."""

    def close(features: Tensor, span: Tensor) -> Tensor:
        rate = linear(features, weights.rate_weight, weights.rate_bias)
        return solved(rate, span, weights.idle_rate, weights.end)

    return close


def _library(
    x: Tensor, state: Tensor, weights: CfCWeights | PureWeights, spans: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The same through `ncps.torch.CfCCell`."""
    if mask is not None:
        raise ValueError("path='library' knows no mask: choose path='reference'")
    ncps = import_library("ncps.torch", install="'ncps>=1.0.1'")
    mode, named = _named(weights)
    with torch.device("meta"):  # only the structure is wanted: no memory, no random numbers
        units, backbone = state.shape[1], weights.backbone_weight.shape[0]
        cell = ncps.CfCCell(x.shape[2], units, mode=mode, backbone_units=backbone)
    states = []
    for current, span in zip(x.unbind(1), spans.unbind(1), strict=True):
        state, _ = torch.func.functional_call(cell, named, (current, state, span))
        states.append(state)
    return torch.stack(states, 1), state


def _named(weights: CfCWeights | PureWeights) -> tuple[str, dict[str, Tensor]]:
    """What ncps calls the form, and the weights under its names."""
    if isinstance(weights, CfCWeights):
        return "no_gate", ncps_parameters(weights)
    names = ("backbone.0.weight", "backbone.0.bias", "ff1.weight", "ff1.bias")
    named = dict(zip(names, weights[:4], strict=True))
    return "pure", named | {"w_tau": weights.idle_rate[None], "A": weights.end[None]}


_PATHS: dict[str, Callable[..., tuple[Tensor, Tensor]]] = {"reference": _reference, "library": _library}
