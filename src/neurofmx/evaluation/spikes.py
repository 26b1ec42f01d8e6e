"""Spikes of a network over all windows it answers, however they are batched."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from torch import Tensor, nn


class SpikeMeter:
    """Counts, while it is open, how often the neurons of a backbone spike.

    Args:
        backbone: A network; one with a `spike_rate` (mean spikes of a neuron in a step of its last call) is counted.
    """

    def __init__(self, backbone: nn.Module) -> None:
        self._backbone = backbone
        self._spikes, self._windows = 0.0, 0

    @property
    def rate(self) -> float | None:
        """Mean spikes of a neuron in a step over all windows seen; None for a network without spikes."""
        return self._spikes / self._windows if self._windows else None

    def __enter__(self) -> Self:
        self._handle = self._backbone.register_forward_hook(self._count)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._handle.remove()

    def _count(self, backbone: nn.Module, inputs: tuple[Tensor, ...], outputs: Any) -> None:
        if hasattr(backbone, "spike_rate"):
            self._spikes += float(backbone.spike_rate) * len(inputs[0])  # type: ignore[arg-type]
            self._windows += len(inputs[0])
