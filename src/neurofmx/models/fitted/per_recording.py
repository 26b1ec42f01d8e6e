"""A linear model for each recording, where each has its own channels: what one says does not hold for another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
from pydantic import BaseModel

from neurofmx.models.fitted.beside import BesideDecoder
from neurofmx.models.fitted.linear import ClassicalDecoder
from neurofmx.parts import GAP
from neurofmx.tokenizers.cutting.windows import Windows


class PerRecording:
    """Classical decoders, one a recording, in the order of `Windows.group`.

    Args:
        decoders: A fitted decoder for each recording.
    """

    PREFIX: ClassVar[str] = "recording-"

    def __init__(self, decoders: Sequence[ClassicalDecoder | BesideDecoder]) -> None:
        self.decoders = tuple(decoders)

    @property
    def parameters(self) -> int:
        """Fitted numbers of all."""
        return sum(decoder.parameters for decoder in self.decoders)

    def arrays(self) -> dict[str, np.ndarray]:
        """All that the decoders know, by recording and name."""
        return {
            f"{self.PREFIX}{number}.{name}": array
            for number, decoder in enumerate(self.decoders)
            for name, array in decoder.arrays().items()
        }

    def answer(self, windows: Windows, fold: int, index: np.ndarray) -> np.ndarray:
        """Answer windows `index` of a fold, each by its recording's decoder, shape `(index, task.width)`."""
        outputs = np.empty((len(index), windows.task.width))
        for number, decoder in enumerate(self.decoders):
            mine = np.flatnonzero(windows.group[index] == number)
            if len(mine):
                outputs[mine] = _asked(decoder, windows, fold, index[mine], number)
        return outputs


def fit_decoder(
    kind: type[ClassicalDecoder], windows: Windows, fold: int, config: BaseModel
) -> ClassicalDecoder | BesideDecoder | PerRecording:
    """Fit one decoder for all recordings, or one for each where each has its own channels.

    Where something is beside the windows, it is read as well.

    Args:
        kind: Class of the decoder.
        windows: Windows of one dataset.
        fold: Fold, 0 to `windows.folds - 1`.
        config: Settings of the decoder.

    Returns:
        A fitted decoder; `answer` and `arrays` are the same for both.

    Raises:
        ValueError: If a recording has no training or validation window, or lacks a class in them.
    """
    if "own" not in (windows.montage, "" if windows.beside is None else windows.beside.montage):
        return _fitted(kind, windows, fold, config)
    numbers = range(len(windows.present))
    return PerRecording([_fitted(kind, _alone(windows, number), fold, config) for number in numbers])


def load_decoder(
    kind: type[ClassicalDecoder], arrays: Mapping[str, np.ndarray]
) -> ClassicalDecoder | BesideDecoder | PerRecording:
    """Rebuild what `fit_decoder` gave from its `arrays()`; raises ValueError if they are not of that kind."""
    if not any(name.startswith(PerRecording.PREFIX) for name in arrays):
        return _loaded(kind, arrays)
    parts: dict[int, dict[str, np.ndarray]] = {}
    for name, array in arrays.items():
        number, _, inner = name.removeprefix(PerRecording.PREFIX).partition(".")
        parts.setdefault(int(number), {})[inner] = array
    return PerRecording([_loaded(kind, parts[number]) for number in sorted(parts)])


def _fitted(
    kind: type[ClassicalDecoder], windows: Windows, fold: int, config: BaseModel
) -> ClassicalDecoder | BesideDecoder:
    """A decoder of windows alone, or of both forms of them."""
    return kind.fit(windows, fold, config) if windows.beside is None else BesideDecoder.fit(kind, windows, fold, config)


def _loaded(kind: type[ClassicalDecoder], arrays: Mapping[str, np.ndarray]) -> ClassicalDecoder | BesideDecoder:
    """The same from its arrays."""
    return BesideDecoder.from_arrays(kind, arrays) if BesideDecoder.are_mine(arrays) else kind.from_arrays(arrays)


def _asked(
    decoder: ClassicalDecoder | BesideDecoder, windows: Windows, fold: int, index: np.ndarray, number: int
) -> np.ndarray:
    """What the decoder of a recording says of windows of that recording."""
    if isinstance(decoder, BesideDecoder):
        return decoder.answer(_alone(windows, number), fold, index)
    return decoder.predict(windows.scaled(fold, index)[..., windows.present[number]])


def _alone(windows: Windows, number: int) -> Windows:
    """The windows with all other recordings left out, in the columns and the scale of this one."""
    there, split = windows.present[number], np.where(windows.group == number, windows.split, GAP)
    beside = None if windows.beside is None else _alone(windows.beside, number)
    if windows.montage == "same":
        return replace(windows, split=split, beside=beside)
    return replace(
        windows,
        x=windows.x[..., there],
        split=split,
        beside=beside,
        mean=windows.mean[:, number, there],
        std=windows.std[:, number, there],
        montage="same",
        present=np.ones((len(windows.present), int(there.sum())), bool),
        positions=windows.positions[:, there],
        channels=tuple(name for name, kept in zip(windows.channels, there, strict=True) if kept),
    )
