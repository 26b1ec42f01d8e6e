"""Windows of a text put back together: the stretches of text that windows one after the other were cut from."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from neurofmx.tokenizers.cutting.windows import Windows


class Stretches(NamedTuple):
    """Texts one after the other.

    Args:
        text: Their tokens `(tokens,)`, int32.
        first: Where each begins `(stretches,)`.
    """

    text: np.ndarray
    first: np.ndarray

    def each(self) -> list[np.ndarray]:
        """The tokens of every stretch."""
        return np.split(self.text, self.first[1:])


def stretches(windows: Windows, index: np.ndarray) -> Stretches:
    """The text of windows `index`, in their order; windows that follow one another are joined.

    A stretch of n windows of t tokens holds n t + 1 tokens, as the last window's last answer follows it.
    """
    x, y = windows.x[index, :, 0], windows.y[index]
    same = windows.group[index][1:] == windows.group[index][:-1]
    joined = np.r_[False, same & np.isclose(windows.start[index][1:], windows.stop[index][:-1])]
    # a window goes on where the one before ended: its first token is then that window's last answer
    tokens = np.concatenate([x[:, :1], y], axis=1).astype(np.int32)
    keep = np.ones(tokens.shape, bool)
    keep[joined, 0] = False
    before = np.cumsum(keep.sum(axis=1)) - keep.sum(axis=1)
    return Stretches(tokens[keep], before[~joined])
