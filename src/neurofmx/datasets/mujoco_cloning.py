"""A simulated robot steered by an expert: from what its sensors say, what does the expert do? (MuJoCo, Gymnasium)

What is learnt from the recordings can take the expert's place: `play` lets any policy steer the robot.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from typing import Any, ClassVar, Literal, NamedTuple, final

import numpy as np
from pydantic import Field

from neurofmx.datasets.shared.base import Expected, Modality, Split
from neurofmx.datasets.shared.experts import reach, swim
from neurofmx.datasets.shared.generated import Generated
from neurofmx.datasets.shared.simulator import environment
from neurofmx.recordings.recording import Recording, Signal
from neurofmx.recordings.task import Task

Policy = Callable[
    [np.ndarray], np.ndarray
]  # observations so far (episodes, steps, sensors) -> commands (episodes, motors)


class _Robot(NamedTuple):
    """A robot that no movement ends early.

    Args:
        environment: Gymnasium's name.
        observations: Numbers its sensors give.
        actions: Motors.
        rate: Steps a second, Hz.
        steps: Usual steps of an episode.
        expert: The controller, observations to commands.
        goal: What `reached` measures, m.
        reached: Of the environment, after the last step.
    """

    environment: str
    observations: int
    actions: int
    rate: float
    steps: int
    expert: Callable[[np.ndarray], np.ndarray]
    goal: str
    reached: Callable[[Any], float]


def _miss(made: Any) -> float:
    """Distance of the reacher's fingertip from its target, m."""
    return float(np.linalg.norm(made.get_body_com("fingertip") - made.get_body_com("target")))


def _way(made: Any) -> float:
    """How far the swimmer has come, m."""
    return float(made.data.qpos[0])


ROBOTS = {
    "reacher": _Robot("Reacher-v5", 10, 2, 50.0, 50, reach, "distance from the target at the end", _miss),
    "swimmer": _Robot("Swimmer-v5", 8, 2, 25.0, 300, swim, "way forward", _way),
}


class Played(NamedTuple):
    """What happened in some episodes.

    Args:
        observed: What the sensors said before each step `(episodes, steps, observations)`.
        rewards: The simulator's reward of each step `(episodes, steps)`.
        reached: The robot's goal at the end `(episodes,)`, m.
    """

    observed: np.ndarray
    rewards: np.ndarray
    reached: np.ndarray


@final
class MujocoCloning(Generated):
    """Episodes that an expert steers, with noise on its commands so that it is also seen to make good for errors.

    A recording is an episode. Signal `trajectory` is `(steps, observations)`, what the sensors say; signal `action` is
    `(steps, actions)`, what the expert commands then, -1 to 1 in the unit of the largest torque, without the noise. The
    same options give the same bytes on one machine; another processor may round the physics differently.

    Args:
        robot: `reacher`, an arm of two links that brings its fingertip to a target (default), or `swimmer`, a chain of
            three links in a viscous fluid.
        episodes: Number of episodes, 5 or more, default 40.
        noise: Standard deviation of the noise on the commands, default 0.3.
        seed: Seed of the noise and of where each episode begins, default 0.

    Source: Todorov et al., MuJoCo, a physics engine for model-based control, IROS (2012); the noise is Laskey et al.,
    DART: noise injection for robust imitation learning, CoRL (2017).
    """

    name: ClassVar[str] = "mujoco_cloning"
    modalities: ClassVar[tuple[Modality, ...]] = ("trajectory",)
    species: ClassVar[str] = "none (simulated robot)"
    licence: ClassVar[str] = "Apache-2.0 (MuJoCo), MIT (Gymnasium)"
    citation: ClassVar[str] = "Todorov et al. 2012, IROS:5026-5033; Towers et al. 2024, arXiv:2407.17032"
    homepage: ClassVar[str] = "https://gymnasium.farama.org"
    source: ClassVar[str] = "simulated on this machine"
    file: ClassVar[str] = "episodes.h5"

    robot: Literal["reacher", "swimmer"] = "reacher"
    episodes: int = Field(default=40, ge=5)
    noise: float = Field(default=0.3, ge=0)
    seed: int = Field(default=0, ge=0)

    @property
    def task(self) -> Task:
        """What the expert commands."""
        return Task("regression", "action", tuple(f"action-{i + 1}" for i in range(ROBOTS[self.robot].actions)))

    @property
    def split(self) -> Split:
        """Whole episodes are left out."""
        return Split("episodes-5fold-v1", kind="groups", folds=5, validation="groups", block=2.0)

    @property
    def expected(self) -> Expected:
        """Episodes of the wanted robot."""
        robot = ROBOTS[self.robot]
        return Expected("trajectory", self.episodes, robot.observations, robot.rate)

    def generate(self) -> list[Recording]:
        """Simulate all episodes.

        Returns:
            The recordings, one an episode.

        Raises:
            ImportError: If Gymnasium or MuJoCo is missing.
        """
        robot, rng = ROBOTS[self.robot], np.random.default_rng((self.seed, 0))

        def noisy(observed: np.ndarray) -> np.ndarray:
            return robot.expert(observed[:, -1]) + self.noise * rng.normal(size=(len(observed), robot.actions))

        played = self.play(noisy, seeds=rng.integers(2**31, size=self.episodes).tolist())
        sensors = tuple(f"observation-{i + 1}" for i in range(robot.observations))
        return [
            Recording(
                subject=self.robot,
                session=f"episode-{number:03d}",
                signals={
                    "trajectory": Signal(observed, robot.rate, "SI", sensors),
                    "action": Signal(robot.expert(observed), robot.rate, "1", self.task.names),
                },
            )
            for number, observed in enumerate(played.observed)
        ]

    def play(self, policy: Policy, *, seeds: Sequence[int]) -> Played:
        """Let a policy steer the robot in some episodes at once, step by step.

        Args:
            policy: Called before each step with all that the sensors have said, newest last, `(episodes, steps,
                observations)`; returns commands `(episodes, actions)`, which are held between -1 and 1.
            seeds: Of where each episode begins, and with it the target.

        Raises:
            ImportError: If Gymnasium or MuJoCo is missing.
        """
        robot = ROBOTS[self.robot]
        with ExitStack() as stack:
            made = [
                stack.enter_context(closing(environment(robot.environment, steps=robot.steps + 1, dataset=self.name)))
                for _ in seeds
            ]
            observed = [np.stack([each.reset(seed=seed)[0] for each, seed in zip(made, seeds, strict=True)])]
            rewards = []
            for _ in range(robot.steps):
                commands = np.clip(policy(np.stack(observed, 1)), -1, 1).astype(np.float32)
                steps = [each.step(command) for each, command in zip(made, commands, strict=True)]
                observed.append(np.stack([step[0] for step in steps]))
                rewards.append([float(step[1]) for step in steps])
            reached = np.array([robot.reached(each.unwrapped) for each in made])
        return Played(np.stack(observed[:-1], 1).astype(np.float64), np.array(rewards).T, reached)
