"""The pretrained network, asked about rows of which something is hidden."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from neurofmx.foundation.missing import drop_modalities
from neurofmx.known_truth.material import FOLD, Material, Part, named
from neurofmx.known_truth.questions import STEP, Hidden, hide
from neurofmx.known_truth.sessions import BINS, STREAMS
from neurofmx.models.foundation.assembled import Assembled
from neurofmx.models.foundation.targets import sample_times
from neurofmx.models.neurofmx import NeuralStates
from neurofmx.tokenizers.joined import Known
from neurofmx.tokenizers.multi_sample import MultiSample

_AT_ONCE = 256  # rows


class Asked:
    """A network that answers about the rows of a material.

    Args:
        network: With its pretrained weights; put into evaluation.
        known: Where the sessions stand in its registries.
        material: The rows.
    """

    def __init__(self, network: Assembled, known: Known, material: Material) -> None:
        self.network, self.known, self.material = network.eval(), known, material
        self.device = next(network.parameters()).device

    @torch.no_grad()
    def reconstruct(self, part: Part, hidden: Hidden, bins: np.ndarray) -> dict[str, np.ndarray]:
        """What the network says of some bins (b,) of every stream (n, b, C), standardised."""
        answers: dict[str, list[np.ndarray]] = {stream: [] for stream in STREAMS}
        for batch in self._batches(part):
            masked = hide(batch, hidden)
            states = self.network.model(masked.batch, seen=masked.seen)[0]
            for stream in STREAMS:
                name, recording = named(stream), batch.samples[named(stream)].recording
                time = sample_times(batch, name, rate=BINS)[:, bins]
                said = self.network.heads.readout.reconstruct(states, name, time, recording=recording)
                answers[stream].append(said.double().cpu().numpy())
        return {stream: np.concatenate(each) for stream, each in answers.items()}

    @torch.no_grad()
    def forecast(self, part: Part, ahead: Sequence[float]) -> dict[str, np.ndarray]:
        """What the network says at `STEP` of the bins that begin so long after it (n, H, C), by stream."""
        answers: dict[str, list[np.ndarray]] = {stream: [] for stream in STREAMS}
        far = torch.tensor(ahead, dtype=torch.float64, device=self.device)
        for batch in self._batches(part):
            states = _at_step(self.network.model(batch)[0], batch)
            for stream in STREAMS:
                name, recording = named(stream), batch.samples[named(stream)].recording
                said = self.network.heads.readout.forecast(states, name, far, recording=recording)
                answers[stream].append(said[:, 0].double().cpu().numpy())
        return {stream: np.concatenate(each) for stream, each in answers.items()}

    @torch.no_grad()
    def features(self, part: Part, hidden: Hidden) -> np.ndarray:
        """State and latents of the last step, side by side (n, features), for a readout of what is asked at its end."""
        return self._states(part, lambda batch: hide(batch, hidden).batch)

    @torch.no_grad()
    def features_with_gaps(self, part: Part, *, share: float, seed: int) -> np.ndarray:
        """The same of rows that lose each stream with a probability, and never all."""
        generator = torch.Generator().manual_seed(seed)
        return self._states(part, lambda batch: drop_modalities(batch, share=share, generator=generator))

    @torch.no_grad()
    def means(self, part: Part) -> np.ndarray:
        """Mean state of each row (n, D): what the domain branch reads."""
        found = [self.network.heads.mean(self.network.model(batch)[0]) for batch in self._batches(part)]
        return torch.cat(found).double().cpu().numpy()

    def _states(self, part: Part, gap: Callable[[MultiSample], MultiSample]) -> np.ndarray:
        """Features of rows from which something is taken."""
        found = []
        for batch in self._batches(part):
            states = self.network.model(gap(batch))[0]
            last = states.mask.sum(1) - 1
            row = torch.arange(len(last), device=last.device)
            found.append(torch.cat([states.states[row, last], states.latents[row, last].flatten(1)], 1))
        return torch.cat(found).double().cpu().numpy()

    def _batches(self, part: Part) -> Iterator[MultiSample]:
        """Rows on the network's device, some at a time."""
        for rows in np.array_split(part.rows, -(-len(part) // _AT_ONCE)):
            yield self.material.joined.sample(FOLD, rows, self.known).to(self.device)


def _at_step(states: NeuralStates, batch: MultiSample) -> NeuralStates:
    """The step that ends `STEP` after the window's begin, alone."""
    begin = torch.stack(list(batch.offset.values())).amin(0).double()
    step = int((states.time - (begin + STEP)[:, None]).abs()[0].argmin())

    def one(part: Tensor) -> Tensor:
        return part[:, step : step + 1]

    return NeuralStates(*(one(part) for part in states))
