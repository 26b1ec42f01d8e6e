"""Answers of trained networks, whole and harmed, with what their layers did while they answered."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from neurofmx.evaluation.answered import Answered
from neurofmx.evaluation.answers import out_of_fold
from neurofmx.evaluation.context import Context, lengths_of, text_answers
from neurofmx.evaluation.inference_time import WINDOWS, times_in_turns
from neurofmx.evaluation.perturb import (
    CHANNELS,
    NEURONS,
    input_channels,
    noises,
    silenced_channels,
    silenced_neurons,
    spiking_neurons,
)
from neurofmx.evaluation.robustness import Robustness, silenced_count, silenced_name
from neurofmx.evaluation.trained_network import trained_network
from neurofmx.layers.attention_meter import AttentionMeter
from neurofmx.layers.inference import Precision, in_precision
from neurofmx.layers.population_meter import PopulationMeter
from neurofmx.layers.quantize import size_in_bytes
from neurofmx.layers.spike_meter import SpikeMeter
from neurofmx.models.decoding.decoder import Decoder
from neurofmx.tokenizers.cutting.windows import Windows
from neurofmx.tokenizers.tokens import Sample
from neurofmx.training.checkpoints.checkpoint import load_checkpoint


class Said(NamedTuple):
    """What the network of one fold and seed said of its test windows, and what was seen meanwhile."""

    outputs: np.ndarray
    harmed: dict[str, np.ndarray]
    lengths: dict[int, np.ndarray]
    spikes: float | None
    entropy: float | None
    blocks: list[dict[str, Any]]
    weight_bytes: int
    validation_loss: float
    took: dict[str, float] | None


def network_answers(
    windows: Windows,
    checkpoints: Path,
    *,
    seeds: Sequence[int],
    context: Context,
    precision: Precision,
    robustness: Robustness,
    lengths: Sequence[int] = (),
    timed: bool = False,
) -> Answered:
    """Ask the best weights of each fold and seed of all tested windows.

    Args:
        windows: Windows with their folds.
        checkpoints: Folder with `settings.json` and `best_` and `last_fold{fold}_seed{seed}.safetensors`.
        seeds: Seeds it was trained with.
        context: What a language model has read before the tokens it is asked about.
        precision: In which its matrices are held and multiplied.
        robustness: The harm to ask under as well.
        lengths: Tokens of the windows in which a text is read as well.
        timed: Whether answers are timed beside those in float32.
    """
    under_noise = noises(windows, robustness)

    def said(fold: int, seed: int) -> Said:
        _, facts = load_checkpoint(checkpoints / f"last_fold{fold}_seed{seed}.safetensors")
        decoder = in_precision(trained_network(checkpoints, windows, fold=fold, seed=seed), precision)
        backbone = decoder.backbone
        with SpikeMeter(backbone) as spikes, PopulationMeter(backbone) as codes, AttentionMeter(backbone) as attention:
            outputs = _ask(decoder, windows, fold, context=context)
        return Said(
            outputs,
            {name: _ask(decoder, noisy, fold) for name, noisy in under_noise.items()}
            | _with_silent(decoder, robustness.silenced, windows, fold, context=context, seed=seed * 1009 + fold),
            {
                # windows of their own length, each alone, are answered already
                time: outputs
                if (time, context) == (windows.x.shape[1], 0)
                else _ask(decoder, windows, fold, length=time)
                for time in lengths_of(windows, lengths)
            },
            spikes.rate,
            attention.entropy,
            codes.beside(spikes.blocks),
            size_in_bytes(decoder),
            min(validation for _, _, validation in facts["curve"]),
            _took(decoder, windows, checkpoints, fold=fold, seed=seed, precision=precision) if timed else None,
        )

    each = {(fold, seed): said(fold, seed) for seed in seeds for fold in range(windows.folds)}
    all_said, first = list(each.values()), trained_network(checkpoints, windows, fold=0, seed=seeds[0])
    what, of = _can_be_silent(first, windows)
    return Answered(
        np.stack([out_of_fold(windows, lambda fold, s=seed: each[fold, s].outputs) for seed in seeds]),
        tuple(seeds),
        sum(weight.numel() for weight in first.parameters()),
        spikes=_mean_of_known([one.spikes for one in all_said]),
        entropy=_mean_of_known([one.entropy for one in all_said]),
        blocks=tuple(_means(alike) for alike in zip(*(one.blocks for one in all_said), strict=True)),
        kernels=getattr(first.backbone, "kernels", ""),
        tokenizer=type(first.tokenizer).__name__,
        precision=precision,
        weight_bytes=max(one.weight_bytes for one in all_said),
        validation_loss=float(np.mean([one.validation_loss for one in all_said])),
        carries=_carries(first),
        harmed={
            name: np.stack(
                [out_of_fold(windows, lambda fold, s=seed, n=name: each[fold, s].harmed[n]) for seed in seeds]
            )
            for name in all_said[0].harmed
        },
        silenced=what,
        silenced_of=of,
        lengths={
            time: np.stack(
                [out_of_fold(windows, lambda fold, s=seed, t=time: each[fold, s].lengths[t]) for seed in seeds]
            )
            for time in all_said[0].lengths
        },
        inference=tuple({"fold": fold, "seed": seed} | one.took for (fold, seed), one in each.items() if one.took),
    )


def _ask(
    decoder: Decoder,
    windows: Windows,
    fold: int,
    *,
    context: Context = 0.0,
    length: int | None = None,
    channels: int = 0,
    seed: int = 0,
) -> np.ndarray:
    """Answers to the test windows of a fold: outputs, or log probabilities of a text's true tokens."""
    test = windows.fold(fold).test
    if windows.task.kind != "next_token":
        sample = Sample.of(windows, fold, test)
        if channels:
            sample = silenced_channels(sample, channels, seed=seed)
        return decoder.predict(sample)

    def windowed(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return decoder.log_likelihood(Sample(torch.as_tensor(x, dtype=torch.int64)), y)

    carried = decoder.stream_likelihood if _carries(decoder) else None
    return text_answers(windows, test, context=context, windowed=windowed, carried=carried, length=length)


def _took(
    decoder: Decoder, windows: Windows, checkpoints: Path, *, fold: int, seed: int, precision: Precision
) -> dict[str, float]:
    """Milliseconds of a window, and those of the same weights in float32 in turns with it."""
    networks = [decoder]
    if precision != "float32":
        networks.append(trained_network(checkpoints, windows, fold=fold, seed=seed).eval())
    test = windows.fold(fold).test[:WINDOWS]
    sample = Sample.of(windows, fold, test)

    def answer(network: Decoder) -> np.ndarray:
        if windows.task.kind == "next_token":
            return network.log_likelihood(sample, windows.y[test])
        return network.predict(sample)

    seconds = times_in_turns([partial(answer, network) for network in networks])
    return {"ms": 1e3 * seconds[0] / len(test), "float32_ms": 1e3 * seconds[-1] / len(test)}


def _with_silent(
    decoder: Decoder, asked: Sequence[float], windows: Windows, fold: int, *, context: Context, seed: int
) -> dict[str, np.ndarray]:
    """Answers with so many spiking neurons silent, or input channels of a network without any, where it has more."""
    found = {}
    what, of = _can_be_silent(decoder, windows)
    for name, count in ((silenced_name(each), silenced_count(each, of)) for each in asked):
        if count >= of:
            continue
        if what == CHANNELS:
            found[name] = _ask(decoder, windows, fold, channels=count, seed=seed)
            continue
        with silenced_neurons(decoder.backbone, count, seed=seed):
            found[name] = _ask(decoder, windows, fold, context=context)
    return found


def _can_be_silent(decoder: Decoder, windows: Windows) -> tuple[str, int]:
    """What is silenced in a network, and how many of them there are."""
    if neurons := spiking_neurons(decoder.backbone):
        return NEURONS, neurons
    return CHANNELS, input_channels(windows)


def _carries(decoder: Decoder) -> bool:
    """Whether a network's state has a fixed size, so that it can be carried through any length of text."""
    return not getattr(decoder.backbone, "grows", False)


def _means(alike: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The mean of every number, or list of numbers, over the folds and seeds that have one; None if none has."""
    known = {name: [one[name] for one in alike if one[name] is not None] for name in alike[0]}
    return {name: np.mean(values, axis=0).tolist() if values else None for name, values in known.items()}


def _mean_of_known(values: Sequence[float | None]) -> float | None:
    """The mean over folds and seeds; None for a model that has no such number."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
