"""Put a network together for a dataset: its tokenizer, the backbone of a family, the head of its task."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import cast

import torch
from pydantic import BaseModel
from torch import nn

from neurofmx.models.configs import HeadConfig
from neurofmx.models.decoding.decoder import Decoder
from neurofmx.models.decoding.head import Head
from neurofmx.models.decoding.token_head import TokenHead
from neurofmx.models.table import MODELS
from neurofmx.tables import pick
from neurofmx.tokenizers.cutting.windows import Windows
from neurofmx.tokenizers.table import build_tokenizer, default_tokenizer
from neurofmx.tokenizers.text import TextTokenizer
from neurofmx.tokenizers.tokens import Layout, Tokenizer

SPREAD = 0.02  # the `initializer_range` that leaves every layer as it is usually drawn


def build_decoder(family: str, config: BaseModel, head: HeadConfig, windows: Windows, *, fold: int) -> Decoder:
    """A freshly initialised network for one fold of a dataset; seed torch before.

    Args:
        family: A neural entry of `MODELS`.
        config: Sizes, of the family's config class; `hidden_dim` is the width of tokens and states.
        head: How states become an answer.
        windows: The windows it will read; give it channels, task and, for regression, the target's scale.
        fold: Fold whose training windows scale a regression's target.

    Returns:
        The network, on the CPU.

    Raises:
        ValueError: If the family or the tokenizer is unknown, or the tokenizer cannot read such windows.
    """
    entry = pick(MODELS, family, "model family")
    if entry.build:
        module, name = entry.build.split(":")
        return getattr(import_module(module), name)(config, head, windows, fold=fold)
    module, name = entry.network.split(":")
    dim: int = config.hidden_dim  # type: ignore[attr-defined]
    reader = windows.tokenizer or default_tokenizer(windows.modality, windows.montage)
    tokenizer = build_tokenizer(reader, Layout.of(windows), dim, options=windows.tokenizer_options)
    # the head draws its weights before the backbone: this order gives the bits of the committed scores
    answer = build_head(dim, head, windows, tokenizer, fold=fold)
    backbone = getattr(import_module(module), name)(config)
    _spread((tokenizer, answer.answer), getattr(config, "initializer_range", SPREAD) / SPREAD)
    return Decoder(tokenizer, backbone, answer)


@torch.no_grad()
def _spread(ends: Iterable[nn.Module], times: float) -> None:
    """Make the first weights at both ends of a network larger, each kind of layer from what is usual for it."""
    if times == 1:
        return
    layers = (nn.Linear, nn.Embedding, nn.Conv1d, nn.Conv2d, nn.Conv3d)
    for weight in {
        module.weight for end in ends for module in end.modules() if isinstance(module, layers)
    }:  # tied: once
        weight *= times


def build_head(dim: int, config: HeadConfig, windows: Windows, tokenizer: Tokenizer, *, fold: int) -> Head | TokenHead:
    """The head of a task; a regression's knows the scale of its target.

    Args:
        dim: Channels of a state.
        config: How states become an answer.
        windows: Give it the task and the target's scale.
        tokenizer: What reads them; a text's may lend the head its vectors.
        fold: Fold whose training windows scale the target.
    """
    if windows.task.kind == "next_token":
        tied = None
        if config.tie_embeddings and isinstance(tokenizer, TextTokenizer):
            tied = cast("nn.Parameter", tokenizer.vectors.weight)
        return TokenHead(dim, vocabulary=windows.task.width, dropout=config.dropout, tied=tied)
    answer = Head(dim, task=windows.task, pool=config.pool, dropout=config.dropout)
    if windows.task.kind == "regression":
        y = torch.as_tensor(windows.y[windows.fold(fold).train], dtype=torch.float32)
        answer.target_mean.copy_(y.mean(0))
        answer.target_std.copy_(y.std(0).clamp_min(1e-6))
    return answer
