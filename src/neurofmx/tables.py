"""Look-up in the plain name tables of the package, with a helpful error for a wrong name."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import TypeVar

Entry = TypeVar("Entry")
NEAR = 0.5  # likeness from which on a name may be meant by another, of 0 to 1 as difflib counts it


def pick(table: Mapping[str, Entry], name: str, what: str) -> Entry:
    """Return the entry called `name`, or say which name was probably meant and which there are.

    Args:
        table: Entries by name.
        name: The name asked for.
        what: What the table holds, in the singular, for the error message.

    Returns:
        The entry of the table.

    Raises:
        ValueError: If no entry has that name.

    Example:
        >>> pick({"lif": 1, "cfc": 2}, "cfc", "layer")
        2
        >>> pick({"lif": 1, "cfc": 2}, "lyf", "layer")
        Traceback (most recent call last):
        ...
        ValueError: unknown layer 'lyf'; did you mean 'lif'? known: cfc, lif
        >>> pick({"lif": 1, "cfc": 2}, "gru", "layer")
        Traceback (most recent call last):
        ...
        ValueError: unknown layer 'gru'; known: cfc, lif
    """
    if name in table:
        return table[name]
    nearest = get_close_matches(str(name), list(table), n=1, cutoff=NEAR)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ";"
    raise ValueError(f"unknown {what} {name!r}{hint} known: {', '.join(sorted(table)) or 'none'}")
