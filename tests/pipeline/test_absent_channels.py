"""A channel that one recording lacks, or that is bad in it, from params.yaml alone to the scores of both kinds."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ruamel.yaml import YAML
from tests.datasets.own_files import CHANNELS, session, write_bids, write_edf
from tests.pipeline.test_own_data import blocks, commands, params_with, run_stage

from neurofmx.parts import TRAIN
from neurofmx.tokenizers.cutting.windows import load_windows


def edf(root: Path) -> dict[str, Any]:
    """The second of three people was recorded without Pz."""
    for number in (1, 2, 3):
        without = ("Pz",) if number == 2 else ()
        write_edf(root / f"recordings/p{number}.edf", session(number), duration=0.0, without=without)
    block = blocks()["my_eeg"]
    del block["datasets"]["my_eeg"]["options"]["channels"]
    block["datasets"]["my_eeg"]["preprocess"] |= {"channels": list(CHANNELS), "missing": "mark"}
    return block


def bids(root: Path) -> dict[str, Any]:
    """Of the second of four runs channels.tsv calls Pz bad."""
    for number in range(4):
        bad = ("Pz",) if number == 2 else ()
        write_bids(root / "study", session(number), subject=f"0{number % 2 + 1}", run=str(number // 2 + 1), bad=bad)
    block = blocks()["my_bids"]
    block["datasets"]["my_bids"]["preprocess"]["bad"] = "mark"
    return block


@pytest.mark.parametrize("write", [edf, bids])
def test_a_recording_without_a_channel_is_scored_with_the_others(
    write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    tree = params_with(write(tmp_path))
    (name,) = tree["run"]["datasets"]
    tree["run"]["compare"] = ["lstm"]
    tree["models"]["lstm"] = {"hidden_dim": 16, "num_layers": 1}
    tree["train"] |= {"workers": 1, "num_epochs": 8, "min_batches": 10, "batch_size": 16}
    YAML(typ="safe").dump(tree, tmp_path / "params.yaml")
    networks = [[f"pipeline/0{stage}.py", name, "lstm"] for stage in ("4_train", "5_evaluate")]
    printed = [run_stage(*command) for command in (*commands(name), *networks)]

    windows = load_windows(tmp_path / f"data/tokens/{name}.h5")
    lacks = 1
    assert windows.channels == CHANNELS
    assert np.argwhere(~windows.present).tolist() == [[lacks, 3]]
    for fold, parts in enumerate(windows.split):
        learnt = windows.x[(parts == TRAIN) & (windows.group != lacks)][..., 3].astype(float)
        np.testing.assert_allclose(windows.mean[fold, 3], learnt.mean(), atol=1e-3 * learnt.std())
        np.testing.assert_allclose(windows.std[fold, 3], learnt.std(), rtol=1e-4)
    for model, least in (("linear", 0.85), ("lstm", 0.8)):
        report = json.loads((tmp_path / f"data/scores/{name}/{model}/report.json").read_text())
        assert report["score"] > least, printed
