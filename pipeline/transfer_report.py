"""Learning curves of a dataset: every start and share of `transfer` in tables and a figure."""

from pathlib import Path

import numpy as np

from _stage import Params, run, write_json
from neurofmx.atomic import atomic
from neurofmx.evaluation.answers import load_answers, out_of_fold
from neurofmx.evaluation.chance import chance_outputs
from neurofmx.evaluation.learning_curves import Learnt, curves_markdown, curves_plot, learning_curves
from neurofmx.tokenizers.cutting.windows import Windows, load_windows
from neurofmx.tokenizers.share import learnt_from, with_share


def main(params: Params, dataset: str) -> None:
    """Write metrics/transfer/DATASET.json, .md and .png."""
    windows, out = load_windows(Path(f"data/tokens/{dataset}.h5")), Path("metrics/transfer")
    learnt = []
    for share in params.transfer.shares:
        part = with_share(windows, share / 100)
        number = learnt_from(part)
        learnt.append(Learnt("chance", share, chance(part), number))
        for start in ("linear", *params.transfer.starts):
            outputs = load_answers(Path("data/transfer") / dataset / f"{start}-{share}" / "answers.h5")
            learnt.append(Learnt(start, share, outputs, number))
    evaluate, score = params.evaluate, windows.task.headline
    points = learning_curves(
        learnt,
        windows.truth,
        windows.block[windows.tested],
        windows.task,
        draws=evaluate.draws,
        confidence=evaluate.confidence,
    )
    write_json(out / f"{dataset}.json", {"dataset": dataset, "split": windows.split_name, "points": points})
    table = curves_markdown(points, headline=score)
    with atomic(out / f"{dataset}.md") as part:
        part.write_text(table)
    curves_plot(points, out / f"{dataset}.png", headline=score, title=f"{dataset}, {windows.split_name}")
    print(table)


def chance(windows: Windows) -> np.ndarray:
    """Answers of what never looks at the recording."""
    return out_of_fold(windows, lambda fold: chance_outputs(windows, fold))[None]


if __name__ == "__main__":
    run(main, dataset="an entry of transfer.datasets in params.yaml")
