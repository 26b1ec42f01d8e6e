"""One page with every claim and what was measured of it; what is missing is named with the command that measures it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from neurofmx.study.cells import interval_cell
from neurofmx.study.claims_table import claims_markdown
from neurofmx.study.hybrid_claims import Held, of_blocks, of_context, of_reports, of_study
from neurofmx.study.markdown import table

WIKITEXT = ("wikitext2", "wikitext2_bpe")
# claim, key of the sources that measure it, and how to make them
ASKED = {
    "memory and tokens/s of a block": ("length", "python -m benchmarks --only length"),
    "context": ("context_v1", "make suite SUITE=context_v1"),
    "WikiText perplexity, at equal tokens": ("modes_v1", "make suite SUITE=modes_v1"),
    "WikiText perplexity, of words too": ("text_v1", "make suite SUITE=text_v1"),
    "population coding and attention": ("four_way_v1", "make suite SUITE=four_way_v1"),
}


def claims_page(sources: Mapping[str, Any]) -> str:
    """Hold all claims against what there is.

    Args:
        sources: What was measured, as its JSON holds it, by name: `length` of `benchmarks/results`, and suites; those
            that were not run are missing.

    Returns:
        Markdown.
    """
    parts = ["# Claims, and what was measured of them", _hybrid(sources), _four_way(sources), _missing(sources)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _hybrid(sources: Mapping[str, Any]) -> str:
    """The network beside attention."""
    found: list[Held] = []
    found += of_context(sources["context_v1"]) if "context_v1" in sources else []
    found += of_blocks(sources["length"]["rows"]) if "length" in sources else []
    found += of_study(sources["modes_v1"], WIKITEXT) if "modes_v1" in sources else []
    found += of_reports(sources["text_v1"], WIKITEXT) if "text_v1" in sources else []
    if not found:
        return ""
    return (
        "## The hybrid network beside attention of equal size\n\n"
        "Context: both were trained on windows of 256 tokens; a network holds to the longest window up to which no "
        "interval of its perplexity lies wholly above that at 256. Refuted where ours does not hold to 2048, or "
        "attention does. Memory and tokens a second: one block, forward and backward, batch of 1, one thread, medians "
        "of turns taken one after the other with quartiles; attention is torch's fused kernel, which keeps no scores. "
        "Perplexity: of a word, with intervals over blocks of text "
        "and seeds; those of `model` were drawn apart, so that of their ratio is too wide. `holds`: the whole interval "
        "reaches the lower end of the claim; `refuted`: none of it does.\n\n"
        + table(["claim", "of", "ours, attention's", "claimed", "measured", "verdict"], [_line(held) for held in found])
    )


def _line(held: Held) -> Sequence[str]:
    """Cells of a claim held against one measurement."""
    low, high = held.claim.low, held.claim.high
    claimed = f"{low:.3g}x" if low == high else f"{low:.3g}x to {high:.3g}x"
    return [held.claim.text, held.where, held.said, claimed, interval_cell(held.ratio), f"**{held.verdict}**"]


def _four_way(sources: Mapping[str, Any]) -> str:
    """The claims of the four-way study."""
    found = claims_markdown(sources["four_way_v1"]) if "four_way_v1" in sources else ""
    return f"## Population coding and cross-modal attention\n\n{found}" if found else ""


def _missing(sources: Mapping[str, Any]) -> str:
    """What was not measured yet."""
    lines = [f"- {claim}: run `{command}`" for claim, (name, command) in ASKED.items() if name not in sources]
    return "## Not measured yet\n\n" + "\n".join(lines) if lines else ""
