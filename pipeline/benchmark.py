"""Run the benchmark over what is trained: `python pipeline/benchmark.py core_v1`.

Reads data/tokens, data/checkpoints and data/scores as they are, and the params that `make suite` ran with; what is not
there is left out, and every output says so. `--models model,pca,pretrained:NAME` names them; of a pretraining the
frozen weights are asked, about recordings that they have not seen. `--freeze` writes the suite down instead: the
windows, splits, seeds and settings that later runs are held against.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from _stage import Params, run
from _workspace import params_of
from neurofmx.models.table import MODELS

TOKENS, CHECKPOINTS, SCORES = Path("data/tokens"), Path("data/checkpoints"), Path("data/scores")
FROZEN, OUT = Path("src/neurofmx/benchmark/suites"), Path("metrics/benchmark")
PRETRAINED = "pretrained:"  # before the name of a pretraining among models
_log = logging.getLogger(__name__)


def main(params: Params, suite: str, freeze: bool, models: str | None) -> None:
    """Write metrics/benchmark/SUITE, or the frozen suite."""
    import torch

    from neurofmx.benchmark.outputs.write import write
    from neurofmx.benchmark.run import benchmark

    torch.set_num_threads(1)
    params = params_of(suite, params)
    if freeze:
        return write_down(params, suite)
    chosen, path = params.suite(suite), frozen_file(suite)
    found = benchmark(
        asked(params, suite, models),
        path if path.is_file() else files_of(params, suite),
        tokens=TOKENS,
        linear=linear_answers(params, suite),
        seeds=params.evaluate.seeds,
        options=params.benchmark.asked,
        kinds={name: item.kind for name, item in chosen.datasets.items()},
    )
    for each in write(found.facts, OUT / suite):
        print(each)
    for said in found.deviations:
        _log.warning("not as %s has it: %s", suite, said)
    return None


def frozen_file(suite: str) -> Path:
    """Where a frozen suite stands: core_v1 is core-v1 there, as outside of DVC."""
    return FROZEN / f"{suite.replace('_', '-')}.json"


def files_of(params: Params, suite: str) -> dict[str, Path]:
    """Windows of a suite that nobody has written down yet."""
    return {name: TOKENS / f"{name}.h5" for name in params.suite(suite).datasets if (TOKENS / f"{name}.h5").is_file()}


def write_down(params: Params, suite: str) -> None:
    """Freeze a suite from the windows as they are; all of them must be there."""
    from neurofmx.benchmark.suite import freeze

    chosen, path = params.suite(suite), frozen_file(suite)
    frozen = freeze(
        path.stem,
        {name: TOKENS / f"{name}.h5" for name in chosen.datasets},
        {name: item.kind for name, item in chosen.datasets.items()},
        seeds=chosen.seeds,
        options=params.benchmark.asked,
    )
    frozen.save(path)
    print(f"{path}: {len(frozen.datasets)} datasets, seeds {', '.join(map(str, frozen.seeds))}")


def asked(params: Params, suite: str, models: str | None) -> dict[str, Any]:
    """The model under study and those compared with it, or those that are named with commas between."""
    from neurofmx.benchmark.adapters.fitted import FittedModel
    from neurofmx.benchmark.adapters.networks import TrainedNetwork
    from neurofmx.benchmark.adapters.pretrained import PretrainedModel

    names = models.split(",") if models else ["model", *params.run.compare]
    streams = {name: f"{item.kind}/{item.modality}" for name, item in params.suite(suite).datasets.items()}
    found: dict[str, Any] = {}
    for name in names:
        if name.startswith(PRETRAINED):
            folder = CHECKPOINTS / "pretrained" / name.removeprefix(PRETRAINED)
            found[name] = PretrainedModel(name, folder, streams)
        elif MODELS[params.named(name).family].classical:
            found[name] = FittedModel(name, CHECKPOINTS, SCORES)
        else:
            found[name] = TrainedNetwork(name, params.evaluate.seeds, CHECKPOINTS, SCORES)
    return found


def linear_answers(params: Params, suite: str) -> Mapping[str, np.ndarray]:
    """What the tuned linear model answered, where it was scored."""
    from neurofmx.evaluation.answers import load_answers

    files = {name: SCORES / name / "linear/answers.h5" for name in params.suite(suite).datasets}
    return {name: load_answers(path) for name, path in files.items() if path.is_file()}


if __name__ == "__main__":
    run(
        main,
        flags={
            "freeze": {"action": "store_true", "help": "write the suite down from data/tokens, and ask nothing"},
            "models": {
                "default": None,
                "help": "names with commas between, of a pretraining pretrained:NAME; default `model` and run.compare",
            },
        },
        suite="name of a suite in params.yaml",
    )
