"""Text that trained language models write, to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from _stage import Params
from neurofmx.atomic import atomic
from neurofmx.models.table import MODELS
from neurofmx.preprocessing.text import Vocabulary, learn_vocabulary
from neurofmx.tokenizers.cutting.windows import Windows, load_windows


class Draw(NamedTuple):
    """How a text is gone on with.

    Args:
        prompt: What it begins with.
        tokens: How many to draw.
        temperature: Below 1 likelier text, 0 the likeliest.
        seed: Of the draws.
    """

    prompt: str = "The "
    tokens: int = 200
    temperature: float = 1.0
    seed: int = 0


class Text(NamedTuple):
    """A dataset that networks learnt to go on with.

    Args:
        name: Of the dataset.
        windows: What they were trained on.
        vocabulary: From text to tokens and back.
    """

    name: str
    windows: Windows
    vocabulary: Vocabulary


def is_text(params: Params, dataset: str) -> bool:
    """Whether the next token is asked of a dataset of `run`."""
    prepared = params.dataset(dataset)
    return prepared.modality == "text" and prepared.dataset.task.kind == "next_token"


def read_text(params: Params, dataset: str) -> Text:
    """A text's windows and vocabulary, from data/raw and data/tokens.

    Raises:
        ValueError: If the windows are of another vocabulary than the params say.
    """
    prepared, windows = params.dataset(dataset), load_windows(Path(f"data/tokens/{dataset}.h5"))
    vocabulary = learn_vocabulary(prepared.dataset.stream(Path("data/raw") / dataset), prepared.preprocess)
    if tuple(vocabulary.names) != windows.task.names:
        raise ValueError(f"{dataset}: its windows are of another vocabulary than its params; run `dvc repro` first")
    return Text(dataset, windows, vocabulary)


def written(text: Text, model: str, draw: Draw, *, trained_with: int) -> str:
    """What a trained network writes: the prompt and what follows.

    Args:
        text: What it was trained on.
        model: Its name.
        draw: How to go on.
        trained_with: Seed of its training; the weights are those of the first fold.

    Raises:
        FileNotFoundError: If it was not trained.
    """
    from neurofmx.evaluation.trained_network import trained_network
    from neurofmx.models.generation import generate

    decoder = trained_network(Path(f"data/checkpoints/{text.name}/{model}"), text.windows, fold=0, seed=trained_with)
    begun = text.vocabulary.encode(draw.prompt).ids.tolist()
    how: dict[str, Any] = {"tokens": draw.tokens, "temperature": draw.temperature, "seed": draw.seed}
    return text.vocabulary.decode(begun + generate(decoder, begun, **how))


def write_samples(params: Params, name: str) -> None:
    """Write metrics/SUITE/samples.md, what each network of a suite writes on each of its texts; nothing without texts.

    Args:
        params: Those that the suite ran with.
        name: Name of the suite.
    """
    suite, draw = params.suite(name), Draw()
    texts = [dataset for dataset in sorted(suite.datasets) if is_text(params, dataset)]
    networks = [m for m in (*suite.compare, "model") if not MODELS[params.named(m).family].classical]
    if not texts:
        return
    parts = [
        f"# What the networks of {name} write\n\n"
        f"`{draw.prompt.strip()}` and {draw.tokens} tokens, drawn at temperature {draw.temperature:g} with seed "
        f"{draw.seed} by the networks of fold 0 and seed {suite.seeds[0]}: to look at, nothing is chosen by it.\n"
    ]
    for dataset in texts:
        text = read_text(params, dataset)
        parts += [sample(dataset, m, written(text, m, draw, trained_with=suite.seeds[0])) for m in networks]
    with atomic(Path("metrics") / name / "samples.md") as part:
        part.write_text("\n".join(parts), encoding="utf-8")


def sample(dataset: str, model: str, text: str) -> str:
    """A section of Markdown whose fence is longer than any in the text."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"## {dataset}, {model}\n\n{fence}text\n{text}\n{fence}\n"
