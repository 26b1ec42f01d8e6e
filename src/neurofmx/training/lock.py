"""One process a folder: a second one is told who works there instead of mixing its files in."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder alone while the block runs; the lock goes with the process, however that ends.

    Args:
        folder: The folder to work in; made if it is missing.

    Yields:
        Nothing.

    Raises:
        RuntimeError: If another living process holds it, naming that process.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder.with_name(folder.name + ".lock")
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            holder = lock.read().strip() or "?"
            raise RuntimeError(
                f"process {holder} is at work in {folder}; wait for it or end it, then run again"
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
        path.unlink(missing_ok=True)
