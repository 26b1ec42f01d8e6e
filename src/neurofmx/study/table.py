"""A study's table in Markdown: over all datasets, the claims, and every run on every dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from neurofmx.evaluation.table import ABSENT, number
from neurofmx.study.compare import ALL
from neurofmx.study.lengths import lengths_markdown
from neurofmx.study.markdown import table
from neurofmx.study.ratios import MEASURES
from neurofmx.study.sweep import sweep_markdown

NEAR = 0.05  # numbers of parameters that differ by more are named
# of a part that is left out: what its absence says of it
BUYS = {"loses": "buys score", "ties": "buys nothing measurable", "wins": "costs score"}
HEADS = {
    "score": "score",
    "noise": "kept under noise",
    "silenced": "kept with silent neurons",
    "time": "time",
    "memory": "memory",
    "parameters": "parameters",
}


def study_markdown(result: Mapping[str, Any]) -> str:
    """All tables of a study, with a sentence before each that says how to read it.

    Args:
        result: What `neurofmx.study.compare.compare` returned.

    Returns:
        Markdown.
    """
    parts = [_overall(result)]
    if result["claims"]:
        parts.append(_claims(result))
    if result["study"] == "ablation":
        parts.append(_parts(result))
    if result["study"] == "sweep":
        parts.insert(0, sweep_markdown(result))
    parts += [lengths_markdown(result), _domains(result), _runs(result), _sizes(result)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _overall(result: Mapping[str, Any]) -> str:
    """Ratios over all datasets."""
    rows = [row for row in result["overall"] if row["domain"] == ALL]
    body = [[row["name"], str(row["datasets"]), *(_tested(row["ratios"][name]) for name in MEASURES)] for row in rows]
    return (
        f"Ratios to `{result['baseline']}`, geometric means over the datasets with {_percent(result)} intervals; of a "
        "perplexity the ratio is turned round, so that a score above 1 is better everywhere. `p` is that of Wilcoxon's "
        "signed-rank test over datasets after Holm's correction over the runs. Memory is that of a training step: "
        "weights, gradients, moments, and what is kept for the backward pass.\n\n"
        + table(["run", "datasets", *(HEADS[name] for name in MEASURES)], body)
    )


def _claims(result: Mapping[str, Any]) -> str:
    """Claims and verdicts."""
    body = []
    for claim in result["claims"]:
        counted = Counter(claim["datasets"].values())
        body.append(
            [
                claim["variant"],
                claim["text"],
                HEADS[claim["measure"]],
                f"{claim['low']:.2f} to {claim['high']:.2f}",
                _ratio(claim["measured"]),
                f"**{claim['verdict']}**",
                ", ".join(f"{verdict} {counted[verdict]}" for verdict in ("holds", "refuted", "undecided")),
            ]
        )
    return (
        "Claims made for such systems elsewhere, held against what was measured. `holds`: the whole interval reaches "
        "the claim (of a cost: does not pass it); `refuted`: none of it does; `undecided`: it holds both. The last "
        "column counts the datasets taken alone.\n\n"
        + table(["run", "claim", "measured as", "ratio claimed", "ratio measured", "verdict", "by dataset"], body)
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
        body.append([row["name"], _ratio(score), f"**{BUYS[says]}**", counts])
    return (
        "What each part buys: the score without it as a ratio to that of the whole network. The part buys score where "
        "the whole interval lies below 1; the last column counts the datasets taken alone, by the interval of the "
        "difference.\n\n" + table(["run", "score ratio", "the part", "by dataset"], body)
    )


def _domains(result: Mapping[str, Any]) -> str:
    """Ratios over each domain."""
    rows = [row for row in result["overall"] if row["domain"] != ALL]
    body = [
        [row["domain"], row["name"], str(row["datasets"]), *(_ratio(row["ratios"][name]) for name in MEASURES[:-1])]
        for row in rows
    ]
    return "By domain:\n\n" + table(["domain", "run", "datasets", *(HEADS[name] for name in MEASURES[:-1])], body)


def _runs(result: Mapping[str, Any]) -> str:
    """Every run on every dataset."""
    heads = ["dataset", "run", "metric", "score", f"{_percent(result)} interval", "beside the baseline", "score ratio"]
    heads += ["kept under noise", "ratio", "kept with silent neurons", "ratio", "time", "memory", "parameters"]
    return "Every run:\n\n" + table(heads, [_run(row) for row in result["rows"]])


def _run(row: Mapping[str, Any]) -> list[str]:
    """Cells of one run on one dataset."""
    ends, found, kept = row["interval"], row["ratios"], row["kept"]
    return [
        row["dataset"],
        row["name"],
        row["headline"],
        number(row["score"]),
        f"{number(ends['low'])} to {number(ends['high'])}",
        row["verdict"],
        _ratio(found.get("score")),
        _share(kept["noise"]),
        _ratio(found.get("noise")),
        _share(kept["silenced"]),
        _ratio(found.get("silenced")),
        _ratio(found.get("time")),
        _ratio(found.get("memory")),
        f"{row['parameters']:,}",
    ]


def _sizes(result: Mapping[str, Any]) -> str:
    """Which runs are not of the baseline's size."""
    apart: dict[str, list[float]] = {}
    for row in result["rows"]:
        ratio = row["ratios"].get("parameters")
        if ratio is not None and abs(ratio["value"] - 1) > NEAR:
            apart.setdefault(row["name"], []).append(ratio["value"])
    if not apart:
        return f"All runs have the baseline's number of parameters within {100 * NEAR:g} %."
    said = ", ".join(f"{name} {min(all_):.2f} to {max(all_):.2f} times" for name, all_ in apart.items())
    return f"Not within {100 * NEAR:g} % of the baseline's number of parameters: {said}."


def _tested(ratio: Mapping[str, Any] | None) -> str:
    """A ratio with its interval and, where there is one, its probability."""
    if ratio is None or ratio.get("p_holm") is None:
        return _ratio(ratio)
    return f"{_ratio(ratio)} p {ratio['p_holm']:.2g}"


def _ratio(ratio: Mapping[str, Any] | None) -> str:
    """A ratio with its interval; one that nothing was drawn of stands alone."""
    if ratio is None:
        return ABSENT
    if ratio["low"] == ratio["high"]:
        return f"{ratio['value']:.2f}"
    return f"{ratio['value']:.3f} [{ratio['low']:.3f}, {ratio['high']:.3f}]"


def _share(share: Mapping[str, Any] | None) -> str:
    return ABSENT if share is None else f"{100 * share['value']:.0f} %"


def _percent(result: Mapping[str, Any]) -> str:
    return f"{100 * result['confidence']:g} %"
