"""Turn tokens into spikes of populations: a spike encoder in which several neurons carry each value.

Which scheme makes sense for whom reads the spikes (`SpikeToMambaAdapter`): the scheme says what a spike counts for at
its step, and `rate` and `temporal` of the adapter add that up, over the token or over an exponential past. So with them
every scheme carries its value through. `potential` reads no spikes; there a scheme other than `rate` would do nothing,
and `HybridConfig` refuses it.

Shapes: B batch, L tokens, S spike steps per token, P neurons of a population, U values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from neurofmx.kernels.lif_neuron import NeuronState
from neurofmx.kernels.lif_readout import Readout, weighted
from neurofmx.layers.population_coding import PopulationCoding
from neurofmx.layers.population_decoder import PopulationMean
from neurofmx.layers.spike_code import EncodingScheme
from neurofmx.layers.spike_encoder import AnySpikeEncoder
from neurofmx.layers.threshold_distributions import ThresholdDistribution

# told of the currents of every pass, of the state of the neurons before it, and of its mask
Watch = Callable[[Tensor, NeuronState | None, Tensor | None], None]


class PopulationSpikingEncoder(AnySpikeEncoder):
    """Encodes tokens as spikes, each value by a population of neurons that share one current.

    Neurons, current and decoder are those of a `PopulationCoding`; here the neurons run on from token to token. Stands
    in for `SpikeEncoder`: the same calls, and outputs of the same shapes. They are what the decoder makes of each step,
    weighted means over the populations, with learnt weights that start equal. Every neuron has a threshold and a decay
    of its own, also learnt.
    `rate` runs the kernel that writes no spikes down; the other schemes must see them.

    Args:
        input_dim: Channels of a token.
        spike_units: Number of values, U, each carried by a population.
        num_steps: Spike steps per token, S.
        population_size: Neurons of a population, P.
        threshold_distribution: How the thresholds of a population are spread, a key of `THRESHOLDS`.
        encoding_scheme: What in the spikes carries the value, a key of `SCHEMES`.
        threshold_spread: Half the width of the thresholds' range in units of the threshold, 0 or more and below 1.
        **neurons: Decay, threshold and what else `SpikingNeurons` takes.

    Attributes:
        watch: Told of the currents (B, L, U), state and mask of every call; `None`, as at first, for nobody.

    Raises:
        ValueError: If a name is unknown or a number is out of range.
    """

    def __init__(
        self,
        input_dim: int,
        spike_units: int,
        num_steps: int = 32,
        population_size: int = 5,
        *,
        threshold_distribution: ThresholdDistribution = "uniform",
        encoding_scheme: EncodingScheme = "rate",
        threshold_spread: float = 0.5,
        **neurons: Any,
    ) -> None:
        scheme = encoding_scheme
        sizes = input_dim, spike_units, population_size, num_steps
        code = PopulationCoding(*sizes, threshold_distribution, scheme, threshold_spread=threshold_spread, **neurons)
        super().__init__(code.neurons, code.current)
        self.encoding_scheme = encoding_scheme
        self.decoder = code.decoder
        self.watch: Watch | None = None

    @property
    def mean(self) -> PopulationMean:
        """The weighted mean over populations."""
        return self.decoder.mean

    def forward(
        self, x: Tensor, state: NeuronState | None = None, *, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor, NeuronState]:
        """Encodes a stretch of tokens.

        Args:
            x: Tokens (B, L, input_dim).
            state: State of the neurons (B, P * U) that the previous stretch ended with; `None` for neurons at rest.
            mask: False where a token is padding (B, L): there the state waits, and outputs are 0.

        Returns:
            What the populations' spikes count for (B, L, S, U), with `rate` the share of neurons that fired; the mean
            of their potentials (B, L, S, U); and the last state (B, P * U).
        """
        spikes, potentials, last = self.neurons(self.mean.shared(self._current(x, state, mask)), state, mask=mask)
        return self.decoder.each_step(spikes), self.mean(potentials), last

    def readout(
        self,
        x: Tensor,
        state: NeuronState | None = None,
        trace: Tensor | None = None,
        *,
        weights: list[float],
        carry: float,
        mask: Tensor | None = None,
    ) -> Readout:
        """Encodes a stretch of tokens, and keeps a weighted sum over each token's steps.

        Args:
            x: Tokens (B, L, input_dim).
            state: State of the neurons (B, P * U) that the previous stretch ended with; `None` for neurons at rest.
            trace: Trace that the previous stretch ended with, or any of the values (B, U); `None` for silence before.
            weights: Weight of each of the S steps.
            carry: Share of a token's trace that the next token takes over.
            mask: False where a token is padding (B, L): there state and trace wait, and outputs are 0.

        Returns:
            Traces and potentials at the tokens' ends (B, L, U), the last state (B, P * U), the last trace, of every
            neuron with `rate` (B, P * U) and else of every value (B, U), and the number of spikes that were sent
            (B, P * U).

        Raises:
            ValueError: If there are not as many weights as steps.
        """
        current = self._current(x, state, mask)
        before = torch.zeros_like(current[:, 0]) if trace is None else trace
        if self.encoding_scheme != "rate":
            return self._written(current, state, before, weights, carry, mask)
        of_values = before.shape[1] == current.shape[2]  # not of the neurons, whose own go on without a rounding
        shared = self.mean.shared(current), state, self.mean.shared(before) if of_values else before
        kept = self.neurons.readout(*shared, weights=weights, carry=carry, mask=mask)
        return kept._replace(traces=self.mean(kept.traces), ends=self.mean(kept.ends))

    def _current(self, x: Tensor, state: NeuronState | None, mask: Tensor | None) -> Tensor:
        """The currents of the populations (B, L, U), of which a meter is told where one is open."""
        current = self.current(x)
        if self.watch is not None:
            self.watch(current, state, mask)
        return current

    def _written(
        self,
        current: Tensor,
        state: NeuronState | None,
        trace: Tensor,
        weights: list[float],
        carry: float,
        mask: Tensor | None,
    ) -> Readout:
        """The same for a scheme that must see the spikes."""
        self.neurons.check_weights(weights)
        spikes, potentials, last = self.neurons(self.mean.shared(current), state, mask=mask)
        traces, trace = weighted(self.decoder.each_step(spikes), trace, weights, carry, mask)
        sent = self.decoder.scheme.sent(spikes.detach()).sum((1, 2))
        return Readout(traces, self.mean(potentials[:, :, -1]), last, trace, sent)
