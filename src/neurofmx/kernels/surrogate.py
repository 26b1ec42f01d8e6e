"""Spikes that can be trained through: a step forward, a smooth slope backward.

A spike is a step function of the distance between membrane potential and threshold, so its true derivative is zero
almost everywhere. Training replaces that derivative, and nothing else, by a bump around the threshold.

Symbols: `x = u - theta` distance to the threshold, `k` slope (the larger, the narrower the bump).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from neurofmx.tables import pick

Surrogate = Literal["fast_sigmoid", "atan", "straight_through", "sigmoid", "triangular", "gaussian"]


def fast_sigmoid(x: Tensor, slope: float) -> Tensor:
    """Derivative of the fast sigmoid `x / (1 + k|x|)`.

    Args:
        x: Distance to the threshold, any shape.
        slope: `k`, above 0.

    Returns:
        `1 / (1 + k|x|)^2`, the shape of `x`.

    Source:
        Zenke and Ganguli (2018), SuperSpike, Neural Computation 30.
    """
    return (slope * x.abs() + 1.0).pow(-2)


def atan(x: Tensor, slope: float) -> Tensor:
    """Derivative of the shifted arc tangent `arctan(pi k x / 2) / pi`.

    Args:
        x: Distance to the threshold, any shape.
        slope: `k` (the paper's alpha, there 2), above 0.

    Returns:
        `(k / 2) / (1 + (pi k x / 2)^2)`, the shape of `x`.

    Source:
        Fang et al. (2021), Incorporating Learnable Membrane Time Constant, ICCV, section 3.
    """
    return slope / 2.0 / ((math.pi / 2.0 * slope * x).square() + 1.0)


def straight_through(x: Tensor, slope: float) -> Tensor:
    """The derivative of the identity: gradients pass as if no step were there.

    Args:
        x: Distance to the threshold, any shape.
        slope: Has no effect: the identity has one slope.

    Returns:
        Ones, the shape of `x`.

    Source:
        Bengio, Léonard and Courville (2013), Estimating or Propagating Gradients Through Stochastic Neurons.
    """
    return torch.ones_like(x)


def sigmoid(x: Tensor, slope: float) -> Tensor:
    """Derivative of the logistic function `1 / (1 + exp(-k x))`.

    Args:
        x: Distance to the threshold, any shape.
        slope: `k`, above 0.

    Returns:
        `k y (1 - y)` with the function's value `y`, the shape of `x`.

    Source:
        Zenke and Vogels (2021), The remarkable robustness of surrogate gradient learning, Neural Computation 33.
    """
    y = (slope * x).sigmoid()
    return slope * y * (1.0 - y)


def triangular(x: Tensor, slope: float) -> Tensor:
    """A piecewise linear bump.

    Args:
        x: Distance to the threshold, any shape.
        slope: `k`, above 0; the bump is `2 / k` wide, and nothing is learnt from potentials outside of it.

    Returns:
        `max(0, 1 - k|x|)`, the shape of `x`.

    Source:
        Esser et al. (2016), Convolutional networks for fast, energy-efficient neuromorphic computing, PNAS 113.
    """
    return (1.0 - slope * x.abs()).clamp_min(0.0)


def gaussian(x: Tensor, slope: float) -> Tensor:
    """Density of a normal distribution.

    Args:
        x: Distance to the threshold, any shape.
        slope: `k`, the inverse of the standard deviation, above 0.

    Returns:
        `k exp(-(k x)^2 / 2) / sqrt(2 pi)`, the shape of `x`.

    Source:
        Yin, Corradi and Bohté (2021), Accurate and efficient time-domain classification with adaptive spiking recurrent
        neural networks, Nature Machine Intelligence 3.
    """
    return slope / math.sqrt(2.0 * math.pi) * (-0.5 * (slope * x).square()).exp()


SURROGATES: dict[str, Callable[[Tensor, float], Tensor]] = {
    "fast_sigmoid": fast_sigmoid,
    "atan": atan,
    "straight_through": straight_through,
    "sigmoid": sigmoid,
    "triangular": triangular,
    "gaussian": gaussian,
}

# Those that compiled loops compute, with one division and no exponential.
QUADRATICS: dict[str, Callable[[float], tuple[float, float, float]]] = {
    "fast_sigmoid": lambda k: (1.0, 2.0 * k, k * k),
    "atan": lambda k: (k / 2.0, 0.0, (math.pi / 2.0 * k) ** 2),
    "straight_through": lambda k: (1.0, 0.0, 0.0),
}


def inverse_quadratic(surrogate: Surrogate, slope: float) -> tuple[float, float, float]:
    """A surrogate as `a / (1 + p |x| + q x^2)`, for compiled loops.

    Args:
        surrogate: A key of `SURROGATES`.
        slope: `k`, above 0.

    Returns:
        `a`, `p` and `q`.

    Raises:
        ValueError: If `surrogate` is unknown or has another form, or `slope` is not positive.

    Example:
        >>> inverse_quadratic("fast_sigmoid", 25.0)
        (1.0, 50.0, 625.0)
    """
    check_surrogate(surrogate, slope)
    if surrogate not in QUADRATICS:
        raise ValueError(
            f"surrogate={surrogate!r} is computed by plain torch alone: choose path='auto' or 'reference', "
            f"or one of the surrogates that compiled loops have: {', '.join(QUADRATICS)}"
        )
    return QUADRATICS[surrogate](slope)


def check_surrogate(surrogate: Surrogate, slope: float) -> None:
    """Checks the choice of a surrogate.

    Args:
        surrogate: A key of `SURROGATES`.
        slope: Its sharpness, above 0.

    Raises:
        ValueError: If `surrogate` is unknown or `slope` is not positive.
    """
    pick(SURROGATES, surrogate, "surrogate")
    if not slope > 0:
        raise ValueError(f"slope must be above 0, got {slope}; the usual value is 25")


class _Step(torch.autograd.Function):
    """Heaviside step whose backward multiplies by a chosen derivative."""

    @staticmethod
    def forward(ctx, x: Tensor, derivative: Callable[[Tensor, float], Tensor], slope: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.derivative, ctx.slope = derivative, slope
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        return grad_outputs[0] * ctx.derivative(x, ctx.slope), None, None


def spike(x: Tensor, *, surrogate: Surrogate = "fast_sigmoid", slope: float = 25.0) -> Tensor:
    """Fires where the membrane potential is above the threshold.

    Args:
        x: Membrane potential minus threshold, any shape.
        surrogate: Derivative that training uses, a key of `SURROGATES`.
        slope: Sharpness of that derivative, above 0.

    Returns:
        1 where `x > 0` and 0 elsewhere, in the shape and dtype of `x`.

    Raises:
        ValueError: If `surrogate` is unknown or `slope` is not positive.

    Example:
        >>> spike(torch.tensor([-0.1, 0.0, 0.1]))
        tensor([0., 0., 1.])
    """
    check_surrogate(surrogate, slope)
    return _Step.apply(x, SURROGATES[surrogate], slope)  # pyright: ignore[reportReturnType]
