"""The liquid cells a network can be built with, by name.

| name  | cell                                                                                  |
|-------|---------------------------------------------------------------------------------------|
| `cfc` | closed form: gates interpolate between two states as time passes                      |
| `ltc` | leaky neurons with graded synapses, solved step by step                               |
| `ncp` | the same wired sparsely as a neural circuit policy; the first units are motor neurons |

Every cell is called as `y, state = cell(x, state, tau=factors)`, so that one can stand in for another.
"""

from __future__ import annotations

from collections.abc import Callable

from neurofmx.kernels.cfc_modes import CfCMode
from neurofmx.kernels.path import Path
from neurofmx.layers.cfc import CfC
from neurofmx.layers.ltc import LTC
from neurofmx.layers.wiring import Wiring, neural_circuit
from neurofmx.tables import pick

LiquidCell = CfC | LTC

_MOTOR_SHARE = 0.3  # of the units of a circuit


def circuit(input_dim: int, units: int) -> Wiring:
    """The wiring of the cell `ncp`: always the same for the same sizes, so that saved weights fit it.

    Args:
        input_dim: Channels of the input.
        units: Number of liquid units, 4 or more; 3 in 10 are motor neurons.

    Returns:
        The wiring.

    Raises:
        ValueError: If there are too few units.
    """
    if units < 4:
        raise ValueError(f"units must be 4 or more for the layers of a circuit, got {units}: take ltc or cfc")
    return neural_circuit(input_dim, units, motor=max(1, round(_MOTOR_SHARE * units)))


def _cfc(input_dim: int, units: int, backbone_units: int, mode: CfCMode, path: Path) -> LiquidCell:
    """The closed-form cell."""
    return CfC(input_dim, units, backbone_units=backbone_units, mode=mode, path=path)


def _ltc(input_dim: int, units: int, backbone_units: int, mode: CfCMode, path: Path) -> LiquidCell:
    """The cell with all synapses, which has no hidden layer."""
    return LTC(input_dim, units, path=path)


def _ncp(input_dim: int, units: int, backbone_units: int, mode: CfCMode, path: Path) -> LiquidCell:
    """The cell with the synapses of a circuit."""
    return LTC(input_dim, units, wiring=circuit(input_dim, units), path=path)


LIQUID: dict[str, Callable[[int, int, int, CfCMode, Path], LiquidCell]] = {"cfc": _cfc, "ltc": _ltc, "ncp": _ncp}


def liquid_cell(
    name: str,
    input_dim: int,
    units: int,
    *,
    backbone_units: int = 128,
    cfc_mode: CfCMode = "default",
    path: Path = "auto",
) -> LiquidCell:
    """Builds the liquid cell of a name.

    Args:
        name: A key of `LIQUID`.
        input_dim: Channels of the input.
        units: Number of liquid units; 4 or more for a circuit.
        backbone_units: Width of the hidden layer of a closed-form cell; the others have none.
        cfc_mode: Form of a closed-form cell; the others have one.
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
    return pick(LIQUID, name, "liquid_backbone")(input_dim, units, backbone_units, cfc_mode, path)
