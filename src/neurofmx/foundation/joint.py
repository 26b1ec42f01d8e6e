"""Train a decoder of several streams on one fold of joined windows, with streams missing at random."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from neurofmx.foundation.missing import drop_modalities
from neurofmx.models.configs import HeadConfig
from neurofmx.models.foundation.config import NeurofmxConfig
from neurofmx.models.foundation.joint import JointDecoder, build_joint
from neurofmx.tokenizers.joined import Joined
from neurofmx.tokenizers.multi_sample import MultiSample
from neurofmx.training.batches import Epochs, corrupt
from neurofmx.training.bits import fix_the_bits
from neurofmx.training.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from neurofmx.training.key import key_of
from neurofmx.training.lock import locked
from neurofmx.training.loop import Progress, Trainer
from neurofmx.training.options import TrainOptions


class JointBatches:
    """Training and validation rows of a fold; as `Batches`, of rows.

    Args:
        joined: Rows with all streams.
        fold: Which fold.
        options: Sizes of batches and epochs.
        only: Streams that are read; all others are missing from every row.
        device: Where the tensors live.
    """

    unit = 1

    def __init__(
        self,
        joined: Joined,
        fold: int,
        options: TrainOptions,
        *,
        only: Sequence[str],
        device: torch.device,
    ) -> None:
        parts = joined.fold(fold)
        kind = torch.int64 if joined.task.kind == "classification" else torch.float32
        self.batch_size = options.batch_size
        limits = {"min_batches": options.min_batches, "max_batches": options.max_batches}
        self.epochs = Epochs(len(parts.train), batch_size=options.batch_size, **limits)
        self.windows, held = self.epochs.windows, self.epochs.held(parts.validation)
        self.rows, self.rows_validation = (
            rows_of(joined, fold, index, only=only).to(device) for index in (parts.train, held)
        )
        self.y, self.y_validation = (
            torch.as_tensor(joined.y[index], dtype=kind, device=device) for index in (parts.train, held)
        )

    def __len__(self) -> int:
        """Batches an epoch."""
        return len(self.epochs)

    def epoch(self, generator: torch.Generator) -> Iterator[tuple[MultiSample, Tensor]]:
        """Training rows and answers, in an order drawn from `generator`."""
        for index in self.epochs.batches(generator):
            yield self.rows[index], self.y[index]

    def validation(self) -> Iterator[tuple[MultiSample, Tensor]]:
        """Validation rows and answers in order."""
        for index in torch.arange(len(self.rows_validation)).split(256):
            yield self.rows_validation[index], self.y_validation[index]


def rows_of(joined: Joined, fold: int, index: np.ndarray, *, only: Sequence[str]) -> MultiSample:
    """Rows of which some streams alone are there, on the CPU."""
    return joined.sample(fold, index).without(*(name for name in joined.streams if name not in only))


class JointTrainer(Trainer):
    """A `Trainer` of rows: noise in every stream, and streams left out.

    Args:
        model: The decoder, freshly initialised.
        batches: Training and validation rows.
        options: How to train; without a curriculum.
        drop: Probability that a row loses a stream in training.
        seed: Seed of order, noise and dropout.
        folder: Where the state to resume from is kept.
        on_epoch: Called after every epoch.

    Raises:
        ValueError: If a curriculum is asked for.
    """

    def __init__(
        self,
        model: JointDecoder,
        batches: JointBatches,
        options: TrainOptions,
        *,
        drop: float,
        seed: int,
        folder: Path,
        on_epoch: Callable[[Progress], None] = lambda progress: None,
    ) -> None:
        if options.curriculum != "none":
            raise ValueError(
                f"train.curriculum={options.curriculum}: rows of several streams have none; set it to none"
            )
        self._drop = drop
        # both take rows where the parent takes windows of one stream
        super().__init__(model, batches, options, seed=seed, folder=folder, on_epoch=on_epoch)  # type: ignore[arg-type]

    def _shortened(self, sample: Any, y: Tensor) -> Any:
        """Whole rows."""
        return sample, y

    def _corrupted(self, sample: Any, generator: torch.Generator) -> Any:
        """Rows with noise, without some channels, and without some streams."""
        rows: MultiSample = sample
        how = {"noise": self.options.input_noise, "dropout": self.options.input_dropout, "generator": generator}
        noisy = {name: each.with_x(corrupt(each.x, **how)) for name, each in rows.samples.items()}
        return drop_modalities(replace(rows, samples=noisy), share=self._drop, generator=generator)


class JointRecipe(NamedTuple):
    """Everything that fixes the weights of decoders beside fold and seed.

    Args:
        files: Token file of each stream.
        tolerance: Of joining them, s.
        config: Sizes and grid of the model.
        head: Settings of the head.
        options: How to train.
        drop: Probability that a row loses a stream in training.
        only: Streams that are read.
    """

    files: Mapping[str, Path]
    tolerance: float
    config: NeurofmxConfig
    head: HeadConfig
    options: TrainOptions
    drop: float
    only: tuple[str, ...]

    def key(self) -> str:
        """Hash over windows, settings and code."""
        options = self.options.model_dump(exclude={"workers", "use_cache"})
        settings = [list(self.files), self.tolerance, self.config.model_dump(), self.head.model_dump(), options]
        return key_of(self.files.values(), [*settings, self.drop, list(self.only)])


def train_joint(
    recipe: JointRecipe, joined: Joined, *, seeds: Sequence[int], keep: Path, label: str
) -> dict[tuple[int, int], JointDecoder]:
    """Train every fold and seed one after the other; a finished one is only read.

    Args:
        recipe: What to train on what.
        joined: The recipe's windows, joined; rows with all streams.
        seeds: Each trains every fold.
        keep: Folder in which finished and unfinished work survives a kill; remove it when the answers are stored.
        label: Name of the progress bar.

    Returns:
        A decoder with its best weights by fold and seed.

    Raises:
        RuntimeError: If another process trains the same recipe.
    """
    fix_the_bits(recipe.options.threads)
    folder, jobs = keep / recipe.key(), [(fold, seed) for seed in seeds for fold in range(joined.folds)]
    with locked(folder), tqdm(total=len(jobs), desc=label, unit="fold", dynamic_ncols=True) as bar:
        made = {}
        for fold, seed in jobs:
            made[fold, seed] = _trained(recipe, joined, fold, seed, folder / f"fold{fold}_seed{seed}")
            bar.update()
        return made


def _trained(recipe: JointRecipe, joined: Joined, fold: int, seed: int, home: Path) -> JointDecoder:
    """One fold with one seed."""
    torch.manual_seed(seed * 1009 + fold)
    decoder = build_joint(recipe.config, recipe.head, joined, fold=fold)
    best = home / "best.safetensors"
    if not best.is_file():
        cuda = recipe.options.device != "cpu" and torch.cuda.is_available()
        device = torch.device("cuda" if cuda else "cpu")
        batches = JointBatches(joined, fold, recipe.options, only=recipe.only, device=device)
        trainer = JointTrainer(decoder, batches, recipe.options, drop=recipe.drop, seed=seed * 1009 + fold, folder=home)
        save_checkpoint(best, trainer.fit().best, fold=fold, seed=seed)
    decoder.load_state_dict(load_checkpoint(best)[0])
    return decoder
