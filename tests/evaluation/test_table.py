"""The table holds what the reports hold, in the promised order."""

import pytest
from tests.evaluation.conftest import made_up

from neurofmx.evaluation.table import comparison_markdown


def cells(table: str) -> list[dict[str, str]]:
    """Rows of a Markdown table by column name."""
    names, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines())
    return [dict(zip(names, row, strict=True)) for row in rows]


def test_rows_by_dataset_then_best_first(reports: list[dict]) -> None:
    rows = cells(comparison_markdown(reports))
    assert [(row["dataset"], row["model"]) for row in rows] == [
        ("haxby", "model"),
        ("haxby", "linear"),
        ("haxby", "pca"),
        ("haxby", "lstm"),
        ("peyrache", "linear"),
        ("peyrache", "model"),
    ]


def test_order_of_the_reports_changes_nothing(reports: list[dict]) -> None:
    assert comparison_markdown(reports[::-1]) == comparison_markdown(reports)


def test_numbers_and_words(reports: list[dict]) -> None:
    best, linear, pca, *_ = cells(comparison_markdown(reports))
    assert best == {
        "dataset": "haxby",
        "model": "model",
        "seeds": "3",
        "metric": "accuracy",
        "score": "0.750",
        "95 % interval": "0.710 to 0.780",
        "chance": "0.125",
        "linear": "0.700",
        "difference": "+0.050 [+0.010, +0.080]",
        "beats linear": "wins",
        "parameters": "1,234,567",
        "train s": "12.3",
        "MiB": "410",
        "spikes": "0.123",
    }
    assert (linear["difference"], linear["beats linear"], linear["spikes"]) == ("-", "reference", "-")
    assert pca["beats linear"] == "loses"


def test_a_precision_below_float32_is_named(reports: list[dict]) -> None:
    changed = [report | {"precision": "int8" if report["model"] == "lstm" else "float32"} for report in reports]
    named = {row["model"] for row in cells(comparison_markdown(changed))}
    assert named == {"model", "linear", "pca", "lstm (int8)"}


def test_of_perplexities_the_lowest_stands_first() -> None:
    rows = cells(
        comparison_markdown(
            [made_up("text", name, score, metric="perplexity") for name, score in (("a", 219.16), ("b", 12_345.6))]
        )
    )
    assert [(row["model"], row["score"]) for row in rows] == [("a", "219.2"), ("b", "12,346")]


def test_lines_are_equally_long_and_fit_a_terminal(reports: list[dict]) -> None:
    lines = comparison_markdown(reports).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert len(lines[0]) <= 180


def test_the_interval_names_its_confidence(reports: list[dict]) -> None:
    for report in reports:
        report["interval"]["confidence"] = 0.9
    assert "90 % interval" in cells(comparison_markdown(reports))[0]
    reports[0]["interval"]["confidence"] = 0.95
    with pytest.raises(ValueError, match=r"confidence \[0.9, 0.95\]"):
        comparison_markdown(reports)


def test_no_report_is_an_error() -> None:
    with pytest.raises(ValueError, match="reports is empty"):
        comparison_markdown([])
