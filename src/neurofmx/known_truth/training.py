"""Pretrain the multimodal model on the sessions, as every pretraining is done, and put its weights into a model."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import torch

from neurofmx.foundation.job import PretrainRecipe, pretrain, save_pretrained
from neurofmx.foundation.options import PretrainOptions
from neurofmx.known_truth.material import FOLD, Material
from neurofmx.known_truth.network import Asked
from neurofmx.models.foundation.assembled import assemble
from neurofmx.models.foundation.config import NeurofmxConfig


def save_windows(material: Material, folder: Path) -> dict[str, Path]:
    """Write the windows of every stream, from which a pretraining reads them; their files by stream."""
    files = {name: folder / f"{windows.dataset}.h5" for name, windows in material.windows.items()}
    for name, path in files.items():
        material.windows[name].save(path)
    return files


def pretrained(
    material: Material,
    files: dict[str, Path],
    config: NeurofmxConfig,
    options: PretrainOptions,
    *,
    out: Path,
    keep: Path,
    kept: ExitStack,
) -> Asked:
    """Pretrain, or go on where a killed run was.

    Args:
        material: The sessions.
        files: Their windows by stream.
        config: Sizes of the model.
        options: How to train.
        out: Where weights and curve are written; its name labels the progress bar.
        keep: Folder under which unfinished work survives a kill.
        kept: Holds the work until all is scored: a later failure costs no training.

    Returns:
        The model with the weights of the lowest validation loss, on the CPU.
    """
    recipe = PretrainRecipe(files, config, options.model_copy(update={"fold": FOLD}))
    finished = kept.enter_context(pretrain(recipe, keep=keep, label=f"pretrain {out.name}"))
    save_pretrained(out, finished)
    torch.manual_seed(options.seed)
    network, (known,) = assemble(config, [material.joined])
    network.load_state_dict(finished.pretrained.best)
    return Asked(network, known, material)
