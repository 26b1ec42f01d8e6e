"""The liquid cells a network can be built with, by name.

Every cell is called as `y, state = cell(x, state, tau=factors)`, so that one can stand in for another.
"""

from __future__ import annotations

from neurofmx.kernels.path import Path
from neurofmx.layers.cfc import CfC
from neurofmx.tables import pick

LIQUID: dict[str, type[CfC]] = {"cfc": CfC}


def liquid_cell(name: str, input_dim: int, units: int, *, backbone_units: int = 128, path: Path = "reference") -> CfC:
    """Builds the liquid cell of a name.

    Args:
        name: A key of `LIQUID`.
        input_dim: Channels of the input.
        units: Number of liquid units.
        backbone_units: Width of the cell's hidden layer.
        path: Which computation of the recurrence runs.

    Returns:
        The cell.

    Raises:
        ValueError: If there is no cell of that name.

    Example:
        >>> liquid_cell("cfc", 3, 8).units
        8
        >>> liquid_cell("cfs", 3, 8)
        Traceback (most recent call last):
        ...
        ValueError: unknown liquid_backbone 'cfs'; did you mean 'cfc'? known: cfc
    """
    cell = pick(LIQUID, name, "liquid_backbone")
    return cell(input_dim, units, backbone_units=backbone_units, path=path)
