"""Fetch the recordings of a dataset, from the mirror or their public source, checked by sha256."""

import shutil
from pathlib import Path

from _stage import Params, downloads, fetched, mirror, run


def main(params: Params, dataset: str) -> None:
    """Write data/raw/DATASET in the archive's own formats; what `make download` has fetched is moved there."""
    source, folder, ready = params.dataset(dataset).dataset, Path("data/raw") / dataset, fetched(dataset)
    if not source.local and source.holds(ready):
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(ready, folder)
    else:
        source.download(folder, mirror=mirror(params), cache=downloads())


if __name__ == "__main__":
    run(main, dataset="name of a dataset in params.yaml")
