"""A cloned policy in the expert's place: what it was trained to say about recordings, now moves the robot.

Errors add up here: an action that is a little wrong leads to states that the recordings lack. So a policy that answers
recordings well may still fail, and the reward tells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from neurofmx.datasets.mujoco_cloning import ROBOTS, MujocoCloning, Played, Policy

Answer = Callable[[np.ndarray], np.ndarray]  # windows (episodes, time, observations) -> commands (episodes, actions)


def windowed(answer: Answer, *, time: int) -> Policy:
    """A policy that answers the newest window of observations, as it was trained.

    Args:
        answer: Takes windows `(episodes, time, observations)` as they were cut, unscaled.
        time: Samples of a window. Until so many were seen, the robot counts as having stood still before.
    """

    def policy(observed: np.ndarray) -> np.ndarray:
        index = np.arange(observed.shape[1] - time, observed.shape[1])
        return answer(observed[:, np.maximum(index, 0)])

    return policy


def references(dataset: MujocoCloning, *, seed: int) -> dict[str, Policy]:
    """Who a policy is held against: the expert without noise, and commands drawn evenly from all there are.

    Args:
        dataset: Which robot.
        seed: Of the random commands.
    """
    robot, rng = ROBOTS[dataset.robot], np.random.default_rng((seed, 2))

    def random(observed: np.ndarray) -> np.ndarray:
        return rng.uniform(-1, 1, (len(observed), robot.actions))

    return {"expert": lambda observed: robot.expert(observed[:, -1]), "random": random}


def held_out_seeds(dataset: MujocoCloning, *, episodes: int) -> list[int]:
    """Seeds of episodes that are no recorded ones, the same for every policy."""
    return np.random.default_rng((dataset.seed, 1)).integers(2**31, 2**32, size=episodes).tolist()


def closed_loop(played: Sequence[Played], *, expert: float, random: float) -> dict[str, float]:
    """Scores of a policy, or of the same policy trained several times.

    Args:
        played: What happened, a training each.
        expert: Mean return of the expert.
        random: Mean return of random commands.

    Returns:
        Mean `return` of an episode, its standard deviation over all episodes, the mean of the robot's goal in m, and
        the return between that of random commands (0) and the expert (1), rounded to 6 digits.
    """
    returns = np.concatenate([each.rewards.sum(1) for each in played])
    scores = {
        "return": returns.mean(),
        "return_std": returns.std(),
        "reached_m": np.mean([each.reached.mean() for each in played]),
        "of_expert": (returns.mean() - random) / (expert - random),
    }
    return {name: round(float(value), 6) for name, value in scores.items()}
