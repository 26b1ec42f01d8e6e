"""A pretraining learns what was planted, asks every loss, and goes on after a kill with the same bits."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from neurofmx.models.configs import NeurofmxConfig
from neurofmx.models.foundation.assembled import assemble
from neurofmx.tokenizers.joined import Joined, together
from neurofmx.tokenizers.origin import Origin
from neurofmx.tokenizers.windows import Windows
from neurofmx.training.feed import Feed
from neurofmx.training.pretrain import Pretrained, Pretrainer, PretrainProgress
from neurofmx.training.pretrain_job import PretrainRecipe, pretrain, save_pretrained, write_curve
from neurofmx.training.pretrain_options import LOSSES, PretrainOptions
from neurofmx.training.pretrained import load_pretrained
from neurofmx.training.self_supervision import SELF_SUPERVISION
from synthetic import synthetic_windows

TINY = NeurofmxConfig(hidden_dim=16, num_layers=1, latents=2, latent_layers=1, num_attention_heads=2, dropout=0.1)


@cache
def windows(name: str, species: str, *, seed: int = 0, time: int = 6, file: str = "") -> Windows:
    """Windows a second apart; those of one seed follow the same angle, whatever their number of samples."""
    made = synthetic_windows("circular", windows=90, time=time, noise=0.1, seed=seed)
    origin = Origin(f"{species}/1", species, (file or name,))
    return replace(made, dataset=name, origins=(origin,), species=species)


def sets() -> list[Joined]:
    """A rat's spikes and lfp, recorded together, and a mouse's spikes."""
    return together(
        {
            "rat/spikes": windows("rat_spikes", "rat", file="r"),
            "mouse/spikes": windows("mouse", "mouse", seed=3),
            "rat/lfp": windows("rat_lfp", "rat", time=12, file="r"),
        },
        tolerance=0.05,
    )


def pretrainer(folder: Path, *, stop_after: int = 10**6, **options: object) -> Pretrainer:
    chosen = PretrainOptions(**{"num_epochs": 2, "steps": 2, "batch_size": 12, "learning_rate": 3e-3} | options)
    torch.manual_seed(0)
    joined = sets()
    network, known = assemble(TINY, joined)
    how = {"balance": chosen.balance, "batch_size": chosen.batch_size, "steps": chosen.steps}
    feed = Feed(joined, known, device=torch.device("cpu"), **how)

    def on_epoch(progress: PretrainProgress) -> None:
        if progress.epoch == stop_after:
            raise KeyboardInterrupt

    return Pretrainer(network, feed, chosen, folder=folder, on_epoch=on_epoch)


def same(a: Pretrained, b: Pretrained) -> bool:
    """Equal to the last bit, curve and weights of losses included."""
    tensors = all(torch.equal(a.best[k], b.best[k]) and torch.equal(a.last[k], b.last[k]) for k in a.best)
    return tensors and a.curve == b.curve and a.best_epoch == b.best_epoch and a.weights == b.weights


@pytest.mark.parametrize("weighting", ["fixed", "uncertainty", "gradnorm"])
def test_a_pretraining_that_was_killed_ends_with_the_same_bits(tmp_path: Path, weighting: str) -> None:
    options = {"weighting": weighting, "losses": {"reconstruction": 1.0, "contrast": 0.5, "species": 0.3}}
    whole = pretrainer(tmp_path / "whole", **options).fit()
    with pytest.raises(KeyboardInterrupt):
        pretrainer(tmp_path / "cut", stop_after=1, **options).fit()
    again = pretrainer(tmp_path / "cut", **options).fit()
    assert same(again, whole)
    for name, each in (("whole", whole), ("again", again)):
        write_curve(tmp_path / f"{name}.csv", each.curve)
    assert (tmp_path / "whole.csv").read_bytes() == (tmp_path / "again.csv").read_bytes()
    assert (whole.weights["species"] != 0.3) == (weighting != "fixed")


def test_every_loss_by_name_is_asked_and_has_a_gradient(tmp_path: Path) -> None:
    assert set(LOSSES) == set(SELF_SUPERVISION)
    training = pretrainer(tmp_path, losses=dict.fromkeys(LOSSES, 1.0), batch_size=48)
    training.progress.step = training.total // 2  # at first no gradient is reversed
    generator = torch.Generator().manual_seed(0)
    batch, anchor = next(iter(training.feed.epoch(generator)))
    for name, loss in training._losses(batch, anchor, generator).items():
        assert loss is not None, name
        assert loss.ndim == 0
        assert torch.isfinite(loss), name
        training.network.zero_grad()
        loss.backward(retain_graph=True)
        moved = training.network.model.latents.grad
        assert moved is not None, name
        assert moved.abs().sum() > 0, name


def test_hidden_numbers_are_learnt_from_what_is_left(tmp_path: Path) -> None:
    """All numbers of a row follow one angle, so what is hidden can be told from what is left."""
    options: dict = {"losses": {"reconstruction": 1.0}, "num_epochs": 7, "steps": 25, "batch_size": 24}
    options |= {"learning_rate": 5e-3, "schedule": "constant", "warmup_fraction": 0.02, "mask": {"time": 0.0}}
    curve = pretrainer(tmp_path, **options, drop_modalities=0.0).fit().curve
    assert curve[0].validation_loss > 0.9
    assert curve[-1].validation_loss < 0.5  # 1 is what the mean says


def test_streams_of_one_session_are_joined_and_others_are_not() -> None:
    joined = sets()
    assert [list(each.streams) for each in joined] == [["rat/spikes", "rat/lfp"], ["mouse/spikes"]]
    network, known = assemble(TINY, joined)
    assert network.model.sessions.names == ("rat:rat/1", "mouse:mouse/1")
    assert network.heads.species.domains.names == ("rat", "mouse")
    assert [k.species for k in known] == [0, 1]
    feed = Feed(joined, known, balance="species", batch_size=10, steps=4, device=torch.device("cpu"))
    for batch, anchor in feed.epoch(torch.Generator().manual_seed(0)):
        assert torch.bincount(batch.species).tolist() == [5, 5]
        rat = batch.species == 0
        for name, here in (("rat/spikes", rat), ("rat/lfp", rat), ("mouse/spikes", ~rat)):
            assert torch.equal(batch.here[name], here)
        assert len(anchor) == 10


def test_no_row_of_the_test_is_fed(tmp_path: Path) -> None:
    joined = sets()
    _, known = assemble(TINY, joined)
    feed = Feed(joined, known, balance="windows", batch_size=8, steps=2, device=torch.device("cpu"))
    for each, anchors, held in zip(joined, feed.anchors, feed.anchors_validation, strict=True):
        tested = each.anchor[each.fold(0).test]
        assert not np.isin(tested, torch.cat([anchors, held]).numpy()).any()


def test_weights_say_whom_they_have_seen(tmp_path: Path) -> None:
    files = {}
    for stream, made in (("rat/spikes", windows("rat_spikes", "rat", file="r")), ("mouse/spikes", windows("m", "m"))):
        files[stream] = tmp_path / f"{made.dataset}.h5"
        made.save(files[stream])
    options = PretrainOptions(num_epochs=1, steps=1, batch_size=8, losses={"reconstruction": 1.0})
    with pretrain(PretrainRecipe(files, TINY, options), keep=tmp_path / "keep", label="test") as finished:
        save_pretrained(tmp_path / "out", finished)
    weights, facts = load_pretrained(tmp_path / "out")
    assert [each["recording"] for each in facts["seen"]] == ["rat/1", "m/1"]
    known = {"dataset": "rat_spikes", "modality": "spikes", "channels": [f"channel-{i}" for i in range(4)]}
    assert facts["streams"]["rat/spikes"] == known
    assert all(torch.equal(weights[name], value) for name, value in finished.pretrained.best.items())
    assert not list((tmp_path / "keep").glob("*/state.safetensors"))
    with pytest.raises(FileNotFoundError, match=r"no pretrained weights in .*nothing; name datasets"):
        load_pretrained(tmp_path / "nothing")
