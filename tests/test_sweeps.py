"""The lines of docs/sweeps.md: every combination that they queue is one that the check takes."""

from __future__ import annotations

import copy
import json
import re
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
    choices = [[text] if text.startswith(("[", "{")) else text.split(",") for _, _, text in pairs]
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
            signs = re.findall(rf"(\+*){re.escape(key)}=", line)
            assert signs == ["" if last in node else "+"] or signs == ["++"], f"{key}: + is for what is not there yet"
            node[last] = value
        asked = re.findall(r"\w+@(\w+)", line)
        assert set(asked) <= set(check_params(changed).run.datasets), "there is no such stage"


def test_whole_is_what_params_have_and_the_others_are_parts_of_it() -> None:
    tree = YAML(typ="safe").load(ROOT / "params.yaml")
    heading = (ROOT / "docs/sweeps.md").read_text().partition("## Dimensions at 50, 100 and 150 %")[1]
    assert heading, "the shares below are those of the page"
    for name, share in {"half": 0.5, "whole": 1.0, "more": 1.5}.items():
        (line,) = (line for line in LINES if f"-n {name} " in line)
        (sizes,) = combinations(line)
        assert sizes == {key: share * tree["model"][key.removeprefix("model.")] for key in sizes}
        assert len(sizes) == 4


def test_weights_of_classes_are_asked_of_sets_that_are_not_balanced() -> None:
    """Always answering the commonest class is right more often there than one of the classes would be."""
    reports = json.loads((ROOT / "metrics/core_v1/comparison.json").read_text())
    chance = {report["dataset"]: report["chance"] for report in reports}
    (line,) = (line for line in LINES if "class_weights" in line)
    asked = re.findall(r"evaluate@(\w+)", line)
    assert len(asked) > 2
    for dataset in asked:
        assert chance[dataset]["accuracy"] > 1.3 * chance[dataset]["balanced_accuracy"], dataset


def test_a_line_becomes_all_its_combinations() -> None:
    line = "dvc exp run --queue -S model.beta=0.8,0.9 -S 'evaluate.seeds=[1,2]' -S '+a.b={c: 1, d: x}' evaluate@digits"
    assert combinations(line) == [
        {"model.beta": beta, "evaluate.seeds": [1, 2], "a.b": {"c": 1, "d": "x"}} for beta in (0.8, 0.9)
    ]
    assert len(LINES) > 12
