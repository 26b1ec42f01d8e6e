"""A DANDI archive on this machine: the REST calls that the dandi client makes, and blobs behind a redirection."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import NAMESPACE_URL, uuid5

from tests.datasets.range_server import RangeServer, Reply

VERSION = r"dandisets/\d{6}/versions/[^/]+"
WHEN = "2022-01-27T04:36:00Z"


@dataclass
class DandiServer(RangeServer):
    """Dandisets as `{(dandiset, version): {path: bytes}}`; two assets a page, so that every list has pages.

    Answers `/api/info/`, `/api/dandisets/<id>/versions/<version>/assets/` with `glob`, `order`, `page` and `page_size`,
    `.../assets/<id>/` (the metadata with digests) and `/api/assets/<id>/download/`, which redirects to `/blobs/`.
    """

    dandisets: dict[tuple[str, str], dict[str, bytes]] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)  # a stated sum that differs from the bytes, by path
    page_size: int = 2

    @property
    def api(self) -> str:
        """Address of the REST interface."""
        return f"{self.url}/api"

    def blob(self, path: str) -> str:
        """Path on the server of the bytes of an asset."""
        return f"/blobs/{_asset_id(path)}"

    def reply(self, target: str) -> Reply:
        """The answer to a GET."""
        parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path == "/api/info/":
            return _json(self._info())
        if match := re.fullmatch(r"/api/dandisets/(\d{6})/versions/([^/]+)/assets/", parts.path):
            files = self.dandisets.get((match[1], match[2]))
            return Reply(404) if files is None else _json(self._page(parts.path, files, query))
        if match := re.fullmatch(rf"/api/(?:{VERSION}/)?assets/([0-9a-f-]{{36}})/(download/)?", parts.path):
            return self._asset(match[1], download=bool(match[2]))
        if match := re.fullmatch(r"/blobs/([0-9a-f-]{36})", parts.path):
            return Reply(200, self._assets()[match[1]][1])
        return Reply(404)

    def _info(self) -> dict[str, Any]:
        """What a client asks first."""
        services = {"api": {"url": self.api}, "webui": {"url": f"{self.url}/gui"}, "jupyterhub": None}
        info = {"version": "0.3.0", "services": services, "schema_version": "0.6.4", "schema_url": self.url}
        return info | {"cli-minimal-version": "0.60.0", "cli-bad-versions": []}

    def _page(self, path: str, files: dict[str, bytes], query: dict[str, str]) -> dict[str, Any]:
        """One page of the list of assets."""
        names = sorted(name for name in files if fnmatchcase(name, query.get("glob", "*")))
        page, size = int(query.get("page", 1)), int(query.get("page_size", self.page_size))
        more = page * size < len(names)
        rest = "".join(f"&{name}={value}" for name, value in query.items() if name != "page")
        following = f"{self.url}{path}?page={page + 1}{rest}" if more else None
        rows = [self._row(name, files[name]) for name in names[(page - 1) * size : page * size]]
        return {"count": len(names), "next": following, "previous": None, "results": rows}

    def _row(self, name: str, body: bytes) -> dict[str, Any]:
        """An asset in a list."""
        identity = _asset_id(name)
        facts = {"asset_id": identity, "blob": identity, "zarr": None, "path": name, "size": len(body)}
        return facts | {"created": WHEN, "modified": WHEN, "metadata": None}

    def _asset(self, identity: str, *, download: bool) -> Reply:
        """Metadata of an asset, or the way to its bytes."""
        if identity not in self._assets():
            return Reply(404)
        name, body = self._assets()[identity]
        if download:
            return Reply(302, headers={"Location": f"{self.url}/blobs/{identity}"})
        stated = self.digests.get(name, hashlib.sha256(body).hexdigest())
        digest = {"dandi:dandi-etag": "0" * 32 + "-1"} | ({"dandi:sha2-256": stated} if stated else {})
        links = [f"{self.api}/assets/{identity}/download/", f"{self.url}/blobs/{identity}"]
        return _json({"path": name, "contentSize": len(body), "digest": digest, "contentUrl": links})

    def _assets(self) -> dict[str, tuple[str, bytes]]:
        """All assets by their id."""
        return {_asset_id(name): (name, body) for files in self.dandisets.values() for name, body in files.items()}


def _asset_id(name: str) -> str:
    return str(uuid5(NAMESPACE_URL, name))


def _json(content: Any) -> Reply:
    return Reply(200, json.dumps(content).encode(), {"Content-Type": "application/json"}, whole=True)
