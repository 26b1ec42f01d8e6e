"""NeuroFMx: any subset of modalities, whatever their rates, to states on one grid of time steps.

Shapes: B rows, N tokens, K steps, L latents, D channels.

    streams -> tokens (B, N, D)     tokenizers, plus what modality, session, subject and time it is
            -> latents (B, K, L, D) each step's latents look at the tokens known by its end (Perceiver IO)
            -> latents (B, K, L, D) Mamba blocks along the steps, one sequence for each latent
            -> states (B, K, D)     what the latents of a step say together (PopT)

With `causal` a state depends on nothing later than the end of its step. Where the tokenizers do not look ahead (those
that read patch by patch do not), a stream can be read stretch by stretch with the same states.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from neurofmx.layers.mamba import MambaState
from neurofmx.models.foundation.config import NeurofmxConfig
from neurofmx.models.foundation.dynamics import Dynamics
from neurofmx.models.foundation.perceiver_io import PerceiverEncoder
from neurofmx.models.foundation.popt import PopulationTransformer
from neurofmx.models.foundation.recompute import called
from neurofmx.models.foundation.registry import EmbeddingRegistry
from neurofmx.models.foundation.step_grid import StepGrid, lay_out, origins, refuse_earlier, visible
from neurofmx.models.foundation.streams import Streams, TokenSet
from neurofmx.models.foundation.time_embedding import TimeEmbedding
from neurofmx.tokenizers.multi_sample import MultiSample

APART = 0.3  # spread of the first latents: as wide as the time they are added to, or all would ask the same
STEPS_AT_ONCE = 32  # a mask over all steps and tokens of a long window would not fit; it changes no number


class NeuralStates(NamedTuple):
    """What the model makes of a batch.

    Args:
        states: State at the end of each step (B, K, D).
        mask: Which steps a row has (B, K), bool; the others follow behind its last token.
        time: End of each step on its row's clock (B, K), s, float64.
        latents: What output queries look at (B, K, L, D).
    """

    states: Tensor
    mask: Tensor
    time: Tensor
    latents: Tensor


class StreamState(NamedTuple):
    """What a stream carries from one stretch to the next.

    Args:
        origin: Where step 0 of each row begins on its clock (B,), s.
        steps: Steps that are answered.
        tokens: Tokens that later steps still see.
        step: Their steps (B, N).
        dynamics: State of each Mamba block.
    """

    origin: Tensor
    steps: int
    tokens: TokenSet
    step: Tensor
    dynamics: list[MambaState]

    def time(self, step_s: float) -> Tensor:
        """End of the last step that is answered (B,), s."""
        return self.origin + self.steps * step_s


class NeuroFMx(nn.Module):
    """The multimodal model without heads (those are in `neurofmx.models.foundation.heads`).

    Args:
        config: Sizes and grid.
        step_s: Length of a time step, s; None for the config's.

    Raises:
        ValueError: If neither says how long a step is.

    Source:
        Jaegle et al. 2022 (Perceiver IO), Gu and Dao 2023 (Mamba), Chau et al. 2024 (PopT), Azabou et al. 2023 (tokens
        of many sessions by time stamps and embeddings); put together as in the head of this file.

    Example:
        >>> from neurofmx.tokenizers.linear import LinearTokenizer
        >>> from neurofmx.tokenizers.tokens import Layout, Sample
        >>> model, layout = NeuroFMx(NeurofmxConfig(), step_s=0.1), Layout((50, 8), rate=100.0, patch=5)
        >>> model.streams.add("rat/lfp", LinearTokenizer(layout, model.dim), layout, modality="lfp")
        >>> states, _ = model(MultiSample.single("rat/lfp", Sample(torch.randn(2, 50, 8))))
        >>> states.states.shape, [round(time, 6) for time in states.time[0].tolist()]
        (torch.Size([2, 5, 64]), [0.1, 0.2, 0.3, 0.4, 0.5])
    """

    def __init__(self, config: NeurofmxConfig, *, step_s: float | None = None) -> None:
        super().__init__()
        step_s = config.step_s if step_s is None else step_s
        if step_s is None:
            raise ValueError(
                "step_s=None: say how long a time step is in seconds, here or in the config; as a token is"
            )
        self.config, self.step_s, sizes = config, step_s, config.sizes
        self._recompute = sizes.recompute
        dim = sizes.hidden_dim
        how: dict[str, Any] = {
            "heads": sizes.num_attention_heads,
            "feedforward": sizes.feedforward,
            "dropout": config.dropout,
            "attention_dropout": config.attention_dropout,
        }
        self.streams, self.sessions, self.subjects = Streams(dim), EmbeddingRegistry(dim), EmbeddingRegistry(dim)
        self.time = TimeEmbedding(dim, shortest=config.shortest_s or step_s / 2)
        self.latents = nn.Parameter(APART * torch.randn(sizes.latents, dim))
        self.fusion = PerceiverEncoder(dim, depth=sizes.latent_layers, **how)
        self.dynamics = Dynamics(config)
        self.population = PopulationTransformer(dim, layers=sizes.population_layers, **how)

    @property
    def dim(self) -> int:
        """Channels of a state."""
        return self.config.sizes.hidden_dim

    def add_session(self, name: str, *, recordings: Mapping[str, int] | None = None) -> int:
        """Make embeddings for a session never seen; every other number stays as it is.

        Args:
            name: Of the session.
            recordings: By stream with channels of its own, how many recordings it brings: its tokenizer gets embeddings
                for their channels under the next indices.

        Returns:
            Index of the session, for `MultiSample.session`.

        Raises:
            ValueError: If the name is taken, a stream is unknown, or its tokenizer has no embeddings of recordings or
                is to get none; nothing has grown then.
        """
        growing = []
        for stream, number in (recordings or {}).items():
            grow = getattr(self.streams[stream].tokenizer, "add_recordings", None)
            if grow is None or number < 1:
                why = "a session brings 1 or more" if grow else "its tokenizer has no embeddings of recordings"
                raise ValueError(f"recordings={{{stream!r}: {number}}}: {why}; leave the stream out")
            growing.append((grow, number))
        index = self.sessions.add(name)[0]
        for grow, number in growing:  # after all that may be refused
            grow(number)
        return index

    def add_subject(self, name: str) -> int:
        """The same for a subject; returns its index, for `MultiSample.subject`."""
        return self.subjects.add(name)[0]

    def forward(
        self, batch: MultiSample, state: StreamState | None = None, *, seen: Mapping[str, Tensor] | None = None
    ) -> tuple[NeuralStates, StreamState]:
        """States of a batch.

        Args:
            batch: Rows of any of the model's streams; what a row lacks is not read. Of a stretch that goes on from
                another, the offsets say where on the rows' clocks it begins. The first stretch brings each row's
                earliest stream, with which its grid begins; `seen` hides tokens of it that are not complete yet.
            state: What the call on the stretch before returned; None at the start. Every stretch but the last must end
                at the end of a step, as far as its streams' tokens do.
            seen: By stream, which samples are shown (B, T), bool; None for all. A token of hidden ones is left out, but
                tokenizers that look at earlier samples still read them: so a stretch can bring some that came before.

        Returns:
            The states, and what to hand to the call on the next stretch.

        Raises:
            ValueError: If a stream is unknown, a stretch brings what was complete before steps that are answered or
                began before the grid, or a model that is not causal is handed a state.
        """
        if state is not None and not self.config.causal:
            raise ValueError("causal=False: this model needs the whole window at once; leave `state` out")
        with self._precision(batch.session.device):
            return self._run(batch, state, seen)

    def _run(
        self, batch: MultiSample, state: StreamState | None, seen: Mapping[str, Tensor] | None
    ) -> tuple[NeuralStates, StreamState]:
        """The pass itself."""
        tokens = self._embedded(batch, self.streams(batch, seen))
        origin = origins(batch, self.step_s) if state is None else state.origin
        if state is not None:
            refuse_earlier(2 * tokens.time - tokens.end, tokens.mask, origin, step_s=self.step_s)
        first = None if state is None else state.steps
        grid = lay_out(tokens.end, tokens.mask, origin, step_s=self.step_s, first=first)
        tokens, step = _with_earlier(tokens, grid.step, state)
        latents, dynamics = self.dynamics(self._fused(tokens, step, grid), None if state is None else state.dynamics)
        states, latents = self._population(latents)
        carried = self._carried(tokens, step, grid, dynamics)
        return NeuralStates(_widened(states), grid.mask, grid.time, _widened(latents)), carried

    def _embedded(self, batch: MultiSample, tokens: TokenSet) -> TokenSet:
        """Tokens that say of what session and subject and of what time they are."""
        whose = self.sessions(batch.session) + self.subjects(batch.subject)
        values = tokens.values + whose[:, None] + self.time(tokens.time)
        return tokens._replace(values=values.masked_fill(~tokens.mask[..., None], 0.0))

    def _fused(self, tokens: TokenSet, step: Tensor, grid: StepGrid) -> Tensor:
        """Latents (B, K, L, D) after looking at the tokens, some steps at a time."""
        window = self.config.window if self.config.causal else None
        numbers = torch.arange(grid.first, grid.first + grid.length, device=step.device)
        parts = []
        for some, time in zip(numbers.split(STEPS_AT_ONCE), grid.time.split(STEPS_AT_ONCE, 1), strict=True):
            mask, values = visible(step, tokens.mask, some, window=window), tokens.values
            if window is not None and len(numbers) > STEPS_AT_ONCE:
                near = mask.any(1).any(0).nonzero()[:, 0]
                mask, values = mask[..., near], values[:, near]
            latents = self.latents + self.time(time)[:, :, None]
            parts.append(called(self.fusion.steps, latents, values, mask[:, :, None], recompute=self._recompute))
        return torch.cat(parts, 1) if parts else tokens.values.new_zeros(len(step), 0, *self.latents.shape)

    def _population(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """States (B, K, D), and the latents (B, K, L, D) after they have looked at each other."""
        steps, states, members = latents.shape[1], [], []
        for some in latents.split(STEPS_AT_ONCE, 1) if steps else ():
            summary, found = called(self.population, some.flatten(0, 1), recompute=self._recompute)
            states.append(summary.unflatten(0, some.shape[:2]))
            members.append(found.unflatten(0, some.shape[:2]))
        return (torch.cat(states, 1), torch.cat(members, 1)) if steps else (latents[:, :, 0], latents)

    def _carried(self, tokens: TokenSet, step: Tensor, grid: StepGrid, dynamics: list[MambaState]) -> StreamState:
        """What the next stretch needs: the tokens that its first step still sees, and the state of each block."""
        steps = grid.first + grid.length
        near = (tokens.mask & (step > steps - self.config.window)).any(0).nonzero()[:, 0]
        kept = TokenSet(*(part[:, near] for part in tokens))
        return StreamState(grid.origin, steps, kept, step[:, near], dynamics)

    def _precision(self, device: torch.device) -> AbstractContextManager[Any]:
        """bfloat16 products where the config asks for them; else what the caller has set holds."""
        if self.config.precision == "float32":
            return nullcontext()
        return torch.autocast(device.type, dtype=torch.bfloat16)

    @property
    def kernels(self) -> str:
        """What computes the scans on the device of the weights, so that a score can name it."""
        return self.dynamics.kernels


def _widened(x: Tensor) -> Tensor:
    """What heads read: single precision where products were made in half."""
    return x.float() if x.dtype == torch.bfloat16 else x


def _with_earlier(tokens: TokenSet, step: Tensor, state: StreamState | None) -> tuple[TokenSet, Tensor]:
    """This stretch's tokens and their steps behind those of earlier stretches that are still seen."""
    if state is None:
        return tokens, step
    both = TokenSet(*(torch.cat(parts, 1) for parts in zip(state.tokens, tokens, strict=True)))
    return both, torch.cat([state.step, step], 1)
