"""Windows of every kind, random and small, and a second copy of them with more padding and rubbish in it."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from neurofmx.tokenizers.tokens import Layout, Sample

MORE = 4  # patches of padding that the second copy has at its end

# smallest windows that each tokenizer takes, by its name; patches of 4 samples but for sound
LAYOUTS = {
    "audio": Layout((960, 1), rate=8000.0, patch=80),
    "behavior_video": Layout((24, 6), rate=30.0, patch=4),
    "calcium": Layout((24, 5), rate=10.0, patch=4),
    "ecog": Layout((96, 5), rate=500.0, patch=16, positions=True),
    "eeg": Layout((96, 5), rate=80.0, patch=16),
    "emg": Layout((96, 5), rate=200.0, patch=16),
    "fmri": Layout((24, 5), rate=0.5, patch=4, positions=True),
    "ieeg": Layout((96, 5), rate=500.0, patch=16, positions=True),
    "lfp": Layout((96, 5), rate=500.0, patch=16, recordings=3, varied=True, positions=True),
    "linear": Layout((24, 5), rate=10.0, patch=4),
    "log_power": Layout((96, 5), rate=80.0, patch=16),
    "spikes": Layout((24, 5), rate=10.0, patch=4, recordings=3, varied=True),
    "trajectory": Layout((24, 5), rate=10.0, patch=4),
    "ultrasonic": Layout((2500, 1), rate=250e3, patch=250),
    "video": Layout((24, 8, 10), rate=30.0, patch=4),
    "video_audio": Layout((24, 8, 10), rate=30.0, patch=4, beside=Layout((6400, 1), rate=8000.0, patch=80)),
    "vocalization": Layout((960, 1), rate=8000.0, patch=80),
}


def sample_of(layout: Layout, *, windows: int = 4, seed: int = 0) -> Sample:
    """Random windows: the first is full, the others end earlier, also within a patch; some channels are absent."""
    torch.manual_seed(seed)
    time, channels = layout.shape[0], layout.shape[1:]
    beside = None if layout.beside is None else sample_of(layout.beside, windows=windows, seed=seed + 1)
    present = None
    if len(channels) == 1 and channels[0] == 5:
        present = torch.ones(windows, 5, dtype=torch.bool)
        present[1:, 2] = False
    return Sample(
        torch.randn(windows, time, *channels),
        present=present,
        length=torch.tensor([time, time - 1, time // 2 + 1, 2][:windows]),
        recording=torch.arange(windows) % layout.recordings,
        positions=0.1 * torch.randn(windows, *channels, 3) if layout.positions else None,
        beside=beside,
    )


def padded_more(sample: Sample, layout: Layout) -> Sample:
    """The same windows with `MORE` further patches, and NaN wherever nothing was recorded."""
    assert sample.length is not None
    extra = torch.zeros(len(sample), MORE * layout.patch, *sample.x.shape[2:])
    longer = replace(sample, x=torch.cat([sample.x, extra], 1))
    beside = sample.beside
    if beside is not None and layout.beside is not None:
        beside = padded_more(beside, layout.beside)
    return replace(longer, x=longer.x.where(recorded_numbers(longer), torch.nan), beside=beside)


def recorded_numbers(sample: Sample) -> Tensor:
    """Which numbers of the windows were recorded, bool, shape as `x`."""
    there = torch.ones_like(sample.x, dtype=torch.bool)
    for window, row in enumerate(there):
        if sample.length is not None:
            row[int(sample.length[window]) :] = False
        if sample.present is not None:
            row[:, ~sample.present[window]] = False
    return there
