"""What the benchmark asks of a model: `tokens -> states`, and what a model may answer beside that.

    states = model(tokens)      tokens: a `Sample` of standardised windows, one token a sample time

Any callable will do, a network or a function around scikit-learn. What it can do beyond that it says by a method:

| method | what for |
|---|---|
| `prepare(windows, *, fold, seed)` | learn from a fold, or load its weights; returns `tokens -> states` |
| `answer(tokens)` | its own answers, scored in place of a linear probe's |
| `reconstruct(tokens, hidden)` | the hidden channels, scored beside a linear readout's |
| `stored_answers(windows)` | answers it gave earlier to all tested windows |
| `stream(windows)` | a `Stream`, which is handed one sample after the other (`stream.py`) |
| `cannot(windows)` | why it is not asked about a dataset, as one of a kind that it does not read |

and by attributes: `seeds`, where it has others than the suite's, `(0,)` for a model whose preparation draws nothing;
`pretrained_on`, the recordings it has seen (`foundation.held_out.Seen`), so that none of them is asked about. What
`prepare` returns may have the other methods in its place.

Symbols: B windows, T samples of a window, C channels, N steps, D width of a state.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch

from neurofmx.tokenizers.cutting.windows import Windows
from neurofmx.tokenizers.tokens import Sample, Tokens

NO_SEED = (0,)  # of a model that draws nothing


class NotTrainedError(ValueError):
    """A model has no weights for a dataset; it is left out there, and the others are asked."""


class NoStatesError(ValueError):
    """A model answers a dataset but has no states of it; its kept answers are scored, the other parts left out."""


@runtime_checkable
class Encoder(Protocol):
    """A model as the benchmark sees it.

    Example:
        >>> from sklearn.decomposition import PCA
        >>> class Components:
        ...     '''The first principal components of the channels, learnt on each fold's training windows.'''
        ...
        ...     seeds = (0,)
        ...
        ...     def prepare(self, windows, *, fold, seed):
        ...         train = windows.scaled(fold, windows.fold(fold).train)
        ...         self.pca = PCA(2).fit(train.reshape(-1, train.shape[2]))
        ...         return self
        ...
        ...     def __call__(self, tokens):
        ...         rows = self.pca.transform(tokens.x.reshape(-1, tokens.x.shape[2]).numpy())
        ...         return rows.reshape(len(tokens), -1, 2)
        >>> isinstance(Components(), Encoder)
        True

    `neurofmx.benchmark.benchmark(Components())` is all that is left to do.
    """

    def __call__(self, tokens: Sample, /) -> Any:
        """States of some windows.

        Args:
            tokens: Windows standardised with the fold's training windows, `x (B, T, C)`, float32 on the CPU; with masks
                for padding and absent channels.

        Returns:
            States `(B, N, D)`, an array or a tensor, in the order of time; or `Tokens` with a mask, where some of the
            steps are padding.
        """


@runtime_checkable
class Prepares(Protocol):
    """A model that learns from each fold, or has weights for each."""

    def prepare(self, windows: Windows, *, fold: int, seed: int) -> Encoder:
        """The model for one fold; it may look at the answers of training and validation windows alone."""
        ...


@runtime_checkable
class Answers(Protocol):
    """A model with a head of its own."""

    def answer(self, tokens: Sample, /) -> Any:
        """Outputs `(B, task.width)`: logits, values in the target's unit, or cosine and sine."""


@runtime_checkable
class Reconstructs(Protocol):
    """A model that predicts what it was not shown."""

    def reconstruct(self, tokens: Sample, hidden: np.ndarray, /) -> Any:
        """All channels `(B, T, C)` in standardised units, where those that are `hidden (C,)` were set to 0 in `x`."""


@runtime_checkable
class Stored(Protocol):
    """A model whose answers to all tested windows are kept."""

    def stored_answers(self, windows: Windows) -> np.ndarray | None:
        """Answers `(seeds, tested windows, width)` in the order of `windows.tested`; None where there are none."""


@runtime_checkable
class Streams(Protocol):
    """A model that can be handed one sample after the other."""

    def stream(self, windows: Windows) -> Any:
        """A `neurofmx.benchmark.stream.Stream` for windows of this dataset."""


@runtime_checkable
class Limited(Protocol):
    """A model that reads some kinds of datasets alone."""

    def cannot(self, windows: Windows) -> str:
        """Why it does not read a dataset; empty where it does. A frozen suite does not ask for such answers."""
        ...


class States(NamedTuple):
    """States of some windows.

    Args:
        values: Shape `(B, N, D)`, float64.
        recorded: Steps of each window that are no padding, `(B,)`; the others follow at the end.
    """

    values: np.ndarray
    recorded: np.ndarray

    @property
    def rows(self) -> np.ndarray:
        """States of all recorded steps one below the other, `(steps, D)`."""
        return self.values[np.arange(self.values.shape[1]) < self.recorded[:, None]]


@torch.inference_mode()
def encode(encoder: Encoder, sample: Sample, *, batch_size: int = 256, name: str = "the model") -> States:
    """Ask a model for its states, some windows at a time.

    Args:
        encoder: The model.
        sample: Any number of windows, at least one.
        batch_size: Windows asked for at once.
        name: Of the model, for messages.

    Returns:
        The states.

    Raises:
        ValueError: If states have a wrong shape, or are not finite where something was recorded.
    """
    said = [
        _checked(encoder(sample[first : first + batch_size]), len(sample[first : first + batch_size]), name)
        for first in range(0, len(sample), batch_size)
    ]
    longest = max(each.values.shape[1] for each in said)
    values = [np.pad(each.values, ((0, 0), (0, longest - each.values.shape[1]), (0, 0))) for each in said]
    return States(np.concatenate(values), np.concatenate([each.recorded for each in said]))


def _checked(said: Any, windows: int, name: str) -> States:
    """What a model returned, as states."""
    mask = said.mask if isinstance(said, Tokens) else None
    values = as_array(said.values if isinstance(said, Tokens) else said)
    if values.ndim != 3 or len(values) != windows or not values.size:
        raise ValueError(
            f"states of {name} have shape {values.shape}: {windows} windows need (windows, steps, width); give a model "
            "with one state a window an axis of one step"
        )
    recorded = np.full(windows, values.shape[1]) if mask is None else as_array(mask).sum(1).astype(int)
    there = np.arange(values.shape[1]) < recorded[:, None]
    if not np.isfinite(values[there]).all():
        raise ValueError(f"states of {name} hold numbers that are not finite: did its training diverge?")
    return States(np.where(there[..., None], values, 0.0), recorded)


def as_array(values: Any) -> np.ndarray:
    """An array or tensor as float64 on the CPU."""
    if isinstance(values, torch.Tensor):
        values = values.detach().float().cpu().numpy()
    return np.asarray(values, np.float64)


def seeds_of(model: Any, seeds: Sequence[int]) -> tuple[int, ...]:
    """The seeds a model has: its own where it names them, those of the suite where it is prepared, else none (0)."""
    return tuple(getattr(model, "seeds", seeds if isinstance(model, Prepares) else NO_SEED))
