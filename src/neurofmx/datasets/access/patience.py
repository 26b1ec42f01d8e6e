"""Web sessions for clients that do not bring any patience: a busy server is asked again, a silent one given up."""

from __future__ import annotations

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

SILENCE = 30.0  # s
_BUSY = (429, 500, 502, 503, 504)


class PatientSession(requests.Session):
    """A session of `requests` that limits silence, and repeats what may be repeated.

    Args:
        silence: Longest silence of a server, s, where the caller sets no limit, default 30.
        retries: Further attempts, default 4: after 0, 1, 2 and 4 s, or when the server asks for it; a server that
            cannot be connected to is asked once more.
    """

    def __init__(self, *, silence: float | None = None, retries: int = 4) -> None:
        super().__init__()
        mount(self, silence=silence, retries=retries)


def mount(session: requests.Session, *, silence: float | None = None, retries: int = 4) -> None:
    """Make a session patient; arguments are those of `PatientSession`."""
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter(SILENCE if silence is None else silence, retries))


class _Adapter(HTTPAdapter):
    """Sends with a limit on silence."""

    def __init__(self, silence: float, retries: int) -> None:
        busy = {"status_forcelist": _BUSY, "backoff_factor": 0.5, "raise_on_status": False}
        super().__init__(max_retries=Retry(total=retries, connect=1, **busy))
        self.silence = silence

    def send(self, request, stream=False, timeout=None, **options) -> requests.Response:  # type: ignore[override]
        """Send; the caller's own limit holds where there is one."""
        return super().send(request, stream=stream, timeout=timeout or self.silence, **options)
