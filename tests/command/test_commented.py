"""Changes of a YAML file keep its comments beside what they speak of."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from neurofmx.command.commented import as_text, become, only, plain, put, read
from neurofmx.command.values import as_yaml, of_text

ROOT = Path(__file__).parents[2]
TEXT = """# the file

# heading of a
a:
  # first part
  x: 1  # eol x
  # second part
  y: null  # eol y
  z: text

# heading of b
b:
  m: {k: 1, l: 2}  # eol m
  n: [1, 2]  # eol n

# heading of c
c:
  s:
  - 1  # one
  - 2

# heading of d
d: 1e-05
"""


@pytest.fixture
def tree(tmp_path: Path):
    (tmp_path / "a.yaml").write_text(TEXT)
    return read(tmp_path / "a.yaml")


def lines(text: str) -> list[str]:
    """The comments of a text, in their order."""
    return [line[line.index("#") :].strip() for line in text.splitlines() if "#" in line]


@pytest.mark.parametrize("name", ["params.yaml", "configs/small.yaml", "configs/demo.yaml", "dvc.yaml"])
def test_reading_and_writing_changes_no_byte(name: str) -> None:
    assert as_text(read(ROOT / name)) == (ROOT / name).read_text()


def test_plain_is_what_a_safe_reader_sees() -> None:
    found, expected = plain(read(ROOT / "params.yaml")), YAML(typ="safe").load(ROOT / "params.yaml")
    assert found == expected
    assert type(found["train"]["learning_rate"]) is float
    assert type(found["model"]["use_mamba"]) is bool
    assert type(found["train"]["threads"]) is int


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("a.x", 22, "  x: 22  # eol x"),
        ("a.y", 3.5, "  y: 3.5  # eol y"),
        ("a.z", None, "  z: null"),
        ("b.m", {"k": 3}, "  m: {k: 3}  # eol m"),
        ("b.m.l", True, "  m: {k: 1, l: true}  # eol m"),
        ("b.m.new", [1], "  m: {k: 1, l: 2, new: [1]}  # eol m"),
        ("b.n", [], "  n: []  # eol n"),
        ("b.m.k", ":'", "  m: {k: ':''', l: 2}  # eol m"),
        ("b.n", ["a,b"], "  n: ['a,b']  # eol n"),
        ("d", 1e-7, "d: 1e-07"),
    ],
)
def test_a_value_changes_its_own_line_alone(tree, key: str, value: object, line: str) -> None:
    put(tree, key, value)
    before, after = TEXT.splitlines(), as_text(tree).splitlines()
    assert len(before) == len(after)
    assert [new for old, new in zip(before, after, strict=True) if old != new] == [line]


def test_a_block_stays_a_block_and_what_follows_it_stays_behind(tree) -> None:
    put(tree, "c.s", [5, 6, 7])
    assert as_text(tree) == TEXT.replace("  - 1  # one\n  - 2\n", "  - 5\n  - 6\n  - 7\n")


def test_a_new_key_comes_after_its_siblings_and_before_the_next_heading(tree) -> None:
    order = {"x": 0, "between": 0, "y": 0, "z": 0, "last": 0}
    put(tree, "a.between", 1, order=order)
    put(tree, "a.last", {}, order=order)
    expected = TEXT.replace("# eol x\n", "# eol x\n  between: 1\n").replace("z: text\n", "z: text\n  last: {}\n")
    assert as_text(tree) == expected


def test_a_key_that_goes_leaves_the_headings(tree) -> None:
    become(tree["a"], {"x": 1, "y": None})
    assert as_text(tree) == TEXT.replace("  z: text\n", "")
    become(tree["a"], {"x": 1})
    assert as_text(tree) == TEXT.replace("  z: text\n", "").replace("  y: null  # eol y\n", "")
    become(tree, {"a": {}, "b": {"n": [1, 2]}, "c": {"s": [1, 2]}, "d": 1})
    assert [line for line in lines(as_text(tree)) if "heading" in line] == lines(TEXT)[1:2] + [
        f"# heading of {name}" for name in "bcd"
    ]


def test_sections_are_saved_with_the_comment_above_each(tree) -> None:
    expected = (
        "# heading of b\n"
        + TEXT[TEXT.index("b:\n") : TEXT.index("# heading of c")]
        + TEXT[TEXT.index("# heading of d") :]
    )
    assert only(tree, ["b", "d"]) == expected


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text("ab: #'{[,", max_size=4), st.lists(st.integers(), max_size=2)
)
CHANGES = st.tuples(st.sampled_from(["a.x", "a.y", "a.z", "a.w", "b.m", "b.m.k", "b.n", "c.s", "d", "e.f.g"]), VALUES)


@given(changes=st.lists(CHANGES, max_size=6))
@settings(max_examples=30, deadline=None)
def test_any_changes_give_their_values_and_lose_no_heading(tmp_path_factory, changes) -> None:
    path = tmp_path_factory.mktemp("yaml") / "a.yaml"
    path.write_text(TEXT)
    tree = read(path)
    expected = copy.deepcopy(plain(tree))
    for key, value in changes:
        node = expected
        *parents, last = key.split(".")
        for part in parents:
            node = (
                node.setdefault(part, {})
                if isinstance(node.get(part, {}), dict)
                else node.update({part: {}}) or node[part]
            )
        node[last] = value
        put(tree, key, value)
    text = as_text(tree)
    assert YAML(typ="safe").load(text) == expected
    headings = [line for line in text.splitlines() if line.startswith("# ")]
    assert headings == [line for line in TEXT.splitlines() if line.startswith("# ")]


@given(
    value=st.recursive(
        VALUES | st.floats(allow_nan=False, allow_infinity=False),
        lambda inner: st.lists(inner) | st.dictionaries(st.text("ab", min_size=1), inner),
        max_leaves=6,
    )
)
@settings(max_examples=40, deadline=None)
def test_a_value_shown_is_read_back(value: object) -> None:
    assert of_text(as_yaml(value)) == value


def test_what_is_no_file_and_no_yaml_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none.yaml: no such file; run this in the root"):
        read(tmp_path / "none.yaml")
    (tmp_path / "a").write_text("a: [1")
    with pytest.raises(ValueError, match="not valid YAML"):
        read(tmp_path / "a")
    (tmp_path / "a").write_text("- 1")
    with pytest.raises(ValueError, match="must hold sections"):
        read(tmp_path / "a")
