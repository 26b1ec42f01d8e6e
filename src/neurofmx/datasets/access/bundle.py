"""Many small files of a public code repository, kept as one: a thousand files would slow every stage."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

from tqdm import tqdm

from neurofmx.atomic import atomic
from neurofmx.datasets.access.fetch import fetch_piece
from neurofmx.datasets.access.repository import HOST, require_commit
from neurofmx.datasets.shared.checksum import require

_DATE = (1980, 1, 1, 0, 0, 0)  # the first that the format knows: the same files must give the same bytes
_CONNECTIONS = 4


def fetch_repository_bundle(
    repository: str,
    commit: str,
    paths: Sequence[str],
    *,
    target: Path,
    sha256: str,
    cache: Path,
    host: str = HOST,
) -> None:
    """Download files of a GitHub repository and pack them unchanged into one zip file.

    Each file is kept in the cache once it is complete, so that a second call goes on where the first one stopped. The
    zip file's checksum vouches for all of them.

    Args:
        repository: Owner and name, `owner/name`.
        commit: The commit's full hash: a branch or tag may move.
        paths: Paths inside the repository, which are also those inside the zip file.
        target: The zip file. It appears only when complete and verified.
        sha256: SHA-256 sum of the zip file.
        cache: Folder of partial and finished downloads.
        host: Address that serves `<repository>/<commit>/<path>`, default GitHub's.

    Raises:
        FileNotFoundError: If the repository does not have a file.
        ConnectionError: If the server cannot be reached.
        ValueError: If `commit` is no full hash, or the zip file has another checksum; the files are then removed from
            the cache.
    """
    require_commit(commit)
    store = cache / "bundles" / commit
    order = sorted(paths)
    _fetch_all(
        lambda path: fetch_piece(f"{host}/{repository}/{commit}/{quote(path)}", store / path), order, target.name
    )
    with atomic(target) as part:
        pack(part, store, order)
        try:
            require(part, sha256, origin=f"{repository} at {commit}, packed")
        except ValueError:
            shutil.rmtree(store)  # which of them is wrong cannot be told
            raise
    shutil.rmtree(store)


def pack(target: Path, folder: Path, names: Sequence[str]) -> None:
    """Pack files into a zip file, uncompressed and without dates: equal files give equal bytes.

    Args:
        target: The zip file.
        folder: Where the files are.
        names: Their paths inside the folder and inside the zip file, in the wanted order.
    """
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as bundle:
        for name in names:
            entry = zipfile.ZipInfo(name, _DATE)
            entry.create_system, entry.external_attr = 3, 0o600 << 16  # as Unix writes it, wherever this runs
            bundle.writestr(entry, (folder / name).read_bytes())


def _fetch_all(fetch: Callable[[str], None], paths: Sequence[str], label: str) -> None:
    """A few files at a time; the first error ends it."""
    with ThreadPoolExecutor(_CONNECTIONS) as pool, tqdm(total=len(paths), unit="file", desc=label, disable=None) as bar:
        try:
            for _ in pool.map(fetch, paths):
                bar.update()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
