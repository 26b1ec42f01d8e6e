"""Neural reconstruction: channels that a model was not shown, read back from its states.

Some channels are set to 0, their training mean, before a model reads a window. A ridge readout from the state of each
step to the hidden channels of the samples under that step is learnt on training windows and scored on test windows, so
all models are read alike. What a model says of the hidden channels itself (`reconstruct`) is scored beside that, as
`own`. The linear model beside both reads the channels that are shown: of the same patch, or of the neighbouring patches
too, whichever the validation windows prefer.

Where the channels are counts of spikes, the same is asked of the counts themselves (`co_smoothing.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd
from typing import Any, NamedTuple

import numpy as np

from neurofmx.benchmark.asked.co_smoothing import co_smoothing, positive
from neurofmx.benchmark.asked.own_reconstruction import Own, own_reconstruction
from neurofmx.benchmark.drawn import Draws, r2_of, r2_terms
from neurofmx.benchmark.entry import absent, entry
from neurofmx.benchmark.material import Material
from neurofmx.benchmark.metrics.correlation import pearson
from neurofmx.benchmark.probe import fit_probe
from neurofmx.benchmark.protocol import Reconstructs, States, encode
from neurofmx.benchmark.reading import Reading
from neurofmx.recordings.task import Task
from neurofmx.tokenizers.tokens import Sample

WIDEST = 4000  # numbers of neighbouring patches that the linear model reads at most


class Control(NamedTuple):
    """What readouts say that learnt from windows with each other's channels, `(n, T, hidden channels)`.

    Args:
        values: In standardised units.
        rates: Spikes a bin; None where the channels are no counts.
    """

    values: np.ndarray
    rates: np.ndarray | None


class Read(NamedTuple):
    """What was read back of the test windows of a fold, `(n, T, hidden channels)`.

    Args:
        values: In standardised units.
        rates: Spikes a bin; None where the channels are no counts.
        shuffled: The same two by readouts that learnt from windows with each other's channels; None where none did.
        own: Without a readout; None of a model that has no reconstruction.
    """

    values: np.ndarray
    rates: np.ndarray | None
    shuffled: Control | None = None
    own: Own | None = None


def unasked(material: Material) -> str:
    """Why a dataset is not asked; empty where it is."""
    windows = material.windows
    if not material.neural:
        return f"{windows.modality} is not recorded from nerves or muscles"
    if np.any(windows.length < windows.x.shape[1]):
        return "windows are padded"
    return "" if 0 < material.hidden.sum() < windows.x.shape[2] else "there are too few channels to hide some"


def hidden_sample(material: Material, fold: int, index: np.ndarray) -> Sample:
    """Windows of a fold with the hidden channels at 0."""
    sample = Sample.of(material.windows, fold, index)
    x = sample.x.clone()
    x[..., np.flatnonzero(material.hidden)] = 0.0
    return sample.with_x(x)


def read_back(material: Material, reading: Reading, *, name: str, shuffle: bool = False) -> Read:
    """What a model tells of the hidden channels of a fold's test windows.

    Args:
        material: The dataset.
        reading: The model, prepared for a fold.
        name: Of the model, for messages.
        shuffle: Whether to learn the control as well.
    """
    samples = [hidden_sample(material, reading.fold, index) for index in material.parts[reading.fold]]
    inputs = [_steps(encode(reading.encoder, sample, name=name), samples[0].x.shape[1]) for sample in samples]
    found = _learnt(material, reading.fold, [inputs], shuffle=shuffle)
    if isinstance(reading.encoder, Reconstructs):
        own = own_reconstruction(material, reading.fold, reading.encoder, samples[1:], name=name)
        found = found._replace(own=own)
    return found


def linear_read_back(material: Material, fold: int) -> Read:
    """The same by a linear model of the channels that are shown."""
    patch = material.windows.patch
    shown = [
        hidden_sample(material, fold, index).x.numpy()[..., ~material.hidden].astype(np.float64)
        for index in material.parts[fold]
    ]
    alone = [x.reshape(len(x), x.shape[1] // patch, -1) for x in shown]
    wide = [np.concatenate([_moved(x, 1), x, _moved(x, -1)], -1) for x in alone]
    narrow = alone[0].shape[1] == 1 or wide[0].shape[-1] > WIDEST
    return _learnt(material, fold, [alone] if narrow else [alone, wide])


def _moved(x: np.ndarray, by: int) -> np.ndarray:
    """Patches of the neighbour `by` places before; 0 where there is none."""
    moved = np.zeros_like(x)
    if by > 0:
        moved[:, by:] = x[:, :-by]
    else:
        moved[:, :by] = x[:, -by:]
    return moved


def _steps(states: States, time: int) -> np.ndarray:
    """States `(n, groups, features)` at a number of steps that divides the samples of a window evenly."""
    steps = states.values.shape[1]
    groups = gcd(steps, time)
    return states.values.reshape(len(states.values), groups, -1)


class Told(NamedTuple):
    """What a readout says of hidden channels.

    Args:
        error: Squared error on the validation windows.
        validation: Of those windows, before it learnt from them `(n, T, hidden)`.
        test: Of the test windows.
    """

    error: float
    validation: np.ndarray
    test: np.ndarray


def _learnt(material: Material, fold: int, inputs: Sequence[Sequence[np.ndarray]], *, shuffle: bool = False) -> Read:
    """The best of some inputs `(training, validation, test)`, each array `(n, groups, features)`."""
    windows, hidden, parts = material.windows, material.hidden, material.parts[fold]

    def best(truth: Sequence[np.ndarray]) -> Told:
        return min((_ridge(material, fold, each, truth) for each in inputs), key=lambda told: told.error)

    def rates_of(counted: Sequence[np.ndarray]) -> np.ndarray:
        told = best(counted)
        return positive(told.validation, told.test, counted, material.recordings(fold))

    truth = [windows.scaled(fold, index)[..., hidden].astype(np.float64) for index in parts]
    counts = material.counts
    counted = None if counts is None else [counts[index][..., hidden] for index in parts]
    read = Read(best(truth).test, None if counted is None else rates_of(counted))
    if not shuffle:
        return read
    rates = None if counted is None else rates_of(_exchanged(material, fold, counted))
    return read._replace(shuffled=Control(best(_exchanged(material, fold, truth)).test, rates))


def _exchanged(material: Material, fold: int, values: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Training and validation windows with each other's channels, within a recording; the tested ones as they are."""
    mixed = list(values)
    for part, recording in enumerate(material.recordings(fold)[:2]):
        generator, order = material.generator("others", fold, part), np.arange(len(recording))
        for each in np.unique(recording):
            order[recording == each] = generator.permutation(order[recording == each])
        mixed[part] = values[part][order]
    return mixed


def _ridge(material: Material, fold: int, inputs: Sequence[np.ndarray], truth: Sequence[np.ndarray]) -> Told:
    """Ridge from groups of features to the channels of the samples under them.

    Where recordings have channels of their own a readout of one says nothing of another: each gets its own.
    """
    groups = material.recordings(fold)
    said = [np.zeros_like(each) for each in truth]
    errors = []
    for recording in np.unique(groups[2]):
        mine = [np.flatnonzero(group == recording) for group in groups]
        if min(len(mine[0]), len(mine[1])) < 2:
            raise ValueError(
                f"recording {recording} has too few windows to learn from in fold {fold}: use more windows"
            )
        rows = [_rows(x[index]) for x, index in zip(inputs, mine, strict=True)]
        kept = [_rows(y[index], x.shape[1]) for y, x, index in zip(truth, inputs, mine, strict=True)]
        task = Task("regression", "hidden channels", tuple(map(str, range(kept[0].shape[1]))))
        probe = fit_probe(rows[0], kept[0], rows[1], kept[1], task, strengths=material.options.strengths)
        said[1][mine[1]] = probe.tuned(rows[1]).reshape(truth[1][mine[1]].shape)
        said[2][mine[2]] = probe.readout(rows[2]).reshape(truth[2][mine[2]].shape)
        errors.append(probe.error * len(rows[1]))
    return Told(sum(errors), said[1], said[2])


def _rows(values: np.ndarray, groups: int | None = None) -> np.ndarray:
    """Groups of samples below each other: `(n, groups, features)`, or `(n, T, C)` cut into groups, to rows."""
    if groups is not None:
        values = values.reshape(len(values), groups, -1)
    return values.reshape(-1, values.shape[-1])


def reconstruction(
    material: Material, ours: Sequence[Sequence[Read]], linear: Sequence[Read], draws: Draws
) -> dict[str, Any]:
    """The line of the part.

    Args:
        material: The dataset.
        ours: What each seed read back of each fold.
        linear: What the linear model read back of each fold.
        draws: Of the blocks of `material.tested`.
    """
    mixed = [[read.shuffled for read in seed if read.shuffled is not None] for seed in ours]
    line = _entry(material, ours, linear, draws, mixed=[each for each in mixed if each])
    line |= {"hidden": int(material.hidden.sum())}
    own = [[read.own for read in seed if read.own is not None] for seed in ours]
    none = absent("the model has no reconstruction of its own")
    return line | {"own": _entry(material, own, linear, draws) if all(own) else none}


def _entry(
    material: Material,
    ours: Sequence[Sequence[Read | Own]],
    linear: Sequence[Read],
    draws: Draws,
    *,
    mixed: Sequence[Sequence[Control]] = (),
) -> dict[str, Any]:
    """The line of a readout with its controls of some seeds, or of what a model says itself."""
    truth = _truth(material)
    answers, controls = ([np.concatenate([each.values for each in seed]) for seed in part] for part in (ours, mixed))
    beside = {"linear": [np.concatenate([read.values for read in linear])], "chance": [np.zeros_like(truth)]}
    beside |= {"shuffled": controls} if controls else {}
    drawn = {name: draws.drawn(r2_terms(truth, each), r2_of) for name, each in beside.items()}
    return entry(
        "r2",
        draws.drawn(r2_terms(truth, answers), r2_of),
        linear=drawn["linear"],
        chance=drawn["chance"].value,
        shuffled=drawn.get("shuffled"),
        worthless=0.0,
        metrics=_numbers(truth, answers, draws.blocks),
        beside={name: _numbers(truth, each, draws.blocks) for name, each in beside.items()},
        co_smoothing=_spikes(material, ours, linear, draws, mixed=mixed),
    )


def _truth(material: Material) -> np.ndarray:
    """The hidden channels of all tested windows `(n, T, hidden)`, each fold in its own scale."""
    parts = zip(material.folds, material.parts, strict=True)
    scaled = [material.windows.scaled(fold, part.test)[..., material.hidden] for fold, part in parts]
    return np.concatenate(scaled).astype(np.float64)


def _numbers(truth: np.ndarray, answers: Sequence[np.ndarray], blocks: int) -> dict[str, float]:
    """Errors and correlation, means over seeds."""
    flat = truth.reshape(-1)
    found = [pearson(flat, answer.reshape(-1), independent=max(3, blocks)) for answer in answers]
    return {
        "mse": float(np.mean([(truth - answer) ** 2 for answer in answers])),
        "mae": float(np.mean([np.abs(truth - answer) for answer in answers])),
        "r2": float(np.mean([r2_of(r2_terms(truth, [answer])[0].sum(0)) for answer in answers])),
        "pearson": float(np.mean([each.r[0] for each in found])),
        "pearson_p": float(np.max([each.p[0] for each in found])),
    }


def _spikes(
    material: Material,
    ours: Sequence[Sequence[Read | Own]],
    linear: Sequence[Read],
    draws: Draws,
    *,
    mixed: Sequence[Sequence[Control]],
) -> dict[str, Any]:
    """The line of the counts of spikes, with the controls of some seeds."""
    rates = [[read.rates for read in seed if read.rates is not None] for seed in (*ours, linear)]
    if material.counts is None or not all(rates):
        spikes = material.windows.modality == "spikes"
        return absent("spikes are smoothed or scaled, no counts" if spikes else "no spikes")
    *mine, theirs = (np.concatenate(each) for each in rates)
    windows, tested = material.windows, material.tested
    recording = windows.group[tested] if windows.montage == "own" else np.zeros(len(tested), int)
    truth = material.counts[tested][..., material.hidden]
    controls = [np.concatenate([each.rates for each in seed if each.rates is not None]) for seed in mixed]
    return co_smoothing(truth, mine, theirs, recording, draws, bin_s=1 / windows.rate, shuffled=controls)
