"""MuJoCo through Gymnasium, without a window."""

from __future__ import annotations

from typing import Any


def environment(name: str, *, steps: int, dataset: str) -> Any:
    """A simulated robot.

    Args:
        name: Gymnasium's name of it.
        steps: Steps of an episode.
        dataset: Who asks, for the message.

    Raises:
        ImportError: If Gymnasium or MuJoCo is missing, saying what to install.
    """
    try:
        import gymnasium  # imported here: only simulated robots need it
        import gymnasium.envs.mujoco
        import mujoco  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"dataset {dataset} simulates with gymnasium and mujoco, which are not here ({error}); "
            "pip install -c constraints.txt -e '.[robotics]'"
        ) from error
    return gymnasium.make(name, max_episode_steps=steps)
