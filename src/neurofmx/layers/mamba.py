"""The Mamba block: a selective state-space model between a causal convolution and a gate.

Shapes: B batch, L length, D inner channels (`expand * dim`), N states per channel.
Symbols: `u` convolved features, `z` gate, `dt` step size, `A, B, C, D` as in `neurofmx.kernels.selective_scan`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from neurofmx.kernels.causal_conv import causal_conv_silu
from neurofmx.kernels.path import Path, resolve
from neurofmx.kernels.selective_scan import selective_scan

_DT_MIN, _DT_MAX, _DT_FLOOR = 1e-3, 1e-1, 1e-4  # the paper's range of step sizes, section 3.6


class MambaState(NamedTuple):
    """What a Mamba block carries from one stretch to the next.

    Args:
        conv: The last inputs of the convolution (B, d_conv - 1, D).
        scan: The state of the scan (B, D, N).
    """

    conv: Tensor
    scan: Tensor


class Selection(NamedTuple):
    """The coefficients of the scan, which the input selects.

    Args:
        dt: What the step sizes are the softplus of (B, L, D).
        B: Input coefficients (B, L, N).
        C: Output coefficients (B, L, N).
    """

    dt: Tensor
    B: Tensor
    C: Tensor


class Mamba(nn.Module):
    """Selective state-space block (S6) with cost linear in the sequence length.

    `forward` is `features`, `select` and `scan` in a row; a network that modulates the block from outside calls the
    three itself.

    Args:
        dim: Channels of input and output.
        d_state: States per inner channel, N.
        d_conv: Width of the causal convolution in tokens.
        expand: Inner channels per channel.
        path: Which computation of convolution and scan runs, see `neurofmx.kernels.selective_scan`. mamba-ssm
            (`library`) scans on CUDA from a zero state only; anywhere else the reference runs, and `path_on` says so.

    Source:
        Gu and Dao (2023), Mamba, figure 3, algorithm 2, sections 3.4 and 3.6.
    """

    def __init__(self, dim: int, *, d_state: int = 16, d_conv: int = 4, expand: int = 2, path: Path = "auto") -> None:
        super().__init__()
        self.inner, self.d_state, self.d_conv = expand * dim, d_state, d_conv
        self.dt_rank = math.ceil(dim / 16)
        self.path: Path = path
        self.in_proj = nn.Linear(dim, 2 * self.inner, bias=False)
        self.conv_weight = nn.Parameter(torch.empty(d_conv, self.inner))
        self.conv_bias = nn.Parameter(torch.empty(self.inner))
        self.x_proj = nn.Linear(self.inner, self.dt_rank + 2 * d_state, bias=False)
        self.dt_proj = nn.Linear(self.dt_rank, self.inner)
        self.A_log = nn.Parameter(torch.arange(1.0, d_state + 1.0).log().repeat(self.inner, 1))
        self.A_log.no_weight_decay = True  # type: ignore[attr-defined]  # decay would pull all rates towards 1
        self.D = nn.Parameter(torch.ones(self.inner))
        self.out_proj = nn.Linear(self.inner, dim, bias=False)
        self._initialise()

    def _initialise(self) -> None:
        """Starts the convolution as torch does and the step sizes log-uniform in the paper's range."""
        bound = self.d_conv**-0.5
        nn.init.uniform_(self.conv_weight, -bound, bound)
        nn.init.uniform_(self.conv_bias, -bound, bound)
        nn.init.uniform_(self.dt_proj.weight, -(self.dt_rank**-0.5), self.dt_rank**-0.5)
        with torch.no_grad():
            self.dt_proj.bias.copy_(first_steps(self.inner))

    def features(self, x: Tensor, conv: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Projects and convolves the input: everything before the state space.

        Args:
            x: Inputs (B, L, dim).
            conv: The convolution's last inputs (B, d_conv - 1, D) so far; `None` for zeros.

        Returns:
            Features (B, L, D), gate (B, L, D), and the convolution's last inputs (B, d_conv - 1, D).
        """
        u, gate = self._project(x)
        path = self.path_on(x.device)
        path = "cuda" if path == "library" else path  # mamba-ssm has no convolution
        features, conv = causal_conv_silu(u, self.conv_weight, self.conv_bias, state=conv, path=path)
        return features, gate, conv

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What is convolved, and the gate, each (B, L, D)."""
        if type(self.in_proj) is not nn.Linear:  # weights in a form for inference
            u, gate = self.in_proj(x).chunk(2, -1)
            return u, gate
        to_features, to_gate = self.in_proj.weight.chunk(2)  # two products leave nothing to copy on the way back
        return linear(x, to_features), linear(x, to_gate)

    def select(self, features: Tensor) -> Selection:
        """Lets the features choose step size, input and output coefficients.

        Args:
            features: Features (B, L, D).

        Returns:
            The scan's coefficients.
        """
        low_rank, B, C = self.x_proj(features).split([self.dt_rank, self.d_state, self.d_state], -1)
        return Selection(self.dt_proj(low_rank), B, C)

    def scan(
        self, features: Tensor, gate: Tensor, selection: Selection, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Runs the state space over the features, gates and projects the result.

        Args:
            features: Features (B, L, D).
            gate: Gate (B, L, D).
            selection: The scan's coefficients, modulated or not.
            state: State (B, D, N) of the scan so far; `None` for zeros.

        Returns:
            Outputs (B, L, dim), and the scan's last state (B, D, N).
        """
        A, path = -self.A_log.exp(), self._available(features, state)
        given = features, selection.dt, A, selection.B, selection.C, self.D
        y, state = selective_scan(*given, gate=gate, softplus=True, state=state, path=path)
        return self.out_proj(y), state

    def path_on(self, device: torch.device) -> Path:
        """The path that computes a whole sequence on a device."""
        if self.path == "library" and device.type != "cuda":
            return "reference"
        return resolve(self.path, device)

    def _available(self, features: Tensor, state: Tensor | None) -> Path:
        """The path for these features: mamba-ssm cannot go on from a state."""
        carried = self.path == "library" and state is not None
        return "reference" if carried else self.path_on(features.device)

    def forward(self, x: Tensor, state: MambaState | None = None) -> tuple[Tensor, MambaState]:
        """Runs the block over a stretch of tokens.

        Args:
            x: Inputs (B, L, dim).
            state: State that the previous stretch ended with; `None` for zeros.

        Returns:
            Outputs (B, L, dim), and the state at their end.
        """
        conv, scan = (None, None) if state is None else state
        features, gate, conv = self.features(x, conv)
        y, scan = self.scan(features, gate, self.select(features), scan)
        return y, MambaState(conv, scan)


def first_steps(channels: int, *, part: int = 0, parts: int = 1) -> Tensor:
    """Biases that let step sizes start log-uniform in the paper's range, or in a part of it.

    Args:
        channels: Number of step sizes.
        part: Which of the parts, that of the longest steps first.
        parts: Parts of equal ratio that the range is cut into.

    Returns:
        What the step sizes are the softplus of (channels,).
    """
    low, high = math.log(_DT_MIN), math.log(_DT_MAX)
    edges = [high, *(low + (high - low) * n / parts for n in reversed(range(parts)))]
    dt = torch.empty(channels).uniform_(edges[part + 1], edges[part]).exp().clamp(min=_DT_FLOOR)
    return dt + torch.log(-torch.expm1(-dt))  # the inverse of softplus
