"""The training loop: AdamW under a schedule, a curriculum if one is asked for, early stopping, resume after a kill.

Every epoch starts from a seed of its own, so its order of windows, its noise and its dropout do not depend on what ran
before. A training that is killed and resumes at the last finished epoch ends with the same bits as one that was not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from neurofmx.models.decoding.decoder import Decoder
from neurofmx.tokenizers.tokens import Sample
from neurofmx.training.activity import Activity, measured
from neurofmx.training.auxiliary import auxiliary_offers, taken
from neurofmx.training.batches import Batches, corrupted
from neurofmx.training.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from neurofmx.training.class_weights import balanced
from neurofmx.training.curriculum import beginnings, stage_is_over, stages
from neurofmx.training.curves import Curve
from neurofmx.training.kept_state import Weights, decayed, load_optimizer, optimizer_tensors, under
from neurofmx.training.options import TrainOptions
from neurofmx.training.schedule import SCHEDULES


@dataclass
class Progress:
    """Where a training stands after an epoch; all that a resume needs beside weights and optimiser."""

    epoch: int = 0
    step: int = 0
    best_epoch: int = 0
    best_loss: float = math.inf
    stage: int = 0  # of the curriculum
    stage_since: int = 0  # epochs that were done when it began
    seconds: float = 0.0  # by the clock, validation included
    training_seconds: float = 0.0  # of the processor, by the clock on a GPU; without validation
    curve: list[tuple[int, float, float]] = field(default_factory=list)
    activity: list[Activity] = field(default_factory=list)


@dataclass(frozen=True)
class Fitted:
    """A finished training: best and last weights, the loss curve as (step, train loss, validation loss), activity."""

    best: Weights
    last: Weights
    curve: list[tuple[int, float, float]]
    best_epoch: int
    activity: list[Activity]


class Trainer:
    """Train one decoder on one fold.

    Args:
        model: The network, freshly initialised; it is trained in place.
        batches: Training and validation windows.
        options: How to train.
        seed: Seed of order, noise and dropout.
        folder: Where the state to resume from is kept while training runs.
        on_epoch: Called after every epoch, e.g. to move a progress bar.
    """

    def __init__(
        self,
        model: Decoder,
        batches: Batches,
        options: TrainOptions,
        *,
        seed: int,
        folder: Path,
        on_epoch: Callable[[Progress], None] = lambda progress: None,
    ) -> None:
        self.options, self.batches, self.seed, self.folder, self.on_epoch = options, batches, seed, folder, on_epoch
        self.accelerator = Accelerator(
            cpu=not _use_cuda(options.device),
            mixed_precision="bf16" if options.mixed_precision and _has_bf16(options.device) else "no",
        )
        decay, plain = decayed(model)
        groups = [{"params": decay, "weight_decay": options.weight_decay}, {"params": plain, "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(groups, lr=options.learning_rate, fused=True)
        self.model, self.optimizer = self.accelerator.prepare(model, optimizer)
        # walks through the modules of a network take a twentieth of a small one's step
        self._parameters, self._offers = list(self.model.parameters()), auxiliary_offers(self.model)
        self.total = options.num_epochs * self._steps_per_epoch()
        self.stages = stages(options)
        self._weighted = _class_weights(options, batches, model)
        self._worked = time.perf_counter if self.accelerator.device.type == "cuda" else time.process_time
        self.progress = Progress()
        self.best: Weights = {}

    def fit(self) -> Fitted:
        """Train until the epochs are used up or validation stopped improving, resuming if a state is there.

        Returns:
            Best and last weights and the curve.

        Raises:
            FloatingPointError: If the loss is no longer finite.
        """
        self._resume()
        self.on_epoch(self.progress)
        with Curve(self.folder / "live", resumed=self.progress.epoch > 0) as curve:
            while not self._done():
                began, worked = time.perf_counter(), self._worked()
                train_loss = self._epoch()
                self.progress.training_seconds += self._worked() - worked
                with measured(self.model.backbone) as activity:
                    validation_loss = self.validate()
                self._note(train_loss, validation_loss, activity)
                self.progress.seconds += time.perf_counter() - began
                curve.log(*self.progress.curve[-1], self.progress.activity[-1])
                self._save()
                self.on_epoch(self.progress)
        done = self.progress
        return Fitted(self.best, self._weights(), done.curve, done.best_epoch, done.activity)

    def _done(self) -> bool:
        since = max(self.progress.best_epoch, self.progress.stage_since)
        stale = self.progress.epoch - since >= self.options.patience and self.progress.stage + 1 == len(self.stages)
        return self.progress.epoch >= self.options.num_epochs or (self.progress.epoch > 0 and stale)

    def _epoch(self) -> float:
        """One pass over the training windows; returns the mean loss of a window."""
        generator = self._seed_epoch()
        self.model.train()
        total, accumulation = 0.0, self.options.gradient_accumulation
        for index, batch in enumerate(self.batches.epoch(generator)):
            sample, y = self._shortened(*batch)
            loss = self._loss(
                self._corrupted(sample, generator), y, label_smoothing=self.options.label_smoothing, **self._weighted
            )
            whole = loss + taken(self._offers)
            self.accelerator.backward(whole * len(y) / self._windows_in_step(index))
            total += float(loss.detach()) * len(y)
            if (index + 1) % accumulation == 0 or index + 1 == len(self.batches):
                self._step()
        return self._finite(total / self.batches.windows, "training")

    def _shortened(self, sample: Sample, y: Tensor) -> tuple[Sample, Tensor]:
        """As much of the windows as the curriculum allows."""
        return beginnings(sample, y, share=self.stages[self.progress.stage].length, unit=self.batches.unit)

    def _corrupted(self, sample: Sample, generator: torch.Generator) -> Sample:
        """The windows with noise, and without some channels; numbers of tokens as they are."""
        share = self.stages[self.progress.stage].noise
        noise, dropout = share * self.options.input_noise, share * self.options.input_dropout
        return corrupted(sample, noise=noise, dropout=dropout, generator=generator)

    def _windows_in_step(self, index: int) -> int:
        """Windows that share a step with batch `index`; the last step of an epoch may have fewer."""
        step = self.options.gradient_accumulation * self.options.batch_size
        first = index // self.options.gradient_accumulation * step
        return min(step, self.batches.windows - first)

    def _step(self) -> None:
        """Move the weights once."""
        warmup = round(self.options.warmup_fraction * self.total)
        factor = SCHEDULES[self.options.schedule](self.progress.step, total=self.total, warmup=warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = self.options.learning_rate * factor
        if self.options.gradient_clip is not None:
            self.accelerator.clip_grad_norm_(self._parameters, self.options.gradient_clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.progress.step += 1

    @torch.no_grad()
    def validate(self) -> float:
        """Mean loss of a validation window."""
        self.model.eval()
        total = sum(float(self._loss(sample, y)) * len(y) for sample, y in self.batches.validation())
        return self._finite(total / len(self.batches.y_validation), "validation")

    def _loss(self, sample: Sample, y: Tensor, **how: Any) -> Tensor:
        """Mean loss of a batch; `how` goes to the head."""
        with self.accelerator.autocast():
            outputs, _ = self.model(sample)
        return self.model.head.loss(outputs.float(), y, **how)

    def _finite(self, loss: float, part: str) -> float:
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the {part} loss became {loss} in epoch {self.progress.epoch + 1}; lower "
                f"train.learning_rate={self.options.learning_rate} or train.gradient_clip={self.options.gradient_clip}"
            )
        return loss

    def _seed_epoch(self) -> torch.Generator:
        """Randomness of this epoch alone: dropout from torch's own generator, order and noise from the returned one."""
        seed = self.seed * 100_003 + self.progress.epoch
        torch.manual_seed(seed)
        return torch.Generator().manual_seed(seed)

    def _note(self, train_loss: float, validation_loss: float, activity: Activity) -> None:
        """Count the epoch and keep the weights if they are the best so far."""
        self.progress.epoch += 1
        self.progress.curve.append((self.progress.step, train_loss, validation_loss))
        self.progress.activity.append(activity)
        if validation_loss < self.progress.best_loss:
            self.progress.best_loss, self.progress.best_epoch = validation_loss, self.progress.epoch
            self.best = self._weights()
        self._raise_difficulty()

    def _raise_difficulty(self) -> None:
        """Begin the next stage of the curriculum if this one is over; several where epochs are fewer than stages."""
        done = self.progress
        while stage_is_over(
            self.options, stage=done.stage, epoch=done.epoch, since=done.stage_since, best_epoch=done.best_epoch
        ):
            done.stage, done.stage_since = done.stage + 1, done.epoch

    def _weights(self) -> Weights:
        return {name: value.detach().cpu().clone() for name, value in self.model.state_dict().items()}

    def _steps_per_epoch(self) -> int:
        return -(-len(self.batches) // self.options.gradient_accumulation)

    def _save(self) -> None:
        """Keep all that the next epoch depends on."""
        tensors = {f"last/{name}": value for name, value in self._weights().items()}
        tensors |= {f"best/{name}": value for name, value in self.best.items()}
        tensors |= optimizer_tensors(self.optimizer)
        save_checkpoint(self.folder / "state.safetensors", tensors, **vars(self.progress))

    def _resume(self) -> None:
        """Take up a training that was cut off."""
        path = self.folder / "state.safetensors"
        if not path.is_file():
            return
        tensors, facts = load_checkpoint(path)
        facts["curve"] = [tuple(point) for point in facts["curve"]]
        self.progress = Progress(**facts)
        self.model.load_state_dict(under(tensors, "last/"))
        self.best = under(tensors, "best/")
        load_optimizer(self.optimizer, tensors)


def _class_weights(options: TrainOptions, batches: Batches, model: Decoder) -> dict[str, Tensor]:
    """What the training loss is told of the classes; nothing where all count alike or there are none."""
    task = getattr(model.head, "task", None)
    if options.class_weights == "none" or task is None or task.kind != "classification":
        return {}
    return {"class_weights": balanced(batches.y, classes=task.width)}


def _use_cuda(device: str) -> bool:
    if device == "cuda" and not torch.cuda.is_available():
        raise RuntimeError("train.device=cuda: no CUDA device is visible here; set train.device to auto or cpu")
    return device != "cpu" and torch.cuda.is_available()


def _has_bf16(device: str) -> bool:
    """Whether the processor multiplies bfloat16 in hardware; emulated it is slower than float32."""
    if _use_cuda(device):
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)())
