"""Easy first: short or quiet windows at the start of a training, whole and noisy ones when those are learnt.

A stage reads a share of the length, or of the noise, of the last one. The next stage begins when the validation loss,
which is always that of whole and quiet windows, has stopped improving, or when its time is up: half-way through all
epochs everything is as it would be without a curriculum. Which stage a training is in, and since when, is all that a
resume needs to know.

Source:
    Bengio et al. 2009, "Curriculum learning"; for length, Li et al. 2022, "The stability-efficiency dilemma:
    investigating sequence length warmup for training GPT models", section 4.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from torch import Tensor

from neurofmx.tokenizers.cutting.windows import Windows
from neurofmx.tokenizers.tokens import Sample
from neurofmx.training.options import TrainOptions


class Difficulty(NamedTuple):
    """How hard a stage is, as shares of the last one, above 0 to 1."""

    length: float = 1.0
    noise: float = 1.0


def stages(options: TrainOptions) -> tuple[Difficulty, ...]:
    """The stages of a training, easiest first.

    Example:
        >>> [stage.length for stage in stages(TrainOptions(curriculum="length", curriculum_start=0.3))]
        [0.3, 0.6, 1.0]
    """
    if options.curriculum == "none":
        return (Difficulty(),)
    doublings = math.ceil(math.log2(1 / options.curriculum_start))
    shares = [*(options.curriculum_start * 2**k for k in range(doublings)), 1.0]
    return tuple(Difficulty(**{options.curriculum: share}) for share in shares)


def stage_is_over(options: TrainOptions, *, stage: int, epoch: int, since: int, best_epoch: int) -> bool:
    """Whether the next stage begins.

    Args:
        options: How to train.
        stage: The present stage, from 0.
        epoch: Epochs done.
        since: Epochs that were done when the stage began.
        best_epoch: Epoch with the lowest validation loss so far.
    """
    last = len(stages(options)) - 1
    if stage >= last:
        return False
    time_is_up = 2 * last * epoch >= (stage + 1) * options.num_epochs
    return time_is_up or epoch - max(since, best_epoch) >= options.curriculum_patience


def shortest(windows: Windows) -> int:
    """Samples that a window can be shortened by: whole tokens, whole pictures, nothing of a still image."""
    if windows.modality == "image":
        return windows.x.shape[1]
    return math.lcm(windows.patch, windows.grid[0]) if windows.grid else windows.patch


def beginnings(sample: Sample, y: Tensor, *, share: float, unit: int) -> tuple[Sample, Tensor]:
    """The beginnings of windows, and of the answers where every sample has one.

    Args:
        sample: Windows of T samples; of a text numbers of tokens, with answers (B, T).
        y: Answers (B, ...).
        share: Share of the samples to keep, above 0 to 1.
        unit: Samples that stay together; it divides T.

    Returns:
        Windows of the next multiple of `unit`, and their answers.

    Raises:
        ValueError: If they would be shortened and something is beside them, whose samples are others.
    """
    whole = sample.x.shape[1]
    kept = min(whole, math.ceil(share * whole / unit) * unit)
    if kept == whole:
        return sample, y
    if sample.beside is not None:
        raise ValueError(
            "train.curriculum=length: windows with something beside them are read whole; choose none or noise"
        )
    each = not sample.x.is_floating_point() and y.ndim == 2  # a text with an answer for every token
    return sample.beginning(kept), y[:, :kept] if each else y
