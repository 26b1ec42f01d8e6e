"""Start measuring processes in an environment of their own, and hand them jobs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.machine import ROOT


class Worker:
    """A measuring process; see `benchmarks.worker`. Use it in a `with` block.

    Args:
        settings: Environment variables that it gets on top of this process's own.
        source: Folder that holds the `neurofmx` to measure; `None` for that of this checkout, also where another one
            is installed.
        cold: Whether it leaves the import of numba to the jobs, to measure a start.
    """

    def __init__(
        self, settings: Mapping[str, str] | None = None, *, source: Path | None = None, cold: bool = False
    ) -> None:
        paths = [str(source or ROOT / "src"), str(ROOT), os.environ.get("PYTHONPATH", "")]
        environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE", **(settings or {})}
        self._messages = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", *(["--cold"] if cold else [])],
            cwd=ROOT,
            env=environment | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._messages,
            text=True,
        )

    def ask(self, kind: str, **job: Any) -> dict[str, Any]:
        """Has a job done.

        Args:
            kind: A key of `benchmarks.worker.JOBS`.
            **job: Its settings.

        Returns:
            What it found, or `skipped` or `failed` with the reason.

        Raises:
            RuntimeError: If the process itself is gone, with its last words.
        """
        questions, answers = self._process.stdin, self._process.stdout
        assert questions is not None
        assert answers is not None
        with suppress(BrokenPipeError):  # then it is gone, and the empty answer says so
            questions.write(json.dumps({"kind": kind, **job}) + "\n")
            questions.flush()
        said = answers.readline()
        if not said:
            raise RuntimeError(f"the measuring process ended: {self._last_words()}")
        return json.loads(said)

    def _last_words(self) -> str:
        """The end of what it wrote to standard error."""
        self._process.wait()
        self._messages.seek(0)
        return self._messages.read()[-2000:].strip() or f"exit code {self._process.returncode}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the process, at once if an error is under way."""
        if error is not None:
            self._process.kill()
        self._process.communicate()
        self._messages.close()
