"""A study's table in Markdown: over all datasets, the claims, and every run on every dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from neurofmx.evaluation.table import ABSENT, number
from neurofmx.study.cells import HEADS, counted_cell, interval_cell, number_cell
from neurofmx.study.claims_table import claims_markdown
from neurofmx.study.compare import ALL
from neurofmx.study.lengths import lengths_markdown
from neurofmx.study.markdown import table
from neurofmx.study.notes import floored_sentence, left_out_sentences, read_markdown, sizes_sentence
from neurofmx.study.ratios import FLOOR
from neurofmx.study.spikes import spikes_markdown
from neurofmx.study.sweep import sweep_markdown

# of a part that is left out: what its absence says of it
BUYS = {"loses": "buys score", "ties": "buys nothing measurable", "wins": "costs score"}
# how some measures come about, said where a study has them
MEASURED = {
    "silenced": "k silent neurons are a smaller part of a network that has more, as populations do; a share of them is "
    "the same part of every network.",
    "time": "`time in all` is that of all training steps, whose number early stopping sets, `time of a step` that of "
    "one: of the processor, without validation and first compilation.",
    "memory": "Memory is that of a training step: weights, gradients, moments, and what is kept for the backward pass.",
    "inference": "`time of an answer` is that of the processor, beside the same weights in float32, in turns; "
    "`bytes of weights` are those of weights and buffers as they are held.",
}
# what stands in the table of all runs beside the ratio of a measure: the number itself
ITSELF: dict[str, tuple[str, Any]] = {
    "noise": ("kept under noise", lambda row: _share(row["kept"]["noise"])),
    "silenced": (HEADS["silenced"], lambda row: _share(row["kept"]["silenced"])),
    "silenced_share": (HEADS["silenced_share"], lambda row: _share(row["kept"]["silenced_share"])),
    "time": ("epochs", lambda row: number_cell(row["epochs"], ".1f")),
    "step": ("ms a step", lambda row: number_cell(row["step_ms"], ".1f")),
    "parameters": ("parameters", lambda row: f"{row['parameters']:,}"),
    "bytes": ("KiB of weights", lambda row: number_cell(row["weight_bytes"] and row["weight_bytes"] / 1024, ".1f")),
    "inference": ("ms an answer", lambda row: number_cell(row["answer_ms"], ".3f")),
}


def study_markdown(result: Mapping[str, Any]) -> str:
    """All tables of a study, with a sentence before each that says how to read it.

    Args:
        result: What `neurofmx.study.compare.compare` returned.

    Returns:
        Markdown.
    """
    parts = [_overall(result), claims_markdown(result)]
    if result["study"] == "ablation":
        parts.append(_parts(result))
    if result["study"] == "sweep":
        parts.insert(0, sweep_markdown(result))
    parts += [lengths_markdown(result), _domains(result), _runs(result), read_markdown(result)]
    parts += [sizes_sentence(result), spikes_markdown(result)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _overall(result: Mapping[str, Any]) -> str:
    """Ratios over all datasets."""
    rows = [row for row in result["overall"] if row["domain"] == ALL]
    heads = ["run", "datasets", *(HEADS[name] for name in result["measures"])]
    body = [
        [row["name"], str(row["datasets"]), *(counted_cell(row["ratios"][name]) for name in result["measures"])]
        for row in rows
    ]
    measured = " ".join(said for name, said in MEASURED.items() if any(row["ratios"].get(name) for row in rows))
    notes = [*left_out_sentences(result), floored_sentence(result)]
    return (
        f"Ratios to `{result['baseline']}`, geometric means over the `n` datasets on which all runs have one, with "
        f"{_percent(result)} intervals; of a perplexity the ratio is turned round, so that a score above 1 is better "
        f"everywhere. A score, or a share that is kept, below {FLOOR:g} counts as {FLOOR:g}. `p` is that of Wilcoxon's "
        f"signed-rank test over datasets after Holm's correction over the runs. {measured}\n\n"
        + _table(heads, body)
        + "".join(f"\n\n{note}" for note in notes if note)
    )


def _parts(result: Mapping[str, Any]) -> str:
    """What each part that an ablation leaves out buys."""
    body = []
    for row in (row for row in result["overall"] if row["domain"] == ALL):
        own = [run for run in result["rows"] if run["name"] == row["name"] and run["variant"]]
        if not own:  # a model to compare with is no part
            continue
        counted = Counter(BUYS[run["verdict"]] for run in own)
        score = row["ratios"]["score"]
        says = "ties" if score is None else "loses" if score["high"] < 1 else "wins" if score["low"] > 1 else "ties"
        counts = ", ".join(f"{word} {counted[word]}" for word in BUYS.values())
        body.append([row["name"], interval_cell(score), f"**{BUYS[says]}**", counts])
    return (
        "What each part buys: the score without it as a ratio to that of the whole network. The part buys score where "
        "the whole interval lies below 1; the last column counts the datasets taken alone, by the interval of the "
        "difference.\n\n" + table(["run", "score ratio", "the part", "by dataset"], body)
    )


def _domains(result: Mapping[str, Any]) -> str:
    """Ratios over each domain."""
    rows = [row for row in result["overall"] if row["domain"] != ALL]
    measures = [name for name in result["measures"] if name != "parameters"]
    heads = ["domain", "run", "datasets", *(HEADS[name] for name in measures)]
    body = [
        [row["domain"], row["name"], str(row["datasets"]), *(_of_domain(row, name) for name in measures)]
        for row in rows
    ]
    return "By domain:\n\n" + _table(heads, body)


def _of_domain(row: Mapping[str, Any], measure: str) -> str:
    """A ratio over a domain, with its number of datasets where that is not all of the run's."""
    ratio = row["ratios"][measure]
    return counted_cell(ratio) if ratio is not None and ratio["n"] != row["datasets"] else interval_cell(ratio)


def _runs(result: Mapping[str, Any]) -> str:
    """Every run on every dataset."""
    heads = ["dataset", "run", "metric", "score", f"{_percent(result)} interval", "beside the baseline"]
    for measure in result["measures"]:
        heads += [ITSELF[measure][0]] if measure in ITSELF else []
        named = measure in ITSELF and measure != "time"  # beside epochs stands the ratio of the time they took
        heads += [] if measure == "parameters" else ["ratio" if named else f"{HEADS[measure]} ratio"]
    return "Every run:\n\n" + _table(heads, [_run(row, result["measures"]) for row in result["rows"]])


def _run(row: Mapping[str, Any], measures: Sequence[str]) -> list[str]:
    """Cells of one run on one dataset."""
    ends = row["interval"]
    cells = [row["dataset"], row["name"], row["headline"], number(row["score"])]
    cells += [f"{number(ends['low'])} to {number(ends['high'])}", row["verdict"]]
    for measure in measures:
        cells += [ITSELF[measure][1](row)] if measure in ITSELF else []
        cells += [] if measure == "parameters" else [interval_cell(row["ratios"].get(measure))]
    return cells


def _table(heads: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A table without the columns in which no row has anything."""
    kept = [place for place in range(len(heads)) if not body or any(row[place] != ABSENT for row in body)]
    return table([heads[place] for place in kept], [[row[place] for place in kept] for row in body])


def _share(share: Mapping[str, Any] | None) -> str:
    return ABSENT if share is None else f"{100 * share['value']:.0f} %"


def _percent(result: Mapping[str, Any]) -> str:
    return f"{100 * result['confidence']:g} %"
