"""docs/parameters.md, made from the classes that check params.yaml."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import BaseModel

from neurofmx.command.names import NAMES, in_groups
from neurofmx.command.settings import GROUPS, Setting, of_section, own_settings
from neurofmx.datasets import DATASETS
from neurofmx.models.configs import HeadConfig
from neurofmx.models.table import MODELS
from neurofmx.params import STUDIED
from neurofmx.plan import Benchmark, Download, Evaluate, Run, Simulate, Suite
from neurofmx.plan_foundation import KnownTruth, Multimodal, Pretrain, Transfer
from neurofmx.preprocessing import PREPROCESS
from neurofmx.tokenizers.cutting.cut import CutOptions
from neurofmx.tokenizers.table import TOKENIZERS
from neurofmx.training.options import TrainOptions

DOCUMENT = Path("docs/parameters.md")
INTRODUCTION = """# Parameters

Every key of `params.yaml`: what it does, what it is where nothing is said, and what it may be. This page is made by
`neurofmx config docs` from the classes that check the file, so it says what the check says; a test holds it current.

```bash
neurofmx config show                      # all values, with a mark at what differs from its default
neurofmx config show spiking              # a group with its help
neurofmx config show train.learning_rate  # everything about one
neurofmx config set model.integration_mode=parallel train.learning_rate=1e-4
neurofmx config set --dry-run model.hidden_dim=96 model.num_gate_heads=3  # ask whether it can be built; write nothing
neurofmx config edit                      # walk through the groups; every answer is checked at once
neurofmx config save mine.yaml model train
neurofmx config load configs/small.yaml   # replaces the sections that the file holds
neurofmx config validate
dvc exp run -S model.integration_mode=parallel
```

Where the command is not installed, `python -m neurofmx` is the same. A wrong key or value is refused with the nearest
name, and then nothing is written. Comments and order of `params.yaml` are kept.

`<name>` is a key of `datasets`. A key that `params.yaml` does not hold yet takes `++` in DVC: `-S
++datasets.wikitext2.tokenize.tokenizer_options.embedding_dim=256`.
"""
Section = tuple[str, type[BaseModel]]


def document() -> str:
    """The whole page."""
    return "\n".join([INTRODUCTION, *_index(), *_groups(), *_sections()]).rstrip() + "\n"


def _index() -> Iterator[str]:
    """The names of the system's description."""
    yield "## By name\n\nWhere each parameter of the network's description stands.\n"
    yield "| group | parameter | key | note |\n|---|---|---|---|"
    for group, names in in_groups().items():
        for name in names:
            key = f"`{NAMES[name].key}`" if NAMES[name].key else "derived"
            yield f"| {group} | `{name}` | {key} | {NAMES[name].note} |"


def _groups() -> Iterator[str]:
    """The model under study, its head and training, and the tokens of texts and images."""
    options = "datasets.<name>.tokenize.tokenizer_options"
    shared = {"model": MODELS[STUDIED].config, "head": HeadConfig, "train": TrainOptions, "evaluate": Evaluate}
    known = [each for key, section in shared.items() for each in of_section(key, section, "evaluation")]
    known += [each for name in ("text", "image") for each in of_section(options, TOKENIZERS[name].config, "")]
    known += [each for each in of_section("datasets.<name>.preprocess", PREPROCESS["text"].options, "language")]
    for group, words in GROUPS.items():
        members = [each for each in known if each.group == group]
        yield f"\n## {group}\n\n{words}\n"
        yield from _table(members)


def _sections() -> Iterator[str]:
    """Everything else, section by section."""
    yield "\n## Windows\n"
    yield from _table([*of_section("datasets.<name>.tokenize", CutOptions, ""), *own_settings("datasets.<name>")])
    yield "\n## Models to compare with\n"
    yield from _all((f"models.{name}", entry.config) for name, entry in MODELS.items() if name != STUDIED)
    yield "\n## Tokenizers\n\nThe settings of each, under `datasets.<name>.tokenize.tokenizer_options`.\n"
    yield from _each((name, entry.config) for name, entry in TOKENIZERS.items() if name not in ("text", "image"))
    yield "\n## Cleaning\n\nThe settings of each modality, under `datasets.<name>.preprocess`.\n"
    yield from _each((name, entry.options) for name, entry in PREPROCESS.items())
    yield "\n## Datasets\n\nThe settings of each kind, under `datasets.<name>.options`.\n"
    yield from _each(DATASETS.items())
    yield "\n## Benchmark\n"
    yield from _table(of_section("benchmark", Benchmark, ""))
    yield "\n## Pretraining, transfer and several modalities\n"
    yield from _all((("pretrain", Pretrain), ("transfer", Transfer), ("multimodal", Multimodal)))
    yield "\n## Known truth\n"
    yield from _all([("known_truth", KnownTruth)])
    yield "\n## Runs\n"
    yield from _all((("download", Download), ("simulate", Simulate), ("run", Run), ("suites.<suite>", Suite)))


def _each(sections: Iterable[Section]) -> Iterator[str]:
    """A table with a column for the name; what has nothing to set is named at the end."""
    sections = list(sections)
    rows = [(name, list(of_section("", section, ""))) for name, section in sections]
    yield "| of | key | default | allowed | |\n|---|---|---|---|---|"
    for name, settings in rows:
        yield from (f"| `{name}` {_row(each)}" for each in settings)
    if bare := [f"`{name}`" for name, settings in rows if not settings]:
        yield f"\nNothing to set: {', '.join(bare)}."


def _all(sections: Iterable[Section]) -> Iterator[str]:
    yield from _table(each for key, section in sections for each in of_section(key, section, ""))


def _table(settings: Iterable[Setting]) -> Iterator[str]:
    """A table of settings, or a word where there is none."""
    rows = list(settings)
    yield "| key | default | allowed | |\n|---|---|---|---|" if rows else "Nothing to set."
    yield from (_row(each) for each in rows)


def _row(one: Setting) -> str:
    cells = (f"`{one.key}`", f"`{one.shown_default}`" if not one.required else one.shown_default, one.allowed, one.help)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
