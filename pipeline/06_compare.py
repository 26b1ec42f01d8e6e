"""One table and one figure over all datasets and models that `run` names."""

import csv
import json
from pathlib import Path

from _stage import Params, run, write_json
from neurofmx.atomic import atomic
from neurofmx.evaluation.figures import comparison_figure, curves_figure
from neurofmx.evaluation.table import comparison_markdown

SCORES, OUT = Path("data/scores"), Path("metrics")


def main(params: Params) -> None:
    """Write metrics/comparison.{json,md,png} and metrics/curves.png."""
    models = ("linear", "model", *params.run.compare)
    pairs = [(dataset, model) for dataset in params.run.datasets for model in models]
    reports = [json.loads((SCORES / dataset / model / "report.json").read_text()) for dataset, model in pairs]
    curves = {pair: curve(SCORES.joinpath(*pair) / "curve.csv") for pair in pairs}
    write_json(OUT / "comparison.json", reports)
    table = comparison_markdown(reports)
    with atomic(OUT / "comparison.md") as part:
        part.write_text(table)
    comparison_figure(reports, OUT / "comparison.png")
    curves_figure({pair: points for pair, points in curves.items() if points}, OUT / "curves.png", models=models)
    print(table)


def curve(path: Path) -> list[tuple[int, float, float]]:
    """Points (epoch, train loss, validation loss); none for a model that is not trained by gradient descent."""
    if not path.is_file():
        return []
    with path.open() as file:
        rows = [row[:3] for row in csv.reader(file)][1:]  # what follows are no losses
    return [(int(epoch), float(train), float(validation)) for epoch, train, validation in rows]


if __name__ == "__main__":
    run(main)
