"""What fixes a model's weights: windows, settings, pretrained weights; known by a key over all that, and the code."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel

from neurofmx.models.configs import HeadConfig
from neurofmx.training.key import key_of
from neurofmx.training.options import TrainOptions


class Beginning(NamedTuple):
    """Pretrained weights to begin with.

    Args:
        folder: Of a pretraining, see `pretrained.py`: a training begins with the weights of its own seed.
        mode: Whether head and new embeddings alone are trained, or all.
        stream: Pretrained stream to go on with where it fits, such as `steinmetz2019/spikes`.
    """

    folder: Path
    mode: Literal["probe", "finetune"]
    stream: str = ""


@dataclass(frozen=True)
class Recipe:
    """Everything that fixes a model's weights beside fold and seed.

    Args:
        windows: Token file.
        family: Key of the table of models.
        config: Its settings.
        head: Settings of the head.
        options: How to train.
        share: Share of the windows to learn from, by whole blocks.
        beginning: Pretrained weights; None for new ones.
    """

    windows: Path
    family: str
    config: BaseModel
    head: HeadConfig
    options: TrainOptions
    share: float = 1.0
    beginning: Beginning | None = None

    def key(self) -> str:
        """Hash over windows, settings and the package's code; what it names was trained by exactly this."""
        options = self.options.model_dump(exclude={"workers", "use_cache"})
        settings = [self.family, self.config.model_dump(), self.head.model_dump(), options]
        if self.beginning is None:
            return key_of([self.windows], [*settings, self.share])
        from neurofmx.training.pretrained import all_weights

        how = [self.share, self.beginning.mode, self.beginning.stream]
        return key_of([self.windows, *all_weights(self.beginning.folder)], [*settings, how])
