"""A pretraining learns what was planted, asks every loss, and goes on after a kill with the same bits."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from neurofmx.foundation.feed import Feed
from neurofmx.foundation.job import PretrainRecipe, pretrain, save_pretrained, write_curve
from neurofmx.foundation.options import JUDGED, LOSSES, PretrainOptions
from neurofmx.foundation.pretrainer import Point, Pretrained, Pretrainer, PretrainProgress, mean_curve
from neurofmx.foundation.self_supervision import SELF_SUPERVISION
from neurofmx.models.foundation.assembled import assemble
from neurofmx.models.foundation.config import NeurofmxConfig
from neurofmx.parts import TEST
from neurofmx.tokenizers.cutting.origin import Origin
from neurofmx.tokenizers.cutting.windows import Windows
from neurofmx.tokenizers.joined import Joined
from neurofmx.tokenizers.joining import together
from neurofmx.training.pretrained import all_weights, load_pretrained, of_seed
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


def pretrainer(
    folder: Path,
    *,
    joined: list[Joined] | None = None,
    config: NeurofmxConfig = TINY,
    stop_after: int = 10**6,
    seed: int = 42,
    **options: object,
) -> Pretrainer:
    chosen = PretrainOptions(**{"num_epochs": 2, "steps": 2, "batch_size": 12, "learning_rate": 3e-3} | options)
    torch.manual_seed(0)
    joined = joined or sets()
    network, known = assemble(config, joined)
    how = {"balance": chosen.balance, "batch_size": chosen.batch_size, "steps": chosen.steps, "spikes": chosen.spikes}
    feed = Feed(joined, known, device=torch.device("cpu"), **how)

    def on_epoch(progress: PretrainProgress) -> None:
        if progress.epoch == stop_after:
            raise KeyboardInterrupt

    return Pretrainer(network, feed, chosen, seed=seed, folder=folder, on_epoch=on_epoch)


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


def test_a_temperature_is_learnt_and_resumed_with_the_same_bits(tmp_path: Path) -> None:
    options = {"losses": {"contrast": 1.0}, "temperature": 0.3, "temperature_learnt": True, "batch_size": 48}
    whole = pretrainer(tmp_path / "whole", **options).fit()
    with pytest.raises(KeyboardInterrupt):
        pretrainer(tmp_path / "cut", stop_after=1, **options).fit()
    again = pretrainer(tmp_path / "cut", **options).fit()
    assert same(again, whole)
    assert again.temperature == whole.temperature != 0.3
    held = pretrainer(tmp_path / "held", **options | {"temperature_learnt": False}).fit()
    assert held.temperature == 0.3
    assert not same(held, whole)


@pytest.mark.parametrize(
    ("setting", "losses"),
    [
        ({"temperature": 0.5}, {"contrast": 1.0}),
        ({"forecast_discount": 0.3}, {"forecast": 1.0}),
        ({"mmd_bandwidths": (0.5, 2.0)}, {"reconstruction": 1.0, "mmd": 1.0}),
        ({"gradnorm_alpha": 30.0}, {"reconstruction": 1.0, "contrast": 1.0}),
        ({"gradnorm_rate": 0.1}, {"reconstruction": 1.0, "forecast": 1.0}),
    ],
    ids=lambda each: next(iter(each)),
)
def test_every_setting_of_a_loss_changes_what_is_learnt(tmp_path: Path, setting: dict, losses: dict) -> None:
    options: dict = {"losses": losses, "num_epochs": 1, "steps": 4, "batch_size": 48}
    if "gradnorm" in next(iter(setting)):  # whose weights move by signs at first, whatever its strength
        options |= {"weighting": "gradnorm", "gradnorm_rate": 0.3, "steps": 16}
    plain, again, other = (
        pretrainer(tmp_path / name, **options | more).fit()
        for name, more in (("plain", {}), ("again", {}), ("other", setting))
    )
    assert same(plain, again)
    assert not same(plain, other)
    ((name, value),) = setting.items()
    assert PretrainOptions(**setting).model_dump()[name] == value != PretrainOptions().model_dump()[name]


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("temperature", 0.01),
        ("forecast_discount", 0.0),
        ("forecast_discount", 1.1),
        ("mmd_bandwidths", ()),
        ("mmd_bandwidths", (0.0,)),
        ("gradnorm_alpha", -0.1),
        ("gradnorm_rate", 0.0),
    ],
)
def test_a_setting_of_a_loss_out_of_its_bounds_is_refused_by_name(name: str, wrong: object) -> None:
    with pytest.raises(ValidationError, match=name):
        PretrainOptions(**{name: wrong})


def test_half_precision_is_near_and_is_resumed_with_the_same_bits(tmp_path: Path) -> None:
    half = TINY.model_copy(update={"precision": "bfloat16"})
    single, whole = (pretrainer(tmp_path / c.precision, config=c).fit() for c in (TINY, half))
    with pytest.raises(KeyboardInterrupt):
        pretrainer(tmp_path / "cut", config=half, stop_after=1).fit()
    assert same(pretrainer(tmp_path / "cut", config=half).fit(), whole)
    assert {value.dtype for value in whole.last.values()} == {value.dtype for value in single.last.values()}
    moved = torch.cat([(whole.last[name] - value).flatten() for name, value in single.last.items()])
    assert 0 < moved.abs().max() < 0.1  # four steps of 3e-3 at most, and products of 8 bits
    losses = [[point.validation_loss for point in each.curve] for each in (whole, single)]
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)


def test_another_seed_hides_and_draws_otherwise_and_ends_elsewhere(tmp_path: Path) -> None:
    one, other = (pretrainer(tmp_path / str(seed), seed=seed, num_epochs=1).fit() for seed in (1, 2))
    assert one.curve != other.curve
    assert not same(one, other)


def test_the_mean_curve_is_that_of_the_seeds() -> None:
    one = [Point(5, 2.0, 1.0, {"reconstruction": 1.0}), Point(10, 1.0, 0.5, {"reconstruction": 0.5})]
    two = [Point(5, 4.0, 2.0, {"reconstruction": 2.0, "species": 3.0}), Point(10, 2.0, 0.7, {"species": 1.0})]
    assert mean_curve([one, two]) == [
        Point(5, 3.0, 1.5, {"reconstruction": 1.5, "species": 3.0}),
        Point(10, 1.5, pytest.approx(0.6), {"reconstruction": 0.5, "species": 1.0}),
    ]
    assert mean_curve([one]) == one


def test_every_loss_by_name_is_asked_and_has_a_gradient(tmp_path: Path) -> None:
    assert set(LOSSES) == set(SELF_SUPERVISION) > set(JUDGED)
    losses, shown = dict.fromkeys(LOSSES, 1.0), ("rat/lfp",)
    training = pretrainer(tmp_path, losses=losses, stimuli=shown, batch_size=48)
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


def test_what_belongs_together_is_asked_by_params_and_learnt(tmp_path: Path) -> None:
    """Spikes and what was shown follow one angle; a pretraining by this loss alone, which chance leaves at log N."""
    options: dict = {"losses": {"tri_modal": 1.0}, "stimuli": ("rat/lfp",), "drop_modalities": 0.0, "batch_size": 32}
    options |= {"num_epochs": 10, "steps": 8, "learning_rate": 5e-3, "schedule": "constant", "warmup_fraction": 0.02}
    curve = pretrainer(tmp_path, joined=sets()[:1], **options).fit().curve
    assert set(curve[0].losses) == {"tri_modal"}
    assert curve[-1].losses["tri_modal"] < 0.6 * np.log(32)
    assert curve[-1].validation_loss < 0.9 * curve[0].validation_loss


def test_what_belongs_together_needs_two_kinds_of_streams(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"losses\.tri_modal: all streams \(.*rat/lfp.*\) are neural; add what was"):
        pretrainer(tmp_path, losses={"tri_modal": 1.0})


def test_rows_of_which_nothing_is_asked_judge_no_epoch(tmp_path: Path) -> None:
    nothing = {"units": 0.0, "modality": 0.0, "span_s": 1e6}
    with pytest.raises(ValueError, match="no validation row had a loss"):
        pretrainer(tmp_path, losses={"reconstruction": 1.0}, mask=nothing).validate()


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


def test_what_the_fold_tests_changes_no_bit_of_the_weights(tmp_path: Path) -> None:
    """Samples, answers and scaling of other folds are spoilt; training and validation rows are as they were."""

    def spoilt(made: Windows) -> Windows:
        tested = made.split[0] == TEST
        x, y = made.x.copy(), made.y.copy()
        x[tested], y[tested] = np.nan, np.nan
        mean, std = made.mean.copy(), made.std.copy()
        mean[1:], std[1:] = np.nan, np.nan
        return replace(made, x=x, y=y, mean=mean, std=std)

    rat, mouse = sets()
    other = [replace(each, streams={n: spoilt(w) for n, w in each.streams.items()}) for each in (rat, mouse)]
    losses = dict.fromkeys(LOSSES, 0.5)
    whole, again = (
        pretrainer(tmp_path / name, joined=joined, num_epochs=1, losses=losses, stimuli=("rat/lfp",)).fit()
        for name, joined in (("whole", [rat, mouse]), ("again", other))
    )
    assert same(again, whole)


def test_a_loss_without_weight_is_not_learnt_by_a_weighting_of_its_own(tmp_path: Path) -> None:
    losses = {"reconstruction": 1.0, "contrast": 0.0}
    done = pretrainer(tmp_path, losses=losses, weighting="uncertainty", num_epochs=1).fit()
    assert set(done.weights) == {"reconstruction"}
    assert set(done.curve[0].losses) == {"reconstruction"}
    with pytest.raises(ValidationError, match="species cannot say which epoch is the best"):
        PretrainOptions(losses={"species": 1.0, "reconstruction": 0.0})


def test_a_forecast_is_not_asked_of_what_has_seen_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"causal=False: such a model has seen what pretrain\.losses\.forecast asks"):
        pretrainer(tmp_path, config=TINY.model_copy(update={"causal": False}))


def test_a_step_of_which_nothing_was_hidden_is_left_out(tmp_path: Path) -> None:
    """A stretch as long as the windows: of most rows nothing, of a few all but the rest is hidden."""
    options: dict = {"losses": {"reconstruction": 1.0}, "batch_size": 2, "steps": 12, "num_epochs": 1}
    training = pretrainer(tmp_path / "some", **options, mask={"units": 0.0, "modality": 0.0, "span_s": 7.0})
    curve = training.fit().curve
    assert 0.3 < curve[0].train_loss < 4
    assert training.progress.step == 12
    with pytest.raises(ValueError, match=r"no step of epoch 1 had a loss.*span_s=1e\+06"):
        pretrainer(tmp_path / "none", **options, mask={"units": 0.0, "modality": 0.0, "span_s": 1e6}).fit()


def test_weights_say_whom_they_have_seen(tmp_path: Path) -> None:
    files = {}
    for stream, made in (("rat/spikes", windows("rat_spikes", "rat", file="r")), ("mouse/spikes", windows("m", "m"))):
        files[stream] = tmp_path / f"{made.dataset}.h5"
        made.save(files[stream])
    options = PretrainOptions(num_epochs=1, steps=1, batch_size=8, losses={"reconstruction": 1.0})
    recipe = PretrainRecipe(files, TINY, options, seed=3)
    assert recipe.key() != recipe._replace(seed=4).key()
    with pretrain(recipe, keep=tmp_path / "keep", label="test") as finished:
        save_pretrained(of_seed(tmp_path / "out", 3), finished)
    weights, facts = load_pretrained(of_seed(tmp_path / "out", 3))
    assert all_weights(tmp_path / "out") == [tmp_path / "out/seed3/weights.safetensors"]
    assert (facts["seed"], facts["temperature"]) == (3, 0.1)
    assert [each["recording"] for each in facts["seen"]] == ["rat/1", "m/1"]
    known = {"dataset": "rat_spikes", "modality": "spikes", "channels": [f"channel-{i}" for i in range(4)]}
    assert facts["streams"]["rat/spikes"] == known
    assert all(torch.equal(weights[name], value) for name, value in finished.pretrained.best.items())
    assert not list((tmp_path / "keep").glob("*/state.safetensors"))
    with pytest.raises(FileNotFoundError, match=r"no pretrained weights in .*nothing; name datasets"):
        load_pretrained(tmp_path / "nothing")


def test_nothing_is_left_for_a_test_where_no_fold_is_named(tmp_path: Path) -> None:
    made = windows("rat_spikes", "rat", file="r")
    made.save(tmp_path / "w.h5")
    rows = {}
    for fold in (0, None):
        options = PretrainOptions(num_epochs=1, steps=1, batch_size=8, losses={"reconstruction": 1.0}, fold=fold)
        recipe = PretrainRecipe({"rat/spikes": tmp_path / "w.h5"}, TINY, options, seed=0)
        with pretrain(recipe, keep=tmp_path / "keep", label="test") as finished:
            rows[fold] = finished.facts["rows"][0]
    assert rows[None] == rows[0] + (made.split[0] == TEST).sum()
    wrong = PretrainRecipe({"rat/spikes": tmp_path / "w.h5"}, TINY, PretrainOptions(fold=3), seed=0)
    with (
        pytest.raises(ValueError, match=r"pretrain.fold=3: rat/spikes has the folds 0 to 2"),
        pretrain(wrong, keep=tmp_path / "keep", label="test"),
    ):
        pass
