"""The table of a suite holds what the reports hold, counts right, and says what is missing."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.evaluation.conftest import made_up

from neurofmx.study.forest import difference, forest
from neurofmx.study.scoreboard import scoreboard

DATASETS = {"haxby": "fmri", "peyrache": "spikes", "text": "text"}


@pytest.fixture
def reports() -> list[dict]:
    """Three datasets, two models beside the linear one; of perplexities the lower is the better one."""
    scores = {"haxby": (0.75, 0.6), "peyrache": (0.69, 0.71), "text": (0.5, 0.9)}
    metric = {"haxby": "accuracy", "peyrache": "r2", "text": "perplexity"}
    found = [made_up("other", "linear", 0.7)]
    for dataset, (model, lstm) in scores.items():
        for name, score in {"linear": 0.7, "model": model, "lstm": lstm}.items():
            found.append(made_up(dataset, name, score, metric=metric[dataset]))
    for report, verdict in zip(found[-2:], ("wins", "loses"), strict=True):
        report["verdict"] = verdict
    return found


def test_rows_cells_and_verdicts(reports: list[dict]) -> None:
    text = scoreboard(reports, datasets=DATASETS, models=("lstm", "model"), references={"haxby": 0.72})
    head, _, *rows = (re.sub(" +", " ", line) for line in text.split("\n\n")[0].splitlines())
    assert head == "| dataset | modality | metric | chance | reference | linear | lstm | model |"
    assert rows == [
        "| haxby | fmri | accuracy | 0.125 | 0.720 | 0.700 [0.660, 0.730] | 0.600 [0.560, 0.630] loses "
        "| **0.750** [0.710, 0.780] wins |",
        "| peyrache | spikes | r2 | 0.125 | - | 0.700 [0.660, 0.730] | **0.710** [0.670, 0.740] "
        "| 0.690 [0.650, 0.720] |",
        "| text | text | perplexity | 0.125 | - | 0.700 [0.660, 0.730] | 0.900 [0.860, 0.930] loses "
        "| **0.500** [0.460, 0.530] wins |",
    ]


def test_the_sum_counts_verdicts_and_references(reports: list[dict]) -> None:
    references = {"haxby": 0.72, "peyrache": 0.74, "text": 0.68, "elsewhere": 0.1}
    text = scoreboard(reports, datasets=DATASETS, models=("lstm", "model"), references=references)
    assert text.split("\n\n")[1].splitlines() == [
        "- `lstm` against `linear`: wins on 0, ties on 1, loses on 2; the best of all on 1.",
        "- `model` against `linear`: wins on 2, ties on 1, loses on 0; the best of all on 2.",
        "- `linear` comes within 0.03 of the reference, or passes it, on 2 of 3; not on peyrache 0.700 for 0.740.",
    ]


def test_a_model_without_scores_is_named(reports: list[dict]) -> None:
    with pytest.raises(ValueError, match="no scores of haxby pca, peyrache pca, text pca; the suite is not finished"):
        scoreboard(reports, datasets=DATASETS, models=("pca",), references={})


def test_right_of_zero_is_better_for_perplexities_too(reports: list[dict]) -> None:
    by_name = {(report["dataset"], report["model"]): report for report in reports}
    assert difference(by_name["haxby", "model"]) == pytest.approx((0.01, 0.05, 0.08))
    assert difference(by_name["text", "model"]) == pytest.approx((0.17 / 0.7, 0.2 / 0.7, 0.24 / 0.7))


def test_the_figure_is_drawn_alike_twice(reports: list[dict], tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        forest(reports, tmp_path / name, datasets=DATASETS, models=("lstm", "model"))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    drawn = np.asarray(Image.open(tmp_path / "a.png").convert("RGB"))
    for colour in ((0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)):  # a mark and an interval of either model in each line
        assert (np.abs(drawn.astype(int) - colour).max(2) < 8).sum() > 300
