"""Leave modalities out at random in training, so that a model does not come to need all of them."""

from __future__ import annotations

import torch

from neurofmx.tokenizers.multi_sample import MultiSample


def drop_modalities(batch: MultiSample, *, share: float, generator: torch.Generator) -> MultiSample:
    """Rows without some of their streams, and never without all of them.

    Args:
        batch: The rows.
        share: Probability that a row loses a stream that it has; a row that would lose all keeps one, drawn evenly.
        generator: Source of randomness, on the CPU.

    Returns:
        The same windows with another `here`.

    Raises:
        ValueError: If `share` is not at least 0 and below 1.
    """
    if not 0 <= share < 1:
        raise ValueError(f"share={share}: must be at least 0 and below 1; 1 would leave nothing to learn from")
    names = batch.streams
    here = torch.stack([batch.here[name] for name in names], 1)
    draw = torch.rand(here.shape, generator=generator).to(here.device)
    # what a row keeps in any case: of the streams it has, the one with the highest number
    highest = draw.masked_fill(~here, -1.0).argmax(1, keepdim=True)
    kept = here & ((draw >= share) | torch.zeros_like(here).scatter(1, highest, True))
    return batch.with_here(dict(zip(names, kept.unbind(1), strict=True)))
