"""A training step of the model in params.yaml, to compare revisions with; it has no peer.

Sizes: `batch` and `length` in tokens.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

import neurofmx
from benchmarks.case import Benchmark, Size
from benchmarks.side import NotThere, ours, resolved


class TrainingStep:
    """Forward, loss, backward, clipping and AdamW, all that an update of the weights takes.

    Args:
        model: The network.
        size: Batch and length of the tokens.
    """

    def __init__(self, model: Any, size: Size) -> None:
        self.model, self.path = model, resolved(model.config.kernels)
        self.parameters = sum(parameter.numel() for parameter in model.parameters())
        self.tokens = torch.randn(size["batch"], size["length"], model.config.hidden_dim)
        self.optimizer = torch.optim.AdamW(model.parameters(), fused=True)

    def step(self) -> None:
        """Updates the weights once."""
        states, _ = self.model(self.tokens)
        states[:, -1].square().mean().backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()


def settings(root: Path) -> dict[str, Any]:
    """Section `model` of the params.yaml of a revision.

    Args:
        root: The revision's files.

    Returns:
        Its keys and values.

    Raises:
        NotThere: If there is no such section.
    """
    from ruamel.yaml import YAML

    try:
        return dict(YAML(typ="safe").load(root / "params.yaml")["model"])
    except (OSError, KeyError, TypeError) as error:
        raise NotThere(f"this revision has no model in params.yaml ({error})") from error


def model(**changes: Any) -> Any:
    """The network of the revision that is imported, as its params.yaml describes it.

    Args:
        **changes: Settings to replace.

    Returns:
        The network with its first weights, in training mode.
    """
    config, network = (
        ours("models.hybrid.config", "HybridConfig"),
        ours("models.hybrid.network", "MambaLiquidSpikingNetwork"),
    )
    torch.manual_seed(0)
    assert neurofmx.__file__ is not None
    return network(config(**settings(Path(neurofmx.__file__).parents[2]) | changes))


BENCHMARK = Benchmark(
    sides={"neurofmx": lambda size: TrainingStep(model(), size)},
    cases=[],
    tiny={"batch": 2, "length": 3},
    label=lambda size: f"B{size['batch']} L{size['length']}",
    tolerance=None,
)
