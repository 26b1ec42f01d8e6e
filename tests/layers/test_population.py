"""Population coding against closed forms, the Fisher information, and what must change nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from neurofmx.layers.population_coding import PopulationCoding
from neurofmx.layers.population_decoder import PopulationDecoder, PopulationMean
from neurofmx.layers.population_encoder import PopulationSpikingEncoder
from neurofmx.layers.spike_code import SCHEMES, first_spikes
from neurofmx.layers.spike_encoder import SpikeEncoder
from neurofmx.layers.spike_to_mamba import SpikeToMambaAdapter
from neurofmx.layers.threshold_distributions import THRESHOLDS, threshold_factors

FEW = settings(max_examples=8, deadline=None, derandomize=True)


# --- thresholds ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [2, 5, 7])
def test_thresholds_are_those_of_numpy_and_scipy(size):
    centres = (np.arange(size) + 0.5) / size
    wanted = {
        "uniform": np.linspace(0.6, 1.4, size),
        "logarithmic": np.geomspace(0.6, 1.4, size),
        "gaussian": 1 + 0.4 * norm.ppf(centres) / norm.ppf(centres[-1]),
    }
    assert wanted.keys() == THRESHOLDS.keys()
    for name, values in wanted.items():
        np.testing.assert_allclose(threshold_factors(name, size, spread=0.4).numpy(), values, rtol=1e-12)


@pytest.mark.parametrize("name", THRESHOLDS)
def test_one_neuron_or_no_spread_has_the_threshold_itself(name):
    assert threshold_factors(name, 1).tolist() == [1.0]
    assert threshold_factors(name, 4, spread=0.0).tolist() == [1.0] * 4


def test_wrong_populations_are_refused():
    with pytest.raises(ValueError, match="unknown threshold_distribution 'gauss'; did you mean 'gaussian'"):
        threshold_factors("gauss", 5)
    with pytest.raises(ValueError, match="population_size must be 1 neuron or more, got 0"):
        PopulationCoding(2, 3, 0)
    with pytest.raises(ValueError, match=r"spread must be 0 or more and below 1, got 1\.0"):
        threshold_factors("uniform", 5, spread=1.0)
    with pytest.raises(ValueError, match="unknown encoding_scheme 'rates'; did you mean 'rate'"):
        PopulationDecoder(2, 3, "rates")
    with pytest.raises(ValueError, match="weights must name 4 steps"):
        PopulationSpikingEncoder(2, 3, 4, encoding_scheme="temporal").readout(
            torch.zeros(1, 2, 2), weights=[1.0], carry=0.0
        )


# --- what a spike counts for --------------------------------------------------------------------------------------


def naive_values(spikes, scheme):
    """Values of trains (S,) of one neuron, counted by hand."""
    steps, fired = len(spikes), [t for t, s in enumerate(spikes) if s]
    rate, early = len(fired) / steps, (steps - fired[0]) / steps if fired else 0.0
    return {"rate": rate, "temporal": early, "hybrid": (rate + early) / 2}[scheme]


@pytest.mark.parametrize("scheme", SCHEMES)
@given(trains=st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=1, max_size=5))
@FEW
def test_decoder_is_the_mean_of_values_counted_by_hand(scheme, trains):
    spikes = torch.tensor(trains, dtype=torch.float64).t()
    decoder = PopulationDecoder(1, len(trains), scheme).double()
    wanted = sum(naive_values(train, scheme) for train in trains) / len(trains)
    assert decoder(spikes).item() == pytest.approx(wanted, abs=1e-12)


def test_gradient_of_a_first_spike_is_the_difference_that_a_spike_makes():
    """The value is linear in each spike, so its gradient is the value with that spike less the value without."""
    worth = SCHEMES["temporal"].worth
    for number in range(2**5):
        bits = torch.tensor([number >> t & 1 for t in range(5)], dtype=torch.float64)
        train = bits.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(worth(train[:, None]).sum(), train)
        for t in range(5):
            without, having = bits.clone(), bits.clone()
            without[t], having[t] = 0.0, 1.0
            difference = worth(having[:, None]).sum() - worth(without[:, None]).sum()
            assert gradient[t].item() == difference.item()


def test_only_the_first_spike_is_sent_in_the_temporal_scheme():
    spikes = torch.tensor([[0.0, 1.0, 0.0], [1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    assert first_spikes(spikes).tolist() == [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]


# --- one value, decoded -------------------------------------------------------------------------------------------


def coding(size, scheme="rate", *, steps=400, distribution="uniform", spread=0.9, **neurons):
    """One value, whose current is the value itself."""
    code = PopulationCoding(1, 1, size, steps, distribution, scheme, threshold_spread=spread, **neurons).double()
    torch.nn.init.ones_(code.current.weight)
    torch.nn.init.zeros_(code.current.bias)
    return code


def steps_to_threshold(current, beta, threshold):
    """From `u[n] = I (1 - beta^n) / (1 - beta) > theta`; none if the potential never gets there."""
    reached = 1 - threshold * (1 - beta) / current
    return math.ceil(math.log(reached) / math.log(beta)) if reached > 0 else None


@pytest.mark.parametrize("current", [0.03, 0.0531, 0.11, 0.4])
def test_rates_latencies_and_sparsity_are_those_of_the_closed_form(current):
    beta, steps, size = 0.95, 100, 5
    factors = threshold_factors("uniform", size, spread=0.9).tolist()
    periods = [steps_to_threshold(current, beta, theta) for theta in factors]
    rates = [steps // period / steps if period else 0.0 for period in periods]
    early = [(steps - period + 1) / steps if period and period <= steps else 0.0 for period in periods]
    wanted = {"rate": rates, "temporal": early, "hybrid": [(r + e) / 2 for r, e in zip(rates, early, strict=True)]}
    for scheme, values in wanted.items():
        code = coding(size, scheme, steps=steps, beta=beta, reset="zero")
        value, found = code(torch.tensor([[current]], dtype=torch.float64))
        assert value.item() == pytest.approx(sum(values) / size, abs=1e-9)
        torch.testing.assert_close(found.rates[:, 0].tolist(), rates, atol=1e-9, rtol=0)
        assert found.sparsity.item() == pytest.approx(1 - sum(rates) / size, abs=1e-9)
        fired = [period for period in periods if period and period <= steps]
        assert found.first_spike_time.item() == pytest.approx(sum(fired) / len(fired), abs=1e-9)


def test_a_silent_population_has_no_first_spike():
    _, found = coding(3)(torch.zeros(4, 1).double())
    assert found.sparsity == 1.0
    assert found.first_spike_time.isnan()


@pytest.mark.parametrize("size", [2, 5, 8])
def test_an_ensemble_of_thresholds_decodes_within_half_a_quantisation_step(size):
    """The neurons that fire at all are those whose threshold the steady potential exceeds: a thermometer."""
    beta, spread = 0.9, 0.9
    code = coding(size, beta=beta, spread=spread)
    potential = torch.linspace(1 - spread, 1 + spread, 997, dtype=torch.float64)[1:-1, None]
    fired = (code(potential * (1 - beta))[1].rates > 0).sum()  # of the strongest, at least
    assert fired >= size - 1
    firing = (code.encode(potential * (1 - beta)).sum(-2) > 0).sum(-1).double()
    step = 2 * spread / (size - 1)
    decoded = 1 - spread + step * (firing - 0.5)
    assert (decoded - potential[:, 0]).abs().max() <= step / 2 * 1.01  # what the potential lacks after 400 steps


def test_error_of_the_decoded_value_falls_with_the_size_of_the_population():
    """Without leak a neuron's count is the floor of charge over threshold, so `theta count` is off by up to `theta`.

    Thresholds that differ make these errors independent: the deviation of their mean falls as one over the root of
    the population size, that of neurons that agree stays.
    """
    steps, inputs = 20, torch.linspace(0.3, 0.5, 4001, dtype=torch.float64)[:, None]

    def deviation(size, spread):
        code = coding(size, steps=steps, spread=spread, beta=1 - 1e-12)
        counts = code.encode(inputs).sum(-2)
        decoded = ((counts + 0.5) * code.neurons.threshold).mean(-1) / steps
        return (decoded - inputs[:, 0]).square().mean().sqrt().item()

    one, few, many = (deviation(size, 0.5) for size in (1, 4, 64))
    assert one == pytest.approx(1 / steps / math.sqrt(12), rel=0.05)  # of a uniform error as wide as a step
    assert few < 0.62 * one
    assert many < 0.25 * one
    assert deviation(64, 0.0) == pytest.approx(one, rel=1e-6)


def test_noisy_population_keeps_to_the_fisher_information_bound():
    """One step of neurons with noise in their currents: each fires with the probability `Phi((v - theta) / sigma)`.

    The variance of the mean, over the square of its slope, has a closed form. No unbiased decoder is better than one
    over the Fisher information, and the mean comes near it and halves its variance with twice the neurons.
    """
    v, sigma, trials = 1.1, 0.5, 40_000
    generator, found = torch.Generator().manual_seed(0), {}
    for size in (4, 8, 16):
        code = coding(size, steps=1, spread=0.5, beta=1 - 1e-12)
        noise = sigma * torch.randn(trials, 1, size, generator=generator, dtype=torch.float64)
        spikes, _, _ = code.neurons(v + noise)
        decoded = code.decoder(spikes[:, 0])[:, 0]
        distance = (v - threshold_factors("uniform", size).numpy()) / sigma
        chance, slope = norm.cdf(distance), norm.pdf(distance) / sigma
        bound = 1 / (slope**2 / (chance * (1 - chance))).sum()
        wanted = (chance * (1 - chance)).sum() / slope.sum() ** 2
        found[size] = decoded.var().item() / slope.mean() ** 2
        assert decoded.mean().item() == pytest.approx(chance.mean(), abs=5e-3)
        assert found[size] == pytest.approx(wanted, rel=0.04)  # four deviations of a variance of so many trials
        assert bound <= wanted <= 1.15 * bound
    assert found[4] / found[16] == pytest.approx(4, rel=0.15)


# --- the encoder --------------------------------------------------------------------------------------------------


def encoder(**changes):
    """A small encoder in float64 that is the same every time, with uneven means."""
    torch.manual_seed(0)
    made = PopulationSpikingEncoder(**({"input_dim": 3, "spike_units": 4, "num_steps": 5} | changes)).double()
    torch.nn.init.normal_(made.mean.logits)
    return made


def tokens(length=6):
    """Tokens (2, length, 3)."""
    return 2 * torch.randn(2, length, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("path", ["reference", "numba"])
def test_population_is_a_weighted_mean_of_single_encoders(path):
    """Each neuron of all populations is a plain encoder with that neuron's threshold."""
    made, x = encoder(path=path), tokens()
    spikes, potentials, state = made(x)
    weights, wanted, ends = made.mean.logits.softmax(0), 0.0, []
    for p in range(5):
        single = SpikeEncoder(3, 4, num_spike_steps=5, path="reference").double()
        single.current = made.current
        single.neurons.threshold_raw.data = made.neurons.threshold_raw.unflatten(0, (5, 4))[p].detach()
        outputs = single(x)
        wanted = wanted + weights[p] * torch.stack(outputs[:2])
        ends.append(outputs[2])
    torch.testing.assert_close(torch.stack([spikes, potentials]), wanted, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(state, torch.cat(ends, 1))


@pytest.mark.parametrize("distribution", THRESHOLDS)
def test_thresholds_start_where_the_distribution_says(distribution):
    made = PopulationSpikingEncoder(3, 4, threshold=1.3, threshold_distribution=distribution)
    wanted = 1.3 * threshold_factors(distribution, 5).float()
    torch.testing.assert_close(made.threshold.unflatten(0, (5, 4)), wanted[:, None].expand(5, 4))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_order_of_a_populations_neurons_does_not_matter(scheme):
    made, moved, x = encoder(encoding_scheme=scheme), encoder(encoding_scheme=scheme), tokens()
    order = torch.tensor([3, 0, 4, 1, 2])
    with torch.no_grad():
        for name in ("beta_logit", "threshold_raw"):
            values = getattr(made.neurons, name).unflatten(0, (5, 4))
            getattr(moved.neurons, name).copy_(values[order].flatten())
        moved.mean.logits.copy_(made.mean.logits[order])
    torch.testing.assert_close(moved(x)[:2], made(x)[:2], rtol=1e-12, atol=1e-12)
    reading = {"weights": [0.1, 0.5, 0.2, 0.3, 0.4], "carry": 0.6}
    torch.testing.assert_close(moved.readout(x, **reading)[:2], made.readout(x, **reading)[:2], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("method", ["rate", "temporal"])
@given(cuts=st.lists(st.integers(1, 4), min_size=1, max_size=5))
@FEW
def test_chunks_equal_one_pass(method, scheme, cuts):
    made, x = encoder(encoding_scheme=scheme), tokens(sum(cuts))
    adapter = SpikeToMambaAdapter(4, 2, method=method, tau=6.0).double()
    whole, membrane, trace, parts = adapter.read(made, x), None, None, []
    for chunk in x.split(cuts, 1):
        y, membrane, trace, *_ = adapter.read(made, chunk, membrane, trace)
        parts.append(y)
    found = torch.cat(parts, 1), membrane, trace
    torch.testing.assert_close(found, tuple(whole[:3]), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("method", ["rate", "temporal", "potential"])
@pytest.mark.parametrize("masked", [False, True])
def test_reading_at_once_equals_encoding_and_reading(method, scheme, masked):
    made, x = encoder(encoding_scheme=scheme, path="numba"), tokens().requires_grad_()
    adapter = SpikeToMambaAdapter(4, 2, method=method, tau=6.0).double()
    membrane, trace = torch.randn(2, 20).double(), torch.randn(2, 4).double()
    mask = torch.tensor([[True, True, False, True, False, True]] * 2) if masked else None
    found = adapter.read(made, x, membrane, trace, mask=mask)
    if found.trace.shape[1] == 20:  # of every neuron, so that a stream rounds as one pass does
        found = found._replace(trace=made.mean(found.trace))
    spikes, potentials, last = made(x, membrane, mask=mask)
    read, end = adapter(spikes, potentials, trace, mask=mask)
    torch.testing.assert_close(tuple(found[:3]), (read, last, end), rtol=1e-12, atol=1e-12)
    leaves = [x, *made.parameters()]
    at_once, apart = (
        torch.autograd.grad(y.square().sum() + m.sum(), leaves, materialize_grads=True)
        for y, m in ((found.tokens, found.membrane), (read, last))
    )
    torch.testing.assert_close(at_once, apart, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_rate_adapter_reads_what_the_decoder_decodes(scheme):
    made, x = encoder(encoding_scheme=scheme), tokens()
    spikes, _, _ = made.neurons(made.mean.shared(made.current(x)))
    decoder = PopulationDecoder(4, 5, scheme).double()
    decoder.mean = made.mean
    traces = made.readout(x, weights=[0.2] * 5, carry=0.0).traces
    torch.testing.assert_close(traces, decoder(spikes))
    assert isinstance(made.decoder, PopulationDecoder)
    torch.testing.assert_close(made.decoder(spikes), decoder(spikes), rtol=0, atol=0)
    torch.testing.assert_close(made.decoder.each_step(spikes).mean(-2), decoder(spikes))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_token_from_rest_is_the_code_of_its_value(scheme):
    """What `PopulationCoding` says of an input, the network reads from the first token of a sequence."""
    made, x = encoder(encoding_scheme=scheme), tokens()
    code = PopulationCoding(3, 4, 5, 5, encoding_scheme=scheme).double()
    code.load_state_dict(made.state_dict())
    value, _ = code(x[:, 0])
    traces = made.readout(x, weights=[0.2] * 5, carry=0.0).traces
    torch.testing.assert_close(traces[:, 0], value, rtol=1e-12, atol=1e-12)


def test_counts_are_of_the_spikes_that_are_sent():
    reading = {"weights": [0.2] * 5, "carry": 0.0}
    counts = {scheme: encoder(encoding_scheme=scheme).readout(tokens(), **reading).counts for scheme in SCHEMES}
    assert torch.equal(counts["rate"], counts["hybrid"])
    assert counts["temporal"].max() <= 6  # one a token
    assert counts["temporal"].sum() < counts["rate"].sum()
    assert torch.equal(counts["temporal"] > 0, counts["rate"] > 0)


def test_a_mean_of_equals_is_exact_and_weights_are_learnt():
    mean, x = PopulationMean(3, 5), torch.rand(7, 3)
    assert torch.equal(mean(mean.shared(x)), x)
    apart = torch.rand(7, 15)
    torch.testing.assert_close(mean(apart), apart.unflatten(-1, (5, 3)).mean(1))
    torch.nn.init.normal_(mean.logits)
    torch.testing.assert_close(mean(apart), (apart.unflatten(-1, (5, 3)) * mean.weights).sum(1))
    assert torch.equal(mean(mean.shared(x)), x)
    mean(apart).square().sum().backward()
    assert mean.logits.grad.abs().min() > 0
