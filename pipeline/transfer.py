"""Train the multimodal model on a share of a dataset's windows, from scratch or pretrained, and score it.

START is one of transfer.starts, or `linear` for the tuned linear model on the same windows.
"""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from _stage import Params, kept, run, write_json
from neurofmx.evaluation.answers import load_answers, out_of_fold, save_answers
from neurofmx.evaluation.chance import chance_outputs
from neurofmx.evaluation.report import Cost, Provenance, report
from neurofmx.foundation.starts import Start
from neurofmx.models.fitted.linear import LinearDecoder
from neurofmx.models.fitted.per_recording import fit_decoder
from neurofmx.tokenizers.cutting.windows import Windows, load_windows
from neurofmx.tokenizers.share import learnt_from, with_share

OUT, PRETRAINED = Path("data/transfer"), Path("data/checkpoints/pretrained")


def main(params: Params, dataset: str, start: str, share: str) -> None:
    """Write data/transfer/DATASET/START-SHARE."""
    require(params, dataset, start, share)
    tokens, out = Path(f"data/tokens/{dataset}.h5"), OUT / dataset / f"{start}-{share}"
    windows = with_share(load_windows(tokens), int(share) / 100)
    if start == "linear":
        return linear(params, windows, out)
    return network(params, windows, tokens, start=start, share=int(share), out=out)


def require(params: Params, dataset: str, start: str, share: str) -> None:
    """Refuse what params.yaml does not name: an unknown start would be trained as some other."""
    section = params.transfer
    for key, given, known in (
        ("datasets", dataset, section.datasets),
        ("starts", start, ("linear", *section.starts)),
        ("shares", share, tuple(map(str, section.shares))),
    ):
        if given not in known:
            raise ValueError(f"transfer.{key}: no {given}; there are {', '.join(known) or 'none'}; add it there")


def linear(params: Params, windows: Windows, out: Path) -> None:
    """Fit the linear model and keep its answers."""
    config = params.named("linear").config
    folds = [fit_decoder(LinearDecoder, windows, fold, config) for fold in range(windows.folds)]
    answers = out_of_fold(windows, lambda fold: folds[fold].answer(windows, fold, windows.fold(fold).test))
    shutil.rmtree(out, ignore_errors=True)
    save_answers(out / "answers.h5", answers[None])


def network(params: Params, windows: Windows, tokens: Path, *, start: str, share: int, out: Path) -> None:
    """Train every fold and seed, and score them beside chance and the linear model."""
    from neurofmx.training.checkpoints.settings import Settings, save_settings
    from neurofmx.training.jobs import train_all
    from neurofmx.training.recipe import Beginning, Recipe

    dataset, asked = tokens.stem, params.evaluate
    begun, item = Start.of(start), params.run.datasets[dataset]
    config = params.named("neurofmx").config.model_copy(update={"step_s": step_of(params, windows)})
    folder, stream = PRETRAINED / begun.pretraining, f"{item.kind}/{item.modality}"
    beginning = None if begun.mode == "scratch" else Beginning(folder, begun.mode, stream)
    head, options = params.head_of(dataset), params.train_of(dataset)
    rate = params.transfer.learning_rate.of(begun.mode, otherwise=options.learning_rate)
    options = options.model_copy(update={"learning_rate": rate})
    recipe = Recipe(tokens, "neurofmx", config, head, options, share / 100, beginning)
    label = f"{dataset} {start} {share} %"
    with train_all(recipe, folds=windows.folds, seeds=asked.seeds, keep=kept(), label=label) as done:
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True, exist_ok=True)
        for job in done:
            for kind in ("best", "last"):
                shutil.copy(
                    job.folder / f"{kind}.safetensors", out / f"{kind}_fold{job.fold}_seed{job.seed}.safetensors"
                )
        save_settings(out, Settings("neurofmx", config, head))
        seconds, peak = sum(job.seconds for job in done), max(job.peak_memory_mib for job in done)
        facts = {"start": start, "share": share, "windows": learnt_from(windows), "learning_rate": rate}
        cost = (round(seconds / len(asked.seeds), 2), round(peak, 1))
        # what was trained is kept until it is scored
        score(params, windows, tokens, out=out, facts=facts, threads=options.threads, cost=cost)


def score(
    params: Params,
    windows: Windows,
    tokens: Path,
    *,
    out: Path,
    facts: dict[str, Any],
    threads: int,
    cost: tuple[float, float],
) -> None:
    """Answer the tested windows and write answers and report beside the weights.

    Args:
        params: All sections.
        windows: Those that were trained on, and are answered.
        tokens: Their file.
        out: Where the weights are.
        facts: What the report says of the training.
        threads: Threads of torch, on which the bits of an answer may depend.
        cost: Seconds of one seed, and the highest resident memory, MiB.
    """
    import torch

    from neurofmx.evaluation.networks import network_answers
    from neurofmx.evaluation.robustness import Robustness

    asked, dataset = params.evaluate, tokens.stem
    torch.set_num_threads(threads)
    answered = network_answers(
        windows,
        out,
        seeds=asked.seeds,
        context=asked.text_context,
        precision=asked.precision,
        robustness=Robustness(),  # nothing reads answers that were disturbed
    )
    save_answers(out / "answers.h5", answered.outputs)
    full = report(
        answered.outputs,
        windows.truth,
        windows.block[windows.tested],
        windows.task,
        linear=load_answers(OUT / dataset / f"linear-{facts['share']}" / "answers.h5"),
        chance=out_of_fold(windows, lambda fold: chance_outputs(windows, fold)),
        provenance=Provenance(
            dataset=dataset,
            model=f"neurofmx {facts['start']}",
            split=windows.split_name,
            sha256=hashlib.sha256(tokens.read_bytes()).hexdigest(),
            window=answered.window(windows, asked.text_context),
            seeds=answered.seeds,
            kernels=answered.kernels,
            tokenizer=answered.tokenizer,
            precision=answered.precision,
        ),
        cost=Cost(answered.parameters, *cost),
        draws=asked.draws,
        confidence=asked.confidence,
    )
    # by the validation loss rates are chosen, never by the score
    facts = facts | {"validation_loss": round(answered.validation_loss, 6)}
    write_json(out / "report.json", json.loads(json.dumps(full)) | facts)
    print(
        f"{dataset} {facts['start']}, {facts['share']} % of the windows: {full['headline']} {full['score']:.3f}, "
        f"validation loss {answered.validation_loss:.4f}"
    )


def step_of(params: Params, windows: Windows) -> float:
    """Time step of all pretrainings, which scratch is built with as well, so that the starts differ in weights alone.

    None of them may have seen a session of the windows, also where nothing is taken over: what they are compared with
    would mean nothing.
    """
    from neurofmx.foundation.held_out import check_unseen
    from neurofmx.training.pretrained import load_pretrained, of_seed

    steps = dict[str, float]()
    for name in params.pretrain.names:
        _, facts = load_pretrained(of_seed(PRETRAINED / name, params.evaluate.seeds[0]))
        check_unseen(facts["seen"], windows)
        steps[name] = facts["step_s"]
    if len(set(steps.values())) > 1:
        raise ValueError(
            f"pretrainings with time steps of different lengths cannot be compared, {steps} s: set "
            "models.neurofmx.step_s, or cut their datasets with tokens of one length"
        )
    return next(iter(steps.values()))


if __name__ == "__main__":
    run(
        main,
        dataset="an entry of transfer.datasets in params.yaml",
        start="an entry of transfer.starts, or linear",
        share="an entry of transfer.shares, %%",
    )
