"""Continuous channels in the formats of EEG, iEEG and MEG, opened by MNE and checked for what MNE lets pass."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from neurofmx.datasets.own.held import Held
from neurofmx.datasets.own.refusal import Refused, choose, listed
from neurofmx.recordings.recording import Signal

if TYPE_CHECKING:
    from mne.io import BaseRaw

READERS = {
    ".edf": "read_raw_edf",
    ".bdf": "read_raw_bdf",
    ".vhdr": "read_raw_brainvision",
    ".set": "read_raw_eeglab",
    ".fif": "read_raw_fif",
}
_UNITS = {"mag": "T", "grad": "T/m"}  # what MNE gives; everything else of ours is a voltage


class Header(NamedTuple):
    """What the head of an EDF or BDF file says of its channels."""

    labels: list[str]
    rates: list[float]


def open_raw(path: Path, channels: Sequence[str] | None = None) -> BaseRaw:
    """Open a recording with the reader of its format; samples stay on disk.

    Args:
        path: A file whose suffix is a key of `READERS`.
        channels: EDF and BDF: the only channels to open. MNE brings channels of unequal rates to the highest one in
            silence, so unequal ones must not be opened together.

    Returns:
        MNE's object.

    Raises:
        Refused: If the file is cut off, has holes in time, or opens channels of unequal rates.
    """
    import mne  # imported here: seconds that only these readers need

    suffix = path.suffix.lower()
    if suffix not in READERS:
        raise Refused(f"{path}: the format {suffix} is not read; there is {listed(READERS)}")
    if suffix in (".edf", ".bdf"):
        header = read_header(path)
        wanted = [label for label in header.labels if not is_annotation(label) and label in (channels or header.labels)]
        _require_one_rate(header, wanted)
        return getattr(mne.io, READERS[suffix])(path, include=wanted, stim_channel=None, preload=False, verbose="ERROR")
    return getattr(mne.io, READERS[suffix])(path, preload=False, verbose="ERROR")


def read_header(path: Path) -> Header:
    """Labels and rates of an EDF or BDF file.

    Raises:
        Refused: If it is none, is cut off, or has holes in time: MNE would read it as if it had not.

    Source: Kemp and Olivan, European data format plus, Clinical Neurophysiology 114 (2003).
    """
    with path.open("rb") as file:
        fixed = file.read(256)
        if not (fixed[:8] == b"0       " or fixed[:8] == b"\xffBIOSEMI"):
            raise Refused(f"{path}: is no EDF or BDF file, its first bytes are {fixed[:8]!r}")
        if fixed[192:197] in (b"EDF+D", b"BDF+D"):
            raise Refused(f"{path}: is a discontinuous {fixed[192:197].decode()} file; save its parts as EDF+C")
        size, records, length = int(fixed[184:192]), int(fixed[236:244]), float(fixed[244:252])
        count = int(fixed[252:256])
        table = file.read(count * 256)
    if count < 1 or len(table) < count * 256 or size != 256 * (count + 1):
        raise Refused(f"{path}: its header is cut off or damaged")
    labels = [table[i * 16 : i * 16 + 16].decode("latin-1").strip() for i in range(count)]
    samples = [int(table[count * 216 + i * 8 : count * 216 + i * 8 + 8]) for i in range(count)]
    width = 2 if fixed[:1] == b"0" else 3
    expected = size + records * sum(samples) * width
    if records >= 0 and path.stat().st_size < expected:
        raise Refused(f"{path}: is cut off: {path.stat().st_size} of {expected} bytes")
    if not length > 0:  # a file of annotations alone
        raise Refused(f"{path}: its records last {length:g} s; it holds no samples")
    return Header(labels, [number / length for number in samples])


def is_annotation(label: str) -> bool:
    """Whether an EDF channel holds texts instead of samples."""
    return label in ("EDF Annotations", "BDF Annotations")


def pick_channels(
    known: Sequence[str], wanted: Iterable[str], *, option: str, kinds: Mapping[str, str] | None = None
) -> list[str]:
    """The channels that are meant, in the file's order.

    Args:
        known: Channels of the file.
        wanted: Names, patterns such as `C*`, or types such as `ecog`; none for all.
        option: The option that asked.
        kinds: Type by channel, where the format has types.

    Returns:
        Names of channels.

    Raises:
        Refused: If a wish fits no channel, listing channels and types.
    """
    kinds = kinds or {}
    wanted = list(wanted)
    found: set[str] = set()
    for wish in wanted:
        fitting = {name for name in known if fnmatchcase(name, wish) or kinds.get(name, "").lower() == wish.lower()}
        if not fitting:
            types = f" of the types {listed(sorted(set(kinds.values())))}" if kinds else ""
            choose(known, wish, option=option, what=f"channel{types}")
        found |= fitting or {wish}
    return [name for name in known if name in found] if wanted else list(known)


def channels_signal(path: Path, raw: BaseRaw, names: Sequence[str], *, bad: Collection[str] = ()) -> Signal:
    """Channels of an open recording, in V, T or T/m, `(time, channels)`; the samples stay in the file.

    Args:
        path: The file, for messages.
        raw: MNE's object.
        names: The channels.
        bad: Those whose samples are not to be used: NaN.

    Raises:
        Refused: If magnetometers and gradiometers are asked for together: their units differ.
    """
    if not names:
        raise Refused("channels: none is left to decode from")
    kinds = {_UNITS.get(kind, "V") for kind in raw.get_channel_types(picks=list(names))}
    if len(kinds) > 1:
        raise Refused(f"channels: have the units {', '.join(sorted(kinds))}; take one kind, such as channels: [mag]")
    spoilt = [index for index, name in enumerate(names) if name in bad]

    def take(first: int, last: int) -> np.ndarray:
        values = channel_values(raw, names, first, last)
        values[:, spoilt] = np.nan
        return values

    held: Any = Held(path, "a recording", shape=(raw.n_times, len(names)), dtype=np.float64, take=take)
    return Signal(held, float(raw.info["sfreq"]), kinds.pop(), tuple(names))


def channel_values(raw: BaseRaw, names: Sequence[str], first: int = 0, last: int | None = None) -> np.ndarray:
    """Samples `(time, channels)` of an open recording, in MNE's units; `last` is one past the last, default all."""
    return np.ascontiguousarray(np.asarray(raw.get_data(np.array(names), first, last)).T)


def _require_one_rate(header: Header, wanted: Sequence[str]) -> None:
    """Refuse channels of unequal rates, and names that stand for two channels."""
    rates = {label: rate for label, rate in zip(header.labels, header.rates, strict=True) if label in wanted}
    if len(set(rates.values())) > 1:
        by_rate: dict[float, list[str]] = {}
        for label, rate in rates.items():
            by_rate.setdefault(rate, []).append(label)
        groups = "; ".join(f"{rate:g} Hz: {listed(labels)}" for rate, labels in sorted(by_rate.items()))
        raise Refused(f"channels: must have one rate, there are {groups}; name those of one rate")
    if len(set(wanted)) < len(wanted):
        raise Refused(f"channels: a label stands for two channels in {listed(wanted)}; rename one in the file")
