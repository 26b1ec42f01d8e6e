"""The rows that table and page share: one for each part, model and dataset, and one for each model over datasets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from neurofmx.benchmark.across import GATE, LINEAR
from neurofmx.benchmark.one import PARTS
from neurofmx.evaluation import table

TITLES = {
    "reconstruction": "Neural reconstruction",
    "decoding": "Behaviour decoding",
    "latent": "Latent space",
    "transfer": "Transfer",
    "few_shot": "Few-shot",
}
ASKED = {
    "reconstruction": "Channels that a model was not shown, read back from its states by ridge regression; beside it "
    "the linear model that reads the channels shown. Bits per spike are above each unit's mean rate. An own "
    "reconstruction is what a model says of the hidden channels by a head of its own.",
    "decoding": "What is asked of each dataset, by a model's own answers or by a linear probe on its frozen states; "
    "beside it the tuned linear model on the windows.",
    "latent": "How many directions states spread over, and how well they stand in groups by what is asked; beside it "
    "the windows themselves.",
    "transfer": "A linear probe on frozen states, learnt from few labelled windows; beside it the linear model given "
    "the same windows. A model that was trained on the answers of this dataset has seen more of them: then it shows "
    "how its states are ordered, not that few labels are enough.",
    "few_shot": "The nearest class mean of frozen states, K labelled windows of each of N classes; beside it the same "
    "on the windows themselves. What is said of transfer holds here too.",
}
COLUMNS = (
    "dataset",
    "modality",
    "model",
    "seeds",
    "metric",
    "score",
    "interval",
    "chance",
    "shuffled",
    GATE,
    "difference",
    "beats linear",
)
NUMBERS = frozenset({"seeds", "score", "chance", "shuffled", GATE})
OVER = ("model", "datasets", "share of the way", "interval", "rank", "against linear", "p", "p (Holm)")
ABSENT = "-"
OWN = "(own reconstruction)"


def part_rows(facts: Mapping[str, Any], part: str) -> Iterator[dict[str, str]]:
    """Rows of a part, cells by column: every score that has an interval."""
    for line in facts["results"]:
        each = line["parts"][part]
        if each["absent"]:
            continue
        named = {"dataset": line["dataset"], "modality": line["modality"], "model": line["model"]}
        named |= {"seeds": str(len(line["seeds"]))}
        for metric, one in _scores(part, each):
            yield named | {"metric": metric} | cells(one)


def _scores(part: str, line: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The scores of a line, each with its name."""
    metric = line["metric"]
    if part == "few_shot":
        yield from ((each["metric"], each) for each in line["by_shots"])
    elif part == "transfer":
        *fewer, _ = line["curve"]
        yield from ((f"{metric} (n_train {each['n_train']})", each) for each in fewer)
        yield f"{metric} (n_train {line['n_train']})", line
        if not line["across_recordings"]["absent"]:
            yield f"{metric} (other recordings)", line["across_recordings"]
    else:
        yield metric + (" (linear probe)" if line.get("read_by") == "linear probe" else ""), line
        yield from _spikes(line)
        if not (own := line.get("own", {"absent": "not asked"}))["absent"]:
            yield from ((f"{name} {OWN}", each) for name, each in ((metric, own), *_spikes(own)))


def _spikes(line: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The score of counts of spikes beside that of their channels, where there is one."""
    if "co_smoothing" in line and not line["co_smoothing"]["absent"]:
        yield line["co_smoothing"]["metric"], line["co_smoothing"]


def in_order(rows: Iterable[dict[str, str]]) -> list[dict[str, str]]:
    """Rows by modality, dataset and metric, numbers in names by their size."""

    def place(row: dict[str, str]) -> tuple[str, ...]:
        metric = re.sub(r"\d+", lambda found: f"{int(found[0]):08d}", row["metric"])
        return row["modality"], row["dataset"], metric

    return sorted(rows, key=place)


def cells(line: Mapping[str, Any]) -> dict[str, str]:
    """The cells of a score."""
    difference, shuffled = line["difference"], number(line.get("shuffled"))
    ends = [number(difference[name], "+") for name in ("value", "low", "high")] if difference else []
    return {
        "score": number(line["score"]),
        "interval": f"{number(line['low'])} to {number(line['high'])}",
        "chance": number(line["chance"]),
        "shuffled": f"{shuffled} LEAK" if line.get("leak") else shuffled,
        GATE: number(line["linear"]),
        "difference": f"{ends[0]} [{ends[1]}, {ends[2]}]" if ends else ABSENT,
        "beats linear": line["verdict"],
    }


def over_rows(facts: Mapping[str, Any], part: str) -> Iterator[dict[str, str]]:
    """A model over all datasets that every ranked model answered, best rank first."""
    summed = facts["across"][part]
    if summed["absent"]:
        return
    for name, each in sorted(summed["models"].items(), key=lambda item: (item[1]["rank"], item[0])):
        test = each["against_linear"]
        yield {
            "model": name,
            "datasets": str(len(summed["datasets"])),
            "share of the way": number(each["share"]),
            "interval": f"{number(each['low'])} to {number(each['high'])}",
            "rank": f"{each['rank']:.2f}",
            "against linear": ABSENT if test is None else f"{test['better']} of {test['datasets']} higher",
            "p": ABSENT if test is None else probability(test["p"]),
            "p (Holm)": ABSENT if test is None else probability(test["corrected"]),
        }


def unranked(facts: Mapping[str, Any], part: str) -> str:
    """Which models have no rank in a part, and why; empty where all have one."""
    summed = facts["across"][part]
    out = dict(summed["left_out"])
    if summed["gate_is"]:
        out[LINEAR] = f"its answers are those of {GATE}"
    return f"Not ranked: {'; '.join(f'{name} ({why})' for name, why in out.items())}." if out else ""


def modality_rows(facts: Mapping[str, Any], part: str) -> list[dict[str, str]]:
    """Mean shares of each model by modality."""
    summed = facts["across"][part].get("modalities", {})
    return [
        {"modality": modality, "datasets": str(each["datasets"])}
        | {name: number(share) for name, share in each["shares"].items()}
        for modality, each in summed.items()
    ]


def left_out(facts: Mapping[str, Any]) -> list[dict[str, str]]:
    """What could not be asked, and why."""
    return [
        {"part": TITLES[part], "dataset": line["dataset"], "model": line["model"], "why": line["parts"][part]["absent"]}
        for part in PARTS
        for line in facts["results"]
        if line["parts"][part]["absent"]
    ]


def stream_rows(facts: Mapping[str, Any]) -> list[dict[str, str]]:
    """What streaming showed."""
    return [
        {
            "dataset": line["dataset"],
            "model": line["model"],
            "steps": str(each["steps"]),
            "median ms": number(each["latency_ms"]["median"]),
            "95 % ms": number(each["latency_ms"]["p95"]),
            "answering ms": number(each["latency_ms"]["answering"]),
            "stream": number(each["stream_score"]),
            "offline": number(each["offline_score"]),
            "largest difference": probability(each["largest_difference"]),
            "the same": "yes" if each["agrees"] else "NO",
            "looks ahead": ABSENT if each["looks_ahead"] is None else "YES" if each["looks_ahead"] else "no",
        }
        for line in facts["results"]
        if (each := line.get("streaming")) and not each.get("absent")
    ]


def number(value: float | None, sign: str = "-") -> str:
    """A number as every table has it; a dash for none."""
    return ABSENT if value is None else table.number(value, sign=sign)


def probability(value: float) -> str:
    """Three digits, or the power of ten of what is small."""
    return f"{value:.3f}" if value >= 0.001 or value == 0 else f"{value:.1e}"


def notices(facts: Mapping[str, Any]) -> list[str]:
    """What every output begins with: whether this is the suite, and what a reader must not miss."""
    said = []
    if facts["deviations"]:
        said.append(
            f"This is NOT the frozen suite {facts['suite']}: {len(facts['deviations'])} things differ, so these scores "
            "cannot be held against others under that name."
        )
        said += [each["said"] for each in facts["deviations"]]
    elif facts["frozen"]:
        said.append(
            f"This is the frozen suite {facts['suite']}: windows, answers, splits, seeds and settings as written."
        )
    else:
        said.append("These windows are no frozen suite; the scores stand for themselves.")
    leaks = [
        f"{line['model']} on {line['dataset']}: {TITLES[part]} is above chance where windows have each other's "
        "answers; the model has seen what it was tested on."
        for line in facts["results"]
        for part in PARTS
        if line["parts"][part].get("leak")
    ]
    return said + leaks + [each["said"] for each in facts.get("pretraining", ())]
