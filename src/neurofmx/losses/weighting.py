"""The contract of what makes one loss of several."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from torch import Tensor, nn


class Weighting(nn.Module, ABC):
    """Joins named losses, any of which a step may lack. All that training changes is in its `state_dict`, by name.

    Args:
        names: What the losses are called.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.names = tuple(names)

    @abstractmethod
    def total(self, losses: Mapping[str, Tensor], *, shared: Sequence[Tensor]) -> Tensor:
        """One loss for a step.

        Args:
            losses: Scalars by name, of at least one of the names.
            shared: Parameters that all losses go through; only some weightings look at them.

        Returns:
            A scalar with gradient.
        """

    @abstractmethod
    def weights(self) -> dict[str, float]:
        """What each loss is multiplied by now."""
