"""Spikes and energies of a study, against blocks whose numbers are chosen by hand."""

from __future__ import annotations

from typing import Any

import pytest

from neurofmx.study.compare import compare
from neurofmx.study.spikes import spikes_markdown, spiking
from neurofmx.study.table import study_markdown
from study_runs import entry, report, truth_of


def block(times: float) -> dict[str, float]:
    """What one block did."""
    names = ("rate", "sparsity", "population_sparsity", "spikes_per_token", "synops_per_token")
    energies = ("spikes", "neurons", "current", "behind", "readout_of_real_numbers")
    values = dict(zip(names, (0.1, 0.9, 0.3, 8.0, 512.0), strict=True))
    values |= dict(zip((f"nj_per_token_{name}" for name in energies), (1.0, 2.0, 3.0, 4.0, 5.0), strict=True))
    return {name: times * value for name, value in values.items()}


def result(study: str | None, **blocks: list[dict[str, float]]) -> dict[str, Any]:
    """A study of runs with these blocks, the first the baseline."""
    truth = truth_of()
    runs = [entry(name, truth, report=report(truth) | {"spiking_blocks": each}) for name, each in blocks.items()]
    return compare(runs, baseline=runs[0].name, study=study, draws=20)


def test_shares_are_means_over_blocks_and_operations_and_energies_sums() -> None:
    found = spiking({"spiking_blocks": [block(1), block(0.5)]})
    assert found is not None
    assert found["rate"] == pytest.approx(0.075)
    assert found["population_sparsity"] == pytest.approx(0.225)
    assert (found["spikes_per_token"], found["synops_per_token"]) == (12, 768)
    assert found["nj_per_token"] == pytest.approx(15), "spikes, neurons, currents and what stands behind"
    assert found["nj_per_token_readout_of_real_numbers"] == pytest.approx(7.5)
    lists = {"neuron_rates": [[0.1, 0.2], [0.0, 0.1]]}
    populations = [block(1) | lists | {"first_spike_time": time} for time in (2.5, None)]
    assert spiking({"spiking_blocks": populations}) == spiking({"spiking_blocks": [block(1), block(1)]})
    assert spiking({"spiking_blocks": []}) is None
    assert spiking({}) is None


def test_the_table_has_the_runs_that_spike_and_says_what_the_estimate_assumes() -> None:
    whole = result("ablation", whole=[block(1)], without_spikes=[], without_gating=[block(2)])
    said = spikes_markdown(whole)
    cells = [[cell.strip() for cell in line.strip("| ").split("|")] for line in said.splitlines() if "|" in line]
    assert [row[1] for row in cells[2:]] == ["whole", "without_gating"]
    assert cells[2][2:] == ["0.100", "0.900", "0.300", "8.0", "512.0", "10.00", "1.00", "5.00"]
    assert "0.9 pJ an addition, 3.7 pJ a product" in said
    assert said in study_markdown(whole)
    assert spikes_markdown(result("modes", whole=[block(1)])) == ""
    assert spikes_markdown(result("ablation", whole=[])) == ""
