"""Experts against a loop over tokens, and the balance against its closed forms."""

from __future__ import annotations

import pytest
import torch
from tests.reference import gradients
from torch.nn.functional import layer_norm

from neurofmx.layers.mixture import MixtureOfExperts, balance


def layer(**changes):
    """Five experts for six channels in float64."""
    torch.manual_seed(0)
    return MixtureOfExperts(6, **({"experts": 5, "top_k": 2} | changes)).double()


def naive(mixture, x):
    """Token by token: the k largest shares, each times what its expert makes."""
    rows = []
    for token in x.reshape(-1, 6):
        normal = layer_norm(token, (6,), mixture.norm.weight, mixture.norm.bias)
        logits = mixture.router.weight @ normal
        shares = logits.exp() / logits.exp().sum()
        best = shares.detach().argsort(descending=True)[: mixture.top_k].tolist()
        rows.append(token + sum(shares[n] * mixture.experts[n](normal) for n in best))
    return torch.stack(rows).view(x.shape)


@pytest.mark.parametrize("top_k", [1, 2, 5])
def test_equals_a_loop_over_tokens(top_k):
    mixture, x = layer(top_k=top_k), torch.randn(2, 30, 6, dtype=torch.float64, requires_grad=True)
    ours, exact, wanted = mixture(x), naive(mixture, x), [x, *mixture.parameters()]
    torch.testing.assert_close(ours, exact, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradients([ours], wanted), gradients([exact], wanted), rtol=1e-10, atol=1e-12)


def test_a_token_depends_on_no_other_token():
    mixture, x = layer(), torch.randn(2, 7, 6).double()
    alone = torch.stack([torch.cat([mixture(x[b : b + 1, t : t + 1])[0] for t in range(7)]) for b in range(2)])
    torch.testing.assert_close(mixture(x), alone, rtol=1e-12, atol=1e-12)


def test_all_experts_take_part_and_shares_sum_to_one():
    mixture, x = layer(), torch.randn(1, 400, 6).double()
    shares = mixture.shares(mixture.norm(x))
    torch.testing.assert_close(shares.sum(-1), torch.ones(1, 400).double())
    assert shares.topk(2, -1).indices.unique().tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("experts", [2, 8])
def test_balance_is_one_where_use_is_even_and_the_number_of_experts_where_one_gets_all(experts):
    even = torch.full((experts, experts), 1 / experts)
    assert balance(even, torch.arange(experts)[:, None]) == pytest.approx(1)
    one = torch.zeros(10, experts)
    one[:, 0] = 1
    assert balance(one, torch.zeros(10, 1, dtype=torch.int64)) == pytest.approx(experts)


def test_no_tokens_leave_no_trace_in_the_loss():
    mixture, x = layer(), torch.zeros(0, 7, 6, dtype=torch.float64, requires_grad=True)
    assert mixture(x).shape == (0, 7, 6)
    assert mixture.balance == 0
    (mixture(x).sum() + mixture.balance).backward()
    assert not any(weight.grad.any() for weight in mixture.parameters())


def test_following_the_balance_alone_evens_the_use_out():
    mixture, x = layer().train(), 0.3 * torch.randn(1, 200, 6).double() + torch.randn(6).double()
    optimizer, seen = torch.optim.SGD(mixture.parameters(), lr=1.0), []
    for _ in range(100):
        mixture(x)
        seen.append(float(mixture.balance.detach()))
        optimizer.zero_grad()
        mixture.balance.backward()
        optimizer.step()
    assert seen[0] > 1.3
    assert seen[-1] < 1.1


def test_balance_is_left_in_training_alone():
    mixture, x = layer(), torch.randn(1, 5, 6).double()
    mixture(x)
    assert mixture.balance.requires_grad
    mixture.eval()(x)
    assert mixture.balance is None


def test_runs_in_mixed_precision_with_shares_in_full():
    mixture, x = layer().float(), torch.randn(2, 9, 6)
    with torch.autocast("cpu", torch.bfloat16):
        y = mixture(x)
        assert mixture.shares(x).dtype == torch.float32
    torch.testing.assert_close(y, mixture(x), rtol=0.05, atol=0.05)


def test_impossible_choices_are_refused():
    with pytest.raises(ValueError, match="experts must be 2 or more, got 1"):
        MixtureOfExperts(6, experts=1, top_k=1)
    with pytest.raises(ValueError, match="top_k must be 1 or more and at most experts=3, got 4"):
        MixtureOfExperts(6, experts=3, top_k=4)
