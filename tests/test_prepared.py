"""Options of a dataset that cannot go together, refused before any data is there, as the networks would fail later."""

from __future__ import annotations

import copy
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from ruamel.yaml import YAML

from neurofmx.params import ParamsError, check_params
from neurofmx.tokenizers.configs import ImageConfig
from neurofmx.tokenizers.image import convolutions

TREE = YAML(typ="safe").load(Path(__file__).parents[1] / "params.yaml")
PICTURES = {"digits": (1, 8, 8), "mnist_5k": (1, 28, 28), "cifar10_subset": (3, 32, 32)}


def params(**changes: Any) -> dict[str, Any]:
    """params.yaml with values by their keys, `__` for a dot."""
    tree = copy.deepcopy(TREE)
    for key, value in changes.items():
        node = tree
        *path, last = key.split("__")
        for part in path:
            node = node.setdefault(part, {})
        node[last] = value
    return tree


def refusal(tree: dict[str, Any]) -> str:
    """What the check says, nothing where all is well."""
    try:
        check_params(tree)
    except ParamsError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("dataset", PICTURES)
def test_convolutions_that_leave_nothing_of_a_picture_are_refused(dataset: str) -> None:
    """Of grey pictures, which are square, all that torch cannot compute; of coloured ones nothing that it can."""
    picture, refused = torch.zeros(1, *PICTURES[dataset]), 0
    for kernel, stride, padding in product((1, 3, 9, 15, 29), (1, 2, 4), (0, 1, 3)):
        options = {f"conv_{name}": [value] * 3 for name, value in zip(NAMES, (2, kernel, stride, padding), strict=True)}
        stack = convolutions(len(picture[0]), ImageConfig(**options))
        try:
            fails = stack(picture).numel() == 0
        except RuntimeError:  # a kernel that is larger than what it is given
            fails = True
        said = refusal(params(**{f"datasets__{dataset}__tokenize__tokenizer_options": options}))
        assert bool(said) == fails if len(picture[0]) == 1 else fails or not said, options
        assert f"datasets.{dataset}.tokenize.tokenizer_options: conv_kernel_sizes={[kernel] * 3}" in said or not said
        refused += bool(said)
    assert refused > 5


NAMES = ("channels", "kernel_sizes", "strides", "padding")
