"""Bits per spike against scipy's Poisson, worked-out cases and properties."""

import numpy as np
import pytest

from neurofmx.benchmark.metrics.bits_per_spike import bits_of, bits_terms, spike_metric_name
from reference import bits_per_spike_naive


def spikes(trials: int = 30, time: int = 20, units: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Rates that vary, and counts drawn from them."""
    rng = np.random.default_rng(1)
    rates = rng.gamma(1.0, 0.6, size=(trials, time, units))
    return rates, rng.poisson(rates).astype(float)


def bits(rates: np.ndarray, counts: np.ndarray) -> float:
    """Of all windows, of one recording."""
    return float(bits_of(bits_terms(counts, [rates], np.zeros(len(counts)))[0].sum(0)))


def test_it_is_the_gain_in_poisson_likelihood() -> None:
    rates, counts = spikes()
    assert bits(rates, counts) == pytest.approx(bits_per_spike_naive(rates, counts), rel=1e-12)
    terms = bits_terms(counts, [rates, 2 * rates], np.zeros(len(counts)))
    assert terms.shape == (2, 30, 2)
    some = np.arange(30) % 3 > 0  # any windows, against the means of all
    both = [bits_of(seed[some].sum(0)) * counts[some].sum() for seed in terms]
    rest = [bits_of(seed[~some].sum(0)) * counts[~some].sum() for seed in terms]
    for k, scale in enumerate((1, 2)):
        whole = bits_per_spike_naive(scale * rates, counts) * counts.sum()
        assert both[k] + rest[k] == pytest.approx(whole, rel=1e-12)


def test_no_rates_do_better_than_the_ones_that_made_the_spikes() -> None:
    rates, counts = spikes(trials=400)
    best = bits(rates, counts)
    assert best > bits(1.2 * rates, counts)
    assert best > bits(rates**0.8, counts)
    assert bits(np.broadcast_to(counts.mean((0, 1)), counts.shape), counts) == pytest.approx(0, abs=1e-12)
    assert bits(rates[::-1], counts) < 0  # rates of other trials are worse than constant ones


def test_one_bin_of_sixteen_tells_four_bits() -> None:
    counts = np.zeros((16, 1, 1))
    counts[3] = 7
    assert bits(counts, counts) == pytest.approx(4, abs=1e-6)


def test_a_silent_unit_and_a_rate_of_zero_do_no_harm() -> None:
    rates, counts = spikes()
    quiet = np.concatenate([counts, np.zeros_like(counts[..., :1])], -1)
    extended = np.concatenate([rates, np.zeros_like(rates[..., :1])], -1)
    assert bits(extended, quiet) == pytest.approx(bits(rates, counts), abs=1e-8)
    assert -40 < bits(np.zeros_like(counts), counts) < -20  # very bad, but finite
    assert np.isnan(bits(rates, 0 * counts))


def test_rates_of_another_shape_are_refused() -> None:
    rates, counts = spikes()
    with pytest.raises(ValueError, match="give one shape"):
        bits(rates[:, :1], counts)


def test_the_name_says_the_width_of_a_bin() -> None:
    assert spike_metric_name("forward_prediction", bin_s=0.005) == "forward_prediction_bits_per_spike_5ms"
    assert spike_metric_name("reconstruction", bin_s=0.0125) == "reconstruction_bits_per_spike_12.5ms"
    with pytest.raises(ValueError, match="wider than 0 s"):
        spike_metric_name("co_smoothing", bin_s=0.0)
