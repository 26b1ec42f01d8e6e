"""Train every fold and seed of a model, several at once, each in a process that a kill does not harm.

A finished fold is kept beside the state of the unfinished ones until all are done, so that a run that is cut off
anywhere goes on where it was. What is kept is found again by the recipe's key.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tqdm import tqdm

from neurofmx.models.table import MODELS
from neurofmx.training.lock import locked
from neurofmx.training.recipe import Recipe

if TYPE_CHECKING:
    from neurofmx.training.activity import Activity


POLL = 0.1  # s between two looks for news of the workers


class Trained(NamedTuple):
    """A trained fold: the folder with `best.safetensors` and `last.safetensors`, and what it took.

    `seconds` are those of the clock, validation included; `training_seconds` those of the processor (on a GPU of the
    clock) without it, for `steps` steps in `epochs` epochs. What is compiled at first use is in neither. `step_mib` is
    the memory of a training step (`footprint.py`), the other one that of the whole process.
    """

    fold: int
    seed: int
    folder: Path
    curve: list[tuple[int, float, float]]
    activity: list[Activity]
    seconds: float
    training_seconds: float
    epochs: int
    steps: int
    peak_memory_mib: float
    step_mib: float

    @property
    def cost(self) -> dict[str, float]:
        """What it took, with fold and seed."""
        return {name: value for name, value in self._asdict().items() if name not in ("folder", "curve", "activity")}


@contextmanager
def train_all(recipe: Recipe, *, folds: int, seeds: Sequence[int], keep: Path, label: str) -> Iterator[list[Trained]]:
    """Train all folds and seeds; the context holds the results, and forgets the kept state when it ends well.

    Args:
        recipe: What to train on what.
        folds: Folds of the split.
        seeds: Seeds; each trains every fold.
        keep: Folder under which unfinished work survives a kill.
        label: Name of the progress bar.

    Yields:
        The trained folds in order of fold and seed.

    Raises:
        RuntimeError: If another process trains the same recipe, or a training process died.
    """
    folder = keep / recipe.key()
    with locked(folder):
        jobs = [(fold, seed) for seed in seeds for fold in range(folds)]
        yield sorted(_run(recipe, jobs, folder, label), key=lambda trained: (trained.fold, trained.seed))
        shutil.rmtree(folder)


def _run(recipe: Recipe, jobs: list[tuple[int, int]], folder: Path, label: str) -> list[Trained]:
    """Spread the jobs over processes and show how far they are."""
    workers = min(len(jobs), recipe.options.workers or max(1, (os.cpu_count() or 1) // recipe.options.threads))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_worker_modules(recipe.family))
    epochs = context.SimpleQueue()
    bar = tqdm(total=len(jobs) * recipe.options.num_epochs, desc=label, unit="epoch", dynamic_ncols=True)
    over = threading.Event()
    watcher = threading.Thread(target=_follow, args=(epochs, bar, over), daemon=True)
    watcher.start()
    pool = ProcessPoolExecutor(workers, context, _prepare_worker, (epochs, recipe.options.threads))
    try:
        futures: list[Future[Trained]] = [pool.submit(_train, recipe, fold, seed, folder) for fold, seed in jobs]
        return [future.result() for future in as_completed(futures)]
    except BrokenProcessPool as error:
        raise RuntimeError(
            f"{label}: a training process died (out of memory?). Finished work is kept; run the stage again, with "
            "train.workers=1 if memory is short."
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        over.set()
        watcher.join(timeout=5)  # a worker that was killed while it wrote has left half of its news
        bar.close()


def _worker_modules(family: str) -> list[str]:
    """What all workers import, once: this process needs neither torch nor the network."""
    network = MODELS[family].network or MODELS[family].build
    return ["neurofmx.training.one_job", "dvclive.live", network.split(":")[0]]


def _train(recipe: Recipe, fold: int, seed: int, folder: Path) -> Trained:
    """One fold with one seed, in a worker; a finished one is only read."""
    from neurofmx.training.checkpoints.checkpoint import load_checkpoint
    from neurofmx.training.one_job import fit

    home = folder / f"fold{fold}_seed{seed}"
    if not (home / "last.safetensors").is_file():
        fit(recipe, fold, seed, home, lambda epoch: _tell(home, epoch))
    _, facts = load_checkpoint(home / "last.safetensors")
    curve = [(int(step), train, validation) for step, train, validation in facts["curve"]]
    cost = json.loads((home / "cost.json").read_text())
    _tell(home, recipe.options.num_epochs)
    return Trained(fold, seed, home, curve, facts["activity"], **cost)


_epochs: Any = None  # the worker's end of the progress queue


def _tell(home: Path, epoch: int) -> None:
    if _epochs is not None:
        _epochs.put((home.name, epoch))


def _follow(epochs: Any, bar: tqdm[Any], over: threading.Event) -> None:
    """Move the bar to the sum of all jobs' epochs until it is over.

    Nothing is put into the queue to end this: a worker that was killed while it wrote holds the queue's lock for ever.
    """
    reached: dict[str, int] = {}
    while not (epochs.empty() and over.wait(POLL)):
        if epochs.empty():
            continue
        name, epoch = epochs.get()
        reached[name] = max(epoch, reached.get(name, 0))
        bar.n = sum(reached.values())
        bar.refresh()


def _prepare_worker(epochs: Any, threads: int) -> None:
    """Fix what the bits depend on, and end with the parent: an orphan would go on writing."""
    global _epochs
    from neurofmx.training.bits import fix_the_bits

    _epochs = epochs
    fix_the_bits(threads)
    end_with_parent()


def end_with_parent() -> None:
    """End this process when the one that started it ends, however that comes about."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)
