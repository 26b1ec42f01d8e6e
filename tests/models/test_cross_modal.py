"""Cross-modal attention between liquid path and spikes: put into a network that exists, and what it then adds."""

from __future__ import annotations

import pydantic
import pytest
import torch
from tests.reference import attention_naive

from neurofmx.layers.attention import CrossAttentionModule
from neurofmx.layers.attention_meter import AttentionMeter
from neurofmx.layers.inference import in_precision
from neurofmx.models.cross_modal import integrate_cross_modal_attention
from neurofmx.models.hybrid.block import HybridBlock
from neurofmx.models.hybrid.config import HybridConfig
from neurofmx.models.hybrid.enhanced_block import EnhancedHybridBlock
from neurofmx.models.hybrid.network import MambaLiquidSpikingNetwork

MODES = ("sequential", "parallel", "bidirectional")
SMALL = {"input_dim": 3, "output_dim": 2, "hidden_dim": 8, "liquid_units": 6, "spiking_units": 4, "num_layers": 2}
SMALL |= {"backbone_units": 5, "num_spike_steps": 3, "mamba_d_state": 4, "num_gate_heads": 2, "cross_attn_heads": 2}
SMALL |= {"cross_attn_window": 4, "dropout": 0.0, "attention_dropout": 0.0}


def network(**changes):
    """A small network in float64 with the same seed every time."""
    torch.manual_seed(0)
    return MambaLiquidSpikingNetwork(HybridConfig(**(SMALL | changes))).double()


def data(length=12):
    """Tokens (2, length, 3)."""
    return torch.randn(2, length, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("temporal", [False, True])
@pytest.mark.parametrize("changes", [*({"integration_mode": mode} for mode in MODES), {"use_mamba": False}], ids=str)
def test_a_network_keeps_its_weights_and_answers_to_the_bit(changes, temporal):
    model = network(temporal_attention=temporal, **changes).eval()
    enhanced = integrate_cross_modal_attention(model, num_heads=2)
    assert enhanced.config == HybridConfig(
        **(model.config.model_dump() | {"use_cross_modal_attention": True, "num_attention_heads": 2})
    )
    assert not enhanced.training
    assert all(isinstance(block, EnhancedHybridBlock) for block in enhanced.blocks)
    assert not any(isinstance(block, EnhancedHybridBlock) for block in model.blocks)
    weights = enhanced.state_dict()
    assert all(torch.equal(weights[name], value) for name, value in model.state_dict().items())
    for x in (data(), data(1)):
        found, expected = enhanced(x)[0], model(x)[0]
        assert torch.equal(found, expected)


@pytest.mark.parametrize("mode", MODES)
def test_training_wakes_the_attention_and_the_old_weights_get_the_old_gradients(mode):
    model = network(integration_mode=mode)
    enhanced, x = integrate_cross_modal_attention(model, num_heads=2), data()
    for net in (model, enhanced):
        net(x)[0].square().sum().backward()
    new = dict(enhanced.named_parameters())
    for name, weight in model.named_parameters():
        torch.testing.assert_close(new[name].grad, weight.grad, rtol=1e-9, atol=1e-12)
    before = enhanced(x)[0].detach()
    with torch.no_grad():
        for name, weight in enhanced.named_parameters():
            if ".attention.directions." in name and "integration" not in name and ".output." in name:
                assert weight.grad.abs().max() > 0
                weight -= weight.grad
    assert (enhanced(x)[0] - before).abs().max() > 1e-6


def test_fixed_weights_stay_fixed_and_the_attention_learns():
    model = network(learn_beta=False)
    model.norm.weight.requires_grad_(False)
    enhanced = integrate_cross_modal_attention(model, num_heads=2)
    fixed = {name for name, weight in enhanced.named_parameters() if not weight.requires_grad}
    assert fixed == {name for name, weight in model.named_parameters() if not weight.requires_grad}
    assert len(fixed) == 3
    with pytest.raises(ValueError, match="model is prepared for inference: put attention into it before"):
        integrate_cross_modal_attention(in_precision(network().float(), "int8"), num_heads=2)


def test_a_block_is_the_plain_one_on_what_attention_found():
    torch.manual_seed(0)
    config = HybridConfig(**(SMALL | {"use_cross_modal_attention": True, "num_attention_heads": 2}))
    block = EnhancedHybridBlock(config).double()
    for module in block.attention.modules():
        if isinstance(module, CrossAttentionModule):
            torch.nn.init.normal_(module.output.weight)
    plain, x = HybridBlock(config).double(), torch.randn(1, 9, 8).double()
    plain.load_state_dict(block.state_dict(), strict=False)
    encoded = plain.adapter.read(plain.encoder, plain.norm(x))
    liquid, after = plain.integration.liquid(plain.token_norm(encoded.tokens))
    sees_spikes, sees_liquid = (block.attention.directions[name] for name in ("spike_to_liquid", "liquid_to_spike"))
    enhanced, spikes = looked(sees_spikes, liquid, encoded.readout), looked(sees_liquid, encoded.readout, liquid)
    tokens = plain.token_norm(plain.adapter.projection(spikes))
    wanted, _ = plain.integration.finish(tokens, enhanced, after)
    torch.testing.assert_close(block(x)[0], x + wanted, rtol=1e-10, atol=1e-10)


def looked(module, query, context):
    """Attention of a sample by a loop."""
    q, (k, v) = query @ module.query.weight.T, (context @ module.key_value.weight.T).chunk(2, -1)
    size = q.shape[-1] // module.heads
    parts = [slice(h * size, (h + 1) * size) for h in range(module.heads)]
    found = torch.cat([attention_naive(q[0, :, p], k[0, :, p], v[0, :, p], module.window) for p in parts], -1)
    return query + found @ module.output.weight.T + module.output.bias


def test_a_meter_measures_every_attention_of_a_network():
    model = network(use_cross_modal_attention=True, num_attention_heads=2)
    with AttentionMeter(model) as meter:
        model(data())
    assert len(meter.entropies) == 8  # two blocks, with Mamba and with spikes, both ways
    assert 0 < meter.entropy < torch.tensor(4.0).log()


def test_what_can_not_look_is_refused():
    model = network()
    with pytest.raises(pydantic.ValidationError, match="num_attention_heads=4 must divide liquid_units=6"):
        integrate_cross_modal_attention(model, num_heads=4)
    with pytest.raises(pydantic.ValidationError, match="num_attention_heads=3 must divide spiking_units=4"):
        integrate_cross_modal_attention(model, num_heads=3)
    with pytest.raises(ValueError, match="model has cross-modal attention already"):
        integrate_cross_modal_attention(integrate_cross_modal_attention(model, 2), 2)
    HybridConfig(**(SMALL | {"use_cross_modal_attention": True, "num_attention_heads": 3, "use_mamba": False}))
    with pytest.raises(pydantic.ValidationError, match="leaves use_cross_modal_attention without effect"):
        network(integration_mode="sequential", attention_type="liquid_to_mamba", use_cross_modal_attention=True)
    with pytest.raises(pydantic.ValidationError, match=r"temporal_scales=\[2, 2\] names a scale twice"):
        network(temporal_scales=(2, 2))
