"""Files that are either whole or absent, however the process ends."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic(target: Path | str) -> Iterator[Path]:
    """Write a file beside `target` and move it there in one step once it is complete.

    Args:
        target: Where the finished file shall stand; missing parent folders are made.

    Yields:
        The path to write to. It is synced and renamed when the block ends, and removed when the block fails, so a
        reader never meets half a file.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "note.txt"
        >>> with atomic(target) as path:
        ...     _ = path.write_text("done")
        >>> target.read_text()
        'done'
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
    os.close(handle)
    path = Path(name)
    try:
        yield path
        _sync(path)
        path.chmod(0o666 & ~_umask())  # mkstemp makes private files; the result is an ordinary one
        os.replace(path, target)
    finally:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Force the bytes to the disk, so that a power cut after the rename leaves no empty file."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _umask() -> int:
    """The permissions that this process withholds from new files."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
