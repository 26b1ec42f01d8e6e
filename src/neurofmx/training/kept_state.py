"""What an optimiser needs to go on after a kill, as named tensors, and which weights it lets decay."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

Weights = dict[str, Tensor]


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> Weights:
    """The state of an optimiser, each tensor as `optimizer/<number of the parameter>/<name>`."""
    return {
        f"optimizer/{index}/{name}": torch.as_tensor(value)
        for index, state in optimizer.state_dict()["state"].items()
        for name, value in state.items()
    }


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: Weights) -> None:
    """Take up the state that `optimizer_tensors` gave."""
    state: dict[int, dict[str, Any]] = {}
    for name, value in under(tensors, "optimizer/").items():
        index, key = name.split("/")
        state.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def under(tensors: Weights, prefix: str) -> Weights:
    """The tensors whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def decayed(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Parameters with weight decay (at least two dimensions) and without (biases, norms, time constants)."""
    wanted = [p for p in model.parameters() if p.requires_grad]
    kept = [p for p in wanted if p.ndim >= 2 and not getattr(p, "no_weight_decay", False)]
    return kept, [p for p in wanted if p.ndim < 2 or getattr(p, "no_weight_decay", False)]
