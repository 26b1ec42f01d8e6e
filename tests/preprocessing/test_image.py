"""Grey values are scaled by the range of their format."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML
from sklearn.datasets import load_digits

from neurofmx.datasets import DATASETS
from neurofmx.preprocessing import PREPROCESS
from neurofmx.preprocessing.image import ImageOptions, preprocess
from neurofmx.recording import Recording, Signal

PARAMS = Path(__file__).parents[2] / "params.yaml"


def _recording(data: np.ndarray) -> Recording:
    return Recording("s", "1", {"image": Signal(data, 1.0, "grey", ())}, arrays={"range": np.array([0.0, 16.0])})


def test_real_digits_lie_in_0_to_1(raw: Callable[[str], Path]) -> None:
    clean = preprocess(DATASETS["digits"]().read(raw("digits")), ImageOptions())[0].signal("image")
    np.testing.assert_allclose(clean.data, load_digits().images / 16)
    assert clean.data.dtype == np.float32


def test_black_and_white_can_be_exchanged() -> None:
    data = np.array([0.0, 4, 12, 16]).reshape(1, 2, 2)
    clean = preprocess([_recording(data)], ImageOptions(invert=True))[0].signal("image")
    assert clean.data.ravel().tolist() == [1, 0.75, 0.25, 0]


@pytest.mark.parametrize("wrong", [17.0, -1.0, np.nan])
def test_values_outside_the_range_are_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match=r"recording s/1, signal image: values must be finite and lie in its range"):
        preprocess([_recording(np.full((1, 2, 2), wrong))], ImageOptions())


@pytest.mark.parametrize("name", DATASETS)
def test_every_dataset_passes_with_the_options_of_its_block(name: str, raw: Callable[[str], Path]) -> None:
    dataset = DATASETS[name]()
    way = PREPROCESS[dataset.modalities[0]]
    block = YAML(typ="safe").load(PARAMS)["datasets"].get(name, {"preprocess": {}})
    for recording in way.preprocess(dataset.read(raw(name)), way.options(**block["preprocess"])):
        signal = recording.signal(way.signal)
        assert np.isfinite(signal.data).all()
        assert signal.data.dtype == np.float32
        if dataset.task.kind == "circular":
            np.testing.assert_array_equal(recording.signal(dataset.task.target).times, signal.times)
