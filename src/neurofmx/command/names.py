"""Where each parameter of the system's description stands in params.yaml.

Most stand in `model` under their own name. Those of language and vision belong to one dataset's tokens, so each dataset
has its own, and `<name>` stands for it. Some follow from others and are not set.
"""

from __future__ import annotations

from typing import NamedTuple

from neurofmx.tables import pick


class Named(NamedTuple):
    """One parameter of the description.

    Args:
        group: Its group there.
        key: Its key in params.yaml, `<name>` for a dataset; empty where it follows from others.
        note: What is particular about it here.
    """

    group: str
    key: str
    note: str = ""


_TEXT = "datasets.<name>.tokenize.tokenizer_options"
_OF_MODEL = {
    "architecture": "liquid_units spiking_units num_layers hidden_dim liquid_backbone",
    "spiking": "spike_threshold beta num_spike_steps",
    "attention": "num_attention_heads attention_dropout use_cross_modal_attention attention_type temporal_attention",
    "population": "use_population_coding population_size threshold_distribution encoding_scheme",
    "mamba": "use_mamba integration_mode mamba_d_state mamba_d_conv mamba_expand spike_to_mamba_method "
    "spike_temporal_tau use_adaptive_gating num_gate_heads use_cross_attention cross_attn_heads",
    "regularisation": "dropout layer_norm_eps initializer_range",
}
_OF_TRAIN = {
    "regularisation": "weight_decay gradient_clip",
    "training": "learning_rate batch_size num_epochs mixed_precision device use_cache",
}

NAMES: dict[str, Named] = {
    **{name: Named(group, f"model.{name}") for group, names in _OF_MODEL.items() for name in names.split()},
    **{name: Named(group, f"train.{name}") for group, names in _OF_TRAIN.items() for name in names.split()},
    "input_dim": Named("architecture", "", "the tokenizer gives tokens of `model.hidden_dim` channels"),
    "output_dim": Named("architecture", "", "the dataset's task says what is answered"),
    "vocab_size": Named(
        "language", "datasets.<name>.preprocess.size", "tokens at most; described as 50257, as in configs/small.yaml"
    ),
    "embedding_dim": Named("language", f"{_TEXT}.embedding_dim", "described as 768, as in configs/small.yaml"),
    "max_position_embeddings": Named(
        "language", f"{_TEXT}.max_position_embeddings", "described as 512, as in configs/small.yaml"
    ),
    "sequence_length": Named(
        "language",
        "datasets.<name>.tokenize.stop",
        "a token a second by convention; `stride` at least as large; described as 512",
    ),
    "embedding_dropout": Named("language", f"{_TEXT}.embedding_dropout"),
    "conv_channels": Named("vision", f"{_TEXT}.conv_channels"),
    "conv_kernel_sizes": Named("vision", f"{_TEXT}.conv_kernel_sizes"),
    "conv_strides": Named("vision", f"{_TEXT}.conv_strides"),
    "conv_padding": Named("vision", f"{_TEXT}.conv_padding"),
    "seed": Named("training", "evaluate.seeds", "a list: each seed trains every fold"),
    "warmup": Named("training", "train.warmup_fraction", "a share of all steps"),
    "gradient_accumulation": Named("training", "train.gradient_accumulation"),
}
ORDER = ("architecture", "spiking", "attention", "population", "mamba", "language", "vision", "regularisation")
GROUPS_OF_NAMES = (*ORDER, "training")


def in_groups() -> dict[str, list[str]]:
    """The names of each group, in the order of reading."""
    return {group: [name for name, each in NAMES.items() if each.group == group] for group in GROUPS_OF_NAMES}


def key_of(name: str) -> str:
    """The key of a name.

    Raises:
        ValueError: If there is none of that name, if it is not set, or if each dataset has its own; with the way out.
    """
    named = pick(NAMES, name, "parameter")
    if not named.key:
        raise ValueError(f"{name} is not set: {named.note}")
    if "<name>" in named.key:
        raise ValueError(f"{name} is {named.key}, and each dataset has its own: write the dataset's name for <name>")
    return named.key
