"""Addresses of flat arrays, for loops whose rounds are so short that counting who uses an array would be felt.

numba counts the users of an array wherever a function is handed one and a loop names one, with a locked instruction,
and an array fills seven registers. An address is one register and nobody counts; `load`, `store` and their like take
either. Whoever takes an address must `hold` the array until it is needed no longer.
"""

from __future__ import annotations

from typing import Any

from numba import extending, types

# to a type checker: what this decorates is called by compiled code, without the context
intrinsic: Any = extending.intrinsic


def data_of(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    """The address of the first number of a flat array, or of what `start_of` made of one."""
    return value if isinstance(kind, types.CPointer) else context.make_array(kind)(context, builder, value).data


@intrinsic
def start_of(_context, array):
    """An array's address, which loads and stores take in its place."""

    def emit(context, builder, _signature, arguments):
        return data_of(context, builder, array, arguments[0])

    return types.CPointer(array.dtype)(array), emit


@intrinsic
def hold(_context, array):
    """Does nothing, so that an array lives up to here."""

    def emit(context, _builder, _signature, _arguments):
        return context.get_dummy_value()

    return types.void(array), emit
