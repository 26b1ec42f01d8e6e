"""Every tested window answered once, by the fold that never trained on it; and those answers on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from neurofmx.parts import GAP
from neurofmx.recordings.hdf5 import read_trees, write_trees
from neurofmx.tokenizers.cutting.windows import Windows


def out_of_fold(windows: Windows, answer: Callable[[int], np.ndarray]) -> np.ndarray:
    """Put the answers of all folds to their test windows in the order of `windows.tested`.

    Args:
        windows: Windows of one dataset.
        answer: Takes a fold, returns its outputs for the fold's test windows, shape `(test windows, width)`, where
            the width is that of `windows.answer`.

    Returns:
        Outputs of shape `(tested windows, width)`, float64.

    Raises:
        ValueError: If a window is tested by more than one fold, or by none where there are several; folds that share
            no window, as those of single subjects, may each leave theirs untested.
    """
    outputs = np.full((len(windows.y), windows.answer), np.nan)
    times = np.zeros(len(windows.y), int)
    for fold in range(windows.folds):
        index = windows.fold(fold).test
        outputs[index] = answer(fold)
        times[index] += 1
    apart = (windows.split != GAP).sum(axis=0).max() <= 1
    wrong = np.flatnonzero((times > 1) | ((times == 0) & (not apart)))
    if len(wrong):
        raise ValueError(f"{windows.dataset}: window {wrong[0]} is tested by {times[wrong[0]]} folds, must be 1")
    return outputs[windows.tested]


def save_answers(path: Path, outputs: np.ndarray) -> None:
    """Write outputs of shape `(seeds, tested windows, task.width)`."""
    write_trees(path, [{"outputs": outputs}])


def load_answers(path: Path) -> np.ndarray:
    """Read outputs of shape `(seeds, tested windows, task.width)`.

    Raises:
        FileNotFoundError: If there are none.
        ValueError: If the file is damaged.
    """
    (tree,) = read_trees(path)
    return tree["outputs"]
