"""All heads of NeuroFMx: behaviour, reconstruction and forecast, contrastive projection, domain branches."""

from __future__ import annotations

from torch import Tensor, nn

from neurofmx.models.configs import HeadConfig
from neurofmx.models.decoding.pooling import MeanPool
from neurofmx.models.foundation.behaviour import BehaviourDecoder
from neurofmx.models.foundation.config import NeurofmxConfig
from neurofmx.models.foundation.contrastive import ContrastiveProjection
from neurofmx.models.foundation.domain import DomainBranch
from neurofmx.models.foundation.readout import SignalReadout
from neurofmx.models.neurofmx import NeuralStates
from neurofmx.recordings.task import Task


class NeuroFMxHeads(nn.Module):
    """What is asked of the states of a `NeuroFMx`.

    Args:
        config: That of the model.
        step_s: Length of a time step of the model, s.

    Attributes:
        behaviour: A decoder for each task that was added, by name.
        readout: Reconstruction (of masked units, times and modalities) and forecast.
        contrastive: Projection for contrastive losses.
        species: Domain branch of species, in the order of `MultiSample.species`.
        sessions: Domain branch of sessions, in the order of the model's.
    """

    def __init__(self, config: NeurofmxConfig, *, step_s: float) -> None:
        super().__init__()
        sizes = config.sizes
        self.dim = sizes.hidden_dim
        self.behaviour = nn.ModuleDict()
        self.readout = SignalReadout(
            self.dim,
            step_s=step_s,
            shortest_s=config.shortest_s or step_s / 2,
            heads=sizes.num_attention_heads,
            feedforward=sizes.feedforward,
            dropout=config.dropout,
            attention_dropout=config.attention_dropout,
        )
        self.contrastive = ContrastiveProjection(self.dim)
        self.species = DomainBranch(self.dim, dropout=config.dropout)
        self.sessions = DomainBranch(self.dim, dropout=config.dropout)
        self._mean = MeanPool(self.dim)

    def add_task(self, name: str, task: Task, head: HeadConfig | None = None) -> BehaviourDecoder:
        """Answer one more task; everything else stays as it is.

        Args:
            name: Of the task, without a dot: that of its dataset.
            task: What is asked; the next token of a text is none of behaviour.
            head: Pooling and dropout.

        Returns:
            Its decoder; give that of a regression the scale of its target.

        Raises:
            ValueError: If the name is taken, or the task asks for the next token.
        """
        if name in self.behaviour:
            raise ValueError(f"name={name!r} is a task already; choose another, or read `behaviour[{name!r}]`")
        if task.kind == "next_token":
            raise ValueError("task: the next token is no behaviour; build_decoder makes a language model of a text")
        head = head or HeadConfig()
        self.behaviour[name] = made = BehaviourDecoder(self.dim, task=task, pool=head.pool, dropout=head.dropout)
        return made

    def mean(self, states: NeuralStates) -> Tensor:
        """Mean state of each row over the steps that it has (B, dim), for contrastive losses and domain branches."""
        return self._mean(states.states, states.mask)
