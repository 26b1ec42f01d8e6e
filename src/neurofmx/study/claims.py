"""Claims about such systems, made elsewhere, and whether what was measured bears them out.

A claim is a range of a ratio to the baseline. Of a benefit its lower end is what must be reached; of a cost its upper
end is what must not be passed: more benefit and less cost than claimed bear a claim out as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from neurofmx.study.ratios import COSTS

Verdict = Literal["holds", "refuted", "undecided"]


class Claim(NamedTuple):
    """What somebody said of a variant.

    Args:
        variant: Name of the variant in the suite.
        measure: What the ratio is of: one that `neurofmx.study.ratios` has, or a benefit by another name.
        low: Lower end of the ratio claimed.
        high: Its upper end.
        text: The claim in words.
    """

    variant: str
    measure: str
    low: float
    high: float
    text: str

    @property
    def cost(self) -> bool:
        """Whether less is better."""
        return self.measure in COSTS

    def verdict(self, measured: Mapping[str, Any] | None) -> Verdict:
        """Whether a measured ratio (`low`, `high` of its interval) bears the claim out; nothing measured: undecided.

        Example:
            >>> claim = Claim("both", "score", 1.12, 1.20, "+12-20 % accuracy")
            >>> claim.verdict({"value": 1.01, "low": 0.99, "high": 1.03})
            'refuted'
            >>> claim.verdict({"value": 1.1, "low": 1.0, "high": 1.2})
            'undecided'
        """
        if measured is None:
            return "undecided"
        low, high = measured["low"], measured["high"]
        if self.cost:
            return "holds" if high <= self.high else "refuted" if low > self.high else "undecided"
        return "holds" if low >= self.low else "refuted" if high < self.low else "undecided"


# what was said of such systems before anything was measured; precision and fusion were not defined, so they are held
# against the headline score, which both would have to show in. Time is that of a training step: that of a whole
# training also depends on when each one stops, and on what else the machine did that day.
FOUR_WAY = (
    Claim("population", "noise", 1.20, 1.30, "noise resilience +20-30 %"),
    Claim("population", "score", 1.15, 1.15, "encoding precision +15 %"),
    Claim("attention", "score", 1.12, 1.18, "fusion +12-18 %"),
    Claim("both", "score", 1.12, 1.20, "accuracy +12-20 %"),
    Claim("both", "step", 1.15, 1.30, "at +15-30 % time"),
    Claim("both", "memory", 1.60, 2.20, "at +60-120 % memory"),
)
CLAIMS = {"four_way": FOUR_WAY}
