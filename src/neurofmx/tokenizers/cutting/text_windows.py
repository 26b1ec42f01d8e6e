"""Cut texts into windows: contiguous pieces of tokens, each position asked for the token that follows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from neurofmx.datasets.shared.base import Split
from neurofmx.preprocessing import splits
from neurofmx.recordings.recording import Recording
from neurofmx.recordings.task import Task
from neurofmx.tokenizers.cutting.windows import Windows


def cut_text(
    recordings: list[Recording],
    *,
    signal: str,
    task: Task,
    split: Split,
    length: int,
    stride: int,
    modality: str,
    dataset: str,
) -> Windows:
    """Turn the clean parts of a text into windows.

    A window reads `length` tokens and answers `length` times, so it spans one token more. With `stride = length` every
    token of a part but its first is asked for once; a longer stride leaves text out.

    Args:
        recordings: Texts of one vocabulary, as `preprocessing.text` gives them.
        signal: Name of the signal with the tokens.
        task: The dataset's task; the windows' own names the vocabulary.
        split: The dataset's division, of kind `given` with sessions to validate on.
        length: Tokens a window reads.
        stride: Tokens from one window to the next, `length` or more, so that no token is scored twice.
        modality: Kind of recording.
        dataset: Name of the dataset.

    Returns:
        Windows `x (windows, length, 1)` and `y (windows, length)` of token numbers, in order of recording and time,
        with the words and bytes that the answers of a window stand for as `sizes (windows, 2)`.

    Raises:
        ValueError: If a rule above is broken, or a part of the split has no window.
    """
    key = f"datasets.{dataset}.tokenize"
    if stride < length:
        raise ValueError(f"{key}.stride={stride}: must be at least the {length} tokens of a window; they overlap")
    if split.kind != "given" or not split.held:
        raise ValueError(f"{dataset}: split {split.name} of a text must be `given`, with sessions to validate on")
    firsts = [np.arange(0, len(recording.signal(signal).data) - length, stride) for recording in recordings]
    group = np.repeat(np.arange(len(firsts)), [len(first) for first in firsts])
    parts = splits.as_given(group, [r.session for r in recordings], test=split.test, held=split.held)
    if absent := {0, 1, 2} - set(parts[0].tolist()):
        raise ValueError(f"{dataset}: {len(absent)} parts of split {split.name} have no window; lower {key}.stop")
    spans = [_spans(recording, signal, first, length) for recording, first in zip(recordings, firsts, strict=True)]
    tokens, sizes, start = (np.concatenate(each) for each in zip(*spans, strict=True))
    rate = recordings[0].signal(signal).rate
    return Windows(
        x=tokens[:, :-1, None],
        y=tokens[:, 1:],
        group=group,
        block=_blocks(group, start, split.block),
        start=start,
        stop=start + length / rate,
        split=parts,
        mean=np.zeros((1, 1), np.float32),  # numbers of tokens have no scale
        std=np.ones((1, 1), np.float32),
        task=replace(task, names=tuple(recordings[0].array("vocabulary").tolist())),
        modality=modality,
        rate=rate,
        channels=recordings[0].signal(signal).channels,
        patch=1,
        split_name=split.name,
        dataset=dataset,
        sizes=sizes,
    )


def _spans(recording: Recording, signal: str, first: np.ndarray, length: int) -> tuple[np.ndarray, ...]:
    """Tokens `(windows, length + 1)`, sizes `(windows, 2)` of all but the first of them, and start `(windows,)`, s."""
    tokens = recording.signal(signal)
    numbers, size = np.asarray(tokens.data), np.asarray(recording.signal("size").data)  # they may lie on the disk
    index = first[:, None] + np.arange(length + 1)
    return numbers[index], size[index[:, 1:]].sum(axis=1), tokens.start + first / tokens.rate


def _blocks(group: np.ndarray, start: np.ndarray, block: float) -> np.ndarray:
    """Number of the stretch of `block` s that each window begins in."""
    stretch = np.stack([group, start // block], axis=1)
    return np.unique(stretch, axis=0, return_inverse=True)[1].reshape(-1)
