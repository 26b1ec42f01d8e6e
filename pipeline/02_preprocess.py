"""Clean the recordings of a dataset: filter, bin, or mask and standardise, by its modality."""

from pathlib import Path

from _stage import Params, run
from neurofmx.preprocessing import PREPROCESS
from neurofmx.recordings.recording import save


def main(params: Params, dataset: str) -> None:
    """Write data/clean/DATASET/recordings.h5."""
    chosen = params.dataset(dataset)
    recordings = chosen.dataset.stream(Path("data/raw") / dataset)
    clean = PREPROCESS[chosen.modality].preprocess(recordings, chosen.preprocess)
    save(Path(f"data/clean/{dataset}/recordings.h5"), clean)


if __name__ == "__main__":
    run(main, dataset="name of a dataset in params.yaml")
