"""The lines of docs/sweeps.md: every combination that they queue is one that the check takes."""

from __future__ import annotations

import copy
import shlex
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from neurofmx.command.values import of_text
from neurofmx.params import check_params

ROOT = Path(__file__).parents[1]
LINES = [
    line.partition("   #")[0].strip()
    for line in (ROOT / "docs/sweeps.md").read_text().splitlines()
    if line.startswith("dvc exp run --queue")
]


def combinations(line: str) -> list[dict[str, Any]]:
    """The values of each experiment that a line queues, by key."""
    words = shlex.split(line)
    pairs = [words[i + 1].partition("=") for i, word in enumerate(words) if word == "-S"]
    keys = [key.lstrip("+") for key, _, _ in pairs]
    choices = [[text] if text.startswith("[") else text.split(",") for _, _, text in pairs]
    return [{key: of_text(text) for key, text in zip(keys, chosen, strict=True)} for chosen in product(*choices)]


@pytest.mark.parametrize("line", LINES)
def test_a_sweep_can_be_run(line: str) -> None:
    tree = YAML(typ="safe").load(ROOT / "params.yaml")
    for chosen in combinations(line):
        changed = copy.deepcopy(tree)
        for key, value in chosen.items():
            *sections, last = key.split(".")
            node = changed
            for section in sections:
                node = node[section]
            assert last in node or f"++{key}" in line, f"{key} needs ++, as params.yaml does not hold it"
            node[last] = value
        check_params(changed)


def test_a_line_becomes_all_its_combinations() -> None:
    line = "dvc exp run --queue -S model.beta=0.8,0.9 -S 'evaluate.seeds=[1,2]' -S ++a.b=x evaluate@digits"
    assert combinations(line) == [{"model.beta": beta, "evaluate.seeds": [1, 2], "a.b": "x"} for beta in (0.8, 0.9)]
    assert len(LINES) > 12
