"""Every kind of study has a figure, and a sweep's has its settings where they belong."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from neurofmx.plan import Suite
from neurofmx.study.compare import compare
from neurofmx.study.draw import draw
from neurofmx.study.sweep import rank_by_loss
from neurofmx.study.sweep_figure import _draw, sweep_figure
from neurofmx.study.table import study_markdown
from study_runs import entry, report, truth_of

KINDS = [*get_args(get_args(Suite.model_fields["study"].annotation)[0]), None]
LENGTHS = {"64": {"value": 0.9, "low": 0.8, "high": 1.0}, "256": {"value": 0.7, "low": 0.6, "high": 0.8}}


def study(kind: str | None, *names: str) -> dict[str, Any]:
    """Runs of two datasets, with all that a report of a network may hold."""
    runs = []
    for number, dataset in enumerate(("digits", "haxby")):
        truth = truth_of(seed=number)
        for place, name in enumerate(names):
            facts = report(truth) | {"by_length": LENGTHS, "validation_loss": 0.5 + 0.1 * place + 0.02 * number}
            took = tuple({"fold": k, "seed": 1, "ms": 2.0 + k, "float32_ms": 4.0} for k in range(3))
            runs.append(entry(name, truth, dataset=dataset, report=facts, inference=took))
    return compare(runs, baseline=names[0], study=kind, draws=20)


def test_all_kinds_are_known() -> None:
    assert {"four_way", "sweep", "precision", None} <= set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("others", [("one", "two"), ()], ids=["whole", "baseline alone"])
def test_every_kind_of_study_has_a_table_and_a_figure_that_is_whole(
    kind: str | None, others: tuple[str, ...], tmp_path: Path
) -> None:
    result = study(kind, "usual", *others)
    assert study_markdown(result)
    for name in ("one", "two"):
        draw(result, tmp_path / f"{name}.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    image = imread(tmp_path / "one.png")[..., :3]
    assert all(np.all(edge == 1) for edge in (image[0], image[-1], image[:, 0], image[:, -1]))
    assert image.min() < 0.5, "something is drawn"


def test_a_sweep_has_the_ratios_of_every_setting_in_its_line() -> None:
    result = study("sweep", "usual", "worse", "worst")
    ranked, panel = rank_by_loss(result), Figure().subplots()
    _draw(panel, ranked, ["digits", "haxby"])
    lines = {line.get_label(): line for line in panel.get_lines()}
    np.testing.assert_allclose(lines["digits"].get_xdata(), [1, 0.6 / 0.5, 0.7 / 0.5])
    np.testing.assert_allclose(lines["haxby"].get_xdata(), [1, 0.62 / 0.52, 0.72 / 0.52])
    np.testing.assert_allclose(lines["mean"].get_xdata(), [one.ratio for one in ranked])
    assert [list(lines[name].get_ydata()) for name in ("digits", "mean")] == [[0, 1, 2]] * 2


def test_a_sweep_without_losses_has_no_figure(tmp_path: Path) -> None:
    fitted = entry("usual", truth_of(), report=report(truth_of()) | {"validation_loss": None})
    with pytest.raises(ValueError, match="no dataset on which all settings have a validation loss"):
        sweep_figure(compare([fitted], baseline="usual", study="sweep", draws=20), tmp_path / "figure.png")
