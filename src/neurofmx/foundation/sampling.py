"""Batches over several datasets: how many rows each gives to a step, and which.

    w[d]    weight of dataset d:  windows     n[d] / sum n
                                  datasets    1 / D
                                  species     1 / (S D[s])      with D[s] datasets of the species s of d

A step of B rows gives dataset d either floor(B w[d]) or ceil(B w[d]) of them, B w[d] in the mean over steps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from neurofmx.foundation.options import Balance


def weights(windows: Sequence[int], species: Sequence[str], *, balance: Balance) -> np.ndarray:
    """Share of a step's rows that each dataset gives.

    Args:
        windows: Number of training windows of each dataset, at least 1.
        species: Who was recorded in each dataset.
        balance: Whether `species`, `datasets` or single `windows` count alike.

    Returns:
        Weights `(datasets,)` that sum to 1.

    Example:
        >>> weights([10, 30, 60], ["mouse", "mouse", "rat"], balance="species").tolist()
        [0.25, 0.25, 0.5]
    """
    if balance == "windows":
        return np.asarray(windows) / np.sum(windows)
    if balance == "datasets":
        return np.full(len(windows), 1 / len(windows))
    kinds = Counter(species)
    return np.array([1 / (len(kinds) * kinds[name]) for name in species])


class BalancedDraws:
    """Steps of an epoch: which rows of which dataset each of them reads.

    Args:
        windows: Number of training rows of each dataset.
        weight: Share of each dataset in a step, summing to 1.
        batch_size: Rows of a step.
        steps: Steps of an epoch.
    """

    def __init__(self, windows: Sequence[int], weight: np.ndarray, *, batch_size: int, steps: int) -> None:
        self.windows, self.batch_size, self.steps = tuple(windows), batch_size, steps
        self._edges = np.cumsum(weight)

    def epoch(self, generator: torch.Generator) -> Iterator[list[Tensor]]:
        """Rows `(n,)` of each dataset, n = 0 for one that has no turn, step by step.

        A dataset's rows come in an order drawn anew; only when all have had their turn is one read again.
        """
        order = [_Deck(number, generator) for number in self.windows]
        for _ in range(self.steps):
            yield [deck.draw(count) for deck, count in zip(order, self.counts(generator), strict=True)]

    def counts(self, generator: torch.Generator) -> list[int]:
        """Rows that each dataset gives to a step, by systematic sampling: one random start, then equal distances.

        Source: Madow and Madow 1944, On the theory of systematic sampling, Annals of Mathematical Statistics 15:1-24.
        """
        start = float(torch.rand((), generator=generator, dtype=torch.float64))
        points = (np.arange(self.batch_size) + start) / self.batch_size
        dataset = np.minimum(np.searchsorted(self._edges, points, side="right"), len(self.windows) - 1)
        return np.bincount(dataset, minlength=len(self.windows)).tolist()


class _Deck:
    """Rows in random order; a new order when all are drawn."""

    def __init__(self, number: int, generator: torch.Generator) -> None:
        self._number, self._generator, self._left = number, generator, torch.zeros(0, dtype=torch.int64)

    def draw(self, count: int) -> Tensor:
        """The next rows."""
        while len(self._left) < count:
            self._left = torch.cat([self._left, torch.randperm(self._number, generator=self._generator)])
        drawn, self._left = self._left[:count], self._left[count:]
        return drawn
