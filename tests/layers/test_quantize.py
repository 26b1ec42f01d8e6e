"""Weights of 8 bits: against torch's own rounding, within half a step, and through a file."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from neurofmx.kernels.linear import Quantized
from neurofmx.layers.half import HalfEmbedding
from neurofmx.layers.inference import exact_rows, in_precision, quantize_weights
from neurofmx.layers.lstm_cells import LstmCells
from neurofmx.layers.quantize import QuantizedEmbedding, QuantizedLinear, quantize, size_in_bytes
from neurofmx.layers.row_linear import RowLinear
from neurofmx.training.checkpoints.checkpoint import load_checkpoint, save_checkpoint


def matrix():
    """Rows of many ranges: around 0, beside it, all alike, zeros."""
    torch.manual_seed(0)
    rows = torch.randn(6, 50) * torch.tensor([1.0, 1e-3, 30.0, 0.1, 0.0, 0.0])[:, None]
    return rows + torch.tensor([0.0, 0.0, 0.0, 3.0, -2.0, 0.0])[:, None]


@pytest.mark.parametrize("scheme", ["asymmetric", "symmetric"])
def test_rounds_as_torch_does_and_within_half_a_step(scheme):
    weights = matrix()
    made = quantize(weights, scheme=scheme)
    theirs = torch.fake_quantize_per_channel_affine(weights, made.scale, made.zero_point.int(), 0, -128, 127)
    torch.testing.assert_close(made.dequantize(), theirs, rtol=0, atol=0)
    assert ((made.dequantize() - weights).abs() <= made.scale[:, None] / 2 * (1 + 1e-4)).all()
    assert made.dequantize()[5].eq(0).all()


def test_the_range_of_a_channel_decides_its_scale():
    made = quantize(torch.tensor([[-1.0, 0.0, 1.55], [2.0, 3.0, 5.1]]))
    torch.testing.assert_close(made.scale, torch.tensor([0.01, 0.02]))
    assert made.zero_point.tolist() == [-28, -128]
    even = quantize(torch.tensor([[-1.0, 0.0, 2.54]]), scheme="symmetric")
    assert (round(even.scale.item(), 6), even.zero_point.item(), even.numbers.tolist()) == (0.02, 0, [[-50, 0, 127]])


def test_what_is_no_number_and_unknown_schemes_are_refused():
    with pytest.raises(ValueError, match="infinite or NaN"):
        quantize(torch.tensor([[1.0, float("nan")]]))
    with pytest.raises(ValueError, match="unknown scheme 'symetric'; did you mean 'symmetric'"):
        quantize(torch.ones(1, 1), scheme="symetric")
    with pytest.raises(ValueError, match="unknown precision 'int4'; did you mean 'int8'"):
        in_precision(nn.Linear(1, 1), "int4")
    for precision in ("int8", "bfloat16"):
        with pytest.raises(ValueError, match=r"model is a single Linear, .* put it into nn\.Sequential"):
            in_precision(nn.Linear(1, 1), precision)


def test_an_embedding_gives_the_rows_of_the_rounded_matrix():
    embedding, tokens = nn.Embedding(11, 4), torch.tensor([[3, 0], [10, 3]])
    wanted = quantize(embedding.weight).dequantize()[tokens]
    torch.testing.assert_close(QuantizedEmbedding(embedding)(tokens), wanted, rtol=0, atol=0)
    half = HalfEmbedding(embedding, torch.bfloat16)(tokens)
    torch.testing.assert_close(half, embedding(tokens), rtol=2**-8, atol=0)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv1d(4, 3, 5, stride=2, padding=2), (2, 4, 11)),
        (nn.Conv2d(4, 6, 3, padding=1, groups=2), (2, 4, 7, 5)),
        (nn.Conv3d(2, 3, 2, bias=False), (1, 2, 4, 4, 4)),
    ],
    ids=str,
)
def test_convolutions_are_those_with_rounded_weights(layer, shape):
    x, rounded = torch.randn(shape), copy.deepcopy(layer)
    with torch.no_grad():
        weight = quantize(layer.weight.flatten(1)).dequantize()
        rounded.weight.copy_(weight.view_as(layer.weight))
    wanted, plain = rounded(x), layer(x)
    (half,) = in_precision(nn.Sequential(copy.deepcopy(layer)), "bfloat16")
    torch.testing.assert_close(half(x), plain, rtol=0.05, atol=0.05)
    (eight,) = quantize_weights(nn.Sequential(layer))
    torch.testing.assert_close(eight(x), wanted, rtol=1e-5, atol=1e-6)
    assert eight.numbers.nbytes * 4 == rounded.weight.nbytes


def model():
    """A network with each kind of layer that is replaced, and some that are not."""
    torch.manual_seed(1)
    return nn.Sequential(nn.Embedding(20, 16), nn.LayerNorm(16), nn.LSTM(16, 24, 2, batch_first=True)), nn.Linear(24, 3)


class Small(nn.Module):
    """Tokens to scores."""

    def __init__(self):
        super().__init__()
        self.body, self.head = model()

    def forward(self, tokens):
        return self.head(self.body(tokens)[0])


TOKENS = torch.arange(14).view(2, 7)


def test_a_file_brings_the_quantised_network_back(tmp_path):
    net = quantize_weights(Small()).eval()
    save_checkpoint(tmp_path / "net.safetensors", net.state_dict())
    fresh = Small()
    nn.init.ones_(fresh.head.weight)
    fresh = quantize_weights(fresh).eval()
    fresh.load_state_dict(load_checkpoint(tmp_path / "net.safetensors")[0])
    assert torch.equal(fresh(TOKENS), net(TOKENS))
    assert (tmp_path / "net.safetensors").stat().st_size < 2 * size_in_bytes(net)


@pytest.mark.parametrize(
    ("precision", "tolerance"), [("float32", 0.0), ("float16", 2e-3), ("bfloat16", 2e-2), ("int8", 2e-2)]
)
def test_every_precision_is_near_float32_and_smaller(precision, tolerance):
    plain = Small().eval()
    wanted, size = plain(TOKENS), size_in_bytes(plain)
    net = in_precision(plain, precision)
    found = net(TOKENS)
    assert found.dtype == torch.float32
    assert (found - wanted).abs().max() <= tolerance * wanted.abs().max()
    numbers, outputs = 20 * 16 + 4 * 24 * (16 + 24 + 24 + 24) + 3 * 24, 20 + 4 * 4 * 24 + 3
    biases, norm = 4 * 4 * 24 + 3, 2 * 16
    wanted_size = {
        "float32": 4 * (numbers + biases + norm),
        "float16": 2 * (numbers + biases) + 4 * norm,
        "bfloat16": 2 * (numbers + biases) + 4 * norm,
        "int8": numbers + 4 * (2 * outputs + biases + norm),
    }
    assert size == wanted_size["float32"]
    assert size_in_bytes(net) == wanted_size[precision]


def test_lstm_cells_equal_torch_and_carry_their_state():
    torch.manual_seed(0)
    lstm, x = nn.LSTM(5, 7, 2, batch_first=True), torch.randn(3, 9, 5)
    cells = LstmCells.of(lstm, lambda layer: layer)
    torch.testing.assert_close(cells(x), lstm(x), rtol=1e-5, atol=1e-6)
    y, state = cells(x[:, :4])
    later, state = cells(x[:, 4:], state)
    torch.testing.assert_close((torch.cat([y, later], 1), state), lstm(x), rtol=1e-5, atol=1e-6)


def test_exact_rows_share_the_weights():
    net = nn.Sequential(nn.Linear(4, 3))
    before = net[0]
    exact_rows(net)
    assert isinstance(net[0], RowLinear)
    assert net[0].weight is before.weight
    assert list(net.state_dict()) == ["0.weight", "0.bias"]


def test_quantised_layers_hand_out_what_their_weights_stand_for():
    layer = QuantizedLinear(nn.Linear(6, 2, bias=False))
    assert layer.bias is None
    torch.testing.assert_close(layer(torch.eye(6)).t(), layer.weight)
    assert isinstance(layer.quantized, Quantized)
