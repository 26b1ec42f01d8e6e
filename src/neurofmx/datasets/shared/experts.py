"""Controllers of simulated robots that look at the newest observation only: who a cloned policy learns from.

Symbols: `q` angles of the joints, rad; `w` their velocities, rad/s; `l` lengths of the arm's links, m.
"""

from __future__ import annotations

import numpy as np

LINKS = 0.10, 0.11  # m, of the reacher
STIFFNESS, DAMPING = 0.2, 0.05  # of the reacher's joints, in its largest torques a rad and a rad/s
DRIVE = 10.0  # how sharply the swimmer's first joint is pushed on the way it turns


def reach(observations: np.ndarray) -> np.ndarray:
    """Torques that bring the reacher's fingertip to its target: `k (q* - q) - d w`.

    The wanted angles `q*` put the fingertip on the target, with the elbow always bent to the same side.

    Args:
        observations: Of Reacher-v5 `(..., 10)`: cosines and sines of both angles, the target's place, both velocities
            and the way from target to fingertip.

    Returns:
        Torques `(..., 2)`, -1 to 1.

    Source:
        Spong et al., Robot Modeling and Control (2006), section 1.4.2 (the angles) and 6.3 (the torques).
    """
    c1, c2, s1, s2, x, y, *w = np.moveaxis(observations, -1, 0)[:8]
    first, second = LINKS
    bend = np.arccos(np.clip((x**2 + y**2 - first**2 - second**2) / (2 * first * second), -1, 1))
    turn = np.arctan2(y, x) - np.arctan2(second * np.sin(bend), first + second * np.cos(bend))
    away = np.stack([turn - np.arctan2(s1, c1), bend - np.arctan2(s2, c2)], -1)
    away[..., 0] = np.angle(np.exp(1j * away[..., 0]))  # the first joint turns all round: the shorter way
    return np.clip(STIFFNESS * away - DAMPING * np.stack(w, -1), -1, 1)


def swim(observations: np.ndarray) -> np.ndarray:
    """Torques that make the swimmer go forward: the first joint is pushed on the way it turns, the second trails it.

    Args:
        observations: Of Swimmer-v5 `(..., 8)`: angle of the tip, of both joints, velocity of the tip along x and y,
            and of the three angles.

    Returns:
        Torques `(..., 2)`, -1 to 1.
    """
    q1, q2, w1 = observations[..., 1], observations[..., 2], observations[..., 6]
    return np.clip(np.stack([np.tanh(DRIVE * w1) - q1, np.tanh(q1) - q2], -1), -1, 1)
