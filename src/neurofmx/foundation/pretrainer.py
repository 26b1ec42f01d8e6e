"""Pretraining of the multimodal model by self-supervision, over several sets of windows at once.

As in `training/loop.py` every epoch starts from a seed of its own and its end is kept, so that a training that is
killed and goes on ends with the same bits as one that was not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from neurofmx.foundation.feed import Feed
from neurofmx.foundation.mask_plans import mask
from neurofmx.foundation.missing import drop_modalities
from neurofmx.foundation.options import JUDGED, LOSSES, PretrainOptions
from neurofmx.foundation.roles import by_role
from neurofmx.foundation.self_supervision import SELF_SUPERVISION, Step
from neurofmx.layers.gradient_reversal import reversal_strength
from neurofmx.losses.multi_task import MultiTaskLossManager
from neurofmx.losses.temperature import Temperature
from neurofmx.models.foundation.assembled import Assembled
from neurofmx.models.neurofmx import NeuralStates
from neurofmx.tokenizers.masking import Masked
from neurofmx.tokenizers.multi_sample import MultiSample
from neurofmx.training.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from neurofmx.training.curves import Curve
from neurofmx.training.kept_state import Weights, decayed, load_optimizer, optimizer_tensors, under
from neurofmx.training.schedule import SCHEDULES


@dataclass
class Point:
    """Where the losses stand after an epoch: step, mean weighted loss of a step, the mean of each loss by name."""

    step: int
    train_loss: float
    validation_loss: float
    losses: dict[str, float]


def loss_names(curve: Sequence[Point]) -> list[str]:
    """The losses that a curve holds, in the order of `LOSSES`, which a curve that was read from a file has lost."""
    held = {name for point in curve for name in point.losses}
    return [name for name in LOSSES if name in held]


def mean_curve(curves: Sequence[Sequence[Point]]) -> list[Point]:
    """Mean curve of pretrainings that differ in their seed alone; each loss over those that asked it in the epoch."""
    means = []
    for points in zip(*curves, strict=True):
        asked = {name: [p.losses[name] for p in points if name in p.losses] for name in loss_names(points)}
        train, validation = ([getattr(p, part) for p in points] for part in ("train_loss", "validation_loss"))
        losses = {name: fmean(values) for name, values in asked.items()}
        means.append(Point(points[0].step, fmean(train), fmean(validation), losses))
    return means


@dataclass
class PretrainProgress:
    """Where a pretraining stands after an epoch."""

    epoch: int = 0
    step: int = 0
    best_epoch: int = 0
    best_loss: float = math.inf
    seconds: float = 0.0
    curve: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Pretrained:
    """A finished pretraining.

    Args:
        best: Weights with the lowest validation loss.
        last: Weights of the last epoch.
        curve: A point an epoch.
        best_epoch: From 1.
        weights: What each loss was multiplied by at the end.
        temperature: Of the contrasts at the end.
    """

    best: Weights
    last: Weights
    curve: list[Point]
    best_epoch: int
    weights: dict[str, float]
    temperature: float


class Pretrainer:
    """Pretrain one model.

    Args:
        network: Model and heads, freshly initialised, on the feed's device; trained in place.
        feed: Training and validation rows.
        options: How to train.
        seed: Of order, masks and dropout.
        folder: Where the state to resume from is kept while it runs.
        on_epoch: Called after every epoch, e.g. to move a progress bar.

    Raises:
        ValueError: If a forecast is asked of a model that sees the whole window, counts of no spikes, or that neurons,
            behaviour and stimulus be told which belong together where all streams are one of them.
    """

    def __init__(
        self,
        network: Assembled,
        feed: Feed,
        options: PretrainOptions,
        *,
        seed: int,
        folder: Path,
        on_epoch: Callable[[PretrainProgress], None] = lambda progress: None,
    ) -> None:
        if "forecast" in options.losses and not network.model.config.causal:
            raise ValueError(
                "models.neurofmx.causal=False: such a model has seen what pretrain.losses.forecast asks for; set that "
                "weight to 0, or causal to true"
            )
        if options.spikes == "poisson" and not feed.counts:
            raise ValueError("pretrain.spikes=poisson: no stream is of spikes; set it to gaussian, or add one")
        _check_roles(network, options)
        self.network, self.feed, self.options, self.seed = network, feed, options, seed
        self.folder, self.on_epoch = folder, on_epoch
        device = next(network.parameters()).device
        self.manager = MultiTaskLossManager(list(options.losses), weighting=options.weighting, **_weighting(options))
        self.manager.to(device)
        self.temperature = Temperature(options.temperature, learnt=options.temperature_learnt).to(device)
        decay, plain = decayed(network)
        plain = [*plain, *self.manager.parameters(), *self.temperature.parameters()]
        groups = [{"params": decay, "weight_decay": options.weight_decay}, {"params": plain, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=options.learning_rate, fused=True)
        self.total = options.num_epochs * len(feed)
        self.progress, self.best = PretrainProgress(), Weights()

    def fit(self) -> Pretrained:
        """Train until the epochs are used up, resuming if a state is there.

        Raises:
            FloatingPointError: If a loss is no longer finite.
            ValueError: If no step of an epoch, or no validation row, had a loss.
        """
        self._resume()
        self.on_epoch(self.progress)
        with Curve(self.folder / "live", resumed=self.progress.epoch > 0) as curve:
            while self.progress.epoch < self.options.num_epochs:
                began = time.perf_counter()
                point = self._epoch()
                self._note(point)
                self.progress.seconds += time.perf_counter() - began
                curve.log(point.step, point.train_loss, point.validation_loss, {})
                self._save()
                self.on_epoch(self.progress)
        points = [Point(**point) for point in self.progress.curve]
        with torch.no_grad():
            ended = float(self.temperature())
        return Pretrained(self.best, self._weights(), points, self.progress.best_epoch, self.manager.weights(), ended)

    def _epoch(self) -> Point:
        """One epoch and its validation."""
        generator = self._seeded(self.progress.epoch)
        self.network.train()
        total, steps, sums, counts = 0.0, 0, dict[str, float](), dict[str, int]()
        for batch, anchor in self.feed.epoch(generator):
            kept = drop_modalities(batch, share=self.options.drop_modalities, generator=generator)
            losses = self._losses(kept, anchor, generator)
            if all(each is None for each in losses.values()):  # of a few rows nothing may be hidden
                self.progress.step += 1
                continue
            loss = self.manager(losses, shared=self._shared())
            loss.backward()
            self._move()
            total, steps = total + float(loss.detach()), steps + 1
            for name, each in losses.items():
                if each is not None:
                    sums[name], counts[name] = sums.get(name, 0.0) + float(each.detach()), counts.get(name, 0) + 1
        means = {name: value / counts[name] for name, value in sums.items()}
        if not steps:
            raise ValueError(
                f"no step of epoch {self.progress.epoch + 1} had a loss, as nothing of its rows was hidden: lower "
                f"pretrain.mask.span_s={self.options.mask.span_s:g}, or ask for another loss than "
                f"{', '.join(self.options.losses)}"
            )
        train_loss = self._finite(total / steps, "training")
        return Point(self.progress.step, train_loss, self.validate(), means)

    def _losses(
        self, batch: MultiSample, anchor: Tensor, generator: torch.Generator, *, validating: bool = False
    ) -> dict[str, Tensor | None]:
        """Every loss that is asked for, of one batch."""
        masked, states = self._read(batch, generator)
        done = min(1.0, self.progress.step / self.total)
        step = Step(
            self.network,
            batch,
            masked,
            states,
            lambda: self._read(batch, generator)[1],
            anchor,
            torch.tensor(self.options.ahead_s, dtype=torch.float64, device=anchor.device),
            reversal_strength(done, gamma=self.options.reversal_gamma),
            self.feed.counts,
            self.options.stimuli,
            self.temperature(),
            self.options.forecast_discount,
            self.options.mmd_bandwidths,
        )
        asked = [name for name in self.options.losses if not validating or name in JUDGED]
        return {name: SELF_SUPERVISION[name](step) for name in asked}

    def _read(self, batch: MultiSample, generator: torch.Generator) -> tuple[Masked, NeuralStates]:
        """Hide something, and read the rest."""
        masked = mask(batch, self.network.rates, self.options.mask, generator=generator)
        return masked, self.network.model(masked.batch, seen=masked.seen)[0]

    def _shared(self) -> list[Tensor]:
        """What all losses go through, for weights that follow gradients: the norm behind the last Mamba block."""
        return list(self.network.model.dynamics.norm.parameters()) if self.options.weighting == "gradnorm" else []

    def _move(self) -> None:
        """Move the weights once."""
        warmup = round(self.options.warmup_fraction * self.total)
        factor = SCHEDULES[self.options.schedule](self.progress.step, total=self.total, warmup=warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = self.options.learning_rate * factor
        if self.options.gradient_clip is not None:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.options.gradient_clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.progress.step += 1

    @torch.no_grad()
    def validate(self) -> float:
        """Weighted mean over sets, each with its share of a step, of the losses that say how good states are.

        The same rows are hidden in every epoch, so that epochs can be compared; the weights are those of `losses`. Rows
        of which a loss asks nothing do not count in its mean.
        """
        self.network.eval()
        generator = torch.Generator().manual_seed(self.seed)
        sums, rows = dict[tuple[int, str], float](), dict[tuple[int, str], int]()
        for number, batch, anchor in self.feed.validation():
            for name, each in self._losses(batch, anchor, generator, validating=True).items():
                if each is not None:
                    key = number, name
                    sums[key] = sums.get(key, 0.0) + float(each) * len(batch)
                    rows[key] = rows.get(key, 0) + len(batch)
        if not rows:
            raise ValueError(
                "no validation row had a loss to judge an epoch by: lower pretrain.mask.span_s="
                f"{self.options.mask.span_s:g}, or give the datasets longer windows"
            )
        weights, asked = self.feed.weights, self.options.losses
        total = sum(float(weights[key[0]]) * asked[key[1]] * sums[key] / rows[key] for key in rows)
        return self._finite(total, "validation")

    def _finite(self, loss: float, part: str) -> float:
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the {part} loss became {loss} in epoch {self.progress.epoch + 1}; lower "
                f"pretrain.learning_rate={self.options.learning_rate} or "
                f"pretrain.gradient_clip={self.options.gradient_clip}"
            )
        return loss

    def _seeded(self, epoch: int) -> torch.Generator:
        """Randomness of one epoch alone."""
        seed = self.seed * 100_003 + epoch
        torch.manual_seed(seed)
        return torch.Generator().manual_seed(seed)

    def _note(self, point: Point) -> None:
        """Count the epoch and keep the weights if they are the best so far."""
        self.progress.epoch += 1
        self.progress.curve.append(vars(point))
        if point.validation_loss < self.progress.best_loss:
            self.progress.best_loss, self.progress.best_epoch = point.validation_loss, self.progress.epoch
            self.best = self._weights()

    def _weights(self) -> Weights:
        return {name: value.detach().cpu().clone() for name, value in self.network.state_dict().items()}

    def _save(self) -> None:
        """Keep all that the next epoch depends on."""
        tensors = {f"last/{name}": value for name, value in self._weights().items()}
        tensors |= {f"best/{name}": value for name, value in self.best.items()}
        tensors |= {f"manager/{name}": value for name, value in self.manager.state_dict().items()}
        tensors |= {f"temperature/{name}": value for name, value in self.temperature.state_dict().items()}
        save_checkpoint(
            self.folder / "state.safetensors", tensors | optimizer_tensors(self.optimizer), **vars(self.progress)
        )

    def _resume(self) -> None:
        """Take up a pretraining that was cut off."""
        path = self.folder / "state.safetensors"
        if not path.is_file():
            return
        tensors, facts = load_checkpoint(path)
        self.progress = PretrainProgress(**facts)
        self.network.load_state_dict(under(tensors, "last/"))
        self.manager.load_state_dict(under(tensors, "manager/"))
        self.temperature.load_state_dict(under(tensors, "temperature/"))
        self.best = under(tensors, "best/")
        load_optimizer(self.optimizer, tensors)


def _weighting(options: PretrainOptions) -> dict[str, Any]:
    """What the weighting of the losses is told."""
    if options.weighting == "fixed":
        return {"weights": options.losses}
    if options.weighting == "gradnorm":
        return {"alpha": options.gradnorm_alpha, "rate": options.gradnorm_rate}
    return {}


def _check_roles(network: Assembled, options: PretrainOptions) -> None:
    """Refuse to ask what belongs together where all is of one kind."""
    streams = network.model.streams
    roles = by_role({name: streams[name].modality for name in streams}, stimuli=options.stimuli)
    if "tri_modal" in options.losses and len(roles) < 2:
        raise ValueError(
            f"pretrain.losses.tri_modal: all streams ({', '.join(streams)}) are {next(iter(roles))}; add what was "
            "recorded beside them, name in pretrain.stimuli what was shown, or set the weight to 0"
        )
