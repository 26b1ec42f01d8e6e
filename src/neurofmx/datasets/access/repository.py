"""Files of a public code repository at one commit, which never change."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from neurofmx.datasets.access.fetch import fetch

HOST = "https://raw.githubusercontent.com"


def fetch_repository_files(
    repository: str,
    commit: str,
    *,
    paths: Mapping[str, str],
    checksums: Mapping[str, str],
    folder: Path,
    cache: Path,
    host: str = HOST,
) -> None:
    """Download files of a GitHub repository, resumably, and check them.

    Args:
        repository: Owner and name, `owner/name`.
        commit: The commit's full hash: a branch or tag may move.
        paths: Path inside the repository by the name that the file gets in `folder`.
        checksums: SHA-256 sum by that name.
        folder: Where the files are put.
        cache: Folder of partial and finished downloads.
        host: Address that serves `<repository>/<commit>/<path>`, default GitHub's.

    Raises:
        FileNotFoundError: If the repository does not have a file.
        ConnectionError: If the server cannot be reached.
        ValueError: If `commit` is no full hash, or a checksum differs.
    """
    require_commit(commit)
    for name, path in paths.items():
        url = f"{host}/{repository}/{commit}/{quote(path)}"
        fetch(url, folder / name, sha256=checksums[name], cache=cache)


def require_commit(commit: str) -> None:
    """Raise ValueError unless a commit is named by its full hash."""
    if len(commit) != 40 or set(commit) - set("0123456789abcdef"):
        raise ValueError(f"commit: must be a full hash of 40 hexadecimal digits, got {commit!r}")
