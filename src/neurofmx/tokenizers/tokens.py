"""What tokenizers read and what they make: a `Sample` of windows in, `Tokens` out, with masks for what is not there.

Symbols: B windows, T samples of a window, C channels, N tokens, D width of a token.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn

from neurofmx.tokenizers.cutting.windows import Windows


class Layout(NamedTuple):
    """What a tokenizer knows of the windows before it reads the first.

    Args:
        shape: Of the longest window: time first, then channels, or height, width and colours.
        rate: Samples a second, Hz; rows a second where the samples are the rows of pictures.
        patch: Samples that share a token.
        recordings: Recordings that the windows come from.
        varied: Whether recordings differ in their channels, as sessions with other units do.
        positions: Whether samples bring the positions of their channels.
        grid: Shape of a picture, (rows, columns) or (rows, columns, colours), where windows hold the rows of pictures
            one after the other; empty for no pictures.
        beside: What was recorded at the same time in another form, such as the sound of a video.
        vocabulary: Where samples are the numbers of a text's tokens, how many tokens there are; 0 for measurements.
    """

    shape: tuple[int, ...]
    rate: float = 1.0
    patch: int = 1
    recordings: int = 1
    varied: bool = False
    positions: bool = False
    grid: tuple[int, ...] = ()
    beside: Layout | None = None
    vocabulary: int = 0

    @property
    def channels(self) -> int:
        """Numbers a sample holds."""
        return int(np.prod(self.shape[1:]))

    @classmethod
    def of(cls, windows: Windows) -> Layout:
        """The layout of windows."""
        grid = tuple(int(side) for side in getattr(windows, "grid", ()))
        return cls(
            shape=windows.x.shape[1:],
            rate=windows.rate * (grid[0] if grid else 1),
            patch=windows.patch,
            recordings=int(windows.group.max(initial=0)) + 1,
            varied=windows.montage == "own",
            positions=bool(np.isfinite(windows.positions).all(2).any()),
            grid=grid,
            beside=None if windows.beside is None else cls.of(windows.beside),
            vocabulary=windows.tokens,
        )


@dataclass(frozen=True, eq=False)
class Sample:
    """A batch of windows, padded at the end to one length.

    Args:
        x: Standardised samples (B, T, C), or (B, T, height, width, colours); of a text numbers of tokens, int64.
        present: Which channels a window's recording has (B, C), bool; None for all.
        length: Samples that were recorded, 1 to T, (B,); what follows is padding. None for all.
        recording: Index of each window's recording (B,); None for the first.
        positions: Where each channel sits (B, C, 3), m, NaN where nobody knows; None where that is so for all.
        beside: What was recorded at the same time in another form.
        start: Samples of the same windows that earlier calls have read: places are counted from there.
    """

    x: Tensor
    present: Tensor | None = None
    length: Tensor | None = None
    recording: Tensor | None = None
    positions: Tensor | None = None
    beside: Sample | None = None
    start: int = 0

    @classmethod
    def of(cls, windows: Windows, fold: int, index: np.ndarray) -> Sample:
        """Windows `index` and what is beside them, standardised with the training windows of a fold, on the CPU."""
        group, kind = windows.group[index], torch.int64 if windows.tokens else torch.float32
        whole = bool((windows.length == windows.x.shape[1]).all())
        # of tokens long windows to test on would make padding of most of what is trained on
        longest = int(windows.length[index].max(initial=1)) if windows.tokens else windows.x.shape[1]
        return cls(
            torch.as_tensor(windows.scaled(fold, index)[:, :longest], dtype=kind),
            present=None if windows.present.all() else torch.as_tensor(windows.present[group]),
            length=None if whole else torch.as_tensor(windows.length[index]),
            recording=torch.as_tensor(group, dtype=torch.int64),
            positions=torch.as_tensor(windows.positions[group]).float() if Layout.of(windows).positions else None,
            beside=None if windows.beside is None else cls.of(windows.beside, fold, index),
        )

    def __len__(self) -> int:
        """Number of windows."""
        return len(self.x)

    @property
    def longest(self) -> int:
        """Samples of a window, or of what is beside it where that has more."""
        return self.x.shape[1] if self.beside is None else max(self.x.shape[1], self.beside.longest)

    def __getitem__(self, index: Any) -> Sample:
        """Some of the windows, by a tensor of indices or a slice."""
        return self._each(lambda part: part[index])

    def to(self, device: torch.device) -> Sample:
        """The same on another device."""
        return self._each(lambda part: part.to(device))

    def starting_at(self, start: int) -> Self:
        """The same windows, of which so many samples were read before."""
        return replace(self, start=start)

    def with_x(self, x: Tensor) -> Self:
        """The same windows with other samples."""
        return replace(self, x=x)

    def beginning(self, samples: int) -> Self:
        """The first so many samples of every window; what was recorded beside them stays whole."""
        length = None if self.length is None else self.length.clamp_max(samples)
        return replace(self, x=self.x[:, :samples], length=length)

    @property
    def recorded(self) -> Tensor | None:
        """Which samples were recorded (B, T), bool; None for all."""
        return None if self.length is None else before(self.length, self.x.shape[1])

    def cleared(self) -> Tensor:
        """The samples with 0, the training mean, wherever nothing was recorded; shape as `x`."""
        x, recorded = self.x, self.recorded
        if recorded is not None:
            x = x.masked_fill(_widened(~recorded, x), 0.0)
        if self.present is not None:
            x = x.masked_fill(_widened(~self.present[:, None], x), 0.0)
        return x

    def _each(self, change: Callable[[Any], Any]) -> Sample:
        parts = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{n: change(part) for n, part in parts.items() if isinstance(part, Tensor | Sample)})


class Tokens(NamedTuple):
    """What a backbone reads.

    Args:
        values: The tokens (B, N, D).
        mask: Which of them stand for something recorded (B, N), bool; the others follow at the end. None for all.
        time: Centre of what each token reads, s from the window's start, (N,).
    """

    values: Tensor
    mask: Tensor | None
    time: Tensor


class Tokenizer(nn.Module, ABC):
    """Turns windows into tokens. All are built as `Tokenizer(layout, dim, config)`.

    What lies behind a window's length, or in a channel that its recording lacks, never changes a token that the mask
    keeps; so more padding gives the same answer.
    """

    longest: int | None = None  # samples of a window, read at once or piece by piece; None for any number

    @abstractmethod
    def forward(self, sample: Sample) -> Tokens:
        """Tokens of a batch of windows."""

    def check_room(self, samples: int) -> None:
        """Refuse a window that is too long.

        Args:
            samples: Of the whole window, whether it is read at once or piece by piece.

        Raises:
            ValueError: If there are more than it can read.
        """
        if self.longest is not None and samples > self.longest:
            raise ValueError(
                f"{samples} tokens in one piece: tokenizer_options.max_position_embeddings={self.longest} is all that "
                "have a place; read shorter windows, or learn no places"
            )


def before(length: Tensor, places: int) -> Tensor:
    """Which places come before each length: (B,) to (B, places), bool."""
    return torch.arange(places, device=length.device) < length[:, None]


def patches(sample: Sample, layout: Layout) -> tuple[Tensor | None, Tensor]:
    """Mask and time of tokens that each read `patch` samples in a row; a token of one recorded sample counts.

    Args:
        sample: The windows; their length must be a multiple of the patch.
        layout: Says the patch and the rate.

    Returns:
        Mask (B, N) or None, and times (N,) in s.
    """
    number = sample.x.shape[1] // layout.patch
    mask = None if sample.length is None else before(-(-sample.length // layout.patch), number)
    return mask, (torch.arange(number, device=sample.x.device) + 0.5) * layout.patch / layout.rate


def patch_means(values: Tensor, sample: Sample, patch: int) -> Tensor:
    """Mean over the recorded samples of each patch: (B, T, D) to (B, T / patch, D), 0 where nothing was recorded."""
    apart, recorded = values.unflatten(1, (-1, patch)), sample.recorded
    if recorded is None:
        return apart.mean(2)
    seen = recorded.unflatten(1, (-1, patch))[..., None]
    return apart.masked_fill(~seen, 0.0).sum(2) / seen.sum(2).clamp_min(1)


def _widened(mask: Tensor, x: Tensor) -> Tensor:
    """A mask (B, T) or (B, 1, C) with trailing axes up to those of `x`."""
    return mask.reshape(*mask.shape, *(1,) * (x.ndim - mask.ndim))
