"""Windows with a known answer, for tests of what reads windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from neurofmx.preprocessing.splits import add_validation, contiguous_blocks
from neurofmx.recordings.task import Task, TaskKind
from neurofmx.tokenizers.cutting.windows import Windows


def synthetic_windows(
    kind: TaskKind = "classification",
    *,
    windows: int = 120,
    time: int = 6,
    channels: int = 4,
    folds: int = 3,
    noise: float = 0.3,
    modality: str = "spikes",
    seed: int = 0,
) -> Windows:
    """Noise around a pattern that depends on the answer, one window a second, one recording."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi, windows)
    task, y = {
        "classification": (Task("classification", "label", ("left", "right")), (angle > np.pi).astype(np.int64)),
        "circular": (Task("circular", "angle", ("angle",)), angle),
        "regression": (Task("regression", "xy", ("x", "y")), 100 + 10 * np.stack([np.cos(angle), np.sin(angle)], 1)),
    }[kind]
    pattern = rng.normal(size=(2, time, channels))
    drive = np.stack([np.cos(angle), np.sin(angle)], 1)
    x = (np.einsum("nk,ktc->ntc", drive, pattern) + noise * rng.normal(size=(windows, time, channels))).astype(
        np.float32
    )
    group, start = np.zeros(windows, int), np.arange(windows, dtype=float)
    split = contiguous_blocks(group, start, start + 1, folds=folds, gap=0.0)
    split = add_validation(split, group, start, start + 1, by="tail", gap=0.0, fraction=0.2)
    train = [x[row == 0] for row in split]
    return Windows(
        x=x,
        y=y,
        group=group,
        block=np.arange(windows) // 4,
        start=start,
        stop=start + 1,
        split=split,
        mean=np.stack([t.mean((0, 1)) for t in train]),
        std=np.stack([t.std((0, 1)) for t in train]),
        task=task,
        modality=modality,
        rate=float(time),
        channels=tuple(f"channel-{i}" for i in range(channels)),
        patch=1,
        split_name=f"blocks-{folds}fold-test",
        dataset="synthetic",
    )


def ragged_windows(recordings: Sequence[Windows]) -> Windows:
    """Windows of several recordings, each with its own channels, in one object; they share task, time and folds."""
    first, columns = recordings[0], max(each.x.shape[2] for each in recordings)

    def padded(array: np.ndarray, filler: float) -> np.ndarray:
        missing = columns - array.shape[-1]
        return np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, missing)], constant_values=filler)

    return replace(
        first,
        x=np.concatenate([padded(each.x, 0.0) for each in recordings]),
        group=np.repeat(np.arange(len(recordings)), [len(each.y) for each in recordings]),
        block=np.concatenate([each.block + 1000 * i for i, each in enumerate(recordings)]),
        split=np.concatenate([each.split for each in recordings], axis=1),
        mean=np.stack([padded(each.mean, 0.0) for each in recordings], axis=1),
        std=np.stack([padded(each.std, 1.0) for each in recordings], axis=1),
        **{
            name: np.concatenate([getattr(each, name) for each in recordings])
            for name in ("y", "start", "stop", "length", "anchor")
        },
        channels=tuple(f"column-{i}" for i in range(columns)),
        montage="own",
        present=np.stack([np.arange(columns) < each.x.shape[2] for each in recordings]),
        positions=np.full((len(recordings), columns, 3), np.nan),
    )
