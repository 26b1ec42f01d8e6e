"""Transfer: what a linear probe on frozen states learns from few labelled windows, and whether it holds elsewhere.

The states are those of a model that was trained elsewhere or earlier and stays as it is; a probe learns from `n_train`
training windows, chosen alike for all models, each number of them holding the smaller ones. Its penalty is tuned on at
most as many validation windows, which then join the fit. The linear model beside it is the pipeline's, with its own
features, given the same windows. Where a dataset has several recordings, a probe also learns from all but one and is
asked about that one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from neurofmx.benchmark.asked.decoding import scores_of, worthless
from neurofmx.benchmark.drawn import Drawn
from neurofmx.benchmark.entry import BESIDE, absent, entry
from neurofmx.benchmark.material import Material
from neurofmx.benchmark.probe import fit_probe
from neurofmx.benchmark.reading import Reading
from neurofmx.models.fitted.linear import LinearConfig, LinearDecoder
from neurofmx.models.fitted.per_recording import fit_decoder
from neurofmx.tokenizers.cutting.windows import Windows

MOST = 6  # recordings that are left out in turn


class Learnt(NamedTuple):
    """Answers to a fold's test windows, by what was learnt from.

    Args:
        by_number: Number of training windows to answers `(n, width)`; None where nothing could be learnt from so few.
        shuffled: The same, learnt from windows with each other's answers; empty where that was not asked.
        elsewhere: Each window by a readout that knew no window of its recording, NaN where there is none; or None.
    """

    by_number: Mapping[int, np.ndarray | None]
    shuffled: Mapping[int, np.ndarray | None] = MappingProxyType({})
    elsewhere: np.ndarray | None = None


def numbers_of(material: Material, fold: int) -> list[int]:
    """How many training windows are learnt from: what the options ask and the fold has, and all of them as 0."""
    return [n for n in material.options.n_train if n < len(material.parts[fold].train)] + [0]


def chosen(material: Material, fold: int, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Places in the fold's training and validation parts that are learnt from; classes in turn, so that each is there.

    Args:
        material: The dataset.
        fold: The fold.
        number: Training windows; 0 for all.
    """
    part = material.parts[fold]
    picked = []
    for index, name in ((part.train, "few"), (part.validation, "few-validation")):
        order = material.generator(name, fold).permutation(len(index))
        if material.windows.task.kind == "classification":
            y = material.windows.y[index[order]]
            turn = np.empty(len(y), int)
            for label in np.unique(y):
                turn[y == label] = np.arange(np.sum(y == label))
            order = order[np.argsort(turn, kind="stable")]
        picked.append(np.sort(order[:number] if number else order))
    return picked[0], picked[1]


def probe_few(material: Material, reading: Reading, *, again: Reading | None = None) -> Learnt:
    """Probes on a fold's states.

    Args:
        material: The dataset.
        reading: The states.
        again: States of the model that was prepared on shuffled answers, for the control.
    """
    part, windows = material.parts[reading.fold], material.windows

    def learn(states: Reading, of: Windows, train: np.ndarray, validation: np.ndarray) -> np.ndarray:
        rows, held, test = states.features(material.options.steps)
        y = of.y[part.train[train]], of.y[part.validation[validation]]
        probe = fit_probe(rows[train], y[0], held[validation], y[1], of.task, strengths=material.options.strengths)
        return probe.readout(test)

    numbers = {n: chosen(material, reading.fold, n) for n in numbers_of(material, reading.fold)}
    by_number = {n: _tried(learn, reading, windows, *each) for n, each in numbers.items()}
    control: dict[int, np.ndarray | None] = {}
    if again is not None:  # few windows may lack a class where they have each other's answers
        control = {n: _tried(learn, again, material.shuffled, *each) for n, each in numbers.items()}

    def left_out(train: np.ndarray, validation: np.ndarray) -> np.ndarray:
        return learn(reading, windows, train, validation)

    return Learnt(by_number, control, _elsewhere(material, reading.fold, left_out))


def linear_few(material: Material, fold: int) -> Learnt:
    """The tuned linear model given the same windows."""
    part = material.parts[fold]

    def learn(train: np.ndarray, validation: np.ndarray) -> np.ndarray:
        windows = material.narrowed(fold, part.train[train], part.validation[validation])
        return fit_decoder(LinearDecoder, windows, 0, LinearConfig()).answer(windows, 0, part.test)

    by_number = {n: _tried(learn, *chosen(material, fold, n)) for n in numbers_of(material, fold)}
    same = material.windows.montage == "same"  # else a column of one recording is no column of another
    return Learnt(by_number, elsewhere=_elsewhere(material, fold, learn) if same else None)


def _tried(learn: Any, *given: Any) -> np.ndarray | None:
    """What was learnt; None where so few windows are not enough, as when a class or a recording is missing."""
    try:
        return learn(*given)
    except ValueError:
        return None


def _elsewhere(material: Material, fold: int, learn: Any) -> np.ndarray | None:
    """Answers about each recording by what was learnt from the others."""
    part, group = material.parts[fold], material.windows.group
    both = np.intersect1d(group[part.test], group[part.train])
    if len(np.unique(group[part.train])) < 2 or not len(both):
        return None
    answers = np.full((len(part.test), material.windows.task.width), np.nan)
    for recording in both[:MOST]:
        train, validation = (np.flatnonzero(group[each] != recording) for each in (part.train, part.validation))
        said = _tried(learn, train, validation) if len(train) and len(validation) else None
        mine = group[part.test] == recording
        if said is not None:
            answers[mine] = said[mine]
    return None if np.isnan(answers).all() else answers


def transfer(
    material: Material,
    ours: Sequence[Sequence[Learnt]],
    linear: Sequence[Learnt],
    *,
    chance: np.ndarray,
    shuffled_chance: np.ndarray,
) -> dict[str, Any]:
    """The line of the part: the probe of all training windows, with the curve over fewer of them.

    Args:
        material: The dataset.
        ours: What each seed's probes answered, by fold.
        linear: What the linear model answered, by fold.
        chance: Of `chance_outputs`, for `material.tested`.
        shuffled_chance: The same of the shuffled windows.
    """
    windows, tested = material.windows, material.tested
    truth, block = windows.y[tested], windows.block[tested]
    scores = {n: _at(n, ours, linear, chance, truth, block, material) for n in numbers_of(material, 0)}
    if scores[0] is None:
        return absent("a probe could not be learnt from the training windows; see that every class is among them")
    control = {n: _control(n, ours, shuffled_chance, material) for n in scores}
    guess = worthless(windows.task)
    curve = [_point(n or _most(material), *each, guess, **control[n]) for n, each in scores.items() if each is not None]
    mine, theirs, none = scores[0]
    named = {f"{windows.task.headline}_of_{point['n_train']}_windows": point for point in curve}
    return entry(
        windows.task.headline,
        mine,
        linear=theirs,
        chance=none.value,
        worthless=worthless(windows.task),
        metrics={name: point["score"] for name, point in named.items()},
        beside={
            which: {name: point[which] for name, point in named.items() if point[which] is not None} for which in BESIDE
        },
        n_train=_most(material),
        curve=curve,
        across_recordings=_across(material, ours, linear, chance),
        **control[0],
    )


def _control(number: int, ours: Sequence[Sequence[Learnt]], chance: np.ndarray, material: Material) -> dict[str, Any]:
    """Scores of probe and chance where windows have each other's answers; none where a fold has no such probe."""
    mixed = [[each.shuffled[number] for each in seed] for seed in ours if all(number in each.shuffled for each in seed)]
    controls = [[each for each in seed if each is not None] for seed in mixed]
    if not controls or any(len(each) < len(seed) for each, seed in zip(controls, mixed, strict=True)):
        return {}
    answers = np.stack([np.concatenate(each) for each in controls])
    tested = material.tested
    found = scores_of([answers, chance], material.shuffled.y[tested], material.windows.block[tested], material)
    return dict(zip(("shuffled", "shuffled_chance"), found, strict=True))


def _most(material: Material) -> int:
    return int(np.mean([len(part.train) for part in material.parts]))


def _at(
    number: int,
    ours: Sequence[Sequence[Learnt]],
    linear: Sequence[Learnt],
    chance: np.ndarray,
    truth: np.ndarray,
    block: np.ndarray,
    material: Material,
) -> tuple[Drawn, Drawn | None, Drawn] | None:
    """Scores of probe, linear model and chance after so many windows; None where a fold has no probe."""
    mine = [[each.by_number.get(number) for each in seed] for seed in ours]
    theirs = [each.by_number.get(number) for each in linear]
    if any(answers is None for seed in mine for answers in seed):
        return None
    answers = [np.stack([np.concatenate([a for a in seed if a is not None]) for seed in mine]), chance]
    if any(answers is None for answers in theirs):
        probe, none = scores_of(answers, truth, block, material)
        return probe, None, none
    answers.append(np.concatenate([a for a in theirs if a is not None]))
    probe, none, reference = scores_of(answers, truth, block, material)
    return probe, reference, none


def _point(
    number: int, ours: Drawn, linear: Drawn | None, chance: Drawn, guess: float | None, **control: Any
) -> dict[str, Any]:
    """One point of the curve. Whether its control is a leak is left to the point of all windows, which is one test."""
    line = entry("", ours, linear=linear, chance=chance.value, worthless=guess, metrics={}, beside={}, **control)
    kept = ("score", "low", "high", "share", "chance", "shuffled", "linear", "difference", "verdict")
    return {"n_train": number, **{name: line[name] for name in kept}, "linear_share": line.get("linear_share")}


def _across(
    material: Material, ours: Sequence[Sequence[Learnt]], linear: Sequence[Learnt], chance: np.ndarray
) -> dict[str, Any]:
    """The score where a recording is answered by what was learnt from the others."""
    if any(each.elsewhere is None for seed in ours for each in seed):
        return absent("no recording has both training and test windows, or there is only one")
    answers = np.stack([np.concatenate([e.elsewhere for e in seed if e.elsewhere is not None]) for seed in ours])
    there = np.isfinite(answers).all((0, 2))
    given = [each.elsewhere for each in linear if each.elsewhere is not None]
    said = [answers, chance]
    if len(given) == len(linear):
        said.append(np.concatenate(given))
        there &= np.isfinite(said[2]).all(1)
    tested = material.tested[there]
    truth, block = material.windows.y[tested], material.windows.block[tested]
    try:
        found = scores_of([each[..., there, :] for each in said], truth, block, material)
    except ValueError as error:
        return absent(error)
    mine, none, *reference = found
    point = _point(0, mine, reference[0] if reference else None, none, worthless(material.windows.task))
    return point | {"windows": len(tested), "absent": ""}
