"""The parts of a training step of the model in params.yaml: which of them would be worth speeding up?

Sizes: `batch` and `length` in tokens; an epoch of digits is made of batches of 128 x 8. Every part runs alone, forward
and backward, on inputs of its own: with the fastest kernels beside the plain loops that they replace. What has no
kernel of ours takes as long on both sides, and stands here for its share. `training step` is the whole: all parts,
the loss, clipping and AdamW.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from benchmarks.case import Benchmark, Case, Size, Tolerance
from benchmarks.side import Side, Tensors, leaves, resolved
from benchmarks.train import TrainingStep, model

_SIZES = ({"batch": 128, "length": 8}, {"batch": 64, "length": 16})


class Part(NamedTuple):
    """One part.

    Args:
        forward: Takes inputs to outputs, each (batch, length, channels).
        widths: Channels of the inputs.
        modules: Whose parameters it uses.
    """

    forward: Callable[[Sequence[Tensor]], Tensors]
    widths: Sequence[int]
    modules: Sequence[nn.Module]


def _spikes(block: Any) -> Part:
    """Norm, spiking neurons and their readout."""
    return Part(
        lambda x: [block.adapter.read(block.encoder, block.norm(x[0])).tokens],
        [_width(block)],
        [block.adapter.projection, block.encoder, block.norm],
    )


def _liquid(block: Any) -> Part:
    """The liquid cell; a step has two of it."""
    cell = block.integration.liquid
    return Part(lambda x: [cell(x[0], tau=x[1].sigmoid() + 0.5)[0]], [_width(block), cell.units], [cell])


def _mamba(block: Any) -> Part:
    """The Mamba block: projections, convolution, scan and gate."""
    return Part(lambda x: [block.integration.mamba(x[0])[0]], [_width(block)], [block.integration.mamba])


def _attention(block: Any) -> Part:
    """Cross-attention between the paths, both ways."""
    attention, paths = block.integration.attention, block.integration
    return Part(lambda x: attention(*x)[:2], [paths.liquid.units, paths.mamba.inner], [attention])


def _exchange(block: Any) -> Part:
    """What the paths tell each other: shifts of the scan's coefficients, factors on time constants."""
    paths = block.integration
    return Part(
        lambda x: [
            *paths.exchange.modulate_mamba(x[0], paths.mamba.select(x[1])),
            paths.exchange.modulate_liquid(x[2]),
        ],
        [paths.liquid.units, paths.mamba.inner, _width(block)],
        [paths.exchange, paths.mamba.x_proj, paths.mamba.dt_proj],
    )


def _gate(block: Any) -> Part:
    """The adaptive gate over both paths."""
    return Part(lambda x: [block.integration.merge(x)], [_width(block)] * 2, [block.integration.merge])


PARTS: dict[str, Callable[[Any], Part]] = {
    "spikes": _spikes,
    "liquid": _liquid,
    "mamba": _mamba,
    "cross-attention": _attention,
    "exchange": _exchange,
    "gate": _gate,
}


def _width(block: Any) -> int:
    """Channels of a token."""
    return block.norm.normalized_shape[0]


def _part(name: str, kernels: str) -> Callable[[Size], Side]:
    """A builder of one part."""

    def build(size: Size) -> Side:
        network = model(kernels=kernels)
        forward, widths, modules = PARTS[name](network.blocks[0])
        torch.manual_seed(1)
        inputs = leaves(*(torch.randn(size["batch"], size["length"], width) for width in widths))
        wanted = dict.fromkeys(chain.from_iterable(module.parameters() for module in modules))

        def seeded() -> Tensors:
            torch.manual_seed(2)  # attention drops some weights
            return forward(inputs)

        return Side(seeded, [*inputs, *wanted], path=resolved(kernels))

    return build


def _whole(kernels: str) -> Callable[[Size], TrainingStep]:
    """A builder of the whole step."""
    return lambda size: TrainingStep(model(kernels=kernels), size)


WHOLE = "training step"
BENCHMARK = Benchmark(
    sides={
        **{name: _part(name, "auto") for name in PARTS},
        **{f"{name}, reference": _part(name, "reference") for name in PARTS},
        WHOLE: _whole("auto"),
        f"{WHOLE}, reference": _whole("reference"),
    },
    cases=[Case(size, name, f"{name}, reference", same=name != WHOLE) for size in _SIZES for name in (WHOLE, *PARTS)],
    tiny={"batch": 2, "length": 3},
    label=lambda size: f"B{size['batch']} L{size['length']}",
    tolerance=Tolerance(outputs=1e-5, gradients=1e-4),
)
