"""Frozen suites: what differs is named, in every output; outputs open offline and escape what they show."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from known_models import SMALL, Forwards, Plain
from neurofmx.benchmark import Benchmark, NeuroFMXBenchmark, benchmark
from neurofmx.benchmark.across import GATE, across
from neurofmx.benchmark.by_modality import by_modality
from neurofmx.benchmark.outputs.figure import figure
from neurofmx.benchmark.outputs.markdown import markdown
from neurofmx.benchmark.outputs.number_rows import by_modality_rows, other_rows, variable_rows
from neurofmx.benchmark.outputs.page import page
from neurofmx.benchmark.outputs.rows import unranked
from neurofmx.benchmark.outputs.write import FILES, write
from neurofmx.benchmark.suite import FrozenSuite, deviations, freeze, frozen, load_suite
from neurofmx.foundation.held_out import sessions_of
from neurofmx.recordings.task import Task
from neurofmx.tokenizers.cutting.origin import Origin
from neurofmx.tokenizers.cutting.windows import Windows
from synthetic import synthetic_windows

EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Windows of two datasets."""
    folder = tmp_path_factory.mktemp("tokens")
    for name, kind in (("one", "classification"), ("two", "circular")):
        replace(synthetic_windows(kind), dataset=name).save(folder / f"{name}.h5")
    return folder


@pytest.fixture(scope="module")
def suite(tokens: Path) -> FrozenSuite:
    paths = {name: tokens / f"{name}.h5" for name in ("one", "two")}
    return freeze("test-v1", paths, {"one": "a", "two": "b"}, seeds=(1, 2), options=SMALL)


@pytest.fixture(scope="module")
def found(tokens: Path, suite: FrozenSuite) -> Benchmark:
    return benchmark({"plain": Plain(), EVIL: Forwards()}, suite, tokens=tokens)


def differing(suite: FrozenSuite, windows: Windows, **changes: Any) -> list[str]:
    """What differs where `one` has these windows."""
    given = {"one": frozen(windows, kind="a"), "two": suite.datasets["two"]}
    asked = {"seeds": {"model": (1, 2)}, "options": SMALL} | changes
    return [str(each) for each in deviations(suite, given, **asked)]


def test_a_run_as_written_down_deviates_in_nothing(found: Benchmark, tokens: Path, suite: FrozenSuite) -> None:
    assert found.facts["frozen"]
    assert found.deviations == []
    again = synthetic_windows()  # other bytes, another name, the same windows
    assert differing(suite, again) == []


def test_each_deviation_names_the_dataset_and_what_differs(suite: FrozenSuite) -> None:
    windows = synthetic_windows()
    y, split, x = windows.y.copy(), windows.split.copy(), windows.x.copy()
    y[0], split[0, 0], x[0, 0, 0] = 1 - y[0], -1, 9.0
    for changed, what in (
        (replace(windows, y=y), "answers_sha256"),
        (replace(windows, split=split), "split_sha256"),
        (replace(windows, x=x), "samples_sha256"),
        (replace(windows, split_name="other"), "split"),
    ):
        (said,) = differing(suite, changed)
        assert said.startswith(f"one: {what} is ")
    assert differing(suite, windows, seeds={"lstm": (1, 3)}) == ["seeds of lstm is 1, 3, the suite has 1, 2"]
    assert differing(suite, windows, seeds={"pca": (0,)}) == []
    assert differing(suite, windows, seeds={"lstm": (0,)}, run=(0,)) == ["seeds is 0, the suite has 1, 2"]
    options = SMALL.model_copy(update={"draws": 200})
    assert differing(suite, windows, options=options) == ["draws is 200, the suite has 100"]


def test_a_run_that_deviates_says_so_in_every_output(tokens: Path, suite: FrozenSuite, tmp_path: Path) -> None:
    (tmp_path / "one.h5").write_bytes((tokens / "one.h5").read_bytes())
    result = benchmark(Plain(), suite, tokens=tmp_path, options=SMALL.model_copy(update={"shots": (1,)}))
    assert not result.facts["frozen"]
    said = ["two: the dataset is missing, the suite has it", "shots is 1, the suite has 1, 3"]
    assert result.deviations == said
    written = write(result.facts, tmp_path / "out")
    assert [path.name for path in written] == list(FILES)
    results, table, _, html = (path.read_bytes() for path in written)
    assert json.loads(results) == json.loads(json.dumps(result.facts))
    for text in (table, html, results):
        assert all(each.encode() in text for each in said)
    for text in (table, html):
        assert b"NOT the frozen suite test-v1" in text


def test_a_run_with_another_seed_says_so_even_where_it_is_0(suite: FrozenSuite, tokens: Path) -> None:
    class Trained(Plain):
        seeds = (0,)  # what `evaluate.seeds: [0]` gives a network

    result = benchmark(Trained(), suite, tokens=tokens, seeds=(0,))
    assert result.deviations == ["seeds is 0, the suite has 1, 2"]


def test_a_suite_is_read_as_it_was_written_and_a_wrong_name_is_answered(suite: FrozenSuite, tmp_path: Path) -> None:
    suite.save(tmp_path / "test-v1.json")
    assert load_suite(tmp_path / "test-v1.json") == suite
    (tmp_path / "broken.json").write_text("{}")
    with pytest.raises(ValueError, match="no frozen suite"):
        load_suite(tmp_path / "broken.json")
    with pytest.raises(ValueError, match="unknown frozen suite 'core-v9'"):
        load_suite("core-v9")


class Reader(HTMLParser):
    """Opens and closes tags as a browser would have to, and keeps what they point to."""

    VOID = ("meta", "img", "input", "br", "link")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: dict[str, int] = {}
        self.points: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen[tag] = self.seen.get(tag, 0) + 1
        self.points += [value for name, value in attrs if name in ("src", "href", "action", "data")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_page_is_whole_offline_and_escapes_what_it_shows(found: Benchmark) -> None:
    html = page(found.facts, b"a picture")
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    assert reader.seen["script"] == 1  # ours; the model's name is text
    assert EVIL in reader.text
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\(", html)
    anchors = [each for each in reader.points if each.startswith("#")]
    assert all(f'id="{each[1:]}"' in html for each in anchors)
    rest = [each for each in reader.points if each not in anchors]
    assert len(rest) == 1
    assert rest[0].startswith("data:image/png;base64,")
    assert reader.seen["table"] >= 10
    assert "prefers-color-scheme: dark" in html
    for part in ("Neural reconstruction", "Behaviour decoding", "Latent space", "Transfer", "Few-shot"):
        assert part in reader.text


FETCHING = ("src", "srcset", "href", "action", "formaction", "poster", "data", "background", "manifest", "ping")
FOREIGN = ("iframe", "frame", "object", "embed", "link", "base", "audio", "video", "source", "track", "template", "svg")


class Fetched(HTMLParser):
    """Keeps whatever a browser would fetch, or could not do without elsewhere."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._in = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self._in = tag
        self.found += [tag] if tag in FOREIGN else []
        for name, value in attrs:
            pointing = name.removeprefix("xlink:") in FETCHING and not str(value).startswith(("#", "data:image/"))
            if pointing or (tag, name) in (("script", "src"), ("meta", "http-equiv")) or "url(" in str(value):
                self.found.append(f"{tag} {name}={value}")

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        self._in = ""

    def handle_data(self, data: str) -> None:
        reaching = {"style": ("url(", "@import", "src:"), "script": ("fetch(", "import", "XMLHttpRequest", "WebSocket")}
        self.found += [f"{self._in}: {word}" for word in reaching.get(self._in, ()) if word in data]


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ('<script src="https://example.org/a.js"></script>', ["script src=https://example.org/a.js"]),
        ('<img src="//example.org/a.png">', ["img src=//example.org/a.png"]),
        ('<a href="figure.png">', ["a href=figure.png"]),
        ('<link rel="stylesheet" href="a.css">', ["link", "link href=a.css"]),
        ('<p style="background: url(a.png)">', ["p style=background: url(a.png)"]),
        ("<style>@import 'a.css';</style>", ["style: @import"]),
        ("<script>fetch('a.json')</script>", ["script: fetch("]),
        ('<meta http-equiv="refresh" content="0">', ["meta http-equiv=refresh"]),
        ('<p>a fetch( in a text, url( too</p><a href="#here">', []),
    ],
)
def test_what_a_page_would_fetch_is_seen(html: str, found: list[str]) -> None:
    assert Fetched(html).found == found


def test_the_page_fetches_nothing(found: Benchmark) -> None:
    assert Fetched(page(found.facts, b"a picture")).found == []


def test_the_figure_has_four_panels_and_the_same_bytes_each_time(found: Benchmark) -> None:
    from PIL import Image

    png = figure(found.facts)
    assert png == figure(json.loads(json.dumps(found.facts)))
    image = np.asarray(Image.open(BytesIO(png)).convert("L"))
    half = image.shape[0] // 2, image.shape[1] // 2
    for rows in (slice(0, half[0]), slice(half[0], None)):
        for columns in (slice(0, half[1]), slice(half[1], None)):
            assert (image[rows, columns] < 128).mean() > 0.002  # ink in each quarter


def test_the_figure_shows_names_that_matplotlib_would_read_as_formulas_or_hide(found: Benchmark) -> None:
    text = json.dumps(found.facts).replace('"plain"', '"_a$x_{$"').replace('"one"', '"$^"')
    assert figure(json.loads(text))  # warnings are errors: a label that is left out would warn


def test_the_table_has_a_row_for_each_model_and_dataset(found: Benchmark) -> None:
    table = markdown(found.facts)
    decoding = table.split("## Behaviour decoding")[1].split("\n## ")[0]
    scores, *others = decoding.split("Other numbers")
    assert len(re.findall(r"^\| (one|two) ", scores, flags=re.MULTILINE)) == 4
    assert [re.findall(r"^\| (one|two) ", each, flags=re.MULTILINE) for each in others] == [["one"] * 2, ["two"] * 2]
    assert table.index("(n_train 20)") < table.index("(n_train 64)")
    for metric in ("(n_train 20)", "(n_train 64)", "2way_1shot", "2way_3shot", "4way_3shot"):
        assert metric in table


def line(model: str, dataset: str, share: float, linear: float) -> dict[str, Any]:
    return {
        "model": model,
        "dataset": dataset,
        "modality": "spikes" if dataset in ("d0", "d1") else "lfp",
        "parts": {"decoding": {"absent": "", "share": share, "linear_share": linear}},
    }


def test_over_datasets_the_planted_winner_wins() -> None:
    """Of 8 datasets all in one direction, the exact two-sided p is 2 / 2^8; Holm doubles it for two models."""
    rng = np.random.default_rng(0)
    linear = rng.uniform(0.3, 0.6, 8)
    gain = np.arange(1, 9) / 100
    results = [
        each
        for k in range(8)
        for each in (
            line("better", f"d{k}", linear[k] + gain[k], linear[k]),
            line("worse", f"d{k}", linear[k] - gain[k], linear[k]),
        )
    ]
    results.append(line("better", "alone", 0.9, 0.1))  # not answered by all models
    summed = across(results, "decoding", draws=200, confidence=0.95)
    assert summed["datasets"] == [f"d{k}" for k in range(8)]
    models = summed["models"]
    assert [models[name]["rank"] for name in ("better", GATE, "worse")] == [1.0, 2.0, 3.0]
    for name, better in (("better", 8), ("worse", 0)):
        test = models[name]["against_linear"]
        assert test["better"] == better
        assert test["p"] == pytest.approx(2 / 2**8)
        assert test["corrected"] == pytest.approx(4 / 2**8)
    assert models["better"]["low"] <= np.mean(linear + gain) <= models["better"]["high"]
    by = summed["modalities"]
    assert {name: each["datasets"] for name, each in by.items()} == {"lfp": 6, "spikes": 2}
    assert by["spikes"]["shares"][GATE] == pytest.approx(linear[:2].mean())
    assert summed["pairs"][0]["p"] == pytest.approx(2 / 2**8)


def test_a_model_under_the_name_linear_changes_no_test_against_the_gate() -> None:
    rng = np.random.default_rng(0)
    gate, gain, noise = rng.uniform(0.3, 0.6, 8), np.arange(1, 9) / 100, rng.uniform(-0.2, 0.9, 8)
    ours = [line("ours", f"d{k}", gate[k] + gain[k], gate[k]) for k in range(8)]
    alone = across(ours, "decoding", draws=100, confidence=0.95)
    results = ours + [line("linear", f"d{k}", noise[k], gate[k]) for k in range(8)]
    summed = across(results, "decoding", draws=100, confidence=0.95)
    uncorrected = [each["models"]["ours"]["against_linear"] | {"corrected": 0} for each in (alone, summed)]
    assert uncorrected[0] == uncorrected[1]
    assert uncorrected[1]["median"] == pytest.approx(0.045)
    assert summed["models"]["linear"]["share"] == pytest.approx(noise.mean())
    assert summed["models"][GATE]["share"] == pytest.approx(gate.mean())
    assert summed["models"][GATE]["against_linear"] is None
    assert summed["gate_is"] == ""


def test_answers_that_are_the_gates_own_have_one_row() -> None:
    gate = np.linspace(0.3, 0.6, 8)
    ours = [line("ours", f"d{k}", gate[k] + (k - 1.5) / 100, gate[k]) for k in range(8)]
    alone = across(ours, "decoding", draws=100, confidence=0.95)
    summed = across(
        ours + [line("linear", f"d{k}", gate[k], gate[k]) for k in range(8)], "decoding", draws=100, confidence=0.95
    )
    assert {**summed, "gate_is": ""} == alone
    assert summed["gate_is"] == "linear"
    said = unranked({"across": {"decoding": summed}}, "decoding")
    assert said == "Not ranked: linear (its answers are those of linear (gate))."


def test_a_network_named_linear_is_drawn_and_held_against_the_gate(tokens: Path) -> None:
    """In every output the gate has its own column, and no model may take its name."""
    asked = {name: tokens / f"{name}.h5" for name in ("one", "two")}
    result = benchmark({"linear": Plain()}, asked, options=SMALL)
    alone = benchmark({"plain": Plain()}, asked, options=SMALL)
    renamed = json.loads(json.dumps(alone.facts).replace('"plain"', '"linear"'))
    for part in ("reconstruction", "decoding", "transfer"):  # of the others its states, the windows, are the gate
        assert result.facts["across"][part] == renamed["across"][part]
    assert list(result.facts["across"]["decoding"]["models"]) == ["linear", GATE]
    assert result.facts["across"]["few_shot"]["gate_is"] == "linear"
    for made in (markdown(result.facts), page(result.facts, b"a picture")):
        assert GATE in made
    with pytest.raises(ValueError, match="give it another name"):
        benchmark({GATE: Plain()}, asked, options=SMALL)


def test_means_by_modality_are_over_the_datasets_that_all_models_answered() -> None:
    def one(model: str, dataset: str, value: float) -> dict[str, Any]:
        made = line(model, dataset, 0.5, 0.4)
        part = made["parts"].pop("decoding")
        numbers = dict.fromkeys(("mse", "mae", "r2", "pearson"), value)
        beside = {"linear": dict.fromkeys(numbers, 0.5), "chance": {"mse": 1.0}, "shuffled": {}}
        return made | {"parts": {"reconstruction": part | {"metrics": numbers, "beside": beside}}}

    values = {"a": (0.1, 0.3, 0.6), "b": (0.2, 0.2, 0.9)}
    results = [one(model, f"d{k}", each) for model, of in values.items() for k, each in enumerate(of)]
    results.append(one("a", "d3", 100.0))  # lfp like d2, and not answered by the other
    means = by_modality(results)
    assert {kind: each["datasets"] for kind, each in means.items()} == {"lfp": 1, "spikes": 2}
    spikes = means["spikes"]["models"]
    assert spikes["a"]["metrics"] == pytest.approx(dict.fromkeys(("mse", "mae", "r2", "pearson"), 0.2))
    assert means["lfp"]["models"]["b"]["metrics"]["r2"] == pytest.approx(0.9)
    assert spikes["b"]["beside"] == {
        "linear": dict.fromkeys(("mse", "mae", "r2", "pearson"), 0.5),
        "chance": {"mse": 1.0},
        "shuffled": {},
    }
    rows = by_modality_rows({"by_modality": {"reconstruction": means}}, "reconstruction")
    assert [(row["modality"], row["model"]) for row in rows] == [(m, k) for m in ("lfp", "spikes") for k in "ab"]
    assert rows[2]["mse"] == "0.200 / 0.500 / 1.000 / -"


def test_all_numbers_of_gate_chance_and_control_are_in_page_and_table(found: Benchmark) -> None:
    whose = ["model", GATE, "chance", "shuffled"]
    for part in ("reconstruction", "decoding", "latent", "transfer", "few_shot"):
        rows = [row for row in other_rows(found.facts, part) if (row["dataset"], row["model"]) == ("two", "plain")]
        assert [row["of"] for row in rows] == whose, part
    decoding = found.line("plain", "two")["decoding"]
    of = {row["of"]: row for row in other_rows(found.facts, "decoding") if row["model"] == "plain" and "mse" in row}
    assert float(of["model"]["mse"]) == pytest.approx(decoding["metrics"]["mse"], abs=1e-3)
    assert float(of[GATE]["mse"]) == pytest.approx(decoding["beside"]["linear"]["mse"], abs=1e-3)
    variables = [row for row in variable_rows(found.facts) if row["model"] == "plain"]
    assert [(row["variable"], row["of"]) for row in variables] == [
        (name, who) for name in ("cos angle", "sin angle") for who in whose
    ]
    cell = " / ".join(each["mse"] for each in of.values())
    assert cell.count("/") == 3
    assert cell in markdown(found.facts)
    assert of["shuffled"]["spearman"] in page(found.facts, b"a picture")
    assert "Means over datasets by modality, model / linear (gate) / chance / shuffled" in markdown(found.facts)


def test_models_are_ranked_where_they_answered_the_same_windows() -> None:
    """One whose answers are kept is scored on all folds, another on those that were read: no pair."""
    results = [line(model, f"d{k}", 0.5, 0.4) for k in range(3) for model in ("kept", "read")]
    for each in results:
        each["parts"]["decoding"]["windows"] = 90 if each["model"] == "kept" and each["dataset"] == "d2" else 30
    assert across(results, "decoding", draws=100, confidence=0.95)["datasets"] == ["d0", "d1"]


def without(model: str, dataset: str) -> dict[str, Any]:
    """The line of a model that was not trained on a dataset."""
    return line(model, dataset, 0.0, 0.0) | {"parts": {"decoding": {"absent": "train first"}}}


def test_models_that_are_absent_leave_the_others_their_ranks_and_tests() -> None:
    results = [line(model, f"d{k}", share, 0.4) for k in range(8) for model, share in (("a", 0.5 + k / 20), ("b", 0.5))]
    alone = across(results, "decoding", draws=100, confidence=0.95)
    gone = [without(model, f"d{k}") for model in ("gone", "lost") for k in range(8)]
    for order in (gone + results, results + gone):
        summed = across(order, "decoding", draws=100, confidence=0.95)
        assert sorted(summed["left_out"]) == ["gone", "lost"]
        assert summed["left_out"]["gone"] == "answered 0 of 8 datasets, 0 of them together with all other models"
        assert {**summed, "left_out": {}} == alone
    assert [alone["models"][name]["rank"] for name in ("a", "b", GATE)] == [1.0625, 1.9375, 3.0]


def test_a_model_that_reads_some_datasets_narrows_the_ranks_and_one_that_reads_few_is_left_out() -> None:
    results = [line(model, f"d{k}", share, 0.4) for k in range(8) for model, share in (("a", 0.6), ("b", 0.5))]
    some = [line("some", f"d{k}", 0.7, 0.4) if k < 6 else without("some", f"d{k}") for k in range(8)]
    few = [line("few", f"d{k}", 0.9, 0.4) if k < 3 else without("few", f"d{k}") for k in range(8)]
    summed = across(results + some, "decoding", draws=100, confidence=0.95)
    assert summed["datasets"] == [f"d{k}" for k in range(6)]
    assert (summed["left_out"], summed["models"]["some"]["rank"]) == ({}, 1.0)
    summed = across(few + results + some, "decoding", draws=100, confidence=0.95)
    assert summed["datasets"] == [f"d{k}" for k in range(6)]
    assert summed["left_out"] == {"few": "answered 3 of 8 datasets, 3 of them together with all other models"}


def test_outputs_say_which_models_are_not_ranked(tokens: Path) -> None:
    class Untrained(Plain):
        def prepare(self, windows: Windows, *, fold: int, seed: int) -> Plain:
            raise FileNotFoundError("train first")

    asked = {name: tokens / f"{name}.h5" for name in ("one", "two")}
    result = benchmark({"gone": Untrained(), "plain": Plain()}, asked, options=SMALL)
    summed = result.facts["across"]["decoding"]
    assert (summed["datasets"], list(summed["models"])) == (["one", "two"], ["plain", GATE])
    said = "Not ranked: gone (answered 0 of 2 datasets, 0 of them together with all other models)."
    assert said in markdown(result.facts)
    assert said in page(result.facts, b"a picture")


def test_a_model_is_all_that_must_be_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite is core-v1 and the windows are those in data/tokens; what is not there is named."""
    (tmp_path / "data/tokens").mkdir(parents=True)
    replace(synthetic_windows(), dataset="digits").save(tmp_path / "data/tokens/digits.h5")
    monkeypatch.chdir(tmp_path)
    result = benchmark(Plain())
    suite = load_suite("core-v1")
    assert (result.facts["suite"], result.facts["options"]) == ("core-v1", suite.options.model_dump(mode="json"))
    assert list(result.facts["datasets"]) == ["digits"]
    assert sum("the dataset is missing" in said for said in result.deviations) == len(suite.datasets) - 1
    assert result.line("model", "digits")["decoding"]["score"] > 0.5


def test_the_benchmark_is_an_object_that_is_called_with_models(tokens: Path) -> None:
    asked = {"one": tokens / "one.h5"}
    made = NeuroFMXBenchmark(asked, options=SMALL)
    assert made({"plain": Plain()}).facts == benchmark({"plain": Plain()}, asked, options=SMALL).facts
    other = replace(made, options=SMALL.model_copy(update={"draws": 150}))({"plain": Plain()})
    assert other.facts["options"]["draws"] == 150


def test_the_public_names_are_loaded_when_they_are_asked_for() -> None:
    """`neurofmx.params` goes through this package, and reading params needs no torch."""
    import neurofmx.benchmark

    code = "import sys, neurofmx.benchmark as b; print('torch' in sys.modules, b.NeuroFMXBenchmark().suite)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "core-v1"]
    with pytest.raises(AttributeError, match="no attribute 'benchmrak'"):
        _ = neurofmx.benchmark.benchmrak


def test_a_model_is_not_asked_about_what_it_was_pretrained_on() -> None:
    known = replace(synthetic_windows(), origins=(Origin("m/1", "m", ("aa",)),))
    other = replace(synthetic_windows(), origins=(Origin("m/2", "m", ("bb",)),))

    class Pretrained(Plain):
        pretrained_on = (each for each in sessions_of(known))  # read once for all datasets

    result = benchmark({"big": Pretrained()}, {"other": other, "known": known}, options=SMALL)
    assert all("pretrained on" in part["absent"] for part in result.line("big", "known").values())
    assert not result.line("big", "other")["decoding"]["absent"]
    assert "big is not asked about known" in markdown(result.facts)


def text_windows() -> Windows:
    """A text of four tokens, drawn evenly."""
    base, rng = synthetic_windows(), np.random.default_rng(0)
    tokens = rng.integers(0, 4, size=(120, 7)).astype(np.int32)
    return replace(
        base,
        x=tokens[:, :6, None],
        y=tokens[:, 1:],
        sizes=np.full((120, 2), 6),
        task=Task("next_token", "text", ("a", "b", "c", "d")),
        modality="text",
        channels=("character",),
        mean=np.zeros((3, 1)),
        std=np.ones((3, 1)),
        present=np.ones((1, 1), bool),
        positions=np.full((1, 1, 3), np.nan),
    )


class Kept(Plain):
    """Gives every true token of a text 0.8; of anything else nothing is kept."""

    def stored_answers(self, windows: Windows) -> np.ndarray | None:
        return np.full((1, len(windows.tested), 6), np.log(0.8)) if windows.tokens else None


class Deaf(Plain):
    """Reads no text."""

    def cannot(self, windows: Windows) -> str:
        return "it is a text" if windows.tokens else ""


def test_of_a_text_the_kept_answers_are_scored_and_nothing_else() -> None:
    """A model that gives every true token 0.8 has a perplexity of 1 / 0.8 where a word is a token."""
    windows = text_windows()
    linear = np.full((1, len(windows.tested), 6), np.log(0.5))
    result = benchmark(Kept(), {"text": windows}, options=SMALL, linear={"text": linear})
    parts = result.line("model", "text")
    decoding = parts["decoding"]
    assert (decoding["score"], decoding["linear"]) == (1.25, 2.0)
    assert decoding["verdict"] == "wins"
    assert decoding["chance"] == pytest.approx(4.0, abs=0.1)
    assert decoding["share"] == pytest.approx(1 - np.log(1.25) / np.log(decoding["chance"]), abs=1e-5)
    assert all("token by token" in parts[part]["absent"] for part in ("reconstruction", "latent", "transfer"))


def test_a_model_that_reads_no_text_is_left_out_there_and_the_suite_stays_frozen(tmp_path: Path) -> None:
    text = text_windows()
    files = {"text": tmp_path / "text.h5", "one": tmp_path / "one.h5"}
    replace(text, dataset="text").save(files["text"])
    synthetic_windows().save(files["one"])
    suite = freeze("mixed-v1", files, dict.fromkeys(files, "a"), seeds=(1,), options=SMALL)
    linear = {"text": np.full((1, len(text.tested), 6), np.log(0.5))}
    result = benchmark({"kept": Kept(), "deaf": Deaf()}, suite, tokens=tmp_path, linear=linear)
    assert (result.facts["frozen"], result.deviations) == (True, [])
    assert [each["said"] for each in result.facts["beyond"]] == ["deaf is not asked about text: it is a text"]
    assert {part["absent"] for part in result.line("deaf", "text").values()} == {"it is a text"}
    assert not result.line("deaf", "one")["decoding"]["absent"]
    assert not result.line("kept", "text")["decoding"]["absent"]
    again = benchmark({"kept": Kept(), "plain": Plain()}, suite, tokens=tmp_path, linear=linear)
    assert again.deviations == ["text: what plain answers is nothing, the suite has all models"]
