"""An Alyx database and its data server on this machine: the calls that ONE makes, and ALF files that one.alf wrote."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import NAMESPACE_URL, uuid5

from tests.datasets.range_server import Asked, RangeServer, Reply

LOGIN, PASSWORD, TOKEN = "mouse", "wheel", "0123456789abcdef"
FILTERS = ("subject", "project", "id", "lab", "date_range", "number", "django", "datasets")


@dataclass
class AlyxServer(RangeServer):
    """Sessions as `{"<lab>/Subjects/<subject>/<date>/<number>": {"<path in the session>": bytes}}`.

    Answers `/auth-token`, `/me`, `/api/schema` (OpenAPI), `/sessions` (a page a session) and `/sessions/<eid>`; files
    lie under `/data/` with the dataset's identifier in their name, behind a login.
    """

    sessions: dict[str, dict[str, bytes]] = field(default_factory=dict)
    stated: dict[str, str] = field(default_factory=dict)  # a stated sum that differs from the bytes, by path
    old: set[str] = field(default_factory=set)  # paths of revisions that are not the default
    data_login: tuple[str, str] | None = None

    @property
    def data(self) -> str:
        """Address of the data server."""
        return f"{self.url}/data"

    def file(self, session: str, path: str) -> str:
        """Path on the server of a file."""
        name = PurePosixPath(path)
        return f"/data/{session}/{name.with_suffix(f'.{identity(session + path)}{name.suffix}').as_posix()}"

    def reply_to_post(self, asked: Asked) -> Reply:
        """Logging in."""
        form = parse_qs(asked.body.decode())
        if asked.target != "/auth-token":
            return Reply(405)
        right = form.get("username") == [LOGIN] and form.get("password") == [PASSWORD]
        return _json({"token": TOKEN}) if right else Reply(400, b'{"non_field_errors": ["no"]}')

    def reply(self, target: str) -> Reply:
        """The answer to a GET."""
        parts = urlsplit(target)
        headers = self.asked[-1].headers
        if parts.path.startswith("/data/"):
            return self._file(unquote(parts.path), headers)
        if headers.get("Authorization") != f"Token {TOKEN}":
            return Reply(401, b'{"detail": "no token"}')
        if parts.path == "/api/schema":
            return _json(_schema())
        if parts.path == "/me":
            return _json({"username": LOGIN})
        if parts.path == "/sessions":
            return _json(self._list({name: values[0] for name, values in parse_qs(parts.query).items()}))
        known = {identity(session): session for session in self.sessions}
        eid = parts.path.removeprefix("/sessions/")
        return _json(self._session(known[eid], whole=True)) if eid in known else Reply(404, b'{"detail": "none"}')

    def _file(self, path: str, headers: dict[str, str]) -> Reply:
        """Bytes, for those who may have them."""
        if self.data_login is not None:
            secret = base64.b64encode(":".join(self.data_login).encode()).decode()
            if headers.get("Authorization") != f"Basic {secret}":
                return Reply(401, headers={"WWW-Authenticate": 'Basic realm="data"'})
        known = {self.file(s, name): body for s, files in self.sessions.items() for name, body in files.items()}
        return Reply(200, known[path]) if path in known else Reply(404)

    def _list(self, query: dict[str, str]) -> dict[str, Any]:
        """One page of sessions, with one session on it."""
        asked = query.get("id") or query.get("django", "").removeprefix("pk,")
        found = [
            session
            for session in sorted(self.sessions)
            if query.get("subject", "").lower() in PurePosixPath(session).parts[2].lower()
            and asked in ("", identity(session))
        ]
        at = int(query.get("offset", 0))
        rest = "&".join(f"{name}={value}" for name, value in query.items() if name not in ("limit", "offset"))
        following = f"{self.url}/sessions?limit=1&offset={at + 1}&{rest}" if at + 1 < len(found) else None
        rows = [self._session(session, whole=False) for session in found[at : at + 1]]
        return {"count": len(found), "next": following, "previous": None, "results": rows}

    def _session(self, session: str, *, whole: bool) -> dict[str, Any]:
        """A session as the database describes it."""
        lab, _, subject, date, number = PurePosixPath(session).parts
        eid = identity(session)
        facts = {"id": eid, "url": f"{self.url}/sessions/{eid}", "subject": subject, "lab": lab, "number": int(number)}
        facts |= {"start_time": f"{date}T10:00:00", "task_protocol": "choice", "projects": ["brainwide"]}
        return facts | ({"data_dataset_session_related": self._datasets(session)} if whole else {})

    def _datasets(self, session: str) -> list[dict[str, Any]]:
        """The files of a session."""
        return [
            {
                "id": identity(session + path),
                "name": PurePosixPath(path).name,
                "data_url": f"{self.url}{self.file(session, path)}",
                "file_size": len(body),
                "hash": self.stated.get(path, hashlib.md5(body, usedforsecurity=False).hexdigest()),
                "default_revision": str(path not in self.old),
                "qc": "NOT_SET",
            }
            for path, body in self.sessions[session].items()
        ]


def identity(name: str) -> str:
    """The identifier of a session or dataset."""
    return str(uuid5(NAMESPACE_URL, name))


def _schema() -> dict[str, Any]:
    """The part of the schema that ONE looks at."""
    listed = {"parameters": [{"name": name, "in": "query"} for name in FILTERS], "description": "sessions"}
    read = {"parameters": [{"name": "id", "in": "path"}], "description": "a session"}
    return {"openapi": "3.0.3", "paths": {"/sessions": {"get": listed}, "/sessions/{id}": {"get": read}}}


def _json(content: Any) -> Reply:
    return Reply(200, json.dumps(content).encode(), {"Content-Type": "application/json"}, whole=True)
