"""How spread out the attention of a network is, measured while it computes."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from torch import Tensor, nn


class AttentionMeter:
    """Adds up, while it is open, the entropy of all cross-attention in a network.

    The attention gives it as a by-product of the passes that run anyway, so nothing is computed twice on a CPU. A meter
    that is not open costs nothing.

    Args:
        model: The network; its parts with `measures` and `last_entropy`, as `neurofmx.layers.attention` has, are read,
            and a network without such parts has no entropy.

    Example:
        >>> import torch
        >>> from neurofmx.layers.attention import CrossModalAttention
        >>> attention = CrossModalAttention(8, 8, num_heads=2)
        >>> with AttentionMeter(attention) as meter:
        ...     _ = attention(torch.zeros(1, 2, 8), torch.zeros(1, 2, 8))
        >>> round(meter.entropy, 4)  # one key for the first query, two equal ones for the second: log(2) / 2
        0.3466
    """

    def __init__(self, model: nn.Module) -> None:
        self._modules: dict[str, Any] = {n: part for n, part in model.named_modules() if hasattr(part, "last_entropy")}
        self._sums = dict.fromkeys(self._modules, 0.0)
        self._queries = dict.fromkeys(self._modules, 0)
        self._handles: list[Any] = []

    @property
    def entropies(self) -> dict[str, float]:
        """Mean entropy of a query in nats, by the name of the module in the network; of those that have been called."""
        return {name: self._sums[name] / queries for name, queries in self._queries.items() if queries}

    @property
    def entropy(self) -> float | None:
        """Mean over the modules; `None` for a network without cross-attention or before the first pass."""
        known = self.entropies.values()
        return sum(known) / len(known) if known else None

    def __enter__(self) -> Self:
        for name, module in self._modules.items():
            module.measures = True
            self._handles.append(module.register_forward_hook(self._adder(name)))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for handle in self._handles:
            handle.remove()
        for module in self._modules.values():
            module.measures, module.last_entropy = False, None

    def _adder(self, name: str) -> Any:
        """What is called behind every pass of a module."""

        def add(module: Any, inputs: tuple[Tensor, ...], outputs: Any) -> None:
            assert module.last_entropy is not None
            queries = inputs[0].shape[0] * inputs[0].shape[1]
            self._sums[name] += float(module.last_entropy) * queries
            self._queries[name] += queries

        return add
