"""A share of the windows that a fold learns from, for learning curves: whole blocks, a smaller share within a larger.

Blocks are drawn for each recording, for training and for validation apart, at least one of each, and where classes are
asked for so many that every class is there. Who has a tenth of the trials has a tenth of them for everything: to train,
to validate and to learn the scaling.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from neurofmx.parts import GAP, TRAIN, VALIDATION
from neurofmx.tokenizers.cutting.scaling import learn_scaling, one_scale
from neurofmx.tokenizers.cutting.windows import Windows


def with_share(windows: Windows, share: float, *, seed: int = 0) -> Windows:
    """The same windows, of which each fold learns from some only; what it tests stays.

    Args:
        windows: Windows of measurements or of a text.
        share: Share of the blocks of training and validation windows, above 0 to 1; 1 changes nothing.
        seed: Of the draw; the draws of all shares with one seed lie within each other.

    Returns:
        Windows of which those not drawn are `GAP`, standardised with the training windows that are left.

    Raises:
        ValueError: If `share` is out of range.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share={share}: must be above 0 and at most 1")
    if share == 1:
        return windows
    split = windows.split.copy()
    for fold, row in enumerate(split):
        for part in (TRAIN, VALIDATION):
            for recording in np.unique(windows.group[row == part]):
                members = np.flatnonzero((row == part) & (windows.group == recording))
                rng = np.random.default_rng([seed, fold, int(part), int(recording)])
                label = windows.y[members] if windows.task.kind == "classification" else np.zeros(len(members))
                row[members[~_drawn(windows.block[members], label, share, rng)]] = GAP
    fewer = replace(windows, split=split)
    return fewer if windows.tokens else scaled_anew(fewer)


def learnt_from(windows: Windows) -> float:
    """Windows that a fold trains and validates on, mean over folds."""
    return float(np.isin(windows.split, (TRAIN, VALIDATION)).sum(axis=1).mean())


def _drawn(block: np.ndarray, label: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Which windows lie in the first blocks of a random order, as many as the share asks for, rounded up.

    Of each class the first block that has it comes before all others, so that a few blocks hold every class; as the
    order does not depend on the share, a smaller share still lies in a larger one.
    """
    order = rng.permutation(np.unique(block))
    of_class = [np.isin(order, block[label == each]) for each in np.unique(label)]
    first = np.unique([int(np.flatnonzero(has)[0]) for has in of_class])
    order = np.concatenate([order[first], np.delete(order, first)])
    return np.isin(block, order[: max(len(first), int(np.ceil(share * len(order) - 1e-9)))])


def scaled_anew(windows: Windows) -> Windows:
    """The same windows, and what is beside them, with mean and deviation of their training windows.

    A channel that is constant in them keeps its unit.
    """
    moments = learn_scaling(
        windows.x,
        windows.split,
        windows.group,
        windows.length,
        windows.present,
        own=windows.montage == "own",
        scale="global" if one_scale(windows.mean, windows.std, windows.present) else "channel",
        flat="keep",
    )
    beside = None if windows.beside is None else scaled_anew(replace(windows.beside, split=windows.split))
    return replace(windows, mean=moments.mean, std=moments.std, beside=beside)
