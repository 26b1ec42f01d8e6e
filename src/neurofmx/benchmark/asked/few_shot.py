"""Few-shot: N classes, K labelled windows of each; a window belongs to the class whose mean state is nearest.

Nothing is trained. States are frozen and standardised by the training windows; support windows are drawn from the
training part, queries from the test part, the same for all models. Where values or angles are asked, the classes are
parts of their range (`latent.labels`). The reference is the nearest class mean of the windows themselves; chance is
1/N.

Source:
    Snell, Swersky and Zemel (2017), Prototypical networks for few-shot learning, section 2, with the identity in
    place of a learnt embedding; Mensink et al. (2013), on nearest class means.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from neurofmx.benchmark.asked.latent import labels
from neurofmx.benchmark.drawn import Draws, share_of
from neurofmx.benchmark.entry import BESIDE, entry
from neurofmx.benchmark.material import Material


class Episode(NamedTuple):
    """One drawing of classes and windows.

    Args:
        support: Places in the training part `(ways, shots)`.
        query: Places in the test part `(ways, queries)`.
        mixed: The support windows in another order, for the control `(ways, shots)`.
    """

    support: np.ndarray
    query: np.ndarray
    mixed: np.ndarray


def usable(material: Material, fold: int, shots: int) -> list[int]:
    """Classes that have enough training windows in a fold, and a test window."""
    classes, part = labels(material, fold), material.parts[fold]
    train, test = classes[part.train], classes[part.test]
    return [int(k) for k in np.unique(train) if np.sum(train == k) >= shots and np.any(test == k)]


def ways(material: Material) -> int:
    """Classes of an episode: as many as are asked and every fold has.

    Raises:
        ValueError: If a fold has fewer than two.
    """
    shots = max(material.options.shots)
    there = {fold: len(usable(material, fold, shots)) for fold in material.folds}
    fold = min(there, key=lambda each: there[each])
    if there[fold] < 2:
        raise ValueError(f"fold {fold}: {there[fold]} classes have {shots} training windows and a test window, not 2")
    return min(material.options.ways, there[fold])


def by_fold(material: Material) -> int:
    """How many episodes a fold has."""
    return max(1, material.options.episodes // len(material.folds))


def episodes(material: Material, fold: int, shots: int) -> list[Episode]:
    """The episodes of a fold, the same for all models and seeds; raises ValueError as `ways`."""
    classes, part, options, number = labels(material, fold), material.parts[fold], material.options, ways(material)
    train, test = classes[part.train], classes[part.test]
    fit = usable(material, fold, max(options.shots))
    generator = material.generator("episodes", fold, shots)
    queries = min(options.queries, *(int(np.sum(test == k)) for k in fit))
    drawn = []
    for _ in range(by_fold(material)):
        of = generator.choice(fit, number, replace=False)
        support = np.stack([generator.choice(np.flatnonzero(train == k), shots, replace=False) for k in of])
        query = np.stack([generator.choice(np.flatnonzero(test == k), queries, replace=False) for k in of])
        drawn.append(Episode(support, query, generator.permutation(support.ravel()).reshape(support.shape)))
    return drawn


def hits(train: np.ndarray, test: np.ndarray, drawn: Sequence[Episode], *, mixed: bool = False) -> np.ndarray:
    """How often each test window was nearest to the mean of its own class.

    Args:
        train: Features of the training windows `(n_train, features)`.
        test: Features of the test windows `(n, features)`.
        drawn: The episodes.
        mixed: Whether labels of the support windows are shuffled.

    Returns:
        Of each test window how often it was right, and how often it was asked `(n, 2)`.
    """
    mean, std = train.mean(0), train.std(0)
    scale = np.where(std > 1e-9, std, 1.0)
    train, test = (train - mean) / scale, (test - mean) / scale
    found = np.zeros((len(test), 2))
    for episode in drawn:
        centre = train[episode.mixed if mixed else episode.support].mean(1)
        distance = (centre**2).sum(-1) - 2 * test[episode.query] @ centre.T
        right = distance.argmin(-1) == np.arange(len(centre))[:, None]
        np.add.at(found, episode.query, np.stack([right, np.ones_like(right)], -1))
    return found


Shot = dict[int, tuple[np.ndarray, np.ndarray]]  # shots to hits and those of the control, each (n, 2)


def shots_of(material: Material, fold: int, train: np.ndarray, test: np.ndarray) -> Shot:
    """Hits of a fold's test windows for each number of shots."""
    found = {}
    for shots in material.options.shots:
        drawn = episodes(material, fold, shots)
        found[shots] = hits(train, test, drawn), hits(train, test, drawn, mixed=True)
    return found


def few_shot(
    material: Material, ours: Sequence[Sequence[Shot]], theirs: Sequence[Shot], draws: Draws
) -> dict[str, Any]:
    """The line of the part, for the most shots; the others stand in `by_shots`.

    Episodes share the test windows, so it is windows that are drawn, by their blocks: more episodes say more about the
    windows there are, and nothing about others.

    Args:
        material: The dataset.
        ours: Hits of each seed by fold.
        theirs: Those of the windows themselves, by fold.
        draws: Of the tested windows and the seeds.
    """
    options, number = material.options, ways(material)
    lines = {}
    for shots in options.shots:
        values, mixed = (np.stack([np.concatenate([f[shots][k] for f in seed]) for seed in ours]) for k in (0, 1))
        raw = np.concatenate([fold[shots][0] for fold in theirs])[None]
        model, linear, control = (draws.drawn(each, share_of) for each in (values, raw, mixed))
        name = f"accuracy_{number}way_{shots}shot"
        lines[shots] = entry(
            name,
            model,
            linear=linear,
            chance=1 / number,
            shuffled=control,
            metrics={name: model.value},
            beside={
                "linear": {name: linear.value},
                "chance": {name: 1 / number},
                "shuffled": {name: control.value},
            },
            shots=shots,
            ways=number,
            episodes=by_fold(material) * len(material.folds),
        )
    most = lines[max(options.shots)]
    every = {name: value for line in lines.values() for name, value in line["metrics"].items()}
    beside = {
        which: {name: value for line in lines.values() for name, value in line["beside"][which].items()}
        for which in BESIDE
    }
    by_shots = [lines[shots] for shots in sorted(lines)]
    return most | {"metrics": every, "beside": beside, "by_shots": by_shots}
