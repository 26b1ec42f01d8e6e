"""Every network as a language model: blind to what comes, learns what follows, and its logits are never held."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.tokenizers.test_text_windows import part, windows

from neurofmx.models.configs import HeadConfig
from neurofmx.models.decoding import token_head
from neurofmx.models.decoding.build import build_decoder
from neurofmx.models.decoding.decoder import Decoder
from neurofmx.models.decoding.token_head import TokenHead
from neurofmx.models.table import MODELS
from neurofmx.tokenizers.cutting.windows import Windows
from neurofmx.tokenizers.tokens import Sample
from neurofmx.training.batches import Batches
from neurofmx.training.loop import Trainer
from neurofmx.training.options import TrainOptions
from synthetic import synthetic_windows

HYBRID = {
    "liquid_units": 16,
    "backbone_units": 8,
    "spiking_units": 16,
    "num_spike_steps": 2,
    "mamba_d_state": 4,
    "num_gate_heads": 2,
    "cross_attn_heads": 2,
}
MODES = [
    {"integration_mode": mode, "spike_to_mamba_method": method, "liquid_backbone": cell, **HYBRID}
    for mode, method, cell in (
        ("bidirectional", "rate", "cfc"),
        ("bidirectional", "temporal", "ltc"),
        ("parallel", "potential", "cfc"),
        ("sequential", "temporal", "ncp"),
    )
]
NETWORKS = [
    ("lstm", {}),
    ("mamba", {}),
    ("transformer", {"num_attention_heads": 2}),
    *(("hybrid", mode) for mode in MODES),
    ("neurofmx", {"latents": 2, "num_attention_heads": 2}),
]


def text_windows(places: int | None, **options: object) -> Windows:
    """Windows of 12 tokens, with so many learnt places."""
    return windows(stop=12.0, stride=12, tokenizer_options={"max_position_embeddings": places}, **options)


def network(family: str, options: dict, *, made: Windows | None = None, places: int | None = None) -> Decoder:
    """A small network; its places, if it has any, are as loud as its tokens, so that a wrong one is heard."""
    torch.manual_seed(0)
    config = MODELS[family].config(hidden_dim=16, num_layers=2, **options)
    decoder = build_decoder(family, config, HeadConfig(), made or text_windows(places), fold=0)
    if getattr(decoder.tokenizer, "places", None) is not None:
        torch.nn.init.normal_(decoder.tokenizer.places.weight)
    return decoder


@pytest.mark.parametrize(("family", "options"), NETWORKS)
def test_a_later_token_changes_no_earlier_answer(family: str, options: dict) -> None:
    model = network(family, options).eval()
    x = torch.randint(50, (3, 12, 1))
    later = x.clone()
    later[:, 7:] = (later[:, 7:] + 1) % 50
    with torch.no_grad():
        before, after = (model.head.logits(model(Sample(each))[0]) for each in (x, later))
    torch.testing.assert_close(after[:, :7], before[:, :7], rtol=0, atol=1e-6)
    assert (after[:, 7:] - before[:, 7:]).abs().amax((0, 2)).min() > 1e-4  # and every one from there on


@pytest.mark.parametrize(("family", "options"), NETWORKS[:4])
def test_it_learns_what_follows(family: str, options: dict, tmp_path: Path) -> None:
    made = windows(parts=[part(name, tokens=801, first=k) for k, name in enumerate(("train", "valid", "test"))])
    model = network(family, options, made=made)
    batches = Batches(made, 0, batch_size=32, device=torch.device("cpu"))
    # noise, silenced channels and smoothing are for measurements: numbers of tokens stay as they are
    settings = {"learning_rate": 0.02, "num_epochs": 12, "input_noise": 5.0, "input_dropout": 0.9}
    options_ = TrainOptions(**settings, label_smoothing=0.9, mixed_precision=False, patience=12)
    fitted = Trainer(model, batches, options_, seed=0, folder=tmp_path).fit()
    assert fitted.curve[0][2] > 2
    model.load_state_dict(fitted.best)
    test = made.fold(0).test
    likelihood = model.log_likelihood(Sample.of(made, 0, test), made.y[test])
    assert likelihood.shape == (len(test), 4)
    assert np.exp(-likelihood.mean()) < 1.5  # of 50 tokens


@pytest.mark.parametrize("chunk", [1, 30, 10**6])
def test_loss_and_slopes_are_those_of_cross_entropy(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_head, "CHUNK", chunk)
    head = TokenHead(6, vocabulary=11, dropout=0.0).double()
    states, y = torch.randn(3, 5, 6, dtype=torch.float64, requires_grad=True), torch.randint(11, (3, 5))
    parameters = [states, *head.parameters()]
    ours = head.loss(head(states), y)
    plain = torch.nn.functional.cross_entropy(head.logits(head(states)).flatten(0, 1), y.flatten())
    torch.testing.assert_close(ours, plain)
    for found, expected in zip(
        torch.autograd.grad(3 * ours, parameters), torch.autograd.grad(3 * plain, parameters), strict=True
    ):
        torch.testing.assert_close(found, expected)
    logs = head.logits(head(states)).log_softmax(-1).gather(2, y[..., None])[..., 0]
    torch.testing.assert_close(head.log_likelihood(head(states), y), logs.detach())


def test_a_network_answers_the_task_it_was_built_for() -> None:
    made, plain = windows(), synthetic_windows()
    with pytest.raises(TypeError, match="call log_likelihood"):
        network("lstm", {}).predict(Sample.of(made, 0, np.arange(2)))
    with pytest.raises(TypeError, match="call predict"):
        network("lstm", {}, made=plain).log_likelihood(Sample.of(plain, 0, np.arange(2)), plain.y[:2])
    with pytest.raises(ValueError, match="tokenizer=text reads numbers of tokens"):
        network("lstm", {}, made=replace(plain, tokenizer="text"))
    with pytest.raises(ValueError, match="must be no mask"):
        TokenHead(4, vocabulary=3)(torch.zeros(1, 2, 4), torch.ones(1, 2, dtype=torch.bool))


@pytest.mark.parametrize("family", ["lstm", "hybrid"])
def test_tied_vectors_read_and_answer_tokens(family: str, tmp_path: Path) -> None:
    made = windows(parts=[part(name, tokens=801, first=k) for k, name in enumerate(("train", "valid", "test"))])
    torch.manual_seed(0)
    config = MODELS[family].config(hidden_dim=16, num_layers=1, **(MODES[0] if family == "hybrid" else {}))
    plain, tied = (build_decoder(family, config, HeadConfig(tie_embeddings=tie), made, fold=0) for tie in (False, True))
    count = [sum(p.numel() for p in each.parameters()) for each in (plain, tied)]
    assert count[0] - count[1] == 50 * 16
    sample = Sample.of(made, 0, made.fold(0).train)
    tied.eval()
    states, _ = tied.backbone(tied.tokenizer(sample).values)
    by_hand = torch.nn.functional.layer_norm(states, (16,)) @ tied.tokenizer.vectors.weight.T / 4
    torch.testing.assert_close(tied.head.logits(tied(sample)[0]), by_hand + tied.head.answer.bias)
    assert 0.7 < float(by_hand.detach().std()) < 1.4
    batches = Batches(made, 0, batch_size=32, device=torch.device("cpu"))
    options = TrainOptions(learning_rate=0.02, num_epochs=3, mixed_precision=False)
    fitted = Trainer(tied, batches, options, seed=0, folder=tmp_path).fit()
    assert fitted.curve[-1][2] < fitted.curve[0][2] - 0.1
    torch.testing.assert_close(fitted.best["head.answer.weight"], fitted.best["tokenizer.vectors.weight"])
    tied.load_state_dict(fitted.best)
    assert tied.head.answer.weight is tied.tokenizer.vectors.weight


def test_vectors_begin_with_the_wanted_spread_and_the_same_draws() -> None:
    wide, narrow = (windows(tokenizer_options={"spread": spread, "embedding_dropout": 0.0}) for spread in (1.0, 0.05))
    plain, one, other = (network("lstm", {}, made=made).tokenizer for made in (windows(), wide, narrow))
    torch.testing.assert_close(one.vectors.weight, plain.vectors.weight, rtol=0, atol=0)
    torch.testing.assert_close(other.vectors.weight, 0.05 * plain.vectors.weight)
    assert (plain.dropout.p, other.dropout.p) == (0.1, 0.0)  # a text's tokenizer_options reach its tokenizer
