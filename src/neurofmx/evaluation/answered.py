"""What a trained model said of every tested window, and what it is made of: all that a report needs of it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from neurofmx.evaluation.context import Context, said_context
from neurofmx.tokenizers.cutting.windows import Windows


class Answered(NamedTuple):
    """Answers `(seeds, windows, width)` in the order of the tested windows, and facts of the model."""

    outputs: np.ndarray
    seeds: tuple[int, ...]
    parameters: int
    spikes: float | None = None  # a neuron and step
    entropy: float | None = None
    blocks: tuple[dict[str, Any], ...] = ()
    kernels: str = ""
    tokenizer: str = ""
    precision: str = ""
    weight_bytes: int | None = None
    validation_loss: float | None = None
    carries: bool = True
    harmed: Mapping[str, np.ndarray] = MappingProxyType({})  # answers under noise or with silent neurons, by condition
    silenced: str = ""  # what was silenced
    silenced_of: int = 0  # and how many of them there are
    lengths: Mapping[int, np.ndarray] = MappingProxyType({})  # answers to a text in windows of other lengths
    inference: tuple[Mapping[str, float], ...] = ()  # ms a window by fold and seed, beside the same in float32

    def window(self, windows: Windows, context: Context) -> str:
        """What a window holds, in words; of a text also what was read before."""
        if windows.task.kind != "next_token":
            return windows.description
        return f"{windows.description}; {said_context(context, windows.x.shape[1], carries=self.carries)}"
