"""A whole network whose recurrences a GPU computes, on a GPU or as Python under Triton's interpreter."""

from __future__ import annotations

import pytest
import torch
from tests.kernels.gpu import (
    DEVICE,
    DTYPE,
    assert_near,
    gradients,
    needs_kernels,
    needs_triton,
    run_under_the_interpreter,
    without_gpu,
)

from neurofmx.models.hybrid.config import HybridConfig
from neurofmx.models.hybrid.network import MambaLiquidSpikingNetwork

SMALL = {"hidden_dim": 4, "liquid_units": 3, "spiking_units": 5, "backbone_units": 3, "num_layers": 1}
STEPS = {"num_spike_steps": 2, "mamba_d_state": 2, "num_gate_heads": 2, "use_cross_attention": False, "dropout": 0.0}
NAMES = {"cfc": "triton", "ltc": "lif_readout triton, ltc reference, selective_scan triton"}


def network(kernels, liquid):
    """A small network in the bidirectional mode, the same every time."""
    torch.manual_seed(0)
    config = HybridConfig(**SMALL, **STEPS, liquid_backbone=liquid, kernels=kernels)
    return MambaLiquidSpikingNetwork(config).to(DEVICE, DTYPE)


@needs_kernels
@pytest.mark.parametrize("liquid", NAMES)
def test_a_network_on_a_gpu_is_that_of_the_reference_and_names_what_computed_it(liquid):
    x = torch.randn(2, 3, 4, dtype=DTYPE, device=DEVICE) * 4
    found = []
    for kernels in ("cuda", "reference"):
        model = network(kernels, liquid)
        y, states = model(x)
        end, _ = model(x, states)
        found.append([y, end, model.spike_rate, *gradients([y, end], list(model.parameters()))])
        assert model.kernels == (NAMES[liquid] if kernels == "cuda" else "reference")
    assert found[0][2] > 0
    assert_near(*found)


@without_gpu
@needs_triton
def test_under_the_interpreter():
    run_under_the_interpreter(__file__)
