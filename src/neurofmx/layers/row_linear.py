"""A linear layer whose bits do not depend on how many rows it is given."""

from __future__ import annotations

from typing import Self

from torch import Tensor, nn

from neurofmx.kernels.linear import row_linear


class RowLinear(nn.Linear):
    """`nn.Linear` whose rows are multiplied alike, alone or with others, see `neurofmx.kernels.linear`.

    With it a spiking network that reads a stream token by token fires exactly where one that reads it in one pass does.
    """

    @classmethod
    def of(cls, linear: nn.Linear) -> Self:
        """A layer that shares the weights of another."""
        made = cls(linear.in_features, linear.out_features, bias=linear.bias is not None, device="meta")
        made.weight, made.bias = linear.weight, linear.bias
        return made

    def forward(self, input: Tensor) -> Tensor:
        """Maps inputs (..., in_features) to outputs (..., out_features)."""
        return row_linear(input, self.weight, self.bias)
