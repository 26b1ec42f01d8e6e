"""Count what a hybrid block computes for a token, and estimate the energy that it would take.

The estimate is of the arithmetic alone, in 32-bit floating point on a 45 nm chip: 0.9 pJ an addition, 3.7 pJ a product.
It leaves out what usually costs more, moving data; it takes for granted hardware that does nothing where no spike is;
and it does not count what works number by number (normalisation, gates, exponentials). So it may compare networks of
one kind, and is no measurement of any machine.

- A spike is added to the numbers that read it, once each: the weights of the readout. That is a synaptic operation.
- A neuron's state takes one product and addition per step, three with a synaptic current and an adaptation.
- The neurons' currents and all that stands behind the spikes are products and additions of real numbers.
- Means over populations and readouts over time are linear, so they are thought to be part of the readout's weights.

Source:
    Horowitz (2014), Computing's energy problem (and what we can do about it), ISSCC, figure 1.1.9.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import nn

from neurofmx.layers.attention import CrossAttentionModule
from neurofmx.layers.half import HalfLinear
from neurofmx.layers.ltc import LTC
from neurofmx.layers.mamba import Mamba
from neurofmx.layers.mixture import MixtureOfExperts
from neurofmx.layers.quantize import QuantizedLinear
from neurofmx.layers.temporal_attention import TemporalCrossAttention
from neurofmx.layers.wired_cfc import WiredCfC
from neurofmx.models.hybrid.block import HybridBlock
from neurofmx.models.hybrid.enhanced_block import EnhancedHybridBlock
from neurofmx.models.hybrid.integration import BidirectionalIntegration

ADDITION, PRODUCT = 0.9, 3.7  # pJ, 32-bit floating point
MAC = ADDITION + PRODUCT


class Operations(NamedTuple):
    """What a block computes for a token, on average over a sequence.

    Args:
        fan_out: Numbers that a spike is added to; 0 where the potentials are read in place of the spikes.
        readout: Products and additions that the readout would take if neurons sent real numbers, one a token.
        neurons: Products and additions of the neurons' states.
        current: Those of the neurons' currents.
        behind: Those of all that stands behind the spikes: paths, attention, experts.
    """

    fan_out: int
    readout: int
    neurons: int
    current: int
    behind: float

    def energy(self, synops: float) -> dict[str, float]:
        """Estimates energies for a token.

        Args:
            synops: Synaptic operations in a token.

        Returns:
            In nJ: that of spikes, neurons, currents and paths behind, and that of a readout of real numbers.
        """
        spikes = ADDITION * synops if self.fan_out else MAC * self.readout
        parts = {"spikes": spikes, "neurons": MAC * self.neurons, "current": MAC * self.current}
        parts |= {"behind": MAC * self.behind, "readout_of_real_numbers": MAC * self.readout}
        return {name: energy / 1000.0 for name, energy in parts.items()}


def block_operations(block: HybridBlock, length: int) -> Operations:
    """Counts what a block computes for a token.

    Args:
        block: The block.
        length: Tokens of a sequence, on which depends how many tokens attention sees on average.

    Returns:
        The numbers of operations.
    """
    encoder, readout = block.encoder, block.adapter.projection
    neurons, steps = encoder.beta.numel(), encoder.num_spike_steps
    per_step = 3 if encoder.neurons.slow else 1
    reads_spikes = block.adapter.method != "potential"
    return Operations(
        fan_out=readout.out_features if reads_spikes else 0,
        readout=neurons * readout.out_features,
        neurons=per_step * neurons * steps,
        current=encoder.current.weight.numel(),
        behind=_behind(block, length),
    )


def _behind(block: HybridBlock, length: int) -> float:
    """Products and additions for a token of all that stands behind the spikes."""
    behind = _macs(block.integration, length)
    if isinstance(block.integration, BidirectionalIntegration):  # looks twice
        behind += _macs(block.integration.liquid, length)
    if isinstance(block, EnhancedHybridBlock):
        behind += _macs(block.attention, length)
        if "liquid_to_spike" in block.attention.directions:  # the readout is read a second time, as real numbers
            behind += _macs(block.adapter.projection, length)
    return behind + (0 if block.experts is None else _chosen(block.experts, length))


def _chosen(experts: MixtureOfExperts, length: int) -> float:
    """Those of the router and of the experts that a token passes."""
    return _macs(experts.router, length) + experts.top_k * _macs(experts.experts[0], length)


def _macs(module: nn.Module, length: int) -> float:
    """Products and additions for a token of a module and all in it."""
    return sum(_own_macs(part, length) for part in module.modules())


def _own_macs(module: nn.Module, length: int) -> float:
    """Those of a module without what is in it."""
    match module:
        case nn.Linear() | HalfLinear() | QuantizedLinear():
            return module.in_features * module.out_features
        case Mamba():  # decayed state, input, output and skip of every scan, and the convolution
            return len(module.A_log) * (3 * module.d_state + 1) + module.inner * module.d_conv
        case CrossAttentionModule():  # scores and weighted values
            scales = module.scales if isinstance(module, TemporalCrossAttention) else (1,)
            return 2 * module.query.out_features * sum(_seen(length, module.window, scale) for scale in scales)
        case LTC():  # every synapse adds to a conductance and to a current
            recurrent, sensory = module.recurrent.reversal, module.sensory.reversal
            return 2 * (module.unfolds * int((recurrent != 0).sum()) + int((sensory != 0).sum()))
        case WiredCfC():  # its linear layers count what the wiring leaves out
            return -module.absent
        case _:
            return 0


def _seen(length: int, window: int | None, scale: int) -> float:
    """Keys that a token of a sequence sees on average, its own included, of which each is a mean of `scale` tokens."""
    return sum(min(window or length, token // scale + 1) for token in range(length)) / length
