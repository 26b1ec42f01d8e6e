"""Pretrain the multimodal model on the windows of all datasets of `pretrain`; goes on where a killed run was."""

import shutil
from pathlib import Path

from _stage import Params, kept, run, write_json
from neurofmx.foundation.options import PretrainOptions
from neurofmx.models.foundation.config import NeurofmxConfig


def main(params: Params, name: str) -> None:
    """Write data/checkpoints/pretrained/NAME, its loss curve and a plot of it."""
    from neurofmx.evaluation.pretrain_figure import pretrain_figure
    from neurofmx.foundation.job import PretrainRecipe, pretrain, save_pretrained

    section = params.pretrain
    if name not in section.names:
        raise ValueError(
            f"pretrain.names={list(section.names)} has no {name}; add it, and datasets to pretrain.datasets"
        )
    config = params.named("neurofmx").config
    assert isinstance(config, NeurofmxConfig)
    windows = {section.stream(dataset): Path(f"data/pretrain/tokens/{dataset}.h5") for dataset in section.datasets}
    options = PretrainOptions(**section.model_dump(exclude={"names", "datasets"}))
    out, metrics = Path("data/checkpoints/pretrained") / name, Path("metrics/pretrain")
    shutil.rmtree(out, ignore_errors=True)
    metrics.mkdir(parents=True, exist_ok=True)
    with pretrain(PretrainRecipe(windows, config, options), keep=kept(), label=f"pretrain {name}") as finished:
        save_pretrained(out, finished)
        curve = finished.pretrained.curve
        shutil.copy(out / "curve.csv", metrics / f"{name}.csv")
        pretrain_figure(curve, metrics / f"{name}.png")
        write_json(out / "facts.json", finished.facts)
        # what it took differs from run to run, so it stays out of the other files
        write_json(out / "cost.json", {"train_seconds": round(finished.seconds, 2)})
    print(
        f"{name}: {sum(finished.facts['rows'])} rows of {', '.join(finished.facts['streams'])}; lowest validation loss "
        f"{min(point.validation_loss for point in curve):.4f} in epoch {finished.pretrained.best_epoch} of {len(curve)}"
    )


if __name__ == "__main__":
    run(main, name="an entry of pretrain.names in params.yaml")
