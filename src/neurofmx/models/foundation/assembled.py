"""NeuroFMx with its heads for several sets of joined windows: every stream, session, subject and species by name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import nn

from neurofmx.models.foundation.config import NeurofmxConfig
from neurofmx.models.foundation.decoder import STEPS
from neurofmx.models.foundation.heads import NeuroFMxHeads
from neurofmx.models.foundation.streams import Stream
from neurofmx.models.neurofmx import NeuroFMx
from neurofmx.tokenizers.cutting.windows import Windows
from neurofmx.tokenizers.joined import Joined, Known
from neurofmx.tokenizers.table import build_tokenizer, default_tokenizer
from neurofmx.tokenizers.tokens import Layout


class Assembled(nn.Module):
    """Model and heads in one module, so that one state dict holds them.

    Args:
        model: Streams to states.
        heads: States to answers.
    """

    def __init__(self, model: NeuroFMx, heads: NeuroFMxHeads) -> None:
        super().__init__()
        self.model, self.heads = model, heads

    @property
    def rates(self) -> dict[str, float]:
        """Samples a second of each stream, Hz."""
        return {name: self.model.streams[name].layout.rate for name in self.model.streams}


def assemble(config: NeurofmxConfig, sets: Sequence[Joined]) -> tuple[Assembled, list[Known]]:
    """A freshly initialised model that reads all streams of some sets; seed torch before.

    Args:
        config: Sizes and grid; where it names no step, the shortest that any stream asks for is taken.
        sets: Joined windows, no two with a stream of one name.

    Returns:
        The model on the CPU, and for each set where its recordings stand in the model's registries.

    Raises:
        ValueError: If two sets have a stream of one name.
    """
    names = [name for each in sets for name in each.streams]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(
            f"streams {', '.join(twice)} stand in two sets: join the sets first, or give the streams other names"
        )
    streams = {name: (windows, _stream(windows, config)) for each in sets for name, windows in each.streams.items()}
    step_s = config.step_s or min(step_of(stream) for _, stream in streams.values())
    model = NeuroFMx(config, step_s=step_s)
    heads = NeuroFMxHeads(config, step_s=step_s)
    for name, (windows, stream) in streams.items():
        layout = stream.layout
        model.streams.add(name, stream.tokenizer, layout, modality=windows.modality)
        heads.readout.add(name, channels=layout.channels, recordings=layout.recordings if layout.varied else 1)
    made = Assembled(model, heads)
    return made, [_known(made, each) for each in sets]


def step_of(stream: Stream) -> float:
    """Length of a time step that a stream asks for, s: a token, or of long windows as many as leave `STEPS` steps."""
    tokens = 1 if stream.layout.vocabulary else -(-stream.moments // STEPS)
    return tokens * stream.spacing


def session_name(stream: str, recording: str) -> str:
    """What a session is called in a registry, `steinmetz2019:Cori/01-2016-12-14`: alike for all streams of a kind."""
    return f"{stream.split('/')[0]}:{recording}"


def _stream(windows: Windows, config: NeurofmxConfig) -> Stream:
    """The tokenizer of a dataset's windows."""
    reader, layout = windows.tokenizer or default_tokenizer(windows.modality, windows.montage), Layout.of(windows)
    tokenizer = build_tokenizer(reader, layout, config.sizes.hidden_dim, options=windows.tokenizer_options)
    return Stream(tokenizer, layout, windows.modality)


def _known(made: Assembled, joined: Joined) -> Known:
    """Embeddings for the sessions and subjects of a set, and domains to tell apart."""
    model, heads, stream = made.model, made.heads, next(iter(joined.streams))
    session, subject = [], []
    for origin in joined.origins:
        name, whose = session_name(stream, origin.recording), session_name(stream, origin.subject)
        session.append(model.sessions.rows(name)[0] if name in model.sessions else model.add_session(name))
        if name not in heads.sessions.domains:
            heads.sessions.add(name)
        subject.append(model.subjects.rows(whose)[0] if whose in model.subjects else model.add_subject(whose))
    domains, species = heads.species.domains, joined.species or "unknown"
    number = domains.rows(species)[0] if species in domains else heads.species.add(species)
    return Known(np.array(session), np.array(subject), number)
