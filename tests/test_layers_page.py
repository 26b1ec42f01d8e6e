"""The table of docs/layers.md: what it names is there, is built by keys that exist, and is tested where it says."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from neurofmx.models.hybrid.config import HybridConfig

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/layers.md").read_text()
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("| `")]


@pytest.mark.parametrize(("names", "module", "keys", "oracle"), ROWS, ids=[row[0] for row in ROWS])
def test_a_row_is_true(names: str, module: str, keys: str, oracle: str) -> None:
    found = import_module(f"neurofmx.{module.strip('`')}")
    for name in re.findall(r"`(\w+)", names):
        assert getattr(found, name).__doc__
    assert set(re.findall(r"`(\w+)`", keys)) <= {*HybridConfig.model_fields} or keys == "all"
    files = re.findall(r"`(tests/[\w/]+\.py)`", oracle)
    assert files
    assert all((ROOT / file).is_file() for file in files)


def test_every_part_of_the_hybrid_network_has_a_row() -> None:
    named = {name for names, *_ in ROWS for name in re.findall(r"`(\w+)", names)}
    assert named >= {
        "SpikeToMambaAdapter",
        "CrossAttentionModule",
        "CrossModalAttention",
        "TemporalCrossModalAttention",
        "EnhancedHybridBlock",
        "BidirectionalStateExchange",
        "AdaptiveGating",
        "MambaLiquidSpikingNetwork",
        "PopulationCoding",
        "PopulationDecoder",
        "PopulationSpikingEncoder",
        "integrate_population_coding",
        "integrate_cross_modal_attention",
    }


def test_the_example_puts_both_into_a_network() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    made: dict[str, Any] = {}
    exec(code, made)
    assert made["model"].config.use_population_coding
    assert made["model"].config.use_cross_modal_attention
