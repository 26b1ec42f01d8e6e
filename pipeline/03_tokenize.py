"""Cut clean recordings into windows, with the named split and the scaling of each fold's training part."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from _stage import Params, run
from neurofmx.preprocessing import PREPROCESS
from neurofmx.recordings.recording import opened
from neurofmx.tokenizers.cutting.beside import Other
from neurofmx.tokenizers.cutting.cut import cut
from neurofmx.tokenizers.cutting.windows import open_windows


def main(params: Params, dataset: str) -> None:
    """Write data/tokens/DATASET.h5."""
    chosen, folder = params.dataset(dataset), Path(f"data/clean/{dataset}")
    with opened(folder / "recordings.h5") as recordings, lent(params, dataset, folder / "beside.h5") as beside:
        windows = cut(
            recordings,
            signal=PREPROCESS[chosen.modality].signal,
            task=chosen.dataset.task,
            split=chosen.dataset.split,
            options=chosen.tokenize,
            modality=chosen.modality,
            dataset=dataset,
            species=chosen.dataset.species,
            beside=beside,
        )
    windows.save(Path(f"data/tokens/{dataset}.h5"))
    print(f"{dataset}: {len(windows.x)} windows of {windows.x.shape[1]} x {windows.x.shape[2]}, {windows.folds} folds")


@contextmanager
def lent(params: Params, dataset: str, path: Path) -> Iterator[Other | None]:
    """What is read beside the dataset, of which stage `lend` has made a copy; None for nothing."""
    if dataset not in params.multimodal.beside:
        path.unlink(missing_ok=True)  # of an earlier pair: no stage makes it any more
        yield None
        return
    if not path.is_file():
        raise FileNotFoundError(f"no windows at {path}; make them with `dvc repro lend@{dataset}`")
    with open_windows(path) as windows:
        yield Other(windows, params.multimodal.tolerance)


if __name__ == "__main__":
    run(main, dataset="name of a dataset in params.yaml")
