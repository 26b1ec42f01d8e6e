"""What parts of a network add to the loss of a pass in training, beside the task's."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

Offer = Callable[[], Tensor | None]


def auxiliary_offers(model: nn.Module) -> list[Offer]:
    """The parts of a network that have a term of their own.

    Such a part offers it as `take_auxiliary_loss()`, which hands the term of the last pass over once.

    Args:
        model: The network, whole: parts that are put into it later are not among them.

    Returns:
        Their methods, in the order of the network's modules.
    """
    found = [getattr(module, "take_auxiliary_loss", None) for module in model.modules()]
    return [offer for offer in found if offer is not None]


def taken(offers: list[Offer]) -> Tensor | float:
    """Collects the terms that a network's last pass in training left behind.

    Args:
        offers: What `auxiliary_offers` found in the network.

    Returns:
        Their sum, a scalar with gradient; 0.0 where there are none.
    """
    terms = [offer() for offer in offers]
    return sum((term for term in terms if term is not None), 0.0)
