"""Picture of a neural circuit policy: its four layers from left to right, its synapses coloured by sign.

The train stage draws that of the model beside its weights, where `model.liquid_backbone` is `ncp`. By hand:

python -m neurofmx.evaluation.wiring_figure 64 64 wiring.png     that of `hidden_dim` 64 and `liquid_units` 64: tokens
                                                                 have `hidden_dim` channels when they reach the cell
python -m neurofmx.evaluation.wiring_figure 4 19 small.png --motor 3 --sparsity 0.7 --seed 2 --cell cfc
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from neurofmx.evaluation.canvas import WIDTH, canvas
from neurofmx.layers.liquid import CIRCUITS, CircuitCell, circuit
from neurofmx.layers.wiring import Wiring, neural_circuit
from neurofmx.models.hybrid.block_parts import wiring as wiring_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from neurofmx.models.hybrid.config import HybridConfig

LAYERS = ("sensory", "inter", "command", "motor")
SIGNS = {1: ("excitatory", "#0072B2"), -1: ("inhibitory", "#D55E00")}
ANY_SIGN = "of any sign; within a layer all are connected", "#555555"
_BEND = 0.28  # how far synapses within a layer reach out of it, in distances between layers


class Synapse(NamedTuple):
    """One synapse; places count within a layer, and the sign is 1 or -1."""

    source_layer: str
    source: int
    target_layer: str
    target: int
    sign: int


def synapses(wiring: Wiring) -> Iterator[Synapse]:
    """Every synapse by the layers it connects.

    Args:
        wiring: The wiring.

    Returns:
        The synapses, those from inputs first.
    """
    places = {index: (name, index - place.start) for name, place in _slices(wiring) for index in range(*_ends(place))}
    for source, target in zip(*np.nonzero(wiring.sensory), strict=True):
        yield Synapse("sensory", int(source), *places[int(target)], int(wiring.sensory[source, target]))
    for source, target in zip(*np.nonzero(wiring.recurrent), strict=True):
        yield Synapse(*places[int(source)], *places[int(target)], int(wiring.recurrent[source, target]))


def network_figure(config: HybridConfig, path: Path) -> None:
    """Draw the circuit of a network's liquid cells, the same in every block.

    Args:
        config: The network's settings.
        path: PNG to write.

    Raises:
        ValueError: If its liquid cells are not wired.
    """
    wiring = wiring_of(config)
    if wiring is None:
        raise ValueError(f"liquid_backbone={config.liquid_backbone} has all synapses: only that of ncp can be drawn")
    wiring_figure(wiring, path, cell=config.ncp_cell)


def wiring_figure(wiring: Wiring, path: Path, *, cell: CircuitCell = "ltc") -> None:
    """Draw the circuit.

    Args:
        wiring: The wiring.
        path: PNG to write; the same wiring draws the same bytes.
        cell: What is wired. Closed-form cells make nothing of signs, and connect all neurons of a layer to each other
            whatever the wiring says; of theirs the synapses between layers are drawn, in one colour.
    """
    sizes = {"sensory": len(wiring.sensory)} | {name: place.stop - place.start for name, place in _slices(wiring)}
    height = min(max(3.0, 0.16 * max(sizes.values())), 12.0)
    drawn = _by_kind(wiring, cell)
    with canvas(path, size=(WIDTH, height), style={"font.size": 10, "font.family": "DejaVu Sans"}) as figure:
        panel = figure.subplots()
        _draw_synapses(panel, drawn, sizes)
        _draw_neurons(panel, sizes)
        _legend(panel, drawn)


def _by_kind(wiring: Wiring, cell: CircuitCell) -> dict[tuple[str, str], list[Synapse]]:
    """What is drawn in each colour, by name and colour."""
    every = list(synapses(wiring))
    if cell == "cfc":
        return {ANY_SIGN: [each for each in every if each.source_layer != each.target_layer]}
    return {kind: [each for each in every if each.sign == sign] for sign, kind in SIGNS.items()}


def _slices(wiring: Wiring) -> list[tuple[str, slice]]:
    """Layers of neurons and where they are, in the order of the figure."""
    return [(name, wiring.layers[name]) for name in LAYERS[1:]]


def _ends(place: slice) -> tuple[int, int]:
    return place.start, place.stop


def _spot(layer: str, place: int, sizes: dict[str, int]) -> tuple[float, float]:
    """Where a neuron is drawn: layers one unit apart, neurons evenly over the height."""
    return float(LAYERS.index(layer)), 1.0 - (place + 0.5) / sizes[layer]


def _draw_synapses(panel: Axes, drawn: dict[tuple[str, str], list[Synapse]], sizes: dict[str, int]) -> None:
    """Lines between layers, arcs within one; thinner and paler the more there are."""
    from matplotlib.collections import LineCollection

    weight = float(np.clip(12.0 / np.sqrt(sum(map(len, drawn.values())) + 1), 0.25, 1.2))
    for (name, colour), each in drawn.items():
        lines = [_course(_spot(*s[:2], sizes), _spot(*s[2:4], sizes)) for s in each]
        opacity = min(1.0, 0.35 + 0.5 * weight)
        panel.add_collection(LineCollection(lines, colors=colour, linewidths=weight, alpha=opacity, gid=name))


def _course(source: tuple[float, float], target: tuple[float, float]) -> np.ndarray:
    """Points of a synapse (n, 2): straight between layers, bent to the right within one, a loop onto the source."""
    start, end = np.asarray(source), np.asarray(target)
    if source[0] != target[0]:
        return np.stack([start, end])
    share = np.linspace(0.0, 1.0, 17)[:, None]
    if source == target:
        angle = 2 * np.pi * share
        return start + np.concatenate([0.5 * _BEND * (1 - np.cos(angle)), 0.01 * np.sin(angle)], 1)
    middle = (start + end) / 2 + [2 * _BEND * (0.3 + 0.7 * abs(source[1] - target[1])), 0.0]
    return (1 - share) ** 2 * start + 2 * share * (1 - share) * middle + share**2 * end


def _draw_neurons(panel: Axes, sizes: dict[str, int]) -> None:
    """Dots and the name of each layer above them."""
    for layer, size in sizes.items():
        spots = np.array([_spot(layer, place, sizes) for place in range(size)])
        dot = float(np.clip(900.0 / size, 6.0, 60.0))
        panel.scatter(*spots.T, s=dot, color="white", edgecolors="#333333", linewidths=0.9, zorder=3)
        panel.text(LAYERS.index(layer), 1.03, f"{layer} ({size})", ha="center", va="bottom", fontweight="bold")
    panel.set_xlim(-0.3, 3.3)
    panel.set_ylim(-0.02, 1.12)
    panel.set_axis_off()


def _legend(panel: Axes, kinds: Iterable[tuple[str, str]]) -> None:
    """What the colours mean."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=colour, label=name) for name, colour in kinds]
    panel.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=2, frameon=False)


def main(arguments: Sequence[str] | None = None) -> None:
    """Draws what the command line asks for.

    Args:
        arguments: The command line; `None` for the process's own.
    """
    parser = argparse.ArgumentParser(description="Draw the wiring of a neural circuit policy.")
    parser.add_argument("inputs", type=int, help="channels of a token that the circuit reads (hidden_dim)")
    parser.add_argument("units", type=int, help="liquid units")
    parser.add_argument("path", type=Path, help="PNG to write")
    parser.add_argument("--motor", type=int, help="motor neurons; left out, as many as the network takes")
    parser.add_argument("--sparsity", type=float, default=0.5, help="share of synapses left out (default: 0.5)")
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers (default: 0)")
    parser.add_argument("--cell", choices=CIRCUITS, default="ltc", help="what is wired (default: ltc)")
    chosen = parser.parse_args(arguments)
    try:
        motor = circuit(chosen.inputs, chosen.units).motor if chosen.motor is None else chosen.motor
        wiring = neural_circuit(chosen.inputs, chosen.units, motor=motor, sparsity=chosen.sparsity, seed=chosen.seed)
    except ValueError as error:
        parser.error(str(error))
    wiring_figure(wiring, chosen.path, cell=chosen.cell)
    print(f"{chosen.path}: {sum(map(len, _by_kind(wiring, chosen.cell).values()))} synapses")


if __name__ == "__main__":
    main()
