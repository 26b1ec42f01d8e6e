"""Poses: what was not seen is bridged and marked, and what is left does not depend on where the body is."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from neurofmx.datasets import DATASETS
from neurofmx.preprocessing.pose import MEASURED, PoseOptions, keypoints, preprocess
from neurofmx.recordings.recording import Recording, Signal

NAMES = ("snout", "leftear", "tail")
RNG = np.random.default_rng(0)


def recording(places: np.ndarray, confidence: np.ndarray | None = None, *, rate: float = 10.0) -> Recording:
    """Places `(time, keypoints, axes)` as a recording."""
    axes = "xyz"[: places.shape[2]]
    channels = tuple(f"{name}-{axis}" for name in NAMES for axis in axes)
    signals = {"pose": Signal(places.reshape(len(places), -1), rate, "px", channels)}
    if confidence is not None:
        signals["confidence"] = Signal(confidence, rate, "1", NAMES)
    return Recording("m", "1", signals)


def clean(places: np.ndarray, **options) -> np.ndarray:
    """Cleaned places, shaped as they came."""
    (done,) = preprocess([recording(places)], PoseOptions(**options))
    return done.signal("pose").data.reshape(places.shape)


def test_places_of_low_confidence_are_interpolated_and_marked() -> None:
    places, confidence = RNG.normal(size=(40, 3, 2)), RNG.uniform(size=(40, 3))
    (done,) = preprocess([recording(places, confidence)], PoseOptions(min_confidence=0.4, min_seen=0.1))
    seen = confidence >= 0.4
    oracle = pd.DataFrame(np.where(seen[..., None], places, np.nan).reshape(40, 6))
    oracle = oracle.interpolate(limit_direction="both")  # linear, and held at the ends
    np.testing.assert_allclose(done.signal("pose").data, oracle, atol=1e-6)
    np.testing.assert_array_equal(done.signal(MEASURED).data, seen)
    assert done.signal(MEASURED).channels == NAMES
    assert "confidence" not in done.signals


def test_missing_places_are_gaps_too() -> None:
    places = np.arange(30.0).reshape(5, 3, 2)
    places[2, 1, 0] = np.nan  # one axis is enough: a place without it is no place
    (done,) = preprocess([recording(places)], PoseOptions())
    np.testing.assert_allclose(done.signal("pose").data, np.arange(30.0).reshape(5, 6))
    assert done.signal(MEASURED).data[:, 1].tolist() == [1, 1, 0, 1, 1]


def test_keypoints_that_are_rarely_seen_are_left_out_everywhere(caplog: pytest.LogCaptureFixture) -> None:
    whole, torn = RNG.normal(size=(2, 20, 3, 2))
    torn[4:, 2] = np.nan
    done = preprocess([recording(whole), recording(torn)], PoseOptions(min_seen=0.5))
    assert [keypoints(each.signal("pose"))[0] for each in done] == [("snout", "leftear")] * 2
    assert "dropped 1 keypoints that are rarely seen: tail" in caplog.text
    with pytest.raises(ValueError, match=r"keypoint tail is seen in 20% of the frames, below min_seen=50%; loosen"):
        preprocess([recording(whole), recording(torn)], PoseOptions(min_seen=0.5, bad="error"))
    torn[:] = np.nan
    with pytest.raises(ValueError, match=r"recording m/1: no keypoint is seen well enough"):
        preprocess([recording(torn)], PoseOptions(min_seen=0.0))


def test_a_gap_that_is_too_long_is_not_bridged() -> None:
    places = RNG.normal(size=(20, 3, 2))
    places[5:9, 0] = np.nan  # 0.4 s
    assert np.isfinite(clean(places, max_gap=0.4, bad="error")).all()
    with pytest.raises(ValueError, match=r"keypoint snout has a gap of 0.4 s, above max_gap=0.3 s"):
        clean(places, max_gap=0.3, bad="error")


@given(st.floats(-3, 3), st.floats(0.5, 20), st.floats(-100, 100), st.floats(-100, 100))
def test_a_pose_about_the_body_forgets_where_it_is(turn: float, scale: float, right: float, down: float) -> None:
    places = np.random.default_rng(1).normal(size=(6, 3, 2))
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    about = {"centre": ("snout", "tail"), "heading": ("tail", "snout"), "length": ("tail", "snout")}
    elsewhere = scale * places @ rotation + (right, down)
    np.testing.assert_allclose(clean(elsewhere, **about), clean(places, **about), atol=1e-4)


def test_the_body_points_along_the_first_axis() -> None:
    places = np.array([[[0.0, 3.0], [5.0, 5.0], [0.0, 1.0]]])  # the snout is two above the tail
    done = clean(places, centre=("tail",), heading=("tail", "snout"), length=("tail", "snout"))
    np.testing.assert_allclose(done[0], [[1.0, 0.0], [2.0, -2.5], [0.0, 0.0]], atol=1e-6)


def test_wrong_names_and_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"preprocess names the keypoints nose, there are snout, leftear, tail"):
        clean(np.zeros((3, 3, 2)), centre=("nose",))
    with pytest.raises(ValueError, match=r"preprocess.heading needs a planar pose, got 3 axes"):
        clean(np.zeros((3, 3, 3)), centre=("snout",), heading=("tail", "snout"))
    with pytest.raises(ValueError, match=r"preprocess.length: tail and snout lie on each other"):
        clean(np.zeros((3, 3, 2)), length=("tail", "snout"))
    with pytest.raises(ValidationError, match=r"heading needs centre"):
        PoseOptions(heading=("tail", "snout"))
    pose = Signal(np.zeros((2, 3)), 1.0, "px", ("a-x", "b-x", "a-y"))
    with pytest.raises(ValueError, match=r"the axes of a keypoint side by side"):
        preprocess([Recording("m", "1", {"pose": pose})], PoseOptions())
    with pytest.raises(ValueError, match=r"confidence must have a sample and a channel for every keypoint"):
        preprocess([recording(np.zeros((3, 3, 2)), np.ones((2, 3)))], PoseOptions())


@pytest.mark.parametrize("view", ["2D", "3D"])
def test_a_real_reach_loses_only_what_was_not_seen(view: str, raw: Callable[..., Path], tmp_path: Path) -> None:
    dataset = DATASETS["dlc_reach"](view=view)
    folder = tmp_path
    if view == "2D":
        folder = raw("dlc_reach")
    else:
        raw("dlc_reach")  # skips where there is no mirror
        import os

        dataset.download(folder, mirror=os.environ.get("NEUROFMX_MIRROR"), cache=tmp_path / "cache")
    (reach,) = dataset.read(folder)
    (done,) = preprocess([reach], PoseOptions())
    gone = set(keypoints(reach.signal("pose"))[0]) - set(keypoints(done.signal("pose"))[0])
    assert gone == {"L_Finger3", "L_Finger4", "Left_elbow"}
    seen = np.repeat(done.signal(MEASURED).data, len(dataset.task.names), axis=1) == 1
    kept = [reach.signal("pose").channels.index(name) for name in done.signal("pose").channels]
    np.testing.assert_allclose(
        done.signal("pose").data[seen], reach.signal("pose").data[:, kept][seen], rtol=1e-6, atol=1e-4
    )
    assert 0.9 < seen.mean() < 1
