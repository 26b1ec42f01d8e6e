"""What a language model has read before the tokens it is asked about: nothing, a part of a window, or all of the text.

Windows that stand alone ask for their first tokens with next to nothing before them, which costs every model. Two ways
out, both of which answer each token of the test once:

    sliding     windows overlap, and each is asked only for what the ones before it have not answered
    carried     one pass over the text, the state handed from piece to piece
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from neurofmx.tokenizers.cutting.stretches import stretches
from neurofmx.tokenizers.cutting.windows import Windows

Answer = Callable[[np.ndarray, np.ndarray], np.ndarray]  # x (n, time, 1), y (n, time) -> log probabilities (n, time)
Context = float | Literal["carried"]


def text_answers(
    windows: Windows,
    index: np.ndarray,
    *,
    context: Context,
    windowed: Answer,
    carried: Answer | None = None,
    length: int | None = None,
) -> np.ndarray:
    """Log probabilities of every true next token of some windows, with the wanted context.

    Args:
        windows: Windows of a text.
        index: Which windows, in the order of the text.
        context: Share of a window that is read before what is asked, 0 to below 1, or `carried`.
        windowed: Answers windows of any length.
        carried: Answers one long text `(1, tokens, 1)` in one pass; a model without it, whose state would grow with
            the text, gets sliding windows with half of them as context.
        length: Tokens of the windows that are asked, None for those that the model was trained on.

    Returns:
        Natural logarithms `(index, time)`, in the places of `windows.y[index]`.

    Raises:
        ValueError: If a stretch of the text is shorter than `length`.
    """
    trained = windows.x.shape[1]
    time = length or trained
    if context == 0 and time == trained:
        return windowed(windows.x[index], windows.y[index])
    if context == "carried" and carried is not None:
        texts = [carried(text[None, :-1, None], text[None, 1:]) for text in stretches(windows, index).each()]
    else:
        read = context_tokens(context, time)
        texts = [sliding(text, windowed, time=time, context=read) for text in stretches(windows, index).each()]
    return np.concatenate([text.reshape(-1, trained) for text in texts])


def sliding(text: np.ndarray, answer: Answer, *, time: int, context: int) -> np.ndarray:
    """Log probabilities of all tokens of a text but the first, by windows that overlap.

    Args:
        text: Tokens, `time + 1` or more.
        answer: Answers windows `(n, time, 1)`.
        time: Tokens of a window.
        context: Tokens of a window that are read only, 0 to `time - 1`; the first window is asked for all.

    Returns:
        Shape `(tokens - 1,)`: what is said of token i has read at least the `context` tokens before it, or all.

    Raises:
        ValueError: If the text is shorter than a window.
    """
    asked = len(text) - 1
    if asked < time:
        raise ValueError(f"a text of {len(text)} tokens in one piece holds no window of {time}; lower the length")
    first = np.arange(0, asked - time + 1, time - context)
    if first[-1] + time < asked:  # the last window ends where the text does
        first = np.append(first, asked - time)
    place = first[:, None] + np.arange(time)
    done = np.r_[0, first[:-1] + time]
    fresh = place >= done[:, None]
    logs = np.empty(asked)
    logs[place[fresh]] = answer(text[place][..., None], text[place + 1])[fresh]
    return logs


def lengths_of(windows: Windows, lengths: Sequence[int]) -> tuple[int, ...]:
    """The lengths in which windows can be read beside their own: all of a text, none of anything else."""
    return tuple(lengths) if windows.task.kind == "next_token" else ()


def context_tokens(context: Context, time: int) -> int:
    """Tokens of a window of `time` that are read only; `carried` counts as half, for a model that cannot."""
    share = 0.5 if context == "carried" else context
    return min(time - 1, round(share * time))


def said_context(context: Context, time: int, *, carries: bool) -> str:
    """The same in words, for a report.

    Example:
        >>> said_context(0.0, 32, carries=True), said_context(0.5, 32, carries=True)
        ('each window alone', 'windows of 32 overlap by 16')
        >>> said_context("carried", 32, carries=True), said_context("carried", 32, carries=False)
        ('state carried through the text', 'windows of 32 overlap by 16')
    """
    if context == 0:
        return "each window alone"
    if context == "carried" and carries:
        return "state carried through the text"
    return f"windows of {time} overlap by {context_tokens(context, time)}"
