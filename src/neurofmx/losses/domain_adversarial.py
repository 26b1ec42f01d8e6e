"""Learn to name the domain and, behind a reversed gradient, features by which nobody can.

Symbols: `f` features, `c` the classifier of domains, `d` the true one.

    L = cross entropy(c(reverse(f)), d)

The classifier goes down its gradient, everything before `f` goes up. Give a strength from
`layers.gradient_reversal.reversal_strength`, which begins at 0: at first the classifier knows nothing worth unlearning.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from neurofmx.kernels.precision import full_precision
from neurofmx.layers.gradient_reversal import reverse_gradient
from neurofmx.losses.masking import rows_where


class DomainClassifier(nn.Module):
    """Features to logits of domains, such as species or sessions, by one hidden layer.

    Args:
        dim: Width of the features.
        domains: How many domains there are, at least 2.
        hidden: Width of the hidden layer.

    Raises:
        ValueError: If there are fewer than 2 domains.
    """

    def __init__(self, dim: int, *, domains: int, hidden: int = 64) -> None:
        super().__init__()
        if domains < 2:
            raise ValueError(
                f"domains={domains}: must be at least 2; leave the domain loss out where there is one only"
            )
        self.layers = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, domains))

    def forward(self, features: Tensor) -> Tensor:
        """Features (N, dim) to logits (N, domains)."""
        return self.layers(features)


def domain_adversarial(
    features: Tensor,
    domain: Tensor,
    classifier: nn.Module,
    *,
    strength: float = 1.0,
    mask: Tensor | None = None,
) -> Tensor:
    """Mean cross-entropy of naming the domain, with the gradient of the features turned round.

    Args:
        features: Features (N, D).
        domain: Index of each row's domain (N,), int64.
        classifier: Features (N, D) to logits (N, domains), learnt by the same loss.
        strength: What the features' gradient is multiplied by, beside -1, at least 0.
        mask: Which rows count (N,), bool; the others may hold anything. None for all.

    Returns:
        A scalar, nats, at least 0; `log K` where K equally frequent domains cannot be told apart; 0 where no row
        counts.

    Raises:
        ValueError: If shapes disagree or the strength is negative.

    Source:
        Ganin et al. (2016), Domain-adversarial training of neural networks, JMLR 17, section 4.
    """
    features, domain = rows_where(mask, features, domain)
    return domain_cross_entropy(classifier(reverse_gradient(features, strength)), domain)


@full_precision
def domain_cross_entropy(logits: Tensor, domain: Tensor) -> Tensor:
    """Mean cross-entropy of logits (N, domains) and domains (N,), a scalar; 0 of nothing."""
    return cross_entropy(logits, domain, reduction="sum") / max(1, len(domain))
