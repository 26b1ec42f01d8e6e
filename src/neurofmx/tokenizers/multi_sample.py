"""A batch whose rows hold several streams: modalities of one dataset, or of several datasets, with gaps.

Symbols: B rows. A stream is one modality of one dataset, such as `cao2021/spikes`. A row is a stretch of one session on
a clock of its own, 0 at the row's anchor: streams of different rates meet on it by time stamps, never by index.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from neurofmx.tokenizers.tokens import Sample


@dataclass(frozen=True, eq=False)
class MultiSample:
    """Rows of several streams, any of which a row may lack.

    Args:
        samples: The windows of each stream, tensors (B, ...); a row that lacks the stream holds zeros there, and they
            are never looked at.
        here: Which rows have each stream, (B,), bool.
        offset: Where the first sample of each stream lies on its row's clock, (B,), s.
        session: Index of each row's session in the model's registry, (B,), int64; a negative one is nobody's.
        subject: The same of its subject, (B,), int64.
        species: The same of its species, (B,), int64.

    Raises:
        ValueError: If there is no stream, if `here` or `offset` name other streams than `samples`, or if an entry has
            another number of rows.
    """

    samples: dict[str, Sample]
    here: dict[str, Tensor]
    offset: dict[str, Tensor]
    session: Tensor
    subject: Tensor
    species: Tensor

    def __post_init__(self) -> None:
        if not self.samples:
            raise ValueError("samples={}: a batch needs one stream or more; give the windows of at least one modality")
        for name, given in (("here", self.here), ("offset", self.offset)):
            if given.keys() != self.samples.keys():
                raise ValueError(
                    f"{name} must have an entry for each stream of samples, {sorted(self.samples)}; it has "
                    f"{sorted(given)}"
                )
        rows = {f"samples[{name!r}]": len(sample) for name, sample in self.samples.items()}
        for kind, given in (("here", self.here), ("offset", self.offset)):
            rows |= {f"{kind}[{name!r}]": len(part) for name, part in given.items()}
        wrong = {name: number for name, number in rows.items() if number != len(self)}
        for name in ("subject", "species"):
            wrong |= {name: len(getattr(self, name))} if len(getattr(self, name)) != len(self) else {}
        if wrong:
            raise ValueError(f"every entry must have as many rows as session, {len(self)}; here are {wrong}")

    @classmethod
    def single(
        cls,
        stream: str,
        sample: Sample,
        *,
        session: Tensor | None = None,
        subject: Tensor | None = None,
        species: Tensor | None = None,
    ) -> MultiSample:
        """One stream that all rows have, from the row's anchor on.

        Args:
            stream: Its name.
            sample: Its windows (B, ...).
            session: Index of each row's session (B,); None for the first.
            subject: Index of each row's subject (B,); None for the first.
            species: Index of each row's species (B,); None for the first.

        Returns:
            The batch, on the device of the windows.
        """
        x = sample.x
        first = torch.zeros(len(x), dtype=torch.int64, device=x.device)
        return cls(
            samples={stream: sample},
            here={stream: torch.ones(len(x), dtype=torch.bool, device=x.device)},
            offset={stream: torch.zeros(len(x), device=x.device)},
            session=first if session is None else session,
            subject=first if subject is None else subject,
            species=first if species is None else species,
        )

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.session)

    def __getitem__(self, index: Any) -> MultiSample:
        """Some of the rows, by a tensor of indices or a slice."""
        return self._each(lambda part: part[index])

    def to(self, device: torch.device) -> MultiSample:
        """The same on another device."""
        return self._each(lambda part: part.to(device))

    @property
    def streams(self) -> tuple[str, ...]:
        """Names of the streams, in order."""
        return tuple(self.samples)

    def without(self, *streams: str) -> MultiSample:
        """The same rows, none of which has these streams: their windows stay and are not looked at.

        Raises:
            KeyError: If there is no such stream.
        """
        gone = {stream: torch.zeros_like(self.here[stream]) for stream in streams}
        return MultiSample(self.samples, self.here | gone, self.offset, self.session, self.subject, self.species)

    def with_here(self, here: Mapping[str, Tensor]) -> MultiSample:
        """The same rows, which have these streams only where `here` (B,) says so as well; others stay as they are."""
        both = {stream: self.here[stream] & mask for stream, mask in here.items()}
        return MultiSample(self.samples, self.here | both, self.offset, self.session, self.subject, self.species)

    def _each(self, change: Callable[[Any], Any]) -> MultiSample:
        return MultiSample(
            samples={name: change(sample) for name, sample in self.samples.items()},
            here={name: change(part) for name, part in self.here.items()},
            offset={name: change(part) for name, part in self.offset.items()},
            session=change(self.session),
            subject=change(self.subject),
            species=change(self.species),
        )
