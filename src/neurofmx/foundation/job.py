"""A whole pretraining: from token files to weights and what must be known of them, resumed where it was cut off."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from tqdm import tqdm

from neurofmx.atomic import atomic
from neurofmx.foundation.feed import Feed
from neurofmx.foundation.held_out import sessions_of
from neurofmx.foundation.options import PretrainOptions
from neurofmx.foundation.pretrainer import Point, Pretrained, Pretrainer, loss_names
from neurofmx.foundation.untested import without_test
from neurofmx.models.foundation.assembled import Assembled, assemble
from neurofmx.models.foundation.config import NeurofmxConfig
from neurofmx.tokenizers.cutting.windows import load_windows
from neurofmx.tokenizers.joined import Joined
from neurofmx.tokenizers.joining import together
from neurofmx.training.bits import fix_the_bits
from neurofmx.training.checkpoints.checkpoint import save_checkpoint
from neurofmx.training.key import key_of
from neurofmx.training.lock import locked
from neurofmx.training.pretrained import WEIGHTS


class PretrainRecipe(NamedTuple):
    """Everything that fixes the weights of a pretraining.

    Args:
        windows: Token file of each stream, named `kind/modality`.
        config: Sizes of the model.
        options: How to train.
        seed: Of weights, order, masks and dropout.
    """

    windows: Mapping[str, Path]
    config: NeurofmxConfig
    options: PretrainOptions
    seed: int

    def key(self) -> str:
        """Hash over windows, settings and code."""
        settings = [list(self.windows), self.config.model_dump(), self.options.model_dump(exclude={"device"})]
        return key_of(self.windows.values(), [*settings, self.seed])


class Finished(NamedTuple):
    """A finished pretraining, and what its weights must be told with."""

    pretrained: Pretrained
    facts: dict[str, Any]
    seconds: float


@contextmanager
def pretrain(recipe: PretrainRecipe, *, keep: Path, label: str) -> Iterator[Finished]:
    """Pretrain; the context holds the result, and forgets the kept state when it ends well.

    Args:
        recipe: What to train on what.
        keep: Folder under which unfinished work survives a kill.
        label: Name of the progress bar.

    Yields:
        The result.

    Raises:
        ValueError: If the streams cannot be joined, or a dataset lacks the fold.
        RuntimeError: If another process runs the same recipe.
    """
    folder = keep / recipe.key()
    with locked(folder):
        fix_the_bits(recipe.options.threads)
        sets, fold = _sets(recipe), recipe.options.fold or 0
        torch.manual_seed(recipe.seed)
        network, known = assemble(recipe.config, sets)
        device = _device(recipe.options.device)
        feed = Feed(
            sets,
            known,
            fold=fold,
            balance=recipe.options.balance,
            batch_size=recipe.options.batch_size,
            steps=recipe.options.steps,
            spikes=recipe.options.spikes,
            device=device,
        )
        with tqdm(total=recipe.options.num_epochs, desc=label, unit="epoch", dynamic_ncols=True) as bar:
            trainer = Pretrainer(
                network.to(device),
                feed,
                recipe.options,
                seed=recipe.seed,
                folder=folder,
                on_epoch=lambda done: _move(bar, done.epoch),
            )
            pretrained = trainer.fit()
        facts = _facts(recipe, network, sets, feed) | {"temperature": pretrained.temperature}
        yield Finished(pretrained, facts, trainer.progress.seconds)
        shutil.rmtree(folder)


def save_pretrained(folder: Path, finished: Finished) -> None:
    """Write the weights with the lowest validation loss, and the curve.

    Args:
        folder: Where `weights.safetensors` and `curve.csv` shall stand.
        finished: What `pretrain` yielded.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_curve(folder / "curve.csv", finished.pretrained.curve)
    save_checkpoint(folder / WEIGHTS, finished.pretrained.best, **finished.facts)


def write_curve(path: Path, curve: Sequence[Point]) -> None:
    """Write the losses of every epoch as CSV: `epoch`, `train_loss`, `validation_loss`, and each loss by its name."""
    names = loss_names(curve)
    with atomic(path) as part, part.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["epoch", "train_loss", "validation_loss", *names])
        for epoch, point in enumerate(curve, 1):
            each = [point.losses.get(name, float("nan")) for name in names]
            table.writerow([epoch, *(f"{value:.6g}" for value in (point.train_loss, point.validation_loss, *each))])


def _facts(recipe: PretrainRecipe, network: Assembled, sets: Sequence[Joined], feed: Feed) -> dict[str, Any]:
    """What must be known to use the weights, and whom they have seen."""
    streams = {name: windows for each in sets for name, windows in each.streams.items()}
    fold = recipe.options.fold or 0
    seen = [session for windows in streams.values() for session in sessions_of(windows, fold=fold)]
    return {
        "config": recipe.config.model_dump(),
        "step_s": network.model.step_s,
        "streams": {
            name: {"dataset": w.dataset, "modality": w.modality, "channels": list(w.channels)}
            for name, w in streams.items()
        },
        "joined": [list(each.streams) for each in sets],
        "rows": [len(rows) for rows in feed.rows],
        "species": [each.species for each in sets],
        "seen": [session._asdict() | {"files": list(session.files)} for session in seen],
        "options": recipe.options.model_dump(),
        "seed": recipe.seed,
    }


def _sets(recipe: PretrainRecipe) -> list[Joined]:
    """The rows to pretrain on, joined, with the fold that the options name; of no fold, fold 0 is all there is."""
    streams, fold = {name: load_windows(path) for name, path in recipe.windows.items()}, recipe.options.fold
    sets = together(streams, tolerance=recipe.options.tolerance)
    if fold is None:
        return [without_test(each) for each in sets]
    for each in sets:
        if fold >= each.folds:
            raise ValueError(
                f"pretrain.fold={fold}: {', '.join(each.streams)} has the folds 0 to {each.folds - 1}; choose a fold "
                "that all datasets have, or null"
            )
    return sets


def _device(name: str) -> torch.device:
    if name == "cuda" and not torch.cuda.is_available():
        raise RuntimeError("pretrain.device=cuda: no CUDA device is visible here; set pretrain.device to auto or cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def _move(bar: tqdm[Any], epoch: int) -> None:
    bar.n = epoch
    bar.refresh()
