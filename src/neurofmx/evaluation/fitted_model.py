"""A model in closed form as the train stage left it."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from neurofmx.models.fitted.beside import BesideDecoder
from neurofmx.models.fitted.linear import ClassicalDecoder
from neurofmx.models.fitted.per_recording import PerRecording, load_decoder
from neurofmx.models.table import MODELS
from neurofmx.tokenizers.cutting.windows import Windows
from neurofmx.training.checkpoints.settings import load_settings
from neurofmx.training.checkpoints.stored import load_arrays


def fitted_model(folder: Path, windows: Windows, *, fold: int) -> ClassicalDecoder | BesideDecoder | PerRecording:
    """The model that was fitted on a fold.

    Args:
        folder: Checkpoints of one model on one dataset: `settings.json` and `best_fold{fold}.safetensors`.
        windows: What it was fitted on.
        fold: Which fold.

    Raises:
        FileNotFoundError: If it was not fitted.
        ValueError: If a file is damaged.
    """
    module, name = MODELS[load_settings(folder).family].decoder(windows.task).split(":")
    arrays, _ = load_arrays(folder / f"best_fold{fold}.safetensors")
    return load_decoder(getattr(import_module(module), name), arrays)
