"""A Mamba block that remembers every channel over several spans of time.

Shapes: B batch, L length, D inner channels, N states per channel, S scales.
Symbols: those of `neurofmx.layers.mamba`; `g` shares that sum to 1 over the scales of a token.

    y_s = scan(u, dt_s, A_s, B, C, D),    s = 1..S        y = out_proj(sum_s g_s y_s silu(z))

A channel of a plain block has one step size at the start, and so one span that it remembers. Here each has `S`, one in
each part of the same range, fast ones first. What is written and read (`B`, `C`) is the same at all scales, so a
network that modulates them does so as it always does.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from neurofmx.kernels.path import Path
from neurofmx.kernels.selective_scan import selective_scan
from neurofmx.layers.elementwise import silu
from neurofmx.layers.mamba import Mamba, Selection, first_steps


class MultiScaleMamba(Mamba):
    """Selective state-space block with scans at several time scales, merged by a gate.

    The scans run side by side as one with `S` times the channels. Which of them a token listens to is chosen by its
    features; at the start all count the same.

    Args:
        dim: Channels of input and output.
        scales: Number of scans, 2 or more.
        d_state: States per inner channel and scan, N.
        d_conv: Width of the causal convolution in tokens.
        expand: Inner channels per channel.
        path: Which computation of convolution and scan runs, as for `Mamba`.

    Raises:
        ValueError: If `scales` is below 2.

    Source:
        Karadag et al. (2025), ms-Mamba: Multi-scale Mamba for Time-Series Forecasting, arXiv:2504.07654 (blocks side
        by side with step sizes of several scales); here they share all but the step sizes and rates.
    """

    def __init__(
        self, dim: int, *, scales: int, d_state: int = 16, d_conv: int = 4, expand: int = 2, path: Path = "auto"
    ) -> None:
        super().__init__(dim, d_state=d_state, d_conv=d_conv, expand=expand, path=path)
        if scales < 2:
            raise ValueError(f"scales must be 2 or more, got {scales}; for one take Mamba")
        self.scales = scales
        self.dt_proj = nn.Linear(self.dt_rank, scales * self.inner)
        self.A_log = nn.Parameter(self.A_log.detach().repeat(scales, 1))
        self.A_log.no_weight_decay = True  # type: ignore[attr-defined]  # decay would pull all rates towards 1
        self.choice = nn.Linear(self.inner, scales)
        nn.init.uniform_(self.dt_proj.weight, -(self.dt_rank**-0.5), self.dt_rank**-0.5)
        nn.init.zeros_(self.choice.weight)
        nn.init.zeros_(self.choice.bias)
        with torch.no_grad():
            self.dt_proj.bias.copy_(
                torch.cat([first_steps(self.inner, part=part, parts=scales) for part in range(scales)])
            )

    def shares(self, features: Tensor) -> Tensor:
        """How much each scale counts.

        Args:
            features: Features (B, L, D).

        Returns:
            Shares (B, L, S), which sum to 1.
        """
        return self.choice(features).softmax(-1)

    def scan(
        self, features: Tensor, gate: Tensor, selection: Selection, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Runs the state space at all scales over the features, merges, gates and projects the result.

        Args:
            features: Features (B, L, D).
            gate: Gate (B, L, D).
            selection: The scan's coefficients, modulated or not; step sizes are (B, L, S D), scale by scale.
            state: State (B, S D, N) of the scan so far; `None` for zeros.

        Returns:
            Outputs (B, L, dim), and the scan's last state (B, S D, N).
        """
        dt, B, C = selection
        repeated = features.repeat(1, 1, self.scales), dt, -self.A_log.exp(), B, C, self.D.repeat(self.scales)
        y, state = selective_scan(*repeated, softplus=True, state=state, path=self._available(features, state))
        merged = (y.unflatten(-1, (self.scales, -1)) * self.shares(features).unsqueeze(-1)).sum(-2)
        return self.out_proj(merged * silu(gate)), state
