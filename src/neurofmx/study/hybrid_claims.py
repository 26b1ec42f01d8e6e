"""Claims about the hybrid network beside attention of equal size, each held against the table that measures it.

| claim                                    | measured by                                                               |
|------------------------------------------|---------------------------------------------------------------------------|
| context 256 -> 2048+ tokens (8x)         | suite `context_v1`: longest window to which what was trained on 256 holds |
| memory 1.07 GB -> 33.5 MB a batch (32x)  | `python -m benchmarks --only length`: peak of a step of a block           |
| 25.6k -> 204.8k tokens/s (8x)            | the same: a step of a block, forward and backward, on one thread          |
| WikiText perplexity 35-40 -> 25-30       | suites `modes_v1` and `text_v1`: perplexities of a word                   |

The claims of memory and speed name no length; they are held against blocks of equal size at 2048 tokens, the context
that is promised, and at the longest that was measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from neurofmx.evaluation.table import ABSENT, number
from neurofmx.study.claims import Claim, Verdict
from neurofmx.study.lengths import holds_to

PEER, TRAINED, PROMISED = "transformer", 256, 2048  # tokens
CONTEXT = Claim("hybrid", "context", 8, 8, "context 256 -> 2048+ tokens")
MEMORY = Claim("hybrid", "memory saved", 32, 32, "memory 1.07 GB -> 33.5 MB a batch")
SPEED = Claim("hybrid", "tokens a second", 8, 8, "25.6k -> 204.8k tokens/s")
# from the nearest ends of the two ranges to the farthest
PERPLEXITY = Claim("hybrid", "perplexity", 35 / 30, 40 / 25, "WikiText perplexity 35-40 -> 25-30")


class Held(NamedTuple):
    """A claim held against one measurement.

    Args:
        claim: What was claimed.
        where: Of which network, on what.
        said: What was measured, in its own units: ours, then attention's.
        ratio: How many times better ours is (`value`, `low`, `high`); None where that is not known.
        verdict: Whether it bears the claim out.
    """

    claim: Claim
    where: str
    said: str
    ratio: Mapping[str, Any] | None
    verdict: Verdict


def of_blocks(rows: Iterable[Mapping[str, Any]]) -> list[Held]:
    """Memory and speed of blocks of equal size.

    Args:
        rows: Of `benchmarks/results/length.json`: milliseconds of a step, peak MiB, and the ratio with its quartiles.

    Returns:
        Two lines for each of our blocks at 2048 tokens and at the longest length; none without such rows.
    """
    timed = [row for row in rows if row["peer"] == PEER and row["threads"] == 1 and not row["failed"]]
    lengths = {row["tokens"] for row in timed}
    chosen = [row for row in timed if row["tokens"] in {PROMISED, max(lengths, default=0)}]
    return [held for row in chosen for held in (_memory(row), _speed(row))]


def _memory(row: Mapping[str, Any]) -> Held:
    """Peak memory of a step."""
    ours, theirs = row["ours_mib"], row["peer_mib"]
    ratio = None if ours is None or theirs is None else _exactly(theirs / ours)
    said = ABSENT if ratio is None else f"{ours:.1f} MiB, {theirs:.1f} MiB"
    return Held(MEMORY, _block(row), said, ratio, MEMORY.verdict(ratio))


def _speed(row: Mapping[str, Any]) -> Held:
    """Tokens a second."""
    ratio = {"value": row["ratio"], "low": row["low"], "high": row["high"]}
    ours, theirs = (1e3 * row["tokens"] / row[name] for name in ("ours_ms", "peer_ms"))
    return Held(SPEED, _block(row), f"{ours:,.0f}, {theirs:,.0f} tokens/s", ratio, SPEED.verdict(ratio))


def _block(row: Mapping[str, Any]) -> str:
    return f"block, {row['ours']}, {row['tokens']} tokens"


def of_context(result: Mapping[str, Any]) -> list[Held]:
    """How long windows may become.

    Args:
        result: What `neurofmx.study.compare.compare` returned of a study by length.

    Returns:
        A line for each variant on each text that the transformer read too.
    """
    rows = [row for row in result["rows"] if row["by_length"] and row["headline"] == "perplexity"]
    peers = {row["dataset"]: row for row in rows if row["name"] == PEER}
    return [_context(row, peers[row["dataset"]]) for row in rows if row["variant"] and row["dataset"] in peers]


def _context(row: Mapping[str, Any], peer: Mapping[str, Any]) -> Held:
    """One variant on one text.

    The claim is of two limits: where attention gets as far as it promises for ours, it is refuted. Where ours holds in
    the longest windows that were asked, and attention in a part of them, how much farther it would get is not known.
    """
    ours, theirs = holds_to(row), holds_to(peer)
    where, said = f"{row['name']}, {row['dataset']}", f"{ours}, {theirs} tokens"
    if ABSENT in (ours, theirs):
        return Held(CONTEXT, where, f"{said} ({ABSENT}: not above chance)", None, "undecided")
    ratio, longest = int(ours) / int(theirs), max(map(int, row["by_length"]))
    if int(ours) < PROMISED or int(theirs) >= PROMISED:
        verdict: Verdict = "refuted"
    elif ratio >= CONTEXT.low:
        verdict = "holds"
    else:
        verdict = "undecided" if int(ours) == longest else "refuted"
    return Held(CONTEXT, where, said, _exactly(ratio), verdict)


def of_study(result: Mapping[str, Any], datasets: Sequence[str]) -> list[Held]:
    """Perplexities of a study whose baseline is the hybrid network, on the same draws.

    Args:
        result: What `neurofmx.study.compare.compare` returned.
        datasets: The texts that count as WikiText.
    """
    rows = {(row["name"], row["dataset"]): row for row in result["rows"]}
    found = []
    for dataset in datasets:
        ours, peer = rows.get((result["baseline"], dataset)), rows.get((PEER, dataset))
        ratio = peer and peer["ratios"].get("score")
        if ours and peer and ratio:  # the baseline's perplexity to attention's
            turned = {"value": 1 / ratio["value"], "low": 1 / ratio["high"], "high": 1 / ratio["low"]}
            found.append(_perplexity(result["baseline"], dataset, ours, peer, turned))
    return found


def of_reports(reports: Iterable[Mapping[str, Any]], datasets: Sequence[str]) -> list[Held]:
    """Perplexities of a suite without variants, whose intervals were drawn apart: that of the ratio is too wide.

    Args:
        reports: What `neurofmx.evaluation.report.report` returned.
        datasets: The texts that count as WikiText.
    """
    scored = {(report["model"], report["dataset"]): report for report in reports}
    found = []
    for dataset in datasets:
        ours, peer = scored.get(("model", dataset)), scored.get((PEER, dataset))
        if ours and peer:
            mine, theirs = ours["interval"], peer["interval"]
            ratio = {"low": theirs["low"] / mine["high"], "high": theirs["high"] / mine["low"]}
            ratio["value"] = peer["score"] / ours["score"]
            found.append(_perplexity("model", dataset, ours, peer, ratio))
    return found


def _perplexity(
    name: str, dataset: str, ours: Mapping[str, Any], peer: Mapping[str, Any], ratio: Mapping[str, float]
) -> Held:
    """One network on one text."""
    said = f"{number(ours['score'])}, {number(peer['score'])}"
    return Held(PERPLEXITY, f"{name}, {dataset}", said, ratio, PERPLEXITY.verdict(ratio))


def _exactly(value: float) -> dict[str, float]:
    """A ratio that nothing was drawn of."""
    return {"value": value, "low": value, "high": value}
