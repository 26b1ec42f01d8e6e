"""A suite at a glance: a row a dataset, a column a model, beside chance, the linear model and what others reached."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from neurofmx.evaluation.table import ABSENT, best_first, number
from neurofmx.study.markdown import table

HEAD = ("dataset", "modality", "metric", "chance", "reference", "linear")

Report = Mapping[str, Any]


def scoreboard(
    reports: Iterable[Report], *, datasets: Mapping[str, str], models: Sequence[str], references: Mapping[str, float]
) -> str:
    """The table of a suite, and a line that sums each model up.

    Args:
        reports: What `neurofmx.evaluation.report.report` returned; those of other datasets and models are left out.
        datasets: Dataset to modality, in the order of the rows.
        models: Models to hold against the linear one, in the order of the columns.
        references: What decoders of others reach on a dataset, in its headline metric; not every dataset has one.

    Returns:
        Markdown. A cell is the score, its interval, and `wins` or `loses` where the interval of the difference to the
        linear model leaves 0 out; the best score of a row is bold.

    Raises:
        ValueError: If a dataset has no report of the linear model or of one of the models.
    """
    rows = rows_of(reports, datasets=datasets, models=models)
    body = [_row(dataset, datasets[dataset], row, references) for dataset, row in rows.items()]
    return f"{table([*HEAD, *models], body)}\n\n{_summary(rows, models, references)}\n"


def rows_of(
    reports: Iterable[Report], *, datasets: Iterable[str], models: Sequence[str]
) -> dict[str, dict[str, Report]]:
    """Reports by dataset and model, the linear one first; arguments and errors as of `scoreboard`."""
    found = {(report["dataset"], report["model"]): report for report in reports}
    wanted = {dataset: ("linear", *models) for dataset in datasets}
    missing = [f"{dataset} {model}" for dataset in wanted for model in wanted[dataset] if (dataset, model) not in found]
    if missing:
        raise ValueError(f"no scores of {', '.join(missing)}; the suite is not finished, the same command goes on")
    return {dataset: {model: found[dataset, model] for model in wanted[dataset]} for dataset in wanted}


def _row(dataset: str, modality: str, row: Mapping[str, Report], references: Mapping[str, float]) -> list[str]:
    """Cells of a dataset."""
    linear = row["linear"]
    best = min(row, key=lambda model: best_first(row[model]))
    chance, reference = number(linear["chance"][linear["headline"]]), references.get(dataset)
    cells = [_cell(report, best=model == best) for model, report in row.items()]
    return [dataset, modality, linear["headline"], chance, ABSENT if reference is None else number(reference), *cells]


def _cell(report: Report, *, best: bool) -> str:
    """Score, interval and verdict."""
    score, ends = number(report["score"]), report["interval"]
    verdict = "" if report["model"] == "linear" or report["verdict"] == "ties" else f" {report['verdict']}"
    return f"{f'**{score}**' if best else score} [{number(ends['low'])}, {number(ends['high'])}]{verdict}"


def _summary(rows: Mapping[str, Mapping[str, Report]], models: Sequence[str], references: Mapping[str, float]) -> str:
    """How each model stands against the linear one, and the linear one against the references."""
    said = []
    for model in models:
        verdicts = Counter(row[model]["verdict"] for row in rows.values())
        counts = ", ".join(f"{word} on {verdicts[word]}" for word in ("wins", "ties", "loses"))
        best = sum(min(row, key=lambda name: best_first(row[name])) == model for row in rows.values())
        said.append(f"- `{model}` against `linear`: {counts}; the best of all on {best}.")
    behind = [
        f"{dataset} {number(rows[dataset]['linear']['score'])} for {number(reference)}"
        for dataset, reference in references.items()
        if dataset in rows and _short_of(rows[dataset]["linear"], reference) > 0.03
    ]
    compared = sum(dataset in rows for dataset in references)
    reached = f"- `linear` comes within 0.03 of the reference, or passes it, on {compared - len(behind)} of {compared}"
    return "\n".join([*said, reached + (f"; not on {', '.join(behind)}." if behind else ".")])


def _short_of(linear: Report, reference: float) -> float:
    """By how much a score misses what others reached, positive if it does."""
    return best_first(linear) - best_first({**linear, "score": reference})
