"""What neurons do, what the animal does and what it is shown, drawn together: InfoNCE of every two of the three.

    L = mean over pairs of modalities (a, b) of InfoNCE(a, b)

A row that lacks a modality takes no part in that modality's pairs, so no row needs all three.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import torch
from torch import Tensor

from neurofmx.losses.info_nce import has_negatives, info_nce


def tri_modal_contrastive(
    *,
    neural: Tensor | None = None,
    behaviour: Tensor | None = None,
    stimulus: Tensor | None = None,
    here: Mapping[str, Tensor] | None = None,
    temperature: Tensor | float = 0.1,
    negatives: Tensor | None = None,
) -> Tensor:
    """Mean symmetric InfoNCE over all pairs of modalities with rows in common that can be told apart.

    Args:
        neural: Embeddings (N, D), row i of the same moment in all modalities; None where a batch has none.
        behaviour: The same of what the animal does.
        stimulus: The same of what it is shown.
        here: Which rows have a modality (N,), bool, by its name; those without may hold anything. A modality that is
            not named is there in all rows.
        temperature: As of `info_nce`.
        negatives: As of `info_nce`, (N, N).

    Returns:
        A scalar, nats, at least 0; 0 where no two modalities share two rows that are each other's negatives.

    Raises:
        ValueError: If fewer than two modalities are given, `here` names another, or shapes disagree.

    Source:
        Tian et al. (2020), Contrastive multiview coding, the full graph of views.
    """
    given = {"neural": neural, "behaviour": behaviour, "stimulus": stimulus}
    present = {name: each for name, each in given.items() if each is not None}
    here = here or {}
    if len(present) < 2 or not here.keys() <= given.keys():
        raise ValueError(
            f"embeddings of {sorted(present)}, here of {sorted(here)}: give at least two of {', '.join(given)}, and "
            "`here` by those names"
        )
    losses = []
    for a, b in combinations(present, 2):
        mask = _both(here.get(a), here.get(b))
        if has_negatives(len(present[a]), mask=mask, negatives=negatives):  # of a single row any embedding is right
            losses.append(info_nce(present[a], present[b], temperature=temperature, mask=mask, negatives=negatives))
    return torch.stack(losses).mean() if losses else _nothing(present)


def _both(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    """Rows that have two modalities."""
    if a is None or b is None:
        return b if a is None else a
    return a & b


def _nothing(present: Mapping[str, Tensor]) -> Tensor:
    """A loss of 0 that autograd can go through, and that reads no row."""
    return torch.stack([each[:0].sum() for each in present.values()]).sum()
