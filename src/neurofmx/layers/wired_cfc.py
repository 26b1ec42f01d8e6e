"""A layer of liquid neurons in closed form that is wired as a neural circuit policy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from neurofmx.kernels.cfc_modes import GATES, CfCMode
from neurofmx.kernels.path import Path
from neurofmx.kernels.wired_cfc import LayerWeights, wired_cfc
from neurofmx.layers.cfc import time_passed, xavier_gates
from neurofmx.layers.wiring import Wiring
from neurofmx.tables import pick

_COURSE = ("inter", "command", "motor")  # layers in the order in which a signal passes them


class WiredCfC(nn.Module):
    """Closed-form continuous-time recurrent layer whose neurons are the three layers of a circuit.

    Each layer is a closed-form cell without hidden features. It reads what the layer before says at the same token, the
    first one the inputs, and its own states. The two states between which time decides hear the layer before through
    the synapses of the wiring alone; the two numbers behind that decision, and the own states, through all. That is how
    the authors' package wires a cell, in which signs of synapses play no part: weights may have any sign.

    States and outputs are those of all neurons, in the order of the wiring: motor neurons first. Time constants are
    learnt and may be stretched or shrunk as those of `CfC`.

    Args:
        input_dim: Channels of the input.
        units: Number of liquid units, the channels of the output.
        wiring: Which synapses there are.
        mode: Form of the cell, see `neurofmx.kernels.cfc_modes`.
        path: Which computation runs: `library` is ncps, all others are plain torch, as there are no compiled loops.

    Raises:
        ValueError: If the wiring is for other numbers of inputs or units, or `mode` is unknown.

    Source:
        Hasani et al. (2022), Closed-form continuous-time neural networks, Nature Machine Intelligence 4; the wiring:
        `ncps.torch.WiredCfCCell`, after Lechner et al. (2020), Neural circuit policies, Nature Machine Intelligence 2.
    """

    def __init__(
        self, input_dim: int, units: int, *, wiring: Wiring, mode: CfCMode = "default", path: Path = "auto"
    ) -> None:
        super().__init__()
        wiring.require(input_dim, units)
        gates = pick(GATES, mode, "cfc mode")
        self.units, self.wiring = units, wiring
        self.mode: CfCMode = mode
        self.path: Path = path if path == "library" else "reference"
        self.gates = nn.ModuleDict()
        self.log_tau = nn.Parameter(torch.zeros(units))
        for name, there in _synapses(wiring).items():
            sources, own = there.shape
            self.gates[name] = xavier_gates(nn.Linear(sources, gates * own), gates)
            self.register_buffer(f"wired_{name}", _rows(there, gates), persistent=False)
        if mode == "pure":
            self.idle_rate = nn.Parameter(torch.empty(units))
            self.end = nn.Parameter(torch.ones(units))
            for place in wiring.layers.values():  # as large as ncps starts that of each layer
                size = math.sqrt(6 / (1 + place.stop - place.start))
                nn.init.uniform_(self.idle_rate.data[place], 0, size)

    @property
    def tau_base(self) -> Tensor:
        """Time constant of every unit (units,) in tokens, above 0."""
        return self.log_tau.exp()

    @property
    def absent(self) -> int:
        """Number of weights that the wiring leaves out."""
        return sum(int((~self.get_buffer(f"wired_{name}")).sum()) for name in _COURSE)

    def weights(self, layer: str) -> LayerWeights:
        """The weights of a layer in the form that the kernel takes.

        Args:
            layer: `inter`, `command` or `motor`.

        Returns:
            The weights, 0 where the wiring has no synapse.
        """
        gates: Any = self.gates[layer]  # a linear layer, or what takes its place for inference
        there = gates.weight * self.get_buffer(f"wired_{layer}")
        if self.mode != "pure":
            return LayerWeights(there, gates.bias)
        place = self.wiring.layers[layer]
        return LayerWeights(there, gates.bias, self.idle_rate[place], self.end[place])

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
            state: State (batch, units) that the previous stretch ended with; `None` for zeros.
            tau: Factors on the time constants (batch, length, units), above 0; `None` for 1.
            elapsed: Time that passes at a token (batch, length), 0 or more; `None` for 1.
            mask: False where a token is padding (batch, length); `None` for none.

        Returns:
            States (batch, length, units), and the last one (batch, units).
        """
        start = x.new_zeros(x.shape[0], self.units) if state is None else state
        span, found = time_passed(self.tau_base, tau, elapsed), {}
        for name in _COURSE:
            place, how = self.wiring.layers[name], {"mode": self.mode, "mask": mask, "path": self.path}
            x, last = wired_cfc(x, start[:, place], self.weights(name), elapsed=span[..., place], **how)
            found[name] = x, last
        states, ends = zip(*(found[name] for name in self.wiring.layers), strict=True)
        return torch.cat(states, -1), torch.cat(ends, -1)


def _synapses(wiring: Wiring) -> dict[str, np.ndarray]:
    """Which sources, the layer before and the layer itself, each neuron of a layer hears (sources, neurons)."""
    inter, command, motor = (wiring.layers[name] for name in _COURSE)
    before = {
        "inter": wiring.sensory[:, inter],
        "command": wiring.recurrent[inter, command],
        "motor": wiring.recurrent[command, motor],
    }
    return {name: np.concatenate([block != 0, np.ones((block.shape[1],) * 2, bool)]) for name, block in before.items()}


def _rows(there: np.ndarray, gates: int) -> Tensor:
    """The same for the rows of the gates (gates * neurons, sources), of which rate and offset of time hear all."""
    wired = torch.from_numpy(there.T.copy())
    free = torch.ones_like(wired)
    return torch.cat([wired] if gates == 1 else [wired, wired, free, free])
