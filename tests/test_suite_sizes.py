"""Networks that a suite holds beside each other are of one size and read as many tokens, whatever defaults become."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from neurofmx.models.size import backbone_parameters
from neurofmx.params import Model, check_params
from neurofmx.variants import variant_tree

TREE = YAML(typ="safe").load(Path(__file__).parents[1] / "params.yaml")


@pytest.mark.parametrize("suite", ["context_v1", "memory_v1", "modes_v1", "text_v1"])
def test_backbones_have_as_many_parameters_as_the_baseline(suite: str) -> None:
    variants = tuple(TREE["suites"][suite].get("variants") or (None,))
    params = {variant: check_params(variant_tree(TREE, suite, variant)) for variant in variants}
    first = params[variants[0]]
    models = {name: first.named(name) for name in TREE["suites"][suite]["compare"]}
    models |= {str(name): each.model for name, each in params.items()}
    goal = size(first.model)
    apart = {name: size(model) / goal for name, model in models.items()}
    assert {"lstm", "mamba", "transformer"} <= set(apart)
    away = {name: round(ratio, 3) for name, ratio in apart.items() if abs(ratio - 1) > 0.05}
    assert not away, f"python pipeline/suite.py {suite} --sizes names nearer sizes"


def size(model: Model) -> int:
    """Parameters of a model's backbone."""
    return backbone_parameters(model.family, model.config)


@pytest.mark.parametrize("suite", ["context_v1", "memory_v1", "modes_v1", "text_v1"])
def test_all_read_as_many_tokens(suite: str) -> None:
    for variant in TREE["suites"][suite].get("variants") or (None,):
        params = check_params(variant_tree(TREE, suite, variant))
        for dataset in TREE["suites"][suite]["datasets"]:
            options = params.train_of(dataset)
            assert options.patience >= options.num_epochs, f"{variant} may stop early on {dataset}"
