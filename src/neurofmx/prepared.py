"""A dataset with its cleaning and windows, and whether these can go together: asked before any work is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isqrt
from typing import Any, NamedTuple

from pydantic import BaseModel

from neurofmx.datasets.shared.base import Dataset
from neurofmx.models.configs import require_divides
from neurofmx.sections import build
from neurofmx.tables import pick
from neurofmx.tokenizers.configs import ImageConfig
from neurofmx.tokenizers.cutting.cut import CutOptions
from neurofmx.tokenizers.cutting.montage import check_montage
from neurofmx.tokenizers.table import TOKENIZERS, default_tokenizer


class Prepared(NamedTuple):
    """A dataset with everything between its source and its windows."""

    dataset: Dataset
    modality: str
    preprocess: BaseModel
    tokenize: CutOptions

    @property
    def tokenizer(self) -> str:
        """Name of what reads the windows: the one that is named, else that of the modality."""
        return self.tokenize.tokenizer or default_tokenizer(self.modality, self.tokenize.montage)


def check_prepared(
    name: str, prepared: Prepared, *, features: str, text_lengths: Sequence[int] = (), carried: bool = False
) -> None:
    """Refuse options that cannot go together for a dataset that will be built.

    Args:
        name: What params.yaml calls the dataset, for the message.
        prepared: The dataset with its options.
        features: What the linear model reads of a window.
        text_lengths: Tokens of the windows in which a text is read beside its own.
        carried: Whether the state of a network is carried through a whole text.

    Raises:
        ValueError: Naming the key, the rule, the value and the way out.
    """
    _reach_fits(name, prepared)
    check_montage(prepared.tokenize.montage, prepared.dataset.split, dataset=name)
    _tokens_divide(name, prepared)
    _texts_do_not_overlap(name, prepared)
    config = _tokenizer_config(name, prepared)
    _places_suffice(name, prepared, config, text_lengths, carried=carried)
    _something_is_left(name, prepared, config)
    if features == "csp" and prepared.dataset.task.kind != "classification":
        raise ValueError(f"models.linear.features=csp: needs classes, {name} asks for a {prepared.dataset.task.kind}")


def check_beside(name: str, prepared: Prepared, other: str = "", beside: Prepared | None = None) -> None:
    """Refuse a tokenizer that needs something beside the windows and has nothing, or does not read what is there.

    Args:
        name: What params.yaml calls the dataset.
        prepared: The dataset with its options.
        other: What it calls the dataset that is read beside it; empty for none.
        beside: That dataset with its options.

    Raises:
        ValueError: Naming the key, the rule, the value and the way out.
    """
    chosen = prepared.tokenizer
    key, entry = f"datasets.{name}.tokenize.tokenizer={chosen}", TOKENIZERS[chosen]
    if beside is None:
        if not entry.alone:
            raise ValueError(
                f"{key}: reads {', '.join(entry.beside)} beside the windows; name a dataset of that modality in "
                f"multimodal.beside.{name}"
            )
        return
    if beside.modality not in entry.beside:
        able = "; ".join(f"{each} reads {', '.join(e.beside)}" for each, e in TOKENIZERS.items() if e.beside)
        raise ValueError(
            f"multimodal.beside.{name}={other}: tokenizer {chosen} reads no {beside.modality} beside its windows; set "
            f"datasets.{name}.tokenize.tokenizer to one that does: {able}"
        )


def check_heads(name: str, prepared: Prepared, widths: Mapping[str, int]) -> None:
    """Refuse attention heads of a tokenizer that do not divide the width of a network that reads its tokens.

    Args:
        name: What params.yaml calls the dataset.
        prepared: The dataset with its options.
        widths: Channels of a token by the key that says so, of every network that is trained on the dataset.

    Raises:
        ValueError: Naming the key, the width and the heads that are allowed.
    """
    config = _tokenizer_config(name, prepared)
    heads = getattr(config, "heads", None)
    if heads is None or getattr(config, "fusion", "cross_attention") != "cross_attention":
        return  # without attention, or with a fusion that does without
    for key, width in widths.items():
        require_divides(f"datasets.{name}.tokenize.tokenizer_options.heads", heads, key, width)


def _reach_fits(name: str, prepared: Prepared) -> None:
    """What cleaning mixes in time must not reach over the gap between training and test."""
    split, reach = prepared.dataset.split, getattr(prepared.preprocess, "reach", 0.0)
    if split.kind == "blocks" and reach > split.gap:
        smoothed = "sigma_ms" in type(prepared.preprocess).model_fields
        way_out = f"lower sigma_ms to {250 * split.gap:g}" if smoothed else "raise low, or leave low, notch or rate out"
        raise ValueError(
            f"datasets.{name}.preprocess: {'smoothing' if smoothed else 'filtering'} reaches {reach:.3g} s, over "
            f"the gap of {split.gap:g} s that split {split.name} leaves; {way_out}"
        )


def _tokens_divide(name: str, prepared: Prepared) -> None:
    """Refuse windows that do not hold a whole number of tokens, where the options fix the rate."""
    window, rate = prepared.tokenize, getattr(prepared.preprocess, "rate", None)
    # the samples of a film are the rows of its pictures, as many as it is scaled to
    size = getattr(prepared.preprocess, "size", None) if prepared.modality == "video" else (1, 1)
    if rate is None or size is None:
        return
    samples = size[0] * (round(window.stop * rate) - round(window.start * rate))
    if samples < 1 or samples % window.patch:
        raise ValueError(
            f"datasets.{name}.tokenize.patch={window.patch}: must divide the {samples} samples of a window, which "
            f"start={window.start:g} and stop={window.stop:g} s make at {rate:g} Hz"
        )


def _texts_do_not_overlap(name: str, prepared: Prepared) -> None:
    """Refuse windows of a text that share tokens, each of which would be scored twice; a token lasts a second."""
    window = prepared.tokenize
    if prepared.modality != "text" or prepared.dataset.task.kind != "next_token":
        return
    if window.stride < (length := round(window.stop)):
        raise ValueError(
            f"datasets.{name}.tokenize.stride={window.stride}: must be at least the {length} tokens of a window "
            f"(stop={window.stop:g}, a token a second), or windows overlap; set it to {length}, or lower stop"
        )


def _tokenizer_config(name: str, prepared: Prepared) -> BaseModel:
    """The settings of the tokenizer; refuses a tokenizer or a setting that there is not."""
    key, chosen = ("datasets", name, "tokenize"), prepared.tokenizer
    if chosen in TOKENIZERS and (chosen == "text") != (prepared.modality == "text"):
        raise ValueError(
            f"{'.'.join(key)}.tokenizer={chosen}: reads {'a text' if chosen == 'text' else 'measurements'}, "
            f"{name} is of modality {prepared.modality}; leave it null"
        )
    try:
        config = pick(TOKENIZERS, chosen, "tokenizer").config
    except ValueError as error:
        raise ValueError(f"{'.'.join(key)}.tokenizer={chosen}: {error}") from error
    try:
        return build((*key, "tokenizer_options"), config, prepared.tokenize.tokenizer_options)
    except ValueError as error:
        raise ValueError(f"{error} (tokenizer {chosen})") from error


def _places_suffice(
    name: str, prepared: Prepared, config: BaseModel, text_lengths: Sequence[int], *, carried: bool
) -> None:
    """Refuse to read more tokens in one piece than have a learnt place."""
    places = getattr(config, "max_position_embeddings", None)
    if places is None:
        return
    key = f"datasets.{name}.tokenize.tokenizer_options.max_position_embeddings={places}"
    if (longest := max((round(prepared.tokenize.stop), *text_lengths))) > places:
        raise ValueError(
            f"{key}: must be at least the {longest} tokens of a window (stop, or evaluate.text_lengths); null learns "
            "no places"
        )
    if carried:
        raise ValueError(
            f"{key}: a text has more tokens, and evaluate.text_context=carried reads it in one piece; null learns "
            "no places, or let text_context be a share of a window, such as 0.5"
        )


def _something_is_left(name: str, prepared: Prepared, config: BaseModel) -> None:
    """Refuse convolutions that leave nothing of a picture, where the dataset says how many numbers one has."""
    if not isinstance(config, ImageConfig) or prepared.modality != "image":
        return
    if (expected := prepared.dataset.expected) is None:
        return
    numbers = expected.channels if isinstance(expected.channels, int) else max(expected.channels)
    # no picture of as many numbers has a shorter side that is longer than that of a square one
    if not config.places(isqrt(numbers)):
        given: dict[str, Any] = config.model_dump(include={"conv_kernel_sizes", "conv_strides", "conv_padding"})
        said = ", ".join(f"{key}={list(value)}" for key, value in given.items())
        raise ValueError(
            f"datasets.{name}.tokenize.tokenizer_options: {said} leave nothing of a picture of {numbers} numbers; take "
            "smaller kernels or strides, or more padding"
        )
