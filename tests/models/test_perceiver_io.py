"""Attention, Perceiver IO and PopT against torch's own attention, and their symmetries."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from neurofmx.layers.attention_block import AttentionBlock
from neurofmx.layers.masked_attention import MaskedAttention
from neurofmx.models.foundation.perceiver_io import PerceiverDecoder, PerceiverEncoder, PerceiverIO
from neurofmx.models.foundation.popt import PopT

DIM, HEADS = 12, 3
DOUBLE = torch.float64


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


@torch.no_grad()
def copied(ours: MaskedAttention) -> nn.MultiheadAttention:
    """Torch's module with the same weights."""
    theirs = nn.MultiheadAttention(DIM, HEADS, batch_first=True, dtype=DOUBLE)
    theirs.in_proj_weight.copy_(torch.cat([ours.query.weight, ours.key_value.weight]))
    theirs.in_proj_bias.copy_(torch.cat([ours.query.bias, ours.key_value.bias]))
    theirs.out_proj.weight.copy_(ours.output.weight)
    theirs.out_proj.bias.copy_(ours.output.bias)
    return theirs


@torch.no_grad()
def layer_of(block: AttentionBlock) -> nn.TransformerEncoderLayer:
    """Torch's encoder layer with a block's weights; a cross block's two norms are equal while they are untrained."""
    wide = block.feedforward[0].out_features
    how = {"dropout": 0.0, "activation": "gelu", "batch_first": True, "norm_first": True, "dtype": DOUBLE}
    layer = nn.TransformerEncoderLayer(DIM, HEADS, wide, **how)
    layer.self_attn = copied(block.attention)
    for mine, its in ((block.feedforward[0], layer.linear1), (block.feedforward[2], layer.linear2)):
        its.load_state_dict(mine.state_dict())
    return layer


def random_mask(queries: int, keys: int) -> Tensor:
    mask = torch.rand(2, queries, keys, generator=torch.Generator().manual_seed(3)) < 0.5
    mask[..., 0] = True  # torch's module answers NaN to who sees nobody
    return mask


@pytest.mark.parametrize("masked", [False, True])
def test_attention_is_that_of_torch(masked: bool) -> None:
    torch.manual_seed(0)
    ours = MaskedAttention(DIM, heads=HEADS).double()
    x, context = draw(2, 5, DIM), draw(2, 7, DIM, seed=1)
    mask = random_mask(5, 7) if masked else None
    hidden = None if mask is None else ~mask.repeat_interleave(HEADS, 0)
    expected, _ = copied(ours)(x, context, context, attn_mask=hidden)
    torch.testing.assert_close(ours(x, context, mask), expected)


def test_a_perceiver_whose_latents_are_its_inputs_is_a_plain_transformer() -> None:
    torch.manual_seed(0)
    perceiver = PerceiverEncoder(DIM, heads=HEADS, depth=2).double().eval()
    x, mask = draw(2, 6, DIM), random_mask(6, 6)
    read, *process = (layer_of(block).eval() for block in (perceiver.read, *perceiver.process))
    expected = read(x, src_mask=~mask.repeat_interleave(HEADS, 0))
    for layer in process:
        expected = layer(expected)
    torch.testing.assert_close(perceiver(x, x, mask), expected)


def test_latents_of_a_step_look_at_each_other_alone() -> None:
    torch.manual_seed(0)
    perceiver = PerceiverEncoder(DIM, heads=HEADS, depth=1).double()
    latents, inputs, mask = draw(2, 4, 3, DIM), draw(2, 7, DIM, seed=1), random_mask(4, 7)
    apart = [perceiver(latents[:, k], inputs, mask[:, k, None]) for k in range(4)]
    torch.testing.assert_close(perceiver.steps(latents, inputs, mask[:, :, None]), torch.stack(apart, 1))


def test_queries_do_not_depend_on_each_other_and_io_is_both_in_a_row() -> None:
    torch.manual_seed(0)
    model = PerceiverIO(DIM, heads=HEADS).double()
    inputs, latents, queries = draw(2, 9, DIM), draw(2, 4, DIM, seed=1), draw(2, 6, DIM, seed=2)
    whole = model(inputs, latents, queries)
    apart = [model(inputs, latents, queries[:, k : k + 1]) for k in range(6)]
    torch.testing.assert_close(whole, torch.cat(apart, 1))
    shuffled = torch.randperm(9)
    torch.testing.assert_close(model(inputs[:, shuffled], latents, queries), whole)


@pytest.mark.parametrize("filler", [1e30, torch.nan])
def test_what_nobody_sees_never_matters(filler: float) -> None:
    """Neither for values nor for gradients; and who sees nobody finds nothing."""
    torch.manual_seed(0)
    decoder = PerceiverDecoder(DIM, heads=HEADS).double()
    mask = random_mask(5, 7)
    mask[0, :, 3:] = mask[1, 2] = False  # row 0 lacks some; in row 1 query 2 sees nobody
    found = []
    for hidden in (0.0, filler):
        context = draw(2, 7, DIM, seed=1)
        context[0, 3:] = hidden
        context.requires_grad_()
        decoder.zero_grad()
        answer = decoder(draw(2, 5, DIM), context, mask)
        answer.square().sum().backward()
        assert context.grad is not None
        assert (context.grad[0, 3:] == 0).all()
        slopes = torch.cat([p.grad.flatten() for p in decoder.parameters()])
        found.append((answer.detach(), slopes, context.grad[1]))
    torch.testing.assert_close(found[0], found[1])
    assert all(part.isfinite().all() for part in found[1])
    bias = decoder.look.attention.output.bias
    torch.testing.assert_close(decoder.look.attention(draw(2, 5, DIM), draw(2, 7, DIM), mask)[1, 2], bias)


def test_a_block_is_given_a_context_if_and_only_if_it_crosses() -> None:
    x = torch.randn(1, 2, DIM)
    with pytest.raises(ValueError, match="cross=True"):
        AttentionBlock(DIM, heads=HEADS, cross=True)(x)
    with pytest.raises(ValueError, match="cross=False"):
        AttentionBlock(DIM, heads=HEADS)(x, x)
    with pytest.raises(ValueError, match="heads=5 must divide dim=12"):
        MaskedAttention(DIM, heads=5)


def popt(**how: object) -> PopT:
    torch.manual_seed(0)
    return PopT(DIM, heads=HEADS, layers=2, **how).double()


def test_a_population_has_no_order() -> None:
    model, members = popt(positions=True), draw(2, 6, DIM)
    places = 0.1 * draw(2, 6, 3, seed=1)
    places[0, 2] = torch.nan
    mask = torch.ones(2, 6, dtype=torch.bool)
    mask[1, 4:] = False
    summary, found = model(members, mask, places)
    order = torch.tensor([3, 5, 0, 2, 4, 1])
    other, moved = model(members[:, order], mask[:, order], places[:, order])
    torch.testing.assert_close(other, summary)
    torch.testing.assert_close(moved, found[:, order])
    places[0, 0] += 0.05
    assert not torch.allclose(model(members, mask, places)[0][0], summary[0])  # where it sits does matter


@pytest.mark.parametrize("filler", [5.0, torch.nan])
def test_who_is_not_there_says_nothing(filler: float) -> None:
    model, members = popt(), draw(1, 6, DIM)
    fewer, alone = model(members[:, :4])
    members[:, 4:] = filler
    mask = torch.arange(6)[None] < 4
    summary, found = model(members.requires_grad_(), mask)
    torch.testing.assert_close(summary, fewer)
    torch.testing.assert_close(found[:, :4], alone)
    assert (found[:, 4:] == 0).all()
    summary.sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
    nobody, _ = model(members.detach(), torch.zeros(1, 6, dtype=torch.bool))
    assert nobody.isfinite().all()


def test_positions_go_with_a_model_that_was_built_for_them() -> None:
    with pytest.raises(ValueError, match="positions=True"):
        popt(positions=True)(draw(1, 2, DIM))
    with pytest.raises(ValueError, match="positions=False"):
        popt()(draw(1, 2, DIM), None, draw(1, 2, 3))
