"""Ways to begin on new sessions, by name: from scratch, or with what was pretrained, such as `finetune_mice`.

Nothing here needs torch, so reading params stays fast.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple, get_args

from neurofmx.tables import pick

Mode = Literal["scratch", "probe", "finetune"]
SCRATCH, *PRETRAINED = get_args(Mode)


class Start(NamedTuple):
    """One way to begin.

    Args:
        mode: From new weights (`scratch`), pretrained and frozen but for head and new embeddings (`probe`), or
            pretrained and all trained (`finetune`).
        pretraining: Name of the pretraining; empty for `scratch`.
    """

    mode: Mode
    pretraining: str

    @classmethod
    def of(cls, name: str) -> Start:
        """The start of a name: its mode, an underscore, and its pretraining.

        Raises:
            ValueError: If there is no such mode.

        Example:
            >>> Start.of("finetune_old_mice"), Start.of("scratch")
            (Start(mode='finetune', pretraining='old_mice'), Start(mode='scratch', pretraining=''))
        """
        mode, _, pretraining = name.partition("_")
        pick(dict.fromkeys(get_args(Mode)), mode, "way to begin")
        return cls(mode, pretraining)  # type: ignore[arg-type]


def starts_with(pretrainings: Iterable[str]) -> tuple[str, ...]:
    """Names of all starts that there are with some pretrainings.

    Example:
        >>> starts_with(["mice"])
        ('scratch', 'probe_mice', 'finetune_mice')
    """
    return SCRATCH, *(f"{mode}_{name}" for name in pretrainings for mode in PRETRAINED)
