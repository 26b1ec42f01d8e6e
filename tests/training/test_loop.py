"""The training loop: learns, stops, accumulates exactly, and a resumed training ends with the same bits."""

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState

from neurofmx.models.configs import HeadConfig, LstmConfig
from neurofmx.models.decoding.decoder import Decoder
from neurofmx.models.decoding.head import Head
from neurofmx.recordings.task import TaskKind
from neurofmx.tokenizers.linear import LinearTokenizer
from neurofmx.tokenizers.tokens import Layout, Sample
from neurofmx.training.batches import Batches, corrupt, corrupted
from neurofmx.training.class_weights import balanced
from neurofmx.training.loop import Fitted, Progress, Trainer, _class_weights, _has_bf16
from neurofmx.training.one_job import fit
from neurofmx.training.options import TrainOptions
from neurofmx.training.recipe import Recipe
from synthetic import synthetic_windows


class _Pass(torch.nn.Module):
    """A backbone with dropout, so that randomness matters, and no memory."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.layer, self.dropout = torch.nn.Linear(dim, dim), torch.nn.Dropout(0.2)

    def forward(self, tokens: torch.Tensor, state: None = None) -> tuple[torch.Tensor, None]:
        return tokens + self.dropout(torch.tanh(self.layer(tokens))), state


class _Offers(_Pass):
    """The same beside a number that only a term of its own reaches, which is least at 3."""

    def __init__(self, dim: int, *, offers: bool) -> None:
        super().__init__(dim)
        self.free, self.offers = torch.nn.Parameter(torch.zeros(())), offers

    def take_auxiliary_loss(self) -> torch.Tensor | None:
        return (self.free - 3.0).square() if self.offers and self.training else None


def trainer(
    folder: Path,
    kind: TaskKind = "classification",
    *,
    stop_after: int = 10**6,
    backbone: torch.nn.Module | None = None,
    **options: object,
) -> Trainer:
    """A small training; `stop_after` epochs it is killed, as by a signal, between two epochs."""
    windows = synthetic_windows(kind)
    chosen = TrainOptions(**{"learning_rate": 3e-3, "num_epochs": 8, "batch_size": 16, "input_noise": 0.1} | options)
    torch.manual_seed(0)
    head = Head(8, task=windows.task, pool="mean")
    if kind == "regression":
        head.target_mean.fill_(100.0)
        head.target_std.fill_(7.0)
    model = Decoder(LinearTokenizer(Layout.of(windows), 8), backbone or _Pass(8), head)

    def on_epoch(progress: Progress) -> None:
        if progress.epoch == stop_after:
            raise KeyboardInterrupt

    batches = Batches(
        windows,
        0,
        batch_size=chosen.batch_size,
        device=torch.device("cpu"),
        min_batches=chosen.min_batches,
        max_batches=chosen.max_batches,
    )
    return Trainer(model, batches, chosen, seed=1, folder=folder, on_epoch=on_epoch)


def same(a: Fitted, b: Fitted) -> bool:
    """Equal to the last bit, curve included."""
    tensors = all(torch.equal(a.best[k], b.best[k]) and torch.equal(a.last[k], b.last[k]) for k in a.best)
    return tensors and a.curve == b.curve and a.best_epoch == b.best_epoch


def test_what_a_part_of_the_network_adds_is_trained_on_and_stays_out_of_the_curve(tmp_path: Path) -> None:
    found = []
    for offers in (False, True):
        torch.manual_seed(0)
        options = {"backbone": _Offers(8, offers=offers), "gradient_clip": 1e9, "learning_rate": 0.1}
        found.append(trainer(tmp_path / str(offers), **options).fit())  # type: ignore[arg-type]
    assert found[0].curve == found[1].curve
    assert found[0].last["backbone.free"] == 0
    assert 1 < found[1].last["backbone.free"] < 4


@pytest.mark.parametrize("killed_after", [1, 3, 7])
def test_resume_equals_uninterrupted(tmp_path: Path, killed_after: int) -> None:
    whole = trainer(tmp_path / "whole").fit()
    with pytest.raises(KeyboardInterrupt):
        trainer(tmp_path / "cut", stop_after=killed_after).fit()
    assert same(trainer(tmp_path / "cut").fit(), whole)


@pytest.mark.parametrize(
    ("kind", "chance"), [("classification", np.log(2)), ("circular", 0.5), ("regression", 0.5 * 100 / 49)]
)
def test_every_task_is_learnt(tmp_path: Path, kind: TaskKind, chance: float) -> None:
    fitted = trainer(tmp_path, kind, num_epochs=40, patience=40).fit()
    assert fitted.curve[0][2] > 0.5 * chance
    assert min(point[2] for point in fitted.curve) < 0.35 * chance


def test_predictions_are_in_the_unit_of_the_target(tmp_path: Path) -> None:
    training = trainer(tmp_path, "regression", num_epochs=40, patience=40)
    fitted, windows = training.fit(), synthetic_windows("regression")
    training.model.load_state_dict(fitted.best)
    index = windows.fold(0).test
    error = training.model.predict(Sample.of(windows, 0, index)) - windows.y[index]
    assert np.abs(error).mean() < 4  # the target's deviation is 7


def test_early_stopping_keeps_the_best_epoch(tmp_path: Path) -> None:
    fitted = trainer(tmp_path, num_epochs=200, patience=3, learning_rate=0.1).fit()
    losses = [point[2] for point in fitted.curve]
    assert len(losses) == fitted.best_epoch + 3 < 200
    assert fitted.best_epoch == int(np.argmin(losses)) + 1


def exact(folder: Path, **options: object) -> Trainer:
    """A training in double precision without dropout or noise."""
    training = trainer(folder, input_noise=0.0, **options)
    training.model.double()
    training.model.backbone.dropout.p = training.model.head.dropout.p = 0.0
    batches = training.batches
    batches.sample, batches.sample_validation = (
        each.with_x(each.x.double()) for each in (batches.sample, batches.sample_validation)
    )
    return training


@pytest.mark.parametrize("more", [{}, {"class_weights": "balanced", "label_smoothing": 0.2}, {"gradient_clip": 1e-3}])
def test_accumulated_batches_are_one_large_batch(tmp_path: Path, more: dict) -> None:
    """64 windows: one step of 48 and one of 16, in one batch each or in batches of 16."""
    large = exact(tmp_path / "a", batch_size=48, num_epochs=2, **more)
    small = exact(tmp_path / "b", batch_size=16, gradient_accumulation=3, num_epochs=2, **more)
    a, b = large.fit(), small.fit()
    assert large.progress.step == small.progress.step == 4
    for name in a.last:
        torch.testing.assert_close(a.last[name], b.last[name], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(("clip", "length"), [(1e-3, 1e-3), (None, None), (1e9, None)])
def test_a_long_gradient_is_shortened_and_keeps_its_direction(
    tmp_path: Path, clip: float | None, length: float | None
) -> None:
    """What reaches the optimiser, beside the gradient that autograd gives for the same batch."""
    training = exact(tmp_path, batch_size=64, gradient_clip=clip)
    sample, y = training.batches.sample, training.batches.y
    weights = list(training.model.parameters())
    plain = torch.cat([g.flatten() for g in torch.autograd.grad(training._loss(sample, y), weights)])
    seen: list[torch.Tensor] = []
    training.optimizer.optimizer.register_step_pre_hook(
        lambda *_: seen.append(torch.cat([weight.grad.flatten() for weight in weights]))
    )
    training._epoch()
    norm = float(plain.norm())
    assert float(seen[0].norm()) == pytest.approx(length or norm, rel=1e-5)
    torch.testing.assert_close(seen[0] / seen[0].norm(), plain / norm)


def test_balanced_weights_count_every_class_the_same() -> None:
    """Weighted losses are those of a set in which each window stands as often as its class is rare."""
    y, outputs = torch.tensor([0, 0, 0, 1]), torch.randn(4, 2, dtype=torch.float64)
    head = Head(8, task=synthetic_windows().task, pool="mean")
    weights = balanced(y, classes=2).double()
    assert weights.tolist() == pytest.approx([2 / 3, 2])
    again = torch.tensor([0, 1, 2, 3, 3, 3])
    torch.testing.assert_close(
        head.loss(outputs, y, class_weights=weights), head.loss(outputs[again], y[again]), rtol=1e-6, atol=0
    )
    assert balanced(torch.tensor([0, 2]), classes=3).tolist() == [1, 0, 1]


def test_weights_find_the_rare_class(tmp_path: Path) -> None:
    """A twelfth of the windows is of class 1 and nothing tells which: it is rare; weighted, both are as likely."""
    answers = []
    for kind in ("none", "balanced"):
        training = exact(tmp_path / kind, class_weights=kind, schedule="constant", learning_rate=0.03, batch_size=64)
        training.batches.y[:] = 0
        training.batches.y[::12] = 1
        training.batches.sample.x.zero_()
        training._weighted = _class_weights(training.options, training.batches, training.model)
        for _ in range(60):
            training._epoch()
        training.model.eval()
        answers.append(training.model(training.batches.sample)[0][0].softmax(0)[1].item())
    assert answers == pytest.approx([6 / 64, 0.5], abs=0.03)


def test_windows_read_from_the_file_give_the_same_bits_and_are_not_kept(tmp_path: Path) -> None:
    synthetic_windows(windows=300, time=50, channels=20).save(tmp_path / "windows.h5")
    options = TrainOptions(num_epochs=1, batch_size=16, input_noise=0.1, mixed_precision=False)
    fitted, most = [], []
    for use_cache in (True, False):
        recipe = Recipe(
            tmp_path / "windows.h5",
            "lstm",
            LstmConfig(hidden_dim=8),
            HeadConfig(),
            options.model_copy(update={"use_cache": use_cache}),
        )
        tracemalloc.start()
        fit(recipe, 0, 7, tmp_path / str(use_cache))
        most.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        fitted.append((tmp_path / str(use_cache) / "last.safetensors").read_bytes())
        AcceleratorState._reset_state(reset_partial_state=True)
    assert fitted[0] == fitted[1]
    windows = 300 * 50 * 20 * 4
    assert most[0] > most[1] + 0.9 * windows, "what numpy and Python hold"
    assert recipe.key() == replace(recipe, options=options).key(), "a training may go on either way"


def test_a_loss_that_is_not_finite_says_what_to_lower(tmp_path: Path) -> None:
    training = trainer(tmp_path)
    training.batches.sample.x[0] = float("nan")
    with pytest.raises(
        FloatingPointError, match=r"training loss became nan in epoch 1; lower train.learning_rate=0.003"
    ):
        training.fit()


def test_a_large_dataset_is_read_in_part() -> None:
    """Each epoch other windows, and validation an even share as large."""
    windows = synthetic_windows()
    whole = Batches(windows, 0, batch_size=8, device=torch.device("cpu"))
    part = Batches(windows, 0, batch_size=8, device=torch.device("cpu"), max_batches=2)
    epochs = [torch.cat([sample.x for sample, _ in part.epoch(torch.Generator().manual_seed(k))]) for k in (0, 1)]
    assert len(part) == 2
    assert [len(epoch) for epoch in epochs] == [part.windows] * 2 == [16, 16]
    assert not torch.equal(*epochs)
    held = part.sample_validation.x
    assert len(held) == round(len(whole.sample_validation) * 16 / whole.windows)
    assert all(any(torch.equal(x, y) for y in whole.sample_validation.x) for x in held)


def test_a_small_dataset_is_passed_over_several_times() -> None:
    batches = Batches(synthetic_windows(), 0, batch_size=30, device=torch.device("cpu"), min_batches=5)
    seen = torch.cat([y for _, y in batches.epoch(torch.Generator().manual_seed(0))])
    assert len(batches) == 7  # three passes over 64 windows
    assert len(seen) == batches.windows == 192
    assert int(seen.sum()) == 3 * int(batches.y.sum())


def test_corruption_keeps_the_mean_and_silences_whole_channels() -> None:
    x = torch.ones(4000, 3, 5)
    noisy = corrupt(x, noise=0.5, dropout=0.0, generator=torch.Generator().manual_seed(0))
    assert abs(float(noisy.std()) - 0.5) < 0.01
    silenced = corrupt(x, noise=0.0, dropout=0.25, generator=torch.Generator().manual_seed(0))
    assert abs(float(silenced.mean()) - 1) < 0.02
    assert silenced.unique().tolist() == pytest.approx([0, 4 / 3])
    assert torch.equal(silenced[:, 0], silenced[:, 2])


def test_what_is_beside_the_windows_is_corrupted_too() -> None:
    x, how = torch.ones(400, 3, 5), {"noise": 0.5, "dropout": 0.25}
    given = Sample(x, beside=Sample(torch.ones(400, 7, 2)))
    found = corrupted(given, generator=torch.Generator().manual_seed(0), **how)
    assert torch.equal(found.x, corrupt(x, generator=torch.Generator().manual_seed(0), **how)), "as it is without"
    assert found.beside is not None
    gone = (found.beside.x == 0).all(1)
    assert abs(float(gone.float().mean()) - 0.25) < 0.04
    assert abs(float(found.beside.x[(~gone)[:, None].expand(-1, 7, -1)].std()) - 0.5 / 0.75) < 0.02
    whole = Sample(torch.ones(2, 4, 1, dtype=torch.int64))
    assert corrupted(whole, generator=torch.Generator(), **how) is whole, "numbers of tokens stay"


def test_cuda_is_refused_where_there_is_none(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(RuntimeError, match=r"no CUDA device .* set train\.device to auto or cpu"):
        trainer(tmp_path, device="cuda")


def test_bfloat16_where_the_processor_has_it(tmp_path: Path) -> None:
    found = []
    for asked, precision in ((True, "bf16" if _has_bf16("cpu") else "no"), (False, "no")):
        AcceleratorState._reset_state(reset_partial_state=True)
        training = trainer(tmp_path / str(asked), mixed_precision=asked, num_epochs=3)
        assert training.accelerator.mixed_precision == precision
        found.append(training.fit())
    half, full = found
    assert same(half, full) != _has_bf16("cpu")
    assert all(value.dtype == torch.float32 for value in half.last.values())
    assert half.curve[-1][2] == pytest.approx(full.curve[-1][2], rel=0.05)
