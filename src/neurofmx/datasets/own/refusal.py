"""Errors about somebody's own files: what they hold stands beside what was asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

SHOWN = 40  # names in a message


class Refused(ValueError):
    """A file or an option that cannot be used; the message says what is there instead."""


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Turn whatever a reader trips over into an error about the file.

    A damaged file makes a library fail in its insides, with an error of any class. Whoever brought the file needs its
    name, and that it cannot be read.

    Args:
        path: The file.
        what: What it is read as, such as `an NWB file`.

    Raises:
        Refused: If anything fails inside the block.
    """
    try:
        yield
    except Refused as error:
        raise error if str(path) in str(error) else Refused(f"{path}: {error}") from None
    except Exception as error:
        reason = " ".join(str(error).split()) or "no reason given"
        raise Refused(
            f"{path}: cannot be read as {what} ({type(error).__name__}: {reason[:300]}); "
            "it is damaged or of another kind: open it with the program that wrote it and save it anew"
        ) from error


def choose(known: Iterable[str], name: str, *, option: str, what: str) -> str:
    """The one of the known names that is meant.

    Args:
        known: What the file holds; names with slashes may be asked for by their last parts, if one alone ends so.
        name: What was asked for.
        option: The option that asked.
        what: What the names are, in the singular.

    Returns:
        One of `known`.

    Raises:
        Refused: If none or several are meant, listing what there is.

    Example:
        >>> choose(["acquisition/Position/x", "acquisition/Position/y"], "y", option="series", what="series")
        'acquisition/Position/y'
    """
    known = sorted(known)
    if name in known:
        return name
    ends = [candidate for candidate in known if candidate.endswith(f"/{name.strip('/')}")]
    if len(ends) == 1:
        return ends[0]
    if ends:
        raise Refused(f"{option}={name}: several {what} end so; name one of {listed(ends)}")
    lowered = {part: each for each in known for part in (each.split("/")[-1].lower(), each.lower())}
    nearest = get_close_matches(name.lower(), list(lowered), n=1, cutoff=0.3)
    hint = f"did you mean {lowered[nearest[0]]!r}? " if nearest else ""
    raise Refused(f"{option}={name}: there is no such {what}; {hint}there is {listed(known)}")


def listed(names: Iterable[str]) -> str:
    """Names for a message, the first of many."""
    names = list(names)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return (", ".join(names[:SHOWN]) or "none") + more
