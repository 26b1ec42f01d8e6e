"""One fold with one seed, trained in a process of its own, and what it leaves there."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path

import torch

from neurofmx.atomic import atomic
from neurofmx.models.decoding.build import build_decoder
from neurofmx.tokenizers.cutting.windows import Windows, load_windows, open_windows
from neurofmx.tokenizers.share import with_share
from neurofmx.training.batches import Batches
from neurofmx.training.checkpoints.checkpoint import save_checkpoint
from neurofmx.training.footprint import step_memory
from neurofmx.training.loop import Trainer
from neurofmx.training.recipe import Recipe
from neurofmx.training.warm import warm_up

# named, not imported: training from scratch depends on nothing of it
BEGIN = "neurofmx.foundation.beginning:put_in"


def fit(recipe: Recipe, fold: int, seed: int, home: Path, on_epoch: Callable[[int], None] = lambda epoch: None) -> None:
    """Train and store the result; `last.safetensors` is written last and marks the fold as done.

    Args:
        recipe: What to train on what.
        fold: Fold of the split.
        seed: Seed of weights, order, noise and dropout, each fold's own.
        home: Folder for the state to resume from, and for what is left in the end: `best.safetensors`, `cost.json` and
            `last.safetensors`.
        on_epoch: Told how many epochs are done.
    """
    path = recipe.windows
    with nullcontext(load_windows(path)) if recipe.options.use_cache else open_windows(path) as windows:
        fit_on(windows, recipe, fold, seed, home, on_epoch)


def fit_on(
    windows: Windows,
    recipe: Recipe,
    fold: int,
    seed: int,
    home: Path,
    on_epoch: Callable[[int], None] = lambda epoch: None,
) -> None:
    """Train on one fold of windows that are open; as `fit` otherwise."""
    windows = with_share(windows, recipe.share)
    torch.manual_seed(seed * 1009 + fold)
    decoder = build_decoder(recipe.family, recipe.config, recipe.head, windows, fold=fold)
    if recipe.beginning is not None:
        module, name = BEGIN.split(":")
        getattr(import_module(module), name)(decoder, recipe.beginning, windows, seed=seed)
    cuda = recipe.options.device != "cpu" and torch.cuda.is_available()
    batches = Batches(
        windows,
        fold,
        batch_size=recipe.options.batch_size,
        device=torch.device("cuda" if cuda else "cpu"),
        min_batches=recipe.options.min_batches,
        max_batches=recipe.options.max_batches,
        use_cache=recipe.options.use_cache,
    )
    first = torch.arange(min(batches.batch_size, len(batches.y)), device=batches.y.device)
    sample, y = batches.sample[first], batches.y[first]
    warm_up(decoder, sample, y)
    trainer = Trainer(
        decoder,
        batches,
        recipe.options,
        seed=seed * 1009 + fold,
        folder=home,
        on_epoch=lambda progress: on_epoch(progress.epoch),
    )
    fitted = trainer.fit()
    save_checkpoint(home / "best.safetensors", fitted.best, fold=fold, seed=seed, epoch=fitted.best_epoch)
    # what it took differs from run to run, so it stays out of the checkpoint
    cost = {
        "seconds": trainer.progress.seconds,
        "training_seconds": trainer.progress.training_seconds,
        "epochs": trainer.progress.epoch,
        "steps": trainer.progress.step,
        "peak_memory_mib": _peak_memory(cuda),
        "step_mib": step_memory(decoder, sample, y),
    }
    with atomic(home / "cost.json") as part:
        part.write_text(json.dumps(cost))
    epoch = len(fitted.curve)
    known = {"epoch": epoch, "curve": fitted.curve, "activity": fitted.activity}
    save_checkpoint(home / "last.safetensors", fitted.last, fold=fold, seed=seed, **known)


def _peak_memory(cuda: bool) -> float:
    """Most memory this process ever held, MiB: of the GPU if it trains there, else resident."""
    if cuda:
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
