"""Loss curves, written while a training runs so that it can be followed, and joined when it is done."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from neurofmx.atomic import atomic

Point = tuple[int, float, float]


class Curve:
    """Follow one training with dvclive: `<folder>/plots/metrics/{train,validation}/*.tsv` grow as it runs.

    Args:
        folder: Where dvclive writes.
        resumed: Whether an earlier, killed run of this training wrote there.

    Use it as a context manager, which finishes the files also where the training raises.
    """

    def __init__(self, folder: Path, *, resumed: bool) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # raised while dvclive's own imports load
            from dvclive.live import Live

        # the stage declares its plots; dvclive must neither edit dvc.yaml nor save an experiment from inside it
        self._live = Live(dir=str(folder), resume=resumed, dvcyaml=None, save_dvc_exp=False, report=None)
        # inside `dvc exp run` it would load all stages at its end, to add files to git that git ignores
        self._live._inside_dvc_exp = False

    def log(self, step: int, train_loss: float, validation_loss: float, activity: Mapping[str, float]) -> None:
        """Add a point after an epoch, with what the network did while it was validated."""
        self._live.step = step
        self._live.log_metric("train/loss", train_loss)
        for name, value in {"loss": validation_loss, **activity}.items():
            self._live.log_metric(f"validation/{name}", value)
        self._live.make_summary()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Finish the files, and let go of the git repository that dvclive opened to look for one."""
        self._live.end()
        if self._live._dvc_repo is not None:
            self._live._dvc_repo.close()


def write_curves(
    path: Path, curves: Sequence[Sequence[Point]], activities: Sequence[Sequence[Mapping[str, float]]]
) -> None:
    """Write the mean loss curve of several trainings (folds, seeds) of one model, and how active the network was.

    A training that stopped early counts with its last value, so that the mean does not jump when it ends.

    Args:
        path: CSV file with columns `epoch`, `train_loss`, `validation_loss`, and those of the activity.
        curves: Points (step, train loss, validation loss) a training, one an epoch.
        activities: What was measured in validation, likewise; empty for networks without spikes and cross-attention.
    """
    longest, names = max(len(curve) for curve in curves), list(activities[0][0])
    with atomic(path) as part, part.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["epoch", "train_loss", "validation_loss", *names])
        for epoch in range(longest):
            places = [min(epoch, len(curve) - 1) for curve in curves]
            points = [curve[place] for curve, place in zip(curves, places, strict=True)]
            active = [activity[place] for activity, place in zip(activities, places, strict=True)]
            rows = [*zip(*points, strict=True)][1:] + [[each[name] for each in active] for name in names]
            table.writerow([epoch + 1, *(f"{sum(row) / len(row):.6g}" for row in rows)])
