"""Operations of a block against those that torch counts, and the energy against a sum by hand."""

from __future__ import annotations

import pytest
import torch
from tests.models.test_hybrid import SPIKES_LOOK, data, network
from torch.utils.flop_counter import FlopCounterMode

from neurofmx.layers.inference import in_precision
from neurofmx.models.hybrid.operations import block_operations

MODES = ["sequential", "parallel", "bidirectional"]


def products(run):
    """Products and additions of all matrix products in a call, as torch counts them (two operations each)."""
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops() / 2


@pytest.mark.parametrize("scales", [1, 3])
@pytest.mark.parametrize("mode", MODES)
def test_matrix_products_behind_the_spikes_are_those_that_torch_counts(mode, scales):
    """The reference's scan does two of its three products as matrices; the rest of Mamba torch does not count."""
    length = 7
    plain = {"kernels": "reference", "use_cross_attention": False, "use_adaptive_gating": False}
    model = network(integration_mode=mode, mamba_scales=scales, **plain)
    block, c = model.blocks[0], torch.randn(2, length, 8, dtype=torch.float64)
    counted = products(lambda: block.integration(c)) / (2 * length)
    mamba = block.integration.mamba
    elementwise = mamba.inner * (scales * (mamba.d_state + 1) + mamba.d_conv)
    assert block_operations(block, length).behind == pytest.approx(counted + elementwise)


def test_readout_and_current_are_those_that_torch_counts():
    model, x = network(kernels="reference"), torch.randn(1, 1, 8, dtype=torch.float64)
    block = model.blocks[0]
    found = block_operations(block, 1)
    assert found.current == products(lambda: block.encoder.current(x))
    assert found.readout == products(lambda: block.adapter.projection(torch.zeros(1, 1, 7).double()))
    assert found.neurons == 7 * 3


@pytest.mark.parametrize("scales", [(1,), (1, 2, 5)])
@pytest.mark.parametrize(("length", "window"), [(3, None), (9, None), (3, 4), (9, 4), (4, 4), (9, 1)])
def test_attention_counts_the_pairs_that_see_each_other(length, window, scales):
    settings = {"use_adaptive_gating": False, "cross_attn_window": window}
    settings |= {"temporal_attention": len(scales) > 1, "temporal_scales": scales}
    block, plain = (network(**settings, use_cross_attention=use).blocks[0] for use in (True, False))
    attention = block.integration.attention
    linear = sum(part.weight.numel() for part in attention.modules() if isinstance(part, torch.nn.Linear))
    pairs = sum(len(range(i, -1, -scale)[:window]) for i in range(length) for scale in scales)
    queries = sum(look.query.out_features for look in attention.directions.values())
    wanted = linear + 2 * queries * pairs / length
    more = block_operations(block, length).behind - block_operations(plain, length).behind
    assert more == pytest.approx(wanted)


@pytest.mark.parametrize("mode", MODES)
def test_attention_to_spikes_and_the_second_reading_of_them_are_counted(mode):
    looks, plain = (network(**(SPIKES_LOOK | {"integration_mode": mode} | use)).blocks[0] for use in SWITCHES)
    directions = looks.attention.directions
    linear = sum(part.weight.numel() for part in looks.attention.modules() if isinstance(part, torch.nn.Linear))
    pairs = sum(min(i + 1, 4) for i in range(9)) / 9
    wanted = linear + 2 * pairs * sum(look.query.out_features for look in directions.values())
    wanted += 0 if mode == "sequential" else 8 * 8
    more = block_operations(looks, 9).behind - block_operations(plain, 9).behind
    assert more == pytest.approx(wanted)


SWITCHES = [{}, {"use_cross_modal_attention": False}]


def test_a_token_pays_for_the_experts_it_passes_and_their_router():
    mixed, plain = (network(moe_experts=experts, moe_top_k=2, moe_expand=3).blocks[0] for experts in (5, 0))
    more = block_operations(mixed, 4).behind - block_operations(plain, 4).behind
    assert more == 5 * 8 + 2 * (2 * 3 * 8 * 8)


@pytest.mark.parametrize("precision", ["int8", "bfloat16"])
def test_a_network_prepared_for_inference_does_as_much(precision):
    plain = block_operations(network().blocks[0], 6)
    assert block_operations(in_precision(network().float(), precision).blocks[0], 6) == plain


def test_synapses_of_a_circuit_are_counted_one_by_one():
    cells = {kind: network(liquid_backbone=kind, use_mamba=False).blocks[0] for kind in ("ltc", "ncp")}
    dense = 2 * (6 * 6 * 6 + 8 * 6) + 6 * 8  # unfolds, units, inputs, and the readout
    assert block_operations(cells["ltc"], 1).behind == dense
    assert block_operations(cells["ncp"], 1).behind < dense


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_synapses_of_a_closed_form_circuit_are_those_of_its_masks(precision):
    model = network(liquid_backbone="ncp", ncp_cell="cfc", use_mamba=False).float()
    cell = model.blocks[0].integration.liquid
    there = sum(int(cell.get_buffer(f"wired_{name}").sum()) for name in cell.wiring.layers)
    assert block_operations(in_precision(model, precision).blocks[0], 1).behind == there + 6 * 8  # and the readout


def test_energy_is_the_sum_by_hand():
    model, x = network(num_layers=1, spike_to_mamba_method="temporal", use_mamba=False, liquid_backbone="ltc"), data()
    seen = []
    model.blocks[0].norm.register_forward_hook(lambda *args: seen.append(model.blocks[0].encoder(args[2])[0]))
    model(x)
    (found,) = model.block_reports
    spikes = seen[0].sum().item() / (2 * 12)
    assert found["synops_per_token"] == pytest.approx(8 * spikes)
    assert found["nj_per_token_spikes"] == pytest.approx(0.9e-3 * 8 * spikes)
    assert found["nj_per_token_neurons"] == pytest.approx(4.6e-3 * 7 * 3)
    assert found["nj_per_token_current"] == pytest.approx(4.6e-3 * 8 * 7)
    assert found["nj_per_token_readout_of_real_numbers"] == pytest.approx(4.6e-3 * 7 * 8)
    assert found["nj_per_token_behind"] == pytest.approx(4.6e-3 * (2 * (6 * 36 + 48) + 48))


def test_populations_slow_states_and_potentials_cost_what_they_are():
    plain, wide, slow, read = (
        block_operations(network(**changes).blocks[0], 5)
        for changes in (
            {},
            {"use_population_coding": True, "population_size": 3},
            {"synaptic_tau": 3.0},
            {"spike_to_mamba_method": "potential"},
        )
    )
    assert (wide.neurons, wide.readout, wide.current) == (3 * plain.neurons, 3 * plain.readout, plain.current)
    assert slow.neurons == 3 * plain.neurons
    assert (plain.fan_out, read.fan_out) == (8, 0)
    assert read.energy(123.0)["spikes"] == pytest.approx(plain.energy(0.0)["readout_of_real_numbers"])


def test_counts_are_those_of_the_last_pass_however_it_was_cut():
    plain, pieces = network(), network(recompute_tokens=5)
    with pytest.raises(RuntimeError, match="call the model on data before"):
        _ = plain.spike_counts
    for model in (plain, pieces):
        model(data())
    assert torch.equal(plain.spike_counts, pieces.spike_counts)
    assert plain.spike_counts.shape == (2, 2, 7)
    assert not pieces.spike_counts.requires_grad
    torch.testing.assert_close(plain.spike_counts.mean((1, 2)) / (12 * 3), plain.spike_rates)
    assert [block["rate"] for block in plain.block_reports] == pytest.approx(plain.spike_rates.tolist())
