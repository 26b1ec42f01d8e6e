"""Losses of entries against scipy and closed forms, and what is behind their masks."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import norm, poisson

from losses.nan_checks import assert_blind
from neurofmx.losses.forecast import forecast_loss
from neurofmx.losses.gaussian import gaussian_terms
from neurofmx.losses.masked_reconstruction import masked_reconstruction
from neurofmx.losses.masking import blanked, mean_where, rows_where
from neurofmx.losses.poisson import poisson_terms


def entries(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


COUNTS = torch.tensor(np.random.default_rng(0).poisson(2.0, (4, 6, 3)), dtype=torch.float64)
MASK = torch.rand(4, 6, 3, generator=torch.Generator().manual_seed(1)) > 0.4


def test_poisson_is_minus_the_log_probability() -> None:
    log_rate = entries(4, 6, 3)
    expected = -poisson.logpmf(COUNTS.numpy(), log_rate.exp().numpy())
    np.testing.assert_allclose(poisson_terms(log_rate, COUNTS), expected, rtol=1e-12)
    masked = masked_reconstruction(log_rate, COUNTS, hidden=MASK, likelihood="poisson")
    assert masked.item() == pytest.approx(expected[MASK.numpy()].mean(), rel=1e-12)


def test_poisson_is_lowest_at_the_mean_count_and_pulls_by_rate_less_count() -> None:
    log_rate = torch.full((4, 6, 3), COUNTS.mean().log().item(), dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(poisson_terms(log_rate, COUNTS).mean(), log_rate)
    torch.testing.assert_close(slope, (log_rate.exp() - COUNTS) / COUNTS.numel())
    assert abs(slope.sum()) < 1e-12
    assert (poisson_terms(COUNTS.clamp_min(1e-9).log(), COUNTS) >= 0).all()  # also of the best rates there are


def test_squared_errors_are_minus_the_log_density_but_for_a_constant() -> None:
    mean, target = entries(5, 3), entries(5, 3, seed=2)
    expected = -2 * norm.logpdf(target, mean) - math.log(2 * math.pi)
    np.testing.assert_allclose(gaussian_terms(mean, target), expected, rtol=1e-9)
    everywhere = torch.ones_like(mean, dtype=torch.bool)
    assert masked_reconstruction(mean, target, hidden=everywhere).item() == pytest.approx(expected.mean(), rel=1e-9)


@pytest.mark.parametrize(
    "loss",
    [
        lambda x, y, m: poisson_terms(x, y, m).sum(),
        lambda x, y, m: gaussian_terms(x, y, m).sum(),
        lambda x, y, m: masked_reconstruction(x, y, hidden=m),
        lambda x, y, m: masked_reconstruction(x, y, hidden=torch.ones_like(m), recorded=m, likelihood="poisson"),
        lambda x, y, m: forecast_loss(x, y, mask=m, discount=0.9),
        lambda x, y, m: forecast_loss(x, y, mask=m, likelihood="poisson"),
    ],
)
def test_nothing_behind_a_mask_reaches_value_or_gradient(loss) -> None:
    target = torch.where(MASK, COUNTS + 0.5, torch.nan)
    assert_blind(lambda x: loss(x, target, MASK), entries(4, 6, 3), MASK)
    one = MASK[:, :, :1]  # a mask of whole rows broadcasts
    assert_blind(lambda x: loss(x, torch.where(one, COUNTS, torch.inf), one), entries(4, 6, 3), one)


def test_only_what_was_hidden_and_recorded_counts() -> None:
    prediction, target = entries(4, 6, 3), entries(4, 6, 3, seed=1)
    recorded = entries(4, 6, 3, seed=2) > -0.5
    found = masked_reconstruction(prediction, target, hidden=MASK, recorded=recorded)
    expected = (prediction - target)[MASK & recorded].square().mean()
    assert found.item() == pytest.approx(expected.item())
    with pytest.raises(ValueError, match="did you mean 'poisson'"):
        masked_reconstruction(prediction, target, hidden=MASK, likelihood="poison")  # type: ignore[arg-type]


@pytest.mark.parametrize("likelihood", ["gaussian", "poisson"])
@pytest.mark.parametrize(("loss", "mask"), [(masked_reconstruction, "hidden"), (forecast_loss, "mask")])
def test_a_loss_over_nothing_is_zero(loss, mask: str, likelihood: str) -> None:
    x = torch.full((2, 3, 4), torch.nan, requires_grad=True)
    none = {mask: torch.zeros(2, 3, 4, dtype=torch.bool)}
    value = loss(x, torch.full((2, 3, 4), torch.nan), likelihood=likelihood, **none)
    assert value.item() == 0
    assert not torch.autograd.grad(value, x)[0].any()


def test_forecasts_count_by_how_far_ahead_they_lie() -> None:
    prediction, target = torch.zeros(1, 3, 2), torch.tensor([1.0, 2.0, 3.0]).reshape(1, 3, 1).expand(1, 3, 2)
    assert forecast_loss(prediction, target).item() == pytest.approx((1 + 4 + 9) / 3)
    assert forecast_loss(prediction, target, discount=0.5).item() == pytest.approx((1 + 2 + 9 / 4) / 1.75)
    first = torch.tensor([True, True, False]).reshape(1, 3, 1)
    assert forecast_loss(prediction, target, discount=0.5, mask=first).item() == pytest.approx(3 / 1.5)
    for discount in (0.0, 1.1):
        with pytest.raises(ValueError, match="discount="):
            forecast_loss(prediction, target, discount=discount)


def test_a_mean_may_be_weighted() -> None:
    terms, weight = torch.tensor([1.0, 2.0, 4.0]), torch.tensor([1.0, 3.0, 5.0])
    mask = torch.tensor([True, True, False])
    assert mean_where(terms, mask, weight=weight).item() == pytest.approx(7 / 4)
    assert mean_where(terms, None, weight=0 * weight).item() == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: blanked(COUNTS, torch.ones(4, 6, 3)), "must be bool"),
        (lambda: blanked(COUNTS, torch.ones(5, 6, 3, dtype=torch.bool)), "does not broadcast"),
        (lambda: blanked(COUNTS[0], MASK), "does not broadcast"),
        (lambda: rows_where(MASK, COUNTS), "must be bool"),
        (lambda: rows_where(None, COUNTS, COUNTS[:2]), "as many rows"),
        (lambda: poisson_terms(COUNTS[:1], COUNTS), "give one shape"),
        (lambda: gaussian_terms(COUNTS[:1], COUNTS), "give one shape"),
    ],
)
def test_wrong_shapes_are_refused(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_half_precision_is_widened() -> None:
    # 0.01 off, of values near 100: lost in 16 bits, in which both are 100
    log_rate = torch.tensor([4.6055], dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = poisson_terms(log_rate, torch.tensor([100.0]))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(-poisson.logpmf(100, np.exp(float(log_rate))), rel=1e-5)
