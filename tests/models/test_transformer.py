"""Transformer and LSTM: causal, and the same in pieces as in one pass."""

import pytest
import torch
from pydantic import ValidationError

from neurofmx.models.configs import LstmConfig, TransformerConfig
from neurofmx.models.lstm import Lstm
from neurofmx.models.transformer import Transformer


def backbone(name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    sizes = {"hidden_dim": 16, "num_layers": 2}
    net = (
        Lstm(LstmConfig(**sizes)) if name == "lstm" else Transformer(TransformerConfig(num_attention_heads=2, **sizes))
    )
    return net.double().eval()


@pytest.mark.parametrize("name", ["lstm", "transformer"])
def test_pieces_equal_one_pass(name: str) -> None:
    net, x = backbone(name), torch.randn(3, 23, 16, dtype=torch.float64)
    whole, _ = net(x)
    state, pieces = None, []
    for piece in x.split([1, 7, 2, 13], dim=1):
        out, state = net(piece, state)
        pieces.append(out)
    torch.testing.assert_close(torch.cat(pieces, 1), whole, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["lstm", "transformer"])
def test_the_past_does_not_see_the_future(name: str) -> None:
    net, x = backbone(name), torch.randn(2, 12, 16, dtype=torch.float64)
    before, _ = net(x)
    x[:, 7:] += torch.randn_like(x[:, 7:])
    after, _ = net(x)
    assert torch.equal(before[:, :7], after[:, :7])
    assert not torch.allclose(before[:, 7:], after[:, 7:])


def test_attention_is_softmax_over_the_past() -> None:
    """One block without feed-forward against the formula, written out token by token."""
    torch.manual_seed(0)
    net = Transformer(TransformerConfig(hidden_dim=4, num_layers=1, num_attention_heads=1)).double().eval()
    block = net.blocks[0]
    for weight in block.feedforward.parameters():
        torch.nn.init.zeros_(weight)
    x = torch.randn(1, 5, 4, dtype=torch.float64)
    q, k, v = block.qkv(block.norm_attention(x))[0].chunk(3, -1)

    def turned(a: torch.Tensor, position: int) -> torch.Tensor:
        angle = position * torch.tensor([1.0, 10_000**-0.5], dtype=torch.float64)
        pairs = torch.complex(a[:2], a[2:]) * torch.polar(torch.ones_like(angle), angle)
        return torch.cat([pairs.real, pairs.imag])

    for t in range(5):
        scores = torch.stack([turned(q[t], t) @ turned(k[s], s) / 2 for s in range(t + 1)])
        mixed = torch.softmax(scores, 0) @ v[: t + 1]
        expected = net.norm(x[0, t] + block.mix(mixed))
        torch.testing.assert_close(net(x)[0][0, t], expected, rtol=1e-5, atol=1e-6)


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValidationError, match=r"num_attention_heads=3: must divide hidden_dim=64"):
        TransformerConfig(hidden_dim=64, num_attention_heads=3)
