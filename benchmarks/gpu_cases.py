"""What is measured on a GPU: the kernels beside mamba-ssm, snnTorch, ncps and the reference, and a block.

Sizes by name: `batch`, `length` or `time`, `inner` channels and `states` of a scan, `neurons`, `inputs`, `units` and
`backbone` of a liquid cell. Ours is always on its path `auto`, which is `cuda` on a GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

import torch
from torch import Tensor

from benchmarks import block, cfc, lif
from benchmarks.case import Benchmark, Case, Size, Tolerance
from benchmarks.scan import scan_inputs
from benchmarks.side import Side, Tensors, leaves, ours, path_of, peer

Build = Callable[[Size], Side]

_SCANS = [
    {"batch": 2, "length": 2048, "inner": 512, "states": 16},
    {"batch": 8, "length": 2048, "inner": 1024, "states": 16},
    {"batch": 1, "length": 8192, "inner": 512, "states": 16},
    {"batch": 1, "length": 65536, "inner": 512, "states": 16},
]
_NEURONS = [{"batch": 32, "time": time, "neurons": 256} for time in (32, 128, 512, 8192)]
_LIQUID = [
    {"batch": batch, "length": length, "inputs": 64, "units": 256, "backbone": 128}
    for batch, length in ((2, 512), (16, 128), (16, 512), (16, 2048), (64, 512), (1, 8192))
]
# Steps and channels of a tile, each a setting of `neurofmx.kernels.gpu.selective_scan_op`.
TILES = {
    "FORWARD": [(16, 32), (32, 32), (64, 32), (16, 64), (32, 64)],
    "BACKWARD": [(8, 32), (16, 32), (32, 32), (8, 64), (16, 64)],
}
_WEIGHTS, _CARRY, _SLOPE = [0.03] * 4, 0.8, 25.0


def _gated(size: Size) -> list[Tensor]:
    """`u, dt, A, B, C, D` and the gate, where the step sizes are the softplus of `dt`, as in a block."""
    u, _, *coefficients = scan_inputs(size)
    return leaves(u, torch.randn_like(u) - 4.0, *coefficients, torch.randn_like(u))


def _scan(path: str = "auto") -> Build:
    """A builder of our scan. It gets a state of zeros: without one, mamba-ssm computes forward where it is built."""

    def build(size: Size) -> Side:
        scan, wanted = ours("kernels.selective_scan", "selective_scan"), _gated(size)
        *given, gate = wanted
        rest = gate.new_zeros(size["batch"], *given[2].shape)
        settings = {"gate": gate, "softplus": True, "state": rest, "path": path}
        return Side(lambda: scan(*given, **settings)[:1], wanted, path=path_of(scan, path))

    return build


def _turned(tensors: Tensors) -> list[Tensor]:
    """Sequences with the channels before the steps, or back; all else as it is."""
    return [x.transpose(1, 2).contiguous() if x.dim() == 3 else x for x in tensors]


def _mamba_ssm(*, transposes: bool) -> Build:
    """A builder of mamba-ssm's scan, with sequences as all others have them, or as it wants them."""

    def build(size: Size) -> Side:
        module = peer("mamba_ssm.ops.selective_scan_interface", install="make cuda")
        wanted = _gated(size) if transposes else leaves(*_turned(_gated(size)))

        def forward() -> list[Tensor]:
            u, dt, A, B, C, D, z = _turned(wanted) if transposes else wanted
            y = module.selective_scan_fn(u, dt, A, B, C, D=D, z=z, delta_softplus=True)
            return [y.transpose(1, 2)]

        return Side(forward, wanted, arrange=tuple if transposes else _turned)

    return build


def _readout(path: str = "auto") -> Build:
    """A builder of our neurons of which a token's readout alone is kept."""

    def build(size: Size) -> Side:
        readout, wanted = ours("kernels.lif_readout", "lif_readout"), lif.lif_inputs(size)
        current, beta, threshold = wanted
        rest = torch.zeros_like(current[:, 0])
        neuron = {"beta": beta, "threshold": threshold, "slope": _SLOPE, "weights": _WEIGHTS, "carry": _CARRY}
        return Side(lambda: readout(current, rest, rest, path=path, **neuron)[:2], wanted, path=path_of(readout, path))

    return build


def under(setting: Callable[[], AbstractContextManager[None]], build: Build) -> Build:
    """A builder of a side that computes under a setting.

    Args:
        setting: Makes the context; it is entered at every step.
        build: Builds the side.

    Returns:
        The builder.
    """

    class Under(Side):
        """Enters the setting before a step."""

        def step(self) -> tuple[Tensors, Tensors]:
            with setting():
                return super().step()

    def built(size: Size) -> Side:
        side = build(size)

        def forward() -> Tensors:
            with setting():
                return side.forward()

        return Under(forward, side.wanted, arrange=side.arrange, path=side.path)

    return built


@contextmanager
def _tf32() -> Iterator[None]:
    """Matrix products of numbers that were cut to 10 bits."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _tile(which: str, steps: int, channels: int) -> Callable[[], AbstractContextManager[None]]:
    """Cuts a scan into other tiles."""

    @contextmanager
    def setting() -> Iterator[None]:
        from neurofmx.kernels.gpu import selective_scan_op as op

        before = getattr(op, which)
        setattr(op, which, op.Cut(steps, channels))
        try:
            yield
        finally:
            setattr(op, which, before)

    return setting


def _each(sizes: Sequence[Size], mine: str, *peers: str) -> list[Case]:
    """Our side beside every peer at every size."""
    return [Case(size, mine, name) for size in sizes for name in peers]


_PRECISE, _SUMMED = Tolerance(1e-4, 1e-3), Tolerance(1e-5, 1e-3)  # sums over a long sequence in another order
_SCAN = Benchmark(
    sides={
        "neurofmx": _scan(),
        "neurofmx reference": _scan("reference"),
        "mamba-ssm": _mamba_ssm(transposes=False),
        "mamba-ssm with transposes": _mamba_ssm(transposes=True),
    },
    cases=_each(_SCANS, "neurofmx", "mamba-ssm", "mamba-ssm with transposes", "neurofmx reference"),
    tiny={"batch": 2, "length": 9, "inner": 4, "states": 2},
    label=lambda size: f"B{size['batch']} L{size['length']} D{size['inner']} N{size['states']}",
    tolerance=_PRECISE,
)
_CFC = replace(
    cfc.BENCHMARK,
    cases=[
        *_each(_LIQUID[:-1], "neurofmx", "ncps", "ncps unbind"),
        *_each(_LIQUID, "neurofmx", "neurofmx reference"),
    ],
    label=lambda size: f"B{size['batch']} L{size['length']} I{size.get('inputs', size['units'])} U{size['units']}",
    tolerance=_PRECISE,
)
_TILED = {
    f"{which.lower()} {steps} x {channels}": under(_tile(which, steps, channels), _scan())
    for which, cuts in TILES.items()
    for steps, channels in cuts
}

BENCHMARKS: dict[str, Benchmark] = {
    "scan": _SCAN,
    "lif": replace(
        lif.BENCHMARK,
        cases=[
            *_each(_NEURONS[:-1], "neurofmx", "snntorch", "snntorch unbind"),
            *_each(_NEURONS, "neurofmx", "neurofmx reference"),
        ],
        tolerance=_SUMMED,
    ),
    "readout": replace(
        lif.BENCHMARK,
        sides={"neurofmx": _readout(), "neurofmx reference": _readout("reference")},
        cases=_each(_NEURONS, "neurofmx", "neurofmx reference"),
        tolerance=_SUMMED,
    ),
    "cfc": _CFC,
    "tf32": replace(
        _CFC,
        sides={"neurofmx": _CFC.sides["neurofmx"], "neurofmx in TF32": under(_tf32, _CFC.sides["neurofmx"])},
        cases=_each(_LIQUID, "neurofmx in TF32", "neurofmx"),
        tolerance=Tolerance(2e-2, 5e-2),
    ),
    "block": replace(
        block.BENCHMARK,
        cases=[
            Case({"length": length}, "hybrid sequential", "transformer", same=False) for length in (2048, 8192, 65536)
        ],
    ),
    "tune": replace(
        _SCAN,
        sides={"neurofmx": _scan(), **_TILED},
        cases=[case for name in _TILED for case in _each(_SCANS[:1], name, "neurofmx")],
    ),
}
