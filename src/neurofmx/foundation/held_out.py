"""Sessions that a model is evaluated on must not be among those that it was pretrained on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from neurofmx.parts import TRAIN, VALIDATION
from neurofmx.tokenizers.cutting.origin import Origin
from neurofmx.tokenizers.cutting.windows import Windows


class SeenError(ValueError):
    """A model would be evaluated on a session that it was pretrained on."""


class Seen(NamedTuple):
    """One recording that a model was pretrained on.

    Args:
        dataset: Name of the dataset.
        recording: Name of the recording, `subject/session`.
        files: SHA-256 sums of the files it was read from.
        alone: Whether these files hold no other recording of the dataset, so that they stand for it.
    """

    dataset: str
    recording: str
    files: tuple[str, ...]
    alone: bool = True


def sessions_of(windows: Windows, *, fold: int | None = None) -> list[Seen]:
    """The recordings of windows.

    Args:
        windows: Windows that say where they come from.
        fold: Take those recordings alone that have windows to train or validate on in this fold; None for all.

    Raises:
        ValueError: If the windows do not say which recordings they are of.
    """
    if not windows.origins:
        raise ValueError(
            f"{windows.dataset}: its windows do not say which recordings they are of, so it cannot be known whether a "
            f"model has seen them; cut them again (`dvc repro tokenize@{windows.dataset}`)"
        )
    used = range(len(windows.origins))
    if fold is not None:
        learnt = (windows.split[fold] == TRAIN) | (windows.split[fold] == VALIDATION)
        used = sorted(set(windows.group[learnt].tolist()))
    return [_seen(windows, windows.origins[number]) for number in used]


def check_unseen(seen: Iterable[Seen | Mapping[str, object]], windows: Windows) -> None:
    """Refuse to evaluate a pretrained model on sessions that it knows.

    A session is known by the name of its dataset and its own; under any other name by its files, where they hold that
    one recording alone or the recordings' names are the same.

    Args:
        seen: What the model was pretrained on; from a checkpoint's facts as mappings.
        windows: What it shall be evaluated on.

    Raises:
        SeenError: Naming the sessions that are in both.
    """
    known = [each if isinstance(each, Seen) else _read(each) for each in seen]
    clashes = [(one, other) for other in sessions_of(windows) for one in known if _same(one, other)]
    if clashes:
        named = "; ".join(f"{other.recording} (pretrained on as {one.dataset})" for one, other in clashes[:5])
        more = f" and {len(clashes) - 5} more" if len(clashes) > 5 else ""
        raise SeenError(
            f"{windows.dataset}: {len(clashes)} of its sessions were pretrained on: {named}{more}. Evaluate on "
            "sessions that pretrain.datasets does not hold, take the dataset out of it, or start from scratch"
        )


def _seen(windows: Windows, origin: Origin) -> Seen:
    """What is kept of one recording."""
    others = {file for other in windows.origins if other is not origin for file in other.files}
    alone = bool(origin.files) and not others & set(origin.files)
    return Seen(windows.dataset, origin.recording, origin.files, alone)


def _same(one: Seen, other: Seen) -> bool:
    """Whether two recordings are the same."""
    if one.recording == other.recording and one.dataset == other.dataset:
        return True
    shared = bool(set(one.files) & set(other.files))
    return shared and (one.recording == other.recording or (one.alone and other.alone))


def _read(facts: Mapping[str, object]) -> Seen:
    """What JSON made of one."""
    files = facts["files"]
    assert isinstance(files, list | tuple)
    return Seen(str(facts["dataset"]), str(facts["recording"]), tuple(map(str, files)), bool(facts["alone"]))
