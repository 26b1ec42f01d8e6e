"""Liquid time-constant cells against ncps.

Sizes: `batch` B, `length` L, `units` (inputs and units alike). Both start from free numbers and make conductances and
capacitances positive by a softplus, as ncps does by default. ncps is stepped in two ways: by its own sequence class,
which reads `x[:, t]`, and by its cell over `unbind`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import softplus

from benchmarks.case import Benchmark, Case, Size, Tolerance
from benchmarks.side import Side, leaves, ours, path_of, peer

UNITS = 256
# Ranges by ncps' names: of neurons, and of synapses from neurons and (`sensory_`) from inputs. All but that of `w` are
# where ncps starts from. Its weights suit a few dozen neurons: from 256 they would make every time constant vanish, and
# the gradient of the capacitance with it, so that nothing but rounding errors would be left of it to compare.
_NEURON = {"cm": (0.4, 0.6), "gleak": (0.001, 1.0), "vleak": (-0.2, 0.2)}
_SYNAPSE = {"w": (-6.0, -4.0), "mu": (0.3, 0.8), "sigma": (3.0, 8.0), "erev": (-1.0, 1.0)}
_NAMES = [*_NEURON, *_SYNAPSE, *(f"sensory_{name}" for name in _SYNAPSE)]


def _inputs(size: Size) -> list[Tensor]:
    """Inputs, first state, and the weights in the order of `_NAMES`."""
    torch.manual_seed(0)
    units = size.get("units", UNITS)
    x, state = torch.randn(size["batch"], size["length"], units), torch.zeros(size["batch"], units)
    neurons = [torch.empty(units).uniform_(*between) for between in _NEURON.values()]
    synapses = [torch.empty(units, units).uniform_(*between) for _ in range(2) for between in _SYNAPSE.values()]
    for reversal in (synapses[3], synapses[7]):
        reversal.sign_()
    return leaves(x, state, *neurons, *synapses)


def _ours(path: str | None = None) -> Callable[[Size], Side]:
    """A builder of our side."""

    def build(size: Size) -> Side:
        ltc, pack, bundle = (ours("kernels.ltc", name) for name in ("ltc", "LTCWeights", "Synapses"))
        x, state, cm, gleak, vleak, *synapses = wanted = _inputs(size)
        chosen = {} if path is None else {"path": path}

        def forward() -> tuple[Tensor, ...]:
            recurrent, sensory = (bundle(softplus(w), *others) for w, *others in (synapses[:4], synapses[4:]))
            return ltc(x, state, pack(softplus(cm), softplus(gleak), vleak, recurrent, sensory), **chosen)[:1]

        return Side(forward, wanted, path=path_of(ltc, path))

    return build


def _ncps(*, unbind: bool) -> Callable[[Size], Side]:
    """A builder of ncps' side, stepped in one of two ways."""

    def build(size: Size) -> Side:
        ncps = peer("ncps.torch", install="pip install -e '.[bench]'")
        x, state, *weights = _inputs(size)
        layer = ncps.LTC(x.shape[2], state.shape[1], batch_first=True, input_mapping=None, output_mapping=None)
        parameters = [getattr(layer.rnn_cell, name) for name in _NAMES]
        with torch.no_grad():
            for parameter, values in zip(parameters, weights, strict=True):
                parameter.copy_(values)

        def cells() -> list[Tensor]:
            v, states = state, []
            for current in x.unbind(1):
                _, v = layer.rnn_cell(current, v, 1.0)
                states.append(v)
            return [torch.stack(states, 1)]

        return Side(cells if unbind else lambda: layer(x, state)[:1], [x, state, *parameters])

    return build


_SIZE = {"batch": 2, "length": 128}

BENCHMARK = Benchmark(
    sides={
        "neurofmx": _ours(),
        "neurofmx reference": _ours("reference"),
        "ncps": _ncps(unbind=False),
        "ncps unbind": _ncps(unbind=True),
    },
    cases=[
        Case(_SIZE, "neurofmx", "ncps", {1: 8}),
        Case(_SIZE, "neurofmx", "ncps unbind"),
        Case(_SIZE, "neurofmx", "neurofmx reference"),
    ],
    tiny={"batch": 2, "length": 5, "units": 7},
    label=lambda size: f"B{size['batch']} L{size['length']}",
    tolerance=Tolerance(outputs=1e-5, gradients=2e-4),
)
