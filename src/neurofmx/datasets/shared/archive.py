"""Datasets of large archives, which publish no SHA-256 sums: the first download pins them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from neurofmx.datasets.shared.base import Dataset, Split
from neurofmx.recordings.recording import Source

Sum = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


def distinct(values: tuple) -> tuple:
    """A person or run that is named twice would stand in training and test."""
    if len(set(values)) < len(values):
        raise ValueError(f"must differ from one another, got {values}")
    return values


Labels = Annotated[tuple[Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]+$")], ...], AfterValidator(distinct)]


LeaveOut = Literal["blocks", "runs", "subjects"]


def division(leave_out: LeaveOut, *, subjects: int, runs: int, gap: float) -> Split:
    """The split of a selection whose recordings come in the order of runs, and of people within a run.

    Args:
        leave_out: `subjects` leaves people out, at most ten folds; `runs` leaves a run of all people out, at most six
            folds; `blocks` leaves fifths of every recording out.
        subjects: Number of people.
        runs: Number of runs a person, over all sessions.
        gap: Time left out on each side of a block, s.

    Returns:
        The split, named by what is left out and the number of folds.

    Raises:
        ValueError: If there are not enough people or runs.
    """
    if leave_out == "blocks":
        return Split("blocks-5fold-v1", kind="blocks", folds=5, validation="tail", gap=gap)
    if leave_out == "subjects":
        if subjects < 3:
            raise ValueError(f"leave_out='subjects' needs 3 subjects to train, validate and test, got {subjects}")
        folds = min(subjects, 10)
        return Split(f"subjects-{folds}fold-v1", kind="groups", folds=folds, validation="groups", by="subject")
    if runs < 2:
        raise ValueError(f"leave_out='runs' needs 2 runs, got {runs}; name more of them, or set leave_out='blocks'")
    folds = min(runs, 6)
    return Split(f"runs-{folds}fold-v1", "groups", folds, validation="groups" if runs > 2 else "tail")


class Archive(Dataset):
    """A selection of people and sessions out of an archive that is too large to take whole.

    Without `pins` every file is taken as the archive sends it, complete and, where the archive publishes sums of its
    own, verified with these; MANIFEST.json then holds its SHA-256 sum. With `pins` every byte must be the pinned one,
    and a mirror may serve it.

    Args:
        pins: SHA-256 sum by file, copied from the MANIFEST.json of a first download; default none.
    """

    pins: dict[str, Sum] = Field(default={}, description="SHA-256 sum by file, from the manifest of a first download")

    def checksums(self) -> dict[str, str]:
        """The pinned sums, if there are any."""
        return dict(self.pins)

    def one(self, sources: dict[str, Source], ending: str) -> str:
        """The only file with that ending.

        Args:
            sources: Files of the raw folder, by name.
            ending: Last part of the path, from a slash on.

        Returns:
            Its name.

        Raises:
            ValueError: If there is none or more than one.
        """
        found = [name for name in sources if f"/{name}".endswith(ending)]
        if len(found) != 1:
            held = ", ".join(sorted(sources)[:8]) or "nothing"
            raise ValueError(
                f"{self.name}: expected one file {ending}, found {len(found)} (the raw folder holds {held}); choose "
                "what the archive has, and name in `pins` every file or none"
            )
        return found[0]
