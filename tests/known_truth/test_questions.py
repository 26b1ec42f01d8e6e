"""What is hidden never reaches the network, and what comes later never reaches a forecast."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from neurofmx.known_truth.material import FOLD, TIME, Material, Part, named
from neurofmx.known_truth.network import Asked
from neurofmx.known_truth.questions import (
    MIDDLE,
    STRETCH,
    TURNS,
    Hidden,
    forecast_bins,
    hide,
    modality,
    shown,
    stretch,
    turn,
    units,
)
from neurofmx.known_truth.sessions import STREAMS
from neurofmx.models.foundation.assembled import assemble
from neurofmx.models.foundation.config import NeurofmxConfig
from neurofmx.tokenizers.cutting.windows import Windows

TINY = NeurofmxConfig(hidden_dim=16, num_layers=1, latents=2, latent_layers=1, num_attention_heads=2)


def asked(material: Material) -> Asked:
    torch.manual_seed(0)
    network, (known,) = assemble(TINY, [material.joined])
    return Asked(network, known, material)


def disturbed(material: Material, where: dict[str, np.ndarray]) -> Material:
    """The same rows with other numbers in some bins and channels of every window (TIME, C)."""
    rng = np.random.default_rng(0)

    def other(name: str, windows: Windows) -> Windows:
        dark = where[name.partition("/")[2]]
        noise = rng.normal(0, 5, windows.x.shape).astype(np.float32)
        return replace(windows, x=np.where(dark, noise, windows.x))

    streams = {name: other(name, windows) for name, windows in material.windows.items()}
    return replace(material, windows=streams, joined=replace(material.joined, streams=streams))


def some(part: Part, number: int = 8) -> Part:
    return replace(part, rows=part.rows[:number], session=part.session[:number])


def widths(material: Material) -> dict[str, int]:
    return {stream: x.shape[2] for stream, x in material.tested.x.items()}


def places(material: Material, hidden: Hidden) -> dict[str, np.ndarray]:
    """Which bins and channels of each stream are hidden (TIME, C)."""
    found = {}
    for stream, width in widths(material).items():
        channels = hidden.channels.get(stream, np.zeros(width, bool))
        bins = np.isin(np.arange(TIME), hidden.bins)
        found[stream] = channels[None] | bins[:, None] | (stream in hidden.streams)
    return found


@pytest.mark.parametrize("kind", ["units", "time", "modality"])
def test_what_is_hidden_changes_no_answer(small: Material, kind: str) -> None:
    hidden = {"units": units(widths(small), 1), "time": stretch(), "modality": modality("lfp", "calcium")}[kind]
    dark = places(small, hidden)
    rest = {stream: ~each for stream, each in dark.items()}
    part, bins = some(small.tested), np.arange(TIME)
    whole = asked(small).reconstruct(part, hidden, bins)
    same = asked(disturbed(small, dark)).reconstruct(part, hidden, bins)
    other = asked(disturbed(small, rest)).reconstruct(part, hidden, bins)
    for stream in STREAMS:
        np.testing.assert_array_equal(same[stream], whole[stream])
        assert not np.allclose(other[stream], whole[stream])


def test_what_comes_later_changes_no_forecast(small: Material) -> None:
    last, later = forecast_bins(0.1)
    assert (last, later) == (13, 16)
    after = {stream: np.tile((np.arange(TIME) > last)[:, None], width) for stream, width in widths(small).items()}
    before = {stream: ~each for stream, each in after.items()}
    part = some(small.tested)
    whole, same, other = (
        asked(each).forecast(part, (0.1, 0.2)) for each in (small, disturbed(small, after), disturbed(small, before))
    )
    for stream in STREAMS:
        np.testing.assert_array_equal(same[stream], whole[stream])
        assert not np.allclose(other[stream], whole[stream])


def test_every_channel_is_hidden_in_one_turn() -> None:
    for channels in (4, 8, 13):
        assert np.sum([turn(channels, number) for number in range(TURNS)], axis=0).tolist() == [1] * channels


def test_hidden_numbers_are_marked_where_they_were(small: Material) -> None:
    hidden = Hidden({"lfp": turn(8, 0)}, STRETCH, ("emg",))
    batch = small.joined.sample(FOLD, small.tested.rows[:3])
    masked = hide(batch, hidden)
    for stream, dark in places(small, hidden).items():
        name = named(stream)
        assert masked.hidden[name].numpy().tolist() == np.tile(dark, (3, 1, 1)).tolist()
        assert not masked.batch.samples[name].x[masked.hidden[name]].any()
        assert masked.seen[name][0].tolist() == [k not in STRETCH for k in range(TIME)]
        assert bool(masked.batch.here[name].any()) == (stream != "emg")
    assert not batch.samples[named("lfp")].x[masked.hidden[named("lfp")]].eq(0).all()  # the rows stay as they were


def test_the_linear_model_is_shown_what_the_network_is(small: Material) -> None:
    hidden = units(widths(small), 0)
    left = shown(small.tested.x, hidden)
    assert {stream: x.shape[2] for stream, x in left.items()} == {
        stream: width - int(hidden.channels[stream].sum()) for stream, width in widths(small).items()
    }
    assert "eeg" not in shown(small.tested.x, modality("eeg"))


def test_states_with_gaps_are_those_of_rows_without_the_streams(small: Material) -> None:
    network, part = asked(small), some(small.tested)
    whole = network.features(part, modality())
    assert whole.shape == (8, 16 + 2 * 16)
    np.testing.assert_array_equal(network.features_with_gaps(part, share=0.0, seed=0), whole)
    gone = network.features(part, modality("spikes"))
    dark = {stream: np.full((TIME, width), stream == "spikes") for stream, width in widths(small).items()}
    np.testing.assert_array_equal(asked(disturbed(small, dark)).features(part, modality("spikes")), gone)
    assert not np.allclose(gone, whole)


def test_a_forecast_beyond_the_window_is_refused() -> None:
    with pytest.raises(ValueError, match=r"pretrain.ahead_s=0.4: .* give at most 0.25 s"):
        forecast_bins(0.4)
    for between in (0.12, 0.02):
        with pytest.raises(ValueError, match=rf"pretrain.ahead_s={between}: no bin begins there.* multiple of 0.05 s"):
            forecast_bins(between)
    assert len(MIDDLE) == 10
