"""Pretrain the multimodal model on the sessions, as every pretraining is done, and put its weights into a model.

Several pretrainings run at once, each in a process of its own; one that is finished is only read by a second run.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from neurofmx.foundation.job import PretrainRecipe, pretrain, save_pretrained
from neurofmx.foundation.options import PretrainOptions
from neurofmx.known_truth.material import FOLD, Material
from neurofmx.known_truth.network import Asked
from neurofmx.models.foundation.assembled import assemble
from neurofmx.models.foundation.config import NeurofmxConfig
from neurofmx.training.jobs import end_with_parent
from neurofmx.training.pretrained import WEIGHTS, load_pretrained


def pretrain_each(
    material: Material,
    config: NeurofmxConfig,
    options: Mapping[str, PretrainOptions],
    *,
    seeds: Sequence[int],
    keep: Path,
    workers: int = 0,
) -> dict[str, dict[int, Path]]:
    """Pretrain the same model in several ways, once with each seed.

    Args:
        material: The sessions.
        config: Sizes of the model.
        options: How to train, by name.
        seeds: Of weights, order, masks and dropout, the same for all ways.
        keep: Folder under which finished and unfinished work survives a kill.
        workers: Pretrainings at a time; 0 for one a CPU core.

    Returns:
        By name and seed, the folder of weights and curve under `keep`; remove it when all is scored.

    Raises:
        RuntimeError: If a process died, or another one trains the same.
    """
    keep.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=keep) as folder:
        files = _save_windows(material, Path(folder))
        recipes = {
            (name, seed): PretrainRecipe(files, config, each.model_copy(update={"fold": FOLD}), seed)
            for name, each in options.items()
            for seed in seeds
        }
        homes = {key: keep / f"known-truth-{recipe.key()}" for key, recipe in recipes.items()}
        found = {name: {seed: homes[name, seed] for seed in seeds} for name in options}
        asked = [
            (recipes[key], home, keep, f"{key[0]}, seed {key[1]}")
            for key, home in homes.items()
            if not (home / WEIGHTS).is_file()
        ]
        workers = min(len(asked), workers or os.cpu_count() or 1)
        if workers < 2:
            for each in asked:
                _pretrain(*each)
            return found
        pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), end_with_parent)
        try:
            for job in as_completed([pool.submit(_pretrain, *each) for each in asked]):
                job.result()
        except BrokenProcessPool as error:
            raise RuntimeError(
                "a pretraining process died (out of memory?). Finished work is kept; run the stage again, with "
                "known_truth.workers=1 if memory is short."
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    return found


def read_network(folder: Path, material: Material, config: NeurofmxConfig) -> Asked:
    """The model with the weights of a folder of `pretrain_each`, on the CPU."""
    weights, _ = load_pretrained(folder)
    network, (known,) = assemble(config, [material.joined])
    network.load_state_dict(weights)
    return Asked(network, known, material)


def _pretrain(recipe: PretrainRecipe, home: Path, keep: Path, name: str) -> None:
    """One pretraining; its folder appears when it is complete."""
    with pretrain(recipe, keep=keep, label=name) as finished:
        part = home.with_name(f"{home.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        save_pretrained(part, finished)
        part.rename(home)


def _save_windows(material: Material, folder: Path) -> dict[str, Path]:
    """Write the windows of every stream, from which a pretraining reads them; their files by stream."""
    files = {name: folder / f"{windows.dataset}.h5" for name, windows in material.windows.items()}
    for name, path in files.items():
        material.windows[name].save(path)
    return files
