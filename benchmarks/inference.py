"""Trained networks at work: a whole pass, and one token of a stream, in every precision, beside LSTM and transformer.

Sizes: `network` 0 a tiny one, 1 that of params.yaml, 2 the defaults of `HybridConfig` (6 blocks, 512 channels);
`length` tokens of a batch of 1; `past` tokens that a stream has read before, 0 for a whole pass. LSTM and transformer
have as many layers and, within 2 %, as many parameters. Nothing has a gradient. A step goes on from the same state
every time, so that the transformer's cache holds `past` tokens, which it copies to add one.

`exact` sums every row alike, so that a stream has the bits of one pass; so does `int8`. `compiled` is `torch.compile`
with its defaults, which has its compilation behind it when it is timed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import torch
from torch import nn

from benchmarks.case import Benchmark, Case, Size, Tolerance
from benchmarks.side import ours
from benchmarks.train import model as of_params

_DEFAULTS, _OF_PARAMS, _TINY = 2, 1, 0
_NAMES = {_TINY: "tiny", _OF_PARAMS: "params.yaml", _DEFAULTS: "512 x 6"}
_SMALLEST: dict[str, Any] = {
    "hidden_dim": 32,
    "liquid_units": 16,
    "backbone_units": 16,
    "spiking_units": 16,
    "num_layers": 2,
    "num_spike_steps": 2,
    "cross_attn_heads": 2,
}
PRECISIONS = ("float32", "bfloat16", "float16", "int8")


class Inference:
    """A network that reads one whole pass, or the next token of a stream: a side without gradients.

    Args:
        model: The network as it is run.
        size: Sizes as the module's docstring names them.
        width: Channels of a token.
        parameters: Trained numbers, before any was rounded.
        compiled: Whether `torch.compile` makes what is called.
    """

    arrange = staticmethod(tuple)

    def __init__(self, model: Any, size: Size, *, width: int, parameters: int, compiled: bool = False) -> None:
        self.path, self.parameters = getattr(model, "kernels", ""), parameters
        self.weight_mib = ours("layers.quantize", "size_in_bytes")(model) / 2**20
        torch.manual_seed(1)
        past, self._tokens = torch.randn(1, size["past"] or 1, width), torch.randn(1, size["length"], width)
        with torch.inference_mode():
            state = model(past)[1] if size["past"] else None
        whole, step = (torch.compile(call) if compiled else call for call in (model, model.step))
        self._call = (lambda: step(self._tokens[:, 0], state)) if size["past"] else (lambda: whole(self._tokens))

    def step(self) -> tuple[Sequence[torch.Tensor], Sequence[torch.Tensor]]:
        """Runs it once; there are outputs and no gradients."""
        with torch.inference_mode():
            return [self._call()[0]], []


def _hybrid(network: int) -> Any:
    """Our network of a size."""
    if network == _OF_PARAMS:
        return of_params()
    torch.manual_seed(0)
    config, made = (
        ours("models.hybrid.config", "HybridConfig"),
        ours("models.hybrid.network", "MambaLiquidSpikingNetwork"),
    )
    return made(config(**_SMALLEST) if network == _TINY else config())


@cache
def _facts(network: int) -> tuple[int, int]:
    """Parameters and layers of our network of a size."""
    with torch.device("meta"):
        model = _hybrid(network)
    return _count(model), model.config.num_layers


def _count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _nearest(network: int, configs: Iterable[Any], build: Callable[[Any], nn.Module]) -> nn.Module:
    """Of the networks that configs of growing width describe the one that is as large as ours."""
    wanted, best = _facts(network)[0], (float("inf"), None)
    for config in configs:
        with torch.device("meta"):
            found = _count(build(config))
        best = min(best, (abs(found - wanted), config), key=lambda pair: pair[0])
        if found > 4 * wanted:  # all that follow are larger still, whatever their feed-forward layers
            break
    torch.manual_seed(0)
    return build(best[1])


def _lstm(network: int) -> nn.Module:
    config, layers = ours("models.configs", "LstmConfig"), _facts(network)[1]
    widths = range(8, 2000, 1 if network < _DEFAULTS else 8)
    configs = (config(hidden_dim=width, num_layers=layers) for width in widths)
    return _nearest(network, configs, ours("models.lstm", "Lstm"))


def _transformer(network: int) -> nn.Module:
    config, layers = ours("models.configs", "TransformerConfig"), _facts(network)[1]
    configs = (
        config(
            hidden_dim=width, num_layers=layers, num_attention_heads=2 if network < _DEFAULTS else 8, feedforward=wide
        )
        for width in range(16, 2000, 4 if network < _DEFAULTS else 16)
        for wide in (range(1, 9) if network < _DEFAULTS else (4,))
    )
    return _nearest(network, configs, ours("models.transformer", "Transformer"))


_FAMILIES: dict[str, Callable[[int], Any]] = {"hybrid": _hybrid, "lstm": _lstm, "transformer": _transformer}


def _side(family: str, form: str) -> Callable[[Size], Inference]:
    """A builder of a family's network in one form: a precision, `exact` or `compiled`."""

    def build(size: Size) -> Inference:
        model = _FAMILIES[family](size["network"]).eval()
        parameters, width = _count(model), model.config.hidden_dim
        if form == "exact":
            ours("layers.inference", "exact_rows")(model)
        else:
            ours("layers.inference", "in_precision")(model, form if form in PRECISIONS else "float32")
        return Inference(model, size, width=width, parameters=parameters, compiled=form == "compiled")

    return build


_FORMS = (*PRECISIONS[1:], "exact", "compiled")
_SIZES = [
    {"network": network, "length": length, "past": past}
    for network in (_OF_PARAMS, _DEFAULTS)
    for length, past in ((2048 if network == _OF_PARAMS else 512, 0), (1, 256))
]


def _cases(size: Size) -> list[Case]:
    """Each form beside float32, and the families beside each other."""
    forms = [Case(size, f"hybrid {form}", "hybrid float32") for form in _FORMS]
    peers = [
        Case(size, f"hybrid {form}", f"{peer} {form}", same=False)
        for form in PRECISIONS
        for peer in ("lstm", "transformer")
    ]
    return [*forms, *peers]


def _label(size: Size) -> str:
    """Words for a size."""
    doing = f"step after {size['past']}" if size["past"] else f"pass L{size['length']}"
    return f"{_NAMES[size['network']]}, {doing}"


def _notes(rows: Sequence[Any], machine: Mapping[str, float]) -> list[str]:
    """How far each form is from float32."""
    return [
        f"{row.ours}, {row.size}: outputs differ from float32 by {row.deviations['outputs']:.1e} of the largest one."
        for row in rows
        if row.deviations and row.threads == min(other.threads for other in rows)
    ]


BENCHMARK = Benchmark(
    sides={
        f"{family} {form}": _side(family, form)
        for family in _FAMILIES
        for form in (*PRECISIONS, *(_FORMS[-2:] if family == "hybrid" else ()))
    },
    cases=[case for size in _SIZES for case in _cases(size)],
    tiny={"network": _TINY, "length": 1, "past": 6},
    label=_label,
    tolerance=Tolerance(outputs=0.2, gradients=0.0),  # what a spike moved by rounding does, not whether sides agree
    tokens=lambda size: size["length"],
    notes=_notes,
)
