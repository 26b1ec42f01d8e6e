"""A layer of liquid neurons with graded synapses, whose time constants depend on the inputs."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from neurofmx.kernels.course import without_padding
from neurofmx.kernels.ltc import LTCWeights, Synapses, ltc
from neurofmx.kernels.path import Path
from neurofmx.layers.wiring import Wiring

# Ranges of the first weights, those of the packages of the authors
_CAPACITANCE, _LEAK, _REST = (0.4, 0.6), (0.001, 1.0), (-0.2, 0.2)
_WEIGHT, _MIDPOINT, _STEEPNESS = (0.001, 1.0), (0.3, 0.8), (3.0, 8.0)
_USUAL = 4  # synapses that may have weights of that range without the time constant becoming too short
_EXCITATORY = 2 / 3  # of the synapses of a layer without a wiring


class LTC(nn.Module):
    """Liquid time-constant recurrent layer.

    Every unit is a leaky neuron with synapses from all inputs and units, or from those that a wiring names. A synapse
    opens with the potential of its source, which makes the neuron faster and pulls it towards the synapse's reversal
    potential. Whoever calls the layer may stretch or shrink the time constants at every token and unit.

    Inputs and outputs pass a factor and an offset per channel, learnt and 1 and 0 at the start. Weights start in the
    ranges of the circuit models, divided by the number of synapses onto a neuron over 4, so that time constants start
    at about half a token in a network of any size.

    Args:
        input_dim: Channels of the input.
        units: Number of liquid units, the channels of the output.
        wiring: Which synapses there are, and their signs; `None` for all, of random signs.
        unfolds: Steps of the solver in a token, 1 or more.
        path: Which computation runs, see `neurofmx.kernels.ltc`.

    Raises:
        ValueError: If the wiring is for other numbers of inputs or units.

    Source:
        Hasani et al. (2021), Liquid Time-constant Networks, AAAI 35; Lechner et al. (2020), Neural circuit policies,
        Nature Machine Intelligence 2.
    """

    def __init__(
        self, input_dim: int, units: int, *, wiring: Wiring | None = None, unfolds: int = 6, path: Path = "auto"
    ) -> None:
        super().__init__()
        if wiring is not None:
            wiring.require(input_dim, units)
        self.units, self.unfolds, self.wiring = units, unfolds, wiring
        self.path: Path = path
        self.input_factor, self.input_offset = _affine(input_dim)
        self.output_factor, self.output_offset = _affine(units)
        # Free numbers behind what must be positive, so that no training step can leave the valid range.
        self.capacitance_raw = nn.Parameter(_inverse_softplus(_uniform(_CAPACITANCE, units)))
        self.leak_raw = nn.Parameter(_inverse_softplus(_uniform(_LEAK, units)))
        self.rest = nn.Parameter(_uniform(_REST, units))
        self.recurrent = _SynapseParameters(_signs(wiring and wiring.recurrent, units, units))
        self.sensory = _SynapseParameters(_signs(wiring and wiring.sensory, input_dim, units))

    @property
    def weights(self) -> LTCWeights:
        """The weights in the form that the kernel takes."""
        neurons = softplus(self.capacitance_raw), softplus(self.leak_raw), self.rest
        return LTCWeights(*neurons, self.recurrent(), self.sensory())

    def forward(
        self,
        x: Tensor,
        state: Tensor | None = None,
        *,
        tau: Tensor | None = None,
        elapsed: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Runs the layer over a stretch of tokens.

        Args:
            x: Inputs (batch, length, input_dim).
            state: Potentials (batch, units) that the previous stretch ended with; `None` for zeros.
            tau: Factors on the time constants (batch, length, units), above 0; `None` for 1.
            elapsed: Time that passes at a token (batch, length), 0 or more; `None` for 1.
            mask: False where a token is padding (batch, length); `None` for none.

        Returns:
            Outputs (batch, length, units), and the last potentials (batch, units).
        """
        start = x.new_zeros(x.shape[0], self.units) if state is None else state
        span = x.new_ones(()) if elapsed is None else elapsed.unsqueeze(-1)
        span = span if tau is None else span / tau
        inputs = x * self.input_factor + self.input_offset
        states, last = ltc(inputs, start, self.weights, elapsed=span, unfolds=self.unfolds, mask=mask, path=self.path)
        return without_padding(states * self.output_factor + self.output_offset, mask), last


class _SynapseParameters(nn.Module):
    """Learnt synapses, given their signs, 0 where there is none."""

    wired: Tensor | None

    def __init__(self, signs: Tensor) -> None:
        super().__init__()
        there = signs != 0
        onto = there.sum(0).clamp(min=_USUAL)
        self.weight_raw = nn.Parameter(_inverse_softplus(_uniform(_WEIGHT, *signs.shape) * (_USUAL / onto)))
        self.midpoint = nn.Parameter(_uniform(_MIDPOINT, *signs.shape))
        self.steepness = nn.Parameter(_uniform(_STEEPNESS, *signs.shape))
        self.reversal = nn.Parameter(signs.float())
        for shape in (self.weight_raw, self.midpoint, self.steepness):
            shape.no_weight_decay = True  # type: ignore[attr-defined]  # zero is no neutral value of these
        self.register_buffer("wired", None if there.all() else there, persistent=False)

    def forward(self) -> Synapses:
        """The synapses in the form that the kernel takes."""
        return Synapses(softplus(self.weight_raw), self.midpoint, self.steepness, self.reversal, self.wired)


def _affine(channels: int) -> tuple[nn.Parameter, nn.Parameter]:
    """A factor and an offset per channel."""
    return nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))


def _uniform(between: tuple[float, float], *shape: int) -> Tensor:
    """Random numbers within bounds."""
    return torch.empty(shape).uniform_(*between)


def _inverse_softplus(x: Tensor) -> Tensor:
    """What has the softplus `x`."""
    return x + torch.log(-torch.expm1(-x))


def _signs(wired: object, sources: int, units: int) -> Tensor:
    """Signs of synapses, as wired, or for all pairs at random."""
    if wired is not None:
        return torch.as_tensor(wired)
    return torch.where(torch.rand(sources, units) < _EXCITATORY, 1, -1)
