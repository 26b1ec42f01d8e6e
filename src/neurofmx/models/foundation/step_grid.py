"""The grid of time steps that latents lie on, and which tokens each step sees: by time stamps, whatever their rate.

Symbols: B rows, N tokens, `o` origin of a row's grid, `s` length of a step, k a step, `e` when a token is complete.

    step k is the time from o + k s to o + (k + 1) s, and k(e) = ceil((e - o) / s) - 1 the first at whose end a token
    that is complete at e can be known

A step sees the tokens of itself and of the `window - 1` steps before it. So nothing that is not complete at the end of
a step says anything at it, and each row's grid depends on that row alone.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from neurofmx.tokenizers.multi_sample import MultiSample

TOLERANCE = 1e-3  # of a step: an end that rounding puts behind a border of the grid lies on it


class StepGrid(NamedTuple):
    """Where a stretch of tokens lies on the grids of its rows.

    Args:
        origin: Where step 0 begins on each row's clock (B,), s, float64.
        first: Number of the stretch's first step.
        length: Steps of the stretch.
        step: Step at whose end each token is known (B, N), int64.
        mask: Which steps of the stretch a row has (B, length), bool; the others follow behind its last token.
        step_s: Length of a step, s.
    """

    origin: Tensor
    first: int
    length: int
    step: Tensor
    mask: Tensor
    step_s: float

    @property
    def time(self) -> Tensor:
        """End of each step on its row's clock (B, length), s, float64."""
        steps = torch.arange(
            self.first + 1, self.first + self.length + 1, dtype=torch.float64, device=self.origin.device
        )
        return self.origin[:, None] + steps * self.step_s


def origins(batch: MultiSample, step_s: float) -> Tensor:
    """Where each row's grid begins: its earliest stream's first sample, rounded down to whole steps from the anchor.

    Args:
        batch: The rows; a stream that a row lacks does not count.
        step_s: Length of a step, s.

    Returns:
        Times on the rows' clocks (B,), s, float64; 0 for a row without any stream.
    """
    starts = torch.stack(
        [batch.offset[name].double().masked_fill(~batch.here[name], torch.inf) for name in batch.samples]
    ).amin(0)
    return (torch.where(starts.isfinite(), starts, 0.0) / step_s + TOLERANCE).floor() * step_s


def lay_out(end: Tensor, mask: Tensor, origin: Tensor, *, step_s: float, first: int | None = None) -> StepGrid:
    """Put tokens on the grids of their rows.

    Args:
        end: When each token is complete (B, N), s.
        mask: Which tokens stand for something (B, N), bool.
        origin: Where each row's grid begins (B,), s.
        step_s: Length of a step, s.
        first: First step that is not answered yet, where the stretch goes on from an earlier one; None at the start.

    Returns:
        The grid. At the start it has one step at least, and every row has its first.

    Raises:
        ValueError: If a stretch that goes on brings a token of a step that is answered.
    """
    step = ((end.double() - origin[:, None]) / step_s - TOLERANCE).ceil().long() - 1
    step = step.clamp_min(0).masked_fill(~mask, -1)
    last = step.amax(1) if step.shape[1] else torch.full_like(origin, -1, dtype=torch.int64)
    begins = 0 if first is None else first
    length = max(0 if first is not None else 1, int(last.max()) + 1 - begins) if len(last) else 0
    if first is not None and bool((mask & (step < first)).any()):
        raise ValueError(
            f"the stretch brings a token that was complete before step {first}, and steps up to there are answered: "
            f"let every stretch end at the end of a step of {step_s:g} s, and bring later what is complete later"
        )
    there = begins + torch.arange(length, device=end.device) <= last[:, None]
    if first is None:
        there[:, :1] = True  # a row without tokens still has a state
    return StepGrid(origin, begins, length, step, there, step_s)


def refuse_earlier(begin: Tensor, mask: Tensor, origin: Tensor, *, step_s: float) -> None:
    """Refuse tokens that begin before their row's grid: read as a whole, the window would have begun with them.

    Args:
        begin: When the first sample that each token reads began (B, N), s.
        mask: Which tokens stand for something (B, N), bool.
        origin: Where each row's grid begins (B,), s.
        step_s: Length of a step, s.

    Raises:
        ValueError: If there is one.
    """
    if bool((mask & (begin < origin[:, None] - TOLERANCE * step_s)).any()):
        raise ValueError(
            "the stretch brings a token that begins before its row's grid, which was laid out without its stream: "
            "bring the first token of each row's earliest stream with the first stretch, and hide it there by `seen` "
            "while it is not complete"
        )


def visible(step: Tensor, mask: Tensor, steps: Tensor, *, window: int | None) -> Tensor:
    """Which tokens each step sees.

    Args:
        step: Step of each token (B, N).
        mask: Which tokens stand for something (B, N), bool.
        steps: Steps that look (K,).
        window: Steps that are seen, the own one included; None for all tokens of the row, later ones too.

    Returns:
        Mask (B, K, N), bool.
    """
    if window is None:
        return mask[:, None].expand(-1, len(steps), -1)
    away = steps[:, None] - step[:, None]
    return (away >= 0) & (away < window) & mask[:, None]
