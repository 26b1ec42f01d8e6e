"""Voltages of every kind: channels chosen and re-referenced, filters, envelopes, resampling, a piece at a time.

What `eeg`, `ecog`, `emg`, `ieeg` and `lfp` share; each of them sets defaults alone.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from neurofmx.preprocessing.steps.checks import complaint
from neurofmx.preprocessing.steps.cleaned import Cleaned, Plan
from neurofmx.preprocessing.steps.fir import Resampling, Step, band_pass, envelope, notch
from neurofmx.preprocessing.steps.gaps import Found, survey
from neurofmx.preprocessing.steps.montage import montage
from neurofmx.preprocessing.steps.voltage_options import VoltageOptions
from neurofmx.recordings.lazy import is_lazy
from neurofmx.recordings.recording import Recording, Signal
from neurofmx.recordings.timeline import interpolate

_log = logging.getLogger(__name__)


class _Chosen(NamedTuple):
    """The channels of one recording that are to be cleaned.

    Args:
        recording: The recording.
        names: Their names.
        place: Their places in the signal; -1 for one that is missing.
        found: What is known of each.
        reasons: Why a channel cannot be used, by name.
    """

    recording: Recording
    names: tuple[str, ...]
    place: tuple[int, ...]
    found: tuple[Found, ...]
    reasons: dict[str, str]


def clean(recordings: Iterable[Recording], name: str, options: VoltageOptions) -> list[Recording]:
    """Clean every recording on its own with zero-phase filters, which leave every component at its time.

    A signal in memory is cleaned at once; one held lazily stays so, and is cleaned a piece at a time where it is read.

    Args:
        recordings: Recordings with a signal `(time, channels)` of that name.
        name: The signal.
        options: What to do.

    Returns:
        The same recordings with the cleaned signal, float32, NaN where it is marked. Other signals of another rate are
        taken at its times; `<name>_positions` follows the channels.

    Raises:
        ValueError: If a channel is bad, unknown or missing, or a frequency does not fit the rate.
    """
    chosen = [_choose(recording, name, options) for recording in recordings]
    gone = _bad(chosen, name, options)
    return [_cleaned(each, name, options, gone) for each in chosen]


def _choose(recording: Recording, name: str, options: VoltageOptions) -> _Chosen:
    """The wanted channels, each looked at once."""
    signal = recording.signal(name)
    place = {channel: i for i, channel in enumerate(signal.channels)}
    _require_known(recording, options.drop_channels, place, key="drop_channels")
    if options.missing == "error":
        _require_known(recording, options.channels, place, key="channels")
    names = tuple(n for n in options.channels or signal.channels if n not in set(options.drop_channels))
    there = [n for n in names if n in place]
    if not there:
        raise ValueError(f"recording {recording.name}, signal {name}: no channel is left; drop fewer of them")
    known = dict(zip(there, survey(signal.data, [place[n] for n in there]), strict=True))
    absent = Found(len(signal.data), np.nan, np.nan, ())
    found = tuple(known.get(n, absent) for n in names)
    reasons = {n: r for n, each in known.items() if (r := _reason(each, len(signal.data), options))}
    return _Chosen(recording, names, tuple(place.get(n, -1) for n in names), found, reasons)


def _require_known(recording: Recording, names: Sequence[str], known: Iterable[str], *, key: str) -> None:
    """Refuse channels that a recording lacks."""
    if unknown := [name for name in names if name not in known]:
        way_out = "; set preprocess.missing=mark to keep their places without values" if key == "channels" else ""
        raise ValueError(
            f"preprocess.{key}: recording {recording.name} has no channel {', '.join(unknown)}; "
            f"known: {', '.join(known)}{way_out}"
        )


def _reason(found: Found, samples: int, options: VoltageOptions) -> str:
    """Why a channel cannot be used; nothing if it can."""
    if found.lacking and (options.gaps == "error" or found.lacking == samples):
        return f"{found.lacking} of {samples} samples are not finite"
    return f"constant at {found.low:g}" if found.low == found.high else ""


def _bad(chosen: Sequence[_Chosen], name: str, options: VoltageOptions) -> set[str]:
    """The channels to drop everywhere, or a refusal."""
    for each in chosen:
        if each.reasons and options.bad == "error":
            said = complaint(each.recording.name, name, each.reasons, option="preprocess.bad")
            also = ", or preprocess.gaps=mark where few samples are" if any(f.gaps for f in each.found) else ""
            raise ValueError(f"{said}, or preprocess.bad=mark to keep their places without values{also}")
    bad = {channel for each in chosen for channel in each.reasons}
    if bad:
        verb = "dropped" if options.bad == "drop" else "marked"
        _log.warning("%s %d channels of %s: %s", verb, len(bad), name, ", ".join(sorted(bad)))
    return bad if options.bad == "drop" else set()


def _cleaned(chosen: _Chosen, name: str, options: VoltageOptions, gone: set[str]) -> Recording:
    """One recording with its signal cleaned."""
    recording = chosen.recording
    signal = recording.signal(name)
    keep = [i for i, channel in enumerate(chosen.names) if channel not in gone]
    if not keep:
        raise ValueError(f"recording {recording.name}, signal {name}: no usable channel is left, check the raw data")
    plan = _plan(chosen, keep, name, options)
    data = Cleaned(signal.data, plan)
    made = replace(
        signal,
        data=data if is_lazy(signal.data) else np.asarray(data),
        rate=options.rate or signal.rate,
        channels=plan.names,
    )
    return _on_one_clock(replace(recording, arrays=_positions(recording, name, plan)), name, made)


def _plan(chosen: _Chosen, keep: list[int], name: str, options: VoltageOptions) -> Plan:
    """Everything that is done to a recording, checked against its rate and length."""
    recording, signal = chosen.recording, chosen.recording.signal(name)
    _require_below_half(options, rate=signal.rate, where=recording.name)
    names = tuple(chosen.names[i] for i in keep)
    index = np.array([chosen.place[i] for i in keep])
    positions = recording.arrays.get(f"{name}_positions")
    laid = None if positions is None else np.where(index[:, None] < 0, np.nan, np.asarray(positions)[index])
    plan = Plan(
        before=names,
        index=index,
        good=np.array([chosen.place[i] >= 0 and chosen.names[i] not in chosen.reasons for i in keep]),
        gaps=tuple(chosen.found[i].gaps for i in keep),
        reference=options.reference,
        montage=montage(names, options.reference, positions=laid),
        steps=_steps(options, rate=signal.rate),
        outputs=_outputs(options, rate=signal.rate),
        resampling=Resampling.between(signal.rate, options.rate or signal.rate),
        artefact=options.artefact,
        margin=round(options.artefact_margin * signal.rate) if options.artefact else 0,
    )
    _require_usable(plan, recording.name, samples=len(signal.data), rate=signal.rate)
    return plan


def _steps(options: VoltageOptions, *, rate: float) -> tuple[Step, ...]:
    """Notch and pass-band."""
    steps = []
    if options.notch is not None:
        steps.append(notch(options.notch, harmonics=options.harmonics, rate=rate))
    if options.low is not None or options.high is not None:
        steps.append(band_pass(options.low, options.high, rate=rate))
    return tuple(steps)


def _outputs(options: VoltageOptions, *, rate: float) -> tuple[tuple[str, tuple[Step, ...]], ...]:
    """What becomes of the filtered voltage: the end of the channels' names, and the steps there."""
    log = options.output == "log_power"
    if options.bands:
        return tuple(
            (f" {low:g}-{high:g} Hz", (band_pass(low, high, rate=rate), envelope(low, high, rate=rate, log=log)))
            for low, high in options.bands
        )
    if options.output == "voltage" or options.low is None:
        return (("", ()),)
    return (("", (envelope(options.low, options.high, rate=rate, log=log),)),)


def _require_below_half(options: VoltageOptions, *, rate: float, where: str) -> None:
    """What lies above half the rate is not in the recording, or is folded down."""
    kept = min(rate, options.rate or rate) if options.output == "voltage" else rate
    edges = {"low": (options.low, kept), "high": (options.high, kept), "notch": (options.notch, rate)}
    edges |= {"bands": (max((high for _, high in options.bands), default=None), rate)}
    for name, (edge, limit) in edges.items():
        if edge is not None and edge >= limit / 2:
            null = "" if name == "bands" else ", set it to null"
            raise ValueError(
                f"preprocess.{name} must be below half the rate of recording {where}, {limit / 2} Hz, got {edge}: "
                f"{rate:g} samples a second hold nothing above {rate / 2:g} Hz; lower it{null}, or use a higher rate"
            )


def _require_usable(plan: Plan, where: str, *, samples: int, rate: float) -> None:
    """A mean needs two channels, a filter a recording that is longer than it."""
    if plan.reference == "average" and plan.good.sum() < 2:
        raise ValueError(
            f"preprocess.reference=average: recording {where} has {plan.good.sum()} usable channel, which would leave "
            "nothing; use null"
        )
    longest = max(
        (2 * step.reach + 1 for step in (*plan.steps, *(s for _, each in plan.outputs for s in each))), default=1
    )
    if longest > samples:
        raise ValueError(
            f"recording {where} lasts {samples / rate:g} s, the sharpest filter {longest / rate:g} s; raise "
            "preprocess.low (or of bands), lower a high that is close to half the rate, or leave preprocess.notch out"
        )


def _positions(recording: Recording, name: str, plan: Plan) -> dict[str, np.ndarray]:
    """Positions of the new channels: half-way between the two of a difference."""
    key = f"{name}_positions"
    if key not in recording.arrays:
        return recording.arrays
    before = np.where(plan.index[:, None] < 0, np.nan, np.asarray(recording.arrays[key])[plan.index])
    plus, minus = plan.montage.plus, plan.montage.minus
    after = np.where(minus[:, None] < 0, before[plus], (before[plus] + before[minus]) / 2)
    return recording.arrays | {key: np.tile(after, (len(plan.outputs), 1))}


def _on_one_clock(recording: Recording, name: str, made: Signal) -> Recording:
    """Signals in memory of another rate or start, at the times of the cleaned one; angles the shorter way round."""
    moved = {}
    for key, other in recording.signals.items():
        clock = (other.rate, other.start, len(other.data)) == (made.rate, made.start, len(made.data))
        if key == name or clock or is_lazy(other.data) or made.rate == recording.signal(name).rate:
            continue
        data = interpolate(made.times, other.times, other.data, angle=other.unit == "rad")
        moved[key] = replace(other, data=data, rate=made.rate, start=made.start)
    return replace(recording, signals=recording.signals | moved | {name: made})
