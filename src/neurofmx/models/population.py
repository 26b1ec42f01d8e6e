"""Put population coding into a network that is there already, trained or not."""

from __future__ import annotations

import copy

from neurofmx.layers.population_encoder import PopulationSpikingEncoder
from neurofmx.layers.spike_code import EncodingScheme
from neurofmx.layers.spike_encoder import SpikeEncoder
from neurofmx.layers.threshold_distributions import ThresholdDistribution, threshold_factors
from neurofmx.models.hybrid.block import HybridBlock
from neurofmx.models.hybrid.config import HybridConfig
from neurofmx.models.hybrid.network import MambaLiquidSpikingNetwork


def integrate_population_coding(
    model: MambaLiquidSpikingNetwork,
    population_size: int = 5,
    *,
    threshold_distribution: ThresholdDistribution = "uniform",
    threshold_spread: float = 0.5,
    encoding_scheme: EncodingScheme = "rate",
) -> MambaLiquidSpikingNetwork:
    """Makes a population of every spiking neuron of a network, and keeps all its weights.

    Every neuron is copied `population_size` times with its own decay, and its threshold times the factors of the
    distribution. The populations' means start equal. So with a spread of 0 and the scheme `rate` the new network
    computes what the old one does, and a spread moves it from there: to the last bit where `spiking_units` is a
    multiple of 32, else up to the rounding of decays, which torch rounds differently at an array's end.

    Args:
        model: The network; it stays as it is.
        population_size: Neurons of a population.
        threshold_distribution: How the thresholds of a population are spread, a key of `THRESHOLDS`.
        threshold_spread: Half the width of the thresholds' range in units of a neuron's threshold.
        encoding_scheme: What in the spikes carries the value, a key of `SCHEMES`.

    Returns:
        A new network with weights of its own, on the same device and in the same mode.

    Raises:
        ValueError: If the network has populations already, or an argument is out of range.

    Example:
        >>> import torch
        >>> sizes = {"hidden_dim": 16, "liquid_units": 8, "spiking_units": 32, "num_layers": 1}
        >>> model = MambaLiquidSpikingNetwork(HybridConfig(**sizes)).eval()
        >>> same = integrate_population_coding(model, 3, threshold_spread=0.0)
        >>> x = torch.randn(1, 6, 16)
        >>> torch.equal(same(x)[0], model(x)[0])
        True
    """
    if model.config.use_population_coding:
        raise ValueError(
            f"the network has populations of {model.config.population_size} neurons already: "
            "integrate population coding into a network whose config has use_population_coding=False"
        )
    changes = {
        "use_population_coding": True,
        "population_size": population_size,
        "threshold_distribution": threshold_distribution,
        "threshold_spread": threshold_spread,
        "encoding_scheme": encoding_scheme,
    }
    config = HybridConfig(**(model.config.model_dump() | changes))
    wider = copy.deepcopy(model)
    wider.config = config
    for old, new in zip(model.parameters(), wider.parameters(), strict=True):
        vars(new).update(vars(old))  # a copy forgets that weight decay spares it
    for block in wider.blocks:
        assert isinstance(block, HybridBlock)
        assert isinstance(block.encoder, SpikeEncoder)
        block.encoder = _populated(block.encoder, config)
    return wider


def _populated(encoder: SpikeEncoder, config: HybridConfig) -> PopulationSpikingEncoder:
    """An encoder whose populations are copies of the neurons of another, with thresholds spread around theirs."""
    distribution, spread = config.threshold_distribution, config.threshold_spread
    factors = threshold_factors(distribution, config.population_size, spread=spread)
    units = encoder.current.out_features
    populated = PopulationSpikingEncoder(
        encoder.current.in_features,
        units,
        encoder.num_spike_steps,
        config.population_size,
        threshold_distribution=distribution,
        threshold_spread=spread,
        encoding_scheme=config.encoding_scheme,
    ).to(encoder.current.weight)
    populated.current = encoder.current
    populated.neurons = encoder.neurons.copies(config.population_size)
    populated.neurons.scale_thresholds(factors.repeat_interleave(units))
    return populated.train(encoder.training)
