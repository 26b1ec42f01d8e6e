"""A study's claims with their verdicts as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from neurofmx.study.cells import HEADS, interval_cell
from neurofmx.study.markdown import table


def claims_markdown(result: Mapping[str, Any]) -> str:
    """What each claim says, what was measured, and whether that bears it out; empty for a study without claims.

    Args:
        result: What `neurofmx.study.compare.compare` returned.
    """
    if not result["claims"]:
        return ""
    body = []
    for claim in result["claims"]:
        counted = Counter(claim["datasets"].values())
        body.append(
            [
                claim["variant"],
                claim["text"],
                HEADS[claim["measure"]],
                f"{claim['low']:.2f} to {claim['high']:.2f}",
                interval_cell(claim["measured"]),
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
