"""What can be asked of the cleaning of a voltage; each kind of voltage sets other defaults."""

from __future__ import annotations

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from neurofmx.preprocessing.steps.montage import Reference

Hertz = Annotated[float, Field(gt=0)]


class VoltageOptions(BaseModel):
    """How a voltage is cleaned; part `preprocess` of a dataset's block."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    low: Hertz | None = Field(default=1.0, description="lower edge of the pass-band, Hz; null for no high-pass")
    high: Hertz | None = Field(default=300.0, description="upper edge of the pass-band, Hz; null for no low-pass")
    notch: Hertz | None = Field(default=None, description="mains frequency to remove, Hz, 50 or 60; null for no notch")
    harmonics: bool = Field(default=True, description="remove the multiples of the mains frequency as well")
    reference: Reference | None = Field(
        default=None,
        description="subtract the mean of all channels (`average`) or of those of one electrode (`group`, A1 A2 ...), "
        "or take differences of its neighbours (`bipolar`); null for none",
    )
    output: Literal["voltage", "envelope", "log_power"] = Field(
        default="voltage", description="the filtered voltage, its Hilbert envelope, or the logarithm of its power"
    )
    bands: tuple[tuple[Hertz, Hertz], ...] = Field(
        default=(), description="bands inside the pass-band, Hz, whose envelopes or powers become channels of their own"
    )
    rate: Hertz | None = Field(default=None, description="new sampling rate, Hz; null keeps the recording's")
    channels: tuple[str, ...] = Field(
        default=(), description="channels that must be there, in this order, others are left out; () takes all"
    )
    missing: Literal["error", "mark"] = Field(
        default="error", description="one of `channels` that a recording lacks: `error`, or `mark` it (all NaN)"
    )
    drop_channels: tuple[str, ...] = Field(default=(), description="channels to leave out")
    bad: Literal["error", "drop", "mark"] = Field(
        default="error",
        description="channels that are flat or without values: `error`, `drop` them everywhere, or `mark` them (NaN)",
    )
    gaps: Literal["error", "mark"] = Field(
        default="error",
        description="samples that are not finite: as a bad channel, or `mark` them (NaN again at the end)",
    )
    artefact: float | None = Field(
        default=None, gt=0, description="mark samples beyond this size after the filters, in the signal's unit, as NaN"
    )
    artefact_margin: float = Field(default=0.1, ge=0, le=10, description="mark so many seconds around an artefact too")

    @property
    def reach(self) -> float:
        """How far, s, a sample is mixed with others in time: a split must leave at least this gap."""
        widths = [transition for transition in (_transition(self.low), _transition(self.high)) if transition]
        inner = [min(_transition(low) or np.inf, _transition(high) or np.inf) for low, high in self.bands]
        steps = [min(widths)] if widths else []
        steps += [min(inner)] if inner else []
        steps += [0.5] if self.notch else []
        if self.output != "voltage":
            steps.append(min([low for low, _ in self.bands] or [self.low or np.inf]))
        filters = 1.65 * sum(1 / width for width in steps) + (10 / self.rate if self.rate else 0.0)
        return filters + (self.artefact_margin if self.artefact else 0.0)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        """A pass-band needs its edges in order, and what is kept must fit the new rate."""
        for low, high in ((self.low, self.high), *self.bands):
            if low is not None and high is not None and low >= high:
                raise ValueError(f"low must be below high, got low {low} and high {high} Hz")
        self._bands_fit()
        if self.missing == "mark" and not self.channels:
            raise ValueError("missing=mark: name the montage that is expected in channels")
        half = self.rate / 2 if self.rate and self.output == "voltage" else np.inf
        for name in ("low", "high"):
            if (edge := getattr(self, name)) is not None and edge >= half:
                raise ValueError(f"{name}={edge} must be below half of rate={self.rate} Hz; lower it, or raise rate")
        return self

    def _bands_fit(self) -> None:
        """Envelopes need a band that stays away from 0 Hz."""
        if self.bands and self.output == "voltage":
            raise ValueError("bands: give envelopes or powers, set output to envelope or log_power")
        if self.output != "voltage" and self.low is None and not self.bands:
            raise ValueError(f"output={self.output}: needs a lower edge, set low, or bands")
        for low, high in self.bands:
            if low < (self.low or 0) or high > (self.high or np.inf):
                raise ValueError(f"bands: {low:g} to {high:g} Hz must lie within low={self.low} and high={self.high}")


def _transition(edge: float | None) -> float | None:
    """Width of the transition that MNE gives an edge, Hz, away from half the rate."""
    return None if edge is None else min(max(0.25 * edge, 2.0), edge)
