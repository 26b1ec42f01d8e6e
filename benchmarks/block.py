"""A whole hybrid block against a causal transformer block with equally many parameters, and against packages.

Sizes: `length` L in tokens; the batch is 1. All have 0.70 million parameters within 2 %, so their widths differ. The
transformer's attention is torch's own fused kernel. Dropout is off on all sides. Spiking and Mamba path are set as in
params.yaml, and the parts stand about in the proportions of the config's defaults: liquid units half of `hidden_dim`,
backbone and spiking units a quarter.

`recomputing` keeps no activations but those at the ends of pieces, see `HybridConfig.recompute_tokens`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from benchmarks.case import Benchmark, Case, Size, Tolerance
from benchmarks.naive import NaiveStack, in_order, only_ours
from benchmarks.side import Side, leaves, ours, resolved

SETTINGS = {"num_spike_steps": 4, "mamba_expand": 1, "mamba_d_state": 8}  # as in params.yaml
PIECE = 1024  # tokens between the ends that `recomputing` keeps

WIDTHS: dict[str, dict[str, int]] = {
    "sequential": {"hidden_dim": 368, "liquid_units": 184, "backbone_units": 92, "spiking_units": 92},
    "parallel": {"hidden_dim": 336, "liquid_units": 168, "backbone_units": 80, "spiking_units": 80},
    "bidirectional": {"hidden_dim": 240, "liquid_units": 120, "backbone_units": 68, "spiking_units": 68},
    "transformer": {"hidden_dim": 240, "num_attention_heads": 5, "feedforward": 4},
}


def _count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _network(mode: str, **changes: Any) -> Any:
    """One of our networks with one block."""
    config, network = (
        ours("models.hybrid.config", "HybridConfig"),
        ours("models.hybrid.network", "MambaLiquidSpikingNetwork"),
    )
    torch.manual_seed(0)
    settings: dict[str, Any] = {
        "integration_mode": mode,
        "num_layers": 1,
        "dropout": 0.0,
        "attention_dropout": 0.0,
        **SETTINGS,
        **WIDTHS[mode],
        **changes,
    }
    return network(config(**settings))


def _tokens(size: Size, width: int) -> torch.Tensor:
    torch.manual_seed(1)
    return leaves(torch.randn(1, size["length"], width))[0]


def hybrid(mode: str, **changes: Any) -> Callable[[Size], Side]:
    """A builder of our network with one block in an integration mode, with other settings where they are named."""

    def build(size: Size) -> Side:
        model = _network(mode, **changes)
        x, path = _tokens(size, model.config.hidden_dim), resolved(model.config.kernels)
        if mode != "sequential":
            return Side(lambda: model(x)[:1], [x, *model.parameters()], path=path, parameters=_count(model))
        common = [x, *in_order(model)]
        return Side(
            lambda: model(x)[:1],
            [*common, *only_ours(model)],
            arrange=lambda gradients: gradients[: len(common)],
            path=path,
            parameters=_count(model),
        )

    return build


def transformer(size: Size) -> Side:
    """One block of the causal transformer that the pipeline compares with."""
    config, network = ours("models.configs", "TransformerConfig"), ours("models.transformer", "Transformer")
    torch.manual_seed(0)
    settings: dict[str, Any] = {"num_layers": 1, "dropout": 0.0, "attention_dropout": 0.0, **WIDTHS["transformer"]}
    model = network(config(**settings))
    x = _tokens(size, model.config.hidden_dim)
    return Side(lambda: model(x)[:1], [x, *model.parameters()], parameters=_count(model))


def _naive(size: Size) -> Side:
    """The same network as ours in sequential mode, from packages."""
    stack = NaiveStack(_network("sequential"))
    x = _tokens(size, stack.model.config.hidden_dim)
    return Side(lambda: [stack(x)], [x, *stack.in_order()], arrange=stack.arrange)


def tokens(size: Size) -> int:
    """Tokens in a step."""
    return size["length"]


def label(size: Size) -> str:
    """Words for a size."""
    return f"L{size['length']}"


_GOALS = {512: {1: 1.5, 2: 1.2}, 2048: {1: 2, 2: 1.6}, 8192: {1: 5, 2: 4}}
_MEMORY = {2048: 1.0, 8192: 0.5}

BENCHMARK = Benchmark(
    sides={
        "hybrid sequential": hybrid("sequential"),
        "hybrid sequential, recomputing": hybrid("sequential", recompute_tokens=PIECE),
        "transformer": transformer,
        "naive stack": _naive,
    },
    cases=[
        *(
            Case({"length": L}, "hybrid sequential", "transformer", goals, _MEMORY.get(L), same=False)
            for L, goals in _GOALS.items()
        ),
        *(
            Case({"length": L}, "hybrid sequential, recomputing", "transformer", {}, goal, same=False)
            for L, goal in _MEMORY.items()
        ),
        *(Case({"length": L}, "hybrid sequential", "naive stack", {1: 20}) for L in (512, 2048)),
    ],
    tiny={"length": 24},
    label=label,
    tolerance=Tolerance(outputs=1e-4, gradients=1e-3),
    tokens=tokens,
)
