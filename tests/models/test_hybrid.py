"""The hybrid network: streaming, causality, gradients, parameters that matter and configs that are refused."""

from __future__ import annotations

import copy

import numpy as np
import pydantic
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neurofmx.layers.wired_cfc import WiredCfC
from neurofmx.layers.wiring import neural_circuit
from neurofmx.models.hybrid.config import HybridConfig
from neurofmx.models.hybrid.integration import BidirectionalIntegration
from neurofmx.models.hybrid.network import MambaLiquidSpikingNetwork

MODES = ["sequential", "parallel", "bidirectional"]
SMALL = {
    "input_dim": 3,
    "output_dim": 2,
    "hidden_dim": 8,
    "liquid_units": 6,
    "spiking_units": 7,
    "backbone_units": 5,
    "num_layers": 2,
    "num_spike_steps": 3,
    "mamba_d_state": 4,
    "num_gate_heads": 2,
    "cross_attn_heads": 2,
    "cross_attn_window": 4,
    "dropout": 0.0,
    "attention_dropout": 0.0,
}
SPIKES_LOOK = {"use_cross_modal_attention": True, "num_attention_heads": 2, "spiking_units": 8}
# Every way through the network, by what it changes.
VARIANTS = [{"integration_mode": mode} for mode in MODES] + [
    {"use_mamba": False},
    {"use_liquid": False},
    {"use_spikes": False},
    {"use_state_exchange": False},
    {"use_spikes": False, "use_mamba": False},
    {"use_cross_attention": False},
    {"use_adaptive_gating": False},
    {"cross_attn_window": None},
    {"liquid_backbone": "ltc"},
    {"liquid_backbone": "ncp"},
    {"liquid_backbone": "ncp", "ncp_cell": "cfc"},
    {"liquid_backbone": "ncp", "ncp_cell": "cfc", "cfc_mode": "pure"},
    {"cfc_mode": "pure"},
    {"cfc_mode": "no_gate"},
    {"reset": "zero"},
    {"spike_to_mamba_method": "rate"},
    {"spike_to_mamba_method": "potential"},
    {"temporal_attention": True, "temporal_scales": (1, 2, 3)},
    *(SPIKES_LOOK | {"integration_mode": mode} for mode in MODES),
    SPIKES_LOOK | {"use_mamba": False},
    *({"mamba_scales": 3, "integration_mode": mode} for mode in MODES),
    {"moe_experts": 3, "moe_top_k": 2},
    SPIKES_LOOK | {"attention_type": "liquid_to_mamba", "temporal_attention": True, "temporal_scales": (1, 2)},
]


def network(**changes):
    """A small network in float64 with the same seed every time, large enough at the input to spike."""
    torch.manual_seed(0)
    return awake(MambaLiquidSpikingNetwork(HybridConfig(**(SMALL | changes))).double())


def awake(model):
    """The network with attention between liquid path and spikes at work, which starts without effect."""
    for name, weight in model.named_parameters():
        if ".attention.directions." in name and not weight.any() and not name.endswith("preference"):
            torch.nn.init.normal_(weight)
    return model


def data(length=12):
    """Tokens (2, length, 3)."""
    return torch.randn(2, length, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
@given(cuts=st.lists(st.integers(1, 6), min_size=1, max_size=5))
@settings(max_examples=6, deadline=None)
def test_chunks_equal_one_pass(changes, cuts):
    model, x = network(**changes), data(sum(cuts))
    whole, last = model(x)
    states, parts = None, []
    for chunk in x.split(cuts, 1):
        y, states = model(chunk, states)
        parts.append(y)
    torch.testing.assert_close((torch.cat(parts, 1), states), (whole, last), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_the_future_changes_nothing_before_it(changes):
    model, x = network(**changes), data()
    changed = x.clone()
    changed[:, 7:] += 10.0
    before, after = model(x)[0], model(changed)[0]
    torch.testing.assert_close(before[:, :7], after[:, :7], rtol=1e-10, atol=1e-10)
    assert (before[:, 7:] - after[:, 7:]).abs().max() > 1e-3


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_gradients_reach_every_parameter_and_the_input(changes):
    model, x = network(**changes), data().requires_grad_()
    model(x)[0].square().sum().backward()
    assert x.grad is not None
    assert x.grad.abs().min() > 0
    silent = [name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert [name for name in silent if ".experts.experts." not in name] == []  # an expert may be chosen by no token


@pytest.mark.parametrize("mode", MODES)
def test_samples_of_a_batch_do_not_mix(mode):
    model, x = network(integration_mode=mode), data()
    alone = torch.cat([model(sample[None])[0] for sample in x])
    torch.testing.assert_close(model(x)[0], alone, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("mode", MODES)
def test_learns_to_remember_the_token_before(mode):
    model, x = network(integration_mode=mode).float(), torch.randn(32, 10, 3)
    wanted = torch.cat([torch.zeros(32, 1, 2), x[:, :-1, :2]], 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(80):
        loss = (model(x)[0] - wanted).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]  # what a model without memory can't do: it stays near 1


def test_bidirectional_without_modulation_is_two_looks_beside_mamba():
    torch.manual_seed(0)
    config = HybridConfig(**(SMALL | {"use_cross_attention": False, "use_adaptive_gating": False}))
    block, c = BidirectionalIntegration(config).double(), torch.randn(2, 5, 8).double()
    for projection in (block.exchange.to_selection, block.exchange.to_tau):
        torch.nn.init.zeros_(projection.weight)
        torch.nn.init.zeros_(projection.bias)
    first, _ = block.liquid(c)
    second, _ = block.liquid(block.again(first))
    wanted = (block.readout(second) + block.mamba(c)[0]) / 2
    torch.testing.assert_close(block(c)[0], wanted)


@pytest.mark.parametrize("part", ["to_selection", "to_tau"])
def test_each_path_steers_the_other(part):
    torch.manual_seed(0)
    config = HybridConfig(**(SMALL | {"use_cross_attention": False}))
    block, c = BidirectionalIntegration(config).double(), torch.randn(2, 5, 8).double()
    before = block(c)[0]
    torch.nn.init.normal_(getattr(block.exchange, part).weight)
    assert (block(c)[0] - before).abs().max() > 1e-3


def test_library_kernels_give_the_same_network():
    x, results = data(), []
    for kernels in ("reference", "library"):
        model = network(use_mamba=False, kernels=kernels)
        y, _ = model(x)
        y.square().sum().backward()
        results.append([y, *(weight.grad for weight in model.parameters())])
    torch.testing.assert_close(*results, rtol=1e-4, atol=1e-5)  # snnTorch's spikes are float32


def test_library_kernels_with_mamba_scan_by_the_reference_off_cuda_and_say_so():
    outputs = []
    for kernels in ("reference", "library"):
        torch.manual_seed(0)
        net = network(kernels=kernels)
        outputs.append(net(data())[0])
    torch.testing.assert_close(*outputs, rtol=1e-4, atol=1e-5)
    assert net.kernels == "lif_readout snntorch, cfc ncps, selective_scan reference"


@pytest.mark.parametrize("liquid", ["cfc", "ltc", "ncp"])
@pytest.mark.parametrize(("numba", "name"), [(True, "numba"), (False, "reference")])
def test_a_network_names_what_computes_it(numba, name, liquid, monkeypatch):
    monkeypatch.setattr("neurofmx.kernels.path.numba_is_there", lambda: numba)
    assert network(liquid_backbone=liquid, kernels="auto").kernels == name
    assert network(liquid_backbone=liquid, kernels="reference").kernels == "reference"
    if numba and liquid == "cfc":
        assert network(cfc_mode="pure").kernels == "lif_readout numba, cfc reference, selective_scan numba"
    if numba and liquid == "ncp":
        wired = network(liquid_backbone="ncp", ncp_cell="cfc")
        assert wired.kernels == "lif_readout numba, wired_cfc reference, selective_scan numba"
    kernel = "cfc" if liquid == "cfc" else "ltc"
    model = network(liquid_backbone=liquid, kernels="library", use_mamba=False)
    assert model.kernels == f"lif_readout snntorch, {kernel} ncps"


def test_open_ends_take_and_give_hidden_states():
    model = network(input_dim=None, output_dim=None)
    x = torch.randn(2, 5, 8, dtype=torch.float64)
    y, _ = model(x)
    assert y.shape == (2, 5, 8)
    torch.testing.assert_close(y.mean(-1), torch.zeros(2, 5).double(), rtol=0, atol=1e-10)  # layer-normalised
    with pytest.raises(ValueError, match=r"x must have the shape \(batch, length, channels=8\), got \(2, 12, 3\)"):
        model(data())


def test_spike_rate_is_that_of_the_last_pass():
    model = network()
    with pytest.raises(RuntimeError, match="spike_rate is known after the first forward pass"):
        _ = model.spike_rate
    seen = []
    for block in model.blocks:
        block.norm.register_forward_hook(
            lambda module, args, out, block=block: seen.append(block.encoder(out)[0].mean())
        )
    model(data())
    torch.testing.assert_close(model.spike_rates, torch.stack(seen).detach())
    torch.testing.assert_close(model.spike_rate, torch.stack(seen).mean().detach())
    assert not model.spike_rate.requires_grad


@pytest.mark.parametrize("pieces", [1, 5, 12, 40])
@pytest.mark.parametrize("mode", MODES)
def test_recomputed_pieces_give_the_same_outputs_states_and_gradients(mode, pieces):
    plain, saving = network(integration_mode=mode), network(integration_mode=mode, recompute_tokens=pieces)
    found = []
    for model in (plain, saving):
        x = data().requires_grad_()
        y, states = model(x)
        rates = model.spike_rates
        (y.square().sum() + states[0].membrane.sum()).backward()
        assert model.spike_rates is rates
        found.append([y, rates, x.grad, *states[-1][:2], *(weight.grad for weight in model.parameters())])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("mode", MODES)
def test_recomputed_pieces_drop_the_same_channels_and_stay_in_half_precision(mode):
    model, x = network(integration_mode=mode, dropout=0.4, attention_dropout=0.3).float(), data().float()
    saving = MambaLiquidSpikingNetwork(model.config.model_copy(update={"recompute_tokens": 5}))
    saving.load_state_dict(model.state_dict())
    found, states, parts = [], None, []
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.manual_seed(1)
        for piece in x.split(5, 1):
            y, states = model(piece, states)
            parts.append(y)
        torch.manual_seed(1)
        outputs = torch.cat(parts, 1), saving(x)[0]
    for net, y in zip((model, saving), outputs, strict=True):
        y.float().square().sum().backward()
        found.append([y, *(weight.grad for weight in net.parameters())])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_recomputing_takes_less_memory_for_the_backward():
    def kept(model):
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(lambda x: sizes.append(x.numel()) or x, lambda x: x):
            model(data(64))
        return sum(sizes)

    assert kept(network(recompute_tokens=8)) < 0.2 * kept(network())


def test_copies_compute_the_same():
    model, x = network(), data()
    y, _ = model(x)
    torch.testing.assert_close(copy.deepcopy(model)(x)[0], y, rtol=0, atol=0)
    fresh = MambaLiquidSpikingNetwork(model.config).double()
    fresh.load_state_dict(model.state_dict())
    torch.testing.assert_close(fresh(x)[0], y, rtol=0, atol=0)


@pytest.mark.parametrize("mode", MODES)
def test_trains_in_mixed_precision(mode):
    model, x = network(integration_mode=mode).float(), data().float()
    full, _ = model(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed, states = model(x)
        again, _ = model(x, states)
    again.float().square().sum().backward()
    assert (mixed - full).abs().mean() < 0.2 * full.abs().mean()
    assert all(torch.isfinite(weight.grad).all() for weight in model.parameters())


def size_of(model):
    """Number of parameters."""
    return sum(weight.numel() for weight in model.parameters())


def size(**changes):
    """The same of a network with changed settings."""
    return size_of(network(**changes))


SIZES = {
    "num_layers": 3,
    "hidden_dim": 16,
    "liquid_units": 8,
    "spiking_units": 9,
    "backbone_units": 6,
    "mamba_d_state": 5,
    "mamba_d_conv": 5,
    "mamba_expand": 3,
    "input_dim": 4,
    "output_dim": 3,
    "num_gate_heads": 4,
    "mamba_scales": 2,
    "moe_experts": 3,
}


@pytest.mark.parametrize(("key", "value"), SIZES.items())
def test_sizes_change_the_number_of_parameters(key, value):
    assert size(**{key: value}) > size()


def test_a_circuit_is_sparser_than_a_cell_with_all_synapses():
    cells = [network(liquid_backbone=kind).blocks[0].integration.liquid for kind in ("ltc", "ncp")]
    dense, sparse = (
        int(cell.weights.recurrent.wired.sum()) if cell.weights.recurrent.wired is not None else 36 for cell in cells
    )
    assert sparse < dense


def test_settings_of_a_circuit_reach_its_wiring_and_the_solver():
    """The defaults are what a circuit had before they could be set: saved weights and committed scores rest on them."""
    plain = network(liquid_backbone="ncp").blocks[0].integration.liquid
    before = neural_circuit(8, 6, motor=2, sparsity=0.5, seed=0)
    assert np.array_equal(plain.wiring.recurrent, before.recurrent)
    assert np.array_equal(plain.wiring.sensory, before.sensory)
    assert plain.unfolds == 6
    asked = {"ncp_motor_share": 0.5, "ncp_sparsity": 0.2, "ncp_seed": 3, "ltc_unfolds": 2}
    wanted = neural_circuit(8, 6, motor=3, sparsity=0.2, seed=3)
    for cell in ("ltc", "cfc"):
        blocks = network(liquid_backbone="ncp", ncp_cell=cell, **asked).blocks
        for found in (block.integration.liquid for block in blocks):
            assert np.array_equal(found.wiring.recurrent, wanted.recurrent)
            assert np.array_equal(found.wiring.sensory, wanted.sensory)
            assert isinstance(found, WiredCfC) or found.unfolds == 2
    assert network(liquid_backbone="ltc", ltc_unfolds=9).blocks[0].integration.liquid.unfolds == 9


@pytest.mark.parametrize(
    "switch",
    [
        "use_spikes",
        "use_liquid",
        "use_mamba",
        "use_state_exchange",
        "use_cross_attention",
        "use_adaptive_gating",
    ],
)
def test_switches_take_parts_away(switch):
    assert size(**{switch: False}) < size()


BEHAVIOURS = {
    "spike_threshold": 2.0,
    "beta": 0.5,
    "num_spike_steps": 6,
    "reset": "zero",
    "spike_to_mamba_method": "rate",
    "spike_temporal_tau": 2.0,
    "gate_temperature": 0.01,
    "cross_attn_heads": 1,
    "cross_attn_window": 1,
    "layer_norm_eps": 0.1,
    "initializer_range": 0.2,
    "dropout": 0.5,
    "attention_dropout": 0.5,
}


@pytest.mark.parametrize(("key", "value"), BEHAVIOURS.items())
def test_settings_without_a_size_change_the_output(key, value):
    assert (network(**{key: value})(data())[0] - network()(data())[0]).abs().max() > 1e-7


@pytest.mark.parametrize(("key", "value"), [("surrogate", "atan"), ("surrogate_slope", 5.0)])
def test_the_surrogate_changes_gradients_and_no_output(key, value):
    outputs, slopes = [], []
    for model in (network(), network(**{key: value})):
        y, _ = model(data())
        y.square().sum().backward()
        outputs.append(y)
        slopes.append(model.blocks[0].encoder.current.weight.grad)
    assert torch.equal(*outputs)
    assert (slopes[0] - slopes[1]).abs().max() > 1e-7


@pytest.mark.parametrize(("key", "value"), [("spike_threshold", 3.0), ("beta", 0.3)])
def test_threshold_and_beta_change_the_spike_rate(key, value):
    plain, changed = network(), network(**{key: value})
    plain(data())
    changed(data())
    assert changed.spike_rates[0] < 0.9 * plain.spike_rates[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_dims": 8}, "hidden_dims\n.*Extra inputs are not permitted"),
        ({"num_layers": 0}, "num_layers\n.*greater than or equal to 1"),
        ({"spiking_units": -4}, "spiking_units\n.*greater than or equal to 1"),
        ({"beta": 1.0}, "beta\n.*less than 1"),
        ({"spike_threshold": 0.0}, "spike_threshold\n.*greater than 0"),
        ({"spike_threshold": float("inf")}, "spike_threshold\n.*finite"),
        ({"dropout": 1.0}, "dropout\n.*less than 1"),
        ({"integration_mode": "both"}, "'sequential', 'parallel' or 'bidirectional'"),
        ({"liquid_backbone": "gru"}, "liquid_backbone\n.*'cfc', 'ltc' or 'ncp'"),
        ({"liquid_backbone": "ncp", "liquid_units": 3}, "liquid_units=3 must be 4 or more for liquid_backbone=ncp"),
        (
            {"liquid_backbone": "ncp", "ncp_motor_share": 0.7},
            "ncp_motor_share=0.7 makes 4 of liquid_units=6 motor",
        ),
        ({"ncp_motor_share": 1.0}, "ncp_motor_share\n.*less than 1"),
        ({"ncp_sparsity": 0.95}, "ncp_sparsity\n.*less than or equal to 0.9"),
        ({"ncp_seed": -1}, "ncp_seed\n.*greater than or equal to 0"),
        ({"ncp_cell": "gru"}, "ncp_cell\n.*'ltc' or 'cfc'"),
        ({"ltc_unfolds": 0}, "ltc_unfolds\n.*greater than or equal to 1"),
        ({"moe_experts": 1}, "moe_experts=1 must be 0, or 2 or more and at least moe_top_k=2"),
        ({"moe_experts": 3, "moe_top_k": 4}, "moe_experts=3 must be 0, or 2 or more and at least moe_top_k=4"),
        ({"num_gate_heads": 3}, r"num_gate_heads=3 must divide hidden_dim=8; allowed up to 64: 1, 2, 4, 8"),
        ({"cross_attn_heads": 4}, r"cross_attn_heads=4 must divide liquid_units=6; allowed up to 64: 1, 2, 3, 6"),
        ({"cross_attn_heads": 3}, r"cross_attn_heads=3 must divide mamba_expand \* hidden_dim=16"),
    ],
)
def test_impossible_configs_are_refused(changes, message):
    with pytest.raises(pydantic.ValidationError, match=message):
        HybridConfig(**(SMALL | changes))


def test_heads_that_nothing_uses_are_no_matter():
    HybridConfig(**(SMALL | {"num_gate_heads": 3, "use_adaptive_gating": False}))
    HybridConfig(**(SMALL | {"num_gate_heads": 3, "cross_attn_heads": 5, "integration_mode": "sequential"}))
    HybridConfig(**(SMALL | {"num_gate_heads": 3, "cross_attn_heads": 5, "use_mamba": False}))


def test_a_config_can_not_be_changed_afterwards():
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        HybridConfig().beta = 0.5


def test_every_setting_is_described():
    assert [name for name, field in HybridConfig.model_fields.items() if not field.description] == []


@pytest.mark.parametrize(("liquid", "spiking", "layers", "hidden"), [(128, 64, 4, 256), (96, 48, 3, 192)])
def test_the_named_small_and_demo_sizes_run(liquid, spiking, layers, hidden):
    torch.manual_seed(0)
    config = HybridConfig(input_dim=5, liquid_units=liquid, spiking_units=spiking, num_layers=layers, hidden_dim=hidden)
    model = MambaLiquidSpikingNetwork(config).eval()
    y, _ = model(torch.randn(2, 4, 5))
    assert torch.isfinite(y).all()
    assert 0.01 < model.spike_rate < 0.9


@pytest.mark.parametrize("attention_type", ["liquid_to_mamba", "mamba_to_liquid"])
def test_attention_carries_information_one_way_where_asked(attention_type):
    torch.manual_seed(0)
    config = HybridConfig(**(SMALL | {"attention_type": attention_type}))
    attention = BidirectionalIntegration(config).attention
    names = {"liquid_to_mamba": "liquid_to_spike", "mamba_to_liquid": "spike_to_liquid"}
    assert list(attention.directions) == [names[attention_type]]


def test_without_exchange_is_the_exchange_at_zero_weights():
    torch.manual_seed(0)
    whole = BidirectionalIntegration(HybridConfig(**SMALL)).double()
    for weight in whole.exchange.parameters():
        torch.nn.init.zeros_(weight)
    without = BidirectionalIntegration(HybridConfig(**(SMALL | {"use_state_exchange": False}))).double()
    kept = {name: value for name, value in whole.state_dict().items() if not name.startswith("exchange.")}
    without.load_state_dict(kept)
    c = torch.randn(2, 9, 8, dtype=torch.float64)
    torch.testing.assert_close(without(c), whole(c), rtol=1e-12, atol=1e-12)


def test_without_liquid_path_the_block_is_mamba_on_the_spikes_and_without_spikes_on_the_tokens():
    c = torch.randn(2, 9, 8, dtype=torch.float64)
    block = network(use_liquid=False).blocks[0]
    tokens = block.adapter.read(block.encoder, block.norm(c)).tokens
    torch.testing.assert_close(block(c)[0], c + block.integration.mamba(block.token_norm(tokens))[0])
    block = network(use_liquid=False, use_spikes=False).blocks[0]
    torch.testing.assert_close(block(c)[0], c + block.integration.mamba(block.norm(c))[0])


def test_a_network_without_spikes_has_no_spike_rate():
    model = network(use_spikes=False)
    model(data())
    assert not hasattr(model, "spike_rate")
    assert "lif" not in model.kernels


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"use_mamba": False, "use_liquid": False}, "leave no path; set one of them to True"),
        (
            {"use_state_exchange": False, "integration_mode": "parallel"},
            "use_state_exchange=False needs two paths that exchange states: .*here are integration_mode=parallel",
        ),
        ({"use_state_exchange": False, "use_mamba": False}, "use_mamba=False, use_liquid=True; leave use_state_excha"),
    ],
)
def test_what_a_network_does_not_have_cannot_be_switched_off(changes, message):
    with pytest.raises(pydantic.ValidationError, match=message):
        HybridConfig(**(SMALL | changes))


def test_decay_rates_and_preferences_are_spared_from_weight_decay():
    options = {"use_population_coding": True, "temporal_attention": True, "mamba_scales": 2}
    assert spared(network()) == {"A_log", "fusion"}
    assert spared(network(**options)) == {"A_log", "fusion", "logits", "preference"}
    assert spared(network(use_mamba=False, liquid_backbone="ltc")) == {"weight_raw", "midpoint", "steepness"}


def spared(model):
    """Last names of the parameters that weight decay leaves alone."""
    return {name.rsplit(".", 1)[-1] for name, weight in model.named_parameters() if hasattr(weight, "no_weight_decay")}


EXPERTS = {"moe_experts": 4, "moe_top_k": 1, "moe_balance": 0.5}


def test_experts_hand_their_balance_over_once_and_in_training_alone():
    model = network(**EXPERTS)
    assert model.take_auxiliary_loss() is None
    model(data())
    found = [block.experts.balance for block in model.blocks]
    taken = model.take_auxiliary_loss()
    torch.testing.assert_close(taken, 0.5 * (found[0] + found[1]) / 2)
    assert taken.requires_grad
    assert model.take_auxiliary_loss() is None
    copy.deepcopy(model)  # which a tensor with a graph would forbid
    model.eval()(data())
    assert model.take_auxiliary_loss() is None
    plain = network()
    plain(data())
    assert plain.take_auxiliary_loss() is None


def test_recomputed_pieces_hand_over_the_balance_of_the_pieces_and_its_gradient():
    plain, saving = network(**EXPERTS), network(**EXPERTS, recompute_tokens=5)
    saving(data())[0].sum().backward(retain_graph=True)
    saving.zero_grad()
    saving(data())
    ours, states, wanted = saving.take_auxiliary_loss(), None, 0
    for piece in data().split(5, 1):
        _, states = plain(piece, states)
        wanted = wanted + plain.take_auxiliary_loss() * piece.shape[1] / 12
    torch.testing.assert_close(ours, wanted)
    ours.backward()
    wanted.backward()
    for mine, theirs in zip(saving.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad)


@pytest.mark.parametrize(("key", "value"), [("moe_top_k", 2), ("moe_expand", 3), ("moe_balance", 0.1)])
def test_settings_of_experts_matter(key, value):
    found = []
    for model in (network(**EXPERTS), network(**(EXPERTS | {key: value}))):
        y, _ = model(data())
        found.append((size_of(model), y.sum(), model.take_auxiliary_loss()))
    assert found[0] != found[1]
