"""params.yaml as the command changes it: checked as a whole, then written in one step, comments and order kept."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ruamel.yaml.comments import CommentedMap

from neurofmx.atomic import atomic
from neurofmx.command import commented, names
from neurofmx.command.settings import Setting, settings
from neurofmx.params import ParamsError, check_params, check_suite
from neurofmx.plan import Suite

BY_NAME = ("datasets", "models", "suites")  # sections whose keys are names: what a file names is replaced, no more
WHOLE = ("model", "train")  # sections that name every key, so that `dvc exp run -S` needs no plus sign


class ParamsFile:
    """A params.yaml that is read, changed in memory, and written only if all of it is right.

    Args:
        path: The file.

    Attributes:
        tree: Its sections, without comments.
        settings: Every setting that it has or could have, by key.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is no YAML.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._tree = commented.read(path)
        self._seen()
        before = self.tree.get("suites")
        self._suites = before if isinstance(before, Mapping) else {}

    def _seen(self) -> None:
        """Look at the tree anew, as it has changed."""
        self.tree: dict[str, Any] = commented.plain(self._tree)
        self.settings = settings(self.tree)

    def problems(self) -> list[str]:
        """What is wrong with it, one sentence each; empty when all is well. A suite that was changed must run, too."""
        if found := problems(self.tree, source=str(self.path)):
            return found
        suites = self.tree.get("suites") or {}
        return self.unrunnable(name for name, suite in suites.items() if suite != self._suites.get(name))

    def unrunnable(self, suites: Iterable[str] | None = None) -> list[str]:
        """What keeps suites, default all, from running as the file stands, though it is right without them."""
        found = []
        for suite in (self.tree.get("suites") or {}) if suites is None else suites:
            try:
                check_suite(self.tree, suite)
            except ParamsError as error:
                found += [line.strip() for line in str(error).splitlines()[1:]]
        return found

    def value(self, key: str) -> Any:
        """What stands at a key, else its default."""
        node: Any = self.tree
        for part in _parts(key):
            if not isinstance(node, Mapping) or part not in node:
                return self.settings[key].default if key in self.settings else None
            node = node[part]
        return node

    def held(self, key: str) -> Any:
        """What stands at a key that is no setting, such as a dataset of a run or a value of a suite's variant.

        Raises:
            ValueError: If nothing stands there, with the nearest name of what does.
        """
        parts, node = _parts(key), self.tree
        for depth, part in enumerate(parts):
            if isinstance(node, Mapping) and part in node:
                node = node[part]
            elif (known := ".".join(parts[: depth + 1])) in self.settings:
                node = self.settings[known].default
            elif depth == 2 and parts[0] == "suites" and part in Suite.model_fields:
                node = Suite.model_fields[part].get_default()
            else:
                there = [str(each) for each in node] if isinstance(node, Mapping) else []
                where, holds = ".".join(parts[:depth]), ", ".join(there) or "no keys"
                raise ValueError(
                    f"{key}: nothing stands there: {where} has no {part}{_nearest(part, there)} it holds {holds}"
                )
        return node

    def set(self, key: str, value: Any) -> None:
        """Change one value in memory; `key` as `find` gives it."""
        section = key.rpartition(".")[0]
        order = {each.rpartition(".")[2]: None for each in self.settings if each.rpartition(".")[0] == section}
        commented.put(self._tree, _parts(key), value, order=order)
        self._seen()

    def copied(self) -> CommentedMap:
        """What it holds now, for `restore`."""
        return copy.deepcopy(self._tree)

    def restore(self, tree: CommentedMap) -> None:
        """Hold what it held when that was `copied`, and not a key more."""
        self._tree = tree
        self._seen()

    def find(self, name: str, *, among: Iterable[str] = ()) -> str:
        """The key that a name means: a key, or a parameter's name alone.

        Args:
            name: The name.
            among: What else it could have been, for the message.

        Raises:
            ValueError: If there is none, with the nearest.
        """
        known = self.settings
        if name in known or self._holds(name) or any(name.startswith(f"{key}.") for key in known if _free(known[key])):
            return name
        if (alone := name.removeprefix("model.")) in names.NAMES:
            return names.key_of(alone)
        if name.partition(".")[0] == "suites" and name.count("."):
            return name
        everything = [*among, *known, *(each for each in names.NAMES if names.NAMES[each].key)]
        raise ValueError(f"{name}: unknown key{_nearest(name, everything)} `neurofmx config show` lists them")

    def _holds(self, key: str) -> bool:
        node: Any = self.tree
        for part in _parts(key):
            if not isinstance(node, Mapping) or part not in node:
                return False
            node = node[part]
        return True

    def load(self, sections: Mapping[str, Any]) -> None:
        """Take sections over in memory: each replaces that of the file; of `BY_NAME` the entries that are named.

        What a section of `WHOLE` leaves out is written with its default.
        """
        for name, section in sections.items():
            if name in BY_NAME and isinstance(section, Mapping):
                section = {**(self.tree.get(name) or {}), **section}
            elif name in WHOLE and isinstance(section, Mapping):
                section = {**self._defaults(name), **section}
            commented.become(self._tree, {**self.tree, name: section})
            self._seen()

    def _defaults(self, section: str) -> dict[str, Any]:
        """Every key of a section with its default, in the order of the file."""
        known = {
            key.removeprefix(f"{section}."): commented.plain(each.default)
            for key, each in self.settings.items()
            if key.startswith(f"{section}.")
        }
        return {key: known[key] for key in self.tree.get(section) or {} if key in known} | known

    def check(self) -> None:
        """Refuse it as `write` would, and write nothing.

        Raises:
            ParamsError: If anything is wrong, with all of it.
        """
        if found := self.problems():
            raise ParamsError("\n  ".join([f"{self.path} stays as it was:", *found]))

    def write(self, path: Path | None = None) -> None:
        """Write it, or a copy of it, if all of it is right; raises as `check`, and then nothing is written."""
        self.check()
        with atomic(path or self.path) as part:
            part.write_text(commented.as_text(self._tree), encoding="utf-8")

    def part(self, sections: Iterable[str]) -> str:
        """Some of its sections, or all if none is named, with their comments, as text."""
        copy = commented.read(self.path)
        wanted = list(sections)
        for name in wanted:
            if name not in copy:
                raise ValueError(
                    f"{name}: no section of {self.path}{_nearest(name, list(copy))} sections: {', '.join(copy)}"
                )
        return commented.only(copy, wanted) if wanted else commented.as_text(copy)


def problems(tree: Mapping[str, Any], *, source: str = "params.yaml") -> list[str]:
    """What is wrong with the sections of a params.yaml, one sentence each."""
    try:
        check_params(tree, source=source)
    except ParamsError as error:
        return [line.strip() for line in str(error).splitlines() if line.strip() != f"{source}:"]
    return []


def _parts(key: str) -> list[str]:
    """The parts of a dotted key: what a suite's `common` and its variants hold are dotted keys themselves.

    Example:
        >>> [_parts(key)[2:] for key in ("suites.a_v1.common.model.beta", "suites.a_v1.variants.b.model.beta")]
        [['common', 'model.beta'], ['variants', 'b', 'model.beta']]
    """
    parts = key.split(".")
    if parts[0] == "suites" and len(parts) > 3:
        depth = {"common": 3, "variants": 4}.get(parts[2], len(parts))
        parts[depth:] = [".".join(parts[depth:])] if parts[depth:] else []
    return parts


def _free(setting: Setting) -> bool:
    """Whether a setting holds keys of its own, such as the datasets of a run."""
    return re.search(r"keys and values", setting.allowed) is not None


def _nearest(name: str, known: list[str]) -> str:
    found = get_close_matches(name, known, n=1, cutoff=0.6)
    found = found or [
        key for key in known if key.rpartition(".")[2] in get_close_matches(name, [key.rpartition(".")[2]])
    ]
    return f"; did you mean {found[0]!r}?" if found else ";"
