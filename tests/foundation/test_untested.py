"""A pretraining that nothing is tested of reads all rows but those it is validated on, and leaks none of these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from neurofmx.foundation.feed import Feed
from neurofmx.foundation.held_out import sessions_of
from neurofmx.foundation.untested import without_test
from neurofmx.models.foundation.assembled import assemble
from neurofmx.models.foundation.config import NeurofmxConfig
from neurofmx.parts import GAP, TEST, TRAIN, VALIDATION
from neurofmx.preprocessing.splits import add_validation, check_no_leak, contiguous_blocks
from neurofmx.tokenizers.cutting.origin import Origin
from neurofmx.tokenizers.cutting.windows import Windows
from neurofmx.tokenizers.joined import Joined
from neurofmx.tokenizers.joining import join
from synthetic import ragged_windows, synthetic_windows

TINY = NeurofmxConfig(hidden_dim=16, num_layers=1, latents=2, latent_layers=1, num_attention_heads=2)


def blocks(windows: Windows) -> Windows:
    """The same windows, overlapping by half and divided into stretches of time with gaps."""
    start = np.concatenate([np.arange((windows.group == r).sum()) * 0.5 for r in np.unique(windows.group)])
    stop = start + 1.0
    where = windows.group, start, stop
    split = contiguous_blocks(*where, folds=3, gap=1.0)
    split = add_validation(split, *where, by="tail", gap=1.0, fraction=0.25)
    return replace(windows, start=start, stop=stop, anchor=start, split=split)


def one(name: str = "rat", **changes: object) -> Windows:
    made = synthetic_windows(windows=90, **changes)  # type: ignore[arg-type]
    return blocks(replace(made, dataset=name, origins=(Origin("rat/1", "rat", ("r",)),), species="rat"))


def mice() -> Joined:
    """Two sessions with units of their own."""
    made = ragged_windows([synthetic_windows(windows=60, seed=k, channels=3 + k) for k in (0, 1)])
    origins = tuple(Origin(f"mouse/{k}", "mouse", (str(k),)) for k in (0, 1))
    windows = blocks(replace(made, dataset="mice", origins=origins, species="mouse"))
    return join({"m/spikes": windows}, tolerance=0.0)


def spikes_and_lfp() -> Joined:
    return join({"rat/spikes": one(), "rat/lfp": replace(one("lfp", seed=1, time=12), modality="lfp")}, tolerance=0.1)


@pytest.mark.parametrize("rows", [mice, spikes_and_lfp])
def test_what_fold_0_tests_is_trained_on_and_what_it_validates_is_not(rows: Callable[[], Joined]) -> None:
    joined = rows()
    made = without_test(joined)
    first, (only,) = joined.split[0], made.split
    assert made.folds == 1
    for before, after in ((TRAIN, TRAIN), (TEST, TRAIN), (VALIDATION, VALIDATION), (GAP, GAP)):
        assert (first == before).any()
        assert (only[first == before] == after).all()
    name, windows = next(iter(made.streams.items()))  # all streams have the same times
    check_no_leak(made.split, made.group, windows.start[made.index[name]], windows.stop[made.index[name]])


def test_of_a_recording_without_validation_every_row_is_trained_on() -> None:
    whole = mice()
    split = whole.split.copy()
    split[0, whole.group == 1] = GAP  # as the windows of another person, who has a fold of his own
    (only,) = without_test(replace(whole, split=split)).split
    assert (only[whole.group == 1] == TRAIN).all()
    assert (only[whole.group == 0] == VALIDATION).any()


def test_scaling_is_that_of_the_rows_that_are_trained_on() -> None:
    made = without_test(mice())
    windows = made.streams["m/spikes"]
    for recording, channels in ((0, 3), (1, 4)):
        chosen = (windows.group == recording) & (windows.split[0] == TRAIN)
        x = windows.x[chosen][..., :channels].reshape(-1, channels).astype(np.float64)
        np.testing.assert_allclose(windows.mean[0, recording, :channels], x.mean(0), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(windows.std[0, recording, :channels], x.std(0), rtol=1e-5)
    assert {each.recording for each in sessions_of(windows, fold=0)} == {"mouse/0", "mouse/1"}


def test_a_feed_reads_them() -> None:
    joined = spikes_and_lfp()
    made = without_test(joined)
    counts = []
    for each in (joined, made):
        _, known = assemble(TINY, [each])
        feed = Feed([each], known, balance="windows", batch_size=8, steps=2, device=torch.device("cpu"))
        counts.append((len(feed.rows[0]), len(feed.rows_validation[0])))
    assert counts[1][0] == counts[0][0] + int((joined.split[0] == TEST).sum())
    assert counts[1][1] == counts[0][1]
