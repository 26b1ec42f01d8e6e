"""A dataset with its cleaning and windows, and whether these can go together: asked before any work is done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pydantic import BaseModel

from neurofmx.datasets.shared.base import Dataset
from neurofmx.tokenizers.cutting.cut import CutOptions
from neurofmx.tokenizers.cutting.montage import check_montage
from neurofmx.tokenizers.table import TOKENIZERS, default_tokenizer, tokenizer_config


class Prepared(NamedTuple):
    """A dataset with everything between its source and its windows."""

    dataset: Dataset
    modality: str
    preprocess: BaseModel
    tokenize: CutOptions


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
    _tokenizer_is_known(name, prepared, text_lengths, carried=carried)
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
    chosen = prepared.tokenize.tokenizer or default_tokenizer(prepared.modality, prepared.tokenize.montage)
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


def _tokenizer_is_known(name: str, prepared: Prepared, text_lengths: Sequence[int], *, carried: bool) -> None:
    """Refuse a tokenizer or a setting that there is not, and to read more tokens in one piece than have a place."""
    window = prepared.tokenize
    chosen = window.tokenizer or default_tokenizer(prepared.modality, window.montage)
    if chosen in TOKENIZERS and (chosen == "text") != (prepared.modality == "text"):
        raise ValueError(
            f"datasets.{name}.tokenize.tokenizer={chosen}: reads {'a text' if chosen == 'text' else 'measurements'}, "
            f"{name} is of modality {prepared.modality}; leave it null"
        )
    try:
        config = tokenizer_config(chosen, window.tokenizer_options)
    except ValueError as error:
        raise ValueError(f"datasets.{name}.tokenize.tokenizer={window.tokenizer}: {error}") from error
    places = getattr(config, "max_position_embeddings", None)
    if places is None:
        return
    key = f"datasets.{name}.tokenize.tokenizer_options.max_position_embeddings={places}"
    if (longest := max((round(window.stop), *text_lengths))) > places:
        raise ValueError(
            f"{key}: must be at least the {longest} tokens of a window (stop, or evaluate.text_lengths); null learns "
            "no places"
        )
    if carried:
        raise ValueError(
            f"{key}: a text has more tokens, and evaluate.text_context=carried reads it in one piece; null learns "
            "no places, or let text_context be a share of a window, such as 0.5"
        )
