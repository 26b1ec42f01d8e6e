"""Score a trained model on the test windows of every fold, beside chance and the tuned linear model."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from _stage import Params, run, write_json
from neurofmx.evaluation.answered import Answered
from neurofmx.evaluation.answers import load_answers, out_of_fold, save_answers
from neurofmx.evaluation.by_length import Scores, by_context, by_length
from neurofmx.evaluation.chance import chance_outputs
from neurofmx.evaluation.report import Cost, Provenance, report, rounded
from neurofmx.evaluation.robustness import load_harmed, robustness_report, save_harmed
from neurofmx.models.table import MODELS
from neurofmx.tokenizers.cutting.windows import Windows, load_windows
from neurofmx.training.checkpoints.settings import load_settings


def main(params: Params, dataset: str, model: str) -> None:
    """Write data/scores/DATASET/MODEL and the short metrics/scores/DATASET/MODEL.json."""
    tokens = Path(f"data/tokens/{dataset}.h5")
    checkpoints, out = Path("data/checkpoints") / dataset / model, Path("data/scores") / dataset / model
    windows = load_windows(tokens)
    answered = answers_of(params, windows, checkpoints)
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
            window=answered.window(windows, params.evaluate.text_context),
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
    if lengths := lengths_of(params, windows, answered):
        full["by_length"] = rounded(lengths)
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
                of=answered.silenced_of,
                linear=(reference, load_harmed(linear / "harmed.h5")),
                draws=params.evaluate.draws,
                confidence=params.evaluate.confidence,
            )
        )
    write_json(out / "report.json", full)
    if answered.inference:  # it differs from run to run, so it stays out of the report
        write_json(out / "inference.json", list(answered.inference))
    write_json(Path(f"metrics/scores/{dataset}/{model}.json"), headlines(full))
    print(f"{dataset} {model}: {full['headline']} {full['score']:.3f}, linear {full['linear']:.3f}: {full['verdict']}")


def answers_of(params: Params, windows: Windows, checkpoints: Path) -> Answered:
    """What a trained model says of the tested windows."""
    asked = params.evaluate
    how: dict[str, Any] = {
        "context": asked.text_context,
        "robustness": asked.robustness,
        "lengths": asked.text_lengths,
    }
    if MODELS[load_settings(checkpoints).family].classical:
        from neurofmx.evaluation.classical import classical_answers

        return classical_answers(windows, checkpoints, **how)
    import torch

    from neurofmx.evaluation.networks import network_answers

    torch.set_num_threads(params.train.threads)
    return network_answers(windows, checkpoints, seeds=asked.seeds, precision=asked.precision, timed=asked.timed, **how)


def lengths_of(params: Params, windows: Windows, answered: Answered) -> Scores:
    """Scores by length: of a text in windows of several lengths, or of symbols whose windows have several."""
    block, bootstrap = (
        windows.block[windows.tested],
        {
            "draws": params.evaluate.draws,
            "confidence": params.evaluate.confidence,
        },
    )
    if answered.lengths:
        return by_context(answered.lengths, windows.truth, block, windows.task, **bootstrap)
    length = windows.length[windows.tested]
    if windows.vocabulary and np.ptp(length):
        return by_length(answered.outputs, windows.truth, length, block, windows.task, **bootstrap)
    return {}


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
        short["by_length"] = {length: each["value"] for length, each in full["by_length"].items()}
    if (loss := full["validation_loss"]) is not None:
        short["validation_loss"] = round(loss, 6)
    return {full["dataset"]: {full["model"]: short}}


if __name__ == "__main__":
    run(main, dataset="name of a dataset in params.yaml", model="`model` or a key of `models` in params.yaml")
