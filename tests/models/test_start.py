"""Beginning with pretrained weights: what is taken over is equal, what is new is new, a probe trains that alone."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from neurofmx.foundation.held_out import SeenError
from neurofmx.foundation.job import Finished, save_pretrained
from neurofmx.foundation.pretrainer import Pretrained
from neurofmx.models.configs import HeadConfig
from neurofmx.models.foundation.assembled import assemble
from neurofmx.models.foundation.config import NeurofmxConfig
from neurofmx.models.foundation.decoder import NeuroFMxDecoder, build_neurofmx
from neurofmx.models.foundation.start import begin
from neurofmx.tokenizers.cutting.origin import Origin
from neurofmx.tokenizers.cutting.windows import Windows
from neurofmx.tokenizers.joining import join
from neurofmx.tokenizers.tokens import Sample
from neurofmx.training.batches import Batches
from neurofmx.training.checkpoints.checkpoint import load_checkpoint
from neurofmx.training.one_job import fit_on
from neurofmx.training.options import TrainOptions
from neurofmx.training.pretrained import of_seed
from neurofmx.training.recipe import Beginning, Recipe
from synthetic import ragged_windows, synthetic_windows

TINY = NeurofmxConfig(
    hidden_dim=16, num_layers=1, latents=2, latent_layers=1, num_attention_heads=2, dropout=0.0, step_s=0.5
)


def mice(dataset: str, *sessions: str, subjects: tuple[str, ...], channels: int = 4) -> Windows:
    """Spikes of some sessions, each with units of its own, and whose they are."""
    each = [synthetic_windows(windows=60, seed=k, channels=channels + k) for k in range(len(sessions))]
    origins = tuple(Origin(f"mouse/{name}", whose, (name,)) for name, whose in zip(sessions, subjects, strict=True))
    return replace(ragged_windows(each), dataset=dataset, origins=origins, species="mouse")


@cache
def pretrained() -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights of a model of two sessions, and what is kept beside them."""
    torch.manual_seed(1)
    early = mice("early", "a", "b", subjects=("tom", "jerry"))
    network, _ = assemble(TINY, [join({"mice/spikes": early}, tolerance=0.0)])
    facts = {
        "config": TINY.model_dump(),
        "step_s": network.model.step_s,
        "streams": {"mice/spikes": {"dataset": "early", "modality": "spikes", "channels": []}},
        "seen": [{"dataset": "early", "recording": f"mouse/{s}", "files": [s], "alone": True} for s in "ab"],
    }
    return network.state_dict(), facts


def decoder(windows: Windows, config: NeurofmxConfig = TINY) -> NeuroFMxDecoder:
    torch.manual_seed(2)
    return build_neurofmx(config, HeadConfig(dropout=0.0), windows, fold=0)


LATE = mice("late", "c", "d", "e", subjects=("jerry", "spike", "tyke"), channels=9)


def test_shared_weights_are_taken_over_and_the_rest_is_drawn() -> None:
    weights, facts = pretrained()
    made = decoder(LATE)
    fresh = {name: value.clone() for name, value in made.state_dict().items()}
    taken = begin(made, weights, facts, mode="finetune", modality="spikes")
    assert taken.stream == "mice/spikes"
    own, same = made.state_dict(), []
    for name, value in own.items():
        source = "model." + name.removeprefix("backbone.").replace("late/spikes", "mice/spikes")
        if name.startswith("backbone.") and source in weights and weights[source].shape == value.shape:
            assert torch.equal(weights[source], value), name
            same.append(name)
        elif name.startswith("head."):
            assert torch.equal(fresh[name], value), name
    new = {name for name in own if name.startswith("backbone.") and name not in same and "extra_state" not in name}
    assert new == {
        "backbone.sessions.vectors",
        "backbone.subjects.vectors",
        "backbone.streams.streams.late/spikes.tokenizer.mixings.0.embedding",
    }
    for name in new:  # spread as those that were pretrained
        old = weights["model." + name.removeprefix("backbone.").replace("late/spikes", "mice/spikes")].flatten(0, -2)
        found = own[name].flatten(0, -2)
        assert float((found.mean() - old.mean()).abs()) < 3 * float(old.std())
        assert not torch.equal(found, fresh[name].flatten(0, -2))


def test_a_probe_trains_head_and_new_embeddings_alone() -> None:
    made = decoder(LATE)
    begin(made, *pretrained(), mode="probe", modality="spikes")
    trained = {name for name, parameter in made.named_parameters() if parameter.requires_grad}
    assert {name for name in trained if not name.startswith("head.")} == {
        "backbone.sessions.vectors",
        "backbone.subjects.vectors",
        "backbone.streams.streams.late/spikes.tokenizer.mixings.0.embedding",
    }
    assert {name for name in trained if name.startswith("head.")} == {
        f"head.{n}" for n, _ in made.head.named_parameters()
    }


def test_a_subject_that_was_pretrained_on_is_known_again() -> None:
    weights, facts = pretrained()
    made = decoder(LATE)
    taken = begin(made, weights, facts, mode="probe", modality="spikes", stream="mice/spikes")
    assert taken.subjects == ("jerry",)
    given, found = weights["model.subjects.vectors"], made.backbone.subjects.vectors
    assert made.backbone.subjects.names == ("jerry", "spike", "tyke")
    assert torch.equal(found[0], given[1])  # the second that was pretrained
    assert not any(torch.equal(new, old) for new in found[1:] for old in given)
    assert found.requires_grad  # two are new
    # who is called the same in recordings of another kind is somebody else
    assert begin(decoder(LATE), weights, facts, mode="probe", modality="spikes", stream="rats/spikes").subjects == ()


def test_a_probe_leaves_subjects_that_are_all_known() -> None:
    known = mice("late", "c", "d", subjects=("jerry", "jerry"), channels=9)
    made = decoder(known)
    taken = begin(made, *pretrained(), mode="probe", modality="spikes", stream="mice/spikes")
    assert taken.subjects == ("jerry",)
    assert not made.backbone.subjects.vectors.requires_grad
    assert made.backbone.sessions.vectors.requires_grad


def test_weights_without_subjects_leave_those_of_the_decoder_as_they_are() -> None:
    weights, facts = pretrained()
    old = {name: value for name, value in weights.items() if not name.startswith("model.subjects.")}
    made = decoder(LATE)
    fresh = made.backbone.subjects.vectors.detach().clone()
    taken = begin(made, old, facts, mode="finetune", modality="spikes", stream="mice/spikes")
    assert (taken.stream, taken.subjects) == ("mice/spikes", ())
    assert torch.equal(made.backbone.subjects.vectors, fresh)


def test_a_modality_that_was_not_pretrained_gets_a_tokenizer_of_its_own() -> None:
    calcium = replace(LATE, modality="calcium")
    made = decoder(calcium)
    assert begin(made, *pretrained(), mode="probe", modality="calcium").stream == ""
    tokenizer = [name for name, _ in made.named_parameters() if ".tokenizer." in name]
    trained = {name for name, parameter in made.named_parameters() if parameter.requires_grad}
    assert set(tokenizer) <= trained
    assert not any(name.startswith("backbone.dynamics") for name in trained)


@pytest.mark.parametrize(
    ("modality", "names", "stream"),
    [
        ("lfp", ("channel-0", "channel-1", "channel-2", "channel-3"), "mice/x"),  # the same electrodes
        ("lfp", ("a", "b", "c", "d"), ""),
        ("spikes", ("channel-0", "channel-1", "channel-2", "channel-3"), ""),  # a unit is another one in every session
    ],
)
def test_columns_are_taken_over_where_they_mean_the_same(modality: str, names: tuple[str, ...], stream: str) -> None:
    old = replace(synthetic_windows(), modality=modality, origins=(Origin("m/1", "m", ("a",)),), tokenizer="linear")
    network, _ = assemble(TINY, [join({"mice/x": old}, tolerance=0.0)])
    known = {"dataset": "old", "modality": modality, "channels": list(old.channels)}
    facts = {"config": TINY.model_dump(), "step_s": 0.5, "streams": {"mice/x": known}}
    new = replace(old, dataset="new", channels=names)
    made = decoder(new)
    begin_with = {"modality": modality, "channels": new.channels}
    assert begin(made, network.state_dict(), facts, mode="finetune", **begin_with).stream == stream


@pytest.mark.parametrize(
    ("change", "message"),
    [({"hidden_dim": 32}, "hidden_dim 16, here 32"), ({"step_s": 1.0}, "step_s=1: the pretrained .* 0.5 s")],
)
def test_another_build_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        begin(decoder(LATE, TINY.model_copy(update=change)), *pretrained(), mode="finetune", modality="spikes")


def test_a_fit_begins_there_and_refuses_sessions_that_were_pretrained_on(tmp_path: Path) -> None:
    weights, facts = pretrained()
    save_pretrained(
        of_seed(tmp_path / "base", 0), Finished(Pretrained(dict(weights), dict(weights), [], 0, {}, 0.1), facts, 0.0)
    )
    options = TrainOptions(num_epochs=1, batch_size=16, learning_rate=1e-9, weight_decay=0.0, mixed_precision=False)
    for windows, seen in ((LATE, False), (mice("late", "c", "b", "d", subjects=("tom", "tom", "tom")), True)):
        windows.save(tmp_path / "w.h5")
        beginning = Beginning(tmp_path / "base", "probe", "mice/spikes")
        recipe = Recipe(tmp_path / "w.h5", "neurofmx", TINY, HeadConfig(), options, 0.5, beginning)
        assert recipe.key() != replace(recipe, share=1.0).key()
        assert recipe.key() != replace(recipe, beginning=beginning._replace(mode="finetune")).key()
        if seen:
            with pytest.raises(SeenError, match=r"mouse/b \(pretrained on as early\)"):
                fit_on(windows, recipe, 0, 0, tmp_path / "seen")
            continue
        fit_on(windows, recipe, 0, 0, tmp_path / "home")
        made = decoder(windows)
        made.load_state_dict(load_checkpoint(tmp_path / "home" / "last.safetensors")[0])
        name = "fusion.read.attention.query.weight"
        assert torch.equal(made.backbone.state_dict()[name], weights[f"model.{name}"])
        assert torch.isfinite(made(Sample.of(windows, 0, windows.fold(0).test))[0]).all()


def test_every_start_is_given_the_same_rows_and_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights, facts = pretrained()
    save_pretrained(
        of_seed(tmp_path / "base", 7), Finished(Pretrained(dict(weights), dict(weights), [], 0, {}, 0.1), facts, 0.0)
    )
    LATE.save(tmp_path / "w.h5")
    given: list[tuple[Batches, TrainOptions, int]] = []

    def trainer(decoder: NeuroFMxDecoder, batches: Batches, options: TrainOptions, *, seed: int, **_: object) -> None:
        given.append((batches, options, seed))
        raise KeyboardInterrupt

    monkeypatch.setattr("neurofmx.training.one_job.Trainer", trainer)
    for mode in (None, "probe", "finetune"):
        beginning = None if mode is None else Beginning(tmp_path / "base", mode)  # type: ignore[arg-type]
        recipe = Recipe(tmp_path / "w.h5", "neurofmx", TINY, HeadConfig(), TrainOptions(device="cpu"), 0.25, beginning)
        with pytest.raises(KeyboardInterrupt):
            fit_on(LATE, recipe, 1, 7, tmp_path / "home")
    first, *others = given
    for batches, *rules in others:
        assert rules == [*first[1:]]
        for part in ("train", "validation"):
            for mine, theirs in zip(read(batches, part), read(first[0], part), strict=True):
                assert torch.equal(mine, theirs)


def read(batches: Batches, part: str) -> list[Tensor]:
    """Windows and answers in the order in which a training reads them."""
    each = batches.validation() if part == "validation" else batches.epoch(torch.Generator().manual_seed(3))
    return [tensor for sample, y in each for tensor in (sample.x, y)]


def test_a_seed_begins_with_the_weights_of_its_own_pretraining(tmp_path: Path) -> None:
    weights, facts = pretrained()
    name, begun = "fusion.read.attention.query.weight", {}
    LATE.save(tmp_path / "w.h5")
    options = TrainOptions(num_epochs=1, batch_size=16, learning_rate=1e-9, weight_decay=0.0, mixed_precision=False)
    recipe = Recipe(tmp_path / "w.h5", "neurofmx", TINY, HeadConfig(), options, 0.5, Beginning(tmp_path / "b", "probe"))
    keys = []
    for seed in (1, 2):
        other = {key: value + seed if key == f"model.{name}" else value for key, value in weights.items()}
        save_pretrained(of_seed(tmp_path / "b", seed), Finished(Pretrained(other, other, [], 0, {}, 0.1), facts, 0.0))
        keys.append(recipe.key())
        fit_on(LATE, recipe, 0, seed, tmp_path / f"home{seed}")
        begun[seed] = load_checkpoint(tmp_path / f"home{seed}" / "last.safetensors")[0][f"backbone.{name}"]
    assert all(torch.equal(begun[seed], weights[f"model.{name}"] + seed) for seed in (1, 2))
    assert keys[0] != keys[1]  # what is kept is found by the weights of all seeds
    with pytest.raises(FileNotFoundError, match=r"no pretrained weights in .*seed3; .*the seed in evaluate.seeds"):
        fit_on(LATE, recipe, 0, 3, tmp_path / "home3")
