"""A simulated robot that is moved at random: how does it move next? (MuJoCo through Gymnasium)"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, NamedTuple, final

import numpy as np
from pydantic import Field

from neurofmx.datasets.shared.base import Expected, Modality, Split
from neurofmx.datasets.shared.generated import Generated
from neurofmx.datasets.shared.simulator import environment
from neurofmx.recordings.recording import Recording, Signal
from neurofmx.recordings.task import Task

LINGER = 0.9  # share of a motor's command that stays from one step to the next


class _Robot(NamedTuple):
    """A robot that no movement ends early, with the sizes of its observations and actions, and its rate in Hz."""

    environment: str
    observations: int
    actions: int
    rate: float


ROBOTS = {
    "pusher": _Robot("Pusher-v5", 23, 7, 20.0),
    "reacher": _Robot("Reacher-v5", 10, 2, 50.0),
    "swimmer": _Robot("Swimmer-v5", 8, 2, 25.0),
}


@final
class Mujoco(Generated):
    """Episodes of a robot whose motors follow smooth noise.

    A recording is an episode. Signal `trajectory` is `(steps, observations + actions)`, what the robot's sensors say
    and what its motors are then told; signal `change` is `(steps, observations)`, how the observations differ one step
    later. The motors' commands are autoregressive noise between -1 and 1, in the unit of their largest force. The same
    options give the same bytes on one machine; another processor may round the physics differently.

    Args:
        robot: Which robot, default the swimmer of three links.
        episodes: Number of episodes, 5 or more, default 10.
        steps: Steps of an episode, default 400.
        seed: Seed of the commands and of where each episode begins, default 0.

    Source: Todorov et al., MuJoCo, a physics engine for model-based control, IROS (2012).
    """

    name: ClassVar[str] = "mujoco"
    modalities: ClassVar[tuple[Modality, ...]] = ("trajectory",)
    species: ClassVar[str] = "none (simulated robot)"
    licence: ClassVar[str] = "Apache-2.0 (MuJoCo), MIT (Gymnasium)"
    citation: ClassVar[str] = "Todorov et al. 2012, IROS:5026-5033; Towers et al. 2024, arXiv:2407.17032"
    homepage: ClassVar[str] = "https://gymnasium.farama.org"
    source: ClassVar[str] = "simulated on this machine"
    file: ClassVar[str] = "episodes.h5"

    robot: Literal["pusher", "reacher", "swimmer"] = "swimmer"
    episodes: int = Field(default=10, ge=5)
    steps: int = Field(default=400, ge=10)
    seed: int = Field(default=0, ge=0)

    @property
    def task(self) -> Task:
        """How each observation changes within a step."""
        return Task("regression", "change", tuple(f"change-{i + 1}" for i in range(ROBOTS[self.robot].observations)))

    @property
    def split(self) -> Split:
        """Whole episodes are left out."""
        return Split("episodes-5fold-v1", kind="groups", folds=5, validation="groups", block=2.0)

    @property
    def expected(self) -> Expected:
        """Episodes of the wanted robot."""
        robot = ROBOTS[self.robot]
        return Expected("trajectory", self.episodes, robot.observations + robot.actions, robot.rate)

    def generate(self) -> list[Recording]:
        """Simulate all episodes.

        Returns:
            The recordings, one an episode.

        Raises:
            ImportError: If Gymnasium or MuJoCo is missing.
        """
        made = environment(ROBOTS[self.robot].environment, steps=self.steps + 1, dataset=self.name)
        seeds = np.random.SeedSequence(self.seed).spawn(self.episodes)
        try:
            return [self._episode(made, number, seed) for number, seed in enumerate(seeds)]
        finally:
            made.close()

    def _episode(self, made: Any, number: int, seed: np.random.SeedSequence) -> Recording:
        """One episode from its beginning."""
        robot, rng = ROBOTS[self.robot], np.random.default_rng(seed)
        commands = _smooth_noise((self.steps, robot.actions), rng)
        observed = [made.reset(seed=int(rng.integers(2**31)))[0]]
        for command in commands:
            observed.append(made.step((command * made.action_space.high).astype(np.float32))[0])
        states = np.array(observed, np.float64)
        names = [f"observation-{i + 1}" for i in range(robot.observations)]
        names += [f"action-{i + 1}" for i in range(robot.actions)]
        return Recording(
            subject=self.robot,
            session=f"episode-{number:03d}",
            signals={
                "trajectory": Signal(np.hstack([states[:-1], commands]), robot.rate, "SI", tuple(names)),
                "change": Signal(np.diff(states, axis=0), robot.rate, "SI", self.task.names),
            },
        )


def _smooth_noise(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Autoregressive noise of spread 0.5 `(steps, motors)`, held between -1 and 1."""
    from scipy.signal import lfilter

    fresh = rng.normal(0, 0.5 * np.sqrt(1 - LINGER**2), shape)
    return np.clip(lfilter([1.0], [1.0, -LINGER], fresh, axis=0), -1, 1)
