"""Elementwise functions that round a number the same wherever it stands."""

from __future__ import annotations

import pytest
import torch

from neurofmx.layers.elementwise import RowSiLU, sigmoid, silu


@pytest.mark.parametrize(
    ("ours", "theirs"), [(sigmoid, torch.sigmoid), (silu, torch.nn.functional.silu), (RowSiLU(), torch.nn.SiLU())]
)
@pytest.mark.parametrize("channels", [1, 7, 31, 32, 33, 96])
def test_equals_torch_and_every_row_has_the_bits_it_has_alone(channels, ours, theirs):
    torch.manual_seed(0)
    x = 3 * torch.randn(40, channels, requires_grad=True)
    y = ours(x)
    assert torch.equal(torch.cat([ours(row) for row in x.split(1)]), y)
    torch.testing.assert_close(y, theirs(x), rtol=1e-6, atol=1e-7)
    gradients = [torch.autograd.grad(outputs.square().sum(), x)[0] for outputs in (y, theirs(x))]
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-6)
    if channels % 32 == 0:  # whole vectors, that torch computes as it does
        assert torch.equal(y, theirs(x))
