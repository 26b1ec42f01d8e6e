"""Score a trained model on the test windows of every fold, beside chance and the tuned linear model."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from copy import deepcopy
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from _stage import Params, run, write_json
from neurofmx.evaluation.answers import load_answers, out_of_fold, save_answers
from neurofmx.evaluation.attention import AttentionMeter
from neurofmx.evaluation.by_length import by_length
from neurofmx.evaluation.chance import chance_outputs
from neurofmx.evaluation.context import Context, said_context, text_answers
from neurofmx.evaluation.perturb import (
    CHANNELS,
    NEURONS,
    noisy,
    silenced_channels,
    silenced_neurons,
    spiking_units,
)
from neurofmx.evaluation.report import Cost, Provenance, report, rounded
from neurofmx.evaluation.robustness import (
    Robustness,
    load_harmed,
    noise_name,
    robustness_report,
    save_harmed,
    silenced_name,
)
from neurofmx.evaluation.spikes import SpikeMeter
from neurofmx.models.table import MODELS
from neurofmx.params import Model
from neurofmx.tokenizers.windows import Windows, load_windows
from neurofmx.training.checkpoint import load_checkpoint


class Answered(NamedTuple):
    """What a model said of every tested window, `(seeds, windows, width)`, and what it is made of."""

    outputs: np.ndarray
    seeds: tuple[int, ...]
    parameters: int
    spikes: float | None = None
    entropy: float | None = None
    blocks: tuple[dict[str, float], ...] = ()
    kernels: str = ""
    tokenizer: str = ""
    precision: str = ""
    weight_bytes: int | None = None
    validation_loss: float | None = None
    carries: bool = True
    harmed: Mapping[str, np.ndarray] = MappingProxyType({})  # answers under noise or with silent neurons, by condition
    silenced: str = ""


def main(params: Params, dataset: str, model: str) -> None:
    """Write data/scores/DATASET/MODEL and the short metrics/scores/DATASET/MODEL.json."""
    tokens = Path(f"data/tokens/{dataset}.h5")
    checkpoints, out = Path("data/checkpoints") / dataset / model, Path("data/scores") / dataset / model
    windows, chosen = load_windows(tokens), params.named(model)
    answer = classical if MODELS[chosen.family].classical else network
    answered = answer(params, dataset, chosen, windows, checkpoints)
    shutil.rmtree(out, ignore_errors=True)
    save_answers(out / "answers.h5", answered.outputs)
    if (checkpoints / "curve.csv").is_file():
        shutil.copy(checkpoints / "curve.csv", out / "curve.csv")
    linear = Path("data/scores") / dataset / "linear"
    reference = load_answers(linear / "answers.h5")
    chance = out_of_fold(windows, lambda fold: chance_outputs(windows, fold))
    full = {"validation_loss": answered.validation_loss} | report(
        answered.outputs,
        windows.truth,
        windows.block[windows.tested],
        windows.task,
        linear=reference,
        chance=chance,
        provenance=Provenance(
            dataset=dataset,
            model=model,
            split=windows.split_name,
            sha256=hashlib.sha256(tokens.read_bytes()).hexdigest(),
            window=window_of(windows, answered, params.evaluate.text_context),
            seeds=answered.seeds,
            kernels=answered.kernels,
            tokenizer=answered.tokenizer,
            precision=answered.precision,
        ),
        cost=Cost(
            parameters=answered.parameters,
            **cost_of(checkpoints),
            spikes_per_neuron_per_step=answered.spikes,
            weight_bytes=answered.weight_bytes,
            attention_entropy=answered.entropy,
            spiking_blocks=answered.blocks,
        ),
        draws=params.evaluate.draws,
        confidence=params.evaluate.confidence,
    )
    length = windows.length[windows.tested]
    if windows.vocabulary and np.ptp(length):
        full["by_length"] = by_length(answered.outputs, windows.truth, length, windows.task)
    if params.evaluate.robustness.asked:
        save_harmed(out / "harmed.h5", answered.harmed)
        full["robustness"] = rounded(
            robustness_report(
                answered.outputs,
                answered.harmed,
                windows.truth,
                windows.block[windows.tested],
                windows.task,
                chance=chance,
                what=answered.silenced,
                linear=(reference, load_harmed(linear / "harmed.h5")),
                draws=params.evaluate.draws,
                confidence=params.evaluate.confidence,
            )
        )
    write_json(out / "report.json", full)
    write_json(Path(f"metrics/scores/{dataset}/{model}.json"), headlines(full))
    print(f"{dataset} {model}: {full['headline']} {full['score']:.3f}, linear {full['linear']:.3f}: {full['verdict']}")


def cost_of(checkpoints: Path) -> dict[str, Any]:
    """What training took, as the report has it."""
    cost = json.loads((checkpoints / "cost.json").read_text())
    return {name: cost[name] for name in ("train_seconds", "peak_memory_mib")}


def headlines(full: dict[str, Any]) -> dict[str, Any]:
    """The few numbers that `dvc metrics diff` shows; the others stand in the report and the table.

    They are named DATASET.MODEL.METRIC, so that the columns of `dvc exp show` need no paths. Settings are chosen by
    the validation loss, never by the score: that would be training on the test windows.
    """
    difference = {name: full["difference"][name] for name in ("value", "low", "high")}
    short = {full["headline"]: full["score"], "minus_linear": difference, "beats_linear": full["beats_linear"]}
    if "by_length" in full:
        short["by_length"] = full["by_length"]
    if (loss := full["validation_loss"]) is not None:
        short["validation_loss"] = round(loss, 6)
    return {full["dataset"]: {full["model"]: short}}


def classical(params: Params, dataset: str, model: Model, windows: Windows, checkpoints: Path) -> Answered:
    """Answers of a model that was fitted once a fold, whatever the seeds."""
    from neurofmx.models.per_recording import load_decoder

    module, name = MODELS[model.family].decoder(windows.task).split(":")
    decoder = getattr(import_module(module), name)
    stored = [load_checkpoint(checkpoints / f"best_fold{fold}.safetensors")[0] for fold in range(windows.folds)]
    folds = [load_decoder(decoder, {name: array.numpy() for name, array in arrays.items()}) for arrays in stored]
    context = params.evaluate.text_context

    def answers(windows: Windows) -> np.ndarray:
        def answer(fold: int) -> np.ndarray:
            test, said = windows.fold(fold).test, folds[fold]
            if windows.task.kind != "next_token":
                return said.answer(windows, fold, test)
            ask = said.log_likelihood
            return text_answers(windows, test, context=context, windowed=ask, carried=ask)

        return out_of_fold(windows, answer)[None]

    harmed = {noise_name(level): answers(noisy(windows, level)) for level in noise_of(params, windows)}
    return Answered(answers(windows), (0,), folds[0].parameters, harmed=harmed)


def noise_of(params: Params, windows: Windows) -> tuple[float, ...]:
    """The levels of noise that windows can have: none on the numbers of tokens."""
    return () if windows.tokens else params.evaluate.robustness.noise


def asked(
    decoder: Any, windows: Windows, fold: int, *, context: Context = 0.0, channels: int = 0, seed: int = 0
) -> np.ndarray:
    """Answers of a network to the test windows of a fold: outputs, or log probabilities of a text's true tokens."""
    import torch

    from neurofmx.tokenizers.tokens import Sample

    test = windows.fold(fold).test
    if windows.task.kind != "next_token":
        sample = Sample.of(windows, fold, test)
        if channels:
            sample = sample.with_x(silenced_channels(sample.x, channels, seed=seed))
        return decoder.predict(sample)

    def windowed(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return decoder.log_likelihood(Sample(torch.as_tensor(x, dtype=torch.int64)), y)

    carried = decoder.stream_likelihood if carries(decoder) else None
    return text_answers(windows, test, context=context, windowed=windowed, carried=carried)


def means(alike: tuple[dict[str, float], ...]) -> dict[str, float]:
    """The mean of every number over folds and seeds."""
    return {name: float(np.mean([one[name] for one in alike])) for name in alike[0]}


def carries(decoder: Any) -> bool:
    """Whether a network's state has a fixed size, so that it can be carried through any length of text."""
    return not getattr(decoder.backbone, "grows", False)


def window_of(windows: Windows, answered: Answered, context: Context) -> str:
    """What a window holds, in words; of a text also what was read before."""
    if windows.task.kind != "next_token":
        return windows.description
    return f"{windows.description}; {said_context(context, windows.x.shape[1], carries=answered.carries)}"


def under_harm(
    decoder: Any, robustness: Robustness, noises: dict[str, Windows], windows: Windows, fold: int, *, seed: int
) -> dict[str, np.ndarray]:
    """Answers of a network to the test windows of a fold under every condition that it can be put in."""
    found = {name: asked(decoder, each, fold) for name, each in noises.items()}
    neurons, text = spiking_units(decoder.backbone), bool(windows.tokens)
    chosen = seed * 1009 + fold
    for count in robustness.silenced:
        if count < neurons:
            with silenced_neurons(decoder.backbone, count, seed=chosen):
                found[silenced_name(count)] = asked(decoder, windows, fold)
        elif not neurons and not text and count < windows.x.shape[-1]:
            found[silenced_name(count)] = asked(decoder, windows, fold, channels=count, seed=chosen)
    return found


def network(params: Params, dataset: str, model: Model, windows: Windows, checkpoints: Path) -> Answered:
    """Answers of the best weights of each fold and seed, in the precision of `evaluate`."""
    import torch

    from neurofmx.layers.inference import in_precision
    from neurofmx.layers.quantize import size_in_bytes
    from neurofmx.models.build import build_decoder

    torch.set_num_threads(params.train_of(dataset).threads)
    decoders = [
        build_decoder(model.family, model.config, params.head_of(dataset), windows, fold=fold)
        for fold in range(windows.folds)
    ]
    spikes: list[float | None] = []
    entropies: list[float | None] = []
    blocks: list[list[dict[str, float]]] = []
    losses: list[float] = []
    sizes: list[int] = []
    noises = {noise_name(level): noisy(windows, level) for level in noise_of(params, windows)}
    harm: dict[tuple[int, int], dict[str, np.ndarray]] = {}

    def answer(fold: int, seed: int) -> np.ndarray:
        weights, _ = load_checkpoint(checkpoints / f"best_fold{fold}_seed{seed}.safetensors")
        decoders[fold].load_state_dict(weights)
        decoder = in_precision(deepcopy(decoders[fold]), params.evaluate.precision)
        sizes.append(size_in_bytes(decoder))
        with SpikeMeter(decoder.backbone) as meter, AttentionMeter(decoder.backbone) as attention:
            outputs = asked(decoder, windows, fold, context=params.evaluate.text_context)
        spikes.append(meter.rate)
        entropies.append(attention.entropy)
        blocks.append(meter.blocks)
        harm[fold, seed] = under_harm(decoder, params.evaluate.robustness, noises, windows, fold, seed=seed)
        _, facts = load_checkpoint(checkpoints / f"last_fold{fold}_seed{seed}.safetensors")
        losses.append(min(validation for _, _, validation in facts["curve"]))
        return outputs

    seeds = params.evaluate.seeds
    outputs = np.stack([out_of_fold(windows, lambda fold, seed=seed: answer(fold, seed)) for seed in seeds])
    harmed = {
        name: np.stack([out_of_fold(windows, lambda fold, s=seed, n=name: harm[fold, s][n]) for seed in seeds])
        for name in next(iter(harm.values()))
    }
    parameters = sum(weight.numel() for weight in decoders[0].parameters())
    return Answered(
        outputs,
        seeds,
        parameters,
        spikes=mean_of_known(spikes),
        entropy=mean_of_known(entropies),
        blocks=tuple(means(alike) for alike in zip(*blocks, strict=True)),
        kernels=getattr(decoders[0].backbone, "kernels", ""),
        tokenizer=type(decoders[0].tokenizer).__name__,
        precision=params.evaluate.precision,
        weight_bytes=max(sizes),
        validation_loss=float(np.mean(losses)),
        carries=carries(decoders[0]),
        harmed=harmed,
        silenced=NEURONS if spiking_units(decoders[0].backbone) else CHANNELS,
    )


def mean_of_known(values: list[float | None]) -> float | None:
    """The mean over folds and seeds; None for a model that has no such number."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


if __name__ == "__main__":
    run(main, dataset="name of a dataset in params.yaml", model="`model` or a key of `models` in params.yaml")
