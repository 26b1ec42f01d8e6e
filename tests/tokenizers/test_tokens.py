"""The protocol: masks and times by hand, samples of windows, and the table of tokenizers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from ruamel.yaml import YAML

from neurofmx.params import ParamsError, check_params, load_params
from neurofmx.preprocessing import PREPROCESS
from neurofmx.tokenizers.cutting.cut import CutOptions
from neurofmx.tokenizers.linear import LinearTokenizer
from neurofmx.tokenizers.log_power import LogPowerTokenizer
from neurofmx.tokenizers.table import DEFAULTS, OWN, TOKENIZERS, build_tokenizer, default_tokenizer
from neurofmx.tokenizers.tokens import Layout, Sample, patch_means, patches
from synthetic import synthetic_windows
from token_samples import LAYOUTS, padded_more, sample_of

PARAMS = Path(__file__).parents[2] / "params.yaml"
LAYOUT = Layout((8, 2), rate=4.0, patch=2)


def test_times_and_masks_by_hand() -> None:
    """8 samples at 4 Hz in pairs: the pairs are centred on 0.25, 0.75, ... s; 3 samples fill one and a half pairs."""
    mask, time = patches(Sample(torch.zeros(2, 8, 2), length=torch.tensor([3, 8])), LAYOUT)
    assert time.tolist() == [0.25, 0.75, 1.25, 1.75]
    assert mask is not None
    assert mask.tolist() == [[True, True, False, False], [True] * 4]
    assert patches(Sample(torch.zeros(2, 8, 2)), LAYOUT)[0] is None


def test_patch_means_leave_out_what_was_not_recorded() -> None:
    values = torch.arange(8.0)[None, :, None].repeat(2, 1, 1)
    sample = Sample(torch.zeros(2, 8, 2), length=torch.tensor([3, 8]))
    assert patch_means(values, sample, 2)[..., 0].tolist() == [[0.5, 2.0, 0.0, 0.0], [0.5, 2.5, 4.5, 6.5]]


def test_cleared_is_zero_exactly_where_nothing_was_recorded() -> None:
    layout = LAYOUTS["spikes"]
    sample = sample_of(layout)
    expected = sample.x.clone().numpy()
    assert sample.present is not None
    assert sample.length is not None
    for window in range(len(sample)):
        expected[window, int(sample.length[window]) :] = 0
        expected[window, :, ~sample.present[window].numpy()] = 0
    np.testing.assert_array_equal(sample.cleared().numpy(), expected)
    np.testing.assert_array_equal(padded_more(sample, layout).cleared()[:, :24].numpy(), expected)


def test_a_sample_of_windows_that_differ() -> None:
    windows = replace(
        synthetic_windows(windows=12),
        length=np.array([6, 4] * 6),
        positions=np.full((1, 4, 3), 0.1),
        present=np.array([[True, True, False, True]]),
    )
    sample, layout = Sample.of(windows, 0, np.array([1, 2])), Layout.of(windows)
    assert sample.length is not None
    assert sample.present is not None
    assert sample.positions is not None
    assert sample.length.tolist() == [4, 6]
    assert sample.present.tolist() == [[True, True, False, True]] * 2
    assert sample.positions.shape == (2, 4, 3)
    assert layout == Layout((6, 4), rate=6.0, patch=1, recordings=1, varied=False, positions=True)
    assert sample[1:].length.tolist() == [6]


def test_a_sample_of_whole_windows_has_no_masks() -> None:
    sample = Sample.of(synthetic_windows(), 0, np.arange(3))
    assert (sample.present, sample.length, sample.positions) == (None, None, None)


def test_linear_patches_can_be_undone() -> None:
    """With the identity as projection, the tokens are the samples."""
    tokenizer = LinearTokenizer(LAYOUT, 4)
    with torch.no_grad():
        tokenizer.project.weight.copy_(torch.eye(4))
        tokenizer.project.bias.zero_()
    x = torch.randn(3, 8, 2)
    torch.testing.assert_close(tokenizer(Sample(x)).values.reshape(3, 8, 2), x)


def test_log_power_is_that_of_numpy_also_in_half_a_patch() -> None:
    layout = Layout((16, 3), rate=80.0, patch=8)
    tokenizer = LogPowerTokenizer(layout, 16)
    with torch.no_grad():
        tokenizer.project.weight.copy_(torch.eye(16))
        tokenizer.project.bias.zero_()
    x = torch.randn(1, 16, 3)
    found = tokenizer(Sample(x, length=torch.tensor([11]))).values[0].detach().numpy()
    sources = x[0].numpy() @ tokenizer.spatial.weight.detach().numpy().T
    for token, part in enumerate((sources[:8], sources[8:11])):
        np.testing.assert_allclose(found[token], np.log(np.mean(part**2, 0) + 1e-4), rtol=1e-4, atol=1e-5)


def test_every_modality_has_a_tokenizer_that_there_is() -> None:
    assert set(PREPROCESS) <= set(DEFAULTS)
    assert set(DEFAULTS.values()) | set(OWN.values()) <= set(TOKENIZERS)
    assert default_tokenizer("spikes", "own") == "spikes"


def test_wrong_names_and_options_are_refused_with_what_is_allowed() -> None:
    with pytest.raises(ValueError, match="did you mean 'spikes'"):
        build_tokenizer("spike", LAYOUT, 8)
    with pytest.raises(ValueError, match=r"tokenizer_options of spikes: widht=3: unknown key; did you mean 'width'"):
        build_tokenizer("spikes", LAYOUT, 8, options={"widht": 3})
    with pytest.raises(ValueError, match=r"tokenizer_options of eeg: bands=.*a band begins below its end, got 8 to 4"):
        build_tokenizer("eeg", LAYOUT, 8, options={"bands": [(8, 4)]})
    with pytest.raises(ValidationError, match="tokenizer"):
        CutOptions(anchor="sample", start=0, stop=1, tokenizer=3)  # type: ignore[arg-type]


def test_params_name_the_key_of_a_wrong_tokenizer() -> None:
    tree = YAML(typ="safe").load(PARAMS)
    assert load_params(PARAMS).dataset("digits").tokenize.tokenizer is None
    tree["datasets"]["digits"]["tokenize"] |= {"tokenizer": "image", "tokenizer_options": {"conv_strides": [1, 2]}}
    with pytest.raises(
        ParamsError, match=r"datasets.digits.tokenize.tokenizer_options: .*one a convolution.* \(tokenizer image\)"
    ):
        check_params(tree)


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_every_tokenizer_reads_the_beginnings_of_windows(name: str) -> None:
    """As a curriculum of lengths gives them: fewer tokens, and nothing of what was cut off."""
    layout = LAYOUTS[name]
    sample, half = sample_of(layout), layout.shape[0] // 2 // layout.patch * layout.patch
    torch.manual_seed(0)
    tokenizer = build_tokenizer(name, layout, 8).eval()
    whole, short = tokenizer(sample), tokenizer(sample.beginning(half))
    assert torch.isfinite(short.values).all()
    assert short.mask is not None
    assert short.values.shape[1] == len(short.time) == short.mask.shape[1]
    if name not in ("behavior_video", "video_audio"):  # which read another stream, or one token a window
        assert 0 < len(short.time) < len(whole.time)
