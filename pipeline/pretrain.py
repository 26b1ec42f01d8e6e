"""Pretrain the multimodal model, once for each of `evaluate.seeds`; goes on where a killed run was."""

import shutil
from contextlib import ExitStack
from pathlib import Path

from _stage import Params, kept, run, write_json
from neurofmx.foundation.options import PretrainOptions
from neurofmx.models.foundation.config import NeurofmxConfig


def main(params: Params, name: str) -> None:
    """Write data/checkpoints/pretrained/NAME with a folder for each seed, the mean loss curve and a plot of it."""
    from neurofmx.evaluation.pretrain_figure import pretrain_figure
    from neurofmx.foundation.job import PretrainRecipe, pretrain, save_pretrained, write_curve
    from neurofmx.foundation.pretrainer import mean_curve
    from neurofmx.training.pretrained import of_seed

    chosen, seeds = params.pretrain.named(name), params.evaluate.seeds
    config = params.named("neurofmx").config
    assert isinstance(config, NeurofmxConfig)
    windows = {params.pretrain.stream(each): Path(f"data/pretrain/tokens/{each}.h5") for each in chosen.datasets}
    options = PretrainOptions(**chosen.model_dump(exclude={"datasets"}))
    out, metrics = Path("data/checkpoints/pretrained") / name, Path("metrics/pretrain")
    metrics.mkdir(parents=True, exist_ok=True)
    with ExitStack() as unfinished:  # a seed that is done is kept until all are
        done = {
            seed: unfinished.enter_context(
                pretrain(PretrainRecipe(windows, config, options, seed), keep=kept(), label=f"{name}, seed {seed}")
            )
            for seed in seeds
        }
        shutil.rmtree(out, ignore_errors=True)
        for seed, finished in done.items():
            save_pretrained(of_seed(out, seed), finished)
        facts = done[seeds[0]].facts
        of_a_seed = ("seed", "temperature")
        write_json(out / "facts.json", {key: value for key, value in facts.items() if key not in of_a_seed})
        # what it took differs from run to run, so it stays out of the other files
        write_json(out / "cost.json", {"train_seconds": {seed: round(each.seconds, 2) for seed, each in done.items()}})
        curve = mean_curve([each.pretrained.curve for each in done.values()])
        write_curve(metrics / f"{name}.csv", curve)
        pretrain_figure(curve, metrics / f"{name}.png")
    best = ", ".join(
        f"{min(point.validation_loss for point in each.pretrained.curve):.4f} in epoch {each.pretrained.best_epoch}"
        for each in done.values()
    )
    print(f"{name}: {sum(facts['rows'])} rows of {', '.join(facts['streams'])}; lowest validation losses {best}")


if __name__ == "__main__":
    run(main, name="an entry of pretrain.names in params.yaml")
