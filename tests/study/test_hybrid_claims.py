"""Claims about the whole network: verdicts of numbers chosen by hand, and of those that were measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurofmx.recordings.task import Task
from neurofmx.study.claims_page import ASKED, claims_page
from neurofmx.study.compare import compare
from neurofmx.study.hybrid_claims import Held, of_blocks, of_context, of_reports, of_study
from study_runs import Truth, entry, report, truth_of

ROOT = Path(__file__).parents[2]
TEXT = Task("next_token", "text", ("the", "cat"))
LENGTHS = (256, 512, 1024, 2048, 4096)


def measured(tokens: int, ratio: float, *, mib: float | None, name: str = "hybrid parallel", **other: Any) -> dict:
    """A row of the benchmark by length: attention takes 100 ms and 320 MiB."""
    row = {"ours": name, "peer": "transformer", "threads": 1, "tokens": tokens, "failed": "", "ratio": ratio}
    row |= {"low": 0.9 * ratio, "high": 1.1 * ratio, "ours_ms": 100 / ratio, "peer_ms": 100.0}
    return row | {"ours_mib": mib, "peer_mib": None if mib is None else 320.0} | other


def verdicts(found: list[Held]) -> dict[tuple[str, str], str]:
    return {(held.claim.measure, held.where): held.verdict for held in found}


def test_blocks_are_held_against_the_claim_at_2048_and_at_the_longest() -> None:
    rows = [measured(tokens, ratio, mib=mib) for tokens, ratio, mib in ((512, 99, 1), (2048, 8, 10), (16384, 9, 20))]
    rows += [measured(2048, 2, mib=None, name="hybrid sequential"), measured(2048, 99, mib=1, threads=2)]
    rows += [measured(2048, 99, mib=1, peer="naive stack"), measured(2048, 99, mib=1, failed="out of memory")]
    found = of_blocks(rows)
    assert verdicts(found) == {
        ("tokens a second", "block, hybrid parallel, 2048 tokens"): "undecided",  # quartiles 7.2 and 8.8
        ("tokens a second", "block, hybrid parallel, 16384 tokens"): "holds",
        ("tokens a second", "block, hybrid sequential, 2048 tokens"): "refuted",
        ("memory saved", "block, hybrid parallel, 2048 tokens"): "holds",  # 32 times less
        ("memory saved", "block, hybrid parallel, 16384 tokens"): "refuted",
        ("memory saved", "block, hybrid sequential, 2048 tokens"): "undecided",
    }
    said = {(held.claim.measure, held.where): held.said for held in found}
    assert said["tokens a second", "block, hybrid parallel, 2048 tokens"] == "163,840, 20,480 tokens/s"
    assert of_blocks([]) == []


def by_length(held: int) -> dict[str, dict[str, float]]:
    """Perplexities that stay as they are up to a length and are twice as high beyond it; chance is 1000."""
    return {
        str(length): {"value": 50.0 * factor, "low": 49.0 * factor, "high": 51.0 * factor}
        for length in LENGTHS
        for factor in (1 if length <= held else 2,)
    }


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [
        (4096, 256, "holds"),
        (2048, 256, "holds"),
        (4096, 512, "holds"),
        (4096, 1024, "undecided"),  # nobody asked what is beyond 4096
        (2048, 512, "refuted"),
        (1024, 256, "refuted"),
        (4096, 2048, "refuted"),  # attention gets as far as the claim says
        (4096, 4096, "refuted"),
    ],
)
def test_context_is_held_against_what_both_hold_to(ours: int, theirs: int, verdict: str) -> None:
    (found,) = of_context(context(ours, theirs))
    assert found.verdict == verdict
    assert found.ratio is not None
    assert found.ratio["value"] == ours / theirs
    assert (found.where, found.said) == ("bidirectional, text", f"{ours}, {theirs} tokens")


def test_what_was_never_learnt_decides_nothing() -> None:
    result = context(4096, 256)
    for row in result["rows"]:
        row["chance"] = 40.0
    (found,) = of_context(result)
    assert (found.verdict, found.ratio) == ("undecided", None)


def context(ours: int, theirs: int) -> dict[str, Any]:
    """A study by length with one variant, beside attention."""
    truth = text_truth()
    made = [
        entry(name, truth, **facts(truth, 50.0), dataset="text", variant=name != "transformer")
        for name in ("bidirectional", "transformer")
    ]
    for run, held in zip(made, (ours, theirs), strict=True):
        run.report["by_length"] = by_length(held)  # type: ignore[index]
    return compare(made, baseline="bidirectional", study="context", draws=20)


def text_truth() -> Truth:
    """Sixty windows of 20 tokens, as many words, in twelve stretches."""
    words, block = np.full((60, 2), 20), np.repeat(np.arange(12), 5)
    return truth_of()._replace(y=words, block=block, task=TEXT, chance=np.full((60, 20), -np.log(1000)))


def facts(truth: Truth, perplexity: float) -> dict[str, Any]:
    """Answers and report of a network with that perplexity in every window."""
    scored = {"score": perplexity, "interval": {"low": 0.95 * perplexity, "high": 1.05 * perplexity}}
    chosen = report(truth) | scored | {"chance": {"perplexity": 1000.0}}
    return {"outputs": np.full((2, 60, 20), -np.log(perplexity)), "harmed": {}, "report": chosen}


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"), [(28.0, 38.0, "holds"), (34.0, 38.0, "refuted"), (30.0, 20.0, "refuted")]
)
def test_perplexity_is_held_against_attention_on_the_same_draws(ours: float, theirs: float, verdict: str) -> None:
    truth, made = text_truth(), []
    for name, perplexity in (("bidirectional", ours), ("transformer", theirs)):
        made.append(
            entry(name, truth, **facts(truth, perplexity), dataset="wikitext2_bpe", variant=name != "transformer")
        )
    result = compare(made, baseline="bidirectional", study="modes", draws=20)
    (found,) = of_study(result, ["wikitext2", "wikitext2_bpe"])
    assert found.verdict == verdict
    assert found.ratio is not None
    assert found.ratio["value"] == pytest.approx(theirs / ours, abs=1e-4)
    assert found.said == f"{ours:.3f}, {theirs:.3f}"


def test_perplexities_that_were_drawn_apart_have_the_widest_interval() -> None:
    reports = [
        {"model": name, "dataset": "wikitext2", "score": score, "interval": {"low": score - 2, "high": score + 2}}
        for name, score in (("linear", 10.0), ("model", 28.0), ("transformer", 38.0))
    ]
    (found,) = of_reports(reports, ["wikitext2", "wikitext2_bpe"])
    assert found.ratio == {"value": 38 / 28, "low": 36 / 30, "high": 40 / 26}
    assert found.verdict == "holds"
    assert of_reports(reports[:2], ["wikitext2"]) == []


def test_what_is_missing_is_named_with_the_command_that_measures_it() -> None:
    empty = claims_page({})
    for claim, (_, command) in ASKED.items():
        assert f"- {claim}: run `{command}`" in empty
    page = claims_page({"context_v1": context(4096, 256)})
    assert "make suite SUITE=context_v1" not in page
    assert "make suite SUITE=modes_v1" in page
    assert "| **holds**" in page
    whole = {name: context(4096, 256) for name, _ in ASKED.values()} | {"length": {"rows": []}, "text_v1": []}
    assert "Not measured yet" not in claims_page(whole)


def test_every_command_is_one_that_there_is() -> None:
    from ruamel.yaml import YAML

    suites = YAML(typ="safe").load(ROOT / "params.yaml")["suites"]
    assert {name for name, _ in ASKED.values()} - {"length"} <= set(suites)


def test_the_committed_benchmark_is_read() -> None:
    rows = json.loads((ROOT / "benchmarks/results/length.json").read_text())["rows"]
    found = of_blocks(rows)
    measured = {(row["ours"], row["tokens"]): row for row in rows if row["threads"] == 1}
    assert {held.where.split(", ")[-1] for held in found} == {
        "2048 tokens",
        f"{max(row['tokens'] for row in rows)} tokens",
    }
    for held in found:
        assert held.ratio is not None
        row = measured[
            held.where.removeprefix("block, ").rpartition(", ")[0], int(held.where.split(", ")[-1].split()[0])
        ]
        wanted = row["ratio"] if held.claim.measure == "tokens a second" else row["peer_mib"] / row["ours_mib"]
        assert held.ratio["value"] == pytest.approx(wanted)
