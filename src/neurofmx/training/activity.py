"""How active a network is while it is validated: its spikes, how neurons share them, how far attention spreads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from neurofmx.layers.attention_meter import AttentionMeter
from neurofmx.layers.spike_meter import SpikeMeter

Activity = dict[str, float]


@contextmanager
def measured(backbone: nn.Module) -> Iterator[Activity]:
    """Measures a backbone in the passes that run meanwhile, whose outputs stay the same to the bit.

    Args:
        backbone: The network.

    Yields:
        What is empty inside, and afterwards holds means over all windows and blocks: `spike_rate` (spikes of a neuron
        in a step), `population_sparsity` (see `neurofmx.layers.spike_statistics`) and `attention_entropy` (nats), as
        far as the network has neurons that spike and cross-attention.
    """
    found: Activity = {}
    with SpikeMeter(backbone) as spikes, AttentionMeter(backbone) as attention:
        yield found
    known = {
        "spike_rate": spikes.rate,
        "population_sparsity": _sparsity(spikes),
        "attention_entropy": attention.entropy,
    }
    found.update({name: value for name, value in known.items() if value is not None})


def _sparsity(spikes: SpikeMeter) -> float | None:
    """Mean over the blocks; `None` without blocks that spike."""
    found = [block["population_sparsity"] for block in spikes.blocks]
    return sum(found) / len(found) if found else None
