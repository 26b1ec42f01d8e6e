"""Losses over domains: signs and sizes of gradients, bounds, and discrepancies known in closed form."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from torch import nn
from torch.nn.functional import cross_entropy

from losses.nan_checks import assert_blind
from neurofmx.layers.gradient_reversal import reversal_strength
from neurofmx.losses.domain_adversarial import DomainClassifier, domain_adversarial
from neurofmx.losses.domain_confusion import domain_confusion, missing_entropy
from neurofmx.losses.mmd import domain_mmd, median_distance, mmd_biased
from reference import mmd_naive

DOMAIN = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])


def features(n: int = 8, dim: int = 4, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def classifier(domains: int = 3) -> DomainClassifier:
    torch.manual_seed(0)
    return DomainClassifier(4, domains=domains, hidden=8).double()


def test_features_climb_where_the_classifier_descends() -> None:
    x, named = features().requires_grad_(), classifier()
    plain = cross_entropy(named(x), DOMAIN)
    parameters = list(named.parameters())
    down = torch.autograd.grad(plain, [x, *parameters])
    for strength in (0.0, 0.3, 1.0):
        loss = domain_adversarial(x, DOMAIN, named, strength=strength)
        torch.testing.assert_close(loss, plain)
        slopes = torch.autograd.grad(loss, [x, *parameters])
        torch.testing.assert_close(slopes[0], -strength * down[0])
        torch.testing.assert_close(slopes[1:], down[1:])


def test_adversarial_features_forget_the_domain_and_keep_the_rest() -> None:
    # two inputs: the first tells the domain, the second the label; a gain for each is all that is learnt
    rng = torch.Generator().manual_seed(0)
    domain, label = torch.arange(256) % 2, torch.randint(2, (256,), generator=rng)
    x = torch.stack([2.0 * domain - 1, 2.0 * label - 1], 1) + 0.3 * torch.randn(256, 2, generator=rng)
    gains = {}
    for highest in (0.0, 1.0):
        torch.manual_seed(0)
        gain, task, named = nn.Parameter(torch.ones(2)), nn.Linear(2, 2), nn.Linear(2, 2)
        # a classifier that is quick and decays: without, the two would circle round where neither wins
        groups = [
            {"params": [gain, *task.parameters()]},
            {"params": named.parameters(), "lr": 0.25, "weight_decay": 0.2},
        ]
        optimizer = torch.optim.SGD(groups, lr=0.05)
        for step in range(400):
            optimizer.zero_grad()
            strength = reversal_strength(step / 400, highest=highest)
            named_by = domain_adversarial(x * gain, domain, named, strength=strength)
            (cross_entropy(task(x * gain), label) + named_by).backward()
            optimizer.step()
        assert cross_entropy(task(x * gain), label) < 0.1
        gains[highest] = gain.detach().abs()
    assert gains[1.0][0] < 0.05
    assert gains[1.0][1] > 1 < gains[0.0][1]
    assert gains[0.0][0] > 0.8  # a reversal of strength 0 lets no gradient through


def test_confusion_is_highest_entropy_less_entropy() -> None:
    assert missing_entropy(torch.zeros(5, 7, dtype=torch.float64)).item() == pytest.approx(0, abs=1e-15)
    sure = torch.full((5, 7), -1e4)
    sure[:, 3] = 1e4
    assert missing_entropy(sure).item() == pytest.approx(math.log(7))
    logits = features(5, 7)
    uniform = torch.full_like(logits, 1 / 7)
    divergence = torch.distributions.kl_divergence(
        torch.distributions.Categorical(logits=logits), torch.distributions.Categorical(probs=uniform)
    )
    torch.testing.assert_close(missing_entropy(logits), divergence.mean())


def test_confusion_teaches_the_features_alone_to_reach_the_highest_entropy() -> None:
    x, named = features().requires_grad_(), classifier()
    before = [parameter.clone() for parameter in named.parameters()]
    optimizer = torch.optim.Adam([x, *named.parameters()], lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        domain_confusion(x, named).backward()
        optimizer.step()
    assert all(parameter.grad is None for parameter in named.parameters())
    torch.testing.assert_close(list(named.parameters()), before, rtol=0, atol=0)
    assert domain_confusion(x, named).item() < 1e-3
    torch.testing.assert_close(named(x).softmax(1), torch.full((8, 3), 1 / 3).double(), atol=0.05, rtol=0)


def test_mmd_is_the_naive_one() -> None:
    x, y = features(7), 0.5 + 2 * features(5, seed=1)
    for bandwidth in (0.5, 1.7):
        naive = mmd_naive(x, y, bandwidth)
        assert mmd_biased(x, y, bandwidth=bandwidth).item() == pytest.approx(naive, rel=1e-9)
        far = mmd_biased(x + 1e6, y + 1e6, bandwidth=bandwidth)  # far from the origin, where squares would cancel
        assert far.item() == pytest.approx(naive, rel=1e-6)
    several = np.mean([mmd_naive(x, y, 1.7 * each) for each in (0.5, 1, 2)])
    assert mmd_biased(x, y, bandwidth=1.7, multiples=(0.5, 1, 2)).item() == pytest.approx(several, rel=1e-9)


def test_mmd_of_gaussians_is_known_in_closed_form() -> None:
    dim, shift, s = 3, 0.8, 1.5
    # E k of two normal vectors of unit variance, their means `shift` apart in every direction
    level = (s**2 / (s**2 + 2)) ** (dim / 2)
    truth = 2 * level * (1 - math.exp(-dim * shift**2 / (2 * (s**2 + 2))))
    estimates = []
    for seed in range(20):
        x, y = features(200, dim, seed=2 * seed), shift + features(200, dim, seed=2 * seed + 1)
        estimates.append(mmd_biased(x, y, bandwidth=s).item())
    error = np.std(estimates) / math.sqrt(20)
    # the bias is what the diagonals add: (1 - E k(x, x')) / n for each cloud
    assert abs(np.mean(estimates) - 2 * (1 - level) / 200 - truth) < 3 * error < 0.1 * truth


def test_equal_clouds_have_no_discrepancy_and_others_have() -> None:
    x = features(40)
    assert mmd_biased(x, x).item() == 0
    assert mmd_biased(x.float(), x.float()).item() == 0
    assert mmd_biased(x, x.flip(0)).item() == pytest.approx(0, abs=1e-12)
    assert 1.9 < mmd_biased(x, x + 1e3, bandwidth=50.0).item() <= 2


def test_what_is_nearly_nothing_is_never_below_nothing() -> None:
    """Rounding in single precision; weighting by uncertainty refuses a loss below 0, which would end a training."""
    for seed in range(60):
        x = features(12, 16, seed=seed).float()
        assert mmd_biased(x, x.flip(0) + 1e-6 * features(12, 16, seed=100 + seed)).item() >= 0
    for domains in range(2, 12):
        assert missing_entropy(torch.zeros(5, domains)).item() >= 0


def test_mmd_draws_clouds_together() -> None:
    x, y = features(30), (features(30, seed=1) + 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda b: mmd_biased(x[:4], b, bandwidth=1.3), y.detach()[:3].requires_grad_())
    optimizer = torch.optim.Adam([y], lr=0.1)
    start = mmd_biased(x, y).item()
    for _ in range(100):
        optimizer.zero_grad()
        mmd_biased(x, y).backward()
        optimizer.step()
    assert mmd_biased(x, y).item() < 0.02 * start


def test_the_median_is_of_all_pairs() -> None:
    x = features(11)  # 55 pairs: one median
    assert median_distance(x).item() == pytest.approx(np.median(pdist(x.numpy())))
    assert median_distance(torch.ones(4, 2)).item() == 1
    assert median_distance(torch.ones(1, 2)).item() == 1
    assert not median_distance(x.requires_grad_()).requires_grad


def test_of_several_domains_it_is_the_mean_over_their_pairs() -> None:
    x = features()
    clouds = [x[DOMAIN == each] for each in range(3)]
    pairs = [mmd_biased(clouds[a], clouds[b], bandwidth=1.1) for a, b in ((0, 1), (0, 2), (1, 2))]
    torch.testing.assert_close(domain_mmd(x, DOMAIN, bandwidth=1.1), torch.stack(pairs).mean())
    width = median_distance(x)
    torch.testing.assert_close(domain_mmd(x, DOMAIN), domain_mmd(x, DOMAIN, bandwidth=width))
    one = domain_mmd(x.requires_grad_(), torch.zeros(8, dtype=torch.int64))
    assert one.item() == 0
    assert not torch.autograd.grad(one, x)[0].any()


@pytest.mark.parametrize(
    "loss",
    [
        lambda x, m: domain_adversarial(x, DOMAIN.masked_fill(~m, 99), classifier(), mask=m),
        lambda x, m: domain_confusion(x, classifier(), mask=m),
        lambda x, m: domain_mmd(x, DOMAIN.masked_fill(~m, 99), mask=m),
    ],
)
def test_nothing_behind_a_mask_reaches_value_or_gradient(loss) -> None:
    mask = torch.tensor([True, False, True, True, True, True, False, True])
    assert_blind(lambda x: loss(x, mask), features(), mask)


def test_rows_that_are_not_there_count_nothing() -> None:
    none = torch.zeros(8, dtype=torch.bool)
    for loss in (
        domain_adversarial(features(), DOMAIN, classifier(), mask=none),
        domain_confusion(features(), classifier(), mask=none),
        domain_mmd(features(), DOMAIN, mask=none),
    ):
        assert loss.item() == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: DomainClassifier(4, domains=1), "domains=1"),
        (lambda: domain_adversarial(features(), DOMAIN, classifier(), strength=-1.0), "strength=-1.0"),
        (lambda: domain_adversarial(features(), DOMAIN[:3], classifier()), "as many rows"),
        (lambda: mmd_biased(features(), features(dim=3)), "of one width"),
        (lambda: mmd_biased(features(), features()[:0]), "at least 1"),
        (lambda: mmd_biased(features(), features(), bandwidth=0.0), "bandwidth=0.0"),
    ],
)
def test_wrong_input_is_refused(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
