"""Harm to a trained network: noise on the windows it reads, neurons or channels that fall silent.

Noise and choices are drawn from seeds that know nothing of the model, so that all models meet the same noise.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from neurofmx.evaluation.robustness import Robustness, noise_name
from neurofmx.tokenizers.cutting.windows import Windows

if TYPE_CHECKING:
    from torch import Tensor, nn

    from neurofmx.tokenizers.tokens import Sample

NEURONS, CHANNELS = "spiking neurons of each block", "input channels"


def noisy(windows: Windows, level: float, *, seed: int = 0) -> Windows:
    """The windows with Gaussian noise on what each fold tests.

    Args:
        windows: Windows of one dataset, no text: numbers of tokens have no scale.
        level: Standard deviation of the noise in that of the fold's training windows, 0 or more.
        seed: Of the noise; its shape is the same for all levels, only its size differs.

    Returns:
        A copy; padding and channels that a recording lacks stay as they are. Windows that overlap get noise of their
        own each, as if measured apart, and so does what is beside them.

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
    beside = None if windows.beside is None else noisy(windows.beside, level, seed=seed + 1)
    return replace(windows, x=x, beside=beside)


def noises(windows: Windows, robustness: Robustness) -> dict[str, Windows]:
    """The windows under each level of noise, by the name of the condition; none of a text."""
    levels = () if windows.task.kind == "next_token" else robustness.noise
    return {noise_name(level): noisy(windows, level) for level in levels}


def spiking_neurons(backbone: nn.Module) -> int:
    """Spiking neurons of a block, those of all its populations; 0 for a network without any."""
    return min((layer.beta.numel() for layer in _layers(backbone)), default=0)


@contextmanager
def silenced_neurons(backbone: nn.Module, count: int, *, seed: int) -> Iterator[None]:
    """Let `count` spiking neurons of every block get no current while the context is open: at rest, they never fire.

    Neurons are chosen one by one, wherever they stand: of a population some may be silent and others not.

    Args:
        backbone: A network with spiking neurons.
        count: Neurons of each block, 0 to all but one.
        seed: Of the choice; a larger count silences the same neurons and more.

    Raises:
        ValueError: If a block has no neuron left.
    """
    import torch

    if count >= (neurons := spiking_neurons(backbone)):
        raise ValueError(f"count={count}: must leave one of {neurons} {NEURONS}")
    layers = _layers(backbone)
    for block, layer in enumerate(layers):
        chosen = np.random.default_rng([seed, block]).permutation(layer.beta.numel())[:count]
        layer.silent = torch.zeros(layer.beta.shape, dtype=torch.bool, device=layer.beta.device)
        layer.silent[chosen] = True
    try:
        yield
    finally:
        for layer in layers:
            layer.silent = None


def input_channels(windows: Windows) -> int:
    """Channels that a network reads, also of what is beside the windows; 0 of a text, which has none to lose."""
    if windows.tokens:
        return 0
    return windows.x.shape[-1] + (0 if windows.beside is None else input_channels(windows.beside))


def silenced_channels(sample: Sample, count: int, *, seed: int) -> Sample:
    """Windows of which `count` channels, their own or of what is beside them, stay at their training mean.

    Args:
        sample: Standardised windows `(batch, time, channels)`.
        count: Channels, 0 to all but one.
        seed: Of the choice; a larger count silences the same channels and more.

    Returns:
        A copy.

    Raises:
        ValueError: If no channel is left.
    """
    beside, own = sample.beside, sample.x.shape[-1]
    if count >= (channels := own + (0 if beside is None else beside.x.shape[-1])):
        raise ValueError(f"count={count}: must leave one of {channels} {CHANNELS}")
    chosen = np.random.default_rng(seed).permutation(channels)[:count]
    harmed = sample.with_x(_blanked(sample.x, chosen[chosen < own]))
    if beside is None:
        return harmed
    return replace(harmed, beside=beside.with_x(_blanked(beside.x, chosen[chosen >= own] - own)))


def _blanked(x: Tensor, channels: np.ndarray) -> Tensor:
    """A copy with 0 in some channels."""
    x = x.clone()
    x[..., channels] = 0.0
    return x


def _layers(backbone: nn.Module) -> list[Any]:
    """The layers of spiking neurons, one a block: what has neurons to be silenced."""
    return [module for module in backbone.modules() if hasattr(module, "silent")]
