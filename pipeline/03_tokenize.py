"""Cut clean recordings into windows, with the named split and the scaling of each fold's training part."""

from pathlib import Path

from _stage import Params, run
from neurofmx.preprocessing import PREPROCESS
from neurofmx.recordings.recording import opened
from neurofmx.tokenizers.cutting.cut import cut


def main(params: Params, dataset: str) -> None:
    """Write data/tokens/DATASET.h5."""
    chosen = params.dataset(dataset)
    with opened(Path(f"data/clean/{dataset}.h5")) as recordings:
        windows = cut(
            recordings,
            signal=PREPROCESS[chosen.modality].signal,
            task=chosen.dataset.task,
            split=chosen.dataset.split,
            options=chosen.tokenize,
            modality=chosen.modality,
            dataset=dataset,
            species=chosen.dataset.species,
        )
    windows.save(Path(f"data/tokens/{dataset}.h5"))
    print(f"{dataset}: {len(windows.x)} windows of {windows.x.shape[1]} x {windows.x.shape[2]}, {windows.folds} folds")


if __name__ == "__main__":
    run(main, dataset="name of a dataset in params.yaml")
