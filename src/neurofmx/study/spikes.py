"""How the networks of a study spike, and the energy that their arithmetic would take: a row a run and dataset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neurofmx.study.markdown import table

STUDIES = ("four_way", "ablation")  # about what spikes
MEANS = ("rate", "sparsity", "population_sparsity")  # over the blocks of a network; of all else the sum
ENERGIES = tuple(f"nj_per_token_{part}" for part in ("spikes", "neurons", "current", "behind"))
READOUT = "nj_per_token_readout_of_real_numbers"
SUMS = ("spikes_per_token", "synops_per_token", "nj_per_token_spikes", READOUT)
HEADS = ("dataset", "run", "spikes of a neuron and step", "sparsity", "unevenness", "spikes a token", "SynOps a token")
HEADS += ("nJ a token", "of it spikes", "a readout of real numbers")


def spiking(report: Mapping[str, Any]) -> dict[str, float] | None:
    """What a report says of its network's spikes, all blocks together.

    Args:
        report: Of a run; `spiking_blocks` has a mapping a block.

    Returns:
        Means over blocks of `rate`, `sparsity` and `population_sparsity`; sums of `spikes_per_token`,
        `synops_per_token` and the energies `nj_per_token`, `nj_per_token_spikes` and that of a readout of real
        numbers; None without spikes.
    """
    blocks = report.get("spiking_blocks")
    if not blocks:
        return None
    # by name: blocks with populations hold lists as well, and times that may be missing
    total = {name: sum(block[name] for block in blocks) for name in (*MEANS, *SUMS, *ENERGIES)}
    found = {name: total[name] / len(blocks) for name in MEANS} | {name: total[name] for name in SUMS}
    return found | {"nj_per_token": sum(total[name] for name in ENERGIES)}


def spikes_markdown(result: Mapping[str, Any]) -> str:
    """A table of all runs whose networks spike; empty for a study of something else, or without such networks.

    Args:
        result: What `neurofmx.study.compare.compare` returned.
    """
    rows = [row for row in result["rows"] if row["spikes"]]
    if result["study"] not in STUDIES or not rows:
        return ""
    from neurofmx.models.hybrid.operations import ADDITION, PRODUCT

    return (
        "Spikes on the test windows, means over folds and seeds; `sparsity` is the share of a neuron's steps without a "
        "spike, `unevenness` is 0 where all neurons fire alike and 1 where one alone does; a synaptic operation "
        "(SynOp) adds a spike to one number that reads it. The energy is an estimate of the arithmetic alone, in 32 "
        f"bits on a 45 nm chip ({ADDITION:g} pJ an addition, {PRODUCT:g} pJ a product; Horowitz 2014): no moving of "
        "data, and nothing where no spike is. It compares networks of one kind and is no measurement of a machine. The "
        "last column is what the spikes' readout would take of real numbers.\n\n"
        + table(HEADS, [_cells(row) for row in rows])
    )


def _cells(row: Mapping[str, Any]) -> list[str]:
    """One run on one dataset."""
    spikes = row["spikes"]
    shares = [f"{spikes[name]:.3f}" for name in MEANS]
    counts = [f"{spikes[name]:.1f}" for name in ("spikes_per_token", "synops_per_token")]
    energies = [f"{spikes[name]:.2f}" for name in ("nj_per_token", "nj_per_token_spikes", READOUT)]
    return [row["dataset"], row["name"], *shares, *counts, *energies]
