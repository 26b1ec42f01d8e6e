"""Contrasts against naive loops, cross-entropy by hand, and bounds that theory sets."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from losses.nan_checks import assert_blind
from neurofmx.losses.info_nce import has_negatives, info_nce
from neurofmx.losses.temperature import LOWEST, Temperature
from neurofmx.losses.temporal_contrastive import apart_in_time, temporal_contrastive
from neurofmx.losses.tri_modal import tri_modal_contrastive
from reference import info_nce_naive, temporal_contrastive_naive


def embeddings(n: int = 9, dim: int = 5, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_info_nce_is_the_cross_entropy_of_the_diagonal() -> None:
    q, k = embeddings(), embeddings(seed=1)
    logits = normalize(q, dim=1) @ normalize(k, dim=1).T / 0.2
    one_way, back = cross_entropy(logits, torch.arange(9)), cross_entropy(logits.T, torch.arange(9))
    torch.testing.assert_close(info_nce(q, k, temperature=0.2, symmetric=False), one_way)
    torch.testing.assert_close(info_nce(q, k, temperature=0.2), (one_way + back) / 2)
    torch.testing.assert_close(info_nce(3 * q, 0.1 * k, temperature=0.2), (one_way + back) / 2)  # only directions count


def test_info_nce_with_and_without_some_negatives_is_the_naive_one() -> None:
    q, k = embeddings(), embeddings(seed=1)
    for negatives in (torch.ones(9, 9, dtype=torch.bool), torch.rand(9, 9, generator=torch.manual_seed(0)) > 0.5):
        found = info_nce(q, k, temperature=0.3, symmetric=False, negatives=negatives)
        assert found.item() == pytest.approx(info_nce_naive(q, k, 0.3, negatives), rel=1e-12)
        both = (found.item() + info_nce_naive(k, q, 0.3, negatives.T)) / 2
        assert info_nce(q, k, temperature=0.3, negatives=negatives).item() == pytest.approx(both, rel=1e-12)


def test_log_n_less_the_loss_is_the_information_shared_and_never_above_log_n() -> None:
    n, classes = 512, 8
    label = torch.randint(classes, (n,), generator=torch.Generator().manual_seed(2))
    seen = torch.eye(classes, dtype=torch.float64)[label]
    # what two views share is the label: at a low temperature a query finds the keys of its own class, and no more
    loss = info_nce(seen, seen, temperature=0.01)
    torch.testing.assert_close(loss, torch.bincount(label)[label].double().log().mean())
    entropy = torch.distributions.Categorical(probs=torch.bincount(label) / n).entropy().item()
    assert math.log(n) - loss.item() == pytest.approx(entropy, rel=1e-6)
    everyone_alike = info_nce(torch.ones(n, 4), torch.ones(n, 4))
    assert everyone_alike.item() == pytest.approx(math.log(n), rel=1e-6)
    for seed in range(3):  # the bound holds for embeddings that tell all apart, too
        z = embeddings(16, 64, seed=seed)
        assert 0 <= info_nce(z, z, temperature=0.02).item() < 1e-6


def test_the_temperature_is_learnt_and_stays_above_its_bound() -> None:
    q, k = embeddings(), embeddings(seed=1)
    warm = Temperature(0.3, learnt=True)()
    torch.testing.assert_close(info_nce(q, k, temperature=warm), info_nce(q, k, temperature=0.3), rtol=1e-6, atol=0)
    for direction, pairs in ((1, (q, k)), (-1, (q, q))):  # what cannot be told apart wants it warmer, what can, colder
        learnt = Temperature(0.3, learnt=True)
        optimizer = torch.optim.SGD(learnt.parameters(), lr=1.0)
        for _ in range(60):
            optimizer.zero_grad()
            info_nce(*pairs, temperature=learnt()).backward()
            optimizer.step()
        assert direction * (learnt().item() - 0.3) > 0.05
        assert learnt().item() > LOWEST
    with pytest.raises(ValueError, match=r"start=0.01: .*must be above"):
        Temperature(0.01, learnt=True)


def test_pairs_left_out_are_nobodys_negatives() -> None:
    q, k, mask = embeddings(), embeddings(seed=1), torch.arange(9) % 3 > 0
    negatives = torch.rand(9, 9, generator=torch.manual_seed(3)) > 0.3
    found = info_nce(q, k, mask=mask, negatives=negatives)
    torch.testing.assert_close(found, info_nce(q[mask], k[mask], negatives=negatives[mask][:, mask]))
    assert_blind(lambda x: info_nce(x, k, mask=mask, negatives=negatives), q, mask)
    hidden = torch.where(mask[:, None], k, torch.nan)
    assert_blind(lambda x: info_nce(x, hidden, mask=mask), q, mask)
    assert info_nce(q, k, mask=torch.zeros(9, dtype=torch.bool)).item() == 0


def test_a_query_without_a_wrong_key_is_not_asked() -> None:
    """It would be sure of its own key whatever it is: of 9 pairs three can be told apart, and no more count."""
    q, k = embeddings(), embeddings(seed=1)
    negatives = torch.zeros(9, 9, dtype=torch.bool)
    negatives[:3, :3] = True
    torch.testing.assert_close(info_nce(q, k, negatives=negatives), info_nce(q[:3], k[:3]))
    assert has_negatives(9, negatives=negatives)
    assert not has_negatives(9, negatives=torch.eye(9, dtype=torch.bool))
    assert not has_negatives(9, negatives=negatives, mask=torch.arange(9) > 1)
    assert has_negatives(9, mask=torch.arange(9) > 6)
    assert not has_negatives(9, mask=torch.arange(9) > 7)
    assert not has_negatives(1)
    q.requires_grad_()
    alone = info_nce(q, k, negatives=torch.eye(9, dtype=torch.bool))
    assert alone.item() == 0
    assert not torch.autograd.grad(alone, q)[0].any()


def test_tri_modal_leaves_out_pairs_that_cannot_be_told_apart() -> None:
    z = {name: embeddings(seed=seed) for seed, name in enumerate(("neural", "behaviour", "stimulus"))}
    here = {"stimulus": torch.arange(9) < 2}  # two rows, which share time
    negatives = torch.ones(9, 9, dtype=torch.bool)
    negatives[:2, :2] = False
    found = tri_modal_contrastive(**z, here=here, negatives=negatives)
    torch.testing.assert_close(found, info_nce(z["neural"], z["behaviour"], negatives=negatives))


def test_tri_modal_is_the_mean_over_the_pairs_that_there_are() -> None:
    z = {name: embeddings(seed=seed) for seed, name in enumerate(("neural", "behaviour", "stimulus"))}
    pairs = [("neural", "behaviour"), ("neural", "stimulus"), ("behaviour", "stimulus")]
    expected = torch.stack([info_nce(z[a], z[b], temperature=0.2) for a, b in pairs]).mean()
    torch.testing.assert_close(tri_modal_contrastive(**z, temperature=0.2), expected)
    two = {name: z[name] for name in ("neural", "stimulus")}
    torch.testing.assert_close(tri_modal_contrastive(**two), info_nce(z["neural"], z["stimulus"]))


def test_rows_that_lack_a_modality_take_no_part_in_its_pairs() -> None:
    z = {name: embeddings(seed=seed) for seed, name in enumerate(("neural", "behaviour", "stimulus"))}
    here = {"neural": torch.arange(9) < 6, "behaviour": torch.arange(9) > 2, "stimulus": torch.arange(9) == 8}
    expected = info_nce(
        z["neural"][3:6], z["behaviour"][3:6]
    )  # the stimulus shares one row at most, which says nothing
    torch.testing.assert_close(tri_modal_contrastive(**z, here=here), expected)
    for name in ("neural", "behaviour"):
        rest = {other: torch.where(here[other][:, None], each, torch.nan) for other, each in z.items()}
        assert_blind(lambda x, n=name, r=rest: tri_modal_contrastive(**(r | {n: x}), here=here), z[name], here[name])
    alone = tri_modal_contrastive(
        **{name: each.requires_grad_() for name, each in z.items()},
        here={"neural": torch.arange(9) < 3, "behaviour": torch.arange(9) > 5, "stimulus": torch.arange(9) == 4},
    )
    assert alone.item() == 0
    assert not torch.autograd.grad(alone, z["neural"])[0].any()
    with pytest.raises(ValueError, match="at least two"):
        tri_modal_contrastive(neural=z["neural"])
    with pytest.raises(ValueError, match="by those names"):
        tri_modal_contrastive(**z, here={"neurons": here["neural"]})


START = torch.tensor([0.0, 0.4, 0.8, 1.6, 4.0, 4.5, 0.1, 0.3], dtype=torch.float64)
SESSION = torch.tensor([0, 0, 0, 0, 0, 0, 1, 1])


@pytest.mark.parametrize("duration", [0.1, 2.0, 3.5])
def test_temporal_contrast_is_the_naive_one(duration: float) -> None:
    z = embeddings(8)
    how = {"near": 0.5, "apart": 1.5, "duration": duration, "temperature": 0.4}
    found = temporal_contrastive(z, START, session=SESSION, **how)
    assert found.item() == pytest.approx(temporal_contrastive_naive(z, START, SESSION, **how), rel=1e-12)
    alone = temporal_contrastive(z[:6], START[:6], **how)
    assert alone.item() == pytest.approx(temporal_contrastive_naive(z[:6], START[:6], SESSION[:6], **how), rel=1e-12)


def test_windows_that_overlap_or_lie_between_have_no_pull_on_each_other() -> None:
    start = torch.tensor([0.0, 0.4, 1.0, 9.0], dtype=torch.float64)
    z = embeddings(4).requires_grad_()
    # of windows of 5 s the first three share samples: 0 and 1 are alike, 2 is neither, 3 is apart from all
    (slope,) = torch.autograd.grad(temporal_contrastive(z, start, near=0.5, apart=0.8, duration=5.0), z)
    assert slope[[0, 1, 3]].any(1).all()
    assert not slope[2].any()
    (slope,) = torch.autograd.grad(temporal_contrastive(z, start, near=0.5, apart=0.8, duration=0.5), z)
    assert slope[2].any()


def test_embeddings_that_follow_time_have_a_lower_loss_than_shuffled_ones() -> None:
    start = torch.arange(40) * 0.5
    z = torch.stack([torch.cos(start / 4), torch.sin(start / 4)], 1)
    how = {"near": 0.5, "apart": 3.0, "duration": 1.0}
    shuffled = z[torch.randperm(40, generator=torch.Generator().manual_seed(0))]
    assert temporal_contrastive(z, start, **how) < 0.3 * temporal_contrastive(shuffled, start, **how)


def test_temporal_contrast_with_nothing_to_tell_apart_is_zero() -> None:
    z = embeddings(3).requires_grad_()
    for start in (torch.tensor([0.0, 5.0, 10.0]), torch.tensor([0.0, 0.1, 0.2])):  # none alike, none apart
        loss = temporal_contrastive(z, start, near=0.5, apart=2.0, duration=1.0)
        assert loss.item() == 0
        assert not torch.autograd.grad(loss, z)[0].any()
    with pytest.raises(ValueError, match="0 < near < apart"):
        temporal_contrastive(z, START[:3], near=2.0, apart=2.0, duration=1.0)
    with pytest.raises(ValueError, match="temperature=0"):
        temporal_contrastive(z, START[:3], near=1.0, apart=2.0, duration=1.0, temperature=0)


def test_temporal_contrast_does_not_look_behind_its_mask() -> None:
    mask = torch.tensor([True, True, False, True, True, False, True, True])
    how = {"near": 0.5, "apart": 1.5, "duration": 0.2}
    start = torch.where(mask, START, torch.nan)
    assert_blind(lambda x: temporal_contrastive(x, start, session=SESSION, mask=mask, **how), embeddings(8), mask)
    kept = temporal_contrastive(embeddings(8)[mask], START[mask], session=SESSION[mask], **how)
    torch.testing.assert_close(temporal_contrastive(embeddings(8), start, session=SESSION, mask=mask, **how), kept)


def test_windows_of_two_sessions_are_always_apart() -> None:
    found = apart_in_time(START, distance=1.0, session=SESSION)
    assert found[:6, 6:].all()
    torch.testing.assert_close(found[:6, :6], apart_in_time(START[:6], distance=1.0))
    assert not found.diagonal().any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(keys=embeddings(8)), "give one shape"),
        (dict(temperature=-0.1), "temperature=-0.1"),
        (dict(negatives=torch.ones(9, 8, dtype=torch.bool)), r"must be bool \(9, 9\)"),
        (dict(mask=torch.ones(9)), "must be bool"),
    ],
)
def test_wrong_input_is_refused(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        info_nce(**(dict(queries=embeddings(), keys=embeddings(seed=1)) | change))
