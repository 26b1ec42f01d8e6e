"""How a pretraining went: every loss against the epoch, each beside its value in the first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from neurofmx.evaluation.canvas import COLOURS, GREY, WIDTH, canvas
from neurofmx.foundation.pretrainer import Point, loss_names


def pretrain_figure(curve: Sequence[Point], path: Path) -> None:
    """Draw the losses of a pretraining; the same input draws the same bytes.

    Args:
        curve: A point an epoch, at least one.
        path: PNG to write.

    Raises:
        ValueError: If there is no point.
    """
    if not curve:
        raise ValueError("curve is empty: give at least one epoch")
    epochs = range(1, len(curve) + 1)
    with canvas(path, size=(WIDTH, 3.0)) as figure:
        whole, each = figure.subplots(1, 2)
        whole.plot(epochs, [point.train_loss for point in curve], color=GREY, linewidth=1, label="training")
        whole.plot(epochs, [p.validation_loss for p in curve], color=COLOURS[0], linewidth=2, label="validation")
        for number, name in enumerate(loss_names(curve)):
            values = [point.losses.get(name, float("nan")) for point in curve]
            each.plot(epochs, values, color=COLOURS[number % len(COLOURS)], label=name)
        for panel, title in ((whole, "weighted sum of losses"), (each, "each loss in training")):
            panel.set_title(title, loc="left", fontsize=10)
            panel.set_xlabel("epoch")
            panel.xaxis.get_major_locator().set_params(integer=True)
            panel.legend(frameon=False, fontsize=8)
