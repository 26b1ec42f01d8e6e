"""The causal evaluator: samples go in one by one, predictions come out, and each step is timed.

A window's last prediction is held against what the model says of the whole window at once. For a causal model the two
are the same up to rounding, and so are the scores; one that looks ahead gives itself away, here and by states that
change when later samples do.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch

from neurofmx.benchmark.protocol import Encoder, as_array, encode
from neurofmx.headline import headline
from neurofmx.recordings.task import Task
from neurofmx.tokenizers.tokens import Sample

CLOSE = 1e-3  # of the answers' own size, up to which two sums in another order may differ


@runtime_checkable
class Stream(Protocol):
    """A model that reads one window sample by sample; its state goes in and comes out."""

    def start(self, window: Sample, /) -> Any:
        """State before the first sample of a window `(1, T, C)`, of which no sample may be read."""

    def step(self, sample: np.ndarray, state: Any, /) -> tuple[np.ndarray | None, Any]:
        """Answer `(width,)` after one sample `(C,)`, or None where there is nothing new to say; and the state."""
        ...


class Streamed(NamedTuple):
    """What a stream said.

    Args:
        answers: The last answer to each window `(B, width)`.
        seconds: What each sample took `(B, T)`.
        spoke: Which samples were followed by an answer `(B, T)`.
    """

    answers: np.ndarray
    seconds: np.ndarray
    spoke: np.ndarray


def streamed(stream: Stream, windows: Sample) -> Streamed:
    """Read windows sample by sample.

    Args:
        stream: The model.
        windows: At least one window, on the CPU.

    Raises:
        ValueError: If a window ends without an answer.
    """
    answers, seconds = [], np.zeros(tuple(windows.x.shape[:2]))
    spoke = np.zeros(seconds.shape, bool)
    for number in range(len(windows)):
        window = windows[number : number + 1]
        state, said = stream.start(window), None
        for place, sample in enumerate(window.x[0].numpy()):
            began = time.perf_counter()
            answer, state = stream.step(sample, state)
            seconds[number, place] = time.perf_counter() - began
            spoke[number, place] = answer is not None
            said = said if answer is None else as_array(answer)
        if said is None:
            raise ValueError("a window ended without an answer: the stream must say something after its last sample")
        answers.append(said)
    return Streamed(np.stack(answers), seconds, spoke)


def evaluate_stream(
    stream: Stream, offline: np.ndarray, windows: Sample, truth: np.ndarray, task: Task, *, ahead: bool | None = None
) -> dict[str, Any]:
    """Stream windows, time the steps, and hold answers and score against those of whole windows.

    Args:
        stream: The model, sample by sample.
        offline: What it says of the whole windows `(B, width)`.
        windows: The windows, two or more; the first warms up and is not timed.
        truth: Their truth.
        task: What is asked.
        ahead: What `looks_ahead` said of the model; None where it was not asked.

    Returns:
        JSON-able: `steps` timed, `latency_ms` (`median` and `p95` of all samples, `answering` the median of those that
        an answer follows), both scores (None where so few windows leave the score undefined), `largest_difference` of
        the answers in their own size, `agrees` and `looks_ahead`.
    """
    answers, seconds, spoke = streamed(stream, windows)
    size = max(float(np.abs(offline).max()), 1e-12)
    apart = float(np.abs(answers - offline).max()) / size
    timed, answering = 1000 * seconds[1:].ravel(), spoke[1:].ravel()
    return {
        "windows": len(answers),
        "steps": len(timed),
        "latency_ms": {
            "median": float(np.median(timed)),
            "p95": float(np.quantile(timed, 0.95)),
            "answering": float(np.median(timed[answering])),
        },
        "stream_score": _score(answers, truth, task),
        "offline_score": _score(offline, truth, task),
        "largest_difference": apart,
        "agrees": apart <= CLOSE,
        "looks_ahead": ahead,
    }


def _score(answers: np.ndarray, truth: np.ndarray, task: Task) -> float | None:
    try:
        return headline(answers, truth, task)
    except ValueError:
        return None


def looks_ahead(encoder: Encoder, windows: Sample, *, seed: int = 0) -> bool:
    """Whether states of the first half of a window depend on samples of the second.

    Args:
        encoder: The model; its steps must be spread evenly over a window.
        windows: Some windows without padding.
        seed: Of the noise that is put in the second half's place.

    Returns:
        True if any state that stands for the first half alone changes.

    Raises:
        ValueError: If windows have fewer than two steps, so that there is nothing to see.
    """
    before = encode(encoder, windows).values
    steps, half = before.shape[1], windows.x.shape[1] // 2
    whole = int(np.floor(steps * half / windows.x.shape[1]))  # steps that end by the half
    if whole < 1 or steps < 2:
        raise ValueError(f"states have {steps} steps: at least two are needed to see whether one looks ahead")
    generator = torch.Generator().manual_seed(seed)
    x = windows.x.clone()
    x[:, half:] = torch.randn(x[:, half:].shape, generator=generator, dtype=x.dtype)
    after = encode(encoder, windows.with_x(x)).values
    return bool(np.abs(after[:, :whole] - before[:, :whole]).max() > CLOSE * max(np.abs(before).max(), 1e-12))
