"""How far a download or a copy is: a bar in a terminal, or lines for the process that runs many at once."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Self, final

from tqdm import tqdm

VARIABLE = "NEUROFMX_PROGRESS"  # set to `lines` by who reads them
MARK = "\x1e"  # begins a line of progress; no other output has it
_BLOCK = 1 << 20
_PAUSE = 0.1  # s between two lines


@final
class Meter:
    """Counts bytes of one file.

    Args:
        name: What to call the file.
        total: Its size, bytes, or none where it is not known.
        have: Bytes that are there already.
        shown: Whether to show anything.
    """

    def __init__(self, name: str, *, total: int | None, have: int = 0, shown: bool = True) -> None:
        self._lines = shown and os.environ.get(VARIABLE) == "lines"
        hidden = True if self._lines or not shown else None  # none: shown in a terminal only
        self._bar = tqdm(total=total, initial=have, unit="B", unit_scale=True, disable=hidden, desc=name[-24:])
        self._name, self._total, self._have, self._said = name, total, have, 0.0

    def __enter__(self) -> Self:
        self._say(always=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._say(always=True)
        self._bar.close()

    def add(self, count: int) -> None:
        """Some more bytes are there."""
        self._have += count
        self._bar.update(count)
        self._say(always=False)

    def _say(self, *, always: bool) -> None:
        """One line: what, bytes there, bytes in all."""
        now = time.monotonic()
        if self._lines and (always or now - self._said > _PAUSE):
            self._said = now
            sys.stdout.write(f"{MARK}{json.dumps([self._name, self._have, self._total])}\n")
            sys.stdout.flush()


def copy_file(source: Path, target: Path) -> None:
    """Copy the bytes of a file, counting them.

    Args:
        source: The file.
        target: Where the copy shall stand; its folder must be there.
    """
    with source.open("rb") as read, target.open("wb") as write:
        with Meter(source.name, total=source.stat().st_size) as meter:
            while block := read.read(_BLOCK):
                write.write(block)
                meter.add(len(block))
