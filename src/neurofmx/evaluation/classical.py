"""Answers of the models that are fitted rather than trained: once a fold, whatever the seeds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from neurofmx.evaluation.answered import Answered
from neurofmx.evaluation.answers import out_of_fold
from neurofmx.evaluation.context import Context, lengths_of, text_answers
from neurofmx.evaluation.fitted_model import fitted_model
from neurofmx.evaluation.perturb import noises
from neurofmx.evaluation.robustness import Robustness
from neurofmx.tokenizers.cutting.windows import Windows

if TYPE_CHECKING:
    from neurofmx.models.fitted.ngram import NgramDecoder


def classical_answers(
    windows: Windows,
    checkpoints: Path,
    *,
    context: Context,
    robustness: Robustness,
    lengths: Sequence[int] = (),
) -> Answered:
    """Ask a fitted model of all tested windows.

    Args:
        windows: Windows with their folds.
        checkpoints: Folder with `settings.json` and `best_fold{fold}.safetensors`.
        context: What a language model has read before the tokens it is asked about.
        robustness: The noise to ask under as well.
        lengths: Tokens of the windows in which a text is read as well.
    """
    folds = [fitted_model(checkpoints, windows, fold=fold) for fold in range(windows.folds)]

    def answers(windows: Windows, *, context: Context = context, length: int | None = None) -> np.ndarray:
        def answer(fold: int) -> np.ndarray:
            test, said = windows.fold(fold).test, folds[fold]
            if windows.task.kind != "next_token":
                return said.answer(windows, fold, test)
            ask = cast("NgramDecoder", said).log_likelihood  # the one model of texts
            return text_answers(windows, test, context=context, windowed=ask, carried=ask, length=length)

        return out_of_fold(windows, answer)[None]

    harmed = {name: answers(noisy) for name, noisy in noises(windows, robustness).items()}
    read = {each: answers(windows, context=0.0, length=each) for each in lengths_of(windows, lengths)}
    return Answered(answers(windows), (0,), folds[0].parameters, harmed=harmed, lengths=read)
