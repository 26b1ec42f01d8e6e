"""Variants of suites: the params they make are those DVC makes of them, and a wrong one is refused by name."""

import copy
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from neurofmx.params import ParamsError, check_params, check_suite
from neurofmx.variants import override, variant_tree

ROOT = Path(__file__).parents[1]
ITEM = {"kind": "digits", "modality": "image"}


def tree(**suite: Any) -> dict[str, Any]:
    """params.yaml with a suite `small`."""
    made = YAML(typ="safe").load(ROOT / "params.yaml")
    made["suites"] = {"small": {"datasets": {"digits": ITEM}, "compare": ["lstm"], "seeds": [1, 2]} | suite}
    return made


def checked(tree: dict[str, Any]) -> None:
    """What is asked before a suite runs: all of params.yaml, then its variants."""
    check_params(tree)
    check_suite(tree, "small")


VARIANTS = {
    "common": {"models.lstm.num_layers": 3, "evaluate.robustness.noise": [0.5, 1.0], "train.device": "cpu"},
    "variants": {
        "whole": {},
        "small": {"model.use_mamba": False, "model.hidden_dim": 32, "datasets.digits.tokenize.scale": "channel"},
    },
}


def test_the_params_of_a_variant_are_those_that_dvc_makes(tmp_path: Path) -> None:
    from dvc.utils.hydra import apply_overrides

    made = tree(**VARIANTS)
    before = copy.deepcopy(made)
    wanted = variant_tree(made, "small", "small")
    assert made == before
    path = tmp_path / "params.yaml"
    YAML().dump({name: value for name, value in made.items() if name != "suites"}, path)
    changes = VARIANTS["common"] | VARIANTS["variants"]["small"]
    given = ["run.compare=[]", "evaluate.seeds=[1,2]", *(override(*each) for each in changes.items())]
    apply_overrides(path, given)
    assert YAML(typ="safe").load(path) == wanted
    assert variant_tree(made, "small", "whole")["run"]["compare"] == ["lstm"]
    params = check_params(made)
    assert list(params.suite("small").variants) == ["whole", "small"]
    assert check_params(wanted).model.config.hidden_dim == 32  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "value", [None, True, 3, 0.5, 1e-05, [1, 2.5], ["a", None], "auto", "*B6*.nwb", "it's", "a b", "5 Hz, 6"]
)
def test_hydra_reads_back_every_value(value: Any) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parsed = OverridesParser.create().parse_overrides([override("a.b", value)])[0]
    assert parsed.key_or_group == "a.b"
    assert parsed.value() == value


@pytest.mark.parametrize(
    ("suite", "message"),
    [
        (
            {"variants": {"a": {}, "b": {"model.use_mambo": False}}},
            r"suites.small.variants.b: model.use_mambo=False: unknown key; did you mean 'use_mamba'\?",
        ),
        (
            {"variants": {"a": {}, "b": {"model.num_gate_heads": 5}}},
            r"suites.small.variants.b: .*num_gate_heads=5 must divide hidden_dim=64",
        ),
        ({"variants": {"b": {"modle.x": 1}}}, r"variants.b: modle.*unknown key; did you mean 'model'"),
        ({"variants": {"b": {"model": {"x": 1}}}}, r"variants.b: model: must name one value by its dotted key"),
        ({"variants": {"b": {"head.pool": {"x": 1}}}}, r"head.pool=\{'x': 1\}: must be one value"),
        ({"variants": {"b": {"head.pool.x": 1}}}, r"head.pool.x: head.pool is a value \(attention\) and holds no keys"),
        ({"variants": {"b": {"run.compare": []}}}, r"run.compare: the suite's own datasets and compare say"),
        ({"variants": {"b": {"evaluate.seeds": [3]}}}, r"evaluate.seeds: the suite's own seeds are those of all"),
        ({"variants": {"b": {"datasets.fsdd.tokenize.pad": False}}}, r"neither run nor the suite has a dataset fsdd"),
        ({"variants": {"b": {"datasets.digits.tokenize.pda": 1}}}, r"tokenize.pda=1: unknown key; did you mean 'pad'"),
        ({"variants": {"b": {"models.lstm.num_layers": 1}}}, r"models to compare with are the same for all variants"),
        ({"common": {"models.pca.components": [2]}}, r"suites.small.common: models.pca.components: .*name pca in the"),
        ({"common": {"train.learning_rate": -1}}, r"suites.small: train.learning_rate=-1: .*greater than 0"),
        (
            {
                "datasets": {"wikitext2_bpe": {"kind": "wikitext2", "modality": "text"}},
                "common": {"evaluate.text_lengths": [32, 64]},
                "variants": {"a": {"datasets.wikitext2_bpe.tokenize.tokenizer_options.max_position_embeddings": 48}},
            },
            r"suites.small.variants.a: .*max_position_embeddings=48: must be at least the 64 tokens of a window",
        ),
        ({"variants": {"lstm": {}}}, r"variants.lstm: the suite's table has a model of that name"),
        ({"variants": {"a-b": {}}}, r"name 'a-b': use a-z, 0-9 and _ only"),
        (
            {"study": "three_way"},
            r"suites.small.study=three_way: .*allowed: four_way, modes, ablation, context, memory",
        ),
        ({"variant": {}}, r"suites.small.variant.*: unknown key; did you mean 'variants'"),
    ],
)
def test_a_wrong_variant_is_refused_by_name(suite: dict[str, Any], message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        checked(tree(**suite))


def test_an_experiment_is_right_that_a_suite_could_not_begin_with() -> None:
    """`-S model.integration_mode=parallel`, and the variants of one suite while they run, meet those of all others."""
    made = YAML(typ="safe").load(ROOT / "params.yaml")
    suites = made["suites"]
    for name in suites:
        check_suite(made, name)
    check_params(made | {"model": made["model"] | {"integration_mode": "parallel"}})
    for name, section in suites.items():
        for variant in section.get("variants") or ():
            check_params(variant_tree(made, name, variant) | {"suites": suites})
    exchange = {"variants": {"whole": {}, "without": {"model.use_state_exchange": False}}}
    sections = tree(**exchange)
    sections["model"]["integration_mode"] = "parallel"
    check_params(sections)
    with pytest.raises(ParamsError, match=r"suites.small.variants.without: model: use_state_exchange=False needs"):
        check_suite(sections, "small")


def test_an_unknown_suite_or_variant_is_named() -> None:
    with pytest.raises(ValueError, match=r"unknown suite in params.yaml 'smal'; did you mean 'small'"):
        variant_tree(tree(**VARIANTS), "smal")
    with pytest.raises(ValueError, match="unknown variant of the suite 'whol'; did you mean 'whole'"):
        variant_tree(tree(**VARIANTS), "small", "whol")
