"""Whether states say of which session they are: a fresh probe, learnt on some stretches and asked on others.

A domain branch that a pretraining was trained against may be too weak to find what a new classifier finds at once. So
none of its weights is used: a logistic regression reads frozen states of rows that the pretraining never saw, with
sessions as classes. Known truth allows 1/K: the latents follow the same law in all K sessions.

    permuted    the same probe of the same states, where stretches have each other's sessions
    truth       the same probe of states that are the latents themselves
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurofmx.benchmark.drawn import Drawn, Draws, mean_of
from neurofmx.known_truth.material import PATCH, TIME, Material, Part
from neurofmx.known_truth.sessions import BIN
from neurofmx.models.fitted.linear import one_thread
from neurofmx.models.fitted.readout import fit_readouts
from neurofmx.recordings.task import Task

FOLDS = 5
PENALTY = 1.0  # of the probe, on standardised states
PERMUTATIONS = 20


def domain_lines(part: Part, states: Mapping[str, np.ndarray], draws: Draws) -> list[dict[str, Any]]:
    """How well sessions are told from states, a line for each kind of states.

    Args:
        part: The tested rows.
        states: Of these rows (n, D), or by networks of several seeds (S, n, D), by what made them; the first are those
            that others are held against.
        draws: Of the rows' blocks, and of as many seeds.

    Returns:
        For each: the share of rows whose session is named, mean over seeds, the control, chance, the verdict, and
        `confused`: how much of what the first states say of sessions these do not, 1 at chance.
    """
    chance = 1 / len(np.unique(part.session))
    made, first = [], None
    for what, values in states.items():
        seeds = values if values.ndim == 3 else values[None]
        right = np.stack([named(one, part.session, part.block) for one in seeds])
        scored = draws.drawn(*mean_of(right))
        first = first or scored
        controls = [
            np.mean([named(one, part.session, part.block, permuted=k) for one in seeds]) for k in range(PERMUTATIONS)
        ]
        low, high = np.quantile(controls, [0.5 - scored.confidence / 2, 0.5 + scored.confidence / 2])
        own = scored.interval
        made.append(
            {
                "what": what,
                "accuracy": {"value": own.value, "low": own.low, "high": own.high},
                "permuted": {"value": float(np.mean(controls)), "low": float(low), "high": float(high)},
                "bound": chance,
                "confused": confused(first, scored, chance=chance),
                "verdict": "reaches" if own.low <= chance or own.value <= high else "short",
            }
        )
    return made


def named(states: np.ndarray, session: np.ndarray, block: np.ndarray, *, permuted: int | None = None) -> np.ndarray:
    """Which rows a probe names rightly that learnt from other blocks.

    Args:
        states: Frozen states (n, D).
        session: True sessions (n,), 0 to K - 1.
        block: Stretch of recording that each row lies in (n,); a block is of one session.
        permuted: Seed by which whole blocks get each other's sessions, in learning and in scoring; None for their own.

    Returns:
        Shape (n,), 1 for right and 0 for wrong.
    """
    _, first, member = np.unique(block, return_index=True, return_inverse=True)
    label = session[first]
    if permuted is not None:
        label = np.random.default_rng(permuted).permutation(label)
    fold, truth = _dealt(label, np.random.default_rng(0))[member], label[member]
    task = Task("classification", "session", tuple(map(str, range(int(session.max()) + 1))))
    right = np.zeros(len(states))
    with one_thread():
        for part in range(FOLDS):
            asked = fold == part
            (readout,) = fit_readouts(states[~asked], truth[~asked], task, strengths=[PENALTY])
            right[asked] = readout(states[asked]).argmax(1) == truth[asked]
    return right


def confused(without: Drawn, those: Drawn, *, chance: float) -> dict[str, float]:
    """How much of what some states say of sessions others do not: 1 at chance, 0 for as much."""
    lost = (without.draws - those.draws) / np.maximum(without.draws - chance, 1e-9)
    whole = (without.value - those.value) / max(without.value - chance, 1e-9)
    value, low, high = Drawn(whole, lost, without.confidence).interval
    return {"value": value, "low": low, "high": high}


def true_states(material: Material, part: Part) -> np.ndarray:
    """The latents at the end of each step of a window, and the heading's cosine and sine (n, features)."""
    ends = part.samples(np.arange(PATCH - 1, TIME, PATCH))[..., BIN - 1]
    states = np.zeros((*ends.shape, 5))
    for number, session in enumerate(material.sessions):
        mine, truth = part.session == number, session.truth
        heading = truth.heading[ends[mine]][..., None]
        states[mine] = np.concatenate([truth.latent[ends[mine]], np.cos(heading), np.sin(heading)], -1)
    return states.reshape(len(part), -1)


def _dealt(label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Fold of each block, so that every class is spread over all folds."""
    fold = np.zeros(len(label), int)
    for each in np.unique(label):
        mine = np.flatnonzero(label == each)
        fold[rng.permutation(mine)] = np.arange(len(mine)) % FOLDS
    return fold
