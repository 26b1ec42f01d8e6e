"""Networks with one tokenizer after the other on the windows of a dataset: validation loss, score, size and time.

    dvc repro tokenize@digits
    python -m benchmarks.tokenizers digits linear image --folds 2

Choose by the validation loss; the score is there to be reported.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from neurofmx.headline import headline
from neurofmx.models.decoding.build import build_decoder
from neurofmx.params import Model, Params, load_params
from neurofmx.tokenizers.cutting.windows import Windows, load_windows
from neurofmx.tokenizers.tokens import Sample
from neurofmx.training.batches import Batches
from neurofmx.training.loop import Trainer


class Trained(NamedTuple):
    """What a training of one fold gave."""

    loss: float
    score: float
    parameters: int
    seconds: float


def main() -> None:
    """Print one row a tokenizer and network, as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", help="its windows stand in data/tokens")
    parser.add_argument("tokenizers", nargs="+", help="keys of neurofmx.tokenizers.table.TOKENIZERS")
    parser.add_argument("--models", nargs="+", default=["lstm", "transformer"], help="`model` or keys of `models`")
    parser.add_argument("--folds", type=int, default=2, help="first so many folds")
    parser.add_argument("--seed", type=int, default=42)
    asked = parser.parse_args()
    params, windows = load_params(), load_windows(Path(f"data/tokens/{asked.dataset}.h5"))
    torch.set_num_threads(params.train_of(asked.dataset).threads)
    print(f"| {asked.dataset} | network | validation loss | score | tokenizer's parameters | processor s |")
    print("|---|---|---:|---:|---:|---:|")
    for tokenizer in asked.tokenizers:
        read = replace(windows, tokenizer=tokenizer, tokenizer_options={})
        for name in asked.models:
            folds = list(trained(params, params.named(name), read, folds=asked.folds, seed=asked.seed))
            loss, score, size, seconds = np.mean(folds, axis=0)
            print(f"| {tokenizer} | {name} | {loss:.4f} | {score:.3f} | {size:.0f} | {seconds:.0f} |", flush=True)


def trained(params: Params, model: Model, windows: Windows, *, folds: int, seed: int) -> Iterator[Trained]:
    """Train the first folds with the settings of the pipeline; seconds hold what is compiled at first use."""
    head, options = params.head_of(windows.dataset), params.train_of(windows.dataset)
    for fold in range(min(folds, windows.folds)):
        began = time.process_time()
        torch.manual_seed(seed * 1009 + fold)
        decoder = build_decoder(model.family, model.config, head, windows, fold=fold)
        batches = Batches(
            windows,
            fold,
            batch_size=options.batch_size,
            device=torch.device("cpu"),
            min_batches=options.min_batches,
            max_batches=options.max_batches,
        )
        with tempfile.TemporaryDirectory() as folder:
            fitted = Trainer(
                decoder,
                batches,
                options.model_copy(update={"device": "cpu"}),
                seed=seed * 1009 + fold,
                folder=Path(folder),
            ).fit()
        decoder.load_state_dict(fitted.best)
        test = windows.fold(fold).test
        score = headline(decoder.predict(Sample.of(windows, fold, test)), windows.y[test], windows.task)
        size = sum(weight.numel() for weight in decoder.tokenizer.parameters())
        yield Trained(min(point[2] for point in fitted.curve), score, size, time.process_time() - began)


if __name__ == "__main__":
    main()
