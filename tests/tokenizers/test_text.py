"""The tokenizer of texts: a vector a token, with a width and places of its own where asked."""

from __future__ import annotations

import pytest
import torch
from tests.tokenizers.test_text_windows import windows

from neurofmx.models.configs import HeadConfig
from neurofmx.models.decoding.build import build_decoder
from neurofmx.models.hybrid.config import HybridConfig
from neurofmx.tokenizers.configs import TextConfig
from neurofmx.tokenizers.text import TextTokenizer
from neurofmx.tokenizers.tokens import Layout, Sample

LAYOUT = Layout((6, 1), vocabulary=11)
NUMBERS = torch.tensor([[0, 3, 3, 10, 1, 2], [5, 5, 5, 5, 5, 5]])


def tokenizer(**options: object) -> TextTokenizer:
    torch.manual_seed(0)
    return TextTokenizer(LAYOUT, 8, TextConfig(**options)).eval()


def test_a_token_is_its_row_of_the_table() -> None:
    plain = tokenizer()
    values, mask, time = plain(Sample(NUMBERS[..., None]))
    assert torch.equal(values, plain.vectors.weight[NUMBERS])
    assert mask is None
    assert time.tolist() == [0.5, 1.5, 2.5, 3.5, 4.5, 5.5]
    assert [name for name, _ in plain.named_parameters()] == ["vectors.weight"]


def test_another_width_is_brought_to_that_of_the_network() -> None:
    wide = tokenizer(embedding_dim=5)
    values, *_ = wide(Sample(NUMBERS[..., None]))
    table = wide.vectors.weight @ wide.project.weight.T + wide.project.bias
    assert wide.vectors.weight.shape == (11, 5)
    torch.testing.assert_close(values, table[NUMBERS])
    assert torch.equal(
        tokenizer(embedding_dim=8)(Sample(NUMBERS[..., None]))[0], tokenizer()(Sample(NUMBERS[..., None]))[0]
    )


def test_a_place_adds_its_own_vector_from_the_start_of_the_window() -> None:
    placed = tokenizer(max_position_embeddings=9)
    values, *_ = placed(Sample(NUMBERS[..., None]))
    torch.testing.assert_close(values - placed.vectors.weight[NUMBERS], placed.places.weight[:6].expand(2, 6, 8))
    short, *_ = placed(Sample(NUMBERS[..., None]).beginning(4))
    assert torch.equal(short, values[:, :4])
    assert 0.01 < float(placed.places.weight.detach().std()) < 0.04


def test_places_go_on_where_an_earlier_call_has_stopped() -> None:
    placed, sample = tokenizer(max_position_embeddings=9), Sample(NUMBERS[..., None])
    later, *_ = placed(sample.starting_at(3)[:1])
    torch.testing.assert_close(later - placed.vectors.weight[NUMBERS[:1]], placed.places.weight[None, 3:9])
    with pytest.raises(ValueError, match=r"10 tokens in one piece: .*max_position_embeddings=9 is all"):
        placed(sample.starting_at(4))
    assert torch.equal(tokenizer()(sample.starting_at(4)).values, tokenizer()(sample).values)


def test_fewer_places_than_tokens_are_refused() -> None:
    with pytest.raises(ValueError, match=r"max_position_embeddings=5: must be at least the 6 tokens of a window"):
        tokenizer(max_position_embeddings=5)


def test_vectors_are_dropped_in_training_alone() -> None:
    dropping = tokenizer(embedding_dropout=0.5).train()
    values, *_ = dropping(Sample(torch.zeros(50, 6, 1, dtype=torch.int64)))
    assert 0.4 < float((values == 0).float().mean()) < 0.6
    assert (dropping.eval()(Sample(NUMBERS[..., None]))[0] != 0).all()


def test_the_options_of_a_dataset_reach_the_network() -> None:
    """Windows carry them, so that training and evaluation build the same network."""
    made = windows(tokenizer_options={"embedding_dim": 5, "max_position_embeddings": 4, "embedding_dropout": 0.0})
    config = HybridConfig(hidden_dim=8, num_layers=1, num_gate_heads=2, cross_attn_heads=2, liquid_units=8)
    network = build_decoder("hybrid", config, HeadConfig(), made, fold=0).tokenizer
    assert network.vectors.weight.shape == (50, 5)
    assert network.places.weight.shape == (4, 5)
    assert network.dropout.p == 0
