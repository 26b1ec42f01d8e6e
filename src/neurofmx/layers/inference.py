"""Prepare a trained network for inference: in half precision, with weights of 8 bits, or exact token by token.

| precision  | matrices                            | their products | everything else |
|------------|-------------------------------------|----------------|-----------------|
| `float32`  | float32                             | float32        | float32         |
| `bfloat16` | bfloat16, 8 bits of mantissa        | bfloat16       | float32         |
| `float16`  | float16, 11 bits of mantissa        | float16        | float32         |
| `int8`     | 8 bits, a scale for each output     | float32        | float32         |

Matrices are those of linear layers, embeddings, convolutions and LSTMs; in 8 bits, of LSTMs of one direction. What is
left are spikes, recurrences and their states, norms, time constants and the synapses of `ltc` cells, wired or not:
there half precision would feed rounding errors back, move spikes, and make a decay of 0.999 one of 1. The matrices of a
`cfc` cell, wired or not, are rounded as all others and multiplied in float32. So `model.half()` is not the way: it
would round the decays too, and the network refuses it.

What is prepared is changed in place, and is for inference alone: weights of 8 bits cannot be trained.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, TypeVar

import torch
from torch import nn

from neurofmx.layers.half import HalfConv, HalfEmbedding, HalfLinear, HalfLSTM
from neurofmx.layers.lstm_cells import LstmCells, plain
from neurofmx.layers.quantize import QuantizedConv, QuantizedEmbedding, QuantizedLinear, Scheme
from neurofmx.layers.row_linear import RowLinear
from neurofmx.tables import pick

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
Precision = Literal["float32", "bfloat16", "float16", "int8"]
Network = TypeVar("Network", bound=nn.Module)


def in_precision(model: Network, precision: Precision) -> Network:
    """Prepares a network for inference in a precision.

    Args:
        model: A network with float32 weights, changed in place.
        precision: A key of `PRECISIONS`; `float32` leaves it as it is.

    Returns:
        The network, in evaluation mode. Its inputs, outputs and hidden states are float32; the state of an LSTM in half
        precision alone is of that precision.

    Raises:
        ValueError: If the precision is unknown, or the model is itself a layer that is replaced.

    Example:
        >>> model = in_precision(nn.Sequential(nn.Linear(8, 4), nn.ReLU()), "int8")
        >>> type(model[0]).__name__, model(torch.ones(2, 8)).shape
        ('QuantizedLinear', torch.Size([2, 4]))
    """
    return pick(PRECISIONS, precision, "precision")(model.eval())


def quantize_weights(model: Network, *, scheme: Scheme = "asymmetric") -> Network:
    """Rounds all matrices of a network to 8 bits a number.

    Args:
        model: A network, changed in place: linear layers, embeddings, convolutions and LSTMs of one direction are
            replaced.
        scheme: As for `neurofmx.layers.quantize.quantize`.

    Returns:
        The network. A network built anew and quantised so can load the saved `state_dict` of another.

    Raises:
        ValueError: If a weight is infinite or no number, or the model is itself a layer that is replaced.
    """

    def linear(layer: nn.Linear) -> nn.Module:
        return QuantizedLinear(layer, scheme=scheme)

    def exchange(module: nn.Module) -> nn.Module | None:
        if isinstance(module, nn.Embedding):
            return QuantizedEmbedding(module, scheme=scheme)
        if isinstance(module, _CONVOLUTIONS):
            return QuantizedConv(module, scheme=scheme)
        return _replaced(module, linear)

    return _prepared(_exchange(model, exchange))


def exact_rows(model: Network) -> Network:
    """Makes the bits of a network's outputs independent of how a stream is cut into calls.

    Args:
        model: A network with float32 weights, changed in place; names and weights in its `state_dict` stay, those of an
            LSTM apart.

    Returns:
        The network. Its products of many rows are slower than those of a BLAS library.

    Raises:
        ValueError: If the model is itself a layer that is replaced.
    """
    return _prepared(_exchange(model, lambda module: _replaced(module, RowLinear.of)))


def _replaced(module: nn.Module, make: Callable[[nn.Linear], nn.Module]) -> nn.Module | None:
    """A linear layer or an LSTM with other products; `None` for anything else."""
    if type(module) is nn.Linear:
        return make(module)
    return LstmCells.of(module, make) if isinstance(module, nn.LSTM) and plain(module) else None


def _exchange(model: Network, exchange: Callable[[nn.Module], nn.Module | None]) -> Network:
    """Replaces the modules inside a network for which there is something else."""
    if exchange(model) is not None:
        raise ValueError(
            f"model is a single {type(model).__name__}, which would have to be replaced and not changed: "
            "put it into nn.Sequential"
        )
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if (other := exchange(child)) is not None:
                setattr(parent, name, other.train(child.training))
    return model


def _prepared(model: Network) -> Network:
    """Tells the layers inside that their weights do not change any more."""
    for module in model.modules():
        if hasattr(module, "weights_stay"):
            module.weights_stay = True  # pyright: ignore[reportArgumentType]
    return model


def half_precision(model: Network, dtype: torch.dtype) -> Network:
    """Rounds all matrices of a network to half precision.

    Args:
        model: A network, changed in place: linear layers, embeddings, convolutions and LSTMs are replaced.
        dtype: `torch.bfloat16` or `torch.float16`.

    Returns:
        The network.

    Raises:
        ValueError: If the model is itself a layer that is replaced.
    """
    layers: dict[type[nn.Module], Any] = {nn.Linear: HalfLinear, nn.Embedding: HalfEmbedding, nn.LSTM: HalfLSTM}
    layers |= dict.fromkeys(_CONVOLUTIONS, HalfConv)

    def exchange(module: nn.Module) -> nn.Module | None:
        return layers[type(module)](module, dtype) if type(module) in layers else None

    return _prepared(_exchange(model, exchange))


PRECISIONS: dict[str, Callable[..., Any]] = {
    "float32": lambda model: model,
    "bfloat16": partial(half_precision, dtype=torch.bfloat16),
    "float16": partial(half_precision, dtype=torch.float16),
    "int8": quantize_weights,
}
