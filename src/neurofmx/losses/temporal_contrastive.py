"""Windows near in time resemble each other, windows far apart do not: a contrast that needs no labels.

Symbols: windows i, j of N with starts `t`, `d` their length; unit embeddings `z`, temperature `tau`.

    positives P(i)   the same session,  |t[i] - t[j]| <= near
    negatives M(i)   another session, or  |t[i] - t[j]| >= apart  and  >= d
    s[i, j] = z[i] . z[j] / tau
    L = mean_i mean_{p in P(i)} -log( exp s[i, p] / (exp s[i, p] + sum_{m in M(i)} exp s[i, m]) )

Windows that overlap share samples, so none of them is ever a negative; what is neither near nor apart is left out.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import softplus

from neurofmx.losses.info_nce import similarities
from neurofmx.losses.masking import rows_where


def temporal_contrastive(
    embeddings: Tensor,
    start: Tensor,
    *,
    near: float,
    apart: float,
    duration: float,
    session: Tensor | None = None,
    temperature: Tensor | float = 0.1,
    mask: Tensor | None = None,
) -> Tensor:
    """Mean over windows with a positive and a negative of how hard it is to tell those apart.

    Args:
        embeddings: Embeddings (N, D) of any length; only their direction counts.
        start: Start of each window (N,), s on its session's clock. As float32 it is exact to a millisecond for four
            hours; give float64, or times from the session's start.
        near: Windows of a session that start within so many seconds are alike, above 0. Below `duration` they share
            samples, and are alike for that alone.
        apart: Those that start at least so many seconds apart are not, above `near`.
        duration: Length of a window, s, at least 0.
        session: Session of each window (N,), int64; windows of two sessions are never alike. None for one session.
        temperature: What similarities are divided by, above 0; a tensor may be learnt.
        mask: Which windows count (N,), bool; the others may hold anything. None for all.

    Returns:
        A scalar, nats, at least 0; 0 where no window has both a positive and a negative, which `can_be_told_apart`
        tells from a loss of 0.

    Raises:
        ValueError: If shapes disagree, or `0 < near < apart` does not hold.

    Source:
        Sermanet et al. (2018), Time-contrastive networks: self-supervised learning from video; for neurons: Schneider,
        Lee and Mathis (2023), Learnable latent embeddings for joint behavioural and neural analysis.
    """
    session = torch.zeros(len(start), dtype=torch.int64, device=start.device) if session is None else session
    embeddings, start, session = rows_where(mask, embeddings, start, session)
    alike, unlike = _kinds(start, near=near, apart=apart, duration=duration, session=session)
    asked = alike.any(1) & unlike.any(1)
    return _told_apart(similarities(embeddings, embeddings, temperature)[asked], alike[asked], unlike[asked])


def can_be_told_apart(
    start: Tensor, *, near: float, apart: float, duration: float, session: Tensor | None = None
) -> Tensor:
    """Which windows have both a positive and a negative (N,), bool; arguments as of `temporal_contrastive`.

    Example:
        >>> start = torch.tensor([0.0, 0.5, 9.0])
        >>> can_be_told_apart(start, near=1.0, apart=2.0, duration=1.0).tolist()  # none is near the last
        [True, True, False]
    """
    session = torch.zeros(len(start), dtype=torch.int64, device=start.device) if session is None else session
    alike, unlike = _kinds(start, near=near, apart=apart, duration=duration, session=session)
    return alike.any(1) & unlike.any(1)


def apart_in_time(start: Tensor, *, distance: float, session: Tensor | None = None) -> Tensor:
    """Which windows may be each other's negatives, also for `info_nce`: those that do not overlap.

    Args:
        start: Start of each window (N,), s on its session's clock.
        distance: Least distance of two starts, s: a window's length, or more.
        session: Session of each window (N,); windows of two sessions are always apart. None for one session.

    Returns:
        (N, N), bool.

    Example:
        >>> apart_in_time(torch.tensor([0.0, 0.5, 2.0]), distance=1.0).int().tolist()
        [[0, 0, 1], [0, 0, 1], [1, 1, 0]]
    """
    far = _distance(start) >= distance
    return far if session is None else far | (session[:, None] != session)


def _kinds(start: Tensor, *, near: float, apart: float, duration: float, session: Tensor) -> tuple[Tensor, Tensor]:
    """Positives and negatives of every window, each (N, N)."""
    if not 0 < near < apart:
        raise ValueError(f"near={near}, apart={apart}: give 0 < near < apart, in seconds")
    unlike = apart_in_time(start, distance=max(apart, duration), session=session)
    return _alike(start, near=near, session=session), unlike


def _alike(start: Tensor, *, near: float, session: Tensor) -> Tensor:
    """Which windows are each other's positives (N, N); none is its own."""
    close = (_distance(start) <= near) & (session[:, None] == session)
    return close & ~torch.eye(len(start), dtype=torch.bool, device=start.device)


def _distance(start: Tensor) -> Tensor:
    """Distance of all starts (N, N), s."""
    return (start[:, None] - start).abs()


def _told_apart(logits: Tensor, alike: Tensor, unlike: Tensor) -> Tensor:
    """The loss from similarities (n, N) of windows that have both positives and negatives."""
    against = logits.masked_fill(~unlike, -math.inf).logsumexp(1, keepdim=True)
    terms = softplus(against - logits).masked_fill(~alike, 0.0)  # -log(exp s / (exp s + exp a)) = log(1 + exp(a - s))
    return (terms.sum(1) / alike.sum(1)).sum() / max(1, len(logits))
