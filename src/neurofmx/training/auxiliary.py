"""What parts of a network add to the loss of a pass in training, beside the task's."""

from __future__ import annotations

from torch import Tensor, nn


def take_auxiliary_loss(model: nn.Module) -> Tensor | float:
    """Collects the terms that a network's last pass left behind.

    A part of a network that has such a term offers it as `take_auxiliary_loss()`, which hands it over once.

    Args:
        model: The network, after a forward pass in training.

    Returns:
        Their sum, a scalar with gradient; 0.0 where there are none.
    """
    offers = [getattr(module, "take_auxiliary_loss", None) for module in model.modules()]
    terms = [offer() for offer in offers if offer is not None]
    return sum((term for term in terms if term is not None), 0.0)
