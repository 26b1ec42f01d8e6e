"""Let a trained language model go on with a text, to look at: `python pipeline/generate.py tiny_shakespeare model`.

Needs the dataset's raw folder, windows and checkpoints, as `dvc repro` leaves them, or, with `--suite text_v1`, as the
suite has that ran last. Writes to the terminal only; a suite leaves metrics/SUITE/samples.md.
"""

import sys

from _samples import Draw, is_text, read_text, written
from _stage import Params, run
from _workspace import params_of
from neurofmx.models.table import MODELS

FLAGS = {
    "prompt": {"default": Draw().prompt, "help": "what the text begins with; default '%(default)s'"},
    "tokens": {"type": int, "default": Draw().tokens, "help": "tokens to draw; default %(default)s"},
    "temperature": {
        "type": float,
        "default": Draw().temperature,
        "help": "below 1 likelier text, 0 the likeliest; default %(default)s",
    },
    "seed": {"type": int, "default": Draw().seed, "help": "of the draws; default %(default)s"},
    "trained_with": {"type": int, "default": None, "help": "seed of the training; default the first of evaluate.seeds"},
    "suite": {"default": None, "help": "the suite without variants that trained it; default what `run` names"},
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
    suite: str | None,
) -> None:
    """Print the prompt and what follows."""
    params = params if suite is None else params_of(suite, params)
    if dataset not in params.run.datasets:
        raise ValueError(
            f"{dataset}: run.datasets names {', '.join(params.run.datasets)}; name the suite that trained on it, as in "
            "--suite text_v1, after `make suite`"
        )
    if not is_text(params, dataset) or MODELS[params.named(model).family].classical:
        raise ValueError(f"{dataset} {model}: only a network trained on the next token of a text can go on with one")
    trained = params.evaluate.seeds[0] if trained_with is None else trained_with
    draw = Draw(prompt, tokens, temperature, seed)
    sys.stdout.write(written(read_text(params, dataset), model, draw, trained_with=trained) + "\n")


if __name__ == "__main__":
    run(
        main,
        flags=FLAGS,
        dataset="name of a text in params.yaml",
        model="`model` or a key of `models` in params.yaml",
    )
