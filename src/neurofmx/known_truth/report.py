"""The result as a table, and in words: what reaches the bound and what does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from neurofmx.evaluation.table import ABSENT, number
from neurofmx.known_truth.lines import NO_BOUND
from neurofmx.study.markdown import table

HEADS = (
    "what",
    "metric",
    "model",
    "linear",
    "nothing",
    "persistence",
    "bound",
    "share of the bound",
    "linear's share",
    "against linear",
    "verdict",
)
DOMAINS = ("states of", "sessions named", "permuted", "bound", "confused", "heading read", "verdict")
WORDS = {
    "reaches": "Reach the bound within their interval",
    "short": "Fall short of the bound",
    "above": "Lie above the bound, which no honest model does but by luck",
    NO_BOUND: "Have no bound, as a simpler answer outdoes it",
}
MOST = 0.05  # of windows in which a Bayes decoder may be short of particles


def markdown(result: Mapping[str, Any]) -> str:
    """Both tables and what they say, as Markdown.

    Args:
        result: `lines` of `asking.py`, `domains` of `domains.py`, and `seeds` of the networks.
    """
    lines, domains, seeds = result["lines"], result["domains"], result["seeds"]
    drawn = (
        f"Intervals are over tested blocks and {len(seeds)} networks of each kind (seeds {', '.join(map(str, seeds))})."
        if len(seeds) > 1
        else f"Intervals are over tested blocks, of one network (seed {seeds[0]}): how another scores is not known."
    )
    return "\n\n".join([table(HEADS, [_row(each) for each in lines]), *words(lines), _domains(domains), drawn]) + "\n"


def words(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence for each verdict, with what it is about; what the linear model does better; what lacked particles."""
    said = []
    for verdict, meaning in WORDS.items():
        mine = [f"{each['what']} ({each['metric']})" for each in lines if each["verdict"] == verdict]
        if mine:
            said.append(f"{meaning} ({len(mine)} of {len(lines)}): {', '.join(mine)}.")
    lost = [f"{each['what']} ({each['metric']})" for each in lines if each["minus_linear"]["verdict"] == "loses"]
    if lost:
        said.append(f"Lose to the linear model ({len(lost)} of {len(lines)}): {', '.join(lost)}.")
    few = [f"{each['what']} ({100 * each['few_particles']:.0f} %)" for each in lines if _short_of_particles(each)]
    if few:
        said.append(f"The Bayes decoder lacked particles in many windows (known_truth.particles): {', '.join(few)}.")
    return said


def _short_of_particles(line: Mapping[str, Any]) -> bool:
    """Whether its bound is of a decoder that stood on few particles too often."""
    return line.get("few_particles", 0.0) > MOST


def _row(line: Mapping[str, Any]) -> list[str]:
    """Cells in the order of `HEADS`."""
    share, ahead = line["share"], line["minus_linear"]
    return [
        line["what"],
        line["metric"],
        _with_ends(line["model"]),
        number(line["linear"]["value"]),
        number(line["nothing"]["value"]),
        number(line["persistence"]["value"]) if "persistence" in line else ABSENT,
        _with_ends(line["bound"]),
        _with_ends(share) if share else ABSENT,
        number(line["linear_share"]) if share else ABSENT,
        f"{ahead['verdict']} {number(ahead['value'], sign='+')}",
        line["verdict"],
    ]


def _domains(domains: Sequence[Mapping[str, Any]]) -> str:
    """The table of domains: a lower share of named sessions is better."""
    body = [
        [
            each["what"],
            _with_ends(each["accuracy"]),
            _with_ends(each["permuted"]),
            number(each["bound"]),
            _with_ends(each["confused"]),
            _with_ends(each["heading"]) if "heading" in each else ABSENT,
            each["verdict"],
        ]
        for each in domains
    ]
    return table(DOMAINS, body)


def _with_ends(score: Mapping[str, float]) -> str:
    """A number with its interval."""
    return f"{number(score['value'])} [{number(score['low'])}, {number(score['high'])}]"
