"""Fetch the recordings of a dataset, from the mirror or their public source, checked by sha256."""

from pathlib import Path

from _stage import Params, downloads, mirror, run


def main(params: Params, dataset: str) -> None:
    """Write data/raw/DATASET in the archive's own formats."""
    params.dataset(dataset).dataset.download(Path("data/raw") / dataset, mirror=mirror(params), cache=downloads())


if __name__ == "__main__":
    run(main, dataset="name of a dataset in params.yaml")
