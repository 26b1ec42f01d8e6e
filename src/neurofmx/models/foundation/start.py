"""Begin with pretrained weights on a dataset of new sessions: what is shared is taken over, the rest drawn anew.

    taken over    fusion, latents, Mamba blocks, population, embeddings of times and modalities, and of the tokenizer
                  what does not belong to single channels; the embedding of a subject that was pretrained on
    drawn anew    embeddings of the new sessions, subjects and channels (spread as the pretrained ones), head; the whole
                  tokenizer where no pretrained stream of the modality has one of its shape, or where it reads its
                  channels by their column and they are units, or have other names than those

A probe trains what is drawn anew and nothing else: a new session's channels mean nothing to a network that has not met
them, so their embeddings must be learnt, as they are in POYO (Azabou et al. 2023, section 2.4, unit identification).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from neurofmx.models.foundation.assembled import session_name
from neurofmx.models.foundation.decoder import NeuroFMxDecoder
from neurofmx.models.foundation.registry import EmbeddingRegistry
from neurofmx.tokenizers.channel_mixing import ChannelMixing

Mode = Literal["probe", "finetune"]
SKIPPED = ("sessions.", "subjects.", "streams.")  # by name, or by stream: taken one by one
UNITS = ("calcium", "spikes")  # modalities whose channels are other ones in every session, whatever they are called
PREFIX = "model."  # under which the weights of the model stand beside those of its heads


class Taken(NamedTuple):
    """What a decoder has taken over.

    Args:
        stream: The pretrained stream whose tokenizer it goes on with; empty where none has the shape.
        weights: Numbers that were taken over.
        trained: Numbers that will be trained.
        subjects: Those of the decoder's subjects that were pretrained on, whose embeddings were taken over.
    """

    stream: str
    weights: int
    trained: int
    subjects: tuple[str, ...] = ()


def begin(
    decoder: NeuroFMxDecoder,
    weights: Mapping[str, Tensor],
    facts: Mapping[str, Any],
    *,
    mode: Mode,
    modality: str,
    channels: Sequence[str] = (),
    stream: str = "",
) -> Taken:
    """Put pretrained weights into a freshly built decoder.

    Args:
        decoder: Of the dataset, built with the pretrained sizes and time step; changed in place.
        weights: Of a pretraining.
        facts: What was written beside them: `config`, `step_s`, `streams`.
        mode: `probe` trains head and new embeddings alone, `finetune` everything.
        modality: What was recorded in the dataset.
        channels: Names of the columns of its windows.
        stream: Pretrained stream to prefer, such as `steinmetz2019/spikes`; else the first of the modality. Subjects
            are known by its kind and their name.

    Returns:
        What was taken over.

    Raises:
        ValueError: If the decoder has other sizes or another time step than the pretrained model.
    """
    _check_alike(decoder, facts)
    backbone = decoder.backbone
    own = backbone.state_dict()
    given = {name.removeprefix(PREFIX): value for name, value in weights.items() if name.startswith(PREFIX)}
    shared = [name for name in own if not name.startswith(SKIPPED)]
    source = _source(decoder, given, facts, modality, channels, preferred=stream)
    mine, theirs = f"streams.streams.{decoder.stream}.", f"streams.streams.{source}."
    new = _of_channels(decoder)
    loaded = {name: given[name] for name in shared}
    if source:
        loaded |= {n: given[theirs + n.removeprefix(mine)] for n in own if n.startswith(mine) and n not in new}
    backbone.load_state_dict(loaded, strict=False)
    _take_modality(backbone.streams.modalities, given, facts, modality)
    _spread_as(backbone.sessions, given.get("sessions.vectors"))
    subjects = _take_subjects(backbone.subjects, given, stream)
    if source:
        for name in new:
            _draw(backbone.get_parameter(name), given[theirs + name.removeprefix(mine)])
    if mode == "probe":
        fresh = {n for n, _ in backbone.named_parameters() if n.startswith(mine)} if not source else new
        anew = ("sessions.",) if len(subjects) == len(backbone.subjects.names) else ("sessions.", "subjects.")
        for name, parameter in backbone.named_parameters():
            parameter.requires_grad_(name in fresh or name.startswith(anew))
    trained = sum(p.numel() for p in decoder.parameters() if p.requires_grad)
    return Taken(source, sum(value.numel() for value in loaded.values()), trained, subjects)


def _check_alike(decoder: NeuroFMxDecoder, facts: Mapping[str, Any]) -> None:
    """Refuse a decoder of another build."""
    own, theirs = decoder.backbone.config.model_dump(), dict(facts["config"])
    free = ("dropout", "attention_dropout", "recompute", "precision", "kernels", "step_s")  # change no shape
    other = {key: (value, own.get(key)) for key, value in theirs.items() if key not in free and own.get(key) != value}
    if other:
        said = ", ".join(f"{key} {theirs!r}, here {mine!r}" for key, (theirs, mine) in other.items())
        raise ValueError(f"the pretrained model was built with {said}: set models.neurofmx as it was, or pretrain anew")
    if decoder.backbone.step_s != facts["step_s"]:
        raise ValueError(
            f"step_s={decoder.backbone.step_s:g}: the pretrained model has time steps of {facts['step_s']:g} s; build "
            "the decoder with those"
        )


def _source(
    decoder: NeuroFMxDecoder,
    given: Mapping[str, Tensor],
    facts: Mapping[str, Any],
    modality: str,
    channels: Sequence[str],
    *,
    preferred: str,
) -> str:
    """The pretrained stream whose tokenizer fits, or nothing."""
    mine = f"streams.streams.{decoder.stream}."
    new = _of_channels(decoder)
    own = {
        name.removeprefix(mine): value.shape
        for name, value in decoder.backbone.state_dict().items()
        if name.startswith(mine) and name not in new
    }
    for name in sorted(facts["streams"], key=lambda name: name != preferred):
        theirs = f"streams.streams.{name}."
        of_channels = {each.removeprefix(mine) for each in new}
        shapes = {
            key.removeprefix(theirs): value.shape
            for key, value in given.items()
            if key.startswith(theirs) and key.removeprefix(theirs) not in of_channels
        }
        known = facts["streams"][name]
        by_column = not new and (modality in UNITS or list(channels) != known["channels"])
        if known["modality"] == modality and shapes == own and not by_column:
            return name
    return ""


def _of_channels(decoder: NeuroFMxDecoder) -> set[str]:
    """Parameters of the decoder's tokenizer that belong to single channels."""
    return {
        f"streams.streams.{decoder.stream}.tokenizer.{name}.embedding"
        for name, module in decoder.tokenizer.named_modules()
        if isinstance(module, ChannelMixing)
    }


@torch.no_grad()
def _take_modality(
    registry: EmbeddingRegistry, given: Mapping[str, Tensor], facts: Mapping[str, Any], modality: str
) -> None:
    """The embedding of the modality, where it was pretrained."""
    known = _registry(given, "streams.modalities")
    if modality in known:
        registry.vectors[registry.rows(modality)[0]] = known.vectors[known.rows(modality)[0]]


@torch.no_grad()
def _take_subjects(registry: EmbeddingRegistry, given: Mapping[str, Tensor], stream: str) -> tuple[str, ...]:
    """The embeddings of subjects that were pretrained on; new ones begin around those. Returns the known names."""
    _spread_as(registry, given.get("subjects.vectors"))
    if not len(registry) or "subjects.vectors" not in given:
        return ()
    known = _registry(given, "subjects")
    named = {name: session_name(stream, name) for name in registry.names if session_name(stream, name) in known}
    for name, theirs in named.items():
        registry.vectors[registry.rows(name)[0]] = known.vectors[known.rows(theirs)[0]]
    return tuple(named)


def _registry(given: Mapping[str, Tensor], name: str) -> EmbeddingRegistry:
    """The pretrained embeddings of a name."""
    known = EmbeddingRegistry(given[f"{name}.vectors"].shape[1])
    known.load_state_dict({part: given[f"{name}.{part}"] for part in ("vectors", "_extra_state")})
    return known


@torch.no_grad()
def _spread_as(registry: EmbeddingRegistry, vectors: Tensor | None) -> None:
    """New sessions or subjects begin around the pretrained ones."""
    if vectors is not None and len(registry) and len(vectors):
        _draw(registry.vectors, vectors)


@torch.no_grad()
def _draw(parameter: nn.Parameter, pretrained: Tensor) -> None:
    """Vectors (..., K) with mean and deviation of pretrained ones (..., K)."""
    flat = pretrained.flatten(0, -2)
    spread = flat.std(0, correction=0) if len(flat) > 1 else torch.zeros_like(flat[0])
    parameter.copy_(flat.mean(0) + spread * torch.randn(parameter.shape))
