"""How the thresholds of a population's neurons are spread, so that each takes over at another strength of the input.

| name          | thresholds of a population                                                                    |
|---------------|-----------------------------------------------------------------------------------------------|
| `uniform`     | equally far apart: the same resolution everywhere                                             |
| `gaussian`    | quantiles of a normal distribution: dense, so finely resolved, near the mean                  |
| `logarithmic` | equal ratios: the same relative resolution everywhere (Weber's law), dense at weak inputs     |

All run from `1 - spread` to `1 + spread` times the threshold that a single neuron would have.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from neurofmx.tables import pick

ThresholdDistribution = Literal["uniform", "gaussian", "logarithmic"]


def uniform(places: Tensor, spread: float) -> Tensor:
    """Thresholds equally far apart.

    Args:
        places: Centres of equal shares of a population, from 0 to 1 (neurons,).
        spread: Half the width of the range, 0 or more and below 1.

    Returns:
        Factors (neurons,).
    """
    return 1.0 + spread * _outermost_at_one(places - 0.5)


def gaussian(places: Tensor, spread: float) -> Tensor:
    """Quantiles of a normal distribution, whose deviation is such that the outermost are at the range's ends.

    Args:
        places: As for `uniform`.
        spread: As for `uniform`.

    Returns:
        Factors (neurons,).
    """
    return 1.0 + spread * _outermost_at_one(torch.special.ndtri(places))


def logarithmic(places: Tensor, spread: float) -> Tensor:
    """A geometric series.

    Args:
        places: As for `uniform`.
        spread: As for `uniform`.

    Returns:
        Factors (neurons,).

    Source:
        Nieder and Miller (2003), Coding of cognitive magnitude, Neuron 37 (scales of neurons that are compressed so).
    """
    share = (_outermost_at_one(places - 0.5) + 1.0) / 2.0
    return (1.0 - spread) * ((1.0 + spread) / (1.0 - spread)) ** share


THRESHOLDS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "uniform": uniform,
    "gaussian": gaussian,
    "logarithmic": logarithmic,
}


def threshold_factors(name: str, population_size: int, *, spread: float = 0.5) -> Tensor:
    """What the thresholds of a population are, in units of that of a single neuron.

    Args:
        name: A key of `THRESHOLDS`.
        population_size: Number of neurons, 1 or more.
        spread: Half the width of the range, 0 (all the same) or more and below 1.

    Returns:
        Factors (population_size,), float64, from the lowest to the highest; 1 for a single neuron.

    Raises:
        ValueError: If the name is unknown, or a number is out of range.

    Example:
        >>> threshold_factors("uniform", 5).tolist()
        [0.5, 0.75, 1.0, 1.25, 1.5]
        >>> threshold_factors("logarithmic", 3, spread=0.6).tolist()
        [0.4, 0.8, 1.6]
    """
    distribution = pick(THRESHOLDS, name, "threshold_distribution")
    if population_size < 1:
        raise ValueError(f"population_size must be 1 neuron or more, got {population_size}; the usual value is 5")
    if not 0.0 <= spread < 1.0:
        raise ValueError(f"spread must be 0 or more and below 1, got {spread}; the usual value is 0.5")
    if population_size == 1:
        return torch.ones(1, dtype=torch.float64)
    places = (torch.arange(population_size, dtype=torch.float64) + 0.5) / population_size
    return distribution(places, spread)


def _outermost_at_one(offsets: Tensor) -> Tensor:
    """Offsets from a centre, scaled so that the largest is 1."""
    return offsets / offsets.abs().max()
