"""Closed-form continuous-time (CfC) recurrence of one layer of a wired circuit, in plain torch.

Symbols: those of `neurofmx.kernels.cfc` and `neurofmx.kernels.cfc_modes`. A layer of a circuit has no hidden features:
its gates read the layer before, here the input `x`, and the layer's own state themselves. So `z = [x, h]` in the
equations of the three forms, and the weights of synapses that are not there are 0.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear

from neurofmx.kernels.cfc import interpolated
from neurofmx.kernels.cfc_modes import GATES, CfCMode, Close, opened, solved
from neurofmx.kernels.checks import require_mask
from neurofmx.kernels.course import elapsed_of, without_padding
from neurofmx.kernels.path import import_library
from neurofmx.kernels.precision import full_precision
from neurofmx.kernels.shapes import require_shape
from neurofmx.tables import pick

_NAMES = ("ff1", "ff2", "time_a", "time_b")  # of the gates in ncps


class LayerWeights(NamedTuple):
    """The weights of a layer; `gates` is 4, and 1 in the pure form.

    Args:
        gates_weight: `W_f, W_g, W_a, W_b` below each other (gates * units, inputs + units), inputs first; the pure form
            has `W_f` alone.
        gates_bias: Their biases (gates * units,).
        idle_rate: `w` (units,) of the pure form, of which the size counts.
        end: `A` (units,) of the pure form.
    """

    gates_weight: Tensor
    gates_bias: Tensor
    idle_rate: Tensor | None = None
    end: Tensor | None = None


class _Run(NamedTuple):
    """One call with everything checked."""

    x: Tensor
    state: Tensor
    weights: LayerWeights
    mode: CfCMode
    spans: Tensor  # (batch, time, units)
    mask: Tensor | None


@full_precision
def wired_cfc(
    x: Tensor,
    state: Tensor,
    weights: LayerWeights,
    *,
    mode: CfCMode = "default",
    elapsed: float | Tensor = 1.0,
    mask: Tensor | None = None,
    path: str = "reference",
) -> tuple[Tensor, Tensor]:
    """Runs one layer of a wired closed-form cell over a sequence.

    Args:
        x: What the layer reads (batch, time, inputs).
        state: State before the first step (batch, units).
        weights: The layer's weights.
        mode: Form of the cell.
        elapsed: Time that passes at a step, as `cfc` takes it.
        mask: False where a step is padding (batch, time): there the state waits, and the output is 0.
        path: `reference` (plain torch, on every device) or `library` (ncps).

    Returns:
        States (batch, time, units), and the last one (batch, units).

    Raises:
        ValueError: If a shape, `mode` or `path` is wrong.
        ImportError: If ncps is wanted and missing.

    Source:
        Hasani et al. (2022), Closed-form continuous-time neural networks, Nature Machine Intelligence 4; of a circuit's
        layer: `ncps.torch.WiredCfCCell`, the authors' package.
    """
    batch, time, inputs = require_shape("x", x, batch=None, time=None, inputs=None)
    _, units = require_shape("state", state, batch=batch, units=None)
    _require_weights(weights, pick(GATES, mode, "cfc mode"), inputs, units)
    require_mask(mask, batch, time)
    spans = elapsed_of(elapsed, x, units).expand(batch, time, units)
    return pick(_PATHS, path, "path")(_Run(x, state.to(x.dtype), weights, mode, spans, mask))


def _require_weights(weights: LayerWeights, gates: int, inputs: int, units: int) -> None:
    """Checks the shapes of the weights, and that the pure form has all of them."""
    require_shape("gates_weight", weights.gates_weight, gates=gates * units, inputs_and_units=inputs + units)
    require_shape("gates_bias", weights.gates_bias, gates=gates * units)
    for name, vector in (("idle_rate", weights.idle_rate), ("end", weights.end)):
        if (vector is None) == (gates == 1):
            raise ValueError(f"{name} is a weight of mode='pure' and of no other: give it there alone")
        if vector is not None:
            require_shape(name, vector, units=units)


def _reference(run: _Run) -> tuple[Tensor, Tensor]:
    """Step by step in torch, with what the inputs add to the gates taken out of the loop."""
    state, mask, states = run.state, run.mask, []
    from_input, from_state = run.weights.gates_weight.split([run.x.shape[2], state.shape[1]], 1)
    drives = linear(without_padding(run.x, mask), from_input, run.weights.gates_bias)
    spans, recurrent, close = without_padding(run.spans, mask), from_state.t(), _closing(run)
    for t, (drive, span) in enumerate(zip(drives.unbind(1), spans.unbind(1), strict=True)):
        after = close(torch.addmm(drive, state, recurrent), span)
        state = after if mask is None else torch.where(mask[:, t, None], after, state)
        states.append(state)
    return without_padding(torch.stack(states, 1), mask), state


def _closing(run: _Run) -> Close:
    """The state after a step out of gates and elapsed time, by the form."""
    if run.mode != "pure":
        return interpolated if run.mode == "default" else opened
    assert run.weights.idle_rate is not None
    assert run.weights.end is not None
    return partial(solved, idle_rate=run.weights.idle_rate, end=run.weights.end)


def _library(run: _Run) -> tuple[Tensor, Tensor]:
    """The same through `ncps.torch.CfCCell`, which is what a layer of its wired cell is."""
    if run.mask is not None:
        raise ValueError("path='library' knows no mask: choose path='reference'")
    ncps = import_library("ncps.torch", install="'ncps>=1.0.1'")
    with torch.device("meta"):  # only the structure is wanted: no memory, no random numbers
        cell = ncps.CfCCell(run.x.shape[2], run.state.shape[1], mode=run.mode, backbone_layers=0)
    named, state, states = ncps_names(run.weights, run.mode), run.state, []
    for current, span in zip(run.x.unbind(1), run.spans.unbind(1), strict=True):
        state, _ = torch.func.functional_call(cell, named, (current, state, span))
        states.append(state)
    return torch.stack(states, 1), state


def ncps_names(weights: LayerWeights, mode: CfCMode) -> dict[str, Tensor]:
    """The weights of a layer under the names that ncps gives them.

    Args:
        weights: The weights.
        mode: Form of the cell.

    Returns:
        The same tensors, gate by gate.
    """
    gates, named = GATES[mode], {}
    matrices, biases = weights.gates_weight.chunk(gates), weights.gates_bias.chunk(gates)
    for name, matrix, bias in zip(_NAMES[:gates], matrices, biases, strict=True):
        named |= {f"{name}.weight": matrix, f"{name}.bias": bias}
    if weights.idle_rate is not None and weights.end is not None:
        named |= {"w_tau": weights.idle_rate[None], "A": weights.end[None]}
    return named


_PATHS: dict[str, Callable[[_Run], tuple[Tensor, Tensor]]] = {"reference": _reference, "library": _library}
