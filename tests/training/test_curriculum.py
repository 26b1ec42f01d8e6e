"""The curriculum: easy first, whole by half-way, and not a bit different after a kill."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.tokenizers.test_text_windows import windows as text_windows
from tests.training.test_loop import same, trainer

from neurofmx.tokenizers.tokens import Sample
from neurofmx.training.curriculum import Difficulty, beginnings, shortest, stage_is_over, stages
from neurofmx.training.options import TrainOptions
from synthetic import synthetic_windows

HURRIED = {"curriculum_patience": 1, "num_epochs": 12, "patience": 12}


@pytest.mark.parametrize(("start", "shares"), [(0.25, [0.25, 0.5, 1]), (0.3, [0.3, 0.6, 1]), (0.7, [0.7, 1])])
def test_each_stage_doubles_the_one_before(start: float, shares: list[float]) -> None:
    lengths = stages(TrainOptions(curriculum="length", curriculum_start=start))
    assert lengths == tuple(Difficulty(length=share) for share in shares)
    noises = stages(TrainOptions(curriculum="noise", curriculum_start=start))
    assert noises == tuple(Difficulty(noise=share) for share in shares)


def test_a_stage_ends_without_gain_or_when_its_time_is_up() -> None:
    options = TrainOptions(curriculum="length", curriculum_patience=2, num_epochs=40)
    over = {"stage": 0, "since": 0}
    assert not stage_is_over(options, **over, epoch=3, best_epoch=2)
    assert stage_is_over(options, **over, epoch=4, best_epoch=2)
    assert not stage_is_over(options, stage=1, since=4, epoch=5, best_epoch=2)  # it has had one epoch
    assert stage_is_over(options, **over, epoch=10, best_epoch=10)  # a quarter of all epochs
    assert stage_is_over(options, stage=1, since=10, epoch=20, best_epoch=20)
    assert not stage_is_over(options, stage=2, since=20, epoch=39, best_epoch=2)
    assert not stage_is_over(TrainOptions(), **over, epoch=9, best_epoch=0)


@pytest.mark.parametrize(("epochs", "start"), [(2, 0.25), (5, 0.05), (8, 0.05)])
def test_everything_is_whole_from_half_way_on_however_few_the_epochs(tmp_path: Path, epochs: int, start: float) -> None:
    shares = list[float]()
    made = trainer(
        tmp_path, curriculum="length", curriculum_start=start, curriculum_patience=epochs, num_epochs=epochs, patience=9
    )
    step = made._epoch

    def noted() -> float:
        shares.append(made.stages[made.progress.stage].length)
        return step()

    made._epoch = noted  # type: ignore[method-assign]
    made.fit()
    assert shares[0] == start
    assert all(share == 1 for share in shares[-(-epochs // 2) :]), shares


def test_beginnings_keep_whole_tokens_and_the_answers_that_belong_to_them() -> None:
    x, label = torch.randn(5, 12, 3), torch.arange(5)
    short, y = beginnings(Sample(x, length=torch.tensor([12, 2, 5, 7, 1])), label, share=0.4, unit=4)
    assert torch.equal(short.x, x[:, :8])
    assert short.length is not None
    assert short.length.tolist() == [8, 2, 5, 7, 1]
    assert torch.equal(y, label)
    numbers = torch.arange(60).view(5, 12, 1)
    text, following = beginnings(Sample(numbers), numbers[..., 0] + 1, share=0.25, unit=1)
    assert torch.equal(following, text.x[..., 0] + 1)
    assert text.x.shape == (5, 3, 1)


def test_what_windows_can_be_shortened_by() -> None:
    assert shortest(replace(synthetic_windows(), patch=3)) == 3
    assert shortest(synthetic_windows(modality="image")) == 6
    film = replace(synthetic_windows(modality="video"), grid=(3, 4))
    assert shortest(film) == 3
    assert shortest(replace(film, patch=2)) == 6
    assert shortest(text_windows()) == 1


@pytest.mark.parametrize("curriculum", ["length", "noise"])
@pytest.mark.parametrize("killed_after", [1, 4])
def test_a_killed_curriculum_ends_with_the_same_bits(tmp_path: Path, curriculum: str, killed_after: int) -> None:
    options = {"curriculum": curriculum, **HURRIED}
    first = trainer(tmp_path / "whole", **options)
    whole = first.fit()
    assert first.progress.stage == 2
    with pytest.raises(KeyboardInterrupt):
        trainer(tmp_path / "cut", stop_after=killed_after, **options).fit()
    assert same(trainer(tmp_path / "cut", **options).fit(), whole)


def test_lengths_grow_to_the_whole_and_validation_is_always_whole(tmp_path: Path) -> None:
    training = trainer(tmp_path, curriculum="length", **HURRIED)
    read: list[tuple[bool, int]] = []
    training.model.register_forward_pre_hook(lambda module, given: read.append((module.training, given[0].x.shape[1])))
    training.fit()
    trained = [length for train, length in read if train]
    assert sorted(set(trained)) == [2, 3, 6]
    assert trained == sorted(trained)
    assert {length for train, length in read if not train} == {6}
    assert trained.count(6) >= len(trained) / 2


def test_noise_grows_to_the_whole(tmp_path: Path) -> None:
    training = trainer(tmp_path, curriculum="noise", input_noise=8.0, **HURRIED)
    spread: list[float] = []
    training.model.register_forward_pre_hook(
        lambda module, given: spread.append(float(given[0].x.std())) if module.training else None
    )
    training.fit()
    assert spread[0] == pytest.approx((1 + 2**2) ** 0.5, rel=0.1)
    assert spread[-1] == pytest.approx((1 + 8**2) ** 0.5, rel=0.1)


def test_early_stopping_waits_for_whole_windows(tmp_path: Path) -> None:
    training = trainer(tmp_path, curriculum="length", num_epochs=60, patience=2, learning_rate=0.1)
    training.fit()
    assert training.progress.stage == 2
    assert training.progress.epoch < 60
    assert training.progress.epoch - max(training.progress.best_epoch, training.progress.stage_since) == 2


def test_a_still_image_stays_whole(tmp_path: Path) -> None:
    plain, short = trainer(tmp_path / "a", num_epochs=3), trainer(tmp_path / "b", curriculum="length", num_epochs=3)
    short.batches.unit = shortest(synthetic_windows(modality="image"))
    a, b = plain.fit(), short.fit()
    assert a.curve == b.curve
