"""Simulated sessions that several tests look at."""

import pytest

from neurofmx.known_truth.material import Material, material
from neurofmx.known_truth.sessions import Session, simulate


@pytest.fixture(scope="session")
def long() -> Session:
    """A session long enough for statistics."""
    return simulate(seed=3, minutes=20, units=12, noise=1.0)


@pytest.fixture(scope="session")
def small() -> Material:
    """Rows of two short sessions."""
    return material([simulate(seed=seed, minutes=1.5, units=8, noise=1.0) for seed in (0, 1)])
