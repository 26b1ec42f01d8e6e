"""The linear model reaches the scores that quick decoders of others reach on the small real sets, without a leak.

The references are those of the sets' own descriptions: ridge or logistic regression with contiguous folds. Blocks of
params.yaml are run as they stand there, some on fewer recordings, so that this stays quick.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML
from tests.raw_folders import raw

from neurofmx.datasets import DATASETS
from neurofmx.evaluation.answers import out_of_fold
from neurofmx.headline import headline
from neurofmx.models.fitted.linear import LinearConfig, LinearDecoder
from neurofmx.models.fitted.per_recording import fit_decoder
from neurofmx.preprocessing import PREPROCESS
from neurofmx.tokenizers.cutting.cut import CutOptions, cut
from neurofmx.tokenizers.cutting.windows import Windows

__all__ = ["raw"]

BLOCKS = YAML(typ="safe").load(Path(__file__).parents[1] / "params.yaml")["datasets"]
# block, kind, modality, other options than the block's, reference
REFERENCES = [
    ("bycycle_lfp", "bycycle_lfp", "lfp", {}, 0.93),
    ("cao2021_lfp", "cao2021", "lfp", {}, (0.73 + 0.698) / 2),
    ("cao2021_spikes", "cao2021", "spikes", {}, (0.874 + 0.779) / 2),
    ("digits", "digits", "image", {}, 0.93),
    ("dlc_reach", "dlc_reach", "pose", {}, (0.03 - 0.23) / 2),
    ("dyer2017", "dyer2017", "spikes", {}, np.mean([0.614, 0.525, 0.591, 0.565])),
    ("eegbci", "eegbci", "eeg", {}, 0.96),
    ("gripforce_ieeg", "gripforce_ieeg", "ieeg", {}, 0.191),
    ("haxby2001", "haxby2001", "fmri", {}, 0.69),
    ("mne_misc_ieeg", "mne_misc_ieeg", "ecog", {}, 0.90),
    ("myo_armband", "myo_armband", "emg", {}, 0.986),
    ("peyrache_a2929", "peyrache_a2929", "spikes", {}, (0.793 + 0.871) / 2),
    ("sheintuch2022", "sheintuch2022", "calcium", {"mice": ["C5M1"], "sessions": [0]}, 0.613),
    ("sheintuch2022", "sheintuch2022", "calcium", {"mice": ["C24M4"], "sessions": [0]}, 0.602),
    ("steinmetz2019", "steinmetz2019", "spikes", {"sessions": [3, 17]}, 0.95),
    ("tu2020", "tu2020", "calcium", {}, (0.754 + 0.766) / 2),
]


def made(block: str, kind: str, modality: str, options: dict, folder: Path) -> Windows:
    """Windows of a block of params.yaml."""
    sections, dataset = BLOCKS[block], DATASETS[kind](**BLOCKS[block]["options"] | options)
    stage = PREPROCESS[modality]
    return cut(
        stage.preprocess(dataset.read(folder), stage.options(**sections["preprocess"])),
        signal=stage.signal,
        task=dataset.task,
        split=dataset.split,
        options=CutOptions(**sections["tokenize"]),
        modality=modality,
        dataset=block,
    )


@pytest.mark.parametrize(("block", "kind", "modality", "options", "reference"), REFERENCES)
def test_the_linear_model_reaches_the_reference(
    block: str, kind: str, modality: str, options: dict, reference: float, raw: Callable[[str], Path]
) -> None:
    windows = made(block, kind, modality, options, raw(kind))
    folds = [fit_decoder(LinearDecoder, windows, fold, LinearConfig()) for fold in range(windows.folds)]
    outputs = out_of_fold(windows, lambda fold: folds[fold].answer(windows, fold, windows.fold(fold).test))
    assert headline(outputs, windows.y[windows.tested], windows.task) > reference - 0.03
