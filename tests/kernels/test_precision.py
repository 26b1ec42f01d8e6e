"""Recurrences stay in float32 where the network around them is in half precision."""

from __future__ import annotations

import pytest
import torch

from neurofmx.kernels.cfc import CfCWeights, cfc
from neurofmx.kernels.lif import lif
from neurofmx.kernels.selective_scan import selective_scan


def run_lif(current):
    return lif(current, torch.zeros_like(current[:, 0]), beta=0.999, threshold=1.0)


def run_cfc(x):
    weights = CfCWeights(torch.ones(4, 8) / 5, torch.zeros(4), torch.ones(16, 4) / 3, torch.zeros(16))
    return cfc(x, torch.zeros_like(x[:, 0]), weights)


def run_scan(u):
    return selective_scan(u, u.abs(), -torch.ones(4, 4), u, u, torch.ones(4))


@pytest.mark.parametrize("kernel", [run_lif, run_cfc, run_scan])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_input_gives_what_float32_gives(kernel, dtype):
    torch.manual_seed(0)
    half = torch.randn(2, 100, 4).to(dtype)
    with torch.autocast("cpu", dtype=dtype):
        inside = kernel(half)
    torch.testing.assert_close(inside, kernel(half.float()), rtol=0, atol=0)
