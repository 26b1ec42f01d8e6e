"""What the network computes and keeps grows linearly with the length of the sequence: counted, not timed."""

from __future__ import annotations

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from neurofmx.models.hybrid.config import HybridConfig
from neurofmx.models.hybrid.network import MambaLiquidSpikingNetwork
from neurofmx.models.transformer import Transformer, TransformerConfig

SMALL = {"hidden_dim": 8, "liquid_units": 8, "spiking_units": 8, "backbone_units": 4, "num_layers": 1}
SMALL |= {
    "num_spike_steps": 2,
    "mamba_d_state": 4,
    "num_gate_heads": 2,
    "cross_attn_heads": 2,
    "num_attention_heads": 2,
}
SMALL |= {"cross_attn_window": 4, "temporal_scales": (1, 4)}
EXTRAS = {"mamba_scales": 3, "moe_experts": 3, "use_cross_modal_attention": True, "temporal_attention": True}
VARIANTS = [{"integration_mode": mode} for mode in ("sequential", "parallel", "bidirectional")]
VARIANTS += [{"liquid_backbone": "ltc", "ltc_unfolds": 2}, EXTRAS]


class Written(TorchDispatchMode):
    """Adds up the bytes of all results that are no views, every operation of torch or of ours."""

    def __init__(self):
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, operation, types, arguments=(), named=None):
        result = operation(*arguments, **(named or {}))
        given = {x.untyped_storage().data_ptr() for x in tree_leaves((arguments, named)) if isinstance(x, torch.Tensor)}
        made = [x for x in tree_leaves(result) if isinstance(x, torch.Tensor)]
        self.bytes += sum(x.nbytes for x in made if x.untyped_storage().data_ptr() not in given)
        return result


def costs(model, length):
    """Products of a forward and backward, bytes that the forward writes, and bytes kept for the backward."""
    kept = []
    x = torch.randn(1, length, SMALL["hidden_dim"])
    with FlopCounterMode(display=False) as products:
        with Written() as written, torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.nbytes) or t, same):
            y, _ = model(x)
        y.sum().backward()
    return products.get_total_flops(), written.bytes, sum(kept)


def same(tensor):
    """What is kept as it is."""
    return tensor


def growth(model, shortest):
    """How much each cost grows per token from twice to four times a length, in units of that from once to twice."""
    torch.manual_seed(0)
    first, second, third = (costs(model.eval(), factor * shortest) for factor in (1, 2, 4))
    return [(c - b) / (2 * (b - a)) for a, b, c in zip(first, second, third, strict=True)]


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_every_token_costs_the_same_in_operations_and_memory(changes):
    model = MambaLiquidSpikingNetwork(HybridConfig(**SMALL, **changes, kernels="numba"))
    torch.testing.assert_close(growth(model, 64), [1.0] * 3, rtol=0, atol=0.01)


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_so_it_does_where_every_operation_of_a_recurrence_is_torchs_own_and_counted(changes):
    model = MambaLiquidSpikingNetwork(HybridConfig(**SMALL, **changes, kernels="reference"))
    torch.testing.assert_close(growth(model, 16), [1.0] * 3, rtol=0, atol=0.01)


def test_what_sees_all_earlier_tokens_costs_more_with_each():
    hybrid = MambaLiquidSpikingNetwork(HybridConfig(**(SMALL | {"cross_attn_window": None}), kernels="reference"))
    assert growth(hybrid, 16)[1] > 1.2
    attention = Transformer(TransformerConfig(hidden_dim=8, num_layers=1, num_attention_heads=2))
    with sdpa_kernel(SDPBackend.MATH):  # products of the others are not counted
        assert growth(attention, 64)[0] > 1.2
