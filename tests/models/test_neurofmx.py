"""NeuroFMx: modalities that are missing, time stamps, causality, streaming, order of units, growth, sizes, settings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from multi_samples import LAYOUTS, LFP, POSE, SPIKES, STEP, heads_of, model_of, rows_of, stretch, with_x
from neurofmx.models.foundation.config import NeurofmxConfig
from neurofmx.models.foundation.heads import NeuroFMxHeads
from neurofmx.models.foundation.step_grid import lay_out, origins, visible
from neurofmx.models.foundation.streams import Stream
from neurofmx.models.neurofmx import NeuroFMx
from neurofmx.tokenizers.multi_sample import MultiSample
from neurofmx.tokenizers.table import build_tokenizer
from neurofmx.tokenizers.tokens import Layout, Sample

CLOSE = {"rtol": 1e-9, "atol": 1e-9}


def states(model: NeuroFMx, batch: MultiSample) -> Tensor:
    return model(batch)[0].states


def without(batch: MultiSample, stream: str, rows: Any, filler: float = 0.0) -> MultiSample:
    """Some rows lack a stream, and hold a number in its place."""
    here, x, offset = batch.here[stream].clone(), batch.samples[stream].x.clone(), batch.offset[stream].clone()
    here[rows], x[rows], offset[rows] = False, filler, filler
    batch = replace(batch, here=batch.here | {stream: here}, offset=batch.offset | {stream: offset})
    return with_x(batch, stream, x)


@pytest.mark.parametrize("filler", [7.0, torch.nan])
def test_a_stream_that_a_row_lacks_never_matters(filler: float) -> None:
    """Neither for the states nor for any gradient, whatever stands in its place."""
    found = []
    for held in (0.0, filler):
        model = model_of()
        batch = without(without(rows_of(), SPIKES, [0, 3], held), LFP, [3], held)
        made = model(batch)[0]
        made.states.square().sum().backward()
        slopes = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
        found.append((made.states.detach(), made.latents.detach(), torch.cat(slopes)))
    assert all(part.isfinite().all() for part in found[1])
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=0)


def test_what_is_missing_is_as_if_it_had_never_been_there() -> None:
    model, batch = model_of(), rows_of()
    only_pose = rows_of()
    for stream in (SPIKES, LFP):
        only_pose = without(only_pose, stream, slice(None))
    alone = MultiSample(
        {POSE: batch.samples[POSE]}, {POSE: batch.here[POSE]}, {POSE: batch.offset[POSE]}, *_whose(batch)
    )
    torch.testing.assert_close(states(model, only_pose), states(model, alone), **CLOSE)
    full = states(model, batch)
    assert (full[:, : alone_steps(model, alone)] - states(model, alone)).abs().amax() > 1e-3


def alone_steps(model: NeuroFMx, batch: MultiSample) -> int:
    return states(model, batch).shape[1]


def _whose(batch: MultiSample) -> tuple[Tensor, Tensor, Tensor]:
    return batch.session, batch.subject, batch.species


def test_a_row_depends_on_no_other() -> None:
    """Rows begin at other times and lack other streams; each is answered as if it were alone."""
    model, batch = model_of(), without(rows_of(), LFP, [1])
    offset = {name: time + torch.tensor([0.0, 0.6, -0.4, 0.1]) for name, time in batch.offset.items()}
    batch = replace(batch, offset=offset)
    whole = model(batch)[0]
    for row in range(4):
        alone = model(batch[row : row + 1])[0]
        steps = alone.states.shape[1]
        assert int(whole.mask[row].sum()) == steps
        torch.testing.assert_close(whole.states[row, :steps], alone.states[0], **CLOSE)
        torch.testing.assert_close(whole.time[row, :steps], alone.time[0], **CLOSE)
    nothing = without(without(without(batch, POSE, [0]), SPIKES, [0]), LFP, [0])
    empty = model(nothing)[0]
    assert empty.states.isfinite().all()
    assert empty.mask[0].tolist() == [True] + [False] * (empty.mask.shape[1] - 1)
    torch.testing.assert_close(empty.states[1:], whole.states[1:], **CLOSE)


def test_tokens_of_two_rates_meet_by_time_stamps() -> None:
    """By hand. 10 Hz from 0 s and 4 Hz from -0.1 s, a token a sample, steps of 0.2 s.

    The grid begins at -0.2 s, so steps end at 0.0, 0.2, 0.4, 0.6 and 0.8 s. Tokens of the first are complete at 0.1,
    0.2, ... 0.6 s: two for each step from the second on. Those of the second are complete at 0.15, 0.4 and 0.65 s.
    """
    sample = Sample(torch.zeros(1, 6, 1))
    batch = MultiSample(
        {"a": sample, "b": sample.with_x(torch.zeros(1, 3, 1))},
        here={name: torch.ones(1, dtype=torch.bool) for name in "ab"},
        offset={"a": torch.zeros(1), "b": torch.tensor([-0.1])},
        session=torch.zeros(1, dtype=torch.int64),
        subject=torch.zeros(1, dtype=torch.int64),
        species=torch.zeros(1, dtype=torch.int64),
    )
    origin = origins(batch, 0.2)
    torch.testing.assert_close(origin, torch.tensor([-0.2], dtype=torch.float64))
    end = torch.tensor([[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.15, 0.4, 0.65]])
    there = torch.ones(1, 9, dtype=torch.bool)
    grid = lay_out(end, there, origin, step_s=0.2)
    assert grid.step.tolist() == [[1, 1, 2, 2, 3, 3, 1, 2, 4]]
    torch.testing.assert_close(grid.time, torch.tensor([[0.0, 0.2, 0.4, 0.6, 0.8]], dtype=torch.float64))
    seen = visible(grid.step, there, torch.arange(5), window=2)[0].int().tolist()
    assert seen == [
        [0, 0, 0, 0, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0, 1, 0, 0],
        [1, 1, 1, 1, 0, 0, 1, 1, 0],
        [0, 0, 1, 1, 1, 1, 0, 1, 0],
        [0, 0, 0, 0, 1, 1, 0, 0, 1],
    ]


def test_the_same_signal_at_another_rate_is_at_the_same_time() -> None:
    """Tokens say their time in seconds: shifting both streams of a row by whole steps shifts all its times alike."""
    model, batch = model_of(), rows_of()
    tokens = model.streams(batch)
    torch.testing.assert_close(tokens.time[0, :10], torch.arange(10.0, dtype=torch.float64) * 0.2 + 0.1)
    torch.testing.assert_close(tokens.time[0, 10:30], torch.arange(20.0, dtype=torch.float64) * 0.1 - 0.05)
    torch.testing.assert_close(tokens.end[0, 30:], torch.tensor([0.5, 1.0, 1.5, 2.0], dtype=torch.float64))
    made, later = (
        model(replace(batch, offset={name: time + shift for name, time in batch.offset.items()}))[0]
        for shift in (0.0, 5 * STEP)
    )
    torch.testing.assert_close(later.time, made.time + 5 * STEP, **CLOSE)
    assert torch.equal(later.mask, made.mask)


@pytest.mark.parametrize("stream", LAYOUTS)
def test_a_state_depends_on_nothing_later(stream: str) -> None:
    model, batch = model_of(), rows_of()
    layout = LAYOUTS[stream]
    made = model(batch)[0]
    x = batch.samples[stream].x.clone()
    first = layout.shape[0] // 2 // layout.patch * layout.patch  # the first sample of a token near the middle
    x[:, first:] += 1.0
    changed = states(model, with_x(batch, stream, x))
    complete = float(batch.offset[stream][0]) + (first + layout.patch) / layout.rate
    before = made.time[0] < complete - 1e-6
    torch.testing.assert_close(changed[:, before], made.states[:, before], rtol=0, atol=1e-12)
    assert (changed[:, ~before] - made.states[:, ~before]).abs().amax((0, 2)).min() > 1e-4  # and every one from there


@pytest.mark.parametrize(("tokenizer", "options"), [("eeg", {"spectrum_s": 0.2}), ("audio", {}), ("vocalization", {})])
def test_a_token_that_looks_ahead_is_known_when_all_it_reads_is_over(tokenizer: str, options: dict) -> None:
    """Spectra over the neighbours, convolutions over frames, an LSTM from both ends: no state sees what is to come."""
    model, batch = model_of(SPIKES), rows_of(LFP)
    read = build_tokenizer(tokenizer, LAYOUTS[LFP], model.dim, options=options).double()
    model.streams.add(LFP, read, LAYOUTS[LFP], modality="lfp")
    model.double().eval()
    whole = tokenizer == "vocalization"
    assert model.streams[LFP].ahead == pytest.approx(1.9 if whole else 0.1)
    sample = replace(batch.samples[LFP], length=torch.tensor([80, 80, 80, 60]))
    batch = replace(batch, samples={LFP: sample})
    made, x = model(batch)[0], sample.x.clone()
    x[:, 44:] += 1.0  # 1.0 s on the clock
    found = states(model, with_x(batch, LFP, x))
    before = made.time[0] < 1.0 + 1e-6
    torch.testing.assert_close(found[:, before], made.states[:, before], rtol=0, atol=1e-9)
    assert (found - made.states)[:, ~before].abs().amax() > 1e-4
    longer = torch.cat([sample.x, torch.full((4, 20, 3), torch.nan, dtype=torch.float64)], 1)
    padded = replace(sample, x=longer, length=sample.length)
    torch.testing.assert_close(model(replace(batch, samples={LFP: padded}))[0].states, made.states, rtol=0, atol=1e-6)


def test_frames_of_sound_that_are_centred_on_a_sample_read_to_the_end_of_the_window() -> None:
    """Frames of 25 ms every 10 ms, and four frames more on both sides: the last is centred 10 ms before the end."""
    layout = Layout((1600, 1), rate=8000.0)
    stream = Stream(build_tokenizer("audio", layout, 16), layout, "audio")
    assert stream.tail == pytest.approx(0.005)
    assert stream.ahead == pytest.approx(0.055)


def test_a_model_that_is_not_causal_sees_the_whole_window() -> None:
    model, batch = model_of(causal=False), rows_of()
    x = batch.samples[POSE].x.clone()
    x[:, -1] += 1.0
    changed = states(model, with_x(batch, POSE, x))
    assert (changed - states(model, batch)).abs().amax((0, 2)).min() > 1e-5
    with pytest.raises(ValueError, match="causal=False"):
        model(batch, model(batch)[1])


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("window", [1, 4])
def test_a_stream_equals_the_whole_window(steps: int, window: int) -> None:
    model, batch = model_of(window=window), without(rows_of(), SPIKES, [2])
    whole, last = model(batch)
    state, pieces, time = None, [], -0.2
    while time < 2.0 - 1e-9:
        part, seen = stretch(batch, time, time + steps * STEP)
        time += steps * STEP
        made, state = model(part, state, seen=seen)
        pieces.append(made)
    rounded = {"rtol": 0, "atol": 1e-6}  # tokenizers say times in single precision, from the start of what they read
    torch.testing.assert_close(torch.cat([piece.states for piece in pieces], 1), whole.states, **rounded)
    torch.testing.assert_close(torch.cat([piece.time for piece in pieces], 1), whole.time, **rounded)
    for ours, its in zip(state.dynamics, last.dynamics, strict=True):
        torch.testing.assert_close(ours, its, **rounded)
    with pytest.raises(ValueError, match=r"before step \d+, and steps up to there are answered"):
        model(part, state)


def test_a_stream_that_began_before_the_others_is_known_from_the_first_stretch_on() -> None:
    """The pose begins first and its first token of 0.5 s is complete in the second stretch of 0.4 s alone."""
    model, batch = model_of(), rows_of(LFP, POSE)
    batch = replace(batch, offset=batch.offset | {POSE: batch.offset[POSE] - 0.4})
    whole = model(batch)[0]
    first, second = (stretch(batch, time, time + 0.4) for time in (-0.4, 0.0))
    late = model(*first[:1], seen=first[1])[1]
    with pytest.raises(ValueError, match="begins before its row's grid"):
        model(second[0], late, seen=second[1])
    pose = batch.samples[POSE].x[:, : LAYOUTS[POSE].patch]  # of which nothing is shown: it may not be there yet
    early = replace(
        first[0],
        samples=first[0].samples | {POSE: Sample(torch.zeros_like(pose))},
        here=batch.here,
        offset=first[0].offset | {POSE: batch.offset[POSE]},
    )
    made, state = model(early, seen=first[1] | {POSE: torch.zeros(4, LAYOUTS[POSE].patch, dtype=torch.bool)})
    after, _ = model(second[0], state, seen=second[1])
    found = torch.cat([made.states, after.states], 1)
    torch.testing.assert_close(found, whole.states[:, : found.shape[1]], rtol=0, atol=1e-6)
    assert found.shape[1] == 4


def test_long_windows_are_read_in_parts_with_the_same_states(monkeypatch: pytest.MonkeyPatch) -> None:
    model, batch = model_of(window=3), without(rows_of(), LFP, [0])
    whole = states(model, batch)
    monkeypatch.setattr("neurofmx.models.neurofmx.STEPS_AT_ONCE", 2)
    torch.testing.assert_close(states(model, batch), whole, **CLOSE)


def test_the_order_of_units_means_nothing() -> None:
    """Units that change places with their embeddings (and the mask of what is there) leave every state as it is."""
    model, batch = model_of(), rows_of()
    present = torch.tensor([[1, 1, 1, 1, 1], [1, 0, 1, 1, 0], [1, 1, 1, 0, 1], [0, 1, 1, 1, 1]], dtype=torch.bool)
    sample = replace(batch.samples[SPIKES], present=present)
    before = states(model, replace(batch, samples=batch.samples | {SPIKES: sample}))
    order = torch.tensor([3, 0, 4, 1, 2])
    moved = replace(
        sample, x=sample.x[..., order].where(present[:, order][:, None], torch.nan), present=present[:, order]
    )
    batch = replace(batch, samples=batch.samples | {SPIKES: moved})
    assert not torch.allclose(states(model, batch), before)  # as the embeddings have not moved yet
    for mixing in model.streams[SPIKES].tokenizer.mixings:
        mixing.embedding.data = mixing.embedding.data[:, order]
    torch.testing.assert_close(states(model, batch), before, **CLOSE)


def test_what_is_hidden_is_left_out() -> None:
    """A sample that is not shown takes its token out; shown or hidden behind the last token it changes nothing."""
    model, batch = model_of(SPIKES), rows_of(SPIKES)
    seen = torch.ones(4, 20, dtype=torch.bool)
    seen[:, 4:6] = False
    x = batch.samples[SPIKES].x.clone()
    x[:, 4:6] = torch.nan
    hidden = model(with_x(batch, SPIKES, x.nan_to_num()), seen={SPIKES: seen})[0].states
    other = model(with_x(batch, SPIKES, x.nan_to_num(nan=9.0)), seen={SPIKES: seen})[0].states
    torch.testing.assert_close(hidden, other, **CLOSE)
    assert not torch.allclose(hidden, states(model, batch))


def frozen(module: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in module.named_parameters()}


def test_growing_leaves_everything_else_bit_for_bit() -> None:
    model = model_of()
    heads = heads_of(model)
    before, before_heads, batch = frozen(model), frozen(heads), rows_of()
    old = model(batch)[0]
    index = model.add_session("third", recordings={SPIKES: 2})
    model.add_subject("third")
    model.streams.add("other/lfp", build_tokenizer("linear", LAYOUTS[LFP], 16).double(), LAYOUTS[LFP], modality="lfp")
    heads.species.add("human")
    heads.sessions.add("third")
    heads.readout.add(SPIKES, channels=7, recordings=2)
    for module, kept in ((model, before), (heads, before_heads)):
        after = dict(module.named_parameters())
        for name, value in kept.items():
            assert torch.equal(after[name][: len(value)] if value.ndim else after[name], value), name
        grown = {name for name, value in kept.items() if after[name].shape != value.shape}
        assert all("vectors" in name or "embedding" in name for name in grown)
        assert len(grown) == 3
    assert index == 2
    torch.testing.assert_close(model(batch)[0], old, rtol=0, atol=0)
    new = replace(batch, session=torch.full((4,), index))
    assert not torch.allclose(states(model, new), old.states)
    sample = replace(batch.samples[SPIKES], recording=torch.full((4,), 4))  # the second of its new recordings
    assert states(model, replace(new, samples=batch.samples | {SPIKES: sample})).isfinite().all()


@pytest.mark.parametrize(
    ("name", "recordings", "message"),
    [
        ("third", {SPIKES: 1, LFP: 1}, "no embeddings of recordings"),
        ("third", {SPIKES: 1, "toy/eeg": 1}, "'toy/eeg' is unknown"),
        ("third", {SPIKES: 0}, "brings 1 or more"),
        ("first", {SPIKES: 1}, "has vectors already"),
    ],
)
def test_a_session_that_is_refused_leaves_nothing_behind(name: str, recordings: dict, message: str) -> None:
    model = model_of()
    before = {key: value.shape for key, value in model.state_dict().items()}
    with pytest.raises(ValueError, match=message):
        model.add_session(name, recordings=recordings)
    assert {key: value.shape for key, value in model.state_dict().items()} == before


def test_a_grown_model_is_saved_and_loaded(tmp_path: Path) -> None:
    model, batch = model_of(), rows_of()
    index = model.add_session("third", recordings={SPIKES: 2})
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    other = model_of(seed=5)
    other.load_state_dict(load_file(tmp_path / "model.safetensors"))
    assert other.sessions.names == ("first", "second", "third")
    new = replace(batch, session=torch.full((4,), index))
    sample = replace(batch.samples[SPIKES], recording=torch.tensor([0, 3, 4, 1]))
    new = replace(new, samples=batch.samples | {SPIKES: sample})
    torch.testing.assert_close(states(other, new), states(model, new), rtol=0, atol=0)


TARGETS = {"tiny": (0.0, 1e6), "small": (17e6, 23e6), "medium": (42.5e6, 57.5e6), "large": (127.5e6, 172.5e6)}


@pytest.mark.parametrize(("size", "bounds"), TARGETS.items())
def test_sizes_are_as_named(size: str, bounds: tuple[float, float]) -> None:
    """Model and heads without what a dataset brings: tokenizers, embeddings of sessions and channels, tasks."""
    config = NeurofmxConfig(size=size)
    with torch.device("meta"):
        parts = NeuroFMx(config, step_s=0.1), NeuroFMxHeads(config, step_s=0.1)
    number = sum(p.numel() for part in parts for p in part.parameters())
    assert bounds[0] <= number <= bounds[1]
    width, blocks = {"tiny": (64, 2), "small": (256, 4), "medium": (512, 8), "large": (768, 16)}[size]
    assert (parts[0].dim, len(parts[0].dynamics.blocks)) == (width, blocks)


@pytest.mark.parametrize(
    ("keeping", "recomputing"),
    [
        ({"recompute": False}, {"recompute": True}),
        ({}, {"recompute": True}),
        ({"size": "large", "recompute": False}, {"size": "large"}),  # unless told otherwise
    ],
)
def test_recomputing_changes_memory_and_no_number(keeping: dict[str, Any], recomputing: dict[str, Any]) -> None:
    found, kept = [], []
    for config in (keeping, recomputing):
        model, sizes = model_of(**config).train(), []
        with torch.autograd.graph.saved_tensors_hooks(lambda x, sizes=sizes: sizes.append(x.numel()) or x, lambda x: x):
            made = states(model, rows_of())
        made.square().sum().backward()
        found.append((made.detach(), torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])))
        kept.append(sum(sizes))
    torch.testing.assert_close(found[1], found[0], **CLOSE)
    assert kept[1] < 0.5 * kept[0]


def test_bfloat16_is_near_and_heads_read_single_precision() -> None:
    batch, found = rows_of(), []
    for precision in ("float32", "bfloat16"):
        model = model_of(precision=precision).float()
        rows = replace(batch, samples={name: s.with_x(s.x.float()) for name, s in batch.samples.items()})
        found.append(states(model, rows))
    assert found[1].dtype == torch.float32
    assert 1e-4 < (found[1] - found[0]).abs().max() < 0.1  # states are normalised: bfloat16 has 8 bits


OTHER: dict[str, Any] = {
    "size": "small",
    "hidden_dim": 8,
    "num_layers": 1,
    "latents": 2,
    "latent_layers": 2,
    "population_layers": 2,
    "num_attention_heads": 4,
    "feedforward": 3,
    "step_s": 0.4,
    "window": 2,
    "causal": False,
    "shortest_s": 0.5,
    "d_state": 5,
    "d_conv": 3,
    "expand": 1,
    "dropout": 0.5,
    "attention_dropout": 0.5,
}


@pytest.mark.parametrize("name", [*OTHER])
def test_a_setting_matters(name: str) -> None:
    """States, or in training those with what is dropped."""
    base = {"hidden_dim": 16, "num_layers": 2, "latents": 3, "num_attention_heads": 2, "dropout": 0.0, "step_s": STEP}
    found = []
    for config in (base, base | {name: OTHER[name]}):
        torch.manual_seed(0)
        model = NeuroFMx(NeurofmxConfig(**config))
        model.streams.add(LFP, build_tokenizer("linear", LAYOUTS[LFP], model.dim), LAYOUTS[LFP], modality="lfp")
        torch.manual_seed(1)
        found.append(states(model.double().train("dropout" in name), rows_of(LFP)))
    assert found[0].shape != found[1].shape or not torch.allclose(*found, rtol=1e-6, atol=1e-9)


def test_every_setting_has_a_case() -> None:
    """`recompute`, `precision` and `kernels` choose what computes: tests above, and that of the Mamba blocks."""
    assert set(NeurofmxConfig.model_fields) == set(OTHER) | {"recompute", "precision", "kernels"}
    assert model_of(kernels="reference").kernels == "reference"


def test_settings_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValidationError, match="num_attention_heads=3 must divide hidden_dim=64"):
        NeurofmxConfig(num_attention_heads=3)
    with pytest.raises(ValueError, match="step_s=None"):
        NeuroFMx(NeurofmxConfig())
    with pytest.raises(ValueError, match="stream 'toy/sound' is unknown; add it first; known: toy/spikes"):
        model_of(SPIKES).streams["toy/sound"]
    model = model_of(SPIKES)
    with pytest.raises(ValueError, match="is a stream already"):
        model.streams.add(SPIKES, model.streams[SPIKES].tokenizer, LAYOUTS[SPIKES], modality="spikes")
