"""Weights under which all losses are learnt at the same rate: gradients of one size, larger for what lags behind.

Symbols: `w[i]` weight, `L[i]` loss, `L0[i]` its value at the first step; W the shared parameters.

    G[i] = | d(w[i] L[i]) / dW |                     r[i] = (L[i] / L0[i]) / mean_j (L[j] / L0[j])
    w is moved down the gradient of  sum_i | G[i] - mean(G) r[i]^alpha |,  the second term held still

As `G[i] = w[i] g[i]` with `g[i]` the gradient of the loss itself, the slope of w[i] is `sign(...) g[i]`, so no second
derivative is needed. After a step the weights that moved get back the sum they had.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from neurofmx.losses.weighting import Weighting

FIRST, SECOND, SMALL = 0.9, 0.999, 1e-8  # of Adam, by which the weights are moved
LEAST_WEIGHT = 1e-3  # a loss with a weight of 0 would have a gradient of 0 for ever


class GradNorm(Weighting):
    """Weights by the norms of gradients. Every call in training moves them; no optimiser does.

    It costs a backward pass for each loss down to `shared`; give the last layer that all losses go through.

    Args:
        names: What the losses are called.
        alpha: How strongly losses that lag behind are pulled up, at least 0; 0 only levels the gradients. The paper
            has 1.5 for tasks that differ much, 0.12 for some that are alike.
        rate: Learning rate of the weights, above 0.

    Raises:
        ValueError: If `alpha` or `rate` is out of range.

    Source:
        Chen et al. (2018), GradNorm: gradient normalization for adaptive loss balancing in deep multitask networks,
        section 3.2 and algorithm 1; the weights' steps by Kingma and Ba (2015), Adam.
    """

    def __init__(self, names: Sequence[str], *, alpha: float = 1.5, rate: float = 0.025) -> None:
        super().__init__(names)
        if not (alpha >= 0 and rate > 0):
            raise ValueError(f"alpha={alpha}, rate={rate}: alpha must be at least 0, the rate above 0")
        self.alpha, self.rate = alpha, rate
        self.balance = nn.ModuleDict({name: _Balance() for name in names})

    def total(self, losses: Mapping[str, Tensor], *, shared: Sequence[Tensor] = ()) -> Tensor:
        """The weighted sum, by the weights before this step moves them.

        Raises:
            ValueError: If there is nothing shared in training, or a loss does not go through it.
        """
        weights = torch.stack([self._of(name).weight for name in losses])
        total = (weights * torch.stack(list(losses.values()))).sum()
        if self.training and torch.is_grad_enabled():
            self._move(losses, shared)
        return total

    def weights(self) -> dict[str, float]:
        """The weights now, of the sum of as many as there are."""
        return {name: float(self._of(name).weight) for name in self.names}

    def _of(self, name: str) -> _Balance:
        balance = self.balance[name]
        assert isinstance(balance, _Balance)
        return balance

    def _move(self, losses: Mapping[str, Tensor], shared: Sequence[Tensor]) -> None:
        """Moves the weights of the losses that are there by one step."""
        norms = torch.stack([_gradient_norm(name, loss, shared) for name, loss in losses.items()])
        with torch.no_grad():
            moved = [self._of(name) for name in losses]
            for balance, loss in zip(moved, losses.values(), strict=True):
                balance.begin(loss)
            weight, ratio = (torch.stack([getattr(each, of) for each in moved]) for of in ("weight", "ratio"))
            sizes = weight * norms
            target = sizes.mean() * (ratio / ratio.mean().clamp_min(SMALL)) ** self.alpha
            for balance, slope in zip(moved, torch.sign(sizes - target) * norms, strict=True):
                balance.step(slope, rate=self.rate)
            lost = weight.sum() / torch.stack([each.weight for each in moved]).sum()
            for balance in moved:
                balance.weight.mul_(lost)


class _Balance(nn.Module):
    """What is kept of one loss: its weight, its first value, its value against that, and Adam's moments."""

    weight: Tensor
    initial: Tensor
    ratio: Tensor
    mean: Tensor
    square: Tensor
    steps: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name, value in {
            "weight": 1.0,
            "initial": 0.0,
            "ratio": 1.0,
            "mean": 0.0,
            "square": 0.0,
            "steps": 0.0,
        }.items():
            self.register_buffer(name, torch.tensor(value))

    def begin(self, loss: Tensor) -> None:
        """Takes note of a loss, and of the first one above 0 as what later ones are held against."""
        self.initial.copy_(torch.where(self.initial > 0, self.initial, loss))
        self.ratio.copy_(torch.where(self.initial > 0, loss / self.initial.clamp_min(SMALL), 1.0))

    def step(self, slope: Tensor, *, rate: float) -> None:
        """Moves the weight down its slope."""
        self.steps += 1
        self.mean.lerp_(slope.to(self.mean), 1 - FIRST)
        self.square.lerp_(slope.to(self.square).square(), 1 - SECOND)
        mean, square = self.mean / (1 - FIRST**self.steps), self.square / (1 - SECOND**self.steps)
        self.weight.sub_(rate * mean / (square.sqrt() + SMALL)).clamp_min_(LEAST_WEIGHT)


def _gradient_norm(name: str, loss: Tensor, shared: Sequence[Tensor]) -> Tensor:
    """Length of a loss's gradient with respect to everything shared."""
    if not shared:
        raise ValueError(
            "shared is empty: GradNorm needs parameters that all losses go through, such as a last layer's"
        )
    slopes = torch.autograd.grad(loss, list(shared), retain_graph=True, allow_unused=True) if loss.requires_grad else ()
    found = [slope.detach().square().sum() for slope in slopes if slope is not None]
    if not found:
        raise ValueError(f"loss {name!r} does not go through the shared parameters: share others, or leave it out")
    return torch.stack(found).sum().sqrt()
