"""Cut clean recordings into windows, with the named split and the scaling of each fold's training part."""

from pathlib import Path

from _stage import Params, run
from neurofmx.preprocessing import PREPROCESS
from neurofmx.recording import load
from neurofmx.tokenizers.cut import cut


def main(params: Params, dataset: str) -> None:
    """Write data/tokens/DATASET.h5."""
    chosen = params.dataset(dataset)
    windows = cut(
        load(Path(f"data/clean/{dataset}.h5")),
        signal=PREPROCESS[chosen.modality].signal,
        task=chosen.dataset.task,
        split=chosen.dataset.split,
        options=chosen.tokenize,
        modality=chosen.modality,
        dataset=dataset,
    )
    windows.save(Path(f"data/tokens/{dataset}.h5"))
    print(f"{dataset}: {len(windows.x)} windows of {windows.x.shape[1]} x {windows.x.shape[2]}, {windows.folds} folds")


if __name__ == "__main__":
    run(main, dataset="name of a dataset in params.yaml")
