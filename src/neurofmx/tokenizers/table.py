"""Every tokenizer by name, and which one reads which modality where params name none. Importing it loads no network."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, ValidationError

from neurofmx.sections import say
from neurofmx.tables import pick
from neurofmx.tokenizers import configs

if TYPE_CHECKING:
    from neurofmx.tokenizers.tokens import Layout, Tokenizer


class Entry(NamedTuple):
    """One entry of `TOKENIZERS`.

    Args:
        network: `module:class` of the tokenizer.
        config: Pydantic class of its settings, `datasets.<name>.tokenize.tokenizer_options` of params.yaml.
        beside: Modalities of what it can read beside the windows; none for a reader of windows alone.
        alone: Whether it can do without.
    """

    network: str
    config: type[BaseModel]
    beside: tuple[str, ...] = ()
    alone: bool = True


TOKENIZERS: dict[str, Entry] = {
    "audio": Entry("neurofmx.tokenizers.audio:AudioTokenizer", configs.AudioConfig),
    "behavior_video": Entry(
        "neurofmx.tokenizers.behavior_video:BehaviorVideoTokenizer", configs.BehaviorVideoConfig, beside=("video",)
    ),
    "calcium": Entry("neurofmx.tokenizers.units:CalciumTokenizer", configs.CalciumConfig),
    "ecog": Entry("neurofmx.tokenizers.voltage:ECoGTokenizer", configs.ECoGConfig),
    "eeg": Entry("neurofmx.tokenizers.voltage:EEGTokenizer", configs.EEGConfig),
    "emg": Entry("neurofmx.tokenizers.voltage:EMGTokenizer", configs.EMGConfig),
    "fmri": Entry("neurofmx.tokenizers.fmri:FMRITokenizer", configs.ParcelConfig),
    "ieeg": Entry("neurofmx.tokenizers.voltage:IEEGTokenizer", configs.IEEGConfig),
    "image": Entry("neurofmx.tokenizers.image:ImageTokenizer", configs.ImageConfig),
    "lfp": Entry("neurofmx.tokenizers.voltage:LFPTokenizer", configs.LFPConfig),
    "linear": Entry("neurofmx.tokenizers.linear:LinearTokenizer", configs.PlainConfig),
    "log_power": Entry("neurofmx.tokenizers.log_power:LogPowerTokenizer", configs.LogPowerConfig),
    "spikes": Entry("neurofmx.tokenizers.units:SpikeTokenizer", configs.UnitConfig),
    "text": Entry("neurofmx.tokenizers.text:TextTokenizer", configs.TextConfig),
    "trajectory": Entry("neurofmx.tokenizers.trajectory:TrajectoryTokenizer", configs.TrajectoryConfig),
    "ultrasonic": Entry("neurofmx.tokenizers.ultrasonic:UltrasonicTokenizer", configs.UltrasonicConfig),
    "video": Entry("neurofmx.tokenizers.video:VideoTokenizer", configs.VideoConfig),
    "video_audio": Entry(
        "neurofmx.tokenizers.video_audio:VideoAudioTokenizer",
        configs.VideoAudioConfig,
        beside=("audio", "ultrasonic", "vocalization"),
        alone=False,
    ),
    "vocalization": Entry("neurofmx.tokenizers.vocalization:VocalizationTokenizer", configs.VocalizationConfig),
}

DEFAULTS: dict[str, str] = {
    "audio": "linear",
    "calcium": "linear",
    "ecog": "ecog",
    "eeg": "log_power",
    "emg": "log_power",
    "fmri": "linear",
    "ieeg": "log_power",
    "image": "image",
    "lfp": "lfp",
    "pose": "linear",
    "spikes": "linear",
    "text": "text",
    "trajectory": "linear",
    "ultrasonic": "linear",
    "video": "linear",
    "vocalization": "linear",
}


# where recordings differ in their channels, a column means something else in each of them
OWN: dict[str, str] = {name: name for name in ("calcium", "ecog", "eeg", "emg", "fmri", "ieeg", "lfp", "spikes")}


def default_tokenizer(modality: str, montage: str) -> str:
    """The tokenizer that reads a modality where params name none.

    Args:
        modality: What was recorded.
        montage: `same` channels in all recordings, or each its `own`.

    Raises:
        ValueError: If the modality has no tokenizer, or none for recordings with channels of their own.
    """
    return pick(DEFAULTS if montage == "same" else OWN, modality, f"modality with montage {montage}")


def tokenizer_config(name: str, options: Mapping[str, Any] | None = None) -> BaseModel:
    """The settings of a tokenizer.

    Args:
        name: A key of `TOKENIZERS`.
        options: Settings by name; what is left out has its default.

    Raises:
        ValueError: If the tokenizer or a setting is unknown, or a value is out of range.
    """
    config = pick(TOKENIZERS, name, "tokenizer").config
    try:
        return config(**(options or {}))
    except ValidationError as error:
        problems = "; ".join(say((), config, problem) for problem in error.errors())
        raise ValueError(f"tokenizer_options of {name}: {problems}") from error


def build_tokenizer(name: str, layout: Layout, dim: int, *, options: Mapping[str, Any] | None = None) -> Tokenizer:
    """The tokenizer of a name.

    Args:
        name: A key of `TOKENIZERS`.
        layout: Of the windows.
        dim: Width of a token.
        options: Its settings; what is left out has its default.

    Raises:
        ValueError: If there is none of that name, naming the nearest, or it cannot read such windows.
    """
    config = tokenizer_config(name, options)
    module, kind = TOKENIZERS[name].network.split(":")
    return getattr(import_module(module), kind)(layout, dim, config)
