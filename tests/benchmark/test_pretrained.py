"""Pretrained weights in the benchmark: frozen, refused where they have seen a recording, scored by what they say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
import torch

from known_models import SMALL, Plain, with_samples
from neurofmx.benchmark.adapters import pretrained
from neurofmx.benchmark.adapters.pretrained import FrozenPretrained, PretrainedModel
from neurofmx.benchmark.material import Material
from neurofmx.benchmark.outputs.markdown import markdown
from neurofmx.benchmark.protocol import Limited, Prepares, Reconstructs
from neurofmx.benchmark.run import Benchmark, benchmark
from neurofmx.foundation.job import PretrainRecipe, pretrain, save_pretrained
from neurofmx.foundation.options import MaskOptions, PretrainOptions
from neurofmx.models.foundation.config import NeurofmxConfig
from neurofmx.tokenizers.cutting.origin import Origin
from neurofmx.tokenizers.cutting.windows import Windows
from neurofmx.tokenizers.tokens import Sample
from neurofmx.training.pretrained import load_pretrained, of_seed
from synthetic import ragged_windows, synthetic_windows

NAME = "pretrained:base"
TINY = NeurofmxConfig(
    hidden_dim=32, num_layers=1, latents=4, latent_layers=1, num_attention_heads=2, dropout=0.0, step_s=0.5
)
UNITS, NOISE = 12, 0.3
SEEDS = (1, 3)
BOUND = 0.5 / (0.5 + NOISE**2)  # share of a channel's variance that follows the angle
OPTIONS = SMALL.model_copy(update={"held_out": 0.25})


def planted(session: str, preferred: np.ndarray | None = None) -> Windows:
    """Channels that follow the angle of their window, each by the cosine of its distance to an angle of its own."""
    seed = crc32(session.encode())
    rng, base = np.random.default_rng(seed), synthetic_windows("circular", windows=120, seed=seed)
    preferred = rng.uniform(0, 2 * np.pi, UNITS) if preferred is None else preferred
    drive = np.cos(base.y[:, None] - preferred)
    made = with_samples(base, drive[:, None] + NOISE * rng.normal(size=(120, 6, UNITS)))
    return replace(made, origins=(Origin(f"mouse/{session}", "mouse", (session,)),))


def units(dataset: str, *sessions: str) -> Windows:
    """Sessions that have units of their own."""
    each = [planted(name) for name in sessions]
    origins = tuple(origin for one in each for origin in one.origins)
    return replace(ragged_windows(each), dataset=dataset, origins=origins, species="mouse")


def parcels(session: str) -> Windows:
    """The same channels in every session, of another modality."""
    preferred = np.linspace(0, 2 * np.pi, UNITS, endpoint=False)
    return replace(planted(session, preferred), dataset=f"parcels_{session}", modality="fmri", species="human")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pretraining on two sessions of units and one of parcels, as its stage leaves it."""
    root = tmp_path_factory.mktemp("pretrained")
    given = {"mice/spikes": units("early", "a", "b"), "people/fmri": parcels("e")}
    files = {stream: root / f"{windows.dataset}.h5" for stream, windows in given.items()}
    for stream, windows in given.items():
        windows.save(files[stream])
    options = PretrainOptions(
        losses={"reconstruction": 1.0},
        mask=MaskOptions(time=0.0),
        num_epochs=8,
        steps=40,
        batch_size=32,
        learning_rate=5e-3,
    )
    for seed in SEEDS:
        each = options if seed == SEEDS[0] else options.model_copy(update={"num_epochs": 1})  # only one is asked long
        with pretrain(PretrainRecipe(files, TINY, each, seed), keep=root / "keep", label="base") as finished:
            save_pretrained(of_seed(root / "base", seed), finished)
    return root / "base"


@pytest.fixture
def model(folder: Path) -> PretrainedModel:
    return PretrainedModel(NAME, folder)


@pytest.fixture(scope="module")
def found(folder: Path) -> Benchmark:
    """Asked about new sessions of both streams, about one that was pretrained on, and about what it cannot read."""
    asked = {
        "late": units("late", "c", "d"),
        "later": replace(planted("f"), dataset="later"),  # one recording: its units stand in columns
        "parcels": parcels("g"),
        "early": units("other name", "a", "h"),
        "voltage": replace(planted("i"), modality="lfp"),
    }
    return benchmark({NAME: PretrainedModel(NAME, folder), "plain": Plain()}, asked, options=OPTIONS, seeds=(1,))


@pytest.mark.parametrize("dataset", ["late", "later", "parcels"])
def test_hidden_channels_of_new_recordings_are_rebuilt_by_the_models_own_readout(
    found: Benchmark, dataset: str
) -> None:
    """All channels follow one angle, so what is hidden can be told from what is shown, up to its own noise."""
    line = found.line(NAME, dataset)["reconstruction"]
    assert 0.9 * BOUND < line["own"]["score"] < 1.05 * BOUND
    assert line["own"]["linear"] == line["linear"]
    assert 0.9 * BOUND < line["score"] < 1.05 * BOUND  # by a ridge readout of its states
    assert "(own reconstruction)" in markdown(found.facts)
    assert found.line("plain", dataset)["reconstruction"]["own"]["absent"]


@pytest.mark.parametrize("dataset", ["late", "later", "parcels"])
def test_its_states_are_probed_and_no_answer_was_looked_at(found: Benchmark, dataset: str) -> None:
    line = found.line(NAME, dataset)["decoding"]
    assert line["read_by"] == "linear probe"
    assert line["score"] > 0.5  # R2 of the angle
    assert line["shuffled"] < 0.1
    assert not line["leak"]


def test_a_recording_that_was_pretrained_on_is_refused_whatever_its_dataset_is_called(found: Benchmark) -> None:
    parts = found.line(NAME, "early")
    assert all("mouse/a (pretrained on as early)" in part["absent"] for part in parts.values())
    assert f"{NAME} is not asked about early" in markdown(found.facts)
    assert not found.line("plain", "early")["decoding"]["absent"]


def test_what_no_pretrained_stream_reads_is_left_out_by_rule(found: Benchmark, model: PretrainedModel) -> None:
    (said,) = found.facts["beyond"]
    assert (said["dataset"], said["model"]) == ("voltage", NAME)
    assert "its modality is lfp, pretrained on was fmri, spikes" in found.line(NAME, "voltage")["latent"]["absent"]
    assert isinstance(model, Limited)
    wide = replace(planted("k"), patch=2)  # tokens of two samples where the pretrained ones have one
    assert model.cannot(wide) == "no pretrained stream of spikes has a tokenizer that reads its channels and patches"
    assert "it is a text" in model.cannot(replace(planted("k"), vocabulary=5))


def test_nothing_but_new_embeddings_is_learnt_and_the_same_seed_gives_the_same_bits(
    model: PretrainedModel, folder: Path
) -> None:
    windows = units("late", "c", "d")
    assert isinstance(model, Prepares)
    state = torch.get_rng_state()
    first, again = (model.prepare(windows, fold=0, seed=3) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)  # other models' draws stay as they are
    weights, _ = load_pretrained(of_seed(folder, 3))
    own = first.model.state_dict()
    new = {name for name in own if "embedding" in name or name.startswith(("sessions.", "subjects."))}
    for name in set(own) - new:
        given = f"model.{name}".replace("late/spikes", "mice/spikes")
        if "_extra_state" not in name and "modalities" not in name:
            assert torch.equal(own[name], weights[given]), name
    readout = first.readout.state_dict()
    for name in readout:
        given = weights[f"heads.readout.{name}"]
        if "_extra_state" not in name:
            assert torch.equal(readout[name][: len(given)], given), name
    for one, other in ((first.model, again.model), (first.readout, again.readout)):
        assert all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


def test_embeddings_that_are_not_learnt_rebuild_nothing(
    model: PretrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows = units("late", "c", "d")
    given = Material("late", windows, OPTIONS)
    tested = given.parts[0].test
    truth = windows.scaled(0, tested)[..., given.hidden]
    scores = []
    for steps in (0, pretrained.STEPS):
        monkeypatch.setattr(pretrained, "STEPS", steps)
        asked = model.prepare(windows, fold=0, seed=1)
        assert isinstance(asked, Reconstructs)
        sample = Sample.of(windows, 0, tested)
        sample.x[..., np.flatnonzero(given.hidden)] = 0.0
        said = asked.reconstruct(sample, given.hidden).numpy()[..., given.hidden]
        scores.append(1 - ((truth - said) ** 2).sum() / (truth**2).sum())
    assert scores[0] < 0.2 < 0.9 * BOUND < scores[1]


def test_each_seed_asks_weights_of_its_own(model: PretrainedModel, folder: Path) -> None:
    windows = units("late", "c", "d")
    for seed in SEEDS:
        begun = model.prepare(windows, fold=0, seed=seed)
        assert isinstance(begun, FrozenPretrained)
        weights, _ = load_pretrained(of_seed(folder, seed))
        assert torch.equal(begun.model.state_dict()["latents"], weights["model.latents"])
    with pytest.raises(FileNotFoundError, match=r"base/seed2; name datasets .* the seed in evaluate\.seeds"):
        model.prepare(windows, fold=0, seed=2)


def test_weights_that_are_not_there_say_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no pretrained weights in .*nothing; name datasets"):
        benchmark({NAME: PretrainedModel(NAME, tmp_path / "nothing")}, {"one": planted("c")}, options=OPTIONS)
