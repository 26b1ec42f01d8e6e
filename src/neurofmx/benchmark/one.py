"""One model on one dataset: all parts, over folds and seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from neurofmx.benchmark.asked.decoding import Shuffled, decoding, head_answers, probed
from neurofmx.benchmark.asked.few_shot import few_shot, shots_of
from neurofmx.benchmark.asked.latent import latent, space
from neurofmx.benchmark.asked.reconstruction import read_back, reconstruction, unasked
from neurofmx.benchmark.asked.transfer import Learnt, probe_few, transfer
from neurofmx.benchmark.drawn import Draws
from neurofmx.benchmark.entry import absent
from neurofmx.benchmark.material import Material
from neurofmx.benchmark.protocol import Answers, NoStatesError, Stored, Streams, as_array, seeds_of
from neurofmx.benchmark.reading import Reading, readings, reread
from neurofmx.benchmark.reference import Reference
from neurofmx.benchmark.stream import evaluate_stream, looks_ahead
from neurofmx.tokenizers.tokens import Sample

PARTS = ("reconstruction", "decoding", "latent", "transfer", "few_shot")


class Asked:
    """Asks one model about one dataset.

    Args:
        model: The model.
        name: Its name.
        material: The dataset.
        reference: Its baselines.
        seeds: Of the suite.
    """

    def __init__(
        self, model: Any, name: str, material: Material, reference: Reference, *, seeds: tuple[int, ...]
    ) -> None:
        self._model, self._name, self._material, self._reference = model, name, material, reference
        self._seeds = seeds_of(model, seeds)
        # of each part what each seed's folds gave: [seed][fold]
        self._found: dict[str, list[list[Any]]] = {part: [[] for _ in self._seeds] for part in (*PARTS, "shuffled")}
        self._failed: dict[str, str] = {}
        self._read_by = "linear probe"
        self._streamed: dict[str, Any] = absent("no states are read")

    def line(self) -> dict[str, Any]:
        """All parts with the facts of the dataset; a part that cannot be asked says why."""
        if why := self._material.read:
            self._failed |= dict.fromkeys(PARTS, why) | {"decoding": f"{why}, and none are kept"}
        else:
            try:
                self._read()
            except NoStatesError as error:
                self._failed |= dict.fromkeys(PARTS, str(error))
        return self._facts() | {
            "parts": {part: self._part(part, make) for part, make in self._makers().items()},
            "streaming": self._streamed,
        }

    def left_out(self, why: str) -> dict[str, Any]:
        """The same where nothing is asked."""
        return self._facts() | {"parts": {part: absent(why) for part in PARTS}, "streaming": absent(why)}

    def _makers(self) -> dict[str, Callable[[], dict[str, Any]]]:
        """What makes the line of each part."""
        material = self._material
        return {
            "reconstruction": lambda: reconstruction(
                material, self._found["reconstruction"], self._reference.read_back, self._draws()
            ),
            "decoding": self._decoding,
            "latent": lambda: latent(material, self._found["latent"], self._reference.space, self._draws()),
            "transfer": self._transfer,
            "few_shot": lambda: few_shot(material, self._found["few_shot"], self._reference.shots, self._draws()),
        }

    def _facts(self) -> dict[str, Any]:
        material, windows = self._material, self._material.windows
        return {
            "model": self._name,
            "dataset": material.name,
            "modality": windows.modality,
            "task": windows.task.kind,
            "target": windows.task.target,
            "seeds": list(self._seeds),
            "folds_read": 0 if material.read else len(material.folds),
            "folds": windows.folds,
            "windows_read": 0 if material.read else len(material.tested),
        }

    def _part(self, part: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        try:
            stored = part == "decoding" and self._stored() is not None
            return absent(self._failed[part]) if part in self._failed and not stored else make()
        except ValueError as error:
            return absent(error)

    def _read(self) -> None:
        """Collect what every fold and seed gives."""
        if why := unasked(self._material):
            self._failed["reconstruction"] = why
        for number, reading in readings(self._model, self._material, seeds=self._seeds, name=self._name):
            if (number, reading.fold) == (0, 0) and self._material.options.stream_windows:
                self._streamed = self._streaming(reading)
            again = self._again(number, reading)
            for part, value in self._of(number, reading, again):
                self._keep(part, number, value)

    def _keep(self, part: str, number: int, value: Callable[[], Any]) -> None:
        """Make and keep what a part takes; a part that fails is left out, with its reason, and the others go on."""
        if part in self._failed:
            return
        try:
            self._found[part][number].append(value())
        except ValueError as error:
            self._failed[part] = str(error)

    def _again(self, number: int, reading: Reading) -> Reading | None:
        """The control is made with the first seed alone."""
        return None if number else reread(self._model, self._material, reading, name=self._name)

    def _of(self, number: int, reading: Reading, again: Reading | None) -> Iterator[tuple[str, Callable[[], Any]]]:
        """What each part takes of a fold and seed, not yet made."""
        material, steps = self._material, self._material.options.steps
        train, _, test = reading.features(steps)
        yield "latent", lambda: space(material, reading.fold, reading.test)
        yield "few_shot", lambda: shots_of(material, reading.fold, train, test)
        yield "transfer", lambda: probe_few(material, reading, again=again)
        yield "reconstruction", lambda: read_back(material, reading, name=self._name, shuffle=number == 0)
        yield "decoding", lambda: self._answer(number, reading)
        if again is not None:
            yield "shuffled", lambda: self._control(again)

    def _answer(self, number: int, reading: Reading) -> np.ndarray | None:
        """Answers of a fold: kept ones are read later, those of a probe are there already."""
        if self._stored() is not None:
            return None
        if isinstance(reading.encoder, Answers):
            self._read_by = "own head"
            return head_answers(self._material, reading)
        probe = self._probe(number)
        learnt = None if probe is None else probe.by_number[0]
        return probed(self._material, reading) if learnt is None else learnt

    def _probe(self, number: int) -> Learnt | None:
        """What transfer learnt on this fold; where that failed nothing, as the last one kept is another fold's."""
        return None if "transfer" in self._failed else self._found["transfer"][number][-1]

    def _control(self, again: Reading) -> np.ndarray:
        """The same of the model that was prepared on windows with each other's answers."""
        if isinstance(again.encoder, Answers):
            return head_answers(self._material, again)
        probe = self._probe(0)
        learnt = None if probe is None else probe.shuffled.get(0)
        return probed(self._material, again, windows=self._material.shuffled) if learnt is None else learnt

    def _streaming(self, reading: Reading) -> dict[str, Any]:
        """Some windows sample by sample, and whether the model looks ahead."""
        material, encoder = self._material, reading.encoder
        windows, index = material.windows, material.parts[reading.fold].test
        index = index[windows.length[index] == windows.x.shape[1]]
        count = min(len(index), material.options.stream_windows)
        index = index[np.linspace(0, len(index) - 1, count).astype(int)] if count else index[:0]
        if not isinstance(encoder, Streams) or not isinstance(encoder, Answers) or len(index) < 2:
            return absent("the model has no stream, or there are no whole windows")
        try:
            sample = Sample.of(windows, reading.fold, index)
            ahead = looks_ahead(encoder, sample) if reading.test.values.shape[1] > 1 else None
            offline = as_array(encoder.answer(sample))
            stream = encoder.stream(windows)
            return {"absent": ""} | evaluate_stream(
                stream, offline, sample, windows.y[index], windows.task, ahead=ahead
            )
        except (ValueError, RuntimeError, IndexError) as error:  # a tokenizer that takes whole windows alone
            return absent(f"{type(error).__name__}: {error}")

    def _stored(self) -> np.ndarray | None:
        """Answers that the model gave earlier."""
        return self._model.stored_answers(self._material.windows) if isinstance(self._model, Stored) else None

    def _draws(self) -> Draws:
        options, block = self._material.options, self._material.windows.block[self._material.tested]
        return Draws(block, seeds=len(self._seeds), draws=options.draws, confidence=options.confidence)

    def _decoding(self) -> dict[str, Any]:
        material, windows = self._material, self._material.windows
        stored, reference = self._stored(), self._reference
        if stored is not None:
            index, answers, read_by = windows.tested, stored, "stored answers"
            truth = windows.truth
        else:
            index, read_by = material.tested, self._read_by
            answers = np.stack([np.concatenate(seed) for seed in self._found["decoding"]])
            truth = windows.y[index]
        there = np.isfinite(reference.linear[index]).all(1)
        return decoding(
            material,
            answers[:, there],
            linear=reference.linear[index][there],
            chance=reference.chance[index][there],
            truth=truth[there],
            block=windows.block[index][there],
            read_by=read_by,
            shuffled=self._shuffled(),
        )

    def _shuffled(self) -> Shuffled | None:
        found, material = self._found["shuffled"][0], self._material
        if "shuffled" in self._failed or not found:
            return None
        tested = material.tested
        chance, truth = self._reference.shuffled_chance[tested], material.shuffled.y[tested]
        return Shuffled(np.concatenate(found)[None], chance, truth, material.windows.block[tested])

    def _transfer(self) -> dict[str, Any]:
        tested, reference = self._material.tested, self._reference
        return transfer(
            self._material,
            self._found["transfer"],
            reference.few,
            chance=reference.chance[tested],
            shuffled_chance=reference.shuffled_chance[tested],
        )
