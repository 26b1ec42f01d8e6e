"""The domain branch: which species or session a state is of, asked so that the states learn not to say it."""

from __future__ import annotations

from torch import Tensor, nn

from neurofmx.layers.gradient_reversal import reverse_gradient
from neurofmx.models.foundation.registry import EmbeddingRegistry


class DomainBranch(nn.Module):
    """A classifier of domains behind a gradient reversal. New domains leave the weights of the others as they are.

    Args:
        dim: Channels of a state.
        dropout: Share of features dropped in training.

    Source:
        Ganin et al. 2016, "Domain-adversarial training of neural networks", section 4.1 and figure 1.
    """

    def __init__(self, dim: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, dim), nn.GELU(), nn.Dropout(dropout))
        self.domains = EmbeddingRegistry(dim)

    def add(self, name: str) -> int:
        """Tell one more domain apart; returns its index."""
        return self.domains.add(name)[0]

    def forward(self, states: Tensor, strength: float = 1.0) -> Tensor:
        """Logits of the domains, whose gradient reaches the states turned round.

        Args:
            states: States (B, dim), such as the mean over a window.
            strength: Of the reversal, see `neurofmx.layers.gradient_reversal.reversal_strength`.

        Returns:
            Logits (B, domains).
        """
        return self.logits(reverse_gradient(states, strength))

    def logits(self, states: Tensor) -> Tensor:
        """The same without reversal, for losses of domain confusion and for asking what the states say."""
        return self.layers(states) @ self.domains.vectors.mT
