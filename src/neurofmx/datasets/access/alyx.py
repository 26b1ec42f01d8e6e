"""Sessions and files of an Alyx database (International Brain Laboratory), found by its own client ONE."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import requests

from neurofmx.datasets.access.dandi_archive import EXTRA
from neurofmx.datasets.access.fetch import WAY_OUT
from neurofmx.datasets.access.patience import PatientSession
from neurofmx.datasets.access.unpack import require_inside
from neurofmx.datasets.access.unpinned import fetch_unpinned, put

Client = Any  # one.api.OneAlyx, whose annotations contradict what it returns
DATABASE = "https://openalyx.internationalbrainlab.org"
DATA_SERVER = "https://ibl.flatironinstitute.org/public"


@dataclass(frozen=True)
class AlfFile:
    """One dataset of a session.

    Args:
        path: Where it belongs, `<lab>/Subjects/<subject>/<date>/<number>/<collection>/<name>`.
        url: Address of the file, whose name carries the dataset's identifier.
        md5: MD5 sum that the database states, in hexadecimal, or none.
    """

    path: str
    url: str
    md5: str | None


def find_files(
    sessions: Sequence[str],
    search: Mapping[str, Any],
    *,
    limit: int,
    patterns: Sequence[str],
    database: str = DATABASE,
    data_server: str = DATA_SERVER,
) -> list[AlfFile]:
    """Ask the database for the files of sessions.

    The client finds sessions, datasets and addresses; bytes go through `fetch_file`, as the client's own download takes
    a file that was cut off for a whole one, and a wrong sum for a remark to the database's keepers.

    Args:
        sessions: Identifiers of sessions.
        search: Further sessions, by what `ONE.search` understands, such as `{"project": "brainwide"}`.
        limit: How many sessions of the search to take, in the database's order.
        patterns: Shell patterns of paths inside a session; of several revisions the default one is taken.
        database: Address of the database.
        data_server: Address of the files.

    Returns:
        The files, in order of their path.

    Raises:
        FileNotFoundError: If a session has no file for a pattern, or there is no session.
        ConnectionError: If the database cannot be reached, keeps failing, stays silent, or wants another login.
        ImportError: If the client is not installed.
    """
    with _client(database, data_server) as one:
        chosen = list(dict.fromkeys((*sessions, *_searched(one, search, limit=limit))))
        if not chosen:
            raise FileNotFoundError(
                f"{database}: no session matches {dict(search)}; correct `search` or name `sessions`"
            )
        found = [file for session in chosen for file in _files(one, session, patterns)]
    return sorted(found, key=lambda file: file.path)


def fetch_file(file: AlfFile, target: Path, *, cache: Path) -> None:
    """Download one file, resumably, and check it against the database's sum.

    A data server that wants a login gets the one that `.netrc` (or the file that NETRC names) holds for its host.

    Args:
        file: The file.
        target: Where it shall stand.
        cache: Folder of partial and finished downloads.
    """
    put(fetch_unpinned(file.url, cache=cache, md5=file.md5), target)


def _searched(one: Client, search: Mapping[str, Any], *, limit: int) -> list[str]:
    """Identifiers of the first sessions that a search finds."""
    if not search:
        return []
    found = one.search(**search)
    return [str(found[k]) for k in range(min(limit, len(found)))]  # asks for a page where it must


def _files(one: Client, session: str, patterns: Sequence[str]) -> list[AlfFile]:
    """Files of one session."""
    listed = one.list_datasets(session, details=True, keep_eid_index=True)
    current = listed[listed["default_revision"].astype(bool)]
    for pattern in patterns:
        if not any(fnmatchcase(path, pattern) for path in current["rel_path"]):
            held = ", ".join(sorted(listed["rel_path"])[:10]) or "nothing"
            raise FileNotFoundError(f"session {session} has no file {pattern!r}; it has {held}")
    wanted = current[[any(fnmatchcase(path, pattern) for pattern in patterns) for path in current["rel_path"]]]
    folder = Path(str(one.eid2path(session))).relative_to(one.cache_dir).as_posix()
    return [_described(one, folder, row) for _, row in wanted.iterrows()]


def _described(one: Client, folder: str, row: Any) -> AlfFile:
    """Path, address and sum of a dataset."""
    from one.alf.path import PurePosixALFPath

    path = PurePosixALFPath(folder, row["rel_path"])
    require_inside(path.as_posix(), what="sessions")
    url = one.alyx.rel_path2url(path.with_uuid(row.name[1]).as_posix())
    parts = urlsplit(url, allow_fragments=False)  # the # of a revision's folder is part of the path
    return AlfFile(path.as_posix(), parts._replace(path=quote(parts.path)).geturl(), str(row["hash"]) or None)


@contextmanager
def _client(database: str, data_server: str) -> Iterator[Client]:
    """ONE on a home folder of its own, which goes with everything that it writes: settings, tokens, tables."""
    try:
        import one.params
        from one.api import OneAlyx
    except ImportError as error:
        raise ImportError(f"IBL's client ONE is missing ({error}); {EXTRA}") from error
    with tempfile.TemporaryDirectory(prefix="neurofmx-one-") as folder, _borrowed(folder), _told(database):
        one.params.setup(client=database, silent=True, cache_dir=f"{folder}/ONE")
        settings: Any = one.params.get(client=database, silent=True)
        one.params.save(settings.set("HTTP_DATA_SERVER", data_server), database)
        options = {"base_url": database, "silent": True, "cache_rest": None, "cache_dir": f"{folder}/ONE"}
        yield OneAlyx(**_login(), **options)


def _login() -> dict[str, str]:
    """The account, from the environment; secrets do not stand in params."""
    given = {"username": "ALYX_LOGIN", "password": "ALYX_PWD", "token": "ALYX_TOKEN"}
    found = {name: os.environ[variable] for name, variable in given.items() if os.environ.get(variable)}
    if "token" in found or {"username", "password"} <= set(found):
        return found
    raise ConnectionError(
        "the IBL database wants an account, which is free: set ALYX_LOGIN and ALYX_PWD, or ALYX_TOKEN, in the "
        f"environment; or {WAY_OUT}"
    )


@contextmanager
def _borrowed(folder: str) -> Iterator[None]:
    """Another home folder and patient sessions for the whole process, as the client has no setting for either."""
    before = {name: os.environ.get(name) for name in ("HOME", "APPDATA")}
    session = requests.sessions.Session
    os.environ.update(HOME=folder, APPDATA=folder)
    requests.sessions.Session = PatientSession  # type: ignore[misc]
    try:
        yield
    finally:
        requests.sessions.Session = session  # type: ignore[misc]
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@contextmanager
def _told(database: str) -> Iterator[None]:
    """Say in our words what fails between us and the database."""
    try:
        yield
    except requests.RequestException as error:
        raise ConnectionError(f"the IBL database at {database} fails: {error}; {WAY_OUT}") from error
    except ConnectionError as error:
        raise ConnectionError(f"{error}; {WAY_OUT}" if WAY_OUT not in str(error) else str(error)) from error
