"""Parameters of a backbone, and the sizes at which another family has as many.

Two networks are compared fairly when neither has more to learn with. Tokenizer and head depend on `hidden_dim` alone:
at one `hidden_dim` they are equal, and it is enough to bring the backbones together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from itertools import product
from typing import Any

import torch
from pydantic import BaseModel, ValidationError

from neurofmx.models.table import MODELS
from neurofmx.tables import pick

# what may be turned to reach a number of parameters, the first the slowest; `hidden_dim` stays unless it is asked for
KNOBS: dict[str, dict[str, Sequence[int]]] = {
    "hybrid": {"num_layers": (1, 2, 3), "liquid_units": range(16, 257, 4)},
    "lstm": {"num_layers": range(1, 13)},
    "mamba": {"num_layers": range(1, 13), "d_state": (16, 8, 32)},
    "transformer": {"num_layers": range(1, 13), "feedforward": (4, 3, 2, 1, 5, 6)},
}


def backbone_parameters(family: str, config: BaseModel) -> int:
    """Trained numbers of a backbone, without tokenizer and head.

    Args:
        family: A neural entry of `MODELS`.
        config: Its settings.

    Returns:
        Their number. The state of torch's random generator stays as it was.

    Raises:
        ValueError: If there is no such network.

    Example:
        >>> from neurofmx.models.configs import LstmConfig
        >>> backbone_parameters("lstm", LstmConfig(hidden_dim=64, num_layers=1))  # 4 gates of 64 (64 + 64 + 2)
        33280
    """
    entry = pick(MODELS, family, "model family")
    if entry.build:
        raise ValueError(f"family={family!r} is no backbone behind a tokenizer; its sizes are a key of its config")
    network = entry.network
    if not network:
        raise ValueError(f"family={family!r} is no network, it has no backbone; networks: {', '.join(_networks())}")
    module, name = network.split(":")
    with torch.random.fork_rng(devices=[]):
        backbone = getattr(import_module(module), name)(config)
    return sum(weight.numel() for weight in backbone.parameters())


def equal_size(
    family: str, parameters: int, *, config: BaseModel, knobs: Mapping[str, Sequence[int]] | None = None
) -> dict[str, Any]:
    """The sizes at which a family comes nearest to a number of parameters.

    Args:
        family: A neural entry of `MODELS`.
        parameters: What its backbone should have.
        config: Its settings; what is no knob stays.
        knobs: Values to try of each setting, default `KNOBS[family]`; `{"hidden_dim": range(16, 129, 16)}` changes the
            width, and with it tokenizer and head.

    Returns:
        Value of each knob. Of equally near sizes the first wins, in the order of the knobs and their values.

    Raises:
        ValueError: If the family has no knobs, or no combination is a valid config.

    Example:
        >>> from neurofmx.models.configs import LstmConfig
        >>> equal_size("lstm", 100_000, config=LstmConfig(hidden_dim=64))
        {'num_layers': 3}
    """
    turned = knobs if knobs is not None else pick(KNOBS, family, "family with knobs")
    best: tuple[int, dict[str, Any]] | None = None
    for values in product(*turned.values()):
        chosen = dict(zip(turned, values, strict=True))
        try:
            candidate = type(config)(**config.model_dump() | chosen)
        except ValidationError:  # heads that do not divide the width, say
            continue
        away = abs(backbone_parameters(family, candidate) - parameters)
        if best is None or away < best[0]:
            best = away, chosen
    if best is None:
        raise ValueError(f"no combination of {', '.join(turned)} is a valid config of {family}: widen their values")
    return best[1]


def _networks() -> list[str]:
    return [name for name, family in MODELS.items() if family.network]
