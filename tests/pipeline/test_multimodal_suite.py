"""The sets of suite multimodal_v1: what they join was recorded at the same moments, and a network reads all of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from tests.raw_folders import raw, read

from neurofmx.foundation.joint import rows_of
from neurofmx.models.foundation.joint import build_joint
from neurofmx.params import check_params, read_tree
from neurofmx.preprocessing import PREPROCESS
from neurofmx.recordings.recording import Recording
from neurofmx.tokenizers.cutting.cut import cut
from neurofmx.tokenizers.cutting.windows import Windows
from neurofmx.tokenizers.joining import join
from neurofmx.variants import variant_tree
from pipeline_checkout import ROOT

__all__ = ["raw", "read"]

Read = Callable[[str], list[Recording]]
PARAMS = check_params(variant_tree(read_tree(ROOT / "params.yaml"), "multimodal_v1"))


def windows(dataset: str, read: Read) -> Windows:
    """A dataset's windows as the stages make them."""
    chosen = PARAMS.dataset(dataset)
    clean = PREPROCESS[chosen.modality].preprocess(read(chosen.dataset.name), chosen.preprocess)
    return cut(
        list(clean),
        signal=PREPROCESS[chosen.modality].signal,
        task=chosen.dataset.task,
        split=chosen.dataset.split,
        options=chosen.tokenize,
        modality=chosen.modality,
        dataset=dataset,
        species=chosen.dataset.species,
    )


def test_the_simulated_session_is_joined_in_all_its_modalities() -> None:
    joined = PARAMS.multimodal.sets["simulated"]
    of_session = PARAMS.dataset("simulated").dataset.modalities
    assert sorted(PARAMS.run.datasets[name].modality for name in joined) == sorted(of_session)


@pytest.mark.parametrize("name", PARAMS.multimodal.sets)
def test_joined_windows_answer_alike_and_all_are_read(name: str, read: Read) -> None:
    datasets, tolerance = PARAMS.multimodal.sets[name], PARAMS.multimodal.tolerance
    streams = {dataset: windows(dataset, read) for dataset in datasets}
    joined = join(streams, tolerance=tolerance).complete()
    assert len(joined) > 0.95 * min(len(each.x) for each in streams.values())
    for dataset, each in streams.items():
        index = joined.index[dataset]
        assert np.abs(each.anchor[index] - joined.anchor).max() <= tolerance + 1e-9
        # every modality has taken the answer to its own clock: at one moment all must say the same
        gap = each.y[index] - joined.y
        gap = (gap + np.pi) % (2 * np.pi) - np.pi if joined.task.kind == "circular" else gap
        assert np.median(np.abs(gap)) < 0.1 * joined.y.std()

    torch.manual_seed(0)
    decoder = build_joint(PARAMS.named("neurofmx").config, PARAMS.head_of(datasets[0]), joined, fold=0)  # type: ignore[arg-type]
    rows = joined.fold(0).test[:5]
    whole = decoder.predict(rows_of(joined, 0, rows, only=datasets))
    assert np.isfinite(whole).all()
    for dataset in datasets:
        less = decoder.predict(rows_of(joined, 0, rows, only=[other for other in datasets if other != dataset]))
        assert (less != whole).any(axis=1).all(), f"{dataset} is not read"
