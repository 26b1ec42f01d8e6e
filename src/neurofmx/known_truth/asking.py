"""The networks, the linear model and the truth, all asked the same about the tested rows.

Networks differ in their seed alone; the linear model and the bound are one. Every function returns lines of the result.
Spikes get two: R2 of the counts, and bits per spike of the rates, which are the answers held above a share of each
unit's mean that suits the validation rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from neurofmx.benchmark.asked.co_smoothing import positive
from neurofmx.benchmark.drawn import Draws
from neurofmx.benchmark.metrics.bits_per_spike import LEAST_RATE
from neurofmx.known_truth import bounds, linear
from neurofmx.known_truth.bayes.decode import Decoded, decode
from neurofmx.known_truth.lines import bits_line, r2_line
from neurofmx.known_truth.material import TIME, Part, by_session
from neurofmx.known_truth.network import Asked
from neurofmx.known_truth.questions import (
    MIDDLE,
    STRETCH,
    TURNS,
    forecast_bins,
    modality,
    stretch,
    turn,
    units,
)
from neurofmx.known_truth.sessions import BIN, STREAMS, Truth

GAPS = 0.5  # probability that a row from which the heading's readout learns lacks a stream
CARRIERS = 5  # particles: a Bayes decoder with fewer in some bin has lost sight of the heading there
Lines = list[dict[str, Any]]
Bound = Callable[[Truth, np.ndarray], Mapping[str, np.ndarray]]


class Answers(NamedTuple):
    """What a model says, standardised, by stream (n, b, C).

    Args:
        validation: Of the validation rows.
        test: Of the tested rows.
    """

    validation: dict[str, np.ndarray]
    test: dict[str, np.ndarray]


class Inquiry:
    """All questions to networks that were trained alike.

    Args:
        asked: One for each seed, all about one material.
        draws: Of the blocks of the tested rows, and of as many seeds.
    """

    def __init__(self, asked: Sequence[Asked], draws: Draws) -> None:
        self.asked, self.material, self.draws = tuple(asked), asked[0].material, draws
        self.parts = self.material.parts
        self.tested = self.material.tested
        self.widths = {stream: x.shape[2] for stream, x in self.tested.x.items()}

    def reconstruction(self) -> Lines:
        """Hidden channels, a hidden stretch of time, and each modality hidden as a whole."""
        middle, inside = self.tested.samples(MIDDLE), self.tested.samples(STRETCH)[:, 0, 0] - 1

        def told(truth: Truth, rows: np.ndarray) -> Mapping[str, np.ndarray]:
            return bounds.told(truth, middle[rows])

        def between(truth: Truth, rows: np.ndarray) -> Mapping[str, np.ndarray]:
            return bounds.hidden_between(truth, inside[rows], len(STRETCH))

        made = list(self._lines("hidden channels of", MIDDLE, *self._units(), told))
        made += self._lines("hidden time of", STRETCH, *self._stretch(), between)
        made += self._lines("hidden modality", MIDDLE, *self._modalities(), told)
        return [{"part": "reconstruction", **each} for each in made]

    def forecast(self, ahead: Sequence[float]) -> Lines:
        """Every stream some time after the end of a step."""
        said = [[one.forecast(part, ahead) for part in self.parts[1:]] for one in self.asked]
        made = []
        for number, far in enumerate(ahead):
            last, later = forecast_bins(far)
            end = self.tested.first + (last + 1) * BIN - 1
            networks = [
                Answers(*({s: values[:, [number]] for s, values in part.items()} for part in each)) for each in said
            ]

            def follows(truth: Truth, rows: np.ndarray, end: np.ndarray = end, far: float = far) -> Any:
                return bounds.later(truth, end[rows], far)

            made += self._lines(
                f"{1000 * far:g} ms ahead,",
                np.array([later]),
                networks,
                _apart(linear.of_later(self.parts, last, later)),
                follows,
                persistence={stream: x[:, [last]] for stream, x in self.tested.x.items()},
            )
        return [{"part": "forecast", **each} for each in made]

    def decoding(self, *, particles: int, seed: int, only_whole: bool = False) -> Lines:
        """The heading at the end of a window from all streams, without each and from each alone.

        Args:
            particles: Of the Bayes decoder.
            seed: Of its particles, and of the gaps that the network's readout learns with.
            only_whole: Whether to ask with all streams alone.
        """
        asked = {"all modalities": tuple(STREAMS)}
        if not only_whole:
            asked |= {f"without {gone}": tuple(s for s in STREAMS if s != gone) for gone in STREAMS}
            asked |= {f"{stream} alone": (stream,) for stream in STREAMS}
        truth = np.stack([np.cos(self.tested.heading), np.sin(self.tested.heading)], -1)[:, None]
        said = [self._headings(one, list(asked.values()), seed=seed) for one in self.asked]
        made = []
        for number, (what, read) in enumerate(asked.items()):
            best = self._posterior(read, particles=particles, seed=seed)
            answers = {
                "model": np.stack([each[number][:, None] for each in said]),
                "linear": linear.of_heading(self.parts, read)[:, None],
                "bound": best.heading[:, None],
            }
            part = "decoding" if len(read) == len(STREAMS) else "missing" if len(read) > 1 else "alone"
            few = float(np.mean(best.carriers < CARRIERS))
            line = r2_line(f"heading, {what}", truth, answers, self.draws)
            made.append({"part": part, "few_particles": few, **line})
        return made

    def _units(self) -> tuple[list[Answers], Answers]:
        """Networks and linear model about hidden channels, a third of them at a time."""
        networks, other = [self._nothing(len(MIDDLE)) for _ in self.asked], self._nothing(len(MIDDLE))
        for number in range(TURNS):
            hidden, chosen = units(self.widths, number), {s: turn(w, number) for s, w in self.widths.items()}
            beside = linear.of_channels(self.parts, hidden, chosen)
            for place, part in enumerate(self.parts[1:]):
                said = [one.reconstruct(part, hidden, MIDDLE) for one in self.asked]
                for stream, mine in chosen.items():
                    for network, each in zip(networks, said, strict=True):
                        network[place][stream][..., mine] = each[stream][..., mine]
                    other[place][stream][..., mine] = beside[stream][place]
        return networks, other

    def _stretch(self) -> tuple[list[Answers], Answers]:
        """The same about a hidden stretch of time."""
        networks = [
            Answers(*(one.reconstruct(part, stretch(), STRETCH) for part in self.parts[1:])) for one in self.asked
        ]
        return networks, _apart(linear.of_stretch(self.parts))

    def _modalities(self) -> tuple[list[Answers], Answers]:
        """The same about each modality."""
        networks, other = [self._nothing(len(MIDDLE)) for _ in self.asked], self._nothing(len(MIDDLE))
        for stream, width in self.widths.items():
            hidden = modality(stream)
            beside = linear.of_channels(self.parts, hidden, {stream: np.ones(width, bool)})
            for place, part in enumerate(self.parts[1:]):
                for network, one in zip(networks, self.asked, strict=True):
                    network[place][stream][:] = one.reconstruct(part, hidden, MIDDLE)[stream]
                other[place][stream][:] = beside[stream][place]
        return networks, other

    def _nothing(self, bins: int) -> Answers:
        """Answers yet to be filled in."""
        return Answers(
            *({s: np.zeros((len(part), bins, width)) for s, width in self.widths.items()} for part in self.parts[1:])
        )

    def _lines(
        self,
        what: str,
        bins: np.ndarray,
        networks: Sequence[Answers],
        other: Answers,
        bound: Bound,
        *,
        persistence: Mapping[str, np.ndarray] | None = None,
    ) -> Iterator[dict[str, Any]]:
        """A line for each stream, and one more for spikes."""
        best = by_session(self.material, self.tested, bound)
        for stream in STREAMS:
            limit = self.material.standardised(stream, best[stream], self.tested.session)
            ours = np.stack([network.test[stream] for network in networks])
            answers = {"model": ours, "linear": other.test[stream], "bound": limit}
            answers |= {"persistence": persistence[stream]} if persistence else {}
            yield r2_line(f"{what} {stream}", self.tested.x[stream][:, bins], answers, self.draws)
        rates = {"model": np.stack([self._rates(network, bins) for network in networks])}
        rates |= {"linear": self._rates(other, bins), "bound": best["spikes"]}
        counts = self.material.raw("spikes", self.tested)[:, bins]
        yield bits_line(f"{what} spikes", counts, rates, self.tested.session, self.draws)

    def _rates(self, answers: Answers, bins: np.ndarray) -> np.ndarray:
        """Answers to spikes as rates of the tested rows, spikes a bin."""
        told = [
            self.material.in_bins("spikes", said["spikes"], part.session)
            for said, part in zip(answers, self.parts[1:], strict=True)
        ]
        counted = [self.material.raw("spikes", part)[:, bins] for part in self.parts[:2]]
        return np.maximum(positive(told[0], told[1], counted, [part.session for part in self.parts]), LEAST_RATE)

    def _headings(self, network: Asked, asked: Sequence[tuple[str, ...]], *, seed: int) -> list[np.ndarray]:
        """Cosine and sine (n, 2) of the tested rows by a readout of a network's states, for each choice of streams.

        One readout for all: it learns from whole rows and from the same rows with streams missing at random.
        """
        whole = [network.features(part, modality()) for part in self.parts[:2]]
        gaps = [network.features_with_gaps(part, share=GAPS, seed=seed) for part in self.parts[:2]]
        tests = [network.features(self.tested, modality(*(s for s in STREAMS if s not in read))) for read in asked]
        features = [*(np.concatenate(each) for each in zip(whole, gaps, strict=True)), np.concatenate(tests)]
        times = (2, 2, len(tests))
        session = [np.tile(part.session, n) for part, n in zip(self.parts, times, strict=True)]
        truth = [
            np.tile(np.stack([np.cos(part.heading), np.sin(part.heading)], -1), (n, 1))
            for part, n in zip(self.parts, times, strict=True)
        ]
        return np.split(linear.ridge(features, truth, session).test, len(tests))

    def _posterior(self, read: Sequence[str], *, particles: int, seed: int) -> Decoded:
        """The tested rows by the Bayes decoder."""
        bins = {stream: self.material.raw(stream, self.tested) for stream in read}
        assert all(values.shape[1] == TIME for values in bins.values())

        def decoded(truth: Truth, rows: np.ndarray) -> Mapping[str, np.ndarray]:
            mine = {stream: values[rows] for stream, values in bins.items()}
            how = {"read": read, "particles": particles, "seed": seed}
            return decode(truth, mine, self.tested.first[rows], **how)._asdict()

        return Decoded(**by_session(self.material, self.tested, decoded))


def draws_of(part: Part, *, seeds: int, draws: int, confidence: float) -> Draws:
    """Draws of the blocks of some rows, and of the seeds of the networks."""
    return Draws(part.block, seeds=seeds, draws=draws, confidence=confidence)


def _apart(said: Mapping[str, linear.Said]) -> Answers:
    """Answers of the linear model by part."""
    return Answers(
        {stream: each.validation for stream, each in said.items()}, {stream: each.test for stream, each in said.items()}
    )
