"""Let every trained model of a dataset steer its robot in the simulator, beside the expert and random commands."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from _stage import Params, run, write_json
from neurofmx.datasets.mujoco_cloning import ROBOTS, MujocoCloning
from neurofmx.evaluation.closed_loop import Answer, closed_loop, held_out_seeds, references, windowed
from neurofmx.evaluation.fitted_model import fitted_model
from neurofmx.models.table import MODELS
from neurofmx.prepared import Prepared
from neurofmx.tokenizers.cutting.windows import Windows, load_windows
from neurofmx.training.checkpoints.settings import load_settings


def main(params: Params, dataset: str) -> None:
    """Write metrics/closed_loop/DATASET.json."""
    prepared = params.dataset(dataset)
    check(dataset, prepared)
    robot = prepared.dataset
    assert isinstance(robot, MujocoCloning)
    seeds = held_out_seeds(robot, episodes=params.simulate.episodes)
    played = {name: [robot.play(policy, seeds=seeds)] for name, policy in references(robot, seed=robot.seed).items()}
    windows = load_windows(Path(f"data/tokens/{dataset}.h5"))
    for name in ("linear", "model", *params.run.compare):
        policies = [windowed(answer, time=windows.x.shape[1]) for answer in answers(params, dataset, name, windows)]
        played[name] = [robot.play(policy, seeds=seeds) for policy in policies]
    ends = {name: float(np.mean(played[name][0].rewards.sum(1))) for name in ("expert", "random")}
    scores = {name: closed_loop(each, **ends) for name, each in played.items()}
    write_json(Path(f"metrics/closed_loop/{dataset}.json"), {dataset: scores})
    for name, each in scores.items():
        goal = f"{ROBOTS[robot.robot].goal} {each['reached_m']:.3f} m"
        print(f"{dataset} {name}: return {each['return']:.2f}, {each['of_expert']:.2f} of the expert's, {goal}")


def check(name: str, prepared: Prepared) -> None:
    """Refuse a dataset that no policy can play, or windows that a robot could not see in time."""
    if not isinstance(prepared.dataset, MujocoCloning):
        raise ValueError(f"{name} is no recording of an expert; kind must be mujoco_cloning")
    if changed := {"rate", "arc"} & set(prepared.preprocess.model_dump(exclude_none=True)):
        raise ValueError(
            f"datasets.{name}.preprocess.{min(changed)}: must be null, a robot reads its sensors as they are"
        )
    rate, window = ROBOTS[prepared.dataset.robot].rate, prepared.tokenize
    if round(window.stop * rate) != 1:
        raise ValueError(
            f"datasets.{name}.tokenize.stop={window.stop:g}: must be one sample, {1 / rate:g} s, so that a window ends "
            "with the newest observation"
        )


def answers(params: Params, dataset: str, name: str, windows: Windows) -> Iterator[Answer]:
    """What each fold and seed of a model commands."""
    checkpoints = Path("data/checkpoints") / dataset / name
    if MODELS[load_settings(checkpoints).family].classical:
        yield from classical(windows, checkpoints)
    else:
        yield from network(params, windows, checkpoints)


def classical(windows: Windows, checkpoints: Path) -> Iterator[Answer]:
    """Of a model that was fitted once a fold."""
    for fold in range(windows.folds):
        decoder = fitted_model(checkpoints, windows, fold=fold)
        yield lambda x, fold=fold, decoder=decoder: decoder.predict(windows.standardised(fold, x))


def network(params: Params, windows: Windows, checkpoints: Path) -> Iterator[Answer]:
    """Of the best weights of each fold and seed."""
    import torch

    from neurofmx.evaluation.trained_network import trained_network
    from neurofmx.tokenizers.tokens import Sample

    torch.set_num_threads(params.train_of(windows.dataset).threads)
    for fold in range(windows.folds):
        for seed in params.evaluate.seeds:
            decoder = trained_network(checkpoints, windows, fold=fold, seed=seed)
            yield lambda x, fold=fold, decoder=decoder: decoder.predict(
                Sample(torch.as_tensor(windows.standardised(fold, x), dtype=torch.float32))
            )


if __name__ == "__main__":
    run(main, dataset="name of a dataset of kind mujoco_cloning")
