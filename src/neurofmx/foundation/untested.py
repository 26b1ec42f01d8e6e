"""All rows of a set to learn from, where nothing of it is tested: only what is validated on stays apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from neurofmx.parts import GAP, TRAIN, VALIDATION
from neurofmx.tokenizers.cutting.windows import Windows
from neurofmx.tokenizers.joined import ABSENT, Joined
from neurofmx.tokenizers.share import scaled_anew


def without_test(joined: Joined) -> Joined:
    """The same rows in one fold that tests nothing, for a model that is scored on other sessions.

    What the first fold validates on is validated on; its other rows are trained on, those that it tests as well. In a
    recording with validation rows those that the fold leaves out stay out, as some of them lie next to them.

    Args:
        joined: Rows with their folds.

    Returns:
        Rows with a single fold, each stream standardised with what is trained on now.
    """
    first = joined.split[0]
    held = np.isin(joined.group, joined.group[first == VALIDATION])
    part = np.where(first == VALIDATION, VALIDATION, np.where((first == GAP) & held, GAP, TRAIN)).astype(np.int8)
    streams = {name: _learnt(windows, joined.index[name], part) for name, windows in joined.streams.items()}
    return replace(joined, streams=streams, split=part[None])


def _learnt(windows: Windows, index: np.ndarray, part: np.ndarray) -> Windows:
    """A stream's windows with the parts of their rows; a window of no row has no part in anything."""
    split = np.full((1, len(windows.x)), GAP, np.int8)
    here = index != ABSENT
    split[0, index[here]] = part[here]
    return scaled_anew(replace(windows, split=split))
