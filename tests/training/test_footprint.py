"""Memory of a training step against what torch keeps for one linear layer, counted by hand."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tests.synthetic import synthetic_windows

from neurofmx.models.configs import HeadConfig, MambaConfig
from neurofmx.models.decoding.build import build_decoder
from neurofmx.tokenizers.tokens import Sample
from neurofmx.training.footprint import step_memory


class Plain(torch.nn.Module):
    """A linear layer, called as a decoder is, with a head of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(32, 16)
        self.head = SimpleNamespace(loss=lambda outputs, y: (outputs * y).sum())

    def forward(self, sample: Sample) -> tuple[torch.Tensor, None]:
        return self.layer(sample.x).tanh(), None


def test_it_is_four_times_the_weights_and_what_is_kept() -> None:
    x, y = torch.randn(100, 32), torch.randn(100, 16)
    weights = 4 * 4 * (32 * 16 + 16)
    kept = 4 * (100 * 32 + 100 * 16 + 100 * 16)  # the input, tanh's output, and y, by which it is multiplied
    assert step_memory(Plain(), Sample(x), y) == pytest.approx((weights + kept) / 2**20)  # type: ignore[arg-type]


def test_twice_the_windows_keep_twice_as_much_and_nothing_is_disturbed() -> None:
    windows = synthetic_windows()
    model = build_decoder("mamba", MambaConfig(hidden_dim=16), HeadConfig(), windows, fold=0).eval()
    sample, y = Sample.of(windows, 0, np.arange(64)), torch.as_tensor(windows.y[:64])
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    sizes = [step_memory(model, sample[:n], y[:n]) for n in (16, 32, 64)]
    assert torch.equal(torch.rand(1), expected)
    assert not model.training
    assert sizes[2] - sizes[1] == pytest.approx(2 * (sizes[1] - sizes[0]))
    assert all(weight.grad is None for weight in model.parameters())
