"""Figures: the same bytes twice, what is drawn is what was given, and nothing is cut off."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.lines import Line2D

from neurofmx.evaluation import figures
from neurofmx.evaluation.canvas import COLOURS, canvas
from neurofmx.evaluation.figures import comparison_figure, curves_figure

CURVES = {
    ("haxby", "lstm"): [(1, 2.0, 2.1), (2, 1.0, 1.5), (3, 0.5, 1.4)],
    ("haxby", "model"): [(1, 1.9, 2.2), (2, 0.9, 1.3)],
    ("peyrache", "model"): [(1, 0.4, 0.5)],
}


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Figures that were saved during the test."""
    kept: list[Figure] = []

    @contextmanager
    def kept_canvas(to: Path, **how: Any) -> Iterator[Figure]:
        with canvas(to, **how) as figure:
            yield figure
            kept.append(figure)

    monkeypatch.setattr(figures, "canvas", kept_canvas)
    return kept


def whole(path: Path) -> bool:
    """Whether the outermost pixels are all white: nothing runs over the edge."""
    image = imread(path)[..., :3]
    return all(np.all(edge == 1) for edge in (image[0], image[-1], image[:, 0], image[:, -1]))


def across(line: Line2D) -> list[float]:
    """Horizontal coordinates of a line."""
    return np.asarray(line.get_xdata(), float).tolist()


def test_comparison_is_the_same_twice_and_whole(reports: list[dict], tmp_path: Path) -> None:
    one, other = tmp_path / "one.png", tmp_path / "deep" / "other.png"
    comparison_figure(reports, one)
    comparison_figure(reports[::-1], other)
    assert one.read_bytes() == other.read_bytes()
    assert whole(one)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "one.png"]


def test_comparison_shows_scores_intervals_and_references(
    reports: list[dict], tmp_path: Path, drawn: list[Figure]
) -> None:
    comparison_figure(reports, tmp_path / "figure.png")
    haxby, peyrache = drawn[0].axes
    assert [panel.get_title(loc="left") for panel in (haxby, peyrache)] == ["haxby", "peyrache"]
    assert [label.get_text() for label in haxby.get_yticklabels()] == ["lstm", "pca", "linear", "model"]
    assert haxby.get_xlabel() == "accuracy"
    chance, linear, *rest = haxby.get_lines()
    assert (across(chance)[0], chance.get_linestyle()) == (0.125, "--")
    assert (across(linear)[0], linear.get_linestyle()) == (0.7, "-")
    intervals, dots = rest[::2], rest[1::2]
    assert [across(dot)[0] for dot in dots] == [0.6, 0.65, 0.7, 0.75]
    np.testing.assert_allclose(across(intervals[-1]), [0.71, 0.78])
    assert dots[-1].get_color() == peyrache.get_lines()[3].get_color()  # model, in both panels


def test_curves_are_the_same_twice_and_whole(tmp_path: Path) -> None:
    one, other = tmp_path / "one.png", tmp_path / "other.png"
    curves_figure(CURVES, one)
    curves_figure(dict(reversed(CURVES.items())), other)
    assert one.read_bytes() == other.read_bytes()
    assert whole(one)


def test_curves_show_training_thin_and_validation_bold(tmp_path: Path, drawn: list[Figure]) -> None:
    curves_figure(CURVES, tmp_path / "figure.png")
    train, validation, *_ = drawn[0].axes[0].get_lines()
    np.testing.assert_array_equal(train.get_ydata(), [2.0, 1.0, 0.5])
    np.testing.assert_array_equal(validation.get_ydata(), [2.1, 1.5, 1.4])
    np.testing.assert_array_equal(train.get_xdata(), [1, 2, 3])
    assert train.get_linewidth() < validation.get_linewidth()


def test_no_network_leaves_a_sentence(tmp_path: Path, drawn: list[Figure]) -> None:
    curves_figure({}, tmp_path / "figure.png")
    assert drawn[0].axes[0].texts[0].get_text() == "No model was trained by gradient descent."


def test_no_report_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="reports is empty"):
        comparison_figure([], tmp_path / "figure.png")
    assert not list(tmp_path.iterdir())


def test_colours_stay_apart_in_grey() -> None:
    """Neighbours in the table of colours differ in brightness or hue; none is near white."""
    rgb = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in COLOURS]) / 255
    assert np.all(rgb @ (0.2126, 0.7152, 0.0722) < 0.75)
    assert len(set(COLOURS)) == len(COLOURS)
