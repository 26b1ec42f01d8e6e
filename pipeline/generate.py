"""Let a trained language model go on with a text, to look at: `python pipeline/generate.py tiny_shakespeare model`.

Needs the dataset's raw folder, windows and checkpoints, as `dvc repro` leaves them. Writes to the terminal only.
"""

import sys
from pathlib import Path

from _stage import Params, run
from neurofmx.models.table import MODELS
from neurofmx.tokenizers.cutting.windows import load_windows

FLAGS = {
    "prompt": {"default": "The ", "help": "what the text begins with; default 'The '"},
    "tokens": {"type": int, "default": 200, "help": "tokens to draw; default 200"},
    "temperature": {"type": float, "default": 1.0, "help": "below 1 likelier text, 0 the likeliest; default 1"},
    "seed": {"type": int, "default": 0, "help": "of the draws; default 0"},
    "trained_with": {"type": int, "default": None, "help": "seed of the training; default the first of evaluate.seeds"},
}


def main(
    params: Params,
    dataset: str,
    model: str,
    prompt: str,
    tokens: int,
    temperature: float,
    seed: int,
    trained_with: int | None,
) -> None:
    """Print the prompt and what follows."""
    from neurofmx.evaluation.trained_network import trained_network
    from neurofmx.models.generation import generate
    from neurofmx.preprocessing.text import learn_vocabulary

    prepared, family = params.dataset(dataset), params.named(model).family
    if prepared.modality != "text" or prepared.dataset.task.kind != "next_token" or not MODELS[family].network:
        raise ValueError(f"{dataset} {model}: only a network trained on the next token of a text can go on with one")
    windows = load_windows(Path(f"data/tokens/{dataset}.h5"))
    vocabulary = learn_vocabulary(prepared.dataset.stream(Path("data/raw") / dataset), prepared.preprocess)
    if tuple(vocabulary.names) != windows.task.names:
        raise ValueError(f"{dataset}: its windows are of another vocabulary than its params; run `dvc repro` first")
    trained = params.evaluate.seeds[0] if trained_with is None else trained_with
    decoder = trained_network(Path(f"data/checkpoints/{dataset}/{model}"), windows, fold=0, seed=trained)
    begun = vocabulary.encode(prompt).ids.tolist()
    drawn = generate(decoder, begun, tokens=tokens, temperature=temperature, seed=seed)
    sys.stdout.write(vocabulary.decode(begun + drawn) + "\n")


if __name__ == "__main__":
    run(
        main,
        flags=FLAGS,
        dataset="name of a text in params.yaml",
        model="`model` or a key of `models` in params.yaml",
    )
