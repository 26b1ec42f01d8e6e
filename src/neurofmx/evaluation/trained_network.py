"""A network as the train stage left it, built from the settings beside its weights."""

from __future__ import annotations

from pathlib import Path

from neurofmx.models.configs import HeadConfig
from neurofmx.models.decoding.build import build_decoder
from neurofmx.models.decoding.decoder import Decoder
from neurofmx.tokenizers.cutting.windows import Windows
from neurofmx.training.checkpoints.checkpoint import load_checkpoint
from neurofmx.training.checkpoints.settings import load_settings


def trained_network(folder: Path, windows: Windows, *, fold: int, seed: int) -> Decoder:
    """The network of a fold and seed with its best weights, on the CPU.

    Args:
        folder: Checkpoints of one model on one dataset: `settings.json` and `best_fold{fold}_seed{seed}.safetensors`.
        windows: What it was trained on.
        fold: Which fold.
        seed: Seed it was trained with.

    Raises:
        FileNotFoundError: If it was not trained.
        ValueError: If its weights are for other windows.
    """
    settings = load_settings(folder)
    decoder = build_decoder(settings.family, settings.config, settings.head or HeadConfig(), windows, fold=fold)
    file = folder / f"best_fold{fold}_seed{seed}.safetensors"
    weights, _ = load_checkpoint(file)
    try:
        decoder.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"{file}: weights for other windows than those of {windows.dataset}; train again") from error
    return decoder
