"""Grey values are scaled by the range of their format."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from ruamel.yaml import YAML
from sklearn.datasets import load_digits

from neurofmx.datasets import DATASETS
from neurofmx.preprocessing import PREPROCESS
from neurofmx.preprocessing.image import ImageOptions, preprocess
from neurofmx.recordings.recording import Recording, Signal

PARAMS = YAML(typ="safe").load(Path(__file__).parents[2] / "params.yaml")


def _blocks() -> list[tuple[str, str, str]]:
    """Name, kind and modality of every block whose recordings are those of its kind's default options."""
    named = PARAMS["run"]["datasets"] | PARAMS["suites"]["core_v1"]["datasets"]
    return [
        (name, item["kind"], item["modality"])
        for name, item in named.items()
        if DATASETS[item["kind"]](**PARAMS["datasets"][name]["options"]) == DATASETS[item["kind"]]()
    ]


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


def test_colours_are_kept_or_turned_into_their_brightness() -> None:
    values = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3)).astype(np.uint8)
    recording = Recording("s", "1", {"image": Signal(values, 1.0, "", ())}, arrays={"range": np.array([0.0, 255.0])})
    (kept,), (grey,) = (preprocess([recording], ImageOptions(grey=wanted)) for wanted in (False, True))
    np.testing.assert_allclose(kept.signal("image").data, values / 255, atol=1e-6)
    oracle = np.stack([np.asarray(Image.fromarray(picture).convert("L")) for picture in values])
    np.testing.assert_allclose(grey.signal("image").data * 255, oracle, atol=1)  # Pillow rounds


@pytest.mark.parametrize("shape", [(4, 4), (2, 4, 4, 4), (2, 4, 4, 3, 1)])
def test_what_is_no_picture_is_refused(shape: tuple[int, ...]) -> None:
    names = tuple("abcd") if len(shape) == 2 else ()
    recording = Recording("s", "1", {"image": Signal(np.zeros(shape), 1.0, "", names)})
    with pytest.raises(ValueError, match=r"recording s/1: image must be \(time, height, width\)"):
        preprocess([recording], ImageOptions())


@pytest.mark.parametrize(("name", "kind", "modality"), _blocks())
def test_every_dataset_passes_with_the_options_of_its_block(
    name: str, kind: str, modality: str, read: Callable[[str], list[Recording]]
) -> None:
    way = PREPROCESS[modality]
    task = DATASETS[kind]().task
    for recording in way.preprocess(read(kind), way.options(**PARAMS["datasets"][name]["preprocess"])):
        signal = recording.signal(way.signal)
        assert np.isfinite(signal.data).all()
        assert signal.data.dtype == (np.int32 if modality == "text" else np.float32)
        if task.kind == "circular":
            np.testing.assert_array_equal(recording.signal(task.target).times, signal.times)
