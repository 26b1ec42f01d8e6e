"""The parts against answers that are known: planted latents, the closed form of bits per spike, models that cheat."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import norm, poisson, t

from known_models import SMALL, Forwards, Leaking, Plain, material, with_samples
from neurofmx.benchmark import one
from neurofmx.benchmark.asked import reconstruction
from neurofmx.benchmark.asked.co_smoothing import positive
from neurofmx.benchmark.asked.few_shot import Shot, episodes, few_shot, hits, shots_of
from neurofmx.benchmark.asked.latent import labels, space
from neurofmx.benchmark.asked.transfer import chosen, numbers_of
from neurofmx.benchmark.drawn import Draws, mean_of, r2_of, r2_terms, share_of
from neurofmx.benchmark.material import Material
from neurofmx.benchmark.metrics.bits_per_spike import bits_of, bits_terms
from neurofmx.benchmark.metrics.silhouette import silhouettes
from neurofmx.benchmark.outputs.rows import part_rows
from neurofmx.benchmark.probe import fit_probe
from neurofmx.benchmark.protocol import States, encode
from neurofmx.benchmark.reading import read
from neurofmx.benchmark.run import benchmark
from neurofmx.evaluation.gate import interval
from neurofmx.headline import as_values
from neurofmx.recordings.task import Task
from neurofmx.tokenizers.tokens import Sample, Tokens
from reference import bits_per_spike_naive
from synthetic import ragged_windows, synthetic_windows


def test_draws_are_those_of_the_gate() -> None:
    """Same blocks, same seeds, same R2 as the evaluate stage's bootstrap, which is written differently."""
    rng = np.random.default_rng(0)
    truth, block = rng.normal(size=(40, 1)), np.arange(40) // 4
    answers = truth + rng.normal(size=(3, 40, 1))
    task = Task("regression", "x", ("x",))
    expected = interval(answers, truth, block, task, draws=200, seed=3)
    drawn = Draws(block, seeds=3, draws=200, seed=3).drawn(r2_terms(truth[:, None], answers[:, :, None]), r2_of)
    np.testing.assert_allclose(drawn.interval, expected, rtol=1e-9)


@pytest.mark.parametrize("blocks", [4, 10, 20])
def test_an_interval_of_blocks_holds_the_truth_as_often_as_its_closed_form_says(blocks: int) -> None:
    """Of a mean of K normal blocks percentiles are 1.96 spreads of K, where Student has K - 1 and wider tails."""
    rng, held = np.random.default_rng(blocks), []
    for case in range(600):
        values = np.repeat(rng.normal(size=blocks), 3)
        drawn = Draws(np.repeat(np.arange(blocks), 3), draws=200, seed=case).drawn(*mean_of(values[None]))
        held.append(drawn.interval.low <= 0 <= drawn.interval.high)
    expected = 1 - 2 * t.sf(norm.isf(0.025) * np.sqrt((blocks - 1) / blocks), blocks - 1)
    assert expected == pytest.approx({4: 0.81, 10: 0.90, 20: 0.93}[blocks], abs=0.006)  # what the docs say
    assert np.mean(held) == pytest.approx(expected, abs=0.04)


def test_r2_is_of_all_channels_together_and_undefined_where_none_changes() -> None:
    truth = np.zeros((10, 2, 2))
    truth[..., 0] = np.random.default_rng(0).normal(size=(10, 2))
    answer = truth + 0.5
    expected = 1 - 2 * 10 * 2 * 0.25 / ((truth - truth.mean((0, 1))) ** 2).sum()
    assert r2_of(r2_terms(truth, [answer])[0].sum(0)) == pytest.approx(expected)
    assert np.isnan(r2_of(r2_terms(truth[..., 1:], [answer[..., 1:]])[0].sum(0)))


def test_planted_latents_are_read_back_as_well_as_noise_allows() -> None:
    """x = z w + noise of deviation 0.5: a model that averages many channels leaves the hidden one's own noise alone."""
    rng = np.random.default_rng(1)
    base = synthetic_windows(windows=300, channels=4)
    z = rng.normal(size=(300, 6, 1))
    windows = with_samples(base, z * np.ones(40) + 0.5 * rng.normal(size=(300, 6, 40)))
    given = material(windows, held_out=0.1)
    reading = read(Plain(), given, fold=0, seed=0, name="plain")
    found = reconstruction.read_back(given, reading, name="plain", shuffle=True)
    linear = reconstruction.linear_read_back(given, 0)
    draws = Draws(windows.block[given.tested], draws=100)
    line = reconstruction.reconstruction(given, [[found]], [linear], draws)
    bound = 1 / (1 + 0.25)  # variance of the latent to that of a channel
    assert line["metrics"]["r2"] == pytest.approx(bound, abs=0.04)
    assert line["linear"] == pytest.approx(bound, abs=0.04)
    assert line["metrics"]["pearson"] == pytest.approx(np.sqrt(bound), abs=0.02)
    assert line["metrics"]["pearson_p"] < 1e-6
    assert line["shuffled"] < 0.05
    assert line["hidden"] == 4


def test_hidden_channels_are_never_shown() -> None:
    seen = []

    class Spy(Plain):
        def __call__(self, tokens: Sample) -> np.ndarray:
            seen.append(tokens.x.numpy().copy())
            return tokens.x.numpy()

    given = material(held_out=0.5)
    reading = read(Plain(), given, fold=0, seed=0, name="spy")
    object.__setattr__(reading, "encoder", Spy())
    reconstruction.read_back(given, reading, name="spy")
    assert given.hidden.sum() == 2
    for x in seen:
        assert not x[..., given.hidden].any()
        assert x[..., ~given.hidden].any()


def test_every_number_of_the_reconstruction_stands_beside_gate_chance_and_control() -> None:
    """Each against its definition: the same function of what the others say."""
    given = material(held_out=0.5)
    reading = read(Plain(), given, fold=0, seed=0, name="plain")
    found = reconstruction.read_back(given, reading, name="plain", shuffle=True)
    linear, draws = reconstruction.linear_read_back(given, 0), Draws(given.windows.block[given.tested], draws=100)
    line = reconstruction.reconstruction(given, [[found]], [linear], draws)
    assert found.shuffled is not None
    truth = given.windows.scaled(0, given.parts[0].test)[..., given.hidden].astype(np.float64)
    said = {"linear": linear.values, "chance": np.zeros_like(truth), "shuffled": found.shuffled.values}
    for name, answer in said.items():
        numbers = line["beside"][name]
        assert numbers.keys() == line["metrics"].keys()
        assert numbers["mse"] == pytest.approx(((truth - answer) ** 2).mean())
        assert numbers["mae"] == pytest.approx(np.abs(truth - answer).mean())
        flat = answer.ravel()
        r = np.corrcoef(truth.ravel(), flat)[0, 1] if np.ptp(flat) else 0.0
        assert numbers["pearson"] == pytest.approx(r)
    assert line["beside"]["linear"]["r2"] == pytest.approx(line["linear"])
    assert line["beside"]["chance"]["r2"] == pytest.approx(line["chance"])
    assert line["beside"]["shuffled"]["r2"] == pytest.approx(line["shuffled"])
    assert line["beside"]["chance"]["pearson_p"] == 1
    assert line["metrics"]["mse"] < line["beside"]["shuffled"]["mse"]


def test_the_control_of_spikes_knows_mean_rates_and_no_more() -> None:
    """In two recordings whose units fire at other rates: windows change places within a recording."""
    rng = np.random.default_rng(0)
    parts = []
    for seed, mean in ((1, 0.5), (2, 3.0)):
        base = synthetic_windows(windows=200, seed=seed)
        rate = mean * rng.choice([0.4, 1.6], size=(200, 6, 1))
        parts.append(with_samples(base, rng.poisson(rate * np.ones(12))))
    given = material(ragged_windows(parts), held_out=0.2)
    reading = read(Plain(), given, fold=0, seed=0, name="plain")
    found = reconstruction.read_back(given, reading, name="plain", shuffle=True)
    linear, draws = reconstruction.linear_read_back(given, 0), Draws(given.windows.block[given.tested], draws=100)
    line = reconstruction.reconstruction(given, [[found]], [linear], draws)["co_smoothing"]
    assert line["score"] > 0.05
    assert -0.05 < line["shuffled_low"] <= line["shuffled"] < 0.02
    name = line["metric"]
    beside = {which: numbers[name] for which, numbers in line["beside"].items()}
    assert beside == {"linear": line["linear"], "chance": 0.0, "shuffled": line["shuffled"]}
    assert line["metrics"] == {name: line["score"]}
    plain = reconstruction.read_back(given, reading, name="plain")
    none = reconstruction.reconstruction(given, [[plain]], [linear], draws)
    assert none["co_smoothing"]["shuffled"] is none["shuffled"] is None
    assert none["beside"]["shuffled"] == {}


def test_bits_per_spike_of_the_true_rate_reach_the_closed_form() -> None:
    """Two rates, half of the time each: sum_i r_i log2(r_i / m) / (2 m) bits for every spike."""
    rng = np.random.default_rng(0)
    rates = rng.choice([0.5, 2.5], size=(4000, 10, 3))
    counts = rng.poisson(rates).astype(float)
    mean = 1.5
    expected = sum(r * np.log2(r / mean) for r in (0.5, 2.5)) / 2 / mean
    found = float(bits_of(bits_terms(counts, [rates], np.zeros(4000, int))[0].sum(0)))
    assert found == pytest.approx(expected, abs=0.01)
    assert found == pytest.approx(bits_per_spike_naive(rates, counts), abs=1e-9)  # the metric, written differently


def test_the_mean_rate_that_must_be_beaten_is_that_of_each_recordings_unit() -> None:
    """Column 0 is a fast unit in one recording and a slow one in the other: to know that is worth no bit."""
    rng = np.random.default_rng(0)
    recording = np.arange(2000) % 2
    rates = np.where(recording == 0, 4.0, 0.5)[:, None, None] * np.ones((2000, 5, 1))
    counts = rng.poisson(rates).astype(float)
    found = float(bits_of(bits_terms(counts, [rates], recording)[0].sum(0)))
    apart = [bits_per_spike_naive(rates[recording == k], counts[recording == k]) for k in (0, 1)]
    spikes = [counts[recording == k].sum() for k in (0, 1)]
    assert found == pytest.approx(np.average(apart, weights=spikes), abs=1e-9)
    assert abs(found) < 1e-3


def test_co_smoothing_finds_units_with_a_common_rate_and_names_its_bin() -> None:
    rng = np.random.default_rng(0)
    base = synthetic_windows(windows=300)
    rate = rng.choice([0.5, 4.0], size=(300, 6, 1))
    windows = with_samples(base, rng.poisson(rate * np.ones(12)))
    given = material(windows, held_out=0.2)
    reading = read(Plain(), given, fold=0, seed=0, name="plain")
    found = reconstruction.read_back(given, reading, name="plain")
    draws = Draws(windows.block[given.tested], draws=100)
    linear = reconstruction.linear_read_back(given, 0)
    line = reconstruction.reconstruction(given, [[found]], [linear], draws)["co_smoothing"]
    mean = 2.25
    bound = sum(r * np.log2(r / mean) for r in (0.5, 4.0)) / 2 / mean  # of who knows the rate
    assert line["metric"] == "co_smoothing_bits_per_spike_166.667ms"
    assert 0.75 * bound < line["score"] <= bound + 0.03
    assert line["low"] > 0


def test_counts_are_known_as_they_are_and_under_a_root_and_nowhere_else() -> None:
    base = synthetic_windows()
    counts = np.random.default_rng(0).poisson(2.0, size=base.x.shape)
    for x in (counts, np.sqrt(counts)):
        np.testing.assert_array_equal(material(with_samples(base, x)).counts, counts)
    assert material(base).counts is None


@pytest.mark.parametrize("directions", [1, 3])
def test_the_latent_space_has_the_planted_number_of_directions(directions: int) -> None:
    rng = np.random.default_rng(0)
    given = material()
    tested = given.parts[0].test
    frame = np.linalg.qr(rng.normal(size=(8, directions)))[0]
    values = rng.normal(size=(len(tested), 50, directions)) @ frame.T
    found = space(given, 0, States(values, np.full(len(tested), 50)))
    assert found.numbers["participation_ratio"] == pytest.approx(directions, abs=0.1)
    assert found.numbers["dimensions_95"] == directions
    assert found.explained[directions - 1] == pytest.approx(1.0)
    assert abs(found.silhouettes.mean()) < 0.05  # states say nothing of the classes


def test_silhouettes_are_those_of_the_metric() -> None:
    given = material()
    tested = given.parts[0].test
    groups = labels(given, 0)[tested]
    values = np.random.default_rng(0).normal(size=(len(tested), 2, 3)) + groups[:, None, None]
    found = space(given, 0, States(values, np.full(len(tested), 2)))
    np.testing.assert_allclose(found.silhouettes, silhouettes(values.reshape(len(tested), -1), groups))
    assert found.silhouettes.mean() > found.shuffled.mean() + 0.1


def test_values_and_angles_are_cut_into_equal_classes() -> None:
    for kind, share in (("regression", 0.25), ("circular", 0.25)):
        given = material(synthetic_windows(kind, windows=400))
        there = np.bincount(labels(given, 0)) / 400
        np.testing.assert_allclose(there, share, atol=0.08)


def test_few_shot_is_perfect_on_separate_states_and_at_chance_on_noise_and_shuffled_labels() -> None:
    given = material(episodes=200)
    part = given.parts[0]
    perfect = [np.eye(2)[given.windows.y[index]] for index in (part.train, part.test)]
    noise = [np.random.default_rng(k).normal(size=(len(index), 3)) for k, index in enumerate((part.train, part.test))]
    for right, mixed in shots_of(given, 0, *perfect).values():
        np.testing.assert_array_equal(right[:, 0], right[:, 1])
        assert share_of(mixed.sum(0)) == pytest.approx(0.5, abs=0.12)
    drawn = episodes(given, 0, 3)
    assert share_of(hits(*noise, drawn).sum(0)) == pytest.approx(0.5, abs=0.08)
    np.testing.assert_array_equal(hits(*noise, drawn)[:, 1], np.bincount(np.ravel([e.query for e in drawn])))


def test_more_episodes_say_nothing_about_other_windows_and_noise_ties_with_noise() -> None:
    """The interval of few-shot is that of the windows: it does not close with the number of episodes."""

    def line(seed: int, count: int) -> dict[str, Any]:
        given = material(episodes=count)
        rng, part = np.random.default_rng(seed), given.parts[0]

        def noise() -> Shot:
            return shots_of(given, 0, *(rng.normal(size=(len(index), 3)) for index in (part.train, part.test)))

        draws = Draws(given.windows.block[given.tested], draws=300)
        return few_shot(given, [[noise()]], [noise()], draws)

    few, many = ((each["high"] - each["low"]) for each in (line(0, 200), line(0, 2000)))
    assert few / 1.5 < many < few * 1.5
    assert sum(line(seed, 200)["verdict"] != "ties" for seed in range(20)) <= 4  # 1 of 20 is expected


def test_support_is_of_the_training_windows_and_queries_are_of_the_test_windows() -> None:
    given = material()
    part, y = given.parts[0], given.windows.y
    for episode in episodes(given, 0, 3):
        of = y[part.train[episode.support]]
        assert (of == of[:, :1]).all()
        np.testing.assert_array_equal(np.unique(y[part.test[episode.query]], axis=1)[:, 0], of[:, 0])
        assert sorted(episode.mixed.ravel()) == sorted(episode.support.ravel())


def test_few_training_windows_hold_every_class_and_are_among_the_more() -> None:
    given = material(n_train=(4, 8, 20))
    y = given.windows.y[given.parts[0].train]
    picked = [chosen(given, 0, number)[0] for number in (4, 8, 20)]
    for few, more in pairwise(picked):
        assert set(few) <= set(more)
    assert np.bincount(y[picked[0]]).tolist() == [2, 2]
    assert numbers_of(given, 0) == [4, 8, 20, 0]


def test_the_probe_is_ridge_regression_with_the_penalty_that_suits_validation() -> None:
    rng = np.random.default_rng(0)
    rows, weight = rng.normal(size=(60, 5)), rng.normal(size=(5, 1))
    y = rows @ weight + 0.1 * rng.normal(size=(60, 1))
    task = Task("regression", "y", ("y",))
    probe = fit_probe(rows[:40], y[:40], rows[40:], y[40:], task, strengths=(1e-3, 1e5))
    assert probe.readout.strength == 1e-3
    z = (rows - rows.mean(0)) / rows.std(0)
    solved = np.linalg.solve(z.T @ z + 1e-3 * np.eye(5), z.T @ (y - y.mean()))
    np.testing.assert_allclose(probe.readout(rows), z @ solved + y.mean(), rtol=1e-8)


def test_a_model_that_has_seen_the_answers_is_found_and_an_honest_one_is_not() -> None:
    found = benchmark({"leaking": Leaking(), "honest": Plain()}, {"known": synthetic_windows()}, options=SMALL)
    leaking, honest = found.line("leaking", "known"), found.line("honest", "known")
    assert leaking["decoding"]["leak"]
    assert leaking["transfer"]["leak"]
    assert leaking["decoding"]["shuffled"] > 0.95
    for part in ("decoding", "transfer"):
        assert not honest[part]["leak"]
        assert honest[part]["shuffled_low"] < 0.55  # chance is inside
        assert honest[part]["score"] > 0.9
    assert honest["decoding"]["read_by"] == "linear probe"
    assert honest["decoding"]["score"] == honest["transfer"]["score"]


@pytest.mark.parametrize("kind", ["regression", "circular"])
def test_several_variables_are_scored_each_for_itself(kind: str) -> None:
    found = benchmark(Forwards(), {"known": synthetic_windows(kind)}, options=SMALL)
    line = found.line("model", "known")["decoding"]
    names = {"regression": ["x", "y"], "circular": ["cos angle", "sin angle"]}[kind]
    assert list(line["variables"]) == names
    each = line["variables"].values()
    assert line["metrics"]["r2"] == pytest.approx(np.mean([one["r2"] for one in each]), abs=1e-5)
    assert line["metrics"]["spearman"] == pytest.approx(np.mean([one["spearman"] for one in each]), abs=1e-5)
    assert all(one["pearson"] > 0.9 and one["pearson_p"] < 0.01 for one in each)


@pytest.mark.parametrize("kind", ["classification", "regression", "circular"])
def test_every_number_of_a_part_stands_beside_gate_chance_and_control(kind: str) -> None:
    """The gate is given: of perfect answers and of the training mean all numbers are known."""
    windows = synthetic_windows(kind)
    truth = np.eye(2)[windows.y] if kind == "classification" else as_values(windows.y, windows.task)
    given = {"known": truth[windows.tested]}
    line = benchmark(Forwards(), {"known": windows}, options=SMALL, linear=given).line("model", "known")
    for name, each in line.items():
        for which in ("linear", "chance", "shuffled"):
            numbers = each["beside"][which]
            assert numbers.keys() <= each["metrics"].keys()
            assert numbers, (name, which)
    decoding = line["decoding"]
    best = {"pearson": 1, "spearman": 1, "accuracy": 1, "auc": 1, "r2": 1, "mse": 0, "mae": 0, "angular_error_deg": 0}
    asked = decoding["metrics"].keys() & best.keys()
    assert len(asked) >= 2
    for metric in asked:
        assert decoding["beside"]["linear"][metric] == pytest.approx(best[metric], abs=1e-6)
        assert abs(decoding["beside"]["shuffled"][metric] - best[metric]) > 0.2
    if kind == "classification":
        assert decoding["beside"]["chance"]["balanced_accuracy"] == pytest.approx(0.5)
        return
    assert decoding["beside"]["chance"]["pearson"] == 0
    assert decoding["beside"]["chance"]["spearman_p"] == 1
    assert decoding["metrics"]["pearson_p"] == max(each["pearson_p"] for each in decoding["variables"].values())
    assert decoding["metrics"]["pearson_p"] < 0.01 < decoding["beside"]["shuffled"]["pearson_p"]
    for which, variables in decoding["variables_beside"].items():
        assert variables.keys() == decoding["variables"].keys()
        mean = np.mean([each["mse"] for each in variables.values()])
        assert mean == pytest.approx(decoding["beside"][which]["mse"], abs=1e-6)


def test_points_of_few_windows_have_a_control_where_each_class_is_drawn() -> None:
    line = benchmark(Plain(), {"known": synthetic_windows()}, options=SMALL).line("model", "known")["transfer"]
    few, most = line["curve"]
    assert (few["n_train"], most["shuffled"]) == (20, line["shuffled"])
    assert 0.2 < few["shuffled"] < 0.8 < few["score"]
    names = list(line["metrics"])
    assert line["beside"]["shuffled"] == {names[0]: few["shuffled"], names[1]: most["shuffled"]}
    assert line["beside"]["linear"] == {names[0]: few["linear"], names[1]: most["linear"]}

    def drawn(seed: int) -> np.ndarray:
        """Each other's answers of the two windows that are learnt from."""
        given = material(synthetic_windows(seed=seed), n_train=(2,))
        return given.shuffled.y[given.parts[0].train[chosen(given, 0, 2)[0]]]

    alike = synthetic_windows(seed=next(seed for seed in range(20) if np.ptp(drawn(seed)) == 0))
    options = SMALL.model_copy(update={"n_train": (2,)})
    line = benchmark(Plain(), {"known": alike}, options=options).line("model", "known")["transfer"]
    assert line["curve"][0]["shuffled"] is None  # of one class alone nothing can be learnt
    assert line["curve"][0]["score"] > 0.5
    assert list(line["beside"]["shuffled"]) == [names[1]]


def test_states_may_be_tensors_or_tokens_with_a_mask_and_are_refused_otherwise() -> None:
    sample = Sample(torch.ones(5, 4, 2))
    mask = torch.tensor([[True, True, False, False]] * 5)
    states = encode(lambda s: Tokens(s.x, mask[: len(s)], torch.zeros(4)), sample, batch_size=2)
    assert states.recorded.tolist() == [2] * 5
    assert len(states.rows) == 10
    with pytest.raises(ValueError, match=r"states of odd have shape \(5, 8\): 5 windows need"):
        encode(lambda s: s.x.reshape(len(s), -1), sample, name="odd")
    with pytest.raises(ValueError, match="not finite"):
        encode(lambda s: s.x * torch.nan, sample)


@pytest.mark.parametrize("flipped", [False, True])
def test_what_was_learnt_on_other_recordings_is_asked_of_one(flipped: bool) -> None:
    """Where the second recording has all labels the other way round, a probe that knows it alone answers wrongly."""
    base = synthetic_windows()
    group = np.arange(120) // 60
    windows = replace(
        base,
        group=group,
        y=np.where((group == 1) & flipped, 1 - base.y, base.y),
        present=np.ones((2, 4), bool),
        positions=np.full((2, 4, 3), np.nan),
    )
    found = benchmark(Plain(), {"known": windows}, options=SMALL).line("model", "known")["transfer"]
    elsewhere = found["across_recordings"]
    assert elsewhere["windows"] == 40  # the first fold tests the first recording, which the second one answers
    assert (elsewhere["score"] < 0.2) if flipped else (elsewhere["score"] > 0.9)
    assert (elsewhere["linear"] < 0.2) if flipped else (elsewhere["linear"] > 0.9)


def test_units_of_each_recording_are_read_back_by_a_readout_of_its_own() -> None:
    """In the second recording the latent counts the other way: one readout for both would find nothing."""
    rng = np.random.default_rng(0)
    parts = []
    for sign in (1.0, -1.0):
        z = rng.normal(size=(150, 6, 1))
        weight = np.where(np.arange(8) < 4, sign, 1.0)
        parts.append(with_samples(synthetic_windows(windows=150), z * weight + 0.2 * rng.normal(size=(150, 6, 8))))
    given = material(ragged_windows(parts), held_out=0.3)
    assert given.windows.montage == "own"
    reading = read(Plain(), given, fold=0, seed=0, name="plain")
    found = reconstruction.read_back(given, reading, name="plain")
    linear = reconstruction.linear_read_back(given, 0)
    draws = Draws(given.windows.block[given.tested], draws=100)
    line = reconstruction.reconstruction(given, [[found]], [linear], draws)
    assert line["metrics"]["r2"] > 0.9
    assert line["linear"] > 0.9


def asked_about(given: Material, tokens: Sample, hidden: np.ndarray) -> np.ndarray:
    """Which of the first fold's validation or test windows are shown without their hidden channels."""
    x = tokens.x.numpy()
    assert not x[..., hidden].any()
    parts = [part for part in given.parts[0][1:] if len(part) == len(x)]
    return next(part for part in parts if np.allclose(given.windows.scaled(0, part)[..., ~hidden], x[..., ~hidden]))


def test_a_models_own_reconstruction_is_scored_beside_a_readouts() -> None:
    given = material(held_out=0.5)

    class Knowing(Plain):
        """Sees nothing in what is shown, and knows what is hidden."""

        def __call__(self, tokens: Sample) -> np.ndarray:
            return 0 * tokens.x.numpy()

        def reconstruct(self, tokens: Sample, hidden: np.ndarray) -> np.ndarray:
            return given.windows.scaled(0, asked_about(given, tokens, hidden))

    reading = read(Knowing(), given, fold=0, seed=0, name="knowing")
    found = reconstruction.read_back(given, reading, name="knowing")
    assert found.own is not None
    truth = given.windows.scaled(0, given.parts[0].test)[..., given.hidden]
    np.testing.assert_allclose(found.own.values, truth)
    linear, draws = reconstruction.linear_read_back(given, 0), Draws(given.windows.block[given.tested], draws=100)
    line = reconstruction.reconstruction(given, [[found]], [linear], draws)
    assert line["own"]["score"] == pytest.approx(1.0)
    assert line["score"] == pytest.approx(0.0, abs=0.1)
    assert line["own"]["linear"] == line["linear"]
    plain = read(Plain(), given, fold=0, seed=0, name="plain")
    none = reconstruction.reconstruction(given, [[reconstruction.read_back(given, plain, name="")]], [linear], draws)
    assert none["own"]["absent"] == "the model has no reconstruction of its own"
    facts = {
        "results": [
            {"dataset": "d", "modality": "spikes", "model": "m", "seeds": [0], "parts": {"reconstruction": line}}
        ]
    }
    assert [row["metric"] for row in part_rows(facts, "reconstruction")] == ["r2", "r2 (own reconstruction)"]


@pytest.mark.parametrize("rooted", [False, True])
def test_a_models_own_values_become_rates_whether_windows_hold_counts_or_their_roots(rooted: bool) -> None:
    """Who says what a count, or its root, is expected to be reaches the bits of who knows the rate."""
    rng = np.random.default_rng(0)
    rate = rng.choice([0.5, 4.0], size=(400, 6, 1))
    counts = rng.poisson(rate * np.ones(10))
    many = np.arange(60)
    root = {each: float(np.sqrt(many) @ poisson.pmf(many, each)) for each in (0.5, 4.0)}
    expected = np.vectorize(root.get)(rate) if rooted else rate
    given = material(with_samples(synthetic_windows(windows=400), np.sqrt(counts) if rooted else counts), held_out=0.3)
    windows, test = given.windows, given.parts[0].test
    assert given.rooted == rooted
    assert given.counts is not None

    class Knowing(Plain):
        def reconstruct(self, tokens: Sample, hidden: np.ndarray) -> np.ndarray:
            index = asked_about(given, tokens, hidden)
            return (expected[index] - windows.mean[0]) / windows.std[0]

    found = reconstruction.read_back(given, read(Knowing(), given, fold=0, seed=0, name=""), name="")
    assert found.own is not None
    assert found.own.rates is not None
    recording, truth = np.zeros(len(test), int), given.counts[test][..., given.hidden]

    def bits(rates: np.ndarray) -> float:
        return float(bits_of(bits_terms(truth, [rates], recording)[0].sum(0)))

    known = np.broadcast_to(rate[test], truth.shape)
    assert bits(found.own.rates) == pytest.approx(bits(known), rel=0.02)
    assert bits(known) > 0.3


def test_a_rate_is_held_above_a_share_of_the_units_own_mean_in_each_recording() -> None:
    """Column 0 is a unit of 10 spikes a bin in one recording and of 0.1 in the other: no floor is of their mean."""
    recording = [np.arange(n) % 2 for n in (40, 20, 6)]
    mean = np.array([10.0, 0.1])
    counted = [np.random.default_rng(0).poisson(mean[of][:, None, None], (len(of), 5, 1)) for of in recording[:2]]
    mean = np.array([counted[0][recording[0] == each].mean() for each in (0, 1)])
    said = [np.full((len(of), 5, 1), -1.0) for of in recording[1:]]  # of a readout that is far off below
    rates = positive(*said, counted, recording)
    np.testing.assert_allclose(rates, 0.4 * mean[recording[2]][:, None, None] * np.ones((6, 5, 1)))


@pytest.mark.parametrize("part", ["own", "shuffled"])
def test_a_probe_that_fails_on_a_later_fold_does_not_hand_on_the_fold_before(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a fold's probe answered must not stand for the next fold, whose test windows are as many."""
    windows = synthetic_windows(folds=3)
    given = benchmark(Plain(), {"known": windows}, options=SMALL.model_copy(update={"folds": 3}))
    whole = given.line("model", "known")["decoding"]
    asked, probe = [], one.probe_few

    def failing(*of: Any, **control: Any) -> Any:
        asked.append(of)
        if len(asked) > 1:
            raise ValueError("a class has no training window")
        return probe(*of, **control)

    monkeypatch.setattr(one, "probe_few", failing)
    broken = benchmark(Plain(), {"known": windows}, options=SMALL.model_copy(update={"folds": 3}))
    line = broken.line("model", "known")
    assert line["transfer"]["absent"]
    name = {"own": "score", "shuffled": "shuffled"}[part]
    assert line["decoding"][name] == whole[name]
