"""Features of which a classifier of domains is as unsure as can be.

Symbols: `p` the classifier's probabilities of K domains, `H(p)` their entropy.

    L = log K - H(p) = KL(p, uniform)

It is 0 where every domain is believed the same, and `log K` where one is believed wholly. Only the features learn from
it: the classifier's weights are held still, else it would soon answer the same to everything. Train those by their own
loss, such as `domain_cross_entropy` of detached features.
"""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import log_softmax

from neurofmx.kernels.precision import full_precision
from neurofmx.losses.masking import rows_where


def domain_confusion(features: Tensor, classifier: nn.Module, *, mask: Tensor | None = None) -> Tensor:
    """How much below its highest value the entropy of the believed domains is, mean over rows.

    Args:
        features: Features (N, D).
        classifier: Features (N, D) to logits (N, domains); it gets no gradient from here.
        mask: Which rows count (N,), bool; the others may hold anything. None for all.

    Returns:
        A scalar, nats, 0 to `log domains`; 0 where no row counts.

    Raises:
        ValueError: If shapes disagree.

    Source:
        Tzeng et al. (2015), Simultaneous deep transfer across domains and tasks, equations 3 to 5, with the entropy of
        the classifier's belief in place of its cross-entropy with the uniform one.
    """
    (features,) = rows_where(mask, features)
    held = {name: parameter.detach() for name, parameter in classifier.named_parameters()}
    return missing_entropy(functional_call(classifier, held, (features,)))


@full_precision
def missing_entropy(logits: Tensor) -> Tensor:
    """`log K` less the entropy of logits (N, K), nats, mean over rows; 0 of nothing."""
    belief = log_softmax(logits, dim=1)
    entropy = -(belief.exp() * belief).sum(1)
    # of an even belief nothing but rounding is left, which may lie below 0
    return ((math.log(logits.shape[1]) - entropy).sum() / max(1, len(logits))).clamp_min(0.0)
