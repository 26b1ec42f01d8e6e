"""What is tracked while a network trains beside the losses: spikes and attention of the validation windows."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from tests.training.test_loop import same, trainer

from neurofmx.layers.attention_meter import AttentionMeter
from neurofmx.layers.spike_meter import SpikeMeter
from neurofmx.models.hybrid.config import HybridConfig
from neurofmx.models.hybrid.network import MambaLiquidSpikingNetwork
from neurofmx.training.curves import write_curves

SIZES = {"hidden_dim": 8, "liquid_units": 8, "spiking_units": 8, "backbone_units": 4, "num_layers": 2}
SIZES |= {"num_spike_steps": 2, "mamba_d_state": 2, "num_gate_heads": 2, "cross_attn_heads": 2, "dropout": 0.0}


def network(**changes):
    """A small hybrid network."""
    torch.manual_seed(0)
    return MambaLiquidSpikingNetwork(HybridConfig(**(SIZES | changes)))


def test_is_what_meters_find_with_the_last_weights_and_changes_no_bit(tmp_path: Path, monkeypatch) -> None:
    training = trainer(tmp_path / "measured", backbone=network(), num_epochs=2)
    fitted = training.fit()
    with SpikeMeter(training.model.backbone) as spikes, AttentionMeter(training.model.backbone) as attention:
        training.validate()
    wanted = {"spike_rate": spikes.rate, "attention_entropy": attention.entropy}
    wanted["population_sparsity"] = sum(block["population_sparsity"] for block in spikes.blocks) / 2
    assert len(fitted.activity) == 2
    assert fitted.activity[-1] == wanted
    assert 0 < wanted["spike_rate"] < 1
    assert 0 < wanted["population_sparsity"] < 1

    @contextmanager
    def nothing(backbone):
        yield {}

    monkeypatch.setattr("neurofmx.training.loop.measured", nothing)
    assert same(trainer(tmp_path / "plain", backbone=network(), num_epochs=2).fit(), fitted)


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({}, ["spike_rate", "population_sparsity", "attention_entropy"]),
        ({"use_cross_attention": False}, ["spike_rate", "population_sparsity"]),
        ({"use_spikes": False}, ["attention_entropy"]),
        (None, []),
    ],
)
def test_curves_have_a_column_for_what_a_network_has(changes, names, tmp_path: Path) -> None:
    backbone = None if changes is None else network(**changes)
    fitted = trainer(tmp_path, backbone=backbone, num_epochs=1).fit()
    assert [*fitted.activity[0]] == names
    write_curves(tmp_path / "curve.csv", [fitted.curve] * 2, [fitted.activity] * 2)
    header, row = (line.split(",") for line in (tmp_path / "curve.csv").read_text().splitlines())
    assert header == ["epoch", "train_loss", "validation_loss", *names]
    assert [float(value) for value in row[3:]] == pytest.approx([*fitted.activity[0].values()], rel=1e-5)
    live = tmp_path / "live/plots/metrics/validation"
    assert {path.stem for path in live.iterdir()} == {"loss", *names}


def test_a_training_that_stopped_early_counts_with_its_last_activity(tmp_path: Path) -> None:
    curves = [[(1, 1.0, 2.0)], [(1, 3.0, 4.0), (2, 5.0, 6.0)]]
    write_curves(tmp_path / "curve.csv", curves, [[{"rate": 0.1}], [{"rate": 0.3}, {"rate": 0.5}]])
    written = (tmp_path / "curve.csv").read_text().splitlines()
    assert written == ["epoch,train_loss,validation_loss,rate", "1,2,3,0.2", "2,3,4,0.3"]
