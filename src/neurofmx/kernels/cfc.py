"""Closed-form continuous-time (CfC) recurrence: liquid dynamics without a differential-equation solver.

Symbols: `h` state, `x` input, `z` backbone features, `f, g` the two states that time interpolates between,
`a, b` rate and offset of that interpolation, `e` elapsed time in units of the time constant.

    z = 1.7159 tanh(0.666 (W [x, h] + w))              (LeCun's scaled tanh)
    f, g = tanh(W_f z), tanh(W_g z)      a, b = W_a z, W_b z
    h <- f (1 - sigmoid(a e + b)) + g sigmoid(a e + b)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear

from neurofmx.kernels.path import Path, import_library
from neurofmx.kernels.precision import full_precision
from neurofmx.kernels.shapes import require_shape
from neurofmx.tables import pick

LECUN_SCALE = 1.7159
LECUN_SLOPE = 0.666
_GATES = ("ff1", "ff2", "time_a", "time_b")


class CfCWeights(NamedTuple):
    """The weights of a CfC cell with one backbone layer.

    Args:
        backbone_weight: `W` (backbone, inputs + units), inputs first.
        backbone_bias: `w` (backbone,).
        gates_weight: `W_f, W_g, W_a, W_b` below each other (4 units, backbone).
        gates_bias: Their biases (4 units,).
    """

    backbone_weight: Tensor
    backbone_bias: Tensor
    gates_weight: Tensor
    gates_bias: Tensor


@full_precision
def cfc(
    x: Tensor,
    state: Tensor,
    weights: CfCWeights,
    *,
    elapsed: float | Tensor = 1.0,
    path: Path = "reference",
) -> tuple[Tensor, Tensor]:
    """Runs a closed-form continuous-time cell over a sequence.

    Args:
        x: Inputs (batch, time, inputs).
        state: State before the first step (batch, units), within -1 and 1.
        weights: The cell's weights.
        elapsed: Time that passes at a step, in units of the neuron's time constant, 0 or more: one number, or a
            tensor that broadcasts to (batch, time, units). A time constant doubled is an elapsed time halved.
        path: `reference` (plain torch) or `library` (ncps).

    Returns:
        States (batch, time, units), and the last one (batch, units) to hand to the next call.

    Raises:
        ValueError: If a shape or `path` is wrong.
        ImportError: If `path` is `library` and ncps is missing.

    Source:
        Hasani et al. (2022), Closed-form continuous-time neural networks, Nature Machine Intelligence 4,
        equation 10 and figure 3.
    """
    batch, time, inputs = require_shape("x", x, batch=None, time=None, inputs=None)
    _, units = require_shape("state", state, batch=batch, units=None)
    backbone, _ = require_shape(
        "backbone_weight", weights.backbone_weight, backbone=None, inputs_and_units=inputs + units
    )
    require_shape("gates_weight", weights.gates_weight, gates=4 * units, backbone=backbone)
    span = torch.as_tensor(elapsed, dtype=x.dtype, device=x.device)
    run = pick(_PATHS, path, "path")
    return run(x, state, weights, _broadcast(span, batch, time, units))


def _broadcast(elapsed: Tensor, batch: int, time: int, units: int) -> Tensor:
    """The elapsed time for every step and unit."""
    try:
        return elapsed.expand(batch, time, units)
    except RuntimeError:
        wanted = f"(batch={batch}, time={time}, units={units})"
        raise ValueError(f"elapsed must broadcast to {wanted}, got {tuple(elapsed.shape)}") from None


def _reference(x: Tensor, state: Tensor, weights: CfCWeights, elapsed: Tensor) -> tuple[Tensor, Tensor]:
    """Step by step in torch, with all that does not need the state taken out of the loop."""
    units, inputs = state.shape[1], x.shape[2]
    # The two constants of LeCun's tanh go into the weights, which saves two products a step.
    from_input, from_state = (LECUN_SLOPE * weights.backbone_weight).split([inputs, units], 1)
    drives = linear(x, from_input, LECUN_SLOPE * weights.backbone_bias)
    recurrent, gates = from_state.t(), (LECUN_SCALE * weights.gates_weight).t()
    states = []
    for drive, span in zip(drives.unbind(1), elapsed.unbind(1), strict=True):
        features = torch.addmm(drive, state, recurrent).tanh()
        targets, rate, offset = torch.addmm(weights.gates_bias, features, gates).split([2 * units, units, units], 1)
        start, end = targets.tanh().chunk(2, 1)
        state = torch.lerp(start, end, torch.addcmul(offset, rate, span).sigmoid())
        states.append(state)
    return torch.stack(states, 1), state


def _ncps_parameters(weights: CfCWeights) -> dict[str, Tensor]:
    """The weights under the names that ncps gives them."""
    named = {"backbone.0.weight": weights.backbone_weight, "backbone.0.bias": weights.backbone_bias}
    matrices, biases = weights.gates_weight.chunk(4), weights.gates_bias.chunk(4)
    for name, matrix, bias in zip(_GATES, matrices, biases, strict=True):
        named |= {f"{name}.weight": matrix, f"{name}.bias": bias}
    return named


def _library(x: Tensor, state: Tensor, weights: CfCWeights, elapsed: Tensor) -> tuple[Tensor, Tensor]:
    """The same through `ncps.torch.CfCCell`; its sequence class takes no time span per unit, its cell does."""
    ncps = import_library("ncps.torch", install="'ncps>=1.0.1'")
    backbone = weights.backbone_weight.shape[0]
    with torch.device("meta"):  # only the structure is wanted: no memory, no random numbers
        cell = ncps.CfCCell(x.shape[2], state.shape[1], backbone_units=backbone)
    named, states = _ncps_parameters(weights), []
    for current, span in zip(x.unbind(1), elapsed.unbind(1), strict=True):
        state, _ = torch.func.functional_call(cell, named, (current, state, span))
        states.append(state)
    return torch.stack(states, 1), state


_PATHS: dict[str, Callable[[Tensor, Tensor, CfCWeights, Tensor], tuple[Tensor, Tensor]]] = {
    "reference": _reference,
    "library": _library,
}
