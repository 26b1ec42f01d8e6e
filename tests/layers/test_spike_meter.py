"""The spike meter: the mean over windows, whatever the batches."""

import pytest
import torch

from neurofmx.layers.spike_meter import SpikeMeter
from neurofmx.models.hybrid.config import HybridConfig
from neurofmx.models.hybrid.network import MambaLiquidSpikingNetwork


def test_batches_do_not_matter() -> None:
    torch.manual_seed(0)
    sizes = {"hidden_dim": 16, "liquid_units": 8, "spiking_units": 8, "num_layers": 1, "num_spike_steps": 4}
    net = MambaLiquidSpikingNetwork(HybridConfig(**sizes)).eval()
    x = torch.randn(30, 5, 16) * torch.linspace(0, 5, 30)[:, None, None]
    with SpikeMeter(net) as whole:
        net(x)
    spikes = float(net.spike_counts.sum())
    with SpikeMeter(net) as pieces:
        for piece in x.split([20, 1, 9]):
            net(piece)
    assert whole.rate == pytest.approx(spikes / (30 * 5 * sizes["num_spike_steps"] * sizes["spiking_units"]))
    assert pieces.rate == pytest.approx(whole.rate, rel=1e-5)
    for ours, theirs in zip(pieces.blocks, whole.blocks, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-5)
    assert whole.blocks[0]["rate"] == pytest.approx(whole.rate)
    assert float(net.spike_rate) != pytest.approx(whole.rate, rel=1e-3), "the last piece alone is not the mean"


def test_a_network_without_spikes_has_no_rate() -> None:
    with SpikeMeter(net := torch.nn.Linear(2, 2)) as meter:
        net(torch.zeros(3, 2))
    assert meter.rate is None
    assert meter.blocks == []
