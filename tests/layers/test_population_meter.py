"""What populations do in a network that answers: counted by hand, whatever the batches, and nothing else changed."""

from __future__ import annotations

import pytest
import torch

from neurofmx.layers import population_meter
from neurofmx.layers.population_meter import PopulationMeter
from neurofmx.layers.population_statistics import PopulationCounts
from neurofmx.layers.spike_meter import SpikeMeter
from neurofmx.models.hybrid.config import HybridConfig
from neurofmx.models.hybrid.network import MambaLiquidSpikingNetwork

SIZES = {"hidden_dim": 8, "liquid_units": 8, "spiking_units": 4, "num_layers": 2, "num_spike_steps": 5}
SCHEMES = pytest.mark.parametrize("scheme", ["rate", "temporal", "hybrid"])


def network(**changes):
    """A small network with populations, and tokens that make it spike."""
    torch.manual_seed(0)
    config = {"use_population_coding": True, "population_size": 3, "spike_to_mamba_method": "rate"} | SIZES | changes
    return MambaLiquidSpikingNetwork(HybridConfig(**config)).eval(), 2 * torch.randn(6, 7, 8)


def written_down(model, x):
    """Spikes (B, L, S, N) of each block, from the encoders' own first two lines."""
    seen = []
    for block in model.blocks:
        encoder = block.encoder

        def note(module, inputs, current, encoder=encoder):
            seen.append(encoder.neurons(encoder.mean.shared(current))[0])

        handle = encoder.current.register_forward_hook(note)
        model(x)
        handle.remove()
    return seen


@SCHEMES
@torch.no_grad()
def test_rates_and_first_spikes_are_those_counted_by_hand(scheme):
    model, x = network(encoding_scheme=scheme)
    with SpikeMeter(model) as spikes, PopulationMeter(model) as meter:
        model(x)
    blocks = meter.beside(spikes.blocks)
    for block, known, fired, counts in zip(
        blocks, spikes.blocks, written_down(model, x), model.spike_counts, strict=True
    ):
        times = [1 + train.nonzero()[0].item() for train in fired.transpose(2, 3).reshape(-1, 5) if train.any()]
        assert block["first_spike_time"] == pytest.approx(sum(times) / len(times))
        wanted = counts.double().mean(0).view(3, 4) / (7 * 5)  # those that were sent, as the network counts them
        torch.testing.assert_close(torch.tensor(block["neuron_rates"], dtype=torch.float64), wanted)
        assert 1 - wanted.mean().item() == pytest.approx(block["sparsity"], abs=1e-6)
        assert {name: block[name] for name in known} == known
    assert meter.statistics[0].sparsity.item() == pytest.approx(blocks[0]["sparsity"], abs=1e-6)


@SCHEMES
@torch.no_grad()
def test_neither_batches_nor_pieces_matter_and_the_answers_keep_their_bits(scheme, monkeypatch):
    model, x = network(encoding_scheme=scheme, threshold_adaptation=0.5)
    wanted = model(x)[0]
    with PopulationMeter(model) as whole:
        assert torch.equal(model(x)[0], wanted)
    monkeypatch.setattr(population_meter, "_NUMBERS", 1)
    with PopulationMeter(model) as pieces:
        for some in x.split([1, 3, 2]):
            _, state = model(some[:, :3])
            model(some[:, 3:], state)
    for ours, theirs in zip(pieces.statistics, whole.statistics, strict=True):
        torch.testing.assert_close(ours, theirs)
    assert all(block.encoder.watch is None for block in model.blocks)


@torch.no_grad()
def test_padding_is_not_counted():
    model, x = network()
    encoder = model.blocks[0].encoder
    mask = torch.arange(7) < torch.tensor([[4]] * 6)
    with PopulationMeter(torch.nn.ModuleList([encoder])) as padded:
        encoder(x, mask=mask)
    with PopulationMeter(torch.nn.ModuleList([encoder])) as short:
        encoder(x[:, :4])
    torch.testing.assert_close(padded.statistics, short.statistics)


@torch.no_grad()
def test_a_network_that_stays_silent_has_no_first_spike():
    model, x = network(spike_threshold=1e6)
    with SpikeMeter(model) as spikes, PopulationMeter(model) as meter:
        model(x)
    block = meter.beside(spikes.blocks)[0]
    assert block["first_spike_time"] is None
    assert block["neuron_rates"] == [[0.0] * 4] * 3


@torch.no_grad()
def test_without_populations_there_is_nothing_to_say():
    model, x = network(use_population_coding=False)
    with SpikeMeter(model) as spikes, PopulationMeter(model) as meter:
        model(x)
    assert meter.statistics == []
    assert meter.beside(spikes.blocks) == spikes.blocks


def test_statistics_of_nothing_are_refused():
    with pytest.raises(RuntimeError, match="no statistics of no spikes"):
        _ = PopulationCounts(3).statistics
