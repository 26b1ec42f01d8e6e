"""Change a YAML file's tree and keep its comments where they belong.

ruamel.yaml hangs a comment on the entry before it: what stands between two keys, the heading of the next section too,
belongs to the last entry of the one above. So an entry that is replaced, added or taken away hands it on.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, YAMLError
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import CommentMark
from ruamel.yaml.representer import RoundTripRepresenter
from ruamel.yaml.scalarbool import ScalarBoolean
from ruamel.yaml.scalarstring import SingleQuotedScalarString
from ruamel.yaml.tokens import CommentToken

from neurofmx.command.values import as_yaml


class _Representer(RoundTripRepresenter):
    """Writes null as params.yaml does."""


_Representer.add_representer(type(None), lambda self, _: self.represent_scalar("tag:yaml.org,2002:null", "null"))


def _yaml() -> YAML:
    yaml = YAML()
    yaml.Representer = _Representer
    yaml.width = 4096
    yaml.preserve_quotes = True
    return yaml


def read(path: Path) -> CommentedMap:
    """The file's tree with its comments.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no YAML, or holds no keys and values.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; run this in the root of the repository, or name another file")
    try:
        tree = _yaml().load(path)
    except YAMLError as error:
        raise ValueError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(tree, CommentedMap):
        raise ValueError(f"{path}: must hold sections with keys and values")
    return tree


def as_text(tree: CommentedMap) -> str:
    """The tree as it is written."""
    stream = io.StringIO()
    _yaml().dump(tree, stream)
    return stream.getvalue()


def plain(node: Any) -> Any:
    """The tree as a reader without comments sees it, in Python's own types."""
    if isinstance(node, Mapping):
        return {key: plain(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [plain(value) for value in node]
    if isinstance(node, bool | ScalarBoolean):
        return bool(node)
    kind = next((kind for kind in (int, float, str) if isinstance(node, kind)), None)
    return node if kind is None else kind(node)


def put(tree: CommentedMap, key: str | Sequence[str], value: Any, *, order: Mapping[str, Any] | None = None) -> None:
    """Set one value.

    Args:
        tree: The file's tree.
        key: Dotted key, or its parts where one of them holds dots; sections on the way that are missing are made.
        value: What stands there afterwards.
        order: Keys of that section in the order of reading: a new one comes after those that stand before it.
    """
    *path, last = key.split(".") if isinstance(key, str) else key
    node, lines = tree, []
    for part in path:
        if not isinstance(node.get(part), CommentedMap):
            _replace(node, part, {}) if part in node else _add(node, part, {}, None)
        lines += [(node, part)] if node[part].fa.flow_style() and not node.fa.flow_style() else []
        node = node[part]
    if last in node:
        _replace(node, last, value)
    else:
        _add(node, last, value, _before(node, last, list(order or ())))
    for owner, part in lines:  # the line has another length: its comment follows it, two blanks behind
        _give(owner, part, _take(owner, part))


def become(node: CommentedMap, wanted: Mapping[str, Any]) -> None:
    """Make a section hold exactly some keys and values; comments of keys that stay are kept."""
    for key, value in wanted.items():
        if key not in node:
            _add(node, key, value, None)
        elif isinstance(node[key], CommentedMap) and isinstance(value, Mapping) and value:
            become(node[key], value)
        elif node[key] != value:
            _replace(node, key, value)
    for key in [key for key in node if key not in wanted]:
        _drop(node, key)


def only(tree: CommentedMap, wanted: Sequence[str]) -> str:
    """Some sections of a file as text, each with the comment above it; `tree` is used up."""
    headings = {}
    for above, key in list(pairwise(tree)):
        own, headings[key] = _split(_take(tree, above))
        _give(tree, above, own)
    for key in [key for key in tree if key not in wanted]:
        del tree[key]
    tree.ca.comment = None
    for above, key in pairwise(list(tree)):
        _give(tree, above, _take(tree, above).rstrip("\n") + headings[key])
    return headings.get(next(iter(tree), ""), "").lstrip("\n") + as_text(tree)


def _before(node: CommentedMap, key: str, order: list[str]) -> str | None:
    """The last key of a section that is to stand before a new one; None for the section's last."""
    if key not in order:
        return None
    earlier = [each for each in node if each in order[: order.index(key)]]
    return max(earlier, key=order.index) if earlier else None


def _replace(node: CommentedMap, key: str, value: Any) -> None:
    comment = _take(node, key)
    node[key] = _styled(value, node[key])
    _give(node, key, comment)


def _add(node: CommentedMap, key: str, value: Any, after: str | None) -> None:
    """Behind another key, or the last; what follows that one follows the new one."""
    if not node or node.fa.flow_style():
        node[key] = _styled(value, None, flow=True)
        return
    after = list(node)[-1] if after is None else after
    own, rest = _split(_take(node, after))
    _give(node, after, own)
    node.insert(list(node).index(after) + 1, key, _styled(value, None))
    _give(node, key, rest)


def _drop(node: CommentedMap, key: str) -> None:
    """Take a key away; what follows it follows the one before."""
    keys = list(node)
    place = keys.index(key)
    rest = "" if node.fa.flow_style() else _split(_take(node, key))[1]
    del node[key]
    if rest and place:
        _give(node, keys[place - 1], _take(node, keys[place - 1]).rstrip("\n") + rest)
    elif rest.strip() and len(keys) > 1:
        node.yaml_set_comment_before_after_key(keys[1], before=_uncommented(rest))


def _uncommented(text: str) -> str:
    return "\n".join(line.strip().removeprefix("#").removeprefix(" ") for line in text.strip().splitlines())


def _styled(value: Any, old: Any, *, flow: bool = False) -> Any:
    """A value for the tree: lists and small mappings on one line, unless what they replace is a block."""
    if isinstance(value, Mapping):
        new = CommentedMap((key, _styled(each, None, flow=flow)) for key, each in value.items())
        block = isinstance(old, CommentedMap) and len(old) and not old.fa.flow_style()
    elif isinstance(value, list | tuple):
        new = CommentedSeq(_styled(each, None, flow=True) for each in value)
        block = isinstance(old, CommentedSeq) and len(old) and not old.fa.flow_style()
    elif isinstance(value, str) and as_yaml(value) != value:  # plain, DVC's reader would refuse it inside of brackets
        return SingleQuotedScalarString(value)
    else:
        return value
    nested = isinstance(new, CommentedMap) and any(isinstance(each, CommentedMap) for each in new.values())
    if new and not flow and (block or nested):
        new.fa.set_block_style()
    else:
        new.fa.set_flow_style()
    return new


def _innermost(node: Any, key: Any) -> tuple[Any, Any, int]:
    """The entry on whose last line a key's value ends, and where its comment hangs there."""
    value = node[key]
    while isinstance(value, CommentedMap | CommentedSeq) and len(value) and not value.fa.flow_style():
        node, key = value, (list(value)[-1] if isinstance(value, CommentedMap) else len(value) - 1)
        value = node[key]
    return node, key, 2 if isinstance(node, CommentedMap) else 0


def _take(node: CommentedMap, key: str) -> str:
    """Take the comment that follows an entry off it: on its line, and all lines down to the next entry."""
    owner, last, place = _innermost(node, key)
    items = owner.ca.items.get(last)
    token = items[place] if items else None
    if token is None:
        return ""
    items[place] = None
    value = owner[last]
    if isinstance(value, CommentedMap | CommentedSeq):
        value.ca.comment = None
    return token.value


def _give(node: CommentedMap, key: str, text: str) -> None:
    """Hang a comment on an entry."""
    if not text:
        return
    own, rest = _split(text)
    if own.strip():
        text = f" {own.strip()}\n{rest[1:]}"  # two blanks before it, with the one that ruamel.yaml writes
    owner, last, place = _innermost(node, key)
    items = owner.ca.items.setdefault(last, [None, None, None, None])
    items[place] = CommentToken(text, CommentMark(0), None)


def _split(text: str) -> tuple[str, str]:
    """What stands on an entry's own line, and what follows from the line's end on."""
    own, end, rest = text.partition("\n")
    return (own + end if own.strip() else ""), (end + rest if rest else "")
