"""From recordings to a score, with a block of params.yaml: what was planted in them is decoded."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from ruamel.yaml import YAML
from sklearn.linear_model import LogisticRegression, Ridge

from neurofmx.datasets.shared.base import Dataset
from neurofmx.preprocessing import PREPROCESS
from neurofmx.recordings.recording import Recording
from neurofmx.tokenizers.cutting.cut import CutOptions, cut

PARAMS = Path(__file__).parents[2] / "params.yaml"


def block_of(name: str) -> dict[str, dict]:
    """What params.yaml says about a dataset."""
    return YAML(typ="safe").load(PARAMS)["datasets"][name]


def score(dataset: Dataset, recordings: Iterable[Recording], *, modality: str | None = None) -> float:
    """Accuracy or R2 of a linear model on the first fold, after the cleaning and cutting of params.yaml."""
    block, modality = block_of(dataset.name), modality or dataset.modalities[0]
    clean = PREPROCESS[modality]
    done = clean.preprocess(recordings, clean.options(**block["preprocess"]))
    facts = {"signal": clean.signal, "task": dataset.task, "split": dataset.split}
    windows = cut(done, **facts, options=CutOptions(**block["tokenize"]), modality=modality, dataset=dataset.name)
    train, _, test = windows.fold(0)
    x, y = windows.scaled(0, np.arange(len(windows.x))), windows.y.ravel()
    if modality in ("ieeg", "ecog"):  # power, which a linear model does not see in a voltage
        x = np.log(x.var(axis=1, keepdims=True))
    if modality == "emg":  # the level of an envelope, not its course
        x = x.mean(axis=1, keepdims=True)
    x = x.reshape(len(x), -1)
    model = LogisticRegression(max_iter=1000) if dataset.task.kind == "classification" else Ridge(alpha=10.0)
    return float(model.fit(x[train], y[train]).score(x[test], y[test]))
