"""The liquid cells a network can be built with, by name.

| name  | cell                                                                                  |
|-------|---------------------------------------------------------------------------------------|
| `cfc` | closed form: gates interpolate between two states as time passes                      |
| `ltc` | leaky neurons with graded synapses, solved step by step                               |
| `ncp` | one of both wired sparsely as a neural circuit policy; motor neurons are first        |

Every cell is called as `y, state = cell(x, state, tau=factors)`, so that one can stand in for another.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from neurofmx.kernels.cfc_modes import CfCMode
from neurofmx.kernels.path import Path
from neurofmx.layers.cfc import CfC
from neurofmx.layers.ltc import LTC
from neurofmx.layers.wired_cfc import WiredCfC
from neurofmx.layers.wiring import Wiring, motor_neurons, neural_circuit
from neurofmx.tables import pick

LiquidCell = CfC | LTC | WiredCfC
CircuitCell = Literal["ltc", "cfc"]


class _Asked(NamedTuple):
    """What is asked of a cell, see `liquid_cell`."""

    input_dim: int
    units: int
    backbone_units: int
    mode: CfCMode
    unfolds: int
    cell: CircuitCell
    wiring: Wiring | None
    path: Path


def circuit(input_dim: int, units: int, *, motor_share: float = 0.3, sparsity: float = 0.5, seed: int = 0) -> Wiring:
    """The wiring of the cell `ncp`: always the same for the same arguments, so that saved weights fit it.

    Args:
        input_dim: Channels of the input.
        units: Number of liquid units, 4 or more.
        motor_share: Share of them that are motor neurons, above 0 and below 1; it must leave 3 other neurons.
        sparsity: Share of synapses left out, from 0.1 to 0.9.
        seed: Of the random numbers that choose synapses and signs.

    Returns:
        The wiring.

    Raises:
        ValueError: If there are too few units, or a share is out of range.
    """
    if units < 4:
        raise ValueError(f"units must be 4 or more for the layers of a circuit, got {units}: take ltc or cfc")
    motor = motor_neurons(units, motor_share)
    return neural_circuit(input_dim, units, motor=motor, sparsity=sparsity, seed=seed)


def _cfc(asked: _Asked) -> LiquidCell:
    """The closed-form cell."""
    sizes = asked.input_dim, asked.units
    return CfC(*sizes, backbone_units=asked.backbone_units, mode=asked.mode, path=asked.path)


def _ltc(asked: _Asked) -> LiquidCell:
    """The cell with all synapses, which has no hidden layer."""
    return LTC(asked.input_dim, asked.units, unfolds=asked.unfolds, path=asked.path)


def _ncp(asked: _Asked) -> LiquidCell:
    """A cell with the synapses of a circuit."""
    wiring = circuit(asked.input_dim, asked.units) if asked.wiring is None else asked.wiring
    return pick(CIRCUITS, asked.cell, "ncp_cell")(asked, wiring)


def _wired_ltc(asked: _Asked, wiring: Wiring) -> LiquidCell:
    """Leaky neurons with a circuit's synapses and their signs."""
    return LTC(asked.input_dim, asked.units, wiring=wiring, unfolds=asked.unfolds, path=asked.path)


def _wired_cfc(asked: _Asked, wiring: Wiring) -> LiquidCell:
    """Closed-form cells, one for each layer of a circuit."""
    return WiredCfC(asked.input_dim, asked.units, wiring=wiring, mode=asked.mode, path=asked.path)


LIQUID: dict[str, Callable[[_Asked], LiquidCell]] = {"cfc": _cfc, "ltc": _ltc, "ncp": _ncp}
CIRCUITS: dict[str, Callable[[_Asked, Wiring], LiquidCell]] = {"ltc": _wired_ltc, "cfc": _wired_cfc}


def liquid_cell(
    name: str,
    input_dim: int,
    units: int,
    *,
    backbone_units: int = 128,
    cfc_mode: CfCMode = "default",
    unfolds: int = 6,
    ncp_cell: CircuitCell = "ltc",
    wiring: Wiring | None = None,
    path: Path = "auto",
) -> LiquidCell:
    """Builds the liquid cell of a name.

    Args:
        name: A key of `LIQUID`.
        input_dim: Channels of the input.
        units: Number of liquid units; 4 or more for a circuit.
        backbone_units: Width of the hidden layer of the cell `cfc`; the others have none.
        cfc_mode: Form of a closed-form cell, wired or not; the others have one.
        unfolds: Steps of the solver in a token, of cells that are solved step by step.
        ncp_cell: Which cell `ncp` wires, a key of `CIRCUITS`.
        wiring: How `ncp` wires it; `None` for that of `circuit`.
        path: Which computation of the recurrence runs.

    Returns:
        The cell.

    Raises:
        ValueError: If there is no cell of that name, or a circuit is too small.

    Example:
        >>> liquid_cell("cfc", 3, 8).units
        8
        >>> liquid_cell("cfs", 3, 8)
        Traceback (most recent call last):
        ...
        ValueError: unknown liquid_backbone 'cfs'; did you mean 'cfc'? known: cfc, ltc, ncp
    """
    asked = _Asked(input_dim, units, backbone_units, cfc_mode, unfolds, ncp_cell, wiring, path)
    return pick(LIQUID, name, "liquid_backbone")(asked)
