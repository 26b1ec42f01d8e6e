"""Neurons with a synaptic current, and with an adaptive threshold, against snnTorch's Synaptic and the plain torch.

Sizes: `batch` B, `time` T, `neurons` N. snnTorch has synaptic currents but no adaptation: compared without it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.case import Benchmark, Case, Size, Tolerance
from benchmarks.lif import lif_inputs
from benchmarks.side import Side, leaves, ours, path_of, peer

_SIZES = {steps: {"batch": 32, "time": steps, "neurons": 256} for steps in (32, 128)}
_SLOPE, _RHO = 25.0, 0.98


def _inputs(size: Size) -> list[Tensor]:
    """Currents, decays and thresholds of plain neurons, and decays of synaptic currents that leave the drive."""
    current, beta, threshold = (tensor.detach() for tensor in lif_inputs(size))
    alpha = torch.rand(size["neurons"]) * 0.3 + 0.4
    return leaves(current * (1 - alpha), beta, threshold, alpha)


def _ours(kappa: float, path: str | None = None) -> Callable[[Size], Side]:
    """A builder of our side, with both outputs recorded."""

    def build(size: Size) -> Side:
        alif, (current, beta, threshold, alpha) = ours("kernels.alif", "alif"), _inputs(size)
        rest = ours("kernels.lif_neuron", "AlifState")(*torch.zeros(3, size["batch"], size["neurons"]))
        chosen = {"rho": _RHO, "kappa": kappa, "slope": _SLOPE} | ({} if path is None else {"path": path})
        return Side(
            lambda: alif(current, rest, beta=beta, threshold=threshold, alpha=alpha, **chosen)[:2],
            [current, beta, threshold, alpha],
            path=path_of(alif, path),
        )

    return build


def _snntorch(size: Size) -> Side:
    """snnTorch's neurons, recording spikes and potentials."""
    snntorch = peer("snntorch", install="pip install -e '.[bench]'")
    current, beta, threshold, alpha = _inputs(size)
    gradient = snntorch.surrogate.fast_sigmoid(slope=_SLOPE)
    learnt = {"learn_alpha": True, "learn_beta": True, "learn_threshold": True}
    synaptic = snntorch.Synaptic(alpha, beta, threshold=threshold, spike_grad=gradient, **learnt)

    def forward() -> tuple[Tensor, Tensor]:
        (i, u), spikes, potentials = synaptic.reset_mem(), [], []
        for x in current.unbind(1):
            fired, i, u = synaptic(x, i, u)
            spikes.append(fired)
            potentials.append(u)
        return torch.stack(spikes, 1), torch.stack(potentials, 1)

    return Side(forward, [current, synaptic.beta, synaptic.threshold, synaptic.alpha])


BENCHMARK = Benchmark(
    sides={
        "neurofmx": _ours(0.0),
        "neurofmx adaptive": _ours(1.8),
        "neurofmx adaptive reference": _ours(1.8, "reference"),
        "snntorch": _snntorch,
    },
    cases=[
        *(Case(size, "neurofmx", "snntorch") for size in _SIZES.values()),
        *(Case(size, "neurofmx adaptive", "neurofmx adaptive reference") for size in _SIZES.values()),
    ],
    tiny={"batch": 3, "time": 40, "neurons": 21},
    label=lambda size: f"B{size['batch']} T{size['time']} N{size['neurons']}",
    tolerance=Tolerance(outputs=1e-5, gradients=2e-4),
)
