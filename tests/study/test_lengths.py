"""Scores by length: the table says what was measured and where it breaks, the figure draws it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread

from neurofmx.study.compare import compare
from neurofmx.study.lengths import holds_to, lengths_markdown
from neurofmx.study.lengths_figure import lengths_figure
from neurofmx.study.table import study_markdown
from study_runs import entry, report, truth_of


def scores(*values: float, width: float = 0.02, first: int = 64) -> dict[str, dict[str, float]]:
    """Scores at doubling lengths, each with an interval."""
    return {
        str(first * 2**k): {"value": value, "low": value * (1 - width), "high": value * (1 + width)}
        for k, value in enumerate(values)
    }


def study(**runs: dict[str, Any] | None) -> dict[str, Any]:
    """Runs of one dataset with their scores by length; the first is the baseline."""
    truth = truth_of()
    made = [
        entry(name, truth, harmed={}, report=report(truth) | ({"by_length": each} if each else {}))
        for name, each in runs.items()
    ]
    return compare(made, baseline=made[0].name, study="memory", draws=20)


@pytest.mark.parametrize(
    ("metric", "values", "held"),
    [
        ("accuracy", (0.9, 0.91, 0.89), "256"),
        ("accuracy", (0.9, 0.85, 0.9), "64"),  # what breaks on the way does not hold at the end
        ("accuracy", (0.9, 0.95, 0.5), "128"),
        ("perplexity", (50.0, 45.0, 40.0), "256"),
        ("perplexity", (50.0, 49.0, 60.0), "128"),
        ("perplexity", (50.0, 50.9, 51.1), "128"),  # within 2 %, then beyond
        ("accuracy", (0.505, 0.505, 0.505), "-"),  # chance is 0.5: what was never learnt does not hold
        ("perplexity", (98.5, 90.0, 80.0), "-"),
    ],
)
def test_a_run_holds_as_far_as_it_is_nowhere_worse_beyond_doubt(
    metric: str, values: tuple[float, ...], held: str
) -> None:
    chance = 0.5 if metric == "accuracy" else 100.0
    assert holds_to({"headline": metric, "chance": chance, "by_length": scores(*values)}) == held


def test_the_table_has_every_run_and_length_that_was_asked() -> None:
    result = study(whole=scores(0.9, 0.9, 0.4), lstm=scores(0.3, 0.3), other=None)
    table = lengths_markdown(result)
    assert table in study_markdown(result)
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if "|" in line]
    lines = {name: rest for name, *rest in cells}
    assert lines["run"] == ["64", "128", "256", "holds to"]
    assert lines["whole"] == ["0.900 [0.882, 0.918]", "0.900 [0.882, 0.918]", "0.400 [0.392, 0.408]", "128"]
    assert lines["lstm"] == ["0.300 [0.294, 0.306]", "0.300 [0.294, 0.306]", "-", "-"]
    assert "other" not in lines
    assert lengths_markdown(study(whole=None)) == ""
    assert "By length" not in study_markdown(study(whole=None))


def test_lengths_rise_though_a_file_has_them_in_the_order_of_letters(tmp_path: Path) -> None:
    made = scores(0.9, 0.9, 0.4)
    read = json.loads(json.dumps(made, sort_keys=True))
    assert list(read) == ["128", "256", "64"]
    results = [study(whole=each, lstm=each) for each in (made, read)]
    assert holds_to(results[1]["rows"][0]) == "128"
    assert lengths_markdown(results[0]) == lengths_markdown(results[1])
    for number, result in enumerate(results):
        lengths_figure(result, tmp_path / f"{number}.png")
    assert (tmp_path / "0.png").read_bytes() == (tmp_path / "1.png").read_bytes()


def test_the_figure_is_the_same_twice_and_whole(tmp_path: Path) -> None:
    runs = {f"run_{k}": scores(0.9, 0.5 + k / 20, 0.3) for k in range(7)}
    result = study(**runs)
    for name in ("one", "two"):
        lengths_figure(result, tmp_path / f"{name}.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    image = imread(tmp_path / "one.png")[..., :3]
    assert all(np.all(edge == 1) for edge in (image[0], image[-1], image[:, 0], image[:, -1]))
    with pytest.raises(ValueError, match="no dataset has scores by length: set "):
        lengths_figure(study(whole=None), tmp_path / "three.png")
