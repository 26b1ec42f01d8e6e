"""Merge parallel paths by weights that the data chooses, head by head."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class AdaptiveGating(nn.Module):
    """Multi-head gate over parallel paths.

    The channels are split into heads. For every token and head, a softmax over the paths says how much of each path
    goes into that head's channels. It sees all paths, and a learnt preference per head, the fusion weights.

    Args:
        dim: Channels of every path and of the output.
        num_paths: Number of paths, 2 or more.
        num_gate_heads: Number of heads; must divide `dim`.
        temperature: Softness of the choice, above 0: small picks one path, large averages.

    Raises:
        ValueError: If `num_gate_heads` does not divide `dim`, or another number is out of range.

    Source:
        Jacobs et al. (1991), Adaptive Mixtures of Local Experts, Neural Computation 3, with one gate per head.
    """

    def __init__(self, dim: int, *, num_paths: int = 2, num_gate_heads: int = 4, temperature: float = 1.0) -> None:
        super().__init__()
        if num_paths < 2:
            raise ValueError(f"num_paths must be 2 or more, got {num_paths}: one path needs no gate")
        if num_gate_heads < 1 or dim % num_gate_heads:
            raise ValueError(f"num_gate_heads must divide dim={dim}, got {num_gate_heads}")
        if not temperature > 0.0:
            raise ValueError(f"temperature must be above 0, got {temperature}; the usual value is 1")
        self.heads, self.paths, self.temperature = num_gate_heads, num_paths, temperature
        self.score = nn.Linear(num_paths * dim, num_gate_heads * num_paths)
        self.fusion = nn.Parameter(torch.zeros(num_gate_heads, num_paths))
        self.fusion.no_weight_decay = True  # type: ignore[attr-defined]  # a preference, not a product
        self.output = nn.Linear(dim, dim)

    def weights(self, paths: Sequence[Tensor]) -> Tensor:
        """How much each path counts.

        Args:
            paths: The paths, each (batch, length, dim).

        Returns:
            Weights (batch, length, heads, paths), 0 to 1, which sum to 1 over the paths.
        """
        scores = self.score(torch.cat(tuple(paths), -1)).unflatten(-1, (self.heads, self.paths))
        return (scores / self.temperature + self.fusion).softmax(-1)

    def forward(self, paths: Sequence[Tensor]) -> Tensor:
        """Merges the paths.

        Args:
            paths: The paths, each (batch, length, dim).

        Returns:
            The weighted sum of the paths, projected (batch, length, dim).
        """
        shares = self.weights(paths).unsqueeze(-1).unbind(-2)
        parts = [path.unflatten(-1, (self.heads, -1)) * share for path, share in zip(paths, shares, strict=True)]
        return self.output(sum(parts[1:], parts[0]).flatten(-2))
