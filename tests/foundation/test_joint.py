"""Several streams together: they know what neither does alone, and what is missing is never looked at."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from neurofmx.evaluation.joint import Told, chance_told, joint_markdown, joint_report, linear_told, windows_of
from neurofmx.evaluation.joint import tested as rows_tested
from neurofmx.foundation.joint import JointBatches, JointRecipe, JointTrainer, rows_of, train_joint
from neurofmx.models.configs import HeadConfig
from neurofmx.models.fitted.linear import LinearConfig, LinearDecoder
from neurofmx.models.fitted.readout import fit_readouts
from neurofmx.models.foundation.config import NeurofmxConfig
from neurofmx.models.foundation.joint import build_joint
from neurofmx.tokenizers.cutting.origin import Origin
from neurofmx.tokenizers.cutting.windows import Windows
from neurofmx.tokenizers.joined import Joined
from neurofmx.tokenizers.joining import join
from neurofmx.training.loop import Fitted, Progress
from neurofmx.training.options import TrainOptions
from synthetic import synthetic_windows

TINY = NeurofmxConfig(hidden_dim=16, num_layers=1, latents=2, latent_layers=1, num_attention_heads=2, dropout=0.1)
OPTIONS = TrainOptions(
    num_epochs=3, batch_size=16, learning_rate=1e-2, input_noise=0.1, mixed_precision=False, device="cpu"
)


def half(which: int, *, time: int, late: float) -> Windows:
    """Windows that hold the cosine of the answer alone, or its sine."""
    made = synthetic_windows("circular", windows=150, time=time, channels=3)
    known = np.stack([np.cos(made.y), np.sin(made.y)], 1)[:, which]
    noise = np.random.default_rng(which).normal(size=made.x.shape)
    x = (known[:, None, None] + 0.3 * noise).astype(np.float32)
    train = [x[row == 0] for row in made.split]
    return replace(
        made,
        x=x,
        mean=np.stack([each.mean((0, 1)) for each in train]),
        std=np.stack([each.std((0, 1)) for each in train]),
        start=made.start + late,
        stop=made.stop + late,
        anchor=made.start + late,
        origins=(Origin("rat/1", "rat", ("aa",)),),
        species="rat",
    )


def both() -> Joined:
    streams = {"rat/spikes": half(0, time=6, late=0.0), "rat/lfp": half(1, time=12, late=0.02)}
    return join(streams, tolerance=0.05).complete()


def test_of_a_limited_epoch_validation_is_an_even_share_as_large() -> None:
    joined, streams = both(), ("rat/spikes", "rat/lfp")
    part, options = joined.fold(0), OPTIONS.model_copy(update={"max_batches": 2})
    limited = JointBatches(joined, 0, options, only=streams, device=torch.device("cpu"))
    share = 2 * OPTIONS.batch_size / len(part.train)
    assert share < 0.5
    assert len(limited.rows_validation) == len(limited.y_validation) == round(share * len(part.validation))
    assert len(JointBatches(joined, 0, OPTIONS, only=streams, device=torch.device("cpu")).y_validation) == len(
        part.validation
    )


def test_together_the_linear_model_knows_what_neither_knows_alone() -> None:
    joined, config = both(), LinearConfig(strengths=(1.0,))
    choices = [("rat/spikes", "rat/lfp"), ("rat/spikes",), ("rat/lfp",)]
    told = [each for only in choices for each in linear_told(joined, config, only=only)]
    rows = rows_tested(joined)
    assert len(rows) > 140
    points = joint_report(told, joined.y[rows], joined.block[rows], joined.task, draws=100)
    assert points[0]["score"] > 0.9
    for point in points[1:]:  # one of two coordinates: half of the variance
        assert 0.3 < point["score"] < 0.55
        assert point["together_minus_this"]["low"] > 0.3
    table = joint_markdown(points, headline="r2")
    assert table.count("\n") == 2 + len(points)
    assert "| linear | rat/spikes, rat/lfp | rat/spikes, rat/lfp |" in table


def test_a_network_stands_beside_chance_and_the_linear_model_that_lacks_the_same() -> None:
    joined, config = both(), LinearConfig(strengths=(1.0,))
    names, rows = ("rat/spikes", "rat/lfp"), rows_tested(both())
    linear = linear_told(joined, config, only=names, reads=[names, names[:1]])
    chance = chance_told(joined)
    network = [Told("neurofmx", names, each.read, each.outputs[:, ::-1]) for each in linear]  # of other rows: useless
    points = joint_report([chance, *linear, *network], joined.y[rows], joined.block[rows], joined.task, draws=100)
    assert abs(points[0]["score"]) < 0.1
    assert "minus_linear" not in points[0]
    assert 0.3 < points[2]["score"] < 0.55  # one of two coordinates: half of the variance
    for point, beside in zip(points[3:], points[1:3], strict=True):
        assert point["minus_linear"]["value"] == pytest.approx(point["score"] - beside["score"])
        assert point["minus_linear"]["verdict"] == "loses"
    table = joint_markdown(points, headline="r2")
    assert "| chance | - | - |" in table
    assert table.count(" loses |") == 2


def test_without_a_stream_the_linear_model_takes_its_mean() -> None:
    joined, config = both(), LinearConfig(strengths=(1.0,))
    names = ("rat/spikes", "rat/lfp")
    (said,) = linear_told(joined, config, only=names, reads=[names[:1]])
    rows = rows_tested(joined)
    for fold in range(joined.folds):
        part = joined.fold(fold)
        learnt = np.concatenate([part.train, part.validation])
        x = {name: windows_of(joined, name).scaled(fold, learnt).reshape(len(learnt), -1) for name in names}
        given = windows_of(joined, names[0]).scaled(fold, part.test).reshape(len(part.test), -1)
        asked = np.concatenate([given, np.tile(x[names[1]].mean(0), (len(given), 1))], 1)
        flat = np.concatenate(list(x.values()), 1)
        readout = next(fit_readouts(flat, joined.y[learnt], joined.task, strengths=(1.0,)))
        np.testing.assert_allclose(said.outputs[0, np.isin(rows, part.test)], readout(asked), atol=1e-4)


def test_of_one_stream_it_is_the_linear_model_of_its_windows() -> None:
    joined, config = both(), LinearConfig()
    (said,) = linear_told(joined, config, only=("rat/lfp",))
    windows, rows = windows_of(joined, "rat/lfp"), rows_tested(joined)
    for fold in range(joined.folds):
        test = joined.fold(fold).test
        alone = LinearDecoder.fit(windows, fold, config).predict(windows.scaled(fold, test))
        np.testing.assert_allclose(said.outputs[0, np.isin(rows, test)], alone, atol=1e-6)


def test_windows_of_a_stream_stand_in_the_order_of_the_rows() -> None:
    joined = both()
    lfp, windows = joined.streams["rat/lfp"], windows_of(joined, "rat/lfp")
    for row in (0, 7):
        np.testing.assert_array_equal(windows.x[row], lfp.x[joined.index["rat/lfp"][row]])
    np.testing.assert_array_equal(windows.y, joined.y)
    np.testing.assert_array_equal(windows.split, joined.split)  # it learns from the rows that networks learn from


def test_a_stream_that_is_missing_is_never_looked_at() -> None:
    joined = both()
    torch.manual_seed(0)
    decoder = build_joint(TINY, HeadConfig(), joined, fold=0)
    test = joined.fold(0).test
    rows = rows_of(joined, 0, test, only=("rat/spikes",))
    said = decoder.predict(rows)
    rows.samples["rat/lfp"].x.fill_(float("nan"))
    np.testing.assert_array_equal(decoder.predict(rows), said)
    assert np.abs(decoder.predict(rows_of(joined, 0, test, only=("rat/spikes", "rat/lfp"))) - said).max() > 1e-4


def trainer(folder: Path, *, stop_after: int = 10**6) -> JointTrainer:
    joined = both()
    torch.manual_seed(0)
    decoder = build_joint(TINY, HeadConfig(), joined, fold=0)

    def on_epoch(progress: Progress) -> None:
        if progress.epoch == stop_after:
            raise KeyboardInterrupt

    batches = JointBatches(joined, 0, OPTIONS, only=tuple(joined.streams), device=torch.device("cpu"))
    return JointTrainer(decoder, batches, OPTIONS, drop=0.3, seed=1, folder=folder, on_epoch=on_epoch)


def same(a: Fitted, b: Fitted) -> bool:
    return all(torch.equal(a.best[k], b.best[k]) and torch.equal(a.last[k], b.last[k]) for k in a.best)


def test_a_training_that_was_killed_ends_with_the_same_bits(tmp_path: Path) -> None:
    whole = trainer(tmp_path / "whole").fit()
    with pytest.raises(KeyboardInterrupt):
        trainer(tmp_path / "cut", stop_after=2).fit()
    again = trainer(tmp_path / "cut").fit()
    assert same(again, whole)
    assert again.curve == whole.curve


def test_finished_folds_are_only_read(tmp_path: Path) -> None:
    joined = both()
    options = OPTIONS.model_copy(update={"num_epochs": 1, "max_batches": 1})
    files = {}
    for name, windows in joined.streams.items():
        files[name] = tmp_path / f"{name.replace('/', '_')}.h5"
        windows.save(files[name])
    recipe = JointRecipe(files, 0.05, TINY, HeadConfig(), options, 0.2, ("rat/spikes", "rat/lfp"))
    assert recipe.key() != recipe._replace(only=("rat/spikes",)).key()
    made = train_joint(recipe, joined, seeds=(0,), keep=tmp_path / "keep", label="test")
    assert sorted(made) == [(0, 0), (1, 0), (2, 0)]
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "keep").rglob("best.safetensors")}
    again = train_joint(recipe, joined, seeds=(0,), keep=tmp_path / "keep", label="test")
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())
    for key, decoder in made.items():
        for name, value in decoder.state_dict().items():
            assert torch.equal(again[key].state_dict()[name], value)


def test_a_curriculum_is_refused(tmp_path: Path) -> None:
    joined = both()
    options = OPTIONS.model_copy(update={"curriculum": "length"})
    batches = JointBatches(joined, 0, options, only=tuple(joined.streams), device=torch.device("cpu"))
    with pytest.raises(ValueError, match=r"train\.curriculum=length"):
        JointTrainer(
            build_joint(TINY, HeadConfig(), joined, fold=0), batches, options, drop=0.0, seed=0, folder=tmp_path
        )
