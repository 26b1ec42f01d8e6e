"""Every setting of params.yaml with its group, default, bounds and help, read from the classes that check it.

The command, the editor and docs/parameters.md all say what stands here, and so what the check says.
"""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from neurofmx.command.values import as_yaml
from neurofmx.datasets import DATASETS
from neurofmx.models.configs import HeadConfig
from neurofmx.models.table import MODELS
from neurofmx.params import STUDIED
from neurofmx.plan import Benchmark, Block, Download, Evaluate, Run, Simulate
from neurofmx.plan_foundation import KnownTruth, Multimodal, Pretrain, Transfer
from neurofmx.preprocessing import PREPROCESS
from neurofmx.tokenizers.cutting.cut import CutOptions
from neurofmx.tokenizers.table import TOKENIZERS, default_tokenizer
from neurofmx.training.options import TrainOptions

# the groups of the model, its training and the two kinds of tokens, in the order of reading
GROUPS: dict[str, str] = {
    "architecture": "Sizes and kinds of layers.",
    "spiking": "The spiking neurons in front of each block.",
    "attention": "How paths look at each other.",
    "population": "One value carried by several neurons.",
    "mamba": "The state-space path and how it meets the liquid one.",
    "language": "Tokens of a text; each text has its own.",
    "vision": "Tokens of an image; each set of images has its own.",
    "regularisation": "What keeps a network from learning the training windows by heart.",
    "training": "Rate, batches and epochs.",
    "computation": "How it is computed: kernels, memory, threads.",
    "evaluation": "Seeds and intervals.",
}

DERIVED = ("input_dim", "output_dim")  # of the model: a run finds them in its data


class Setting(NamedTuple):
    """One setting.

    Args:
        key: Its dotted key in params.yaml.
        group: A key of `GROUPS`, or the section it stands in.
        default: What it is where params.yaml does not name it; `None` also where it must be named.
        required: Whether params.yaml must name it.
        allowed: What it may be, in words.
        help: What it does.
    """

    key: str
    group: str
    default: Any
    required: bool
    allowed: str
    help: str

    @property
    def shown_default(self) -> str:
        """The default as it would stand in params.yaml."""
        return "must be given" if self.required else as_yaml(self.default)


Section = tuple[str, type[BaseModel], str]  # key, class and the group of fields that name none


def settings(tree: Mapping[str, Any]) -> dict[str, Setting]:
    """Every setting that a params.yaml has, by key, in the order of its groups and sections.

    Args:
        tree: The file's sections; which datasets and models it names decides which settings there are.
    """
    found = [setting for section in sections(tree) for setting in of_section(*section)]
    found += [setting for name in _inside(tree, "datasets") for setting in own_settings(f"datasets.{name}")]
    order = list(GROUPS)
    place = {name: order.index(name) for name in order}
    found.sort(key=lambda setting: place.get(setting.group, len(order)))
    return {setting.key: setting for setting in found}


def sections(tree: Mapping[str, Any]) -> Iterator[Section]:
    """The sections of a params.yaml whose class is known."""
    yield "model", MODELS[STUDIED].config, "architecture"
    yield "head", HeadConfig, "architecture"
    yield "train", TrainOptions, "training"
    yield "evaluate", Evaluate, "evaluation"
    yield "simulate", Simulate, "simulate"
    yield "benchmark", Benchmark, "benchmark"
    yield "download", Download, "download"
    yield "pretrain", Pretrain, "pretrain"
    yield "transfer", Transfer, "transfer"
    yield "multimodal", Multimodal, "multimodal"
    yield "known_truth", KnownTruth, "known_truth"
    yield "run", Run, "run"
    for name in _inside(tree, "models"):
        if name in MODELS:
            yield f"models.{name}", MODELS[name].config, f"models.{name}"
    for name in _inside(tree, "datasets"):
        yield from _of_dataset(tree, str(name))


def own_settings(key: str) -> Iterator[Setting]:
    """What a dataset's block may say otherwise than the sections `head` and `train`."""
    yield from (each for each in of_section(key, Block, key) if each.key in (f"{key}.head", f"{key}.train"))


def _inside(tree: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """What a section holds; nothing where there is none, or where something else stands, which the check refuses."""
    node: Any = tree
    for part in path:
        node = node.get(part) if isinstance(node, Mapping) else None
    return node if isinstance(node, Mapping) else {}


def _of_dataset(tree: Mapping[str, Any], name: str) -> Iterator[Section]:
    """The parts of a dataset's block, as far as its kind and modality are known."""
    key, window = f"datasets.{name}", _inside(tree, "datasets", name, "tokenize")
    kind, modality = _kind_of(tree, name)
    if kind in DATASETS:
        yield f"{key}.options", DATASETS[kind], key
    if modality in PREPROCESS:
        yield f"{key}.preprocess", PREPROCESS[modality].options, key
    yield f"{key}.tokenize", CutOptions, key
    if modality in PREPROCESS:
        chosen = str(window.get("tokenizer") or default_tokenizer(modality, window.get("montage", "same")))
        if chosen in TOKENIZERS:
            yield f"{key}.tokenize.tokenizer_options", TOKENIZERS[chosen].config, key


def _kind_of(tree: Mapping[str, Any], name: str) -> tuple[str, str]:
    """Who reads a dataset, and which of its modalities: as a run or suite says, else as its name tells."""
    for run in (("run",), *(("suites", suite) for suite in _inside(tree, "suites"))):
        item = _inside(tree, *run, "datasets").get(name)
        if isinstance(item, Mapping):
            return str(item.get("kind")), str(item.get("modality"))
    return name, (DATASETS[name].modalities[0] if name in DATASETS else "")


def of_section(key: str, section: type[BaseModel], group: str) -> Iterator[Setting]:
    """The settings of one class, at a key.

    Args:
        key: Where the section stands.
        section: Its class.
        group: Group of those fields that name none.
    """
    for name, field in section.model_fields.items():
        if key == "model" and name in DERIVED:
            continue
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from of_section(f"{key}.{name}", field.annotation, group)
            continue
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        yield Setting(
            key=f"{key}.{name}" if key else name,
            group=str(extra.get("group", group)),
            default=None if field.is_required() else field.get_default(call_default_factory=True),
            required=field.is_required(),
            allowed=allowed(field),
            help=described(section, name),
        )


@cache
def described(section: type[BaseModel], name: str) -> str:
    """What a field does: its description, else that of the field it replaces, else the class's docstring."""
    for owner in section.__mro__:
        field = getattr(owner, "model_fields", {}).get(name)
        if field is not None and field.description:
            return _sentence(field.description)
        if text := _argument(owner, name):
            return _sentence(text)
    return ""


def _argument(owner: type, name: str) -> str:
    """What the section `Args` of a docstring says of a name."""
    text = inspect.cleandoc(owner.__dict__.get("__doc__") or "")
    found = re.search(rf"^    {re.escape(name)}: (.*?)(?=\n    \S|\n\n|\Z)", text, re.MULTILINE | re.DOTALL)
    return " ".join(found[1].split()) if found else ""


def _sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?")) else ".")


def allowed(field: FieldInfo) -> str:
    """What a field may be, in words.

    Example:
        >>> from neurofmx.models.hybrid.config import HybridConfig
        >>> [allowed(HybridConfig.model_fields[name]) for name in ("beta", "num_layers", "recompute_tokens", "reset")]
        ['number above 0, below 1', 'whole number, 1 or more', 'whole number, 1 or more; or null', 'subtract | zero']
    """
    return _allowed(field.annotation, field.metadata)


_WORDS = {"gt": "above {:g}", "ge": "{:g} or more", "lt": "below {:g}", "le": "{:g} or less"}
_KINDS: dict[Any, str] = {float: "number", int: "whole number", str: "text", bool: "true | false"}


def _allowed(kind: Any, rules: Any = ()) -> str:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _allowed(inner[0], _flat(inner[1:]))
    if origin in (Union, types.UnionType):
        parts = [_allowed(each, rules) for each in inner if each is not type(None)]
        return "; or ".join([*parts, "null"] if type(None) in inner else parts)
    if origin is Literal:
        return " | ".join(str(each) for each in inner)
    if origin in (tuple, list):
        same = len(inner) == 2 and inner[1] is Ellipsis
        return "list: " + (_allowed(inner[0]) if same else ", ".join(_allowed(each) for each in inner))
    if origin is dict or (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return "keys and values"
    bounds = [word.format(getattr(rule, name)) for rule in rules for name, word in _WORDS.items() if _has(rule, name)]
    word = _KINDS.get(kind, getattr(kind, "__name__", str(kind)))
    first = " " if bounds and bounds[0].startswith(("above", "below")) else ", "
    return word + (first + ", ".join(bounds) if bounds else "")


def _flat(rules: Any) -> list[Any]:
    """Rules, those of a nested field taken out."""
    return [each for rule in rules for each in (rule.metadata if isinstance(rule, FieldInfo) else [rule])]


def _has(rule: Any, name: str) -> bool:
    return isinstance(getattr(rule, name, None), int | float)
