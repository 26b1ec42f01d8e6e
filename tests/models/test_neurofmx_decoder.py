"""NeuroFMx on one dataset: a family like any other, for every task, with padding, sessions, pictures and streams."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from neurofmx.layers.inference import Precision, in_precision
from neurofmx.models.configs import HeadConfig
from neurofmx.models.decoding.build import build_decoder
from neurofmx.models.decoding.decoder import Decoder
from neurofmx.models.foundation.config import NeurofmxConfig
from neurofmx.models.size import backbone_parameters
from neurofmx.recordings.task import TaskKind
from neurofmx.tokenizers.cutting.origin import Origin
from neurofmx.tokenizers.cutting.windows import Windows
from neurofmx.tokenizers.tokens import Sample
from neurofmx.training import loop
from neurofmx.training.batches import Batches
from neurofmx.training.loop import Trainer
from neurofmx.training.options import TrainOptions
from synthetic import ragged_windows, synthetic_windows

SMALL = {"hidden_dim": 16, "num_layers": 1, "latents": 3, "num_attention_heads": 2}
HEAD = HeadConfig(dropout=0.0)


def decoder_of(windows: Windows, **config: object) -> Decoder:
    torch.manual_seed(0)
    return build_decoder("neurofmx", NeurofmxConfig(**SMALL | config), HEAD, windows, fold=0).eval()


class NoCurve(nullcontext[Any]):
    """In place of dvclive, which takes longer to load than these trainings to run."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__(self)

    def log(self, *_: Any) -> None:
        """Nothing is followed."""


def trained(windows: Windows, folder: Path, *, epochs: int = 6) -> Decoder:
    model = decoder_of(windows)
    batches = Batches(windows, 0, batch_size=16, device=torch.device("cpu"))
    options = TrainOptions(learning_rate=6e-3, num_epochs=epochs, batch_size=16, mixed_precision=False, device="cpu")
    model.load_state_dict(Trainer(model, batches, options, seed=0, folder=folder).fit().best)
    return model


@pytest.mark.parametrize("kind", ["classification", "circular", "regression"])
def test_it_answers_what_it_is_trained_on(kind: TaskKind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "Curve", NoCurve)
    windows = synthetic_windows(kind)
    model, test = trained(windows, tmp_path), windows.fold(0).test
    answers, truth = model.predict(Sample.of(windows, 0, test)), windows.y[test]
    if kind == "classification":
        assert (answers.argmax(1) == truth).mean() > 0.85  # chance is 0.5
    elif kind == "circular":
        assert np.cos(np.arctan2(answers[:, 1], answers[:, 0]) - truth).mean() > 0.85
    else:
        assert 1 - ((answers - truth) ** 2).mean() / truth.var(0).mean() > 0.7


def test_padding_and_other_rows_change_no_answer() -> None:
    windows = synthetic_windows()
    model = decoder_of(windows).double()
    torch.nn.init.normal_(model.head.pool.score.weight)
    sample = Sample(torch.randn(3, 6, 4, dtype=torch.float64), length=torch.tensor([6, 4, 1]))
    answer, _ = model(sample)
    longer = torch.cat([sample.x, torch.zeros(3, 5, 4, dtype=torch.float64)], 1)
    behind = torch.arange(11) >= sample.length[:, None]
    padded = replace(sample, x=longer.masked_fill(behind[..., None], torch.nan))
    torch.testing.assert_close(model(padded)[0], answer)
    alone = [model(sample[k : k + 1])[0] for k in range(3)]
    torch.testing.assert_close(torch.cat(alone), answer)
    torch.testing.assert_close(model(Sample(sample.x[:1]))[0], answer[:1])


@pytest.mark.parametrize("tokenizer", ["linear", "trajectory", "calcium"])  # the last two look a sample back
def test_a_stream_is_answered_as_the_whole_window(tokenizer: str) -> None:
    model = decoder_of(replace(synthetic_windows(), tokenizer=tokenizer)).double()
    x = torch.randn(2, 6, 4, dtype=torch.float64)
    states, pieces, state = [], x.split([1, 2, 3], 1), None
    keep = model.head.register_forward_pre_hook(lambda head, given: states.append(given[0]))
    for piece in pieces:
        _, state = model(Sample(piece), state)
    model(Sample(x))
    keep.remove()
    # times within a stretch are in single precision
    torch.testing.assert_close(torch.cat(states[:-1], 1), states[-1], rtol=0, atol=5e-6)
    assert model.backbone.step_s == pytest.approx(1 / 6)


def test_sessions_with_channels_of_their_own_have_embeddings() -> None:
    windows = ragged_windows([synthetic_windows(channels=channels, seed=channels) for channels in (3, 5)])
    model = decoder_of(windows)
    assert len(model.backbone.sessions) == 2
    assert not len(decoder_of(synthetic_windows()).backbone.sessions)
    index = np.array([0, len(windows.y) // 2])
    answer = model.predict(Sample.of(windows, 0, index))
    model.backbone.sessions.vectors.data[1] += torch.randn(16)  # a shift alone would not pass the norms
    other = model.predict(Sample.of(windows, 0, index))
    np.testing.assert_array_equal(other[0], answer[0])
    assert abs(other[1] - answer[1]).max() > 1e-3


def three_sessions() -> tuple[Windows, tuple[Origin, ...]]:
    """Sessions with channels of their own, and whose they are."""
    windows = ragged_windows([synthetic_windows(channels=channels, seed=channels) for channels in (3, 5, 4)])
    return windows, (Origin("a/1", "a"), Origin("b/1", "b"), Origin("a/2", "a"))


def test_subjects_have_embeddings_where_the_windows_name_them() -> None:
    windows, origins = three_sessions()
    model = decoder_of(replace(windows, origins=origins))
    assert model.backbone.subjects.names == ("a", "b")
    index = np.array([np.flatnonzero(windows.group == recording)[0] for recording in range(3)])
    answer = model.predict(Sample.of(windows, 0, index))
    model.backbone.subjects.vectors.data[0] += torch.randn(16)
    other = model.predict(Sample.of(windows, 0, index))
    np.testing.assert_array_equal(other[1], answer[1])
    assert abs(other[[0, 2]] - answer[[0, 2]]).max(1).min() > 1e-3
    assert not len(decoder_of(windows).backbone.subjects)
    assert "subject" not in model.state_dict()  # a fact of the windows


def test_weights_from_before_there_were_subjects_answer_as_they_did() -> None:
    windows, origins = three_sessions()
    old, new = decoder_of(windows), decoder_of(replace(windows, origins=origins))
    sample = Sample.of(windows, 0, windows.fold(0).test)
    assert abs(new.predict(sample) - old.predict(sample)).max() > 1e-3
    new.load_state_dict(old.state_dict())
    np.testing.assert_array_equal(new.predict(sample), old.predict(sample))


def test_a_picture_is_one_step_and_a_long_window_at_most_sixteen() -> None:
    picture = replace(synthetic_windows(time=8, channels=8, modality="image"), grid=(8, 8))
    options = {"conv_channels": [4, 4, 8]}
    for windows, steps, step_s in (
        (replace(picture, tokenizer_options=options), 1, 1 / 8),
        (synthetic_windows(time=40), 14, 3 / 40),
        (synthetic_windows(time=16), 16, 1 / 16),
    ):
        model = decoder_of(windows)
        states: list[torch.Tensor] = []
        model.head.register_forward_pre_hook(lambda head, given, states=states: states.append(given[0]))
        model.predict(Sample.of(windows, 0, np.arange(2)))
        assert states[0].shape == (2, steps, 16)
        assert model.backbone.step_s == pytest.approx(step_s)
    assert decoder_of(synthetic_windows(), step_s=0.5).backbone.step_s == 0.5


@pytest.mark.parametrize(("precision", "near"), [("bfloat16", 0.05), ("int8", 0.1)])
def test_it_can_be_prepared_for_inference(precision: Precision, near: float) -> None:
    windows = synthetic_windows()
    model, sample = decoder_of(windows), Sample.of(windows, 0, np.arange(8))
    answer = model.predict(sample)
    prepared = in_precision(model, precision).predict(sample)
    assert 0 < abs(prepared - answer).max() < near * abs(answer).max()


def test_it_is_no_backbone_whose_parameters_could_be_compared() -> None:
    with pytest.raises(ValueError, match="family='neurofmx' is no backbone"):
        backbone_parameters("neurofmx", NeurofmxConfig())
