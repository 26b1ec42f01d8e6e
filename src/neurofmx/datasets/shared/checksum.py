"""SHA-256 sums: what decides whether a file may be trusted."""

from __future__ import annotations

import hashlib
from pathlib import Path


def sha256_of(path: Path) -> str:
    """The SHA-256 sum of a file, in hexadecimal, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def matches(path: Path, sha256: str) -> bool:
    """Whether the file is there and has that sum."""
    return path.is_file() and sha256_of(path) == sha256


def require(path: Path, sha256: str, *, origin: str) -> None:
    """Refuse a file whose bytes are not the expected ones.

    Args:
        path: The file.
        sha256: The sum it must have, in hexadecimal.
        origin: Where the file came from, for the error message.

    Raises:
        ValueError: If the sum differs.
    """
    found = sha256_of(path)
    if found != sha256:
        raise ValueError(
            f"{origin}: wrong checksum, expected sha256 {sha256}, got {found}; "
            "the file is damaged or was changed at its source: remove it there or use another mirror"
        )
