"""Closed-form continuous-time (CfC) recurrence: liquid dynamics without a differential-equation solver.

Symbols: `h` state, `x` input, `z` backbone features, `f, g` the two states that time interpolates between,
`a, b` rate and offset of that interpolation, `e` elapsed time in units of the time constant.

    z = 1.7159 tanh(0.666 (W [x, h] + w))              (LeCun's scaled tanh)
    f, g = tanh(W_f z), tanh(W_g z)      a, b = W_a z, W_b z
    h <- f (1 - sigmoid(a e + b)) + g sigmoid(a e + b)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear

from neurofmx.kernels.checks import no_numba, require_cpu, require_cuda, require_mask
from neurofmx.kernels.course import elapsed_of, without_padding
from neurofmx.kernels.cuda import cuda_path
from neurofmx.kernels.lecun_tanh import LECUN_SCALE, LECUN_SLOPE
from neurofmx.kernels.path import Path, import_library, resolve
from neurofmx.kernels.precision import full_precision
from neurofmx.kernels.shapes import require_shape
from neurofmx.tables import pick

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


class Kept(NamedTuple):
    """Weights in the order in which compiled loops read them, see `keep`."""

    layout: Any


class _Run(NamedTuple):
    """One call with everything checked."""

    x: Tensor
    state: Tensor
    weights: CfCWeights
    elapsed: Tensor  # (batch or 1, time or 1, units)
    mask: Tensor | None
    kept: Kept | None


@full_precision
def cfc(
    x: Tensor,
    state: Tensor,
    weights: CfCWeights,
    *,
    elapsed: float | Tensor = 1.0,
    mask: Tensor | None = None,
    kept: Kept | None = None,
    path: Path = "auto",
) -> tuple[Tensor, Tensor]:
    """Runs a closed-form continuous-time cell over a sequence.

    Args:
        x: Inputs (batch, time, inputs).
        state: State before the first step (batch, units), within -1 and 1.
        weights: The cell's weights.
        elapsed: Time that passes at a step, in units of the neuron's time constant, 0 or more: one number, or a
            tensor that broadcasts to (batch, time, units). A time constant doubled is an elapsed time halved.
        mask: False where a step is padding (batch, time): there the state waits, and the output is 0.
        kept: What `keep` made of the weights, which spares `numba` its preparations where gradients are off; the other
            paths take the weights themselves.
        path: `auto`, `numba` (compiled, CPU), `reference` (plain torch), `library` (ncps) or `cuda` (our Triton
            kernels, and plain torch on a GPU that cannot run them, see `neurofmx.kernels.cuda`).

    Returns:
        States (batch, time, units), and the last one (batch, units) to hand to the next call.

    Raises:
        ValueError: If a shape, a device or `path` is wrong.
        ImportError: If the package behind `path` is missing.

    Source:
        Hasani et al. (2022), Closed-form continuous-time neural networks, Nature Machine Intelligence 4,
        equation 10 and figure 3.
    """
    batch, time, inputs = require_shape("x", x, batch=None, time=None, inputs=None)
    _, units = require_shape("state", state, batch=batch, units=None)
    require_weights(weights, inputs, units)
    require_mask(mask, batch, time)
    span = elapsed_of(elapsed, x, units)
    run = pick(_PATHS, resolve(path, x.device), "path")
    return run(_Run(x, state.to(x.dtype), weights, span, mask, kept))


def keep(weights: CfCWeights, *, path: Path = "auto") -> Kept | None:
    """Prepares weights that will not change any more for many short calls.

    Args:
        weights: The cell's weights.
        path: As for `cfc`.

    Returns:
        What to hand to `cfc` as `kept`, or `None` where the path has nothing to prepare.
    """
    if resolve(path, weights.backbone_weight.device) != "numba":
        return None
    from neurofmx.kernels.cpu.cfc_op import lay_out

    wide = torch.promote_types(weights.backbone_weight.dtype, torch.float32)  # as `full_precision` widens them
    return Kept(lay_out([tensor.detach().to(wide) for tensor in weights]))


def require_weights(weights: CfCWeights, inputs: int, units: int) -> None:
    """Checks the shapes of the weights.

    Args:
        weights: The weights.
        inputs: Channels of the input.
        units: Liquid units.

    Raises:
        ValueError: If one is wrong.
    """
    backbone, _ = require_shape(
        "backbone_weight", weights.backbone_weight, backbone=None, inputs_and_units=inputs + units
    )
    require_shape("backbone_bias", weights.backbone_bias, backbone=backbone)
    require_shape("gates_weight", weights.gates_weight, gates=4 * units, backbone=backbone)
    require_shape("gates_bias", weights.gates_bias, gates=4 * units)


def interpolated(gates: Tensor, span: Tensor) -> Tensor:
    """The state after a step.

    Args:
        gates: `W_f z, W_g z, a, b` (batch, 4 units).
        span: Elapsed time `e` (batch, units).

    Returns:
        The state (batch, units).
    """
    units = span.shape[1]
    targets, rate, offset = gates.split([2 * units, units, units], 1)
    start, end = targets.tanh().chunk(2, 1)
    return torch.lerp(start, end, torch.addcmul(offset, rate, span).sigmoid())


def _reference(run: _Run) -> tuple[Tensor, Tensor]:
    """Step by step in torch, with all that does not need the state taken out of the loop."""
    x, state, weights, elapsed, mask, _ = run
    (batch, time, inputs), units = x.shape, state.shape[1]
    x, spans = without_padding(x, mask), without_padding(elapsed.expand(batch, time, units), mask)
    # The two constants of LeCun's tanh go into the weights, which saves two products a step.
    from_input, from_state = (LECUN_SLOPE * weights.backbone_weight).split([inputs, units], 1)
    drives = linear(x, from_input, LECUN_SLOPE * weights.backbone_bias)
    recurrent, gates = from_state.t(), (LECUN_SCALE * weights.gates_weight).t()
    states = []
    for t, (drive, span) in enumerate(zip(drives.unbind(1), spans.unbind(1), strict=True)):
        features = torch.addmm(drive, state, recurrent).tanh()
        after = interpolated(torch.addmm(weights.gates_bias, features, gates), span)
        state = after if mask is None else torch.where(mask[:, t, None], after, state)
        states.append(state)
    return without_padding(torch.stack(states, 1), mask), state


def _numba(run: _Run) -> tuple[Tensor, Tensor]:
    """Compiled loops, forward and backward."""
    require_cpu("x", run.x)
    for name, tensor in run.weights._asdict().items():
        if tensor.dtype != run.x.dtype:
            raise ValueError(f"{name} must be {run.x.dtype} like x, got {tensor.dtype}: convert x or the weights")
    try:
        from neurofmx.kernels.cpu.cfc_op import cfc_op, go_on
        from neurofmx.kernels.cpu.direct import call
    except ImportError as error:
        raise no_numba(error) from error

    if run.kept is not None and not torch.is_grad_enabled():
        states, last = go_on(run.x, run.state, run.kept.layout, run.elapsed, run.mask)
        return without_padding(states, run.mask), last
    states, last = call(cfc_op, run.x, run.state, *run.weights, run.elapsed, run.mask)
    return without_padding(states, run.mask), last


def ncps_parameters(weights: CfCWeights) -> dict[str, Tensor]:
    """The weights under the names that ncps gives them.

    Args:
        weights: The weights.

    Returns:
        The same tensors, gate by gate.
    """
    named = {"backbone.0.weight": weights.backbone_weight, "backbone.0.bias": weights.backbone_bias}
    matrices, biases = weights.gates_weight.chunk(4), weights.gates_bias.chunk(4)
    for name, matrix, bias in zip(_GATES, matrices, biases, strict=True):
        named |= {f"{name}.weight": matrix, f"{name}.bias": bias}
    return named


def _library(run: _Run) -> tuple[Tensor, Tensor]:
    """The same through `ncps.torch.CfCCell`; its sequence class takes no time span per unit, its cell does."""
    if run.mask is not None:
        raise ValueError("path='library' knows no mask: choose path='auto', 'numba' or 'reference'")
    ncps = import_library("ncps.torch", install="'ncps>=1.0.1'")
    (batch, time, inputs), state = run.x.shape, run.state
    spans = run.elapsed.expand(batch, time, state.shape[1])
    with torch.device("meta"):  # only the structure is wanted: no memory, no random numbers
        cell = ncps.CfCCell(inputs, state.shape[1], backbone_units=run.weights.backbone_weight.shape[0])
    named, states = ncps_parameters(run.weights), []
    for current, span in zip(run.x.unbind(1), spans.unbind(1), strict=True):
        state, _ = torch.func.functional_call(cell, named, (current, state, span))
        states.append(state)
    return torch.stack(states, 1), state


def _cuda(run: _Run) -> tuple[Tensor, Tensor]:
    """Our kernels for a GPU, where they run, see `neurofmx.kernels.cuda`."""
    require_cuda("x", run.x)
    if cuda_path("cfc", run.x.device, run.x.dtype) == "reference":
        return _reference(run)
    from neurofmx.kernels.gpu.cfc_op import run as compute

    return compute(run.x, run.state, *run.weights, run.elapsed, run.mask)


_PATHS: dict[str, Callable[[_Run], tuple[Tensor, Tensor]]] = {
    "reference": _reference,
    "numba": _numba,
    "library": _library,
    "cuda": _cuda,
}
