"""Padding at the end of a window never changes an answer: every family, every pool, every tokenizer."""

from __future__ import annotations

from importlib import import_module
from typing import get_args

import pytest
import torch

from neurofmx.models.configs import Pool
from neurofmx.models.decoding.decoder import Decoder
from neurofmx.models.decoding.head import Head
from neurofmx.models.table import MODELS
from neurofmx.recordings.task import Task
from neurofmx.tokenizers.table import TOKENIZERS, build_tokenizer
from token_samples import LAYOUTS, padded_more, sample_of

DIM = 16
SIZES = {
    "hybrid": {"liquid_units": 8, "backbone_units": 8, "spiking_units": 8, "num_spike_steps": 2, "mamba_d_state": 4},
    "transformer": {"num_attention_heads": 2},
}
TASK = Task("regression", "xy", ("x", "y"))
PADDED = sorted(set(TOKENIZERS) - {"image", "text"})  # these are always whole
FAMILIES = [name for name, family in MODELS.items() if family.network]


def decoder(family: str, tokenizer: str, *, pool: Pool = "attention") -> Decoder:
    torch.manual_seed(0)
    module, name = MODELS[family].network.split(":")
    config = MODELS[family].config(hidden_dim=DIM, num_layers=1, **SIZES.get(family, {}))
    head = Head(DIM, task=TASK, pool=pool)
    if pool == "attention":
        torch.nn.init.normal_(head.pool.score.weight)
    return Decoder(
        build_tokenizer(tokenizer, LAYOUTS[tokenizer], DIM), getattr(import_module(module), name)(config), head
    ).eval()


@pytest.mark.parametrize("pool", get_args(Pool))
@pytest.mark.parametrize("family", FAMILIES)
def test_more_padding_gives_the_same_answer(family: str, pool: Pool) -> None:
    model, layout = decoder(family, "linear", pool=pool), LAYOUTS["linear"]
    sample = sample_of(layout)
    answer, _ = model(sample)
    more, _ = model(padded_more(sample, layout))
    torch.testing.assert_close(more, answer, rtol=1e-5, atol=1e-6)
    alone = [model(sample[k : k + 1])[0] for k in range(len(sample))]
    torch.testing.assert_close(torch.cat(alone), answer, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_full_window_needs_no_mask(family: str) -> None:
    """The answer to a window that is as long as its tensor is that of the same window without a length."""
    model, sample = decoder(family, "linear"), sample_of(LAYOUTS["linear"])[:1]
    full = type(sample)(sample.x, present=sample.present)
    torch.testing.assert_close(model(sample)[0], model(full)[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", PADDED)
def test_no_tokenizer_reads_what_was_not_recorded(name: str) -> None:
    model, layout = decoder("lstm", name), LAYOUTS[name]
    sample = sample_of(layout)
    answer, _ = model(sample)
    more, _ = model(padded_more(sample, layout))
    assert answer.isfinite().all()
    torch.testing.assert_close(more, answer, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", PADDED)
def test_padding_changes_no_gradient(name: str) -> None:
    layout, gradients = LAYOUTS[name], []
    for pad in (lambda sample, layout: sample, padded_more):
        model = decoder("lstm", name)
        model(pad(sample_of(layout), layout))[0].square().sum().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.tokenizer.parameters() if p.grad is not None]))
    assert gradients[0].abs().sum() > 0
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-2, atol=1e-3 * float(gradients[0].abs().max()))
