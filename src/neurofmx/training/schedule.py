"""The learning rate over a training, as a factor of its highest value; every schedule begins with a rise.

Symbols: `s` steps done so far, `n` steps of the whole training, `w` steps of the rise, `p = (s - w) / (n - w)`.

    cosine         (1 + cos(pi p)) / 2
    constant       1
    linear         1 - p
    inverse_sqrt   sqrt(w / (s + 1))
    one_cycle      half a cosine from 1/25 up to 1 in `w` steps, and half a cosine down to 1/250000
    stable_decay   1, and over the last fifth of all steps linearly to 0
"""

from __future__ import annotations

import math
from collections.abc import Callable

FLOOR, END = 1 / 25, 1 / 250_000  # of one_cycle: torch.optim's div_factor and final_div_factor
DECAY = 0.2  # share of all steps in which stable_decay falls

Schedule = Callable[..., float]


def warmup_cosine(step: int, *, total: int, warmup: int) -> float:
    """Factor of the highest learning rate at a step.

    Args:
        step: Steps done so far, from 0.
        total: Steps of the whole training.
        warmup: Steps of the rise.

    Returns:
        A factor between 0 and 1.

    Source:
        Loshchilov and Hutter 2017, "SGDR", eq. 5, without restarts, after a linear warm-up (Goyal et al. 2017).

    Example:
        >>> [round(warmup_cosine(s, total=10, warmup=2), 2) for s in (0, 1, 2, 6, 10)]
        [0.5, 1.0, 1.0, 0.5, 0.0]
    """
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, total - warmup)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def constant(step: int, *, total: int, warmup: int) -> float:
    """The highest rate after the rise; arguments and result as of `warmup_cosine`."""
    return min(1.0, (step + 1) / max(1, warmup))


def linear(step: int, *, total: int, warmup: int) -> float:
    """A straight fall to 0 after the rise; arguments and result as of `warmup_cosine`.

    Source: Devlin et al. 2019, "BERT", appendix A.2.
    """
    if step < warmup:
        return (step + 1) / warmup
    return max(0.0, 1 - (step - warmup) / max(1, total - warmup))


def inverse_sqrt(step: int, *, total: int, warmup: int) -> float:
    """A fall with the root of the steps, which needs no end; arguments and result as of `warmup_cosine`.

    Source: Vaswani et al. 2017, "Attention is all you need", eq. 3, with a highest rate of 1.
    """
    warmup = max(1, warmup)
    return min((step + 1) / warmup, math.sqrt(warmup / (step + 1)))


def one_cycle(step: int, *, total: int, warmup: int) -> float:
    """Up and down once; arguments and result as of `warmup_cosine`. The momentum stays as it is.

    Source: Smith and Topin 2018, "Super-convergence", with the cosines of `torch.optim.lr_scheduler.OneCycleLR`.
    """
    top, last = warmup - 1, total - 1
    if step <= top:
        return _between(FLOOR, 1.0, step / top if top > 0 else 1.0)
    return _between(1.0, END, min(1.0, (step - top) / max(1, last - top)))


def stable_decay(step: int, *, total: int, warmup: int) -> float:
    """The highest rate until the last fifth of all steps; arguments and result as of `warmup_cosine`.

    Source: Hu et al. 2024, "MiniCPM", section 4.2 (warm-up, stable, decay).
    """
    return min(constant(step, total=total, warmup=warmup), max(0.0, (total - step) / max(1.0, DECAY * total)))


def _between(start: float, end: float, share: float) -> float:
    """Half a cosine from one value to another."""
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * share))


SCHEDULES: dict[str, Schedule] = {
    "cosine": warmup_cosine,
    "constant": constant,
    "linear": linear,
    "inverse_sqrt": inverse_sqrt,
    "one_cycle": one_cycle,
    "stable_decay": stable_decay,
}
