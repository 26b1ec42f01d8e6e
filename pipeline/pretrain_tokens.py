"""Fetch, clean and cut a dataset to pretrain on; only its windows are kept, and what `make download` has fetched."""

import tempfile
from pathlib import Path

from _stage import Params, downloads, fetched, mirror, run
from neurofmx.preprocessing import PREPROCESS
from neurofmx.recordings.recording import opened, save
from neurofmx.tokenizers.cutting.cut import cut


def main(params: Params, dataset: str) -> None:
    """Write data/pretrain/tokens/DATASET.h5."""
    chosen = params.pretraining(dataset)
    out = Path(f"data/pretrain/tokens/{dataset}.h5")
    out.parent.mkdir(parents=True, exist_ok=True)
    cleaning = PREPROCESS[chosen.modality]
    with tempfile.TemporaryDirectory(dir=out.parent.parent) as folder:
        raw, clean = fetched(dataset), Path(folder) / "clean.h5"
        if chosen.dataset.local or not chosen.dataset.holds(raw):
            raw = Path(folder) / "raw"
            chosen.dataset.download(raw, mirror=mirror(params), cache=downloads())
        save(clean, cleaning.preprocess(chosen.dataset.stream(raw), chosen.preprocess))
        with opened(clean) as recordings:
            windows = cut(
                recordings,
                signal=cleaning.signal,
                task=chosen.dataset.task,
                split=chosen.dataset.split,
                options=chosen.tokenize,
                modality=chosen.modality,
                dataset=dataset,
                species=chosen.dataset.species,
            )
    windows.save(out)
    print(f"{dataset}: {len(windows.x)} windows of {windows.x.shape[1]} x {windows.x.shape[2]} to pretrain on")


if __name__ == "__main__":
    run(main, dataset="name of a dataset in pretrain.datasets of params.yaml")
