"""Spikes as counts: the likelihood is scipy's, its best answer the mean count, and params ask for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import poisson
from tests.foundation.test_pretrain import pretrainer, sets
from torch import Tensor

from neurofmx.foundation.counts import FLOOR, Counts, counts_of
from neurofmx.losses.poisson import poisson_terms
from neurofmx.parts import TRAIN
from neurofmx.tokenizers.cutting.windows import Windows
from neurofmx.tokenizers.joined import Joined
from neurofmx.tokenizers.joining import together
from neurofmx.tokenizers.tokens import Sample
from synthetic import ragged_windows, synthetic_windows

TWO = Counts(torch.tensor([[0.5, 2.0], [4.0, 0.0]]), torch.tensor([[0.7, 1.5], [2.0, 1.0]]))


def counted(*, seed: int = 0, root: bool = False) -> Windows:
    """Windows of counts whose rates follow an angle, with their own scaling."""
    base = synthetic_windows("circular", windows=90, noise=0.0, seed=seed)
    counts = np.random.default_rng(seed).poisson(np.exp(0.6 * base.x))
    x = (np.sqrt(counts) if root else counts).astype(np.float32)
    train = [x[row == TRAIN] for row in base.split]
    mean, std = (np.stack([getattr(t, name)((0, 1)) for t in train]) for name in ("mean", "std"))
    return replace(base, x=x, mean=mean, std=std)


def spiking() -> list[Joined]:
    """A rat's spikes as counts beside something that holds none, and a mouse's spikes."""
    rat, mouse = sets()
    streams = {"rat/spikes": counted(), "mouse/spikes": counted(seed=3), "rat/lfp": rat.streams["rat/lfp"]}
    olds = {**rat.streams, **mouse.streams}
    keep = ("dataset", "origins", "species")
    made = {name: replace(each, **{fact: getattr(olds[name], fact) for fact in keep}) for name, each in streams.items()}
    made["rat/lfp"] = replace(made["rat/lfp"], modality="calcium")  # whose tokenizer reads any window
    return together(made, tolerance=0.05)


def naive_rate(said: Tensor, counts: Counts, recording: int) -> np.ndarray:
    """The rate by its definition, in double precision."""
    mean, std = (part[recording].double().numpy() for part in counts)
    bend = FLOOR * np.maximum(mean, 1e-3)
    return bend * np.logaddexp(0, (mean + std * said.double().numpy()) / bend)


def test_the_rate_is_the_expected_count_and_never_0() -> None:
    said = torch.linspace(-4, 4, 60).reshape(2, 15, 2)
    found = TWO.log_rate(said, torch.tensor([1, 0]))
    for row, recording in enumerate((1, 0)):
        np.testing.assert_allclose(found[row].exp(), naive_rate(said[row], TWO, recording), rtol=2e-4, atol=1e-30)
    high = torch.tensor([[[0.4, 1.0]]])  # well above the bend the rate is what the standardised number stands for
    torch.testing.assert_close(TWO.log_rate(high, None).exp(), TWO.mean[:1] + TWO.std[:1] * high, rtol=1e-4, atol=0)
    low = torch.full((1, 1, 2), -1e4, requires_grad=True)
    TWO.log_rate(low, None).sum().backward()
    assert torch.isfinite(TWO.log_rate(low, None)).all()
    assert (low.grad > 0).all()  # and a rate that is far too low has a way back


def test_counts_are_found_again_in_standardised_bins() -> None:
    windows = counted()
    sample = Sample.of(windows, 1, np.arange(20))
    found = counts_of("a", windows, 1).of(sample.x, sample.recording)
    np.testing.assert_array_equal(found, windows.x[:20])
    own = ragged_windows([counted(seed=1), counted(seed=2)])
    rows = np.array([3, 100, 170])
    sample = Sample.of(own, 0, rows)
    np.testing.assert_array_equal(counts_of("a", own, 0).of(sample.x, sample.recording), own.x[rows])


def test_the_loss_is_scipys_and_best_at_the_mean_count() -> None:
    rng = np.random.default_rng(0)
    counts = Counts(torch.tensor([[0.8]]), torch.tensor([[0.9]]))
    x = (torch.as_tensor(rng.poisson(1.3, (200, 5, 1))).float() - 0.8) / 0.9
    said = torch.full_like(x, 0.4)
    mean = -poisson.logpmf(counts.of(x, None).numpy(), naive_rate(said, counts, 0)).mean()
    assert float(poisson_terms(counts.log_rate(said, None), counts.of(x, None)).mean()) == pytest.approx(mean, rel=1e-5)
    answer = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.LBFGS([answer], max_iter=50)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = poisson_terms(counts.log_rate(answer.expand_as(x), None), counts.of(x, None)).mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    assert float(0.8 + 0.9 * answer.detach()) == pytest.approx(float(counts.of(x, None).mean()), rel=1e-3)


@pytest.mark.parametrize("loss", ["reconstruction", "forecast"])
def test_spikes_alone_are_asked_for_as_counts(tmp_path: Path, loss: str) -> None:
    """The likelihood of hidden counts under what the readout says; other streams keep their squared error."""
    options: dict = {"losses": {loss: 1.0}, "batch_size": 24, "drop_modalities": 0.0, "mask": {"time": 0.0}}
    plain, training = (
        pretrainer(tmp_path / spikes, joined=spiking(), spikes=spikes, **options) for spikes in ("gaussian", "poisson")
    )
    assert set(training.feed.counts) == {"rat/spikes", "mouse/spikes"}
    assert not plain.feed.counts
    batch, anchor = next(iter(training.feed.epoch(torch.Generator().manual_seed(0))))
    found = {}
    for name, each in (("gaussian", plain), ("poisson", training)):
        each.network.eval()
        found[name] = each._losses(batch, anchor, torch.Generator().manual_seed(1))[loss]
    assert found["poisson"].item() != pytest.approx(found["gaussian"].item(), rel=0.01)
    only = batch.without("rat/spikes", "mouse/spikes")
    rows = only.species == 0
    both = [
        each._losses(only[rows], anchor[rows], torch.Generator().manual_seed(1))[loss] for each in (plain, training)
    ]
    torch.testing.assert_close(*both, rtol=0, atol=0)


def test_hidden_counts_are_learnt_by_their_likelihood(tmp_path: Path) -> None:
    options: dict = {"losses": {"reconstruction": 1.0}, "num_epochs": 5, "steps": 25, "batch_size": 24}
    options |= {"learning_rate": 5e-3, "schedule": "constant", "warmup_fraction": 0.02, "mask": {"time": 0.0}}
    training = pretrainer(tmp_path, joined=spiking()[:1], spikes="poisson", **options, drop_modalities=0.0)
    curve = training.fit().curve
    assert curve[-1].validation_loss < curve[0].validation_loss - 0.05


def test_roots_and_rows_without_spikes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"bins of a hold no counts; set datasets\.synthetic\.preprocess\.sqrt to f"):
        counts_of("a", counted(root=True), 0)
    none = [
        replace(each, streams={name: replace(w, modality="calcium") for name, w in each.streams.items()})
        for each in spiking()
    ]
    with pytest.raises(ValueError, match=r"spikes=poisson: no stream is of spikes"):
        pretrainer(tmp_path, joined=none, spikes="poisson")
