"""Answer a task from several modalities at once, and from each alone; then take modalities away at test time."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from _stage import Params, kept, run, write_json
from neurofmx.atomic import atomic
from neurofmx.evaluation.joint import Told, answered, chance_told, joint_markdown, joint_report, linear_told, tested
from neurofmx.models.fitted.linear import LinearConfig
from neurofmx.tokenizers.cutting.windows import load_windows
from neurofmx.tokenizers.joined import Joined
from neurofmx.tokenizers.joining import join


def main(params: Params, name: str) -> None:
    """Write metrics/multimodal/NAME.json and .md."""
    section = params.multimodal
    if name not in section.sets:
        raise ValueError(f"multimodal.sets: no set {name!r}; there are {', '.join(section.sets) or 'none'}")
    items = params.run.datasets
    files = {f"{items[d].kind}/{items[d].modality}": Path(f"data/tokens/{d}.h5") for d in section.sets[name]}
    if len(files) < len(section.sets[name]):
        raise ValueError(f"multimodal.sets.{name}: two datasets are one stream, {', '.join(files)}; name each once")
    streams = {stream: load_windows(path) for stream, path in files.items()}
    joined = join(streams, tolerance=section.tolerance).complete()
    with networks(params, name, joined, files) as said:  # what was trained is kept until it is scored
        write(params, name, joined, [chance_told(joined), *linears(params, joined), *said])


def write(params: Params, name: str, joined: Joined, told: Sequence[Told]) -> None:
    """Score what was said, and write metrics/multimodal/NAME.json and .md."""
    evaluate, out, rows = params.evaluate, Path("metrics/multimodal"), tested(joined)
    points = joint_report(
        told,
        joined.y[rows],
        joined.block[rows],
        joined.task,
        draws=evaluate.draws,
        confidence=evaluate.confidence,
    )
    facts: dict[str, Any] = {"set": name, "rows": len(rows), "seeds": list(evaluate.seeds), "points": points}
    write_json(out / f"{name}.json", facts)
    table = joint_markdown(points, headline=joined.task.headline)
    with atomic(out / f"{name}.md") as part:
        part.write_text(table)
    print(table)


def subsets(joined: Joined) -> list[tuple[str, ...]]:
    """All streams together, and each alone."""
    return [tuple(joined.streams), *((stream,) for stream in joined.streams)]


def linears(params: Params, joined: Joined) -> list[Told]:
    """The linear model, trained with all streams and with each alone, and asked as the networks are."""
    config = params.named("linear").config
    assert isinstance(config, LinearConfig)
    return [
        each
        for learnt in subsets(joined)
        for each in linear_told(joined, config, only=learnt, reads=asked_with(learnt, joined))
    ]


def asked_with(learnt: tuple[str, ...], joined: Joined) -> list[tuple[str, ...]]:
    """A model of all streams is asked with all, with each one missing, and with each alone; others as they learnt."""
    return without_some(learnt) if learnt == tuple(joined.streams) else [learnt]


@contextmanager
def networks(params: Params, name: str, joined: Joined, files: dict[str, Path]) -> Iterator[list[Told]]:
    """The multimodal model, trained with all streams and with each alone; trainings are forgotten if all ends well."""
    from neurofmx.foundation.joint import JointRecipe, train_joint

    dataset = params.multimodal.sets[name][0]
    head, options = params.head_of(dataset), params.train_of(dataset)
    config, seeds, told = params.named("neurofmx").config, params.evaluate.seeds, list[Told]()
    keep, recipes = kept(), []
    for learnt in subsets(joined):
        drop = params.multimodal.drop_modalities if len(learnt) > 1 else 0.0
        recipe = JointRecipe(files, params.multimodal.tolerance, config, head, options, drop, learnt)  # type: ignore[arg-type]
        recipes.append(recipe)
        made = train_joint(recipe, joined, seeds=seeds, keep=keep, label=f"{name}: {', '.join(learnt)}")
        told += [
            Told("neurofmx", learnt, read, said_by(made, joined, seeds=seeds, read=read))
            for read in asked_with(learnt, joined)
        ]
    yield told
    for recipe in recipes:
        shutil.rmtree(keep / recipe.key())


def said_by(
    made: Mapping[tuple[int, int], Any], joined: Joined, *, seeds: Sequence[int], read: Sequence[str]
) -> np.ndarray:
    """Answers `(seeds, tested rows, width)` of decoders by fold and seed that read some of the streams."""
    from neurofmx.foundation.joint import rows_of

    def answer(seed: int) -> np.ndarray:
        return answered(joined, lambda fold, rows: made[fold, seed].predict(rows_of(joined, fold, rows, only=read)))

    return np.stack([answer(seed) for seed in seeds])


def without_some(streams: tuple[str, ...]) -> list[tuple[str, ...]]:
    """All streams, all but one of them, and each alone, every choice once."""
    less = [tuple(each for each in streams if each != gone) for gone in streams]
    return list(dict.fromkeys([streams, *less, *((stream,) for stream in streams)]))


if __name__ == "__main__":
    run(main, name="a key of multimodal.sets in params.yaml")
