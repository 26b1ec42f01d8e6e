"""Images, video, posture and movement: places and times by hand, fusion and masks, what cannot be read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from neurofmx.tokenizers.behavior_video import BehaviorVideoTokenizer
from neurofmx.tokenizers.configs import (
    BehaviorVideoConfig,
    ConvolutionConfig,
    ImageConfig,
    TrajectoryConfig,
    VideoAudioConfig,
)
from neurofmx.tokenizers.image import ImageTokenizer
from neurofmx.tokenizers.table import build_tokenizer
from neurofmx.tokenizers.tokens import Layout, Sample
from neurofmx.tokenizers.trajectory import TrajectoryTokenizer
from neurofmx.tokenizers.video import VideoTokenizer, _cells
from neurofmx.tokenizers.video_audio import VideoAudioTokenizer
from token_samples import LAYOUTS, padded_more, sample_of

COCO = BehaviorVideoConfig(form="coco")


def test_an_image_becomes_a_token_a_place_row_by_row() -> None:
    """Strides 1, 2, 2 leave a quarter of each side; a pixel reaches only the places around it."""
    tokenizer = ImageTokenizer(Layout((28, 28)), 16).eval()
    tokenizer.stack = torch.nn.Sequential(*(layer for layer in tokenizer.stack if isinstance(layer, torch.nn.Conv2d)))
    image = torch.zeros(1, 28, 28)
    before = tokenizer(Sample(image)).values
    image[0, 13, 22] = 1.0
    reached = (tokenizer(Sample(image)).values - before).abs().sum(-1)[0].reshape(7, 7)
    assert before.shape == (1, 49, 16)
    rows, columns = np.nonzero(reached.detach().numpy())
    assert set(rows) <= {2, 3, 4}
    assert set(columns) <= {4, 5, 6}
    assert reached[3, 5] > 0


def test_colours_in_a_row_are_those_of_a_last_axis() -> None:
    torch.manual_seed(0)
    flat = ImageTokenizer(Layout((12, 30)), 8, ImageConfig(colours=3))
    deep = ImageTokenizer(Layout((12, 10, 3)), 8)
    deep.load_state_dict(flat.state_dict())
    image = torch.randn(2, 12, 10, 3)
    torch.testing.assert_close(flat(Sample(image.flatten(2))).values, deep(Sample(image)).values)


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(ValueError, match=r"found windows of \(4,\)"):
        ImageTokenizer(Layout((4,)), 8)
    with pytest.raises(ValueError, match="patch=12: must be a multiple of the 8 rows"):
        VideoTokenizer(Layout((48, 10), patch=12, grid=(8, 10)), 8)
    with pytest.raises(ValueError, match=r"colours=3, which must divide a row"):
        ImageTokenizer(Layout((8, 8)), 8, ImageConfig(colours=3))
    with pytest.raises(ValueError, match="is too small for tokenizer_options conv_kernel_sizes"):
        ImageTokenizer(Layout((2, 2)), 8, ImageConfig(conv_kernel_sizes=(5, 3, 3), conv_padding=(0, 0, 0)))
    with pytest.raises(ValueError, match="as many numbers in each"):
        ImageConfig(conv_channels=(8,))


@pytest.mark.parametrize("colours", [(), (3,)])
def test_rows_one_after_the_other_are_read_as_pictures(colours: tuple[int, ...]) -> None:
    """Windows hold a video as rows; with the grid it is the same video, and so are its times and its length."""
    video = torch.randn(2, 24, 8, 10, *colours)
    whole, flat = (
        Layout((24, 8, 10, *colours), rate=30.0, patch=4),
        Layout((192, 10 * int(np.prod(colours))), rate=240.0, patch=32, grid=(8, 10, *colours)),
    )
    torch.manual_seed(0)
    first = VideoTokenizer(whole, 16)
    second = VideoTokenizer(flat, 16)
    second.load_state_dict(first.state_dict())
    expected = first(Sample(video, length=torch.tensor([24, 11])))
    found = second(Sample(video.reshape(2, 192, -1), length=torch.tensor([192, 88])))
    torch.testing.assert_close(found.values, expected.values)
    torch.testing.assert_close(found.time, expected.time)
    assert found.mask is not None
    assert found.mask.tolist() == expected.mask.tolist() == [[True] * 6, [True] * 3 + [False] * 3]  # type: ignore[union-attr]


def test_several_images_of_a_window_are_seen_one_after_the_other() -> None:
    torch.manual_seed(0)
    one, three = ImageTokenizer(Layout((8, 10)), 16), ImageTokenizer(Layout((24, 10), rate=8.0, grid=(8, 10)), 16)
    three.load_state_dict(one.state_dict())
    images = torch.randn(2, 3, 8, 10)
    images[1, 2] = 0.0  # behind the end of the second window
    tokens = three(Sample(images.flatten(1, 2), length=torch.tensor([24, 16])))
    for index in range(3):
        torch.testing.assert_close(tokens.values[:, 6 * index : 6 * index + 6], one(Sample(images[:, index])).values)
    assert tokens.mask is not None
    assert tokens.mask.sum(1).tolist() == [18, 12]
    assert tokens.time.tolist() == [0.5] * 6 + [1.5] * 6 + [2.5] * 6


def test_a_frame_of_video_reaches_as_many_frames_as_convolutions_span() -> None:
    """Two blocks of two convolutions over 3 frames: 4 frames to both sides, and in time order."""
    tokenizer = VideoTokenizer(Layout((24, 8, 10), rate=30.0), 16)
    video = torch.randn(1, 1, 24, 8, 10)
    before = tokenizer.encode(video)
    video[:, :, 12] += 1.0
    changed = (tokenizer.encode(video) - before).abs().sum(-1)[0].detach().numpy() > 1e-6
    assert np.flatnonzero(changed).tolist() == list(range(8, 17))


def test_tokens_of_video_know_when_they_were() -> None:
    tokens = VideoTokenizer(LAYOUTS["video"], 16)(Sample(torch.zeros(1, 24, 8, 10)))
    np.testing.assert_allclose(tokens.time.numpy(), (np.arange(6) + 0.5) * 4 / 30, rtol=1e-6)
    assert (tokens.values[0, 2] - tokens.values[0, 3]).abs().max() > 0.1


def test_any_number_of_frames_and_colours() -> None:
    tokenizer = VideoTokenizer(Layout((24, 8, 10, 3), rate=30.0, patch=4), 16)
    for frames in (4, 24, 60):
        assert tokenizer(Sample(torch.randn(1, frames, 8, 10, 3))).values.shape == (1, frames // 4, 16)


def test_cells_are_means_over_equal_parts() -> None:
    """Five pixels in two cells: the middle one belongs half to each."""
    expected = [[0.4, 0.4, 0.2, 0, 0], [0, 0, 0.2, 0.4, 0.4]]
    np.testing.assert_allclose(_cells(5, 2, device=torch.device("cpu")).numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("fusion", ["concat", "add", "cross_attention"])
def test_sound_reaches_the_video_in_every_fusion(fusion: str) -> None:
    """A sound during the fourth token reaches that one alone, but by attention all that look for it."""
    layout = LAYOUTS["video_audio"]
    tokenizer = VideoAudioTokenizer(layout, 16, VideoAudioConfig(fusion=fusion))  # type: ignore[arg-type]
    quiet = Sample(torch.randn(1, 24, 8, 10), beside=Sample(torch.zeros(1, 6400, 1)))
    sound = torch.zeros(1, 6400, 1)
    sound[:, 3680:3800] = 5 * torch.randn(1, 120, 1)  # 0.46 to 0.475 s; a token lasts 4/30 s, a convolution 90 ms
    heard = (tokenizer(replace(quiet, beside=Sample(sound))).values - tokenizer(quiet).values).abs().sum(-1)[0]
    changed = np.flatnonzero(heard.detach().numpy() > 1e-5).tolist()
    assert changed == ([3] if fusion != "cross_attention" else list(range(6)))


@pytest.mark.parametrize("fusion", ["concat", "add"])
def test_padding_of_the_sound_changes_no_fusion(fusion: str) -> None:
    layout, sample = LAYOUTS["video_audio"], sample_of(LAYOUTS["video_audio"])
    tokenizer = VideoAudioTokenizer(layout, 16, VideoAudioConfig(fusion=fusion))  # type: ignore[arg-type]
    values, mask, _ = tokenizer(sample)
    more = tokenizer(padded_more(sample, layout)).values[:, :6]
    assert mask is not None
    torch.testing.assert_close(more[mask], values[mask], rtol=1e-3, atol=1e-4)


def test_video_without_sound_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a layout with the sound `beside` the video"):
        VideoAudioTokenizer(LAYOUTS["video"], 16)
    with pytest.raises(ValueError, match="needs a sample with the sound"):
        VideoAudioTokenizer(LAYOUTS["video_audio"], 16)(Sample(torch.zeros(1, 24, 8, 10)))


def test_a_pose_is_relative_to_the_points_that_were_found() -> None:
    """COCO triples: the second point was not found, so the centre is that of the others, and it counts for nothing."""
    tokenizer = BehaviorVideoTokenizer(Layout((1, 3, 3), rate=30.0), 8, COCO)
    points = torch.tensor([[[[2.0, 4.0, 2.0], [99.0, 99.0, 0.0], [4.0, 8.0, 1.0]]]])
    pose = tokenizer.pose(points)[0, 0].tolist()
    assert pose == [-1.0, -2.0, 1.0, 0.0, 0.0, 0.0, 1.0, 2.0, 1.0, 3.0, 6.0]
    flat = BehaviorVideoTokenizer(Layout((1, 9), rate=30.0), 8, COCO)
    assert flat.pose(points.flatten(2))[0, 0].tolist() == pose
    space = BehaviorVideoTokenizer(Layout((1, 9), rate=30.0), 8, BehaviorVideoConfig(form="xyz"))
    assert space.pose(points.flatten(2))[0, 0].tolist()[:4] == [-33.0, pytest.approx(4 - 37), pytest.approx(1.0), 1.0]


def test_the_past_of_a_posture_counts_and_its_future_does_not() -> None:
    layout = LAYOUTS["behavior_video"]
    tokenizer, x = BehaviorVideoTokenizer(layout, 16), torch.randn(1, 24, 6)
    before = tokenizer(Sample(x)).values
    x[:, 9] += 3.0
    changed = (tokenizer(Sample(x)).values - before).abs().amax(-1)[0]
    assert (changed > 1e-6).tolist() == [False, False, True, True, True, True]


def test_keypoints_with_their_video() -> None:
    beside = Layout((24, 8, 10), rate=30.0)
    layout = LAYOUTS["behavior_video"]._replace(beside=beside)
    tokenizer, x = BehaviorVideoTokenizer(layout, 16), torch.randn(1, 24, 6)
    frames = [torch.zeros(1, 24, 8, 10), torch.zeros(1, 24, 8, 10)]
    frames[1][0, 13, 2:6, 3:6] = 1.0
    dark, light = (tokenizer(Sample(x, beside=Sample(video))).values for video in frames)
    assert ((light - dark).abs().amax(-1)[0] > 1e-6).tolist() == [False, False, False, True, True, True]
    with pytest.raises(ValueError, match=r"keypoints of 24 frames need a video of as many"):
        BehaviorVideoTokenizer(layout._replace(beside=Layout((20, 8, 10))), 16)
    with pytest.raises(ValueError, match=r"keypoints in the form xy are 2 numbers each, found \(5,\)"):
        BehaviorVideoTokenizer(Layout((24, 5)), 16)


def test_velocity_of_a_steady_movement() -> None:
    """0.3 units a sample at 10 Hz are 3 a second; over 0.5 s that makes 1.5, but for the first sample."""
    tokenizer = TrajectoryTokenizer(Layout((8, 1), rate=10.0), 2, TrajectoryConfig(velocity_s=0.5))
    with torch.no_grad():
        tokenizer.project.weight.copy_(torch.eye(2))
        tokenizer.project.bias.zero_()
    x = 0.3 * torch.arange(8.0)[None, :, None]
    values = tokenizer(Sample(x)).values[0]
    torch.testing.assert_close(values[:, 0], x[0, :, 0])
    torch.testing.assert_close(values[1:, 1], torch.full((7,), 1.5))
    assert float(values[0, 1].detach()) == 0.0


@pytest.mark.parametrize(
    ("options", "side"),
    [
        ({}, 7),  # ceil(28 / 2 / 2): each pads what its kernel takes
        ({"conv_strides": (2, 2, 2)}, 4),
        ({"conv_kernel_sizes": (5, 3, 3)}, 7),  # 26, 13, 7
        ({"conv_padding": (0, 0, 0)}, 5),  # 26, 12, 5
        ({"conv_channels": (4, 6, 10)}, 7),
        ({"conv_channels": (8,), "conv_kernel_sizes": (7,), "conv_strides": (7,), "conv_padding": (0,)}, 4),
    ],
)
def test_every_option_of_the_convolutions_acts(options: dict, side: int) -> None:
    """Tokens and weights are as many as the arithmetic of convolutions says."""
    config = ImageConfig(**options)
    tokenizer = build_tokenizer("image", Layout((28, 28)), 16, options=options)
    assert tokenizer(Sample(torch.randn(2, 28, 28))).values.shape == (2, side**2, 16)
    inputs = (1, *config.conv_channels[:-1])
    layers = zip(inputs, config.conv_channels, config.conv_kernel_sizes, strict=True)
    weights = sum(before * after * kernel**2 + 3 * after for before, after, kernel in layers)  # bias, norm's two
    weights += (config.conv_channels[-1] + 1) * 16 + side**2 * 16  # the projection, and the places
    assert sum(p.numel() for p in tokenizer.parameters()) == weights


@settings(deadline=None)
@given(
    size=st.integers(1, 12),
    layers=st.lists(st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(0, 3)), min_size=1, max_size=3),
)
@example(size=2, layers=[(4, 1, 0), (2, 1, 2)])  # the second one's padding is more than it spans
def test_places_are_those_that_torch_s_convolutions_leave(size: int, layers: list[tuple[int, int, int]]) -> None:
    kernels, strides, padding = zip(*layers, strict=True)
    config = ConvolutionConfig(
        conv_channels=(1,) * len(layers), conv_kernel_sizes=kernels, conv_strides=strides, conv_padding=padding
    )
    line = torch.zeros(1, 1, size)
    try:
        for kernel, stride, pad in layers:
            line = torch.nn.functional.conv1d(line, torch.ones(1, 1, kernel), stride=stride, padding=pad)
        left = line.shape[-1]
    except RuntimeError:
        left = 0
    assert config.places(size) == left
