"""Answers that the evaluate stage kept, for all tested windows of a dataset."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from neurofmx.evaluation.answers import load_answers
from neurofmx.tokenizers.cutting.windows import Windows


def stored_answers(scores: Path | None, windows: Windows, model: str, *, seeds: int | None = None) -> np.ndarray | None:
    """Read the answers of a model.

    Args:
        scores: Folder with `<dataset>/<model>/answers.h5`; None for none.
        windows: Whose answers.
        model: Name of the model.
        seeds: How many it must have; None for any number.

    Returns:
        Shape `(seeds, tested windows, width)`, or None where nothing is kept.

    Raises:
        ValueError: If they are of other windows, or of other seeds.
    """
    path = scores / windows.dataset / model / "answers.h5" if scores else None
    if path is None or not path.is_file():
        return None
    answers = load_answers(path)
    expected = (seeds or len(answers), len(windows.tested), windows.answer)
    if answers.shape != expected:
        raise ValueError(
            f"{path}: holds answers of shape {answers.shape}, these windows and seeds need {expected}; "
            f"run `dvc repro` so that they are made again"
        )
    return answers
