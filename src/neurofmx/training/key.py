"""One name for all that fixes the bits of a training, by which unfinished work is found again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import neurofmx


def key_of(files: Iterable[Path], settings: Any) -> str:
    """Hash over files, settings and the package's code; what it names was trained by exactly this.

    Args:
        files: What is read, in order.
        settings: What JSON can hold.

    Returns:
        Sixteen hexadecimal digits.
    """
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            for piece in iter(lambda: file.read(2**20), b""):
                digest.update(piece)
    digest.update(json.dumps(settings, sort_keys=True).encode())
    package = Path(neurofmx.__file__).parent
    for source in sorted(package.rglob("*.py")):
        digest.update(source.relative_to(package).as_posix().encode() + source.read_bytes())
    return digest.hexdigest()[:16]
