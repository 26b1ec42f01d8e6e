"""The training loop: learns, stops, accumulates exactly, and a resumed training ends with the same bits."""

from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState

from neurofmx.models.decoder import Decoder
from neurofmx.models.head import Head
from neurofmx.task import TaskKind
from neurofmx.tokenizers.linear import LinearTokenizer
from neurofmx.tokenizers.tokens import Layout, Sample
from neurofmx.training.batches import Batches, corrupt
from neurofmx.training.loop import Fitted, Progress, Trainer
from neurofmx.training.options import TrainOptions
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

    batches = Batches(windows, 0, batch_size=chosen.batch_size, device=torch.device("cpu"))
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


def test_accumulated_batches_are_one_large_batch(tmp_path: Path) -> None:
    plain = {"input_noise": 0.0, "num_epochs": 2}
    large, small = (
        trainer(tmp_path / "a", batch_size=48, **plain),
        trainer(tmp_path / "b", batch_size=16, gradient_accumulation=3, **plain),
    )
    for training in (large, small):
        training.model.backbone.dropout.p = training.model.head.dropout.p = 0.0
    a, b = large.fit(), small.fit()
    assert large.progress.step == small.progress.step
    for name in a.last:
        torch.testing.assert_close(a.last[name], b.last[name], rtol=1e-3, atol=1e-5)


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


def test_cuda_is_refused_where_there_is_none(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(RuntimeError, match=r"no CUDA device .* set train\.device to auto or cpu"):
        trainer(tmp_path, device="cuda")


def test_bfloat16_where_the_processor_has_it(tmp_path: Path) -> None:
    half = trainer(tmp_path / "half", mixed_precision=True, num_epochs=3).fit()
    AcceleratorState._reset_state(reset_partial_state=True)
    full = trainer(tmp_path / "full", mixed_precision=False, num_epochs=3).fit()
    assert all(value.dtype == torch.float32 for value in half.last.values())
    assert half.curve[-1][2] == pytest.approx(full.curve[-1][2], rel=0.05)
