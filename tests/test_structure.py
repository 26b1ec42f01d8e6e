"""The tree keeps its promises: imports run one way, and every stage names the code it runs."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from neurofmx.datasets import DATASETS
from neurofmx.models.table import MODELS
from neurofmx.tokenizers.table import TOKENIZERS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src/neurofmx"
LAYERS = (
    {"atomic", "parts", "sections", "tables"},
    {"recordings"},
    {"headline"},
    {"datasets"},
    {"preprocessing"},
    {"tokenizers"},
    {"kernels"},
    {"layers"},
    {"models"},
    {"losses"},
    {"training"},
    {"foundation"},
    {"evaluation"},
    {"benchmark"},
    {"study"},
    {"known_truth"},
    {"plan", "prepared"},
    {"plan_foundation"},
    {"variants"},
    {"params"},
    {"command"},
    {"__main__"},
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
# tables that name everything there is: a stage runs one entry of them, and depends on that entry's file
TABLES = {"params", "datasets", "preprocessing", "models.table", "tokenizers", "models", "training", "evaluation"}
NO_TRACE = {
    "atomic",
    "plan",
    "plan_foundation",
    "tables",
    "params",
    "prepared",
    "sections",
    "variants",
    "parts",
    "datasets.access",
}  # a package for all that is in it
# scoring asks networks by one module and what is fitted by another, which has no settings of a head
ASKED_ELSEWHERE = {
    "baseline": frozenset({"evaluation.networks", "models.configs"}),
    "evaluate": frozenset({"evaluation.classical"}),
}
# of a dataset's file: what its download does not use, and what its facts do not
UNUSED = {
    "download": {
        "datasets.formats.characters",
        "datasets.formats.deeplabcut",
        "datasets.formats.matfile",
        "datasets.formats.volumes",
        "datasets.formats.wav",
        "recordings",
    },
    "tokenize": {"datasets.formats"},
}


@cache
def imported(path: Path) -> frozenset[str]:
    """Modules of the package that a file imports, also inside functions, without the package's own name."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("neurofmx"):
            module = (node.module or "").removeprefix("neurofmx").lstrip(".")
            for alias in node.names:
                inner = f"{module}.{alias.name}".lstrip(".")
                found.add(inner if file_of(inner) else module)
        elif isinstance(node, ast.Import):
            found |= {a.name.removeprefix("neurofmx.") for a in node.names if a.name.startswith("neurofmx.")}
    return frozenset(found - {""})


@cache
def file_of(module: str) -> Path | None:
    """The file of a module, or None if there is none."""
    path = PACKAGE / module.replace(".", "/")
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


@cache
def for_types(path: Path) -> frozenset[str]:
    """Modules that a file imports for its annotations alone: nothing of them runs."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            found |= {each.module for each in node.body if isinstance(each, ast.ImportFrom) and each.module}
    return frozenset(name.removeprefix("neurofmx.") for name in found)


def closure(start: set[str], *, without: frozenset[str] = frozenset()) -> set[str]:
    """All modules reached from some, not looking into tables, nor at those that do not run."""
    reached, waiting = set(), list(start)
    while waiting:
        module = waiting.pop()
        path = file_of(module)
        if module in reached or module in TABLES | without or path is None:
            continue
        reached.add(module)
        waiting += imported(path) - for_types(path)
    return reached


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_imports_run_one_way(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if own == "__init__":
        return
    for module in imported(path):
        other = module.split(".")[0]
        assert other == own or RANK[other] < RANK[own], f"{own} must not import {module}"


def stages() -> list[tuple[str, str, set[str], list[str]]]:
    """Stage, script, modules that its tables point to, and declared deps, for every kind, modality and model."""
    declared = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
    params = YAML(typ="safe").load(ROOT / "params.yaml")
    compared = sorted(set(params["models"]) - {"linear"})  # whatever a run or a suite may name
    return [
        (
            name,
            script,
            points(name, kind, modality, model),
            [filled(dep, kind, modality, model) for dep in body["deps"]],
        )
        for name, stage in declared.items()
        for body in [stage.get("do", stage)]
        for script in re.findall(r"pipeline/\w+\.py", str(body["cmd"]))
        for model in (compared if name.startswith("compare_") else ["model"])
        for kind, modality in (READ if name in ("download", "preprocess", "tokenize", "pretrain_tokens") else READ[:1])
    ]


READ = [(kind, modality) for kind, dataset in DATASETS.items() for modality in dataset.modalities]


BUILT = {
    name: {family.build.split(":")[0].removeprefix("neurofmx.")} for name, family in MODELS.items() if family.build
}


def points(stage: str, kind: str, modality: str, model: str) -> set[str]:
    """Modules that a stage reaches through a table."""
    readers = {entry.network.split(":")[0].removeprefix("neurofmx.") for entry in TOKENIZERS.values()}
    dataset, network = f"datasets.{kind}", readers | {"models.decoding.build"}
    reached = {
        "download": {dataset},
        "preprocess": {dataset, f"preprocessing.{modality}"},
        "tokenize": {dataset},
        "baseline": {"models.fitted.linear", "models.fitted.ngram"},
        "train": network | {"models.hybrid.network"},
        "evaluate": network | {"models.hybrid.network"},
        "compare_train": network | {f"models.{model}"} | BUILT.get(model, set()),
        "compare_evaluate": network | {f"models.{model}"} | BUILT.get(model, set()),
        "pretrain_tokens": {dataset, f"preprocessing.{modality}"},
        "pretrain": network,
        "transfer": network | {"models.neurofmx"},
        "multimodal": network,
        "known_truth": network,
        "transfer_linear": {"models.fitted.linear"},
    }
    return reached.get(stage, set())


def filled(dep: str, kind: str, modality: str, model: str) -> str:
    """A dependency as DVC fills its template in."""
    for name, value in {"item.kind": kind, "item.modality": modality, "item.model": model}.items():
        dep = dep.replace(f"${{{name}}}", value)
    return dep


@pytest.mark.parametrize(
    ("stage", "script", "reached", "deps"), stages(), ids=lambda v: v if isinstance(v, str) else ""
)
def test_a_stage_names_the_code_it_runs(stage: str, script: str, reached: set[str], deps: list[str]) -> None:
    if stage == "check":
        return
    direct = set(imported(ROOT / script))
    if stage == "baseline":  # the same scripts as for networks, which are imported where one is trained
        direct -= {"models.decoding.build", "tokenizers.tokens"}
        direct -= {f"training.{part}" for part in ("curves", "jobs", "options", "recipe")}
    if stage in ("train", "evaluate"):  # and the other way round: the model under study is a network
        direct -= {"models.fitted.per_recording"}
    if stage != "train":  # drawn of the model under study alone
        direct -= {"evaluation.wiring_figure"}
    exempt = NO_TRACE | UNUSED.get(stage, set())
    missing = set()
    for module in closure(direct | reached, without=ASKED_ELSEWHERE.get(stage, frozenset())):
        if any(f"{module}.".startswith(f"{spared}.") for spared in exempt):
            continue
        path = file_of(module)
        assert path is not None
        name = path.relative_to(ROOT).as_posix()
        if not any(name == dep or name.startswith(f"{dep}/") for dep in deps):
            missing.add(name)
    assert not missing, f"stage {stage}: {script} runs {sorted(missing)}; add them to its deps in dvc.yaml"
    assert script in deps
