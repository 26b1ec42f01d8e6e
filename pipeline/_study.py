"""The variants of a suite, one experiment each: run, kept, skipped when nothing of them changed, and compared."""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import _workspace as workspace
from _kept import DONE, SUITES, built, collect, entries
from _stage import Params, write_json
from neurofmx.atomic import atomic
from neurofmx.params import read_tree
from neurofmx.study.compare import compare
from neurofmx.study.domain import DOMAINS
from neurofmx.study.draw import draw
from neurofmx.study.table import study_markdown
from neurofmx.variants import variant_tree


class Study:
    """A suite with variants.

    Args:
        params: All sections.
        suite: Name of the suite.
        commands: The `dvc exp run` of each variant, the baseline first.
    """

    def __init__(self, params: Params, suite: str, commands: Mapping[str, Sequence[str]]) -> None:
        self._params, self._name, self._commands = params, suite, commands
        self._suite, self._folder = params.suite(suite), SUITES / suite
        self.baseline = next(iter(commands))

    def show(self) -> None:
        """Print the commands, and which of them have nothing to do."""
        tree = read_tree()
        for variant, command in self._commands.items():
            print(shlex.join(command) + ("  # finished" if self._finished(variant, self._key(tree, variant)) else ""))

    def run(self) -> None:
        """Run all variants that are not finished, then make table and figure.

        Raises:
            RuntimeError: If a variant is not complete; table and figure then hold what there is.
        """
        workspace.keep(self._params.suites)
        try:
            failed = self._run_all(read_tree())
        finally:
            workspace.put_back(self._params.suites)
        self.report()
        if failed:
            missing = "\n".join(f"  {variant}: {', '.join(datasets)}" for variant, datasets in failed.items())
            raise RuntimeError(
                f"{len(failed)} of {len(self._commands)} variants are not complete, the others are done; the same "
                f"command goes on there:\n{missing}"
            )

    def again(self) -> None:
        """Make table and figure of what is kept, and say which of it other code or params have made."""
        self.report()
        tree = read_tree()
        if stale := [variant for variant in self._commands if not self._finished(variant, self._key(tree, variant))]:
            print(f"not of this code and these params: {', '.join(stale)}; without --table they are made anew")

    def report(self) -> None:
        """Make metrics/SUITE/comparison.{json,md,png} from what is kept; raises ValueError if that is nothing."""
        out = Path("metrics") / self._name
        found = [entry for dataset in self._suite.datasets for entry in self._entries(dataset)]
        evaluate = self._params.evaluate
        bootstrap = {"draws": evaluate.draws, "confidence": evaluate.confidence}
        result = compare(found, baseline=self.baseline, study=self._suite.study, **bootstrap)
        write_json(out / "comparison.json", {"suite": self._name} | result)
        table = study_markdown(result)
        with atomic(out / "comparison.md") as part:
            part.write_text(table)
        print(table)
        draw(result, out / "comparison.png")

    def _run_all(self, tree: dict[str, Any]) -> dict[str, list[str]]:
        """Run the variants one after the other; datasets that are missing, by variant."""
        began, failed = time.monotonic(), {}
        for number, (variant, command) in enumerate(self._commands.items(), 1):
            so_far = timedelta(seconds=round(time.monotonic() - began))
            place = f"{self._name}: variant {number} of {len(self._commands)}, {variant}, {so_far} so far"
            key = self._key(tree, variant)
            if self._finished(variant, key):
                print(f"{place}: finished before, nothing of it has changed", flush=True)
                continue
            print(f"{place}\n{shlex.join(command)}", flush=True)
            if missing := self._one(variant, command, key):
                failed[variant] = missing
            workspace.put_back_params()
        return failed

    def _one(self, variant: str, command: Sequence[str], key: str) -> list[str]:
        """Run one variant and keep what it made; the datasets it could not build."""
        folder, began = self._folder / variant, time.monotonic()
        (folder / DONE).unlink(missing_ok=True)
        _forget(f"{self._name}-{variant}")
        ended = subprocess.run(command, check=False)
        datasets = list(self._suite.datasets)
        done = built(datasets) if ended.returncode else datasets
        missing = [dataset for dataset in datasets if dataset not in done]
        for dataset in missing:
            shutil.rmtree(folder / dataset, ignore_errors=True)
        collect(folder, done, self._models(variant))
        if not ended.returncode:
            write_json(folder / DONE, {"key": key, "seconds": round(time.monotonic() - began, 1)})
        return missing or (["the experiment was not saved"] if ended.returncode else [])

    def _finished(self, variant: str, key: str) -> bool:
        """Whether a variant ran with exactly these params and this code, and all that it made is there."""
        folder = self._folder / variant
        if not (folder / DONE).is_file() or json.loads((folder / DONE).read_text())["key"] != key:
            return False
        wanted = [folder / d / m / "report.json" for d in self._suite.datasets for m in self._models(variant)]
        return all(path.is_file() for path in wanted)

    def _models(self, variant: str) -> list[str]:
        """The models that are kept of a variant: those to compare with are the baseline's."""
        return ["model", *(("linear", *self._suite.compare) if variant == self.baseline else ())]

    def _entries(self, dataset: str) -> list[Any]:
        """All that is kept of a dataset: the baseline, the other variants, then the models to compare with."""
        domain = DOMAINS[self._suite.datasets[dataset].modality]
        found = [
            entry
            for variant in self._commands
            for entry in entries(self._folder / variant, dataset, {"model": variant}, domain=domain)
        ]
        others = {model: model for model in self._suite.compare}
        return found + entries(self._folder / self.baseline, dataset, others, domain=domain)

    def _key(self, tree: Mapping[str, Any], variant: str) -> str:
        """Hash over what a variant depends on: its params and the code of all stages."""
        section = variant_tree(tree, self._name, variant)
        section.pop("download", None)
        section["run"]["datasets"] = {name: section["run"]["datasets"][name] for name in self._suite.datasets}
        section["datasets"] = {name: section["datasets"][name] for name in self._suite.datasets}
        digest = hashlib.sha256(json.dumps(section, sort_keys=True).encode())
        sources = [*Path("src/neurofmx").rglob("*.py"), *Path("pipeline").glob("0*.py"), Path("dvc.yaml")]
        for source in sorted(path for path in sources if "study" not in path.parts):
            digest.update(source.as_posix().encode() + source.read_bytes())
        return digest.hexdigest()


def _forget(name: str) -> None:
    """Remove an earlier experiment of that name on this commit: DVC would refuse to make a second one."""
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    ref = f"refs/exps/{head[:2]}/{head[2:]}/{name}"
    if subprocess.run(["git", "rev-parse", "-q", "--verify", ref], capture_output=True, check=False).returncode == 0:
        subprocess.run(["dvc", "exp", "remove", name], capture_output=True, check=True)
