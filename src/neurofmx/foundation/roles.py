"""What a stream is to the animal: recorded from its nerves or muscles, what it does, or what it is shown."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

Role = Literal["neural", "behaviour", "stimulus"]
# what is usual; of a film or a sound that was shown or played, `pretrain.stimuli` says so
BY_MODALITY: dict[str, Role] = {
    "audio": "behaviour",
    "calcium": "neural",
    "ecog": "neural",
    "eeg": "neural",
    "emg": "neural",
    "fmri": "neural",
    "ieeg": "neural",
    "image": "stimulus",
    "lfp": "neural",
    "pose": "behaviour",
    "spikes": "neural",
    "text": "stimulus",
    "trajectory": "behaviour",
    "ultrasonic": "behaviour",
    "video": "behaviour",
    "vocalization": "behaviour",
}


def by_role(modalities: Mapping[str, str], *, stimuli: Collection[str] = ()) -> dict[Role, list[str]]:
    """Streams by what they are to the animal; a role that none has is left out.

    Args:
        modalities: Modality of each stream.
        stimuli: Streams that are stimuli whatever their modality; others than those given are no matter.

    Example:
        >>> by_role({"a/spikes": "spikes", "a/pose": "pose", "a/video": "video"}, stimuli=["a/video"])
        {'neural': ['a/spikes'], 'behaviour': ['a/pose'], 'stimulus': ['a/video']}
    """
    found: dict[Role, list[str]] = {}
    for stream, modality in modalities.items():
        found.setdefault("stimulus" if stream in stimuli else BY_MODALITY[modality], []).append(stream)
    return found
