"""Run a suite of params.yaml: its datasets beside those of `run`, its models, its seeds.

A suite without variants is one experiment. One with variants is an experiment for each, one after the other: what they
share is made once, as DVC's cache of runs knows it. Reports and answers are kept in data/suites, and params.yaml,
dvc.lock and metrics/ are put back at the end. Of variants data/ is put back too; what a suite without variants has
trained and scored stays there until something else runs. Either way metrics/SUITE gets a table and a figure, and a
second call goes on where the first one ended.

Datasets are added, never taken away: DVC would clear what `run` names out of data/. Of a variant the suite's own
datasets are built, of a suite without variants all, as a stage may read what every dataset has left.
A stage that fails leaves the others to be done; the command then ends with an error, and a second call goes on there.
When all is done, metrics/SUITE gets the table, the figure and the reports of the suite's datasets alone, what its other
stages have written, and of texts samples of what its networks write.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path

import _workspace as workspace
from _board import scoreboard_of
from _kept import SUITES
from _single import run_single
from _stage import Params, run
from _study import Study
from neurofmx.params import check_params, check_suite, load_params, read_tree
from neurofmx.plan import Suite
from neurofmx.tables import pick
from neurofmx.training.lock import locked
from neurofmx.variants import changes_of, override, variant_tree


def main(params: Params, suite: str, dry_run: bool, table: bool, sizes: bool, also: str) -> None:
    """Run, or only print, one `dvc exp run` for the suite or for each of its variants."""
    chosen = params.suite(suite)
    more = others_of(params, chosen, also)
    if sizes:
        return sizes_of(params, suite)
    if table:
        return study_of(params, suite).again() if chosen.variants else scoreboard_of(params, suite)
    if dry_run:
        check_suite(read_tree(), suite, source="params.yaml")
        if chosen.variants:
            return study_of(params, suite).show()
        return print(shlex.join(command_of(params, suite, also=more)))
    with locked(SUITES):
        if workspace.BEFORE.is_dir():  # params.yaml may be that of a run, which this suite need not fit
            workspace.recover(params.suites)
            params = load_params()
        check_suite(read_tree(), suite, source="params.yaml")
        if chosen.variants:
            return study_of(params, suite).run()
        command = command_of(params, suite, also=more)
        print(shlex.join(command), flush=True)
        return run_single(params, suite, command)


def others_of(params: Params, suite: Suite, also: str) -> tuple[str, ...]:
    """Models that a call names beside those of the suite; raises ValueError for one that params.yaml does not have."""
    names = tuple(dict.fromkeys(name.strip() for name in also.split(",") if name.strip()))
    if names and suite.variants:
        raise ValueError("--also is for suites without variants; name models to compare variants with under `compare`")
    for name in names:
        pick(params.models, name, "model of params.yaml")
    return tuple(name for name in names if name not in suite.compare)


def sizes_of(params: Params, name: str) -> None:
    """Print how large the suite's networks are without tokenizer and head, and sizes that equal the baseline's."""
    from neurofmx.models.size import KNOBS, backbone_parameters, equal_size

    tree, suite = read_tree(), params.suite(name)
    variants = {v: check_params(variant_tree(tree, name, v)) for v in suite.variants or (None,)}
    first = next(iter(variants.values()))
    goal = backbone_parameters(first.model.family, first.model.config)
    settings = {f"models.{other}": first.named(other) for other in suite.compare}
    settings |= {f"{variant}: model" if variant else "model": each.model for variant, each in variants.items()}
    for place, model in settings.items():
        if model.family in KNOBS:
            has = backbone_parameters(model.family, model.config)
            knobs = equal_size(model.family, goal, config=model.config)
            nearest = backbone_parameters(model.family, model.config.model_copy(update=knobs))
            said = ", ".join(f"{key}={value}" for key, value in knobs.items())
            print(f"{place}: {has:,} parameters, {has / goal:.3f} of the baseline's; nearest {nearest:,} with {said}")


def study_of(params: Params, name: str) -> Study:
    """The variants of a suite with their commands."""
    return Study(params, name, {variant: command_of(params, name, variant) for variant in params.suite(name).variants})


def command_of(params: Params, name: str, variant: str | None = None, also: Sequence[str] = ()) -> list[str]:
    """The command that builds a suite with other models beside its own, or one of its variants, from these params."""
    suite = params.suite(name)
    baseline = variant in (None, next(iter(suite.variants), None))
    named = ["-m", f"suite {name}"] if variant is None else ["-n", f"{name}-{variant}"]
    command = ["dvc", "exp", "run", "--keep-going", *named]
    for dataset, item in suite.datasets.items():
        if params.run.datasets.get(dataset) != item:
            new = "" if dataset in params.run.datasets else "+"
            command += ["-S", f"{new}run.datasets.{dataset}={{kind: {item.kind}, modality: {item.modality}}}"]
    # the models to compare with are the same for all variants: the baseline brings them
    command += ["-S", f"run.compare=[{','.join((*suite.compare, *also) if baseline else ())}]"]
    command += ["-S", f"evaluate.seeds=[{','.join(map(str, suite.seeds))}]"]
    for key, value in changes_of(read_tree(Path("params.yaml"))["suites"][name], variant).items():
        command += ["-S", override(key, value)]
    if variant is None:
        return command
    # by name: `run` may hold other datasets, which every variant would train and no table show
    others = suite.compare if baseline else ()
    for dataset in suite.datasets:
        command += [f"evaluate@{dataset}", *(f"compare_evaluate@{dataset}-{other}" for other in others)]
    return command


if __name__ == "__main__":
    run(
        main,
        flags={
            "dry_run": {"action": "store_true", "help": "print the commands and run nothing"},
            "also": {
                "default": "",
                "metavar": "MODELS",
                "help": "models of params.yaml, with commas, to train and score beside the suite's own, whose table "
                "stays as it is: for pipeline/benchmark.py",
            },
            "sizes": {"action": "store_true", "help": "print sizes at which its networks are equal, and run nothing"},
            "table": {
                "action": "store_true",
                "help": "make table and figure again from what there is, and run nothing",
            },
        },
        suite="name of a suite in params.yaml",
    )
