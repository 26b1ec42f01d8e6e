"""Hold the claims that were made for such systems against what this checkout has measured: metrics/claims.md.

Nothing is run. What is missing is named, with the command that measures it.
"""

import json
from pathlib import Path
from typing import Any

from _stage import Params, run
from neurofmx.atomic import atomic
from neurofmx.study.claims_page import ASKED, claims_page

OUT = Path("metrics/claims.md")
LENGTH = Path("benchmarks/results/length.json")


def main(params: Params) -> None:
    """Write the page from the tables that there are, and print it."""
    page = claims_page(sources())
    with atomic(OUT) as part:
        part.write_text(page)
    print(page)


def sources() -> dict[str, Any]:
    """What was measured, by the names that the page asks for."""
    places = {name: Path("metrics") / name / "comparison.json" for name, _ in ASKED.values()} | {"length": LENGTH}
    return {name: json.loads(path.read_text()) for name, path in places.items() if path.is_file()}


if __name__ == "__main__":
    run(main)
