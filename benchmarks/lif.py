"""Leaky integrate-and-fire neurons against snnTorch and SpikingJelly.

Sizes: `batch` B, `time` T, `neurons` N. snnTorch is stepped in two ways: with `x[:, t]` as its users write it, whose
backward allocates the whole sequence at every step, and with `unbind`, which does not.

SpikingJelly takes the threshold off before the decay, ours and snnTorch after it, so with the usual soft reset it fires
at other steps. With the hard reset all agree, and that is where it is compared, at a decay that both hold exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from benchmarks.case import Benchmark, Case, Size, Tolerance
from benchmarks.side import Side, leaves, ours, path_of, peer

_SLOPE, _TAU = 25.0, 16.0
_SIZES = {steps: {"batch": 32, "time": steps, "neurons": 256} for steps in (32, 128, 512)}


def lif_inputs(size: Size) -> list[Tensor]:
    """Currents, decays and thresholds with which about every tenth step bears a spike."""
    torch.manual_seed(0)
    current = torch.randn(size["batch"], size["time"], size["neurons"]) * 0.3 + 0.15
    return leaves(current, torch.rand(size["neurons"]) * 0.2 + 0.75, torch.rand(size["neurons"]) + 0.5)


def _ours(path: str | None = None) -> Callable[[Size], Side]:
    """A builder of our side with learnt decays and thresholds, and both of its outputs recorded."""

    def build(size: Size) -> Side:
        lif, (current, beta, threshold) = ours("kernels.lif", "lif"), lif_inputs(size)
        rest = torch.zeros_like(current[:, 0])
        chosen = {} if path is None else {"path": path}
        wanted = [current, beta, threshold]
        return Side(
            lambda: lif(current, rest, beta=beta, threshold=threshold, slope=_SLOPE, **chosen)[:2],
            wanted,
            path=path_of(lif, path),
        )

    return build


def _snntorch(steps: Callable[[Tensor], Iterable[Tensor]]) -> Callable[[Size], Side]:
    """A builder of snnTorch's side, stepped in one of two ways and recording spikes and potentials."""

    def build(size: Size) -> Side:
        snntorch = peer("snntorch", install="pip install -e '.[bench]'")
        current, beta, threshold = lif_inputs(size)
        leaky = snntorch.Leaky(
            beta,
            threshold=threshold,
            spike_grad=snntorch.surrogate.fast_sigmoid(slope=_SLOPE),
            learn_beta=True,
            learn_threshold=True,
        )

        def forward() -> tuple[Tensor, Tensor]:
            potential, spikes, potentials = leaky.reset_mem(), [], []
            for x in steps(current):
                fired, potential = leaky(x, potential)
                spikes.append(fired)
                potentials.append(potential)
            return torch.stack(spikes, 1), torch.stack(potentials, 1)

        return Side(forward, [current, leaky.beta, leaky.threshold])

    return build


def _ours_hard(size: Size) -> Side:
    """Our side with the hard reset, one fixed decay and spikes alone."""
    lif, (current, _, _) = ours("kernels.lif", "lif"), lif_inputs(size)
    rest = torch.zeros_like(current[:, 0])
    neuron = {"beta": 1 - 1 / _TAU, "threshold": 1.0, "reset": "zero", "surrogate": "atan", "slope": 2.0}
    return Side(lambda: lif(current, rest, **neuron)[:1], [current], path=path_of(lif))


def _spikingjelly(size: Size) -> Side:
    """SpikingJelly's multi-step node; it wants time first, which a view gives it."""
    hint = "pip install --no-deps spikingjelly loguru"
    neuron = peer("spikingjelly.activation_based.neuron", install=hint)
    surrogate = peer("spikingjelly.activation_based.surrogate", install=hint)
    current, _, _ = lif_inputs(size)
    node = neuron.LIFNode(
        tau=_TAU,
        decay_input=False,
        v_threshold=1.0,
        v_reset=0.0,
        surrogate_function=surrogate.ATan(alpha=2.0),
        detach_reset=True,
        step_mode="m",
    )

    def forward() -> list[Tensor]:
        node.reset()
        return [node(current.transpose(0, 1)).transpose(0, 1)]

    return Side(forward, [current])


def _indexed(x: Tensor) -> Iterable[Tensor]:
    """The steps as most users take them."""
    return (x[:, t] for t in range(x.shape[1]))


BENCHMARK = Benchmark(
    sides={
        "neurofmx": _ours(),
        "neurofmx reference": _ours("reference"),
        "snntorch": _snntorch(_indexed),
        "snntorch unbind": _snntorch(lambda x: x.unbind(1)),
        "neurofmx hard reset": _ours_hard,
        "spikingjelly hard reset": _spikingjelly,
    },
    cases=[
        *(Case(_SIZES[t], "neurofmx", "snntorch", {1: goal}) for t, goal in ((32, 12), (128, 15), (512, 50))),
        *(Case(size, "neurofmx", "snntorch unbind") for size in _SIZES.values()),
        Case(_SIZES[128], "neurofmx hard reset", "spikingjelly hard reset"),
        Case(_SIZES[128], "neurofmx", "neurofmx reference"),
    ],
    tiny={"batch": 3, "time": 40, "neurons": 21},
    label=lambda size: f"B{size['batch']} T{size['time']} N{size['neurons']}",
    tolerance=Tolerance(outputs=1e-5, gradients=2e-4),
)
