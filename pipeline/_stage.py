"""What every stage starts with: this checkout's code, the checked params, an error a user can act on.

`dvc exp run --temp` and `--queue` run in a copy of the repository, where an editable install would import the
original's code. So the copy's `src` comes first, before anything of the package is imported.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))
os.environ["PYTHONPATH"] = str(ROOT / "src")  # the training processes import it too
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch loads: idle threads sleep instead of spinning

from neurofmx.atomic import atomic  # noqa: E402
from neurofmx.params import Params, load_params  # noqa: E402

# what a user can mend: its message is enough, a traceback would hide it; a KeyError is a fault of the code, and its
# message one word
EXPECTED = (ValueError, OSError, RuntimeError, FloatingPointError, ImportError)


def run(main: Callable[..., None], *, flags: Mapping[str, dict[str, Any]] | None = None, **arguments: str) -> None:
    """Check params.yaml, then call a stage with the named arguments of the command line.

    Args:
        main: The stage, called as `main(params, **arguments)`.
        flags: Name of each option, and how `argparse` takes it.
        **arguments: Name and help of each positional argument.
    """
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    for name, text in arguments.items():
        parser.add_argument(name, help=text)
    for name, how in (flags or {}).items():
        parser.add_argument(f"--{name.replace('_', '-')}", **how)
    given = vars(parser.parse_args())
    debug = given.pop("debug")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        main(load_params(), **given)
    except EXPECTED as error:
        if debug:
            raise
        sys.exit(f"{type(error).__name__}: {error}")


def kept() -> Path:
    """Folder of unfinished work, in the original checkout also when DVC runs a copy of it."""
    return Path(os.environ.get("DVC_ROOT", ".")) / ".resume"


def downloads() -> Path:
    """Folder of finished and partial downloads, shared by all runs of this checkout."""
    return Path(os.environ.get("DVC_ROOT", ".")) / ".downloads"


def fetched(dataset: str) -> Path:
    """Where `make download` puts a dataset, until the stage that downloads it takes it from there."""
    return downloads() / "ready" / dataset


def mirror(params: Params) -> str | None:
    """Where to look for recordings first: NEUROFMX_MIRROR, else `download.mirror`; folders seen from the checkout."""
    named = os.environ.get("NEUROFMX_MIRROR") or params.download.mirror
    if not named or named.startswith(("http://", "https://")):
        return named
    return str(Path(os.environ.get("DVC_ROOT", ".")) / named)


def write_json(path: Path, content: Any) -> None:
    """Write JSON as git likes it: sorted, indented, ending in a newline."""
    with atomic(path) as part:
        part.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
