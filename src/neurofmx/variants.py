"""Variants of a suite: params.yaml with some values changed, each named by its dotted key.

    suites:
      modes_v1:
        common: {models.lstm.num_layers: 3}                        # for all variants
        variants:
          bidirectional: {}                                        # the first one is the baseline
          sequential: {model.integration_mode: sequential}

Every variant is run as params.yaml would be with these values in it, and is checked as such before its suite runs. Not
earlier: an experiment with `-S model.integration_mode=parallel` is right, though one of a suite's variants could not be
run from there.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from neurofmx.sections import ParamsError, mapping
from neurofmx.tables import pick

NAME = re.compile(r"[a-z0-9_]+")
# what a suite says elsewhere, with the place
ELSEWHERE = {
    "run": "the suite's own datasets and compare say what runs",
    "suites": "a suite cannot change suites",
    "download": "where recordings come from is no part of a study",
    "evaluate.seeds": "the suite's own seeds are those of all its variants",
}


def variant_tree(tree: Mapping[str, Any], suite: str, variant: str | None = None) -> dict[str, Any]:
    """The params that a variant of a suite runs with.

    Args:
        tree: Nested mappings as in params.yaml.
        suite: Key of its `suites`.
        variant: Key of the suite's `variants`; None for what all of them share.

    Returns:
        A copy with the suite's datasets beside those of `run`, its seeds, the common changes and the variant's; without
        `suites`. The models to compare with are the same for all variants: the first one, the baseline, has them.

    Raises:
        ValueError: If there is no such suite or variant, or a change names no value.
    """
    section = mapping(pick(mapping(tree.get("suites")), suite, "suite in params.yaml"))
    changed = copy.deepcopy({name: value for name, value in tree.items() if name != "suites"})
    run = dict(mapping(changed.get("run")))
    run["datasets"] = dict(mapping(run.get("datasets"))) | dict(mapping(section.get("datasets")))
    first = next(iter(mapping(section.get("variants"))), None)
    run["compare"] = list(section.get("compare") or ()) if variant in (None, first) else []
    changed["run"] = run
    changed["evaluate"] = dict(mapping(changed.get("evaluate"))) | {"seeds": section.get("seeds")}
    for key, value in changes_of(section, variant).items():
        _set(changed, key, value)
    return changed


def changes_of(suite: Mapping[str, Any], variant: str | None = None) -> dict[str, Any]:
    """The changes that a variant makes, dotted key to value: the common ones and its own.

    Raises:
        ValueError: With the nearest name if the suite has no such variant.
    """
    common = dict(mapping(suite.get("common")))
    if variant is None:
        return common
    return common | dict(mapping(pick(mapping(suite.get("variants")), variant, "variant of the suite")))


def override(key: str, value: Any) -> str:
    """A change as `dvc exp run -S` takes it, whether or not params.yaml names the key.

    Example:
        >>> override("model.use_mamba", False)
        '++model.use_mamba=false'
        >>> override("evaluate.robustness.noise", [0.5, 1.0])
        '++evaluate.robustness.noise=[0.5,1.0]'
    """
    return f"++{key}={_hydra(value)}"


def name_problems(tree: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the names and keys of all suites' variants, whatever values stand in params.yaml.

    Args:
        tree: Nested mappings as in params.yaml, of which all else is in order.

    Yields:
        Sentences that name suite, variant, key, value and rule.
    """
    for name, suite in mapping(tree.get("suites")).items():
        section = mapping(suite)
        variants = mapping(section.get("variants"))
        where = f"suites.{name}"
        yield from _name_problems(where, variants, section.get("compare") or ())
        own = [(f"{where}.variants.{variant}", mapping(changes)) for variant, changes in variants.items()]
        for place, changes in [(f"{where}.common", mapping(section.get("common"))), *own]:
            yield from _key_problems(place, changes, tree, section)


def variant_problems(
    tree: Mapping[str, Any], suite: str, check: Callable[[Mapping[str, Any]], object]
) -> Iterator[str]:
    """What is wrong with the params that the variants of one suite run with, one sentence each.

    Args:
        tree: Nested mappings as in params.yaml, without `name_problems`.
        suite: Key of its `suites`.
        check: Raises ParamsError with all that is wrong with a tree of params, a line each after the first.

    Yields:
        Sentences that name suite, variant, key, value and rule.
    """
    section = mapping(pick(mapping(tree.get("suites")), suite, "suite in params.yaml"))
    where = f"suites.{suite}"
    for variant in mapping(section.get("variants")) or (None,):
        place = where if variant is None else f"{where}.variants.{variant}"
        try:
            check(variant_tree(tree, suite, variant))
        except ParamsError as error:
            yield from (f"{place}: {line.strip()}" for line in str(error).splitlines()[1:])
        except ValueError as error:
            yield f"{place}: {error}"


def _name_problems(where: str, variants: Mapping[str, Any], compared: Sequence[str]) -> Iterator[str]:
    """Names that DVC could not join, or that would stand twice in the suite's table."""
    for variant in variants:
        if not NAME.fullmatch(str(variant)):
            yield f"{where}.variants: name {variant!r}: use a-z, 0-9 and _ only, as DVC joins names with '-'"
        if variant in ("linear", "model", *compared):
            yield f"{where}.variants.{variant}: the suite's table has a model of that name; choose another"


def _key_problems(
    place: str, changes: Mapping[str, Any], tree: Mapping[str, Any], suite: Mapping[str, Any]
) -> Iterator[str]:
    """Keys that a variant must not change, or that nothing would read."""
    named = set(mapping(mapping(tree.get("run")).get("datasets"))) | set(mapping(suite.get("datasets")))
    compared = {"linear", *(suite.get("compare") or ())}
    for key, value in changes.items():
        head, _, rest = str(key).partition(".")
        owner = rest.partition(".")[0]
        reason = next((why for fixed, why in ELSEWHERE.items() if f"{key}.".startswith(f"{fixed}.")), None)
        if reason:
            yield f"{place}: {key}: {reason}"
        elif not rest:
            yield f"{place}: {key}: must name one value by its dotted key, such as model.integration_mode"
        elif isinstance(value, Mapping):
            yield f"{place}: {key}={value}: must be one value; name those inside by their own dotted keys"
        elif head == "datasets" and owner not in named:
            yield f"{place}: {key}: neither run nor the suite has a dataset {owner}"
        elif head == "models" and (owner not in compared or ".variants." in place):
            yield (
                f"{place}: {key}: models to compare with are the same for all variants: name {owner} in the suite's "
                "compare, and its settings under common"
            )


def _set(tree: dict[str, Any], key: str, value: Any) -> None:
    """Set one value by its dotted key; sections on the way are made if they are missing."""
    *path, last = key.split(".")
    node = tree
    for depth, part in enumerate(path):
        inner = node.get(part)
        if inner is not None and not isinstance(inner, Mapping):
            raise ValueError(f"{key}: {'.'.join(path[: depth + 1])} is a value ({inner}) and holds no keys")
        below = dict(inner or {})
        node[part] = below
        node = below
    node[last] = value


def _hydra(value: Any) -> str:
    """A value in the grammar of Hydra's overrides."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return f"[{','.join(_hydra(each) for each in value)}]"
    if isinstance(value, str) and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_./-]*", value):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return str(value)
