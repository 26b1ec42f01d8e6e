"""Every setting of the network, its head, its training and its tokens of texts and images does something.

So does every parameter that the description of the systems names, wherever it stands. A new field needs a case: another
value, and what that must change. Sizes change the number of weights, thresholds and decays the spikes, dropout the
output in training alone, and so on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from pydantic import BaseModel
from tests.preprocessing.test_text import PLAY
from tests.preprocessing.test_text import text as raw_text
from tests.tokenizers.test_text_windows import part as text_part
from tests.tokenizers.test_text_windows import windows as text_windows
from tests.training.test_loop import trainer
from torch import Tensor, nn

from neurofmx.command.names import NAMES
from neurofmx.models.configs import HeadConfig, LstmConfig
from neurofmx.models.decoding.build import build_decoder
from neurofmx.models.decoding.decoder import Decoder
from neurofmx.models.decoding.pooling import AttentionPool
from neurofmx.models.hybrid.config import HybridConfig
from neurofmx.models.hybrid.network import MambaLiquidSpikingNetwork
from neurofmx.plan import Evaluate
from neurofmx.preprocessing.text import TextOptions, preprocess
from neurofmx.tokenizers.configs import ImageConfig, TextConfig
from neurofmx.tokenizers.cutting.windows import Windows
from neurofmx.tokenizers.image import ImageTokenizer
from neurofmx.tokenizers.text import TextTokenizer
from neurofmx.tokenizers.tokens import Layout, Sample
from neurofmx.training import jobs, loop
from neurofmx.training.batches import Batches, Uncached
from neurofmx.training.checkpoints.checkpoint import load_checkpoint
from neurofmx.training.one_job import fit_on
from neurofmx.training.options import TrainOptions
from synthetic import synthetic_windows

SMALL = {
    "input_dim": 3,
    "output_dim": 2,
    "hidden_dim": 8,
    "liquid_units": 6,
    "spiking_units": 6,
    "backbone_units": 5,
    "num_layers": 1,
    "num_spike_steps": 4,
    "mamba_d_state": 4,
    "num_gate_heads": 2,
    "cross_attn_heads": 2,
    "cross_attn_window": 4,
    "dropout": 0.0,
    "attention_dropout": 0.0,
}


class Case(NamedTuple):
    """Another value of a field, what it must change, and what else holds in both networks."""

    value: Any
    changes: Callable[[nn.Module, nn.Module], None]
    base: Mapping[str, Any] = MappingProxyType({})


def size(plain: nn.Module, other: nn.Module) -> None:
    """The number of weights."""
    assert count(plain) != count(other)


def count(model: nn.Module) -> int:
    return sum(weight.numel() for weight in model.parameters())


def larger(plain: nn.Module, other: nn.Module) -> None:
    """The number of weights, upwards."""
    assert count(other) > count(plain)


def output(plain: nn.Module, other: nn.Module) -> None:
    """What the network answers, with as many weights."""
    assert count(plain) == count(other)
    assert not torch.allclose(answer(plain), answer(other), rtol=1e-6, atol=1e-9)


def drops(plain: nn.Module, other: nn.Module) -> None:
    """The answers in training alone."""
    assert torch.equal(answer(plain), answer(other))
    assert not torch.allclose(answer(plain, train=True), answer(other, train=True))


def fires_less(plain: nn.Module, other: nn.Module) -> None:
    """How often neurons fire, downwards."""
    rates = []
    for model in (plain, other):
        answer(model)
        rates.append(float(model.spike_rates[0]))
    assert rates[1] < 0.9 * rates[0]


def slope(plain: nn.Module, other: nn.Module) -> None:
    """Gradients, and no answer."""
    assert torch.equal(answer(plain), answer(other))
    grads = []
    for model in (plain, other):
        answer(model).square().sum().backward()
        grads.append(torch.cat([w.grad.flatten() for w in model.parameters() if w.grad is not None]))
    assert grads[0].shape != grads[1].shape or not torch.allclose(*grads)


def first_weights(plain: nn.Module, other: nn.Module) -> None:
    """The spread of the first weights, by as much as the setting: ten times."""
    for name in ("input_projection", "output_projection"):
        ratio = getattr(other, name).weight / getattr(plain, name).weight
        torch.testing.assert_close(ratio, torch.full_like(ratio, 10.0), rtol=1e-5, atol=0)


def recomputes(plain: nn.Module, other: nn.Module) -> None:
    """What is kept for the backward pass, and no answer."""
    kept = []
    for model in (plain, other):
        sizes: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda x, sizes=sizes: sizes.append(x.numel()) or x, lambda x: x):
            answer(model, length=32)
        kept.append(sum(sizes))
    torch.testing.assert_close(answer(plain), answer(other))
    assert kept[1] < 0.5 * kept[0]


def kernels(plain: nn.Module, other: nn.Module) -> None:
    """What computes the recurrences, and no number beyond rounding."""
    torch.testing.assert_close(answer(plain), answer(other))
    assert (plain.kernels, other.kernels) == ("numba", "reference")


def fixed(plain: nn.Module, other: nn.Module) -> None:
    """Which weights are trained, and no answer."""
    torch.testing.assert_close(answer(plain), answer(other))
    trained = [sum(w.numel() for w in model.parameters() if w.requires_grad) for model in (plain, other)]
    assert trained[1] < trained[0]


def balances(plain: nn.Module, other: nn.Module) -> None:
    """What a network adds to the loss in training, as many times as the setting is larger."""
    assert torch.equal(answer(plain), answer(other))
    added = []
    for model in (plain, other):
        answer(model, train=True)
        offers = [getattr(module, "take_auxiliary_loss", None) for module in model.modules()]
        added.append(sum(float(offer().detach()) for offer in offers if offer is not None))
    assert added[1] == pytest.approx(5 * added[0])
    assert added[0] > 0


def teaches(plain: nn.Module, other: nn.Module) -> None:
    """Gradients, and answers as soon as weights that start at 0 have moved."""
    grads = []
    for model in (plain, other):
        answer(model).square().sum().backward()
        grads.append(torch.cat([w.grad.flatten() for w in model.parameters() if w.grad is not None]))
    assert grads[0].shape == grads[1].shape
    assert not torch.allclose(*grads, rtol=1e-6, atol=1e-12)


def formula(plain: nn.Module, other: nn.Module) -> None:
    """What the network answers with the very same weights."""
    ours, theirs = plain.state_dict(), other.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(weight, theirs[name]) for name, weight in ours.items())
    output(plain, other)


def differs(plain: nn.Module, other: nn.Module) -> None:
    """What the network answers; the number of weights may change too."""
    assert not torch.allclose(answer(plain), answer(other), rtol=1e-6, atol=1e-9)


def answer(model: nn.Module, *, train: bool = False, length: int = 12) -> Tensor:
    """The same tokens through a network with the same randomness every time."""
    x = torch.randn(2, length, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    torch.manual_seed(2)
    return model.train(train)(x)[0]


ATTENTION = {"use_cross_modal_attention": True, "num_attention_heads": 2}
EXPERTS = {"moe_experts": 3}
POPULATION = {"use_population_coding": True}
CIRCUIT = {"liquid_backbone": "ncp"}
HYBRID = {
    "input_dim": Case(4, larger),
    "output_dim": Case(3, larger),
    "num_layers": Case(2, larger),
    "hidden_dim": Case(16, larger),
    "liquid_units": Case(8, larger),
    "spiking_units": Case(8, larger),
    "backbone_units": Case(6, larger),
    "liquid_backbone": Case("ltc", size),
    "spike_threshold": Case(3.0, fires_less),
    "beta": Case(0.3, fires_less),
    "use_spikes": Case(False, size),
    "use_liquid": Case(False, size),
    "cfc_mode": Case("no_gate", formula),
    "ncp_cell": Case("cfc", size, CIRCUIT),
    "ncp_sparsity": Case(0.1, output, CIRCUIT),
    "ncp_motor_share": Case(0.5, output, CIRCUIT),
    "ncp_seed": Case(1, output, CIRCUIT),
    "ltc_unfolds": Case(2, formula, {"liquid_backbone": "ltc"}),
    "num_spike_steps": Case(8, formula),
    "surrogate": Case("atan", slope),
    "surrogate_slope": Case(5.0, slope),
    "reset": Case("zero", formula),
    "learn_beta": Case(False, fixed),
    "learn_threshold": Case(False, fixed),
    "synaptic_tau": Case(3.0, differs),
    "threshold_adaptation": Case(2.0, differs),
    "adaptation_tau": Case(2.0, differs, {"threshold_adaptation": 2.0}),
    "use_population_coding": Case(True, differs),
    "population_size": Case(3, differs, POPULATION),
    "threshold_distribution": Case("logarithmic", output, POPULATION),
    "threshold_spread": Case(0.2, output, POPULATION),
    "encoding_scheme": Case("hybrid", formula, POPULATION),
    "use_mamba": Case(False, size),
    "integration_mode": Case("parallel", size),
    "mamba_d_state": Case(5, larger),
    "mamba_d_conv": Case(5, larger),
    "mamba_expand": Case(3, larger),
    "mamba_scales": Case(2, larger),
    "moe_experts": Case(3, larger),
    "moe_top_k": Case(1, formula, EXPERTS),
    "moe_expand": Case(3, larger, EXPERTS),
    "moe_balance": Case(0.05, balances, EXPERTS),
    "spike_to_mamba_method": Case("rate", formula),
    "spike_temporal_tau": Case(2.0, formula),
    "use_adaptive_gating": Case(False, size),
    "num_gate_heads": Case(4, larger),
    "gate_temperature": Case(0.1, formula),
    "use_cross_attention": Case(False, size),
    "cross_attn_heads": Case(1, formula),
    "cross_attn_window": Case(1, formula),
    "use_state_exchange": Case(False, size),
    "attention_type": Case("liquid_to_mamba", size),
    "use_cross_modal_attention": Case(True, larger, {"num_attention_heads": 2}),
    "num_attention_heads": Case(3, teaches, ATTENTION),
    "temporal_attention": Case(True, differs),
    "temporal_scales": Case((1, 2), differs, {"temporal_attention": True}),
    "attention_dropout": Case(0.5, drops),
    "dropout": Case(0.5, drops),
    "layer_norm_eps": Case(0.1, formula),
    "initializer_range": Case(0.2, first_weights),
    "recompute_tokens": Case(4, recomputes),
    "kernels": Case("reference", kernels),
}


def hybrid(**values: Any) -> nn.Module:
    torch.manual_seed(0)
    return MambaLiquidSpikingNetwork(HybridConfig(**values)).double()


@pytest.mark.parametrize("name", HybridConfig.model_fields)
def test_a_setting_of_the_network_matters(name: str) -> None:
    case = of(HYBRID, name)
    base = {**SMALL, **case.base}
    case.changes(hybrid(**base), hybrid(**base | {name: case.value}))


def of(cases: dict[str, Any], name: str) -> Any:
    """The case of a field, which every field must have."""
    assert name in cases, f"{name} is new: add a case that shows what it changes"
    return cases[name]


def test_the_first_weights_of_a_run_are_those_of_tokenizer_and_head() -> None:
    """`initializer_range` in the pipeline: times what is usual at both ends, nothing in between."""
    networks = []
    for spread in (0.02, 0.06):
        torch.manual_seed(0)
        config = HybridConfig(**SMALL | {"input_dim": None, "output_dim": None, "initializer_range": spread})
        networks.append(build_decoder("hybrid", config, HeadConfig(), synthetic_windows(), fold=0))
    usual, wide = (dict(network.named_parameters()) for network in networks)
    for name, weight in wide.items():
        ends = name.endswith("weight") and name.startswith(("tokenizer", "head.answer"))
        torch.testing.assert_close(weight, usual[name] * (3 if ends else 1))
    assert sum(not torch.equal(weight, usual[name]) for name, weight in wide.items()) >= 2


def test_tied_vectors_are_one_set() -> None:
    """`tie_embeddings`, a setting of the head that only a text has."""
    made = text_windows(
        parts=[text_part(name, tokens=801, first=k) for k, name in enumerate(("train", "valid", "test"))]
    )
    config = HybridConfig(**SMALL | {"input_dim": None, "output_dim": None})
    plain, tied = (
        build_decoder("hybrid", config, HeadConfig(tie_embeddings=tie), made, fold=0) for tie in (False, True)
    )
    assert count(tied) == count(plain) - made.task.width * config.hidden_dim


# how each field of the head and of the tokenizers of texts and images changes answers or weights
HEAD = {"pool": Case("last", size), "dropout": Case(0.5, drops)}
TEXT = {
    "embedding_dim": Case(5, larger),
    "max_position_embeddings": Case(12, larger),
    "embedding_dropout": Case(0.5, drops),
    "spread": Case(0.05, output),
}
IMAGE = {
    "conv_channels": Case((4, 8, 8), larger),
    "conv_kernel_sizes": Case((3, 3, 1), size),
    "conv_strides": Case((1, 1, 2), larger),
    "conv_padding": Case((1, 1, 0), size),
    "colours": Case(3, size),
}


class _Reader(nn.Module):
    """A tokenizer, or a pool and head, that is asked the same way as a network."""

    def __init__(self, module: nn.Module, sample: Any) -> None:
        super().__init__()
        self.module, self.sample = module, sample

    def forward(self, x: Tensor) -> tuple[Tensor]:
        found = self.module(self.sample)
        return (found if isinstance(found, Tensor) else found[0],)


def head(**values: Any) -> nn.Module:
    torch.manual_seed(0)
    config = HybridConfig(**SMALL | {"input_dim": None, "output_dim": None})
    decoder = build_decoder("hybrid", config, HeadConfig(**{"dropout": 0.0} | values), synthetic_windows(), fold=0)
    if isinstance(decoder.head.pool, AttentionPool):
        nn.init.normal_(decoder.head.pool.score.weight)
    return _Reader(decoder.head, torch.randn(3, 6, 8, generator=torch.Generator().manual_seed(0)))


def text(**values: Any) -> nn.Module:
    torch.manual_seed(0)
    numbers = Sample(torch.arange(12).view(2, 6, 1))
    return _Reader(
        TextTokenizer(Layout((6, 1), vocabulary=12), 8, TextConfig(**{"embedding_dropout": 0.0} | values)), numbers
    )


def image(**values: Any) -> nn.Module:
    torch.manual_seed(0)
    base = {"conv_channels": (4, 4, 8)}
    layout = Layout((9, 9))
    return _Reader(ImageTokenizer(layout, 8, ImageConfig(**base | values)), Sample(torch.randn(2, 9, 9)))


@pytest.mark.parametrize(
    ("section", "cases", "build", "name"),
    [
        pytest.param(section, cases, build, name, id=f"{section.__name__}.{name}")
        for section, cases, build in ((HeadConfig, HEAD, head), (TextConfig, TEXT, text), (ImageConfig, IMAGE, image))
        for name in section.model_fields
        if name != "tie_embeddings"  # test_tied_vectors_are_one_set
    ],
)
def test_a_setting_of_head_and_tokens_matters(
    section: type[BaseModel], cases: dict[str, Case], build: Callable[..., nn.Module], name: str
) -> None:
    case = of(cases, name)
    case.changes(build(), build(**{name: case.value}))


class _NoCurve(nullcontext[Any]):
    """In place of dvclive, which takes longer to load than these trainings to run."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__(self)

    def log(self, *_: Any) -> None:
        """Nothing is followed."""


class _Trained(NamedTuple):
    """What a training of a few steps ended with."""

    weights: Tensor
    epochs: int
    steps: int


def trained(folder: Path, **options: Any) -> _Trained:
    """A short training on windows of two classes, one of them rare."""
    common = {"num_epochs": 4, "batch_size": 16, "learning_rate": 3e-3, "mixed_precision": False, "input_noise": 0.0}
    training = trainer(folder, **common | options)
    rare = torch.arange(len(training.batches.y)) % 4 == 0
    training.batches.y[:] = rare.long()
    training._weighted = loop._class_weights(training.options, training.batches, training.model)
    last = training.fit().last
    weights = torch.cat([weight.flatten() for weight in last.values()])
    return _Trained(weights, training.progress.epoch, training.progress.step)


# another value, and what else holds in both trainings; what they must change is their weights
TRAINED: dict[str, tuple[Any, dict[str, Any]]] = {
    "learning_rate": (1e-3, {}),
    "schedule": ("constant", {}),
    "warmup_fraction": (0.6, {}),
    "batch_size": (8, {}),
    "gradient_accumulation": (2, {}),
    "num_epochs": (3, {}),
    "min_batches": (9, {}),
    "max_batches": (2, {}),
    "patience": (1, {"learning_rate": 2.0, "num_epochs": 12}),
    "curriculum": ("length", {}),
    "curriculum_start": (0.5, {"curriculum": "length"}),
    "curriculum_patience": (3, {"curriculum": "length", "num_epochs": 12, "learning_rate": 0.5}),
    "class_weights": ("balanced", {}),
    "weight_decay": (0.5, {}),
    "gradient_clip": (1e-3, {}),
    "label_smoothing": (0.2, {}),
    "input_noise": (0.5, {}),
    "input_dropout": (0.3, {}),
}
# these must change no weight, or only by rounding: what they do is shown by tests of their own, below
COMPUTED = {"mixed_precision", "device", "use_cache", "threads", "workers"}


@pytest.mark.parametrize("name", [name for name in TrainOptions.model_fields if name not in COMPUTED])
def test_a_setting_of_the_training_matters(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "Curve", _NoCurve)
    value, base = of(TRAINED, name)
    runs = {"plain": {}, "again": {}, "other": {name: value}}
    plain, again, other = (trained(tmp_path / run, **base | changes) for run, changes in runs.items())
    assert torch.equal(plain.weights, again.weights)
    assert not torch.equal(plain.weights, other.weights)
    if name in ("num_epochs", "patience"):
        assert other.epochs < plain.epochs
    if name in ("batch_size", "min_batches"):
        assert other.steps > plain.steps
    if name in ("gradient_accumulation", "max_batches"):
        assert other.steps < plain.steps


def test_every_setting_of_the_training_has_a_case() -> None:
    assert set(TrainOptions.model_fields) == set(TRAINED) | COMPUTED
    assert not set(TRAINED) & COMPUTED


@pytest.mark.parametrize(("mixed", "precision"), [(True, "bf16"), (False, "no")])
def test_precision_is_mixed_where_asked(
    mixed: bool, precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "_has_bf16", lambda device: True)
    assert trainer(tmp_path, mixed_precision=mixed).accelerator.mixed_precision == precision


def test_device_chooses_what_computes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(loop, "_use_cuda", lambda device: asked.append(device) and False)
    trainer(tmp_path, device="cpu")
    assert asked[0] == "cpu"


def test_cache_decides_where_windows_are() -> None:
    held = [
        Batches(synthetic_windows(), 0, batch_size=4, device=torch.device("cpu"), use_cache=use).sample
        for use in (True, False)
    ]
    assert isinstance(held[0], Sample)
    assert isinstance(held[1], Uncached)


def test_workers_and_threads_are_those_of_the_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []

    class Pool:
        def __init__(self, workers: int, context: Any, prepare: Any, arguments: tuple[Any, int]) -> None:
            seen.append((workers, arguments[1]))
            raise KeyboardInterrupt

    monkeypatch.setattr(jobs, "ProcessPoolExecutor", Pool)
    for options in ({"workers": 3, "threads": 2}, {"workers": 1}):
        recipe = jobs.Recipe(tmp_path, "lstm", HybridConfig(), HeadConfig(), TrainOptions(**options))
        with pytest.raises(KeyboardInterrupt):
            jobs._run(recipe, [(fold, 0) for fold in range(5)], tmp_path, "label")
    assert seen == [(3, 2), (1, 1)]


def text_decoder(made: Windows) -> Decoder:
    """A small language model of a text's windows, the same every time."""
    torch.manual_seed(0)
    config = HybridConfig(**SMALL | {"input_dim": None, "output_dim": None})
    return build_decoder("hybrid", config, HeadConfig(dropout=0.0), made, fold=0).eval()


def test_the_size_of_a_vocabulary_is_that_of_what_reads_and_answers_tokens() -> None:
    texts, decoders = [raw_text(session, PLAY) for session in ("train", "valid", "test")], []
    for limit in (6, 9):
        made = text_windows(parts=preprocess(texts, TextOptions(unit="word", size=limit)))
        assert made.task.width == limit
        decoders.append(text_decoder(made))
    hidden = SMALL["hidden_dim"]
    assert count(decoders[1]) - count(decoders[0]) == 3 * (hidden + hidden + 1)  # a vector, a row of answers, its bias


def test_the_length_of_a_sequence_is_how_far_back_a_token_is_heard() -> None:
    heard = []
    for length in (4, 8):
        made = text_windows(stop=float(length), stride=length)
        assert made.x.shape[1] == length
        assert made.y[made.group == 0].ravel().tolist() == list(range(1, 41))  # the same tokens are asked for
        x = torch.tensor(made.x[made.group == 0].ravel()[:8].copy(), dtype=torch.int64)
        changed = x.clone()
        changed[1] += 1
        decoder = text_decoder(made)
        y = np.zeros((8 // length, length), np.int64)
        said = [decoder.log_likelihood(Sample(tokens.view(-1, length, 1)), y).ravel() for tokens in (x, changed)]
        heard.append(said[0][6] != said[1][6])
    assert heard == [False, True]


def test_each_seed_trains_every_fold_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "Curve", _NoCurve)
    windows, asked = synthetic_windows(), []
    windows.save(tmp_path / "windows.h5")
    options = TrainOptions(num_epochs=1, max_batches=2, mixed_precision=False, device="cpu")
    recipe = jobs.Recipe(tmp_path / "windows.h5", "lstm", LstmConfig(hidden_dim=4), HeadConfig(), options)
    weights = []
    for number, seed in enumerate((1, 2, 1)):
        fit_on(windows, recipe, 0, seed, tmp_path / str(number))
        last, _ = load_checkpoint(tmp_path / str(number) / "last.safetensors")
        weights.append(torch.cat([weight.flatten() for weight in last.values()]))
    assert torch.equal(weights[0], weights[2])
    assert not torch.equal(weights[0], weights[1])
    monkeypatch.setattr(jobs, "_run", lambda recipe, each, folder, label: asked.extend(each) or [])
    with jobs.train_all(recipe, folds=2, seeds=load_seeds([5, 7]), keep=tmp_path / "keep", label="label"):
        assert asked == [(0, 5), (1, 5), (0, 7), (1, 7)]


def load_seeds(seeds: list[int]) -> tuple[int, ...]:
    """What `evaluate.seeds` is once params.yaml is read."""
    return Evaluate(seeds=seeds).seeds


# settings of the description that stand in the block of a dataset, or beside those of the scores
OF_DATA = {
    "datasets.<name>.preprocess.size": test_the_size_of_a_vocabulary_is_that_of_what_reads_and_answers_tokens,
    "datasets.<name>.tokenize.stop": test_the_length_of_a_sequence_is_how_far_back_a_token_is_heard,
    "evaluate.seeds": test_each_seed_trains_every_fold_anew,
}


def test_every_name_of_the_description_has_a_case() -> None:
    """Also those that are no field of the classes above."""
    cases = {f"model.{name}" for name in HYBRID} | {f"train.{name}" for name in {*TRAINED, *COMPUTED}} | {*OF_DATA}
    cases |= {f"datasets.<name>.tokenize.tokenizer_options.{name}" for name in {*TEXT, *IMAGE}}
    keys = {name: named.key or f"model.{name}" for name, named in NAMES.items()}  # without one: from Python alone
    assert [name for name, key in keys.items() if key not in cases] == []
    assert set(OF_DATA) <= set(keys.values())
