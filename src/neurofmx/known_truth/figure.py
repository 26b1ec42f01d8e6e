"""The result drawn: every score on its way from nothing to the bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from neurofmx.evaluation.canvas import COLOURS, GREY, WIDTH, canvas

TITLES = {
    "reconstruction": "reconstruction",
    "forecast": "forecast",
    "decoding": "heading, all modalities",
    "missing": "heading, a modality missing",
    "alone": "heading, one modality alone",
}
LEAST = -0.25  # shares further below nothing are drawn here


def known_truth_figure(lines: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw the share of the bound that model and linear model reach; the same input draws the same bytes.

    Args:
        lines: Of `asking.py`; those of which the truth allows nothing are left out.
        path: PNG to write.

    Raises:
        ValueError: If no line is left.
    """
    groups = {part: [each for each in lines if each["part"] == part and each["share"]] for part in TITLES}
    groups = {part: members for part, members in groups.items() if members}
    if not groups:
        raise ValueError("lines is empty: give at least one of which the truth allows something")
    heights = [0.7 + 0.2 * len(members) for members in groups.values()]
    with canvas(path, size=(WIDTH, sum(heights))) as figure:
        panels = figure.subplots(len(groups), 1, squeeze=False, height_ratios=heights, sharex=True)[:, 0]
        for panel, (part, members) in zip(panels, groups.items(), strict=True):
            _draw(panel, TITLES[part], members)
        panels[0].legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=8)
        panels[-1].set_xlabel("share of what the known truth allows")


def _draw(panel: Any, title: str, members: Sequence[Mapping[str, Any]]) -> None:
    """Dots with their intervals, the first line at the top."""
    panel.axvline(1.0, color=GREY, linewidth=1.2, label="bound")
    panel.axvline(0.0, color=GREY, linewidth=1.2, linestyle="--", label="nothing")
    for height, each in enumerate(reversed(members)):
        ends = [max(LEAST, each["share"][name]) for name in ("low", "high")]
        panel.plot(ends, [height, height], color=COLOURS[0], linewidth=2.2, solid_capstyle="butt")
        first = height == 0
        panel.plot(max(LEAST, each["share"]["value"]), height, "o", color=COLOURS[0], label="model" if first else None)
        beside = max(LEAST, each["linear_share"])
        panel.plot(beside, height, "d", mfc="none", color=COLOURS[1], label="linear" if first else None)
    names = [f"{each['what']}, {each['metric']}" for each in reversed(members)]
    panel.set_yticks(range(len(members)), names, fontsize=7)
    panel.set_ylim(-0.6, len(members) - 0.4)
    panel.set_title(title, loc="left", fontsize=9, fontweight="bold")
    panel.grid(axis="x", color="#e5e5e5", linewidth=0.8)
    panel.set_axisbelow(True)
