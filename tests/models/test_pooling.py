"""Pooling against numpy, and the properties that tell the kinds apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neurofmx.models.decoding.pooling import POOLS, AttentionPool, pooling


def states() -> torch.Tensor:
    return torch.randn(3, 7, 5, generator=torch.Generator().manual_seed(0))


def test_last_and_mean_are_those_of_numpy() -> None:
    h = states()
    np.testing.assert_array_equal(pooling("last", 5)(h).numpy(), h.numpy()[:, -1])
    np.testing.assert_allclose(pooling("mean", 5)(h).numpy(), h.numpy().mean(1), rtol=1e-6, atol=1e-7)


def test_attention_starts_as_the_mean() -> None:
    h = states()
    torch.testing.assert_close(pooling("attention", 5)(h), h.mean(1))


def test_attention_is_a_softmax_over_tokens_by_hand() -> None:
    h, pool = states(), AttentionPool(5)
    with torch.no_grad():
        pool.score.weight.copy_(torch.tensor([[1.0, -2.0, 0.5, 0.0, 3.0]]))
        found = pool(h).numpy()
    x = h.numpy().astype(np.float64)
    z = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    e = np.exp(z @ np.array([1.0, -2.0, 0.5, 0.0, 3.0]))
    np.testing.assert_allclose(found, ((e / e.sum(1, keepdims=True))[..., None] * x).sum(1), rtol=1e-5, atol=1e-6)


def test_attention_learns_where_the_answer_is() -> None:
    # the answer stands in one token, marked in channel 0; the mean over all seven drowns it
    generator = torch.Generator().manual_seed(1)
    h = torch.randn(256, 7, 5, generator=generator)
    place = torch.randint(0, 7, (256,), generator=generator)
    h[torch.arange(256), place, 0] = 8.0
    answer = h[torch.arange(256), place, 1]
    errors = {}
    for name in ("mean", "attention"):
        torch.manual_seed(0)
        pool, readout = pooling(name, 5), torch.nn.Linear(5, 1)
        optimiser = torch.optim.Adam([*pool.parameters(), *readout.parameters()], lr=0.05)
        for _ in range(200):
            loss = torch.nn.functional.mse_loss(readout(pool(h))[:, 0], answer)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        errors[name] = float(loss.detach())
    assert errors["attention"] < 0.1 < errors["mean"]


@pytest.mark.parametrize("name", POOLS)
def test_every_kind_gives_one_vector_a_window_and_gradients(name: str) -> None:
    h = states().requires_grad_()
    pooled = POOLS[name](5)(h)
    assert pooled.shape == (3, 5)
    (gradient,) = torch.autograd.grad(pooled.sum(), h)
    assert gradient.abs().sum() > 0


def test_an_unknown_kind_names_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'mean'"):
        pooling("meen", 5)  # type: ignore[arg-type]
