"""A sweep's ranking, against losses chosen by hand."""

from __future__ import annotations

from tests.study_runs import entry, report, truth_of

from neurofmx.study.compare import compare
from neurofmx.study.sweep import rank_by_loss
from neurofmx.study.table import study_markdown

TRUTH = truth_of()
LOSSES = {
    "usual": {"digits": 0.5, "haxby": 2.0},
    "worse": {"digits": 0.5, "haxby": 4.0},
    "better": {"digits": 0.25, "haxby": 2.0},
    "mixed": {"digits": 0.25, "haxby": 3.0},
}


def compared():
    """Four settings on two datasets, one on which only two ran, and a model to compare with."""
    runs = [
        entry(name, TRUTH, dataset=dataset, report=report(TRUTH) | {"validation_loss": loss})
        for name, losses in LOSSES.items()
        for dataset, loss in losses.items()
    ]
    runs += [entry(name, TRUTH, dataset="third") for name in ("usual", "worse")]
    lstm = entry("lstm", TRUTH, variant=False, report=report(TRUTH) | {"validation_loss": 0.01})
    return compare([*runs, lstm], baseline="usual", study="sweep", draws=20)


def test_settings_are_ranked_by_the_geometric_mean_of_loss_ratios():
    ranked = {one.name: one for one in rank_by_loss(compared())}
    assert list(ranked) == ["better", "mixed", "usual", "worse"]
    assert abs(ranked["mixed"].ratio - 0.75**0.5) < 1e-6
    assert abs(ranked["worse"].ratio - 2**0.5) < 1e-6, "the third dataset, which two did not run, would flatter it"
    assert ranked["worse"].each == {"digits": 1, "haxby": 2, "third": 1}
    assert (ranked["mixed"].lower, ranked["mixed"].datasets) == (1, 2)
    assert ranked["usual"].ratio == 1


def test_the_table_begins_with_the_ranking_and_leaves_other_models_out_of_it():
    head = study_markdown(compared()).split("Ratios to")[0]
    assert "Settings by validation loss" in head
    assert "lstm" not in head
    assert [line.split("|")[1].strip() for line in head.splitlines() if line.startswith("| ")][2:] == [
        "better",
        "mixed",
        "usual",
        "worse",
    ]


def test_a_run_without_a_validation_loss_is_left_out():
    runs = [entry(name, TRUTH) for name in ("usual", "fitted")]
    fitted = entry("fitted", TRUTH, report=report(TRUTH) | {"validation_loss": None})
    ranked = rank_by_loss(compare([runs[0], fitted], baseline="usual", study="sweep", draws=20))
    assert [one.name for one in ranked] == ["usual"]
