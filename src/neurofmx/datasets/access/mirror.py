"""Datasets from a folder or server of one's own, for clusters without internet."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from neurofmx.atomic import atomic
from neurofmx.datasets.access.fetch import fetch
from neurofmx.datasets.access.progress import copy_file
from neurofmx.datasets.shared.checksum import require

_log = logging.getLogger(__name__)


def take_from_mirror(
    mirror: str, dataset: str, checksums: Mapping[str, str], *, folder: Path, cache: Path
) -> dict[str, str]:
    """Take the files of a dataset that the mirror holds as `<mirror>/<dataset>/<file>`.

    Args:
        mirror: A folder, or an `http://` or `https://` address.
        dataset: Name of the dataset.
        checksums: SHA-256 sum by file, each the archive's own relative path.
        folder: Where the files are put, under the same relative path.
        cache: Folder of partial and finished downloads.

    Returns:
        The checksums of the files that the mirror does not hold; they are named in one log line.

    Raises:
        FileNotFoundError: If the mirror is a folder that does not exist.
        ConnectionError: If the mirror is a server that cannot be reached.
        ValueError: If a file of the mirror has another checksum.
    """
    take = _download if mirror.startswith(("http://", "https://")) else _copy
    if take is _copy and not Path(mirror).is_dir():
        raise FileNotFoundError(
            f"mirror: no folder {mirror!r}; correct NEUROFMX_MIRROR or download.mirror, or unset it"
        )
    missing = {}
    for name, sha256 in checksums.items():
        if not take(f"{mirror.rstrip('/')}/{dataset}/{name}", folder / name, sha256, cache=cache):
            missing[name] = sha256
    if missing:
        _log.info("mirror %s lacks %s of %s: using the public source", mirror, ", ".join(missing), dataset)
    return missing


def _copy(source: str, target: Path, sha256: str, *, cache: Path) -> bool:
    """Copy from a folder; false if the file is not there."""
    if not Path(source).is_file():
        return False
    with atomic(target) as part:
        copy_file(Path(source), part)
        require(part, sha256, origin=source)
    return True


def _download(url: str, target: Path, sha256: str, *, cache: Path) -> bool:
    """Download from a server; false if the file is not there."""
    try:
        fetch(url, target, sha256=sha256, cache=cache)
    except FileNotFoundError:
        return False
    return True
