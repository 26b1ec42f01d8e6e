"""Which tokenizer reads which modality."""

from __future__ import annotations

from torch import nn

from neurofmx.tables import pick
from neurofmx.tokenizers.linear import LinearTokenizer
from neurofmx.tokenizers.log_power import LogPowerTokenizer

TOKENIZERS: dict[str, type[nn.Module]] = {
    "calcium": LinearTokenizer,
    "ecog": LogPowerTokenizer,
    "eeg": LogPowerTokenizer,
    "emg": LogPowerTokenizer,
    "fmri": LinearTokenizer,
    "ieeg": LogPowerTokenizer,
    "image": LinearTokenizer,
    "lfp": LogPowerTokenizer,
    "spikes": LinearTokenizer,
}


def build_tokenizer(modality: str, *, channels: int, dim: int, patch: int) -> nn.Module:
    """The tokenizer of a modality.

    Args:
        modality: A key of `TOKENIZERS`.
        channels: Channels of a window.
        dim: Width of a token.
        patch: Samples that share a token.

    Returns:
        A module that maps windows `(batch, time, channels)` to tokens `(batch, time / patch, dim)`.

    Raises:
        ValueError: If the modality has no tokenizer, naming the nearest.
    """
    return pick(TOKENIZERS, modality, "modality")(channels, dim, patch=patch)
