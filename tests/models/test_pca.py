"""Principal components against an eigendecomposition; their decoder against the full linear model."""

from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from tests.models.test_ngram import V, random_windows

from neurofmx.evaluation.classical import classical_answers
from neurofmx.evaluation.robustness import Robustness
from neurofmx.headline import headline
from neurofmx.models import pca
from neurofmx.models.fitted.linear import LinearConfig, LinearDecoder
from neurofmx.models.fitted.per_recording import fit_decoder
from neurofmx.models.pca import PcaConfig, PcaDecoder, PcaTextDecoder, PrincipalComponents
from neurofmx.models.table import MODELS
from neurofmx.tokenizers.cutting.stretches import stretches
from neurofmx.tokenizers.cutting.windows import Windows
from neurofmx.training.checkpoints.settings import Settings, save_settings
from neurofmx.training.checkpoints.stored import save_arrays
from synthetic import synthetic_windows


def test_directions_are_eigenvectors_of_the_correlation_matrix() -> None:
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(80, 6)) @ rng.normal(size=(6, 6))).reshape(80, 2, 3) + 7
    features = PrincipalComponents.fit(x, np.zeros(80), components=3)
    values, vectors = np.linalg.eigh(np.corrcoef(x.reshape(80, 6).T))
    overlap = np.abs(features.directions.T @ vectors[:, ::-1][:, :3])
    np.testing.assert_allclose(overlap, np.eye(3), atol=1e-8)
    np.testing.assert_allclose(features.transform(x).var(0), values[::-1][:3], rtol=1e-9)
    np.testing.assert_allclose(features.transform(x).mean(0), 0, atol=1e-9)


def test_a_silent_channel_is_no_obstacle() -> None:
    x = np.random.default_rng(0).normal(size=(30, 2, 3))
    x[..., 1] = 4
    rows = PrincipalComponents.fit(x, np.zeros(30), components=4).transform(x)
    assert np.all(np.isfinite(rows))


@pytest.mark.parametrize("kind", ["regression", "circular"])
def test_all_components_are_the_linear_model(kind) -> None:
    """With nothing left out, ridge on components is ridge on standardised features with a rescaled strength."""
    windows = synthetic_windows(kind, noise=1.0)
    full = PcaDecoder.fit(windows, 0, PcaConfig(components=(1000,), strengths=(1e-9,)))
    linear = LinearDecoder.fit(windows, 0, LinearConfig(strengths=(1e-9,)))
    x = windows.scaled(0, windows.fold(0).test)
    np.testing.assert_allclose(full.predict(x), linear.predict(x), atol=1e-6)


def test_as_many_components_as_help_on_validation() -> None:
    """The answer lives in two directions of strong variance: few components suffice, one does not."""
    windows = synthetic_windows("circular", noise=0.05)
    decoder = PcaDecoder.fit(windows, 0, PcaConfig(components=(1, 2, 3)))
    assert decoder.readout.weight.shape[0] >= 2
    test = windows.fold(0).test
    one = PcaDecoder.fit(windows, 0, PcaConfig(components=(1,)))
    scores = [
        headline(model.predict(windows.scaled(0, test)), windows.y[test], windows.task) for model in (decoder, one)
    ]
    assert scores[0] > 0.95 > scores[1]


def test_more_components_than_windows_are_cut() -> None:
    x = np.random.default_rng(0).normal(size=(10, 5, 4))
    assert PrincipalComponents.fit(x, np.zeros(10), components=64).directions.shape == (20, 10)


def one_by_one(windows: Windows, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The four tokens before each next one as 0s and 1s `(n, 4 * V)`, the latest first, and the next `(n, V)`."""
    rows, nexts = [], []
    for text in stretches(windows, index).each():
        for t in range(4, len(text)):
            rows.append(np.concatenate([np.eye(V)[text[t - 1 - back]] for back in range(4)]))
            nexts.append(np.eye(V)[text[t]])
    return np.array(rows), np.array(nexts)


def test_of_a_text_all_components_are_least_squares_on_zeros_and_ones() -> None:
    made = random_windows()
    part = made.fold(0)
    model = PcaTextDecoder.fit(made, 0, PcaConfig(components=(1000,), strengths=(1e-9,)))
    rows, nexts = one_by_one(made, np.union1d(part.train, part.validation))
    solved = np.linalg.lstsq(rows - rows.mean(0), nexts - nexts.mean(0))[0]
    frequency = (nexts.sum(0) + 1) / (len(nexts) + V)
    asked, true = one_by_one(made, part.test)
    said = np.maximum(frequency + (asked - rows.mean(0)) @ solved, model.floor * frequency)
    expected = (said * true).sum(1) / said.sum(1)
    text = stretches(made, part.test).text[None]  # one stretch
    found = np.exp(model.log_likelihood(text[:, :-1, None], text[:, 1:]))[0]
    np.testing.assert_allclose(found[3:], expected, rtol=1e-6)


def test_of_a_text_probabilities_have_the_sum_one_and_lie_nearer_than_frequencies() -> None:
    made = random_windows()
    model, test = PcaTextDecoder.fit(made, 0, PcaConfig()), made.fold(0).test
    every = [np.exp(model.log_likelihood(made.x[test], np.full(made.y[test].shape, token))) for token in range(V)]
    np.testing.assert_allclose(sum(every), 1.0, atol=1e-12)  # also where a window begins
    found, alone = model.answer(made, 0, test).mean(), np.log(model.frequency[made.y[test]]).mean()
    best = 0.6 * np.log(0.68) + 0.4 * (0.2 * np.log(0.68) + 0.8 * np.log(0.08))  # of who knows how it was drawn
    assert alone + 0.3 < found < best + 0.05


def test_of_a_text_directions_are_eigenvectors_of_the_covariance() -> None:
    made = random_windows()
    train = made.fold(0).train
    rows, nexts = one_by_one(made, train)
    centred = rows - rows.mean(0)
    values = np.linalg.eigvalsh(centred.T @ centred)[::-1]
    learnt = pca._learn(made, train, 6)
    np.testing.assert_allclose(learnt.spread, values[:6], rtol=1e-9)
    places = rows.reshape(len(rows), 4, V).argmax(2)
    components = learnt.directions[np.arange(4), places].sum(1)
    np.testing.assert_allclose(components.T @ components, np.diag(values[:6]), atol=1e-8 * values[0])
    np.testing.assert_allclose(components.sum(0), 0, atol=1e-8)
    np.testing.assert_allclose(learnt.together, components.T @ nexts, atol=1e-8)


def test_the_largest_of_many_directions_are_found_by_products_alone() -> None:
    rng = np.random.default_rng(0)
    frame = np.linalg.qr(rng.normal(size=(300, 300)))[0]
    values = 0.9 ** np.arange(300)
    whole = (frame * values) @ frame.T
    found, vectors = pca._largest(lambda v: whole @ v, 300, 8)
    np.testing.assert_allclose(found, values[:8], rtol=1e-6)
    np.testing.assert_allclose(np.abs(vectors.T @ frame[:, :8]), np.eye(8), atol=1e-3)


def test_of_a_text_test_windows_never_matter_and_the_arrays_hold_all_of_it() -> None:
    made = random_windows()
    x, y, test = made.x.copy(), made.y.copy(), made.fold(0).test
    x[test], y[test] = 0, 0
    one, other = (PcaTextDecoder.fit(each, 0, PcaConfig()) for each in (made, replace(made, x=x, y=y)))
    for name, array in one.arrays().items():
        np.testing.assert_array_equal(other.arrays()[name], array, err_msg=name)
    again = PcaTextDecoder.from_arrays(one.arrays())
    np.testing.assert_array_equal(again.answer(made, 0, test), one.answer(made, 0, test))
    assert again.parameters == one.parameters
    with pytest.raises(ValueError, match="do not fit"):
        PcaTextDecoder.from_arrays({"text": np.zeros(1)})


def test_a_text_goes_through_the_stages_as_for_every_classical_model(tmp_path: Path) -> None:
    made = random_windows()
    module, name = MODELS["pca"].decoder(made.task).split(":")
    fitted = fit_decoder(getattr(import_module(module), name), made, 0, PcaConfig())
    save_arrays(tmp_path / "best_fold0.safetensors", fitted.arrays())
    save_settings(tmp_path, Settings("pca", PcaConfig()))
    alone, carried = (
        classical_answers(made, tmp_path, context=context, robustness=Robustness()).outputs[0]
        for context in (0.0, "carried")
    )
    np.testing.assert_array_equal(alone, fitted.answer(made, 0, made.tested))
    np.testing.assert_allclose(carried[:, -1], alone[:, -1])  # a window of four ends with all that is read
    assert not np.allclose(carried[1:, 0], alone[1:, 0])


def test_every_classical_model_has_an_answer_to_a_text() -> None:
    assert all(family.text for family in MODELS.values() if family.classical)
