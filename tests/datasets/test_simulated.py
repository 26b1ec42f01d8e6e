"""The simulated session: its data follow from its truth, and its truth from its options."""

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.signal import lfilter

from neurofmx.datasets.simulated import CALCIUM_DECAY, RATE, Simulated
from neurofmx.recordings.recording import Recording


@pytest.fixture(scope="module")
def session() -> Recording:
    return Simulated(minutes=10, units=6).generate()[0]


def test_the_seed_alone_decides(session: Recording) -> None:
    again, other = Simulated(minutes=10, units=6).generate()[0], Simulated(minutes=10, units=6, seed=1).generate()[0]
    for name, signal in session.signals.items():
        np.testing.assert_array_equal(again.signal(name).data, signal.data)
        assert (other.signal(name).data != signal.data).any()


def test_more_units_leave_the_latents_alone(session: Recording) -> None:
    more = Simulated(minutes=10, units=9).generate()[0]
    for name in ("head_direction", "latent", "emg"):
        np.testing.assert_array_equal(more.signal(name).data, session.signal(name).data)


def test_spike_counts_follow_the_tuning(session: Recording) -> None:
    heading = session.signal("head_direction").data
    for unit, name in enumerate(session.event("spikes").names):
        preferred, sharp, peak = (session.array(n)[unit] for n in ("preferred_direction", "concentration", "peak_rate"))
        expected = (peak * np.exp(sharp * (np.cos(heading - preferred) - 1))).sum() / RATE
        found = len(session.event("spikes").of(name))
        assert abs(found - expected) < 4 * np.sqrt(expected)  # Poisson: the deviation is the root of the mean


def test_the_mean_direction_of_spikes_is_the_preferred_one(session: Recording) -> None:
    heading = session.signal("head_direction").data
    occupancy = np.histogram(heading, 36, (0, 2 * np.pi))[0]
    centres = (np.arange(36) + 0.5) * 2 * np.pi / 36
    for unit, name in enumerate(session.event("spikes").names):
        at = heading[(session.event("spikes").of(name) * RATE).astype(int)]
        tuning = np.histogram(at, 36, (0, 2 * np.pi))[0] / occupancy
        off = np.angle((tuning * np.exp(1j * centres)).sum() * np.exp(-1j * session.array("preferred_direction")[unit]))
        assert abs(off) < np.deg2rad(5)


def test_regression_finds_the_coupling(session: Recording) -> None:
    latent = session.signal("latent").data
    found = np.linalg.lstsq(latent[:-1], latent[1:], rcond=None)[0].T
    np.testing.assert_allclose(found, session.array("coupling"), atol=0.01)


@pytest.mark.parametrize("name", ["lfp", "eeg"])
def test_field_potentials_are_the_mixture_plus_noise(session: Recording, name: str) -> None:
    heading, latent = session.signal("head_direction").data, session.signal("latent").data
    state = np.column_stack([latent, np.cos(heading), np.sin(heading)])
    rest = session.signal(name).data - state @ session.array(f"{name}_mixing").T
    np.testing.assert_allclose(rest.std(axis=0), 0.5, rtol=0.02)
    silent = Simulated(minutes=1, noise=0).generate()[0]
    heading, latent = silent.signal("head_direction").data, silent.signal("latent").data
    state = np.column_stack([latent, np.cos(heading), np.sin(heading)])
    np.testing.assert_allclose(silent.signal(name).data, state @ silent.array(f"{name}_mixing").T, atol=1e-5)


def test_calcium_is_the_decaying_sum_of_the_spikes() -> None:
    silent = Simulated(minutes=0.5, units=2, noise=0).generate()[0]
    calcium = silent.signal("calcium")
    spikes = silent.event("spikes")
    edges = np.arange(len(calcium.data) + 1) / RATE
    for unit, name in enumerate(spikes.names):
        counts = np.histogram(spikes.of(name), edges)[0]
        lag = np.arange(len(counts)) / RATE
        kernel = np.exp(-lag / CALCIUM_DECAY)
        expected = np.convolve(counts, kernel)[: len(counts)]
        np.testing.assert_allclose(calcium.data[:, unit], expected, rtol=1e-4, atol=1e-5)


def test_the_turning_direction_is_the_label(session: Recording) -> None:
    trials, heading = session.require_trials(), np.unwrap(session.signal("head_direction").data)
    begin, end = (trials.start * RATE).astype(int), (trials.stop * RATE).astype(int) - 1
    turned = heading[end] - heading[begin]
    agree = (turned > 0) == (trials.column("label") == "counterclockwise")
    assert agree.mean() > 0.99


def test_the_envelope_of_the_muscle_follows_the_first_latent(session: Recording) -> None:
    loudness = np.log(np.abs(session.signal("emg").data)).mean(axis=1)
    smooth = [lfilter([0.05], [1, -0.95], x) for x in (loudness, session.signal("latent").data[:, 0])]
    assert np.corrcoef(*smooth)[0, 1] > 0.5


@pytest.mark.parametrize("options", [{"minutes": 0}, {"units": 0}, {"noise": -1}, {"seed": -1}])
def test_impossible_options_are_refused(options: dict) -> None:
    with pytest.raises(ValidationError, match=next(iter(options))):
        Simulated(**options)
