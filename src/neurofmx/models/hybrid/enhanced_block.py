"""A hybrid block whose liquid path and spikes look at each other."""

from __future__ import annotations

from torch import Tensor, nn

from neurofmx.layers.attention import CrossAttentionModule, CrossModalState
from neurofmx.layers.spike_to_mamba import Encoded
from neurofmx.models.hybrid.block import HybridBlock, PathState
from neurofmx.models.hybrid.block_parts import cross_attention
from neurofmx.models.hybrid.config import HybridConfig
from neurofmx.models.hybrid.integration import DIRECTIONS, Integration


class EnhancedHybridBlock(HybridBlock):
    """The hybrid block with cross-modal attention between the liquid states and the spikes; stands in for it.

    Once the liquid cell has had its first look, it sees the spikes of the tokens before, neuron by neuron, and the
    readout of each neuron's spikes sees the liquid states; then everything goes on with what they found. The readout
    is read into tokens a second time with the same weights, for the Mamba path; in sequential mode and without Mamba
    nothing reads it, so there the liquid path looks alone.

    The attention starts with output weights of zero, and so the block as the plain one with the same weights.

    Args:
        config: The network's settings.
    """

    def __init__(self, config: HybridConfig) -> None:
        super().__init__(config)
        neurons = self.adapter.projection.in_features
        direction = DIRECTIONS[config.attention_type] if config.rereads_spikes else "spike_to_liquid"
        self.attention = cross_attention(config, neurons, heads=config.num_attention_heads, direction=direction)
        for module in self.attention.modules():
            if isinstance(module, CrossAttentionModule):
                nn.init.zeros_(module.output.weight)
                nn.init.zeros_(module.output.bias)

    def _integrate(
        self, encoded: Encoded, paths: PathState | None, seen: CrossModalState | None
    ) -> tuple[Tensor, PathState, CrossModalState]:
        """The paths behind the spikes, which look at each other after the liquid cell's first look."""
        assert isinstance(self.integration, Integration)  # the config refuses to do without a liquid path
        c = self.token_norm(encoded.tokens)
        liquid, after = self.integration.start(c, paths)
        liquid, spikes, info = self.attention(liquid, encoded.readout, seen)
        if spikes is not encoded.readout:
            c = self.token_norm(self.adapter.projection(spikes))
        y, carried = self.integration.finish(c, liquid, after, paths)
        return y, carried, info.state
