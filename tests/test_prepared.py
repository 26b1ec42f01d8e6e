"""Options of a dataset that cannot go together, refused before any data is there, as the networks would fail later."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch

from neurofmx.params import ParamsError, check_params
from neurofmx.tokenizers.configs import ImageConfig
from neurofmx.tokenizers.image import convolutions
from params_tree import dotted, params_tree

PICTURES = {"digits": (1, 8, 8), "mnist_5k": (1, 28, 28), "cifar10_subset": (3, 32, 32)}


def params(**changes: Any) -> dict[str, Any]:
    """params.yaml with values by their keys, `__` for a dot."""
    return params_tree(dotted(changes))


def refusal(tree: dict[str, Any]) -> str:
    """What the check says, nothing where all is well."""
    try:
        check_params(tree)
    except ParamsError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("dataset", PICTURES)
def test_convolutions_that_leave_nothing_of_a_picture_are_refused(dataset: str) -> None:
    """Of grey pictures, which are square, all that torch cannot compute; of coloured ones nothing that it can."""
    picture, refused = torch.zeros(1, *PICTURES[dataset]), 0
    for kernel, stride, padding in product((1, 3, 9, 15, 29), (1, 2, 4), (0, 1, 3)):
        options: dict[str, Any] = {
            f"conv_{name}": [value] * 3 for name, value in zip(NAMES, (2, kernel, stride, padding), strict=True)
        }
        stack = convolutions(len(picture[0]), ImageConfig(**options))
        try:
            fails = stack(picture).numel() == 0
        except RuntimeError:  # a kernel that is larger than what it is given
            fails = True
        said = refusal(params(**{f"datasets__{dataset}__tokenize__tokenizer_options": options}))
        assert bool(said) == fails if len(picture[0]) == 1 else fails or not said, options
        assert f"datasets.{dataset}.tokenize.tokenizer_options: conv_kernel_sizes={[kernel] * 3}" in said or not said
        refused += bool(said)
    assert refused > 5


NAMES = ("channels", "kernel_sizes", "strides", "padding")
CALLS = {"amvoc_usv": {"kind": "amvoc_usv", "modality": "ultrasonic"}}
NARROW = {"model__hidden_dim": 66, "model__num_gate_heads": 2, "model__cross_attn_heads": 2}


def calls(**changes: Any) -> dict[str, Any]:
    """params.yaml with ultrasonic calls in its run, which are read by a tokenizer with four heads."""
    read = {"run__datasets": CALLS, "run__compare": [], "datasets__amvoc_usv__tokenize__tokenizer": "ultrasonic"}
    return params(**(read | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (NARROW, "must divide model.hidden_dim=66; allowed up to 64: 1, 2, 3, 6, 11, 22, 33"),
        ({"run__compare": ["lstm"], "models__lstm__hidden_dim": 70}, "must divide models.lstm.hidden_dim=70"),
        (
            {
                "run__compare": ["neurofmx"],
                "datasets__amvoc_usv__tokenize__tokenizer_options": {"heads": 7},
                "model__hidden_dim": 56,
                "model__num_gate_heads": 4,
            },
            "heads=7 must divide models.neurofmx.hidden_dim=64",
        ),
        (
            {
                "pretrain__names": {"base": {}},
                "pretrain__datasets": CALLS,
                "run__datasets": {"digits": {"kind": "digits", "modality": "image"}},
                "models__neurofmx__hidden_dim": 70,
                "models__neurofmx__num_attention_heads": 2,
            },
            "must divide models.neurofmx.hidden_dim=70",
        ),
    ],
)
def test_heads_of_a_tokenizer_divide_every_network_that_reads_its_tokens(changes: dict[str, Any], message: str) -> None:
    assert message in refusal(calls(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"models__lstm__hidden_dim": 70},  # which the run does not train
        NARROW | {"datasets__amvoc_usv__tokenize__tokenizer_options": {"heads": 6}},
        NARROW | {"datasets__amvoc_usv__tokenize__tokenizer": None},
        NARROW | {"run__datasets": {"digits": {"kind": "digits", "modality": "image"}}},
    ],
)
def test_heads_that_no_network_of_the_run_asks_for_may_be_any(changes: dict[str, Any]) -> None:
    assert refusal(calls(**changes)) == ""


def test_transfer_and_several_modalities_read_with_the_multimodal_model() -> None:
    wide = {"datasets__amvoc_usv__tokenize__tokenizer_options": {"heads": 8}, "models__neurofmx__hidden_dim": 68}
    plain = {"dyer2017": {"kind": "dyer2017", "modality": "spikes"}}
    asked = {"pretrain__names": {"base": {}}, "pretrain__datasets": plain}
    assert refusal(calls(**wide, **asked)) == ""
    for section in ({"transfer__datasets": ["amvoc_usv"]}, {"multimodal__sets": {"two": ["amvoc_usv", "digits"]}}):
        run = {"run__datasets": CALLS | {"digits": {"kind": "digits", "modality": "image"}}}
        assert "heads=8 must divide models.neurofmx.hidden_dim=68" in refusal(calls(**wide, **asked, **section, **run))


def test_a_fusion_without_attention_has_no_heads() -> None:
    film = {"dlc_openfield_video": {"kind": "dlc_openfield", "modality": "video"}}
    for fusion in ("add", "concat", "cross_attention"):
        options = {"fusion": fusion, "heads": 5}
        tokenize = params()["datasets"]["dlc_openfield_video"]["tokenize"] | {
            "tokenizer": "video_audio",
            "tokenizer_options": options,
        }
        said = refusal(params(run__datasets=film, datasets__dlc_openfield_video__tokenize=tokenize))
        assert ("heads=5 must divide model.hidden_dim=64" in said) == (fusion == "cross_attention")
        assert ("reads audio" in said) == (fusion != "cross_attention"), "nothing is beside it here"
