"""Settings on a terminal: tables of a group, everything about one."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from neurofmx.command.file import ParamsFile
from neurofmx.command.names import NAMES, Named, in_groups
from neurofmx.command.settings import GROUPS, Setting
from neurofmx.command.values import as_block, as_yaml
from neurofmx.tables import pick

WIDTH = 110
LONG = 80  # characters of a cell that others are no longer padded to


def overview(file: ParamsFile) -> str:
    """All groups with their values; `*` marks what differs from the default."""
    blocks = [_table(file, name, of_the_run(file, _members(file, name)), help_too=False) for name in GROUPS]
    rest = sorted({each.group for each in file.settings.values()} - set(GROUPS))
    note = (
        "* differs from its default. `neurofmx config show GROUP` or `KEY` says what each does.\n"
        "Of datasets those of `run` are shown here.\n"
    )
    also = textwrap.fill(f"Also: {', '.join(rest)}", WIDTH, break_on_hyphens=False)
    return "\n".join([*(block for block in blocks if block), note + also])


def of_the_run(file: ParamsFile, some: list[Setting]) -> list[Setting]:
    """Settings that a plain `dvc repro` reads: of datasets those that `run` names."""
    named = (file.tree.get("run") or {}).get("datasets") or {}
    return [each for each in some if not each.key.startswith("datasets.") or each.key.split(".")[1] in named]


def shown(file: ParamsFile, name: str) -> str:
    """A group, a section, or one setting.

    Raises:
        ValueError: If there is none of that name, with the nearest.
    """
    inside = [each for each in file.settings.values() if each.key.startswith(f"{name}.")]
    if some := _members(file, name) or inside:
        return _table(file, name, some, help_too=True)
    if (named := NAMES.get(name)) and "<name>" in named.key:
        return _table(file, named.key, _of_each(file, named), help_too=False)
    key = file.find(name, among=[*GROUPS, *file.tree])
    if key in file.settings:
        return setting(file, file.settings[key])
    return as_block(key, file.held(key))


def setting(file: ParamsFile, one: Setting) -> str:
    """Everything about one setting."""
    return "\n".join(
        [
            f"{one.key}  ({one.group})",
            *textwrap.wrap(one.help or "-", WIDTH, initial_indent="  ", subsequent_indent="  "),
            f"  now      {as_yaml(file.value(one.key))}",
            f"  default  {one.shown_default}",
            f"  allowed  {one.allowed}",
        ]
    )


def _of_each(file: ParamsFile, named: Named) -> list[Setting]:
    """What every dataset that has such tokens says of a parameter."""
    having = {each.key.split(".")[1] for each in _members(file, named.group)}
    keys = (named.key.replace("<name>", dataset) for dataset in file.tree["datasets"] if dataset in having)
    return [file.settings[key] for key in keys if key in file.settings]


def index(name: str | None = None) -> str:
    """Which key each parameter of the system's description has, or one of them."""
    wanted = [name] if name else [each for members in in_groups().values() for each in members]
    lines = []
    for each in wanted:
        named = pick(NAMES, each, "parameter")
        lines.append(
            f"{named.group:<15} {each:<26} {named.key or '(derived)'}{'  ' + named.note if named.note else ''}"
        )
    return "\n".join(lines)


def changes(before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = "") -> list[str]:
    """What differs between two trees, as `key: old -> new`."""
    lines = []
    for key in [*before, *(key for key in after if key not in before)]:
        old, new = before.get(key), after.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            lines += changes(old, new, f"{prefix}{key}.")
        elif key not in before or key not in after or (old, type(old) is bool) != (new, type(new) is bool):
            was, now = (as_yaml(tree[key]) if key in tree else "(default)" for tree in (before, after))
            lines.append(f"{prefix}{key}: {was} -> {now}")
    return lines


def _members(file: ParamsFile, name: str) -> list[Setting]:
    return [each for each in file.settings.values() if each.group == name]


def _table(file: ParamsFile, name: str, some: list[Setting], *, help_too: bool) -> str:
    """Settings below each other: key, value, default and bounds, and what each does; empty for none."""
    rows = [(each.key, as_yaml(file.value(each.key)), each.shown_default, each.allowed) for each in some]
    # one long list must not push the column behind it off the screen
    widths = [max((len(row[column]) for row in rows if len(row[column]) <= LONG), default=0) for column in range(3)]
    lines = [f"{name}: {GROUPS[name]}" if name in GROUPS else name] if rows else []
    for one, (key, value, default, allowed) in zip(some, rows, strict=True):
        mark = " " if value == default else "*"
        lines.append(f"{mark} {key:<{widths[0]}}  {value:<{widths[1]}}  default {default:<{widths[2]}}  {allowed}")
        if help_too:
            lines += textwrap.wrap(one.help, WIDTH, initial_indent="    ", subsequent_indent="    ")
    return "".join(f"{line}\n" for line in lines)
