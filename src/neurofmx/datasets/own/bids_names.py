"""File names of the Brain Imaging Data Structure, and which files belong together by them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import NamedTuple

_NAME = re.compile(r"(?P<entities>(?:[a-z]+-[A-Za-z0-9]+_)+)(?P<suffix>[A-Za-z0-9]+)(?P<extension>(?:\.[A-Za-z0-9]+)+)")


class BidsName(NamedTuple):
    """A name in its parts: `sub-01_task-rest_bold.nii.gz`."""

    folder: PurePosixPath
    entities: dict[str, str]
    suffix: str
    extension: str

    @property
    def key(self) -> str:
        """All entities in the order of the name."""
        return "_".join(f"{name}-{value}" for name, value in self.entities.items())


def parse_name(path: str) -> BidsName | None:
    """The parts of a path, or none where it is no BIDS name.

    Args:
        path: Path below the data set's root.

    Returns:
        Its parts; files of the root without entities have none.

    Example:
        >>> parse_name("sub-01/eeg/sub-01_task-rest_run-2_eeg.edf").entities
        {'sub': '01', 'task': 'rest', 'run': '2'}

    Source: Gorgolewski et al., The brain imaging data structure, Scientific Data 3 (2016).
    """
    place = PurePosixPath(path)
    match = _NAME.fullmatch(place.name)
    if match is None:
        plain = re.fullmatch(r"(?P<suffix>[A-Za-z0-9]+)(?P<extension>\.(?:json|tsv))", place.name)
        return BidsName(place.parent, {}, plain["suffix"], plain["extension"]) if plain else None
    entities = dict(part.split("-", 1) for part in match["entities"].strip("_").split("_"))
    return BidsName(place.parent, entities, match["suffix"], match["extension"])


def belongs(side: BidsName, main: BidsName, *, ignore: Iterable[str] = ()) -> bool:
    """Whether a side file speaks of a recording: it lies in the same folder or above, and no entity differs.

    Args:
        side: The side file.
        main: The recording.
        ignore: Entities that the side file may have on its own, such as `space`.

    Source: BIDS 1.10, the inheritance principle.
    """
    above = side.folder == main.folder or side.folder in main.folder.parents
    return above and all(main.entities.get(k) == value for k, value in side.entities.items() if k not in ignore)
