"""What a suite keeps of each variant: reports, answers and costs in data/suites/SUITE/VARIANT/DATASET/MODEL."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import _stage  # noqa: F401  # this checkout's code comes first
from neurofmx.evaluation.answers import load_answers, out_of_fold
from neurofmx.evaluation.chance import chance_outputs
from neurofmx.evaluation.robustness import load_harmed
from neurofmx.study.entry import Entry, Truth, load_truth, save_truth
from neurofmx.tokenizers.cutting.windows import load_windows

SUITES, SCORES, CHECKPOINTS = Path("data/suites"), Path("data/scores"), Path("data/checkpoints")
DONE = "done.json"
STAGES = (
    "download",
    "preprocess",
    "lend",
    "tokenize",
    "baseline",
    "train",
    "evaluate",
    "compare_train",
    "compare_evaluate",
)


def collect(folder: Path, datasets: Iterable[str], models: Iterable[str]) -> None:
    """Copy reports, answers and costs of a variant that has just run, and what its answers are scored against."""
    for dataset in datasets:
        shutil.rmtree(folder / dataset, ignore_errors=True)
        for model in models:
            place = folder / dataset / model
            place.mkdir(parents=True)
            for file in ("report.json", "answers.h5", "harmed.h5", "inference.json"):
                if (SCORES / dataset / model / file).is_file():
                    shutil.copy(SCORES / dataset / model / file, place / file)
            shutil.copy(CHECKPOINTS / dataset / model / "cost.json", place / "cost.json")
        windows = load_windows(Path(f"data/tokens/{dataset}.h5"))
        chance = out_of_fold(windows, lambda fold, held=windows: chance_outputs(held, fold))
        save_truth(
            folder / dataset / "truth.h5",
            Truth(windows.truth, windows.block[windows.tested], windows.task, chance),
        )


def entries(folder: Path, dataset: str, names: dict[str, str], *, domain: str) -> list[Entry]:
    """What a variant's folder holds of a dataset.

    Args:
        folder: Of the variant.
        dataset: Name of the dataset.
        names: Model to the name that it has in the suite's table; those that are not there are left out.
        domain: Of the dataset.
    """
    found = []
    for model, name in names.items():
        place = folder / dataset / model
        if (place / "report.json").is_file():
            found.append(
                Entry(
                    name=name,
                    variant=model == "model",
                    dataset=dataset,
                    domain=domain,
                    report=json.loads((place / "report.json").read_text()),
                    outputs=load_answers(place / "answers.h5"),
                    harmed=load_harmed(place / "harmed.h5"),
                    jobs=tuple(json.loads((place / "cost.json").read_text()).get("jobs", ())),
                    truth=load_truth(folder / dataset / "truth.h5"),
                    inference=tuple(_there(place / "inference.json")),
                )
            )
    return found


def _there(path: Path) -> list[dict[str, Any]]:
    """What a file holds; nothing where there is none, as of a model that is no network."""
    return json.loads(path.read_text()) if path.is_file() else []


def built(datasets: Iterable[str]) -> list[str]:
    """Datasets of which every stage is up to date: what `dvc exp run --keep-going` has built where it failed."""
    said = subprocess.run(["dvc", "status", "--json"], capture_output=True, text=True, check=False)
    changed: Any = json.loads(said.stdout or "null")
    if said.returncode or changed is None:
        return []
    stale = {name.partition("@") for name in changed}
    return [
        dataset
        for dataset in datasets
        if not any(stage in STAGES and of.partition("-")[0] == dataset for stage, _, of in stale)
    ]
