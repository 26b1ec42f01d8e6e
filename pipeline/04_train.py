"""Train a model on every fold of a dataset, with every seed; goes on where a killed run was."""

import shutil
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from _stage import Params, kept, run, write_json
from neurofmx.models.table import MODELS
from neurofmx.params import Model
from neurofmx.tokenizers.cutting.windows import Windows, load_windows, open_windows
from neurofmx.training.checkpoints.settings import Settings, save_settings


def main(params: Params, dataset: str, model: str) -> None:
    """Write data/checkpoints/DATASET/MODEL, and for the model under study its loss curve for `dvc plots`.

    A picture of the wiring of its liquid cells stands beside the weights where they are wired.
    """
    chosen = params.named(model)
    out = Path("data/checkpoints") / dataset / model
    shutil.rmtree(out, ignore_errors=True)
    if MODELS[chosen.family].classical:
        fit(chosen, load_windows(Path(f"data/tokens/{dataset}.h5")), out)
        save_settings(out, Settings(chosen.family, chosen.config))
    else:
        train(params, chosen, dataset, model, out)
        save_settings(out, Settings(chosen.family, chosen.config, params.head_of(dataset)))


def fit(model: Model, windows: Windows, out: Path) -> None:
    """Fit a model that has a closed form or a convex loss: no seed, no curve."""
    from tqdm import tqdm

    from neurofmx.models.fitted.per_recording import fit_decoder
    from neurofmx.training.checkpoints.stored import save_arrays

    module, name = MODELS[model.family].decoder(windows.task).split(":")
    decoder = getattr(import_module(module), name)
    began = time.perf_counter()
    for fold in tqdm(range(windows.folds), desc=f"{windows.dataset} {model.family}", unit="fold"):
        fitted = fit_decoder(decoder, windows, fold, model.config)
        save_arrays(out / f"best_fold{fold}.safetensors", fitted.arrays(), fold=fold)
    write_cost(out, time.perf_counter() - began, peak_memory())


def train(params: Params, model: Model, dataset: str, name: str, out: Path) -> None:
    """Train a network by gradient descent."""
    from neurofmx.training.curves import write_curves
    from neurofmx.training.jobs import train_all
    from neurofmx.training.recipe import Recipe

    tokens = Path(f"data/tokens/{dataset}.h5")
    recipe = Recipe(tokens, model.family, model.config, params.head_of(dataset), params.train_of(dataset))
    with open_windows(tokens) as windows:
        folds = windows.folds
    with train_all(recipe, folds=folds, seeds=params.evaluate.seeds, keep=kept(), label=f"{dataset} {name}") as done:
        made(out)
        for job in done:
            for kind in ("best", "last"):
                shutil.copy(
                    job.folder / f"{kind}.safetensors", out / f"{kind}_fold{job.fold}_seed{job.seed}.safetensors"
                )
        write_curves(out / "curve.csv", [job.curve for job in done], [job.activity for job in done])
        if name == "model":
            shutil.copy(out / "curve.csv", made(Path("metrics/curves") / dataset) / "model.csv")
        seconds = sum(job.seconds for job in done) / len(params.evaluate.seeds)
        write_cost(out, seconds, max(job.peak_memory_mib for job in done), jobs=[job.cost for job in done])
        if name == "model" and getattr(model.config, "liquid_backbone", "") == "ncp":
            from neurofmx.evaluation.wiring_figure import network_figure

            network_figure(model.config, out / "wiring.png")


def made(folder: Path) -> Path:
    """The folder, which exists afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def peak_memory() -> float:
    """Most memory this process ever held, MiB."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def write_cost(out: Path, seconds: float, peak_memory_mib: float, *, jobs: Sequence[Mapping[str, Any]] = ()) -> None:
    """What training all folds once took, beside the weights: it is measured, so it differs from run to run.

    `jobs` says what each fold with each seed took, see `neurofmx.training.jobs.Trained`.
    """
    cost = {"train_seconds": round(seconds, 2), "peak_memory_mib": round(peak_memory_mib, 1)}
    write_json(out / "cost.json", cost | ({"jobs": list(jobs)} if jobs else {}))


if __name__ == "__main__":
    run(main, dataset="name of a dataset in params.yaml", model="`model` or a key of `models` in params.yaml")
