"""Put the windows of a dataset where those of another are cut, beside which they are read."""

import shutil
from pathlib import Path

from _stage import Params, run
from neurofmx.atomic import atomic
from neurofmx.tables import pick


def main(params: Params, dataset: str) -> None:
    """Write data/clean/DATASET/beside.h5."""
    other = pick(params.multimodal.beside, dataset, "dataset in multimodal.beside of params.yaml")
    windows = Path(f"data/tokens/{other}.h5")
    if not windows.is_file():
        raise FileNotFoundError(f"no windows at {windows}; make them with `dvc repro tokenize@{other}`")
    with atomic(Path(f"data/clean/{dataset}/beside.h5")) as part:
        shutil.copyfile(windows, part)
    print(f"{other} is read beside {dataset}")


if __name__ == "__main__":
    run(main, dataset="a key of multimodal.beside in params.yaml")
