"""A layer of liquid neurons in closed form, with time constants that can be modulated from outside."""

from __future__ import annotations

import math
from typing import Any, Self

import torch
from torch import Tensor, nn

from neurofmx.kernels.cfc import CfCWeights, Kept, cfc, keep
from neurofmx.kernels.cfc_modes import GATES, CfCMode, PureWeights, cfc_mode
from neurofmx.kernels.path import Path
from neurofmx.tables import pick


class CfC(nn.Module):
    """Closed-form continuous-time recurrent layer.

    Every unit has a time constant `tau_base`, learnt and 1 token at the start. Whoever calls the layer may stretch
    or shrink it at every token and unit: the time that passes at a token is `elapsed / (tau_base * tau)`.

    Args:
        input_dim: Channels of the input.
        units: Number of liquid units, the channels of the output.
        backbone_units: Width of the hidden layer that all gates share.
        mode: `default` goes from one state to another as time passes, `no_gate` adds what time opens, and `pure` is the
            solution that both are derived from, see `neurofmx.kernels.cfc_modes`.
        path: Which computation runs, see `neurofmx.kernels.cfc`. Of the other two modes there is plain torch alone and
            ncps, so `path` then is `reference` for all but `library`.

    Raises:
        ValueError: If `mode` is unknown.

    Source:
        Hasani et al. (2022), Closed-form continuous-time neural networks, Nature Machine Intelligence 4.
    """

    def __init__(
        self,
        input_dim: int,
        units: int,
        *,
        backbone_units: int = 128,
        mode: CfCMode = "default",
        path: Path = "auto",
    ) -> None:
        super().__init__()
        gates = pick(GATES, mode, "cfc mode")
        self.units = units
        self.mode: CfCMode = mode
        self.weights_stay = False  # set for inference: then what compiled loops make of the weights is made once
        self._kept: Kept | None = None
        self.path: Path = path if mode == "default" or path == "library" else "reference"
        self.backbone = nn.Linear(input_dim + units, backbone_units)
        self.gates = nn.Linear(backbone_units, gates * units)
        self.log_tau = nn.Parameter(torch.zeros(units))
        nn.init.xavier_uniform_(self.backbone.weight)
        xavier_gates(self.gates, gates)
        if mode == "pure":
            # as large as ncps starts it; at 0 its size has no slope, and it would stay there
            self.idle_rate = nn.Parameter(torch.empty(units).uniform_(0, math.sqrt(6 / (1 + units))))
            self.end = nn.Parameter(torch.ones(units))

    def _apply(self, *given: Any, **named: Any) -> Self:
        """Forgets what was made of weights of another type or on another device."""
        self._kept = None
        return super()._apply(*given, **named)

    def train(self, mode: bool = True) -> Self:
        """Forgets what was made of weights that training may change."""
        self._kept = None
        return super().train(mode)

    def _load_from_state_dict(self, *given: Any, **named: Any) -> None:
        """Forgets what was made of the weights before."""
        self._kept = None
        super()._load_from_state_dict(*given, **named)

    @property
    def tau_base(self) -> Tensor:
        """Time constant of every unit (units,) in tokens, above 0."""
        return self.log_tau.exp()

    @property
    def weights(self) -> CfCWeights | PureWeights:
        """The weights in the form that the kernel of the mode takes."""
        both = self.backbone.weight, self.backbone.bias, self.gates.weight, self.gates.bias
        return PureWeights(*both, self.idle_rate, self.end) if self.mode == "pure" else CfCWeights(*both)

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
            States (batch, length, units), in the default mode within -1 and 1, and the last one (batch, units).
        """
        start = x.new_zeros(x.shape[0], self.units) if state is None else state
        span = time_passed(self.tau_base, tau, elapsed)
        weights = self.weights
        if self.mode == "default" and isinstance(weights, CfCWeights):
            return cfc(x, start, weights, elapsed=span, mask=mask, kept=self._laid_out(weights), path=self.path)
        return cfc_mode(x, start, weights, elapsed=span, mask=mask, path=self.path)

    def _laid_out(self, weights: CfCWeights) -> Kept | None:
        """What compiled loops make of the weights, once where these stay as they are and nothing needs a gradient."""
        if not self.weights_stay or torch.is_grad_enabled() or torch.compiler.is_compiling():
            return None
        if self._kept is None:
            self._kept = keep(weights, path=self.path)
        return self._kept


def xavier_gates(layer: nn.Linear, gates: int) -> nn.Linear:
    """Draws the first weights of gates that stand below each other, each as a matrix of its own.

    Args:
        layer: The layer, changed in place; its biases stay.
        gates: Number of gates.

    Returns:
        The layer.
    """
    for gate in layer.weight.data.chunk(gates):
        nn.init.xavier_uniform_(gate)
    return layer


def time_passed(tau_base: Tensor, tau: Tensor | None, elapsed: Tensor | None) -> Tensor:
    """Measures time in units of time constants.

    Args:
        tau_base: Time constants (units,) in tokens, above 0.
        tau: Factors on them (batch, length, units), above 0; `None` for 1.
        elapsed: Time that passes at a token (batch, length), 0 or more; `None` for 1.

    Returns:
        What passes at a token, (units,) where it is the same everywhere, else (batch, length, units).
    """
    scale = tau_base if tau is None else tau_base * tau
    return scale.reciprocal() if elapsed is None else elapsed.unsqueeze(-1) / scale
