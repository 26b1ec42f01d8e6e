"""Which tokens a window holds, wherever they stand, and which is the last: memory without order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurofmx.models.fitted.features.oscillations import Features


@dataclass(frozen=True, eq=False)
class Symbols(Features):
    """A 1 for each token of the vocabulary that a window holds, and once more for its last token.

    Token 0, which pads and stands for what training lacks, counts as nothing.

    Args:
        vocabulary: Number of tokens there are `(1,)`.
    """

    vocabulary: np.ndarray

    @classmethod
    def fit(cls, x: np.ndarray, y: np.ndarray, *, vocabulary: int) -> Symbols:
        """Learns nothing; the same call as for the other kinds."""
        return cls(np.array([vocabulary]))

    def transform(self, x: np.ndarray) -> np.ndarray:
        """Windows `(n, t, 1)` of token numbers as rows `(n, 2 * vocabulary)`."""
        tokens, rows = x[..., 0].astype(np.int64), np.arange(len(x))
        held, last = np.zeros((2, len(x), int(self.vocabulary[0])))
        held[np.repeat(rows, tokens.shape[1]), tokens.ravel()] = 1
        end = tokens.shape[1] - 1 - (tokens[:, ::-1] > 0).argmax(axis=1)
        last[rows, tokens[rows, end]] = 1
        held[:, 0] = last[:, 0] = 0
        return np.hstack([held, last])
