"""The learnt numbers of spiking neurons: free numbers behind decays and thresholds, and what no neuron can have.

No training step can leave the valid range, as a decay is the sigmoid of a free number, and what must be positive the
softplus of one.
"""

from __future__ import annotations

import math

import torch
from torch import nn


def numbers(neurons: int, value: float, *, learn: bool) -> nn.Parameter:
    """Makes a number of every neuron, the same at the start.

    Args:
        neurons: Number of neurons.
        value: The free number.
        learn: Whether training adapts it.

    Returns:
        The parameter (neurons,).
    """
    return nn.Parameter(torch.full((neurons,), value), requires_grad=learn)


def logit(decay: float) -> float:
    """Finds the free number behind a decay.

    Args:
        decay: Above 0 and below 1.

    Returns:
        What has that sigmoid.
    """
    return math.log(decay / (1.0 - decay))


def logit_of_tau(tau: float) -> float:
    """Finds the free number behind the decay of a time constant, `exp(-1 / tau)`.

    Args:
        tau: Time constant in steps, above 0.

    Returns:
        What has that sigmoid.

    Example:
        >>> abs(logit_of_tau(1 / math.log(2.0))) < 1e-12  # a half remains of every step
        True
    """
    return -1.0 / tau - math.log(-math.expm1(-1.0 / tau))


def inverse_softplus(positive: float) -> float:
    """Finds the free number behind a positive one.

    Args:
        positive: Above 0.

    Returns:
        What has that softplus.

    Example:
        >>> round(inverse_softplus(math.log(2.0)), 12)
        0.0
    """
    return positive + math.log(-math.expm1(-positive))


def check_range(num_spike_steps: int, beta: float, threshold: float) -> None:
    """Refuses numbers that no neuron can have.

    Args:
        num_spike_steps: Steps per current.
        beta: Decay of the potential per step.
        threshold: Potential above which a neuron fires.

    Raises:
        ValueError: If one is out of range.
    """
    if num_spike_steps < 1:
        raise ValueError(f"num_spike_steps must be 1 or more, got {num_spike_steps}")
    if not 0.0 < beta < 1.0:
        raise ValueError(f"beta must be above 0 and below 1, got {beta}; the usual value is 0.95")
    if not threshold > 0.0:
        raise ValueError(f"threshold must be above 0, got {threshold}; the usual value is 1.0")


def check_slow(synaptic_tau: float | None, threshold_adaptation: float, adaptation_tau: float) -> None:
    """Refuses synapses and adaptations that no neuron can have.

    Args:
        synaptic_tau: Time constant of the synaptic current in steps, `None` for none.
        threshold_adaptation: Rise of the threshold.
        adaptation_tau: Time constant of the rise in steps.

    Raises:
        ValueError: If one is out of range.
    """
    if synaptic_tau is not None and not synaptic_tau > 0.0:
        raise ValueError(f"synaptic_tau must be above 0 spike steps, got {synaptic_tau}; None is without a synapse")
    if not threshold_adaptation >= 0.0:
        raise ValueError(f"threshold_adaptation must be 0 or more, got {threshold_adaptation}; the usual value is 1.8")
    if not adaptation_tau > 0.0:
        raise ValueError(f"adaptation_tau must be above 0 spike steps, got {adaptation_tau}; the usual value is 100")
