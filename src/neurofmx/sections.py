"""One section of params.yaml and its class: every wrong key and value is named in full, with what is allowed."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

Section = TypeVar("Section", bound=BaseModel)


_INSIDE = re.compile(r"__root__|constrained-\w+")  # pydantic's own names for places, no keys


class ParamsError(ValueError):
    """params.yaml holds something it must not; the message names key, value and what is allowed."""


def problems_of(key: tuple[str, ...], section: type[BaseModel], values: Any) -> list[str]:
    """What is wrong with a section, one sentence a key.

    Args:
        key: Where the section stands, from the root.
        section: Its class.
        values: What stands there.

    Returns:
        Empty when all is well.
    """
    if not isinstance(values, Mapping | None):
        return [f"{'.'.join(key)}={values}: must hold keys and values"]
    try:
        made = section(**mapping(values))
    except ValidationError as error:
        return [say(key, section, problem) for problem in error.errors()]
    return list(taken_for(key, mapping(values), made))


def build(key: tuple[str, ...], section: type[Section], values: Any) -> Section:
    """A section of its class; arguments as of `problems_of`, raises ValueError with all that it says."""
    problems = problems_of(key, section, values)
    if problems:
        raise ValueError("\n  ".join(problems))
    return section(**mapping(values))


def taken_for(key: tuple[str, ...], given: Any, made: Any) -> Iterator[str]:
    """Values that a class took for another kind than they are: pydantic makes 1 of `true`, and a number of a text.

    Args:
        key: Where they stand, from the root.
        given: What stands there.
        made: What the class made of it.

    Yields:
        A sentence a key.
    """
    if isinstance(made, BaseModel):
        made = {name: getattr(made, name) for name in type(made).model_fields}
    if isinstance(given, Mapping) and isinstance(made, Mapping):
        for name in given.keys() & made.keys():
            yield from taken_for((*key, str(name)), given[name], made[name])
    elif isinstance(given, Sequence) and isinstance(made, list | tuple):
        for place, pair in enumerate(zip(given, made, strict=False)):
            yield from taken_for((*key, str(place)), *pair)
    elif isinstance(made, bool) and not isinstance(given, bool):
        yield f"{'.'.join(key)}={given}: must be true or false"
    elif isinstance(made, int | float) and isinstance(given, bool | str) and not isinstance(made, bool):
        yield f"{'.'.join(key)}={str(given).lower()}: must be a number"


def say(key: tuple[str, ...], section: type[BaseModel], problem: Any) -> str:
    """One problem as `key=value: what is allowed`."""
    where = ".".join(str(part) for part in (*key, *problem["loc"]) if not _INSIDE.fullmatch(str(part)))
    given = problem["input"]
    shown = "" if isinstance(given, (Mapping, BaseModel)) else f"={given}"
    if problem["type"] == "extra_forbidden":
        owner = _owner(section, problem["loc"][:-1])
        return f"{where}{shown}: unknown key; {_allowed(str(problem['loc'][-1]), owner.model_fields)}"
    if problem["type"] == "literal_error":
        options = re.findall(r"'([^']*)'", problem["ctx"]["expected"])
        return f"{where}{shown}: {_allowed(str(given), options)}"
    if problem["type"] in ("tuple_type", "list_type"):
        return f"{where}{shown}: must be a list" + ("" if isinstance(given, str | Mapping) else f", such as [{given}]")
    return f"{where}{shown}: {problem['msg'].removeprefix('Value error, ')}".removeprefix(": ")


def _owner(section: type[BaseModel], path: tuple[Any, ...]) -> type[BaseModel]:
    """The section class that holds the key at the end of `path`."""
    for part in path:
        field = section.model_fields.get(part)
        kind = field.annotation if field else None
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            section = kind
        elif field is not None:  # a dictionary of sections: its values' class
            inner = [
                arg for arg in getattr(kind, "__args__", ()) if isinstance(arg, type) and issubclass(arg, BaseModel)
            ]
            section = inner[0] if inner else section
    return section


def _allowed(given: str, names: Iterable[str]) -> str:
    names = list(names)
    nearest = difflib.get_close_matches(given, names, n=1, cutoff=0.5)
    hint = f"did you mean {nearest[0]!r}? " if nearest else ""
    return f"{hint}allowed: {', '.join(names) or 'none'}"


def mapping(section: Any, key: str = "a section of params.yaml") -> Mapping[str, Any]:
    """A section that must be a mapping, `key` in the message if it is none; an empty one may be left blank in YAML."""
    if section is None:
        return {}
    if not isinstance(section, Mapping):
        raise ParamsError(f"{key} must hold keys and values, found {section!r}")
    return section
