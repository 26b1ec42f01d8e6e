"""Maximum mean discrepancy: how far two clouds of features are from the same distribution.

Symbols: `x` m features of one domain, `y` n of the other; `k(a, b) = exp(-|a - b|^2 / (2 s^2))`, `s` the bandwidth.

    L = sum_ij k(x_i, x_j) / m^2 + sum_ij k(y_i, y_j) / n^2 - 2 sum_ij k(x_i, y_j) / (m n)

This estimate of the squared discrepancy is biased: it is never below 0, and is 0 for equal clouds, so it makes a loss.
With several bandwidths the kernel is the mean of theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor

from neurofmx.kernels.precision import full_precision
from neurofmx.losses.masking import rows_where


@full_precision
def mmd_biased(
    x: Tensor, y: Tensor, *, bandwidth: Tensor | float | None = None, multiples: Sequence[float] = (1.0,)
) -> Tensor:
    """Squared discrepancy of two clouds, at least 0.

    Args:
        x: Features (m, D), at least one.
        y: Features (n, D), at least one.
        bandwidth: Standard deviation of the kernel, above 0; None for `median_distance` of both clouds.
        multiples: Of the bandwidth, one kernel each.

    Returns:
        A scalar, 0 to 2.

    Raises:
        ValueError: If a cloud is empty, widths differ, or the bandwidth is a number not above 0.

    Source:
        Gretton et al. (2012), A kernel two-sample test, JMLR 13, equation 5, squared.
    """
    xx, yy, xy = _kernels(x, y, bandwidth, multiples)
    # clouds that are nearly the same differ by rounding, which may lie below 0
    return (xx.mean() + yy.mean() - 2 * xy.mean()).clamp_min(0.0)


def domain_mmd(
    features: Tensor,
    domain: Tensor,
    *,
    mask: Tensor | None = None,
    bandwidth: Tensor | float | None = None,
    multiples: Sequence[float] = (1.0,),
) -> Tensor:
    """Biased squared discrepancy of every two domains in a batch, mean over the pairs.

    Args:
        features: Features (N, D).
        domain: Index of each row's domain (N,), int64.
        mask: Which rows count (N,), bool; the others may hold anything. None for all.
        bandwidth: As of `mmd_biased`; None for the median distance of all rows that count, one for all pairs.
        multiples: As of `mmd_biased`.

    Returns:
        A scalar, 0 to 2; 0 where rows of fewer than two domains count.

    Raises:
        ValueError: If shapes disagree.

    Source:
        Long et al. (2015), Learning transferable features with deep adaptation networks, for features of a network and
        several bandwidths.
    """
    features, domain = rows_where(mask, features, domain)
    clouds = [features[domain == each] for each in domain.unique()]
    if len(clouds) < 2:
        return features[:0].sum()
    bandwidth = median_distance(features) if bandwidth is None else bandwidth
    pairs = [mmd_biased(x, y, bandwidth=bandwidth, multiples=multiples) for x, y in combinations(clouds, 2)]
    return torch.stack(pairs).mean()


@torch.no_grad()
@full_precision
def median_distance(features: Tensor) -> Tensor:
    """The median heuristic: median distance of all pairs of features (N, D), a scalar without gradient; 1 if it is 0.

    Source:
        Gretton et al. (2012), section 8.
    """
    features = features - features.mean(0)
    distances = _squared_distances(features, features)
    first, second = torch.triu_indices(*distances.shape, offset=1, device=features.device)
    if not len(first):
        return features.new_ones(())
    median = distances[first, second].median()
    return torch.where(median > 0, median, torch.ones_like(median)).sqrt()


def _kernels(
    x: Tensor, y: Tensor, bandwidth: Tensor | float | None, multiples: Sequence[float]
) -> tuple[Tensor, Tensor, Tensor]:
    """Kernels of all pairs within each cloud and between them."""
    if not (len(x) and len(y)) or x.shape[1:] != y.shape[1:]:
        raise ValueError(f"x {tuple(x.shape)} and y {tuple(y.shape)}: give at least 1 of one width in each")
    if not isinstance(bandwidth, Tensor | None) and not bandwidth > 0:
        raise ValueError(f"bandwidth={bandwidth}: must be above 0; None takes the median distance")
    both = torch.cat([x, y])
    bandwidth = median_distance(both) if bandwidth is None else bandwidth
    centre = both.detach().mean(0)  # distances stay, their rounding error shrinks
    x, y = x - centre, y - centre
    return _kernel(x, x, bandwidth, multiples), _kernel(y, y, bandwidth, multiples), _kernel(x, y, bandwidth, multiples)


def _kernel(a: Tensor, b: Tensor, bandwidth: Tensor | float, multiples: Sequence[float]) -> Tensor:
    """Mean of Gaussian kernels of all pairs (m, n)."""
    distances = _squared_distances(a, b)
    return torch.stack([torch.exp(-distances / (2 * (each * bandwidth) ** 2)) for each in multiples]).mean(0)


def _squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """Squared distances of all pairs (m, n), at least 0."""
    squares = a.square().sum(1)[:, None] + b.square().sum(1)
    return (squares - 2 * a @ b.T).clamp_min(0.0)
