"""Spikes of a network over all windows it answers, however they are batched, and what they would cost."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from torch import Tensor, nn


class SpikeMeter:
    """Counts, while it is open, how often the neurons of a backbone spike.

    Args:
        backbone: A network; one with a `spike_rate` (mean spikes of a neuron in a step of its last call) is counted,
            and one that also has `block_reports`, as the hybrid network, block by block.
    """

    def __init__(self, backbone: nn.Module) -> None:
        self._backbone = backbone
        self._spikes, self._windows = 0.0, 0
        self._blocks: list[dict[str, float]] = []

    @property
    def rate(self) -> float | None:
        """Mean spikes of a neuron in a step over all windows seen; None for a network without spikes."""
        return self._spikes / self._windows if self._windows else None

    @property
    def blocks(self) -> list[dict[str, float]]:
        """What every block did, as means over all windows seen; empty for a network without spikes.

        `rate`, `sparsity`, `population_sparsity`, `spikes_per_token` and `synops_per_token` are those of
        `neurofmx.layers.spike_statistics`; `nj_per_token_*` is that of `neurofmx.models.hybrid.operations`, for the
        spikes, the neurons, their currents, the paths behind, and a readout of real numbers in place of the spikes.
        """
        return [{name: total / self._windows for name, total in block.items()} for block in self._blocks]

    def __enter__(self) -> Self:
        self._handle = self._backbone.register_forward_hook(self._count)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._handle.remove()

    def _count(self, backbone: nn.Module, inputs: tuple[Tensor, ...], outputs: Any) -> None:
        if not hasattr(backbone, "spike_rate"):
            return
        self._spikes += float(backbone.spike_rate) * len(inputs[0])  # type: ignore[arg-type]
        self._windows += len(inputs[0])
        if hasattr(backbone, "block_reports"):
            self._add(backbone.block_reports, windows=len(inputs[0]))  # type: ignore[arg-type]

    def _add(self, blocks: list[dict[str, float]], *, windows: int) -> None:
        """Adds means over some windows to the totals."""
        self._blocks = self._blocks or [dict.fromkeys(block, 0.0) for block in blocks]
        for total, block in zip(self._blocks, blocks, strict=True):
            for name, value in block.items():
                total[name] += value * windows
