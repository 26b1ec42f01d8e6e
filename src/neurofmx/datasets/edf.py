"""Recordings of one's own in EDF, EDF+ and BDF files, with annotations as trials."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self, final

import numpy as np
from pydantic import Field, model_validator

from neurofmx.datasets.own.base import Found, OwnRecordings
from neurofmx.datasets.own.intervals import Labelled, labelled
from neurofmx.datasets.own.options import Names
from neurofmx.datasets.own.refusal import Refused, listed
from neurofmx.datasets.own.voltage import (
    channel_values,
    channels_signal,
    is_annotation,
    open_raw,
    pick_channels,
    read_header,
)
from neurofmx.datasets.shared.base import Modality
from neurofmx.recordings.recording import Signal

if TYPE_CHECKING:
    from mne.io import BaseRaw


@final
class Edf(OwnRecordings):
    """European Data Format; one file a recording, in V.

    Args:
        channels: Names, or patterns such as `EEG *`; default all but the target's. They must have one rate.
        duration: Length of a trial, s, instead of what the annotation says; many annotations last 0 s.

    The labels are the texts of the annotations; values to decode are channels, `target.series`.
    """

    name: ClassVar[str] = "edf"
    modalities: ClassVar[tuple[Modality, ...]] = ("ecog", "eeg", "emg", "ieeg", "lfp")
    what: ClassVar[str] = "an EDF or BDF file"
    suffixes: ClassVar[tuple[str, ...]] = (".edf", ".bdf")

    channels: Names = ()
    duration: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _annotations_are_labels(self) -> Self:
        """EDF has one kind of label."""
        if self.target.column is not None:
            raise ValueError(f"target.column={self.target.column}: EDF labels are the annotations' texts; leave it out")
        return self

    def choose(self, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Every `.edf` and `.bdf` file."""
        return {name: () for name in sorted(names) if name.lower().endswith(self.suffixes)}

    def take(self, root: Path, name: str, beside: tuple[str, ...]) -> Found:
        """Read channels and annotations of one file."""
        path = root / name
        known = [label for label in read_header(path).labels if not is_annotation(label)]
        aim = pick_channels(known, self.target.series, option="target.series") if self.target.series else []
        wanted = pick_channels(known, self.channels, option="channels")
        raw = open_raw(path, [label for label in wanted if label not in aim])
        signal = channels_signal(path, raw, raw.ch_names)
        if self.target.kind == "classification":
            return Found(signal, labelled=self._trials(raw))
        return Found(signal, self._target(open_raw(path, aim), aim))

    def _target(self, raw: BaseRaw, aim: list[str]) -> Signal:
        """Channels that hold the values to decode, at their own rate."""
        values = channel_values(raw, aim)
        return self.values(np.arange(len(values)) / raw.info["sfreq"], values)

    def _trials(self, raw: BaseRaw) -> Labelled:
        """Annotations as trials."""
        marks = raw.annotations
        if not len(marks):
            raise Refused("target.classes: the file has no annotations; is it plain EDF? EDF+ or BDF+ has them")
        found = labelled(
            marks.onset,
            marks.onset + marks.duration,
            marks.description,
            classes=self.target.classes,
            duration=self.duration,
        )
        if len(found.trials) and (found.trials.stop == found.trials.start).all():
            raise Refused(f"duration: the annotations {listed(self.target.classes)} last 0 s; say how long a trial is")
        return found
