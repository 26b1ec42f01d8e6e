"""One source for the check, the command and the page: every setting has a group, a help and bounds."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from neurofmx.command.commented import plain, read
from neurofmx.command.document import document
from neurofmx.command.file import ParamsFile
from neurofmx.command.names import NAMES, in_groups, key_of
from neurofmx.command.settings import GROUPS, settings
from neurofmx.command.show import index

ROOT = Path(__file__).parents[2]
# what the network's description names, with its defaults; null where a dataset decides
DESCRIBED = """
architecture: liquid_units 256, spiking_units 128, num_layers 6, hidden_dim 512, input_dim, output_dim, \
liquid_backbone cfc
spiking: spike_threshold 1.0, beta 0.95, num_spike_steps 32
attention: num_attention_heads 8, attention_dropout 0.1, use_cross_modal_attention, attention_type, temporal_attention
population: use_population_coding, population_size 5, threshold_distribution, encoding_scheme
mamba: use_mamba, integration_mode, mamba_d_state 16, mamba_d_conv 4, mamba_expand 2, spike_to_mamba_method temporal, \
spike_temporal_tau 20.0, use_adaptive_gating, num_gate_heads 4, use_cross_attention, cross_attn_heads 8
language: vocab_size, embedding_dim, max_position_embeddings, sequence_length, embedding_dropout 0.1
vision: conv_channels [32, 64, 128], conv_kernel_sizes [3, 3, 3], conv_strides [1, 2, 2], conv_padding [1, 1, 1]
regularisation: dropout 0.1, weight_decay 0.01, gradient_clip 1.0, layer_norm_eps 1e-05, initializer_range 0.02
training: learning_rate 0.0001, batch_size 32, num_epochs 15, mixed_precision true, device auto, seed [42], \
use_cache true, warmup, gradient_accumulation
"""


def described() -> dict[str, tuple[str, str]]:
    """Group and default, or nothing, of each name."""
    found = {}
    for line in DESCRIBED.strip().splitlines():
        group, _, rest = line.partition(": ")
        for entry in rest.replace("], ", "]; ").split("; ") if "[32" in rest else rest.split(", "):
            name, _, default = entry.partition(" ")
            found[name] = (group, default)
    return found


@pytest.fixture(scope="module")
def known() -> dict:
    return settings(YAML(typ="safe").load(ROOT / "params.yaml"))


def test_the_index_holds_every_name_in_its_group() -> None:
    assert {name: group for name, (group, _) in described().items()} == {
        name: group for group, names in in_groups().items() for name in names
    }
    assert all(name in index() for name in NAMES)


@pytest.mark.parametrize("name", [name for name in NAMES if NAMES[name].key])
def test_a_name_leads_to_a_setting_with_the_described_default(name: str, known: dict) -> None:
    dataset = {"language": "wikitext2_bpe", "vision": "digits"}.get(NAMES[name].group, "")
    key = NAMES[name].key.replace("<name>", dataset)
    assert key in known
    default = described()[name][1]
    assert known[key].shown_default == (default or known[key].shown_default)
    if not dataset:
        assert key_of(name) == key


def test_every_setting_of_a_network_has_a_group_and_help(known: dict) -> None:
    own = [each for each in known.values() if each.key.startswith(("model.", "head.", "train."))]
    assert [each.key for each in own if each.group not in GROUPS] == []
    assert [each.key for each in own if not each.help or not each.allowed] == []


def test_settings_of_a_page_are_helpful_everywhere(known: dict) -> None:
    """Also where the help stands in the docstring of a dataset."""
    assert [each.key for each in known.values() if not each.help] == []
    assert known["datasets.mujoco.options.robot"].help.startswith("Which robot")


def test_the_page_of_parameters_is_current() -> None:
    assert (ROOT / "docs/parameters.md").read_text() == document(), "run `neurofmx config docs` and commit the page"


@pytest.mark.parametrize("loaded", [None, "small", "demo"])
def test_params_yaml_names_every_key_of_the_model_and_its_training(loaded: str | None) -> None:
    """So that `dvc exp run -S key=value` needs no plus sign, also behind `neurofmx config load`."""
    file = ParamsFile(ROOT / "params.yaml")
    if loaded is not None:
        file.load(plain(read(ROOT / f"configs/{loaded}.yaml")))
        assert file.problems() == []
    for section in ("model", "train"):
        known = {key for key in file.settings if key.startswith(f"{section}.")}
        assert known == {f"{section}.{key}" for key in file.tree[section]}
