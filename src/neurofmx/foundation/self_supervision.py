"""What a pretraining asks of the network, by name: each entry makes one loss of a step, or none where nothing is asked.

reconstruction   what was hidden (`mask_plans.py`): squared error in standardised units, or of spikes, where that is
                 asked, the likelihood of their counts (`counts.py`)
forecast         every stream some time after the end of each step, from that step's latents alone; errors alike
contrast         the same rows with other things hidden: which belong together?
temporal         rows of one session near in time are alike, those far apart are not
tri_modal        which neurons, behaviour and stimulus are of one moment? each is read without the others
species          a classifier of species behind a reversed gradient
sessions         the same of sessions
confusion        states of which a classifier of species is as unsure as can be
mmd              distance of the clouds of states of two species
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import combinations

import torch
from torch import Tensor, nn

from neurofmx.foundation.counts import Counts
from neurofmx.foundation.roles import by_role
from neurofmx.losses.domain_adversarial import domain_adversarial, domain_cross_entropy
from neurofmx.losses.domain_confusion import domain_confusion
from neurofmx.losses.forecast import forecast_loss
from neurofmx.losses.info_nce import has_negatives, info_nce
from neurofmx.losses.masked_reconstruction import Likelihood, masked_reconstruction
from neurofmx.losses.mmd import domain_mmd
from neurofmx.losses.temporal_contrastive import apart_in_time, can_be_told_apart, temporal_contrastive
from neurofmx.losses.tri_modal import tri_modal_contrastive
from neurofmx.models.foundation.assembled import Assembled
from neurofmx.models.foundation.domain import DomainBranch
from neurofmx.models.foundation.targets import sample_times, samples_at
from neurofmx.models.neurofmx import NeuralStates
from neurofmx.tokenizers.masking import Masked
from neurofmx.tokenizers.multi_sample import MultiSample


@dataclass(frozen=True, eq=False)
class Step:
    """A batch, what was hidden of it, and what the network made of the rest.

    Args:
        network: Model and heads.
        batch: The rows before anything was hidden.
        masked: The rows that the network read.
        states: What it made of them.
        other: Makes states of the same rows with other things hidden, for contrasts.
        anchor: Moment of each row in its recording (B,), s, float64.
        ahead: How far ahead forecasts go (H,), s.
        strength: Of the reversed gradients.
        counts: Streams of spikes that are asked for as counts.
        stimuli: Streams that were shown or played, whatever their modality.
        temperature: Of the contrasts; a tensor is learnt.
        discount: How much a forecast counts beside the next nearer one.
        bandwidths: Of the kernels of `mmd`, in median distances.
    """

    network: Assembled
    batch: MultiSample
    masked: Masked
    states: NeuralStates
    other: Callable[[], NeuralStates]
    anchor: Tensor
    ahead: Tensor
    strength: float
    counts: Mapping[str, Counts] = field(default_factory=dict)
    stimuli: tuple[str, ...] = ()
    temperature: Tensor | float = 0.1
    discount: float = 1.0
    bandwidths: tuple[float, ...] = (1.0,)

    @property
    def mean(self) -> Tensor:
        """Mean state of each row (B, D)."""
        return self.network.heads.mean(self.states)

    @property
    def reach(self) -> float:
        """Longest time that a row reads in all its streams, s: rows whose moments are nearer may share some of it."""
        first, last = torch.inf, -torch.inf
        for name, here in self.batch.here.items():
            if bool(here.any()):
                offset = self.batch.offset[name][here].double()
                first = min(first, float(offset.min()))
                last = max(last, float(offset.max()) + self.network.model.streams[name].duration)
        return max(self.duration, last - first)

    @property
    def duration(self) -> float:
        """Length of the longest window, s."""
        return max(self.network.model.streams[name].duration for name in self.batch.streams)


def reconstruction(step: Step) -> Tensor | None:
    """Mean over streams of the loss of what was hidden."""
    losses = []
    for name, hidden in step.masked.hidden.items():
        if bool(hidden.any()):
            time = sample_times(step.batch, name, rate=step.network.rates[name])
            sample = step.batch.samples[name]
            said = step.network.heads.readout.reconstruct(step.states, name, time, recording=sample.recording)
            held = _held(step, name, said, sample.x.flatten(2))
            losses.append(masked_reconstruction(*held[:2], hidden=hidden, likelihood=held[2]))
    return torch.stack(losses).mean() if losses else None


def forecast(step: Step) -> Tensor | None:
    """Mean over streams of the loss of forecasts; what lies behind a window is not asked."""
    losses = []
    rows, steps = step.states.mask.shape
    for name in step.batch.streams:
        time = (step.states.time[..., None] + step.ahead).flatten(1)
        target, there = samples_at(step.batch, name, time, rate=step.network.rates[name])
        shape = (rows, steps, len(step.ahead), -1)
        asked = there.reshape(shape) & step.states.mask[..., None, None]
        if bool(asked.any()):
            recording = step.batch.samples[name].recording
            said = step.network.heads.readout.forecast(step.states, name, step.ahead, recording=recording)
            held = _held(step, name, said, target.reshape(shape))
            losses.append(forecast_loss(*held[:2], mask=asked, likelihood=held[2], discount=step.discount))
    return torch.stack(losses).mean() if losses else None


def contrast(step: Step) -> Tensor | None:
    """InfoNCE of two views of the rows; rows that share time are nobody's negatives."""
    heads = step.network.heads
    negatives = apart_in_time(step.anchor, distance=step.reach, session=step.batch.session)
    if not has_negatives(len(negatives), negatives=negatives):
        return None
    one, other = (heads.contrastive(heads.mean(states)) for states in (step.states, step.other()))
    return info_nce(one, other, temperature=step.temperature, negatives=negatives)


def temporal(step: Step) -> Tensor | None:
    """Rows that begin within a window's length are alike, those two lengths apart are not."""
    duration = step.duration
    how = {"near": duration, "apart": 2 * duration, "duration": step.reach, "session": step.batch.session}
    if not bool(can_be_told_apart(step.anchor, **how).any()):
        return None
    embeddings = step.network.heads.contrastive(step.mean)
    return temporal_contrastive(embeddings, step.anchor, temperature=step.temperature, **how)


def tri_modal(step: Step) -> Tensor | None:
    """InfoNCE of every two of neurons, behaviour and stimulus; rows that share time are nobody's negatives."""
    streams = {name: step.network.model.streams[name].modality for name in step.batch.streams}
    roles = by_role(streams, stimuli=step.stimuli)
    here = {role: torch.stack([step.batch.here[name] for name in names]).any(0) for role, names in roles.items()}
    rows = (torch.stack(list(here.values())).sum(0) > 1).nonzero()[:, 0]
    batch, here = step.batch[rows], {role: each[rows] for role, each in here.items() if bool(each[rows].any())}
    negatives = apart_in_time(step.anchor[rows], distance=step.reach, session=batch.session)
    pairs = [here[one] & here[other] for one, other in combinations(here, 2)]
    if not any(has_negatives(len(rows), mask=both, negatives=negatives) for both in pairs):
        return None
    heads, views = step.network.heads, dict[str, Tensor]()
    for role, mine in roles.items():
        if role in here:
            alone = batch.without(*(name for name in streams if name not in mine))
            views[role] = heads.contrastive(heads.mean(step.network.model(alone)[0]))
    return tri_modal_contrastive(**views, here=here, temperature=step.temperature, negatives=negatives)


def species(step: Step) -> Tensor | None:
    """Cross-entropy of naming the species, its gradient reversed in the states."""
    return _adversarial(step, step.network.heads.species, step.batch.species)


def sessions(step: Step) -> Tensor | None:
    """Cross-entropy of naming the session, its gradient reversed in the states."""
    return _adversarial(step, step.network.heads.sessions, step.batch.session)


def confusion(step: Step) -> Tensor | None:
    """How sure a classifier of species is; it learns from states that it cannot move."""
    branch = step.network.heads.species
    if len(branch.domains) < 2:
        return None
    learnt = domain_cross_entropy(branch.logits(step.mean.detach()), step.batch.species)
    return learnt + step.strength * domain_confusion(step.mean, _Logits(branch))


def mmd(step: Step) -> Tensor | None:
    """Squared discrepancy of the species in the batch."""
    if len(step.batch.species.unique()) < 2:
        return None
    return domain_mmd(step.mean, step.batch.species, multiples=step.bandwidths)


def _held(step: Step, name: str, said: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Likelihood]:
    """What is held against what for a stream, and how: of spikes that are asked for as counts log rates and counts."""
    counts, recording = step.counts.get(name), step.batch.samples[name].recording
    if counts is None:
        return said, target, "gaussian"
    return counts.log_rate(said, recording), counts.of(target, recording), "poisson"


def _adversarial(step: Step, branch: DomainBranch, domain: Tensor) -> Tensor | None:
    """The loss of a domain branch; none where there is one domain only."""
    if len(branch.domains) < 2:
        return None
    return domain_adversarial(step.mean, domain, _Logits(branch), strength=step.strength)


class _Logits(nn.Module):
    """A domain branch as a plain classifier: the loss itself turns the gradient round."""

    def __init__(self, branch: DomainBranch) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, features: Tensor) -> Tensor:
        """Features (N, D) to logits (N, domains)."""
        return self.branch.logits(features)


# each gives the loss of a step; None where it asks nothing
SELF_SUPERVISION: dict[str, Callable[[Step], Tensor | None]] = {
    "reconstruction": reconstruction,
    "forecast": forecast,
    "contrast": contrast,
    "temporal": temporal,
    "tri_modal": tri_modal,
    "species": species,
    "sessions": sessions,
    "confusion": confusion,
    "mmd": mmd,
}
