"""The linear model on real sounds, with the settings of params.yaml, reaches what a quick decoder reached before."""

import os
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML
from tests.raw_folders import CACHE

from neurofmx.evaluation.answers import out_of_fold
from neurofmx.headline import headline
from neurofmx.models.fitted.linear import LinearConfig, LinearDecoder
from neurofmx.params import check_params
from neurofmx.preprocessing import PREPROCESS
from neurofmx.tokenizers.cutting.cut import cut

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("name", "modality", "strength", "reference"),
    [("amvoc_usv", "ultrasonic", 1e4, 0.945), ("fsdd", "audio", 1e2, 0.681)],
)
def test_reaches_the_reference(name: str, modality: str, strength: float, reference: float, tmp_path: Path) -> None:
    tree = YAML(typ="safe").load(ROOT / "params.yaml")
    tree["run"]["datasets"] = {name: {"kind": name, "modality": modality}}
    chosen = check_params(tree).dataset(name)
    try:
        chosen.dataset.download(tmp_path, mirror=os.environ.get("NEUROFMX_MIRROR"), cache=CACHE)
    except ConnectionError as error:
        pytest.skip(f"{name} is real data: set NEUROFMX_MIRROR or connect to its source ({error})")
    windows = cut(
        PREPROCESS[modality].preprocess(chosen.dataset.read(tmp_path), chosen.preprocess),
        signal=PREPROCESS[modality].signal,
        task=chosen.dataset.task,
        split=chosen.dataset.split,
        options=chosen.tokenize,
        modality=modality,
        dataset=name,
    )
    config = LinearConfig(strengths=(strength,))

    def answer(fold: int) -> np.ndarray:
        return LinearDecoder.fit(windows, fold, config).predict(windows.scaled(fold, windows.fold(fold).test))

    outputs = out_of_fold(windows, answer)
    assert headline(outputs, windows.y[windows.tested], windows.task) >= reference - 0.03
