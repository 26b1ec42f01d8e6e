"""Files of a dandiset at a version: listed by the archive's own client, taken whole or read by ranges."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

import requests
from filelock import FileLock

from neurofmx.datasets.access.fetch import WAY_OUT, fetch
from neurofmx.datasets.access.http_range import RangeFile
from neurofmx.datasets.access.patience import PatientSession, mount
from neurofmx.datasets.access.unpack import require_inside

if TYPE_CHECKING:
    from dandi.dandiapi import DandiAPIClient, RemoteAsset

API = "https://api.dandiarchive.org/api"
EXTRA = "install the archive clients: pip install -c constraints.txt -e '.[data]'"


@dataclass(frozen=True)
class Asset:
    """One file of a dandiset.

    Args:
        path: Path inside the dandiset, `sub-<subject>/sub-<subject>_ses-<session>_....nwb`.
        size: Length, bytes.
        sha256: SHA-256 sum that the archive states, in hexadecimal.
        url: Address that redirects to the bytes.
    """

    path: str
    size: int
    sha256: str
    url: str


def find_assets(dandiset: str, version: str, patterns: Sequence[str], *, api: str = API) -> list[Asset]:
    """List the files of a dandiset that match a pattern.

    Listing is DANDI's own client, which knows the pages of the archive's answers; bytes go through `fetch` and
    `RangeFile`, as the client neither resumes after a kill nor reads ranges.

    Args:
        dandiset: Six digits, such as `000055`.
        version: A published version, such as `0.220127.0436`; `draft` may change from day to day.
        patterns: Shell patterns or whole paths, such as `sub-01/*ses-3*`; `*` also stands for slashes.
        api: Address of the archive's REST interface, default DANDI's.

    Returns:
        The files, each once, in order of their path.

    Raises:
        FileNotFoundError: If there is no such dandiset or version, or a pattern matches no file.
        ConnectionError: If the archive cannot be reached or keeps failing.
        ValueError: If a file has no SHA-256 sum yet, or a path leads out of a folder.
        ImportError: If the client is not installed.
    """
    with _client(api) as client:
        found = {asset.path: asset for pattern in patterns for asset in _matching(client, dandiset, version, pattern)}
        return [_described(found[path]) for path in sorted(found)]


def fetch_asset(asset: Asset, target: Path, *, cache: Path) -> None:
    """Download a whole file, resumably, and check it against the archive's sum.

    Args:
        asset: The file.
        target: Where it shall stand.
        cache: Folder of partial and finished downloads.

    Raises:
        ConnectionError: If the archive cannot be reached.
        ValueError: If the bytes are not the stated ones.
    """
    fetch(asset.url, target, sha256=asset.sha256, cache=cache)


@contextmanager
def open_asset(asset: Asset, *, cache: Path) -> Iterator[RangeFile]:
    """Open a file to read parts of it by ranges; processes that want the same file wait for one another.

    Args:
        asset: The file.
        cache: Folder for the blocks that were read: kept when reading is cut off, removed when it ends well.

    Yields:
        The open file, for `h5py.File`.
    """
    blocks = cache / f"{asset.sha256}.blocks"
    with FileLock(cache / f"{asset.sha256}.lock"):
        with RangeFile(asset.url, size=asset.size, blocks=blocks) as file:
            yield file
        shutil.rmtree(blocks)


@contextmanager
def _client(api: str) -> Iterator[DandiAPIClient]:
    """The archive's client, after a short look whether anybody is there: it would ask for a minute."""
    _require_there(api)
    os.environ.setdefault("DANDI_NO_ET", "1")  # no question to the project's server whether there is a newer client
    try:
        from dandi.dandiapi import DandiAPIClient  # imported here: only a download needs it
    except ImportError as error:
        raise ImportError(f"the DANDI client is missing ({error}); {EXTRA}") from error
    try:
        with DandiAPIClient(api_url=api) as client:
            mount(client.session)
            yield client
    except (requests.RequestException, RuntimeError) as error:
        raise ConnectionError(f"the DANDI archive at {api} fails: {error}; {WAY_OUT}") from error


def _require_there(api: str) -> None:
    """Raise at once if the archive does not answer."""
    try:
        with PatientSession() as session:
            session.get(f"{api.rstrip('/')}/info/").raise_for_status()
    except requests.RequestException as error:
        raise ConnectionError(f"cannot reach the DANDI archive at {api}: {error}; {WAY_OUT}") from error


def _matching(client: DandiAPIClient, dandiset: str, version: str, pattern: str) -> list[RemoteAsset]:
    """The files of one pattern; the server narrows the list, the pattern here decides."""
    from dandi.exceptions import NotFoundError

    try:
        listed = client.get_dandiset(dandiset, version).get_assets_by_glob(pattern, order="path")
        found = [asset for asset in listed if fnmatchcase(asset.path, pattern)]
    except NotFoundError as error:
        raise FileNotFoundError(f"dandiset {dandiset}: {error}") from error
    if not found:
        raise FileNotFoundError(
            f"dandiset {dandiset}/{version}: no file matches {pattern!r}; look at its files on the archive's page and "
            "correct `assets`"
        )
    return found


def _described(asset: RemoteAsset) -> Asset:
    """What the archive says about a file."""
    require_inside(asset.path, what="assets")
    sha256 = asset.get_raw_metadata().get("digest", {}).get("dandi:sha2-256")
    if not sha256:
        raise ValueError(
            f"{asset.path}: the archive states no SHA-256 sum (it makes it some time after the upload); choose a "
            "published version"
        )
    return Asset(asset.path, asset.size, sha256, asset.base_download_url)
