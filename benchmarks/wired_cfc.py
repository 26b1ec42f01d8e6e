"""Closed-form cells wired as a neural circuit policy, against ncps.

Sizes: `batch` B, `length` L, `units` (inputs and units alike). Both sides have the wiring that ncps draws, and answer
with the states of its motor neurons.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

from benchmarks.case import Benchmark, Case, Size, Tolerance
from benchmarks.side import Side, Tensors, ours, peer

COURSE, GATES = ("inter", "command", "motor"), ("ff1", "ff2", "time_a", "time_b")
_INSTALL = "pip install -e '.[bench]'"


def _x(size: Size) -> Tensor:
    """Inputs that want a gradient."""
    torch.manual_seed(1)
    return torch.randn(size["batch"], size["length"], size["units"]).requires_grad_()


@cache
def _theirs(units: int) -> Any:
    """The layer of ncps for so many inputs and units, 3 in 10 of which are motor neurons."""
    torch.manual_seed(0)
    wirings = peer("ncps.wirings", install=_INSTALL)
    return peer("ncps.torch", install=_INSTALL).CfC(units, wirings.AutoNCP(units, round(0.3 * units)), batch_first=True)


def _neurofmx(size: Size) -> Side:
    """Our side, with the weights and the wiring of ncps."""
    units, x = size["units"], _x(size)
    cell, drawn = _theirs(units).rnn_cell, _theirs(units).wiring
    commands = len(drawn.get_neurons_of_layer(1))
    adjacency = drawn.sensory_adjacency_matrix, drawn.adjacency_matrix
    wiring = ours("layers.wiring", "Wiring")(*adjacency, drawn.output_dim, commands)
    layer = ours("layers.wired_cfc", "WiredCfC")(units, units, wiring=wiring)
    with torch.no_grad():
        for number, name in enumerate(COURSE):
            gates = [getattr(getattr(cell, f"layer_{number}"), each) for each in GATES]
            layer.gates[name].weight.copy_(torch.cat([gate.weight for gate in gates]))
            layer.gates[name].bias.copy_(torch.cat([gate.bias for gate in gates]))
    wanted = [x, *(weight for name in COURSE for weight in (layer.gates[name].weight, layer.gates[name].bias))]
    return Side(lambda: [layer(x)[0][..., : wiring.motor]], wanted, path=layer.path)


def _ncps(size: Size) -> Side:
    """The side of ncps."""
    layer, x = _theirs(size["units"]), _x(size)
    gates = [getattr(getattr(layer.rnn_cell, f"layer_{number}"), name) for number in range(3) for name in GATES]

    def stacked(gradients: Tensors) -> list[Tensor]:
        """Gradients of weights and biases, in our form."""
        weights, biases = gradients[1:13], gradients[13:]
        parts = [part for k in range(0, 12, 4) for part in (weights[k : k + 4], biases[k : k + 4])]
        return [gradients[0], *(torch.cat(list(part)) for part in parts)]

    wanted = [x, *(gate.weight for gate in gates), *(gate.bias for gate in gates)]
    return Side(lambda: layer(x)[:1], wanted, arrange=stacked)


_SIZES = [
    {"batch": 64, "length": 20, "units": 64},
    {"batch": 2, "length": 512, "units": 64},
    {"batch": 2, "length": 128, "units": 256},
]

BENCHMARK = Benchmark(
    sides={"neurofmx": _neurofmx, "ncps": _ncps},
    cases=[Case(size, "neurofmx", "ncps") for size in _SIZES],
    tiny={"batch": 2, "length": 5, "units": 9},
    label=lambda size: f"B{size['batch']} L{size['length']} units {size['units']}",
    tolerance=Tolerance(outputs=1e-5, gradients=2e-4),
)
