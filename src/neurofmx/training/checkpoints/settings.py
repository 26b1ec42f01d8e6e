"""The settings of a trained model beside its weights: what scores it needs no params, and can't be told others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel

from neurofmx.atomic import atomic
from neurofmx.models.configs import HeadConfig
from neurofmx.models.table import MODELS
from neurofmx.tables import pick

FILE = "settings.json"


class Settings(NamedTuple):
    """What a model is built from.

    Args:
        family: Key of the table of models.
        config: Its settings, of the family's config class.
        head: How its states become an answer; None for what is fitted.
    """

    family: str
    config: BaseModel
    head: HeadConfig | None = None


def save_settings(folder: Path, settings: Settings) -> None:
    """Write them into a folder of checkpoints.

    Args:
        folder: The folder, which exists.
        settings: What was trained.
    """
    head = settings.head and settings.head.model_dump()
    said = {"family": settings.family, "config": settings.config.model_dump(), "head": head}
    with atomic(folder / FILE) as path:
        path.write_text(json.dumps(said, indent=2, sort_keys=True) + "\n")


def load_settings(folder: Path) -> Settings:
    """Read what `save_settings` wrote.

    Args:
        folder: A folder of checkpoints.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If they are damaged, or not those of a model that this version knows.
    """
    path = folder / FILE
    if not path.is_file():
        raise FileNotFoundError(f"no {path}; train first (`dvc repro train@DATASET`)")
    try:
        said = json.loads(path.read_text())
        config = pick(MODELS, said["family"], "model family").config
        head = said["head"] and HeadConfig(**said["head"])
        return Settings(said["family"], config(**said["config"]), head)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: not the settings of a model ({error}); train again") from error
