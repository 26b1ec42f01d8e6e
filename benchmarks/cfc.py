"""Closed-form continuous-time cells against ncps.

Sizes: `batch` B, `length` L, `units`, `inputs` (as many as units if left out), `backbone`. ncps is stepped in two ways:
by its own sequence class, which reads `x[:, t]`, so that its backward allocates the whole sequence at every step, and
by its cell over `unbind`, which does not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.case import Benchmark, Case, Size, Tolerance
from benchmarks.side import Side, Tensors, leaves, ours, path_of, peer

UNITS, BACKBONE = 256, 128
GATES = ("ff1", "ff2", "time_a", "time_b")


def _inputs(size: Size) -> list[Tensor]:
    """Inputs, first state, and the four weights in the form that our kernel takes."""
    torch.manual_seed(0)
    units, backbone = size.get("units", UNITS), size.get("backbone", BACKBONE)
    inputs = size.get("inputs", units)
    x, state = torch.randn(size["batch"], size["length"], inputs), torch.zeros(size["batch"], units)
    first = nn.Linear(inputs + units, backbone)
    gates = [nn.Linear(backbone, units) for _ in GATES]
    for layer in (first, *gates):
        nn.init.xavier_uniform_(layer.weight)
    stacked = torch.cat([gate.weight for gate in gates]), torch.cat([gate.bias for gate in gates])
    return leaves(x, state, first.weight, first.bias, *stacked)


def _ours(path: str | None = None) -> Callable[[Size], Side]:
    """A builder of our side."""

    def build(size: Size) -> Side:
        cfc, pack = ours("kernels.cfc", "cfc"), ours("kernels.cfc", "CfCWeights")
        x, state, *weights = wanted = _inputs(size)
        chosen = {} if path is None else {"path": path}
        return Side(lambda: cfc(x, state, pack(*weights), **chosen)[:1], wanted, path=path_of(cfc, path))

    return build


def copied(layer: Any, weights: Tensors) -> list[Tensor]:
    """Loads weights in our form into a CfC of ncps.

    Args:
        layer: `ncps.torch.CfC` with one backbone layer.
        weights: The four tensors of `CfCWeights`.

    Returns:
        The layer's parameters: backbone, then the gates' weights, then their biases.
    """
    cell = layer.rnn_cell
    gates = [getattr(cell, name) for name in GATES]
    owned = [cell.backbone[0].weight, cell.backbone[0].bias, *(g.weight for g in gates), *(g.bias for g in gates)]
    split = [*weights[:2], *weights[2].chunk(4), *weights[3].chunk(4)]
    with torch.no_grad():
        for parameter, values in zip(owned, split, strict=True):
            parameter.copy_(values)
    return owned


def stacked(gradients: Tensors) -> list[Tensor]:
    """Gradients of what `copied` returns, in our form."""
    return [*gradients[:2], torch.cat(list(gradients[2:6])), torch.cat(list(gradients[6:10]))]


def _ncps(*, unbind: bool) -> Callable[[Size], Side]:
    """A builder of ncps' side, stepped in one of two ways."""

    def build(size: Size) -> Side:
        ncps = peer("ncps.torch", install="pip install -e '.[bench]'")
        x, state, *weights = _inputs(size)
        layer = ncps.CfC(x.shape[2], state.shape[1], backbone_units=weights[0].shape[0], batch_first=True)
        wanted = [x, state, *copied(layer, weights)]

        def cells() -> list[Tensor]:
            h, states = state, []
            for current in x.unbind(1):
                _, h = layer.rnn_cell(current, h, 1.0)
                states.append(h)
            return [torch.stack(states, 1)]

        return Side(
            cells if unbind else lambda: layer(x, state)[:1],
            wanted,
            arrange=lambda gradients: [*gradients[:2], *stacked(gradients[2:])],
        )

    return build


_GOALS = {(2, 512): 20, (16, 128): 4, (16, 512): 6, (16, 2048): 80}
_SIZES = {key: {"batch": key[0], "length": key[1]} for key in _GOALS}

BENCHMARK = Benchmark(
    sides={
        "neurofmx": _ours(),
        "neurofmx reference": _ours("reference"),
        "ncps": _ncps(unbind=False),
        "ncps unbind": _ncps(unbind=True),
    },
    cases=[
        *(Case(_SIZES[key], "neurofmx", "ncps", {1: goal}) for key, goal in _GOALS.items()),
        *(Case(size, "neurofmx", "ncps unbind") for size in _SIZES.values()),
        Case(_SIZES[2, 512], "neurofmx", "neurofmx reference"),
    ],
    tiny={"batch": 3, "length": 9, "units": 20, "backbone": 12},
    label=lambda size: f"B{size['batch']} L{size['length']}",
    tolerance=Tolerance(outputs=1e-5, gradients=2e-4),
)
