"""Pretrained weights into a decoder that is about to be trained; `jobs` calls it by name."""

from __future__ import annotations

from neurofmx.foundation.held_out import check_unseen
from neurofmx.models.decoding.decoder import Decoder
from neurofmx.models.foundation.decoder import NeuroFMxDecoder
from neurofmx.models.foundation.start import Taken, begin
from neurofmx.tokenizers.cutting.windows import Windows
from neurofmx.training.pretrained import load_pretrained, of_seed
from neurofmx.training.recipe import Beginning


def put_in(decoder: Decoder, beginning: Beginning, windows: Windows, *, seed: int) -> Taken:
    """Put pretrained weights in, unless they have seen a session of the windows.

    Args:
        decoder: Freshly built for the windows; changed in place.
        beginning: Which weights, and what of the decoder is trained.
        windows: What it will be trained and scored on.
        seed: With which it was pretrained, and will be trained.

    Returns:
        What was taken over.

    Raises:
        FileNotFoundError: If there are no such weights.
        SeenError: If they were pretrained on a session of the windows.
        ValueError: If the decoder is of another family, or was built otherwise.
    """
    if not isinstance(decoder, NeuroFMxDecoder):
        raise ValueError("pretrained weights are those of neurofmx; another family begins from scratch")
    weights, facts = load_pretrained(of_seed(beginning.folder, seed))
    check_unseen(facts["seen"], windows)
    what = {"modality": windows.modality, "channels": windows.channels, "stream": beginning.stream}
    return begin(decoder, weights, facts, mode=beginning.mode, **what)
