"""Harm to a trained network: noise on the windows it reads, neurons or channels that fall silent.

Noise and choices are drawn from seeds that know nothing of the model, so that all models meet the same noise.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from neurofmx.evaluation.robustness import Robustness, noise_name
from neurofmx.tokenizers.cutting.windows import Windows

if TYPE_CHECKING:
    from torch import Tensor, nn

NEURONS, CHANNELS = "spiking neurons of each block", "input channels"


def noisy(windows: Windows, level: float, *, seed: int = 0) -> Windows:
    """The windows with Gaussian noise on what each fold tests.

    Args:
        windows: Windows of one dataset, no text: numbers of tokens have no scale.
        level: Standard deviation of the noise in that of the fold's training windows, 0 or more.
        seed: Of the noise; its shape is the same for all levels, only its size differs.

    Returns:
        A copy; padding and channels that a recording lacks stay as they are. Windows that overlap get noise of their
        own each, as if measured apart.

    Raises:
        ValueError: If the windows are a text, or the level is below 0.
    """
    if windows.task.kind == "next_token":
        raise ValueError(
            f"{windows.dataset} is a text: there is no noise on numbers of tokens; silence neurons instead"
        )
    if level < 0:
        raise ValueError(f"level={level}: must be 0 or more standard deviations")
    x = windows.x.astype(np.float32, copy=True)
    for fold in range(windows.folds):
        index = windows.fold(fold).test
        drawn = np.random.default_rng([seed, fold]).standard_normal((len(index), *x.shape[1:]), dtype=np.float32)
        std = windows.std[fold]
        std = std[windows.group[index], None] if windows.montage == "own" else std
        x[index] += level * drawn * std * windows.present[windows.group[index], None]
    return replace(windows, x=x)


def noises(windows: Windows, robustness: Robustness) -> dict[str, Windows]:
    """The windows under each level of noise, by the name of the condition; none of a text."""
    levels = () if windows.task.kind == "next_token" else robustness.noise
    return {noise_name(level): noisy(windows, level) for level in levels}


def spiking_units(backbone: nn.Module) -> int:
    """Spiking neurons of a block; 0 for a network without any."""
    return min((current.out_features for current in _currents(backbone)), default=0)


@contextmanager
def silenced_neurons(backbone: nn.Module, count: int, *, seed: int) -> Iterator[None]:
    """Let `count` spiking neurons of every block get no current while the context is open: at rest, they never fire.

    Args:
        backbone: A network with spiking neurons.
        count: Neurons of each block, 0 to all but one.
        seed: Of the choice; a larger count silences the same neurons and more.

    Raises:
        ValueError: If a block has no neuron left.
    """
    import torch

    if count >= (units := spiking_units(backbone)):
        raise ValueError(f"count={count}: must leave one of {units} {NEURONS}")
    handles = []
    for block, current in enumerate(_currents(backbone)):
        alive = torch.ones(current.out_features)
        alive[np.random.default_rng([seed, block]).permutation(current.out_features)[:count]] = 0.0
        handles.append(current.register_forward_hook(_masking(alive)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def silenced_channels(x: Tensor, count: int, *, seed: int) -> Tensor:
    """Windows of which `count` channels stay at their training mean.

    Args:
        x: Standardised windows `(batch, time, channels)`.
        count: Channels, 0 to all but one.
        seed: Of the choice; a larger count silences the same channels and more.

    Returns:
        A copy, shape as `x`.

    Raises:
        ValueError: If no channel is left.
    """
    if count >= (channels := x.shape[-1]):
        raise ValueError(f"count={count}: must leave one of {channels} {CHANNELS}")
    harmed = x.clone()
    harmed[..., np.random.default_rng(seed).permutation(channels)[:count]] = 0.0
    return harmed


def _currents(backbone: nn.Module) -> list[nn.Linear]:
    """The layers that drive spiking neurons, one a block: submodule `current` of what has `num_spike_steps`."""
    from torch import nn

    encoders = [module for module in backbone.modules() if hasattr(module, "num_spike_steps")]
    return [encoder.current for encoder in encoders if isinstance(getattr(encoder, "current", None), nn.Linear)]  # type: ignore[misc]


def _masking(alive: Tensor):
    """A hook that takes the current of some neurons away."""
    return lambda module, inputs, current: current * alive.to(current)
