"""Bins hold what the recording held, and the truth beside them is that of the recording."""

from __future__ import annotations

import numpy as np
import pytest

from neurofmx.datasets.simulated import RATE, TRIAL, Simulated
from neurofmx.known_truth.material import PATCH, STREAMS, TIME, Material, named
from neurofmx.known_truth.sessions import BIN, BINS, halves, in_bins, simulate
from neurofmx.recordings.recording import Recording


@pytest.fixture(scope="module")
def recording() -> Recording:
    """What the same options generate, sample by sample."""
    return Simulated(seed=1, minutes=1, units=6, noise=0.7).generate()[0]


def test_bins_add_up_average_and_take_the_logarithm_of_what_was_recorded(recording: Recording) -> None:
    bins = simulate(seed=1, minutes=1, units=6, noise=0.7).recording
    spikes, cells = halves(6)
    edges = np.arange(0, 60 + 0.5 / BINS, 1 / BINS)
    for column, unit in enumerate(spikes):
        train = recording.event("spikes").of(f"unit-{unit}")
        np.testing.assert_array_equal(bins.signal("spikes").data[:, column], np.histogram(train, edges)[0])
    for name, channels in (("lfp", np.arange(8)), ("eeg", np.arange(16)), ("calcium", cells)):
        raw = recording.signal(name).data[:, channels].astype(float)
        means = [raw[k : k + BIN].mean(0) for k in range(0, len(raw), BIN)]
        np.testing.assert_allclose(bins.signal(name).data, means, rtol=1e-5, atol=1e-5)
    emg = recording.signal("emg").data.astype(float)
    powers = [np.log((emg[k : k + BIN] ** 2).sum(0) / BIN) for k in range(0, len(emg), BIN)]
    np.testing.assert_allclose(bins.signal("emg").data, powers, rtol=1e-5, atol=1e-5)


def test_the_truth_is_that_of_the_recording(recording: Recording) -> None:
    truth = simulate(seed=1, minutes=1, units=6, noise=0.7).truth
    np.testing.assert_allclose(np.cos(truth.heading), np.cos(recording.signal("head_direction").data), atol=1e-9)
    speed = truth.way * 1.5 + truth.wander
    np.testing.assert_allclose(np.diff(truth.heading) * RATE, speed[1:], atol=1e-7)
    spikes, cells = halves(6)
    np.testing.assert_allclose(truth.spiking.rate(truth.heading), recording.signal("rate").data[:, spikes])
    np.testing.assert_allclose(truth.imaged.rate(truth.heading), recording.signal("rate").data[:, cells])
    noise = recording.signal("calcium").data[:, cells] - truth.fluorescence
    np.testing.assert_allclose(noise.std(0), 0.7, rtol=0.03)
    # turning one way for whole trials, and the mean of all spikes that could have been is no spike
    assert all(len(np.unique(truth.way[k : k + 800])) == 1 for k in range(0, len(truth.way), round(TRIAL * RATE)))
    rest = truth.fluorescence - truth.expected_fluorescence
    assert abs(rest.mean()) < 0.3
    assert rest.std() > 0.5


def test_no_unit_is_both_recorded_and_imaged() -> None:
    spikes, cells = halves(7)
    assert sorted([*spikes, *cells]) == list(range(7))


def test_rows_end_where_the_heading_is_asked_for(small: Material) -> None:
    part = small.tested
    for number, session in enumerate(small.sessions):
        mine = part.session == number
        last = part.first[mine] + TIME * BIN - 1
        np.testing.assert_allclose(np.cos(session.truth.heading[last]), np.cos(part.heading[mine]), atol=1e-9)
        np.testing.assert_allclose(np.sin(session.truth.heading[last]), np.sin(part.heading[mine]), atol=1e-9)
        for stream in STREAMS:
            whole = session.recording.signal(stream).data
            for row in np.flatnonzero(mine)[::7]:
                begin = part.first[row] // BIN
                raw = small.raw(stream, part)[row]
                np.testing.assert_array_equal(raw, whole[begin : begin + TIME])
                again = small.in_bins(stream, part.x[stream][[row]], part.session[[row]])[0]
                np.testing.assert_allclose(again, raw, rtol=1e-4, atol=1e-4)


def test_samples_of_bins_are_those_that_were_averaged(small: Material) -> None:
    part = small.tested
    samples = part.samples(np.arange(TIME))
    assert samples.shape == (len(part), TIME, BIN)
    for number, session in enumerate(small.sessions):
        mine = part.session == number
        clean = session.truth.fluorescence[samples[mine]].mean(2)
        np.testing.assert_allclose(small.raw("calcium", part)[mine], clean, atol=6 / np.sqrt(BIN))


def test_training_validation_and_test_rows_share_no_time(small: Material) -> None:
    spans = [
        {(s, f // BIN + k) for s, f in zip(part.session, part.first, strict=True) for k in range(TIME)}
        for part in small.parts
    ]
    assert not spans[0] & spans[2]
    assert not spans[1] & spans[2]
    assert not spans[0] & spans[1]


def test_streams_have_tokens_of_equal_length(small: Material) -> None:
    for stream in STREAMS:
        windows = small.windows[named(stream)]
        assert (windows.patch, windows.x.shape[1], windows.rate) == (PATCH, TIME, BINS)


def test_in_bins_keeps_the_order_of_samples() -> None:
    assert in_bins(np.arange(2 * BIN))[1].tolist() == list(range(BIN, 2 * BIN))
