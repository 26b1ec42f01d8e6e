"""What the neurons of populations do over all windows that a network answers, however they are batched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn

from neurofmx.kernels.lif_neuron import NeuronState
from neurofmx.layers.population_encoder import PopulationSpikingEncoder
from neurofmx.layers.population_statistics import PopulationCounts, PopulationStatistics

_NUMBERS = 2**20  # spikes that are written down at once


class PopulationMeter:
    """Watches the populations of a network while it is open.

    When a neuron fires first is known only where every step is written down, which the network itself leaves out. So
    the neurons run a second time, a few tokens at once; what the network computes stays the same to the bit. A meter
    that is not open costs nothing.

    Args:
        backbone: A network; its spike encoders with populations are watched, one a block, and of a network without them
            there is nothing to say.
    """

    def __init__(self, backbone: nn.Module) -> None:
        self._encoders = [part for part in backbone.modules() if isinstance(part, PopulationSpikingEncoder)]
        self._counts = [PopulationCounts(encoder.mean.population_size) for encoder in self._encoders]

    @property
    def statistics(self) -> list[PopulationStatistics]:
        """How the neurons of each block fired, over all windows seen; of the spikes that their scheme sends."""
        return [counts.statistics for counts in self._counts]

    def beside(self, blocks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Puts the statistics beside what else is known of each block.

        Args:
            blocks: What `SpikeMeter.blocks` says of the same windows; the statistics' sparsity stands there already.

        Returns:
            The same, and of a network with populations `neuron_rates` (a list for each place in a population, lowest
            threshold first, of the rate of that neuron of every population) and `first_spike_time` (a step of a token
            from 1, or None if no neuron fired).
        """
        if not self._encoders:
            return [dict(block) for block in blocks]
        pairs = zip(blocks, self.statistics, strict=True)
        return [dict(block) | _as_numbers(found) for block, found in pairs]

    def __enter__(self) -> Self:
        for encoder, counts in zip(self._encoders, self._counts, strict=True):
            encoder.watch = partial(_count, encoder, counts)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for encoder in self._encoders:
            encoder.watch = None


@torch.no_grad()
def _count(
    encoder: PopulationSpikingEncoder,
    counts: PopulationCounts,
    current: Tensor,
    state: NeuronState | None,
    mask: Tensor | None,
) -> None:
    """Runs the neurons over currents (B, L, U) and counts the spikes that are sent."""
    token = current.shape[0] * encoder.num_spike_steps * encoder.threshold.numel()
    tokens, counted = max(1, _NUMBERS // token), 0
    for piece in current.split(tokens, 1):
        there = None if mask is None else mask[:, counted : counted + piece.shape[1]]
        spikes, _, state = encoder.neurons(encoder.mean.shared(piece), state, mask=there)
        sent = encoder.decoder.scheme.sent(spikes)
        counts.add(sent if there is None else sent[there])
        counted += piece.shape[1]


def _as_numbers(found: PopulationStatistics) -> dict[str, Any]:
    """What a report holds."""
    time = found.first_spike_time.item()
    return {"neuron_rates": found.rates.tolist(), "first_spike_time": None if time != time else time}
