"""Bits per spike against scipy's Poisson, worked-out cases and properties."""

import numpy as np
import pytest
from scipy.stats import poisson

from neurofmx.benchmark.metrics.bits_per_spike import bits_per_spike, spike_metric_name


def spikes(trials: int = 30, time: int = 20, units: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Rates that vary, and counts drawn from them."""
    rng = np.random.default_rng(1)
    rates = rng.gamma(1.0, 0.6, size=(trials, time, units))
    return rates, rng.poisson(rates).astype(float)


def test_it_is_the_gain_in_poisson_likelihood() -> None:
    rates, counts = spikes()
    null = np.broadcast_to(counts.mean((0, 1)), counts.shape)
    gain = poisson.logpmf(counts, rates).sum() - poisson.logpmf(counts, null).sum()
    assert bits_per_spike(rates, counts) == pytest.approx(gain / counts.sum() / np.log(2), rel=1e-12)


def test_it_may_be_held_against_the_training_rates() -> None:
    rates, counts = spikes()
    null = np.array([0.3, 0.5, 0.6, 0.7, 0.9])
    gain = poisson.logpmf(counts, rates).sum() - poisson.logpmf(counts, np.broadcast_to(null, counts.shape)).sum()
    assert bits_per_spike(rates, counts, null=null) == pytest.approx(gain / counts.sum() / np.log(2), rel=1e-12)


def test_no_rates_do_better_than_the_ones_that_made_the_spikes() -> None:
    rates, counts = spikes(trials=400)
    best = bits_per_spike(rates, counts)
    assert best > bits_per_spike(1.2 * rates, counts)
    assert best > bits_per_spike(rates**0.8, counts)
    assert bits_per_spike(np.broadcast_to(counts.mean((0, 1)), counts.shape), counts) == pytest.approx(0, abs=1e-12)
    assert bits_per_spike(rates[::-1], counts) < 0  # rates of other trials are worse than constant ones


def test_one_bin_of_sixteen_tells_four_bits() -> None:
    counts = np.zeros((16, 1))
    counts[3] = 7
    assert bits_per_spike(counts, counts) == pytest.approx(4, abs=1e-6)


def test_what_is_masked_is_not_looked_at() -> None:
    rates, counts = spikes()
    mask = np.random.default_rng(2).random(counts.shape) > 0.3
    expected = bits_per_spike(rates, counts, mask=mask)
    assert bits_per_spike(np.where(mask, rates, np.nan), np.where(mask, counts, np.nan), mask=mask) == expected
    null = (counts * mask).sum((0, 1)) / mask.sum((0, 1))
    gain = (poisson.logpmf(counts, rates) - poisson.logpmf(counts, np.broadcast_to(null, counts.shape)))[mask].sum()
    assert expected == pytest.approx(gain / counts[mask].sum() / np.log(2), rel=1e-12)


def test_a_silent_unit_and_a_rate_of_zero_do_no_harm() -> None:
    rates, counts = spikes()
    quiet = np.concatenate([counts, np.zeros_like(counts[..., :1])], -1)
    extended = np.concatenate([rates, np.zeros_like(rates[..., :1])], -1)
    assert bits_per_spike(extended, quiet) == pytest.approx(bits_per_spike(rates, counts), abs=1e-8)
    assert -40 < bits_per_spike(np.zeros_like(counts), counts) < -20  # very bad, but finite


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r, k: (r[:2], k), "shapes differ"),
        (lambda r, k: (-r, k), "rates holds"),
        (lambda r, k: (r, np.where(k > 2, np.nan, k)), "counts holds"),
        (lambda r, k: (r, k + 0.5), "fractions"),
        (lambda r, k: (r, 0 * k), "no spike"),
    ],
)
def test_wrong_input_is_refused(change, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bits_per_spike(*change(*spikes()))


def test_the_name_says_the_width_of_a_bin() -> None:
    assert spike_metric_name("forward_prediction", bin_s=0.005) == "forward_prediction_bits_per_spike_5ms"
    assert spike_metric_name("reconstruction", bin_s=0.0125) == "reconstruction_bits_per_spike_12.5ms"
    with pytest.raises(ValueError, match="wider than 0 s"):
        spike_metric_name("co_smoothing", bin_s=0.0)
