"""Put cross-modal attention into a network that exists, and keep what it has learnt."""

from __future__ import annotations

from neurofmx.models.hybrid.config import HybridConfig
from neurofmx.models.hybrid.network import MambaLiquidSpikingNetwork


def integrate_cross_modal_attention(model: MambaLiquidSpikingNetwork, num_heads: int = 8) -> MambaLiquidSpikingNetwork:
    """A network with all weights of another, whose liquid paths and spikes look at each other besides.

    It answers as the other one does, until training moves the attention's output weights, which start at zero. In a
    pipeline `model.use_cross_modal_attention` builds the same network from the start.

    Args:
        model: The network; it stays as it is.
        num_heads: Heads of the attention; must divide `liquid_units` and `spiking_units`.

    Returns:
        A network of its own, on the same device, in the same number type and mode; weights that were fixed stay fixed.

    Raises:
        ValueError: If the network has such attention already, the heads do not divide, or its weights are of 8 or 16
            bits.

    Example:
        >>> import torch
        >>> config = HybridConfig(input_dim=3, hidden_dim=16, liquid_units=8, spiking_units=8, num_layers=1)
        >>> model, x = MambaLiquidSpikingNetwork(config).eval(), torch.randn(1, 5, 3)
        >>> torch.equal(integrate_cross_modal_attention(model, 4)(x)[0], model(x)[0])
        True
    """
    if model.config.use_cross_modal_attention:
        raise ValueError("model has cross-modal attention already: its config says use_cross_modal_attention=True")
    wanted = {"use_cross_modal_attention": True, "num_attention_heads": num_heads}
    enhanced = MambaLiquidSpikingNetwork(HybridConfig(**(model.config.model_dump() | wanted)))
    weight = next(model.parameters())
    missing, unknown = enhanced.to(weight.device, weight.dtype).load_state_dict(model.state_dict(), strict=False)
    foreign = [name for name in missing if name.split(".")[2:3] != ["attention"]]  # blocks.<n>.attention.<...>
    if unknown or foreign:
        raise ValueError("model is prepared for inference: put attention into it before, and prepare it afterwards")
    fixed = {name for name, weight in model.named_parameters() if not weight.requires_grad}
    for name, weight in enhanced.named_parameters():
        weight.requires_grad_(name not in fixed)
    return enhanced.train(model.training)
