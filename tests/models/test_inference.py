"""Inference: a stream has the bits of one pass, and the reduced precisions stay near float32."""

from __future__ import annotations

from typing import Literal, get_args, get_origin

import pytest
import torch
from tests.models.test_hybrid import MODES, SMALL

from neurofmx.layers.inference import PRECISIONS, exact_rows, in_precision
from neurofmx.layers.quantize import size_in_bytes
from neurofmx.models.configs import LstmConfig, MambaConfig, TransformerConfig
from neurofmx.models.hybrid.config import HybridConfig
from neurofmx.models.hybrid.network import MambaLiquidSpikingNetwork
from neurofmx.models.lstm import Lstm
from neurofmx.models.mamba import MambaStack
from neurofmx.models.table import MODELS
from neurofmx.models.transformer import Transformer

ODD = {name: value for name, value in SMALL.items() if name not in ("input_dim", "output_dim")}
UNEVEN = ODD | {"hidden_dim": 10, "liquid_units": 14, "spiking_units": 22, "backbone_units": 13}
EVEN = ODD | {"hidden_dim": 64, "liquid_units": 32, "spiking_units": 32, "backbone_units": 32}


def hybrid(**changes):
    """A small network in evaluation, with tokens that make it spike."""
    torch.manual_seed(0)
    model = MambaLiquidSpikingNetwork(HybridConfig(**(ODD | changes))).eval()
    return model, 2 * torch.randn(2, 11, model.config.hidden_dim)


def backbone(name, width=8):
    """A backbone of a family that is trained by gradient descent."""
    torch.manual_seed(0)
    made = {
        "hybrid": lambda: MambaLiquidSpikingNetwork(HybridConfig(**(ODD | {"hidden_dim": width}))),
        "lstm": lambda: Lstm(LstmConfig(hidden_dim=width)),
        "mamba": lambda: MambaStack(MambaConfig(hidden_dim=width, d_state=4)),
        "transformer": lambda: Transformer(TransformerConfig(hidden_dim=width, num_attention_heads=2)),
    }
    return made[name]().eval(), 2 * torch.randn(2, 11, width)


FAMILIES = [name for name, family in MODELS.items() if family.network]


def stream(model, x):
    """Outputs and last state, token by token."""
    state, outputs = None, []
    for token in x.unbind(1):
        y, state = model.step(token, state)
        outputs.append(y)
    return torch.stack(outputs, 1), state


def flat(state):
    """All tensors of a state; a network without spikes has None in the place of theirs."""
    if state is None:
        return []
    if isinstance(state, torch.Tensor):
        return [state]
    return [tensor for part in (state.values() if isinstance(state, dict) else state) for tensor in flat(part)]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", FAMILIES)
@torch.inference_mode()
def test_every_backbone_streams_in_every_precision(name, precision):
    model, x = backbone(name)
    in_precision(model, precision)
    whole, last = model(x)
    outputs, state = stream(model, x)
    close = {"float32": 1e-5, "int8": 1e-5, "float16": 5e-3, "bfloat16": 5e-2}[precision]
    assert outputs.dtype == torch.float32
    torch.testing.assert_close(outputs, whole, rtol=close, atol=close)
    for ours, theirs in zip(flat(state), flat(last), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=close, atol=close)


def trained(model):
    """The network with weights as if after some training, so that no part is near its start."""
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.3 * (weight.abs().mean() + 0.1) * torch.randn_like(weight)
    return model


def assert_a_stream_has_the_bits_of_one_pass(model, x):
    """Outputs and states token by token, and outputs in pieces."""
    whole, last = model(x)
    outputs, state = stream(model, x)
    assert torch.equal(outputs, whole)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(flat(state), flat(last), strict=True))
    start, state = model(x[:, :4])
    middle, state = model(x[:, 4:9], state)
    assert torch.equal(torch.cat([start, middle], 1), whole[:, :9])


@pytest.mark.parametrize("sizes", [UNEVEN, EVEN], ids=["uneven", "even"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("liquid", ["cfc", "ltc", "ncp"])
@pytest.mark.parametrize("prepare", [exact_rows, PRECISIONS["int8"]], ids=["float32", "int8"])
@torch.inference_mode()
def test_a_prepared_network_streams_with_the_bits_of_one_pass(prepare, mode, liquid, sizes):
    model, x = hybrid(**sizes, integration_mode=mode, liquid_backbone=liquid, kernels="numba")
    assert_a_stream_has_the_bits_of_one_pass(prepare(trained(model)), x)


POPULATION = {"use_population_coding": True, "spike_to_mamba_method": "temporal"}
OPTIONS = [
    {"temporal_attention": True, "temporal_scales": (1, 3), "use_cross_modal_attention": True},
    {"mamba_scales": 3, "moe_experts": 3},
    *(POPULATION | {"encoding_scheme": scheme} for scheme in ("rate", "temporal", "hybrid")),
    *(POPULATION | {"threshold_distribution": kind} for kind in ("gaussian", "logarithmic")),
    {"synaptic_tau": 3.0, "threshold_adaptation": 1.8},
    {"reset": "zero"},
    *({"spike_to_mamba_method": method} for method in ("rate", "potential")),
    {"cross_attn_window": None, "use_cross_modal_attention": True},
    *({"attention_type": way, "use_cross_modal_attention": True} for way in ("liquid_to_mamba", "mamba_to_liquid")),
    *({f"use_{part}": False} for part in ("state_exchange", "cross_attention", "adaptive_gating")),
    *({f"use_{part}": False} for part in ("spikes", "mamba", "liquid")),
    *({"use_spikes": False, f"use_{path}": False} for path in ("mamba", "liquid")),
]
ELSEWHERE = {"integration_mode", "liquid_backbone"}  # in the test above
PLAIN_LOOPS = {"kernels", "cfc_mode", "ncp_cell"}  # whose rounding may depend on how a stream is cut
OF_TRAINING = {"surrogate", "learn_beta", "learn_threshold"}


@pytest.mark.parametrize("prepare", [exact_rows, PRECISIONS["int8"]], ids=["float32", "int8"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@torch.inference_mode()
def test_so_does_one_with_every_option(options, prepare):
    model, x = hybrid(**(UNEVEN | options), num_attention_heads=2, kernels="numba")
    assert_a_stream_has_the_bits_of_one_pass(prepare(trained(model)), x)


@pytest.mark.parametrize("prepare", [exact_rows, PRECISIONS["int8"]], ids=["float32", "int8"])
@torch.inference_mode()
def test_so_does_a_plain_mamba_stack(prepare):
    model, x = backbone("mamba", width=10)
    assert_a_stream_has_the_bits_of_one_pass(prepare(trained(model)), x)


def test_every_choice_of_the_network_is_among_the_options():
    missing = {}
    for name, field in HybridConfig.model_fields.items():
        choices = {True, False} if field.annotation is bool else set(get_args(field.annotation))
        if (field.annotation is bool or get_origin(field.annotation) is Literal) and name not in ELSEWHERE:
            missing[name] = choices - {field.default} - {options.get(name) for options in OPTIONS}
    assert {name for name, choices in missing.items() if choices} == PLAIN_LOOPS | OF_TRAINING


@pytest.mark.parametrize("mode", MODES)
@torch.inference_mode()
def test_exact_rows_change_no_more_than_the_rounding(mode):
    model, x = hybrid(integration_mode=mode)
    before = model(x)[0]
    torch.testing.assert_close(exact_rows(model)(x)[0], before, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("precision", "tolerance"), [("float32", 0.0), ("float16", 0.01), ("bfloat16", 0.05), ("int8", 0.05)]
)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kernels", ["numba", "reference"])
@torch.inference_mode()
def test_every_precision_is_near_float32(kernels, mode, precision, tolerance):
    model, x = hybrid(**EVEN, integration_mode=mode, kernels=kernels)
    before, size = model(x)[0], size_in_bytes(model)
    found = in_precision(model, precision)(x)[0]
    error = (found - before).square().mean().sqrt() / before.square().mean().sqrt()
    assert error <= tolerance
    if precision != "float32":
        assert error > 0
        assert size_in_bytes(model) < (0.6 if precision != "int8" else 0.45) * size


def test_half_of_everything_is_refused_by_a_name_of_the_way_out():
    model, x = hybrid()
    with pytest.raises(ValueError, match=r"got torch\.bfloat16: instead of model\.half\(\) use .*in_precision"):
        model.bfloat16()(x.bfloat16())


@torch.inference_mode()
def test_new_weights_are_seen_by_a_prepared_network():
    model, x = hybrid()
    other, _ = hybrid()
    for weight in other.parameters():
        weight.mul_(0.9)
    exact_rows(model)(x)
    model.load_state_dict(other.state_dict())
    assert torch.equal(model(x)[0], exact_rows(other)(x)[0])


def test_a_prepared_network_that_is_trained_all_the_same_is_not_stale():
    model, x = hybrid()
    exact_rows(model)
    with torch.inference_mode():
        before = model(x)[0]
    model.train()(x)[0].square().sum().backward()
    with torch.no_grad():
        for weight in model.parameters():
            weight -= 0.01 * weight.grad.sign()
        after = model.eval()(x)[0]
        fresh, _ = hybrid()
        fresh.load_state_dict(model.state_dict())
        assert torch.equal(after, exact_rows(fresh)(x)[0])
    assert not torch.equal(after, before)


def test_a_prepared_network_still_has_gradients():
    model, x = hybrid()
    x.requires_grad_()
    exact_rows(model)(x)[0].square().sum().backward()
    assert x.grad is not None
    assert x.grad.abs().min() > 0
    assert all(weight.grad is not None for weight in model.parameters())


def test_a_step_takes_one_token():
    model, x = hybrid()
    with pytest.raises(ValueError, match=r"x must have the shape \(batch, length, channels=8\)"):
        model.step(x)


class Step(torch.nn.Module):
    """A network whose call is its step."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, token, state):
        return self.model.step(token, state)


def exported(module, given):
    """The module as a program, traced on what is given."""
    return torch.export.export(module, given).module()


@pytest.mark.parametrize("precision", PRECISIONS)
@torch.no_grad()
def test_a_step_is_exported_and_computes_the_same_bits(precision):
    model, x = hybrid(num_layers=1)
    in_precision(model, precision)
    _, state = model(x[:, :5])
    y, after = exported(Step(model), (x[:, 5], state))(x[:, 5], state)
    wanted, last = model.step(x[:, 5], state)
    assert torch.equal(y, wanted)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(flat(after), flat(last), strict=True))


TRACED = [
    {"integration_mode": "sequential"} | POPULATION | {"encoding_scheme": "hybrid"},
    {"integration_mode": "parallel", "use_cross_modal_attention": True, "moe_experts": 3},
    {"integration_mode": "bidirectional"},
]


def compiled(module, given):
    """The module as one graph, traced on what is given."""
    torch.compiler.reset()
    graph = torch.compile(module, backend="eager", fullgraph=True)
    graph(*given)
    return graph


@pytest.mark.parametrize("trace", [compiled, exported])
@pytest.mark.parametrize("options", TRACED, ids=str)
@torch.no_grad()
def test_a_pass_and_a_step_are_traced_as_a_whole_and_compute_the_same_on_other_tokens(options, trace):
    model, x = hybrid(num_layers=1, num_attention_heads=1, **options)
    trained(model)
    _, other = model(-x[:, :5])
    _, state = model(x[:, :5])
    for module, first, given in (
        (model, (-x,), (x,)),
        (Step(model), (-x[:, 5], other), (x[:, 5], state)),
    ):
        y, after = trace(module, first)(*given)
        wanted, last = module(*given)
        torch.testing.assert_close([y, *flat(after)], [wanted, *flat(last)], rtol=0, atol=1e-5)


@pytest.mark.parametrize("liquid", ["cfc", "ltc", "ncp"])
def test_leaving_the_operators_out_changes_no_bit(liquid):
    model, x = hybrid(liquid_backbone=liquid)
    with_gradients, last = model(x)
    with torch.no_grad():
        without, state = model(x)
    assert torch.equal(with_gradients, without)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(flat(last), flat(state), strict=True))
