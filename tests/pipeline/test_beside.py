"""Two forms of one recording, by params alone: a posture with its film, a film of real pictures and real speech."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ruamel.yaml import YAML
from tests.datasets.own_files import session, write_visit
from tests.films import write_talkie
from tests.pipeline.test_own_data import commands, run_stage
from tests.raw_folders import raw, read

from neurofmx.evaluation.answers import load_answers
from neurofmx.recordings.film import frames
from neurofmx.recordings.recording import Recording
from neurofmx.tokenizers.cutting.windows import load_windows
from pipeline_checkout import ROOT, Checkout, copy_of_checkout

__all__ = ["raw", "read"]

DOC = (ROOT / "docs/tokenizers.md").read_text(encoding="utf-8")
SMALL: dict[str, dict[str, Any]] = {
    "model": {"hidden_dim": 16, "liquid_units": 8, "backbone_units": 8, "spiking_units": 8, "num_layers": 1},
    "models": {"linear": {"strengths": [100.0, 1000.0, 10000.0]}, "pca": {"components": [8, 32]}},
    "train": {"num_epochs": 9, "min_batches": 10, "max_batches": 20, "workers": 1},
    "evaluate": {"draws": 100, "robustness": {"noise": [2.0]}},
}


def write_params(root: Path, block: dict[str, Any], *, compare: list[str] | None = None) -> None:
    """params.yaml with a block as a page has it, and models and trainings of seconds."""
    tree = YAML(typ="safe").load(ROOT / "params.yaml")
    for section, values in SMALL.items():
        tree[section] |= values
    tree["datasets"], tree["suites"] = block["datasets"], {}
    tree["run"] = {"datasets": block["run"]["datasets"], "compare": compare or []}
    tree["multimodal"] |= block.get("multimodal", {})
    YAML(typ="safe").dump(tree, root / "params.yaml")


def report(root: Path, dataset: str, model: str) -> dict[str, Any]:
    return json.loads((root / f"data/scores/{dataset}/{model}/report.json").read_text())


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    return tmp_path


def test_a_posture_and_its_film_go_to_a_score_with_the_pages_params(raw: Callable[[str], Path], place: Path) -> None:
    """A real film; the posture is found in it, so that windows of both must show the mouse at one place."""
    raw("dlc_openfield")  # skips where it cannot be had
    (block,) = (YAML(typ="safe").load(text) for text in re.findall(r"```yaml\n(.*?)```", DOC, re.DOTALL))
    (pose, film), *others = block["multimodal"]["beside"].items()
    assert not others
    write_params(place, block, compare=["pca"])
    for command in commands(pose, beside=film):
        run_stage(*command)
    windows, alone = load_windows(Path(f"data/tokens/{pose}.h5")), load_windows(Path(f"data/tokens/{film}.h5"))
    assert windows.beside is not None
    np.testing.assert_allclose(windows.beside.start, windows.start, atol=1e-6)
    assert len(windows.x) > 0.99 * len(alone.x)
    # the dark mouse is where the posture says: its column in the last picture, of 16, and in pixels of 640
    last = windows.beside.x.reshape(len(windows.x), 10, 12, 16)[:, -1]
    dark = np.maximum(np.median(last, axis=0) - last, 0).sum(1)
    column = (dark @ (40 * np.arange(16) + 20)) / dark.sum(1)
    assert np.corrcoef(column, windows.x[:, -1, 0])[0, 1] > 0.95
    for command in (
        ("pipeline/04_train.py", pose, "pca"),
        ("pipeline/05_evaluate.py", pose, "pca"),
        ("pipeline/04_train.py", pose, "model"),
        ("pipeline/05_evaluate.py", pose, "model"),
    ):
        run_stage(*command)
    for model in ("linear", "pca", "model"):
        found = report(place, pose, model)
        assert "10 x 2 at 30" in found["window"]
        assert f"beside it {film}: 120 x 16 at 30" in found["window"]
        assert np.isfinite(load_answers(place / f"data/scores/{pose}/{model}/answers.h5")).all()
        assert found["robustness"]["conditions"]["noise_2"]["score"] < found["score"]
        assert found["score"] > (0.5 if model == "model" else 0.9), f"{model}: {found['score']}"
    assert report(place, pose, "model")["tokenizer"] == "BehaviorVideoTokenizer"


SIDES, WORDS = ("left", "right"), ("0", "1")
CLASSES = [f"{side}-{word}" for side in SIDES for word in WORDS]
TALK: dict[str, Any] = {
    "datasets": {
        name: {
            "options": {
                "path": "talk.mkv",
                "target": {"kind": "classification", "classes": CLASSES},
                "division": {"folds": 3, "gap": 1.0},
            },
            "preprocess": cleaned,
            "tokenize": {"anchor": "trial", "start": 0.0, "stop": 0.6} | cut,
            "train": {"input_noise": 0.1, "input_dropout": 0.0},
        }
        for name, cleaned, cut in (
            ("talk", {"rate": 10.0, "size": [12, 16]}, {"scale": "global", "tokenizer": "video_audio"}),
            ("speech", {"features": "wave", "level": None}, {}),
            ("levels", {"bands": 20, "hop_ms": 10.0}, {"patch": 5}),
        )
    },
    "run": {
        "datasets": {
            "talk": {"kind": "film", "modality": "video"},
            "speech": {"kind": "film", "modality": "audio"},
            "levels": {"kind": "film", "modality": "audio"},
        }
    },
    "multimodal": {"beside": {"talk": "levels"}},
}


def write_talk(path: Path, read: Callable[[str], list[Recording]], film: Path, *, trials: int = 160) -> None:
    """A mouse on one side of its field, while somebody says a digit: what is asked for needs both to be known.

    Pictures are those of a real film of a mouse, ten a second and five a trial; words are real, spoken by six people.
    """
    rng = np.random.default_rng(0)
    pictures = np.stack([frame.picture for frame in frames(film, grey=True, size=(24, 32))])
    (mouse,) = read("dlc_openfield")
    place = np.asarray(mouse.signal("pose").data)[: len(pictures) - 40, 0]
    low, high = np.quantile(place, [0.3, 0.7])
    where = {"left": np.flatnonzero(place < low), "right": np.flatnonzero(place > high)}
    words = {
        word: [each.signal("audio").data[:, 0] for each in read("fsdd") if each.session.endswith(f"-digit-{word}")]
        for word in WORDS
    }
    labels = [CLASSES[number % 4] for number in rng.permutation(trials)]
    start = 0.5 + 0.8 * np.arange(trials)
    shown = pictures[rng.integers(0, len(place), int(10 * (start[-1] + 1.5)))].copy()
    sound = 0.001 * rng.normal(size=800 * len(shown))
    for moment, label in zip(start, labels, strict=True):
        side, word = label.split("-")
        first = int(rng.choice(where[side]))
        shown[round(10 * moment) : round(10 * moment) + 6] = pictures[first]
        said = words[word][rng.integers(len(words[word]))][: round(0.6 * 8000)]
        sound[round(8000 * moment) :][: len(said)] += said
    write_talkie(path, shown, np.clip(sound, -1, 1))
    rows = [f"{moment:.1f},{moment + 0.6:.1f},{label}" for moment, label in zip(start, labels, strict=True)]
    path.with_suffix(".csv").write_text("\n".join(["start,stop,label", *rows]) + "\n")


@pytest.fixture(scope="module")
def talk(
    raw: Callable[[str], Path], read: Callable[[str], list[Recording]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder with a film of a mouse and of people who talk."""
    folder = tmp_path_factory.mktemp("talk")
    write_talk(folder / "talk.mkv", read, next((raw("dlc_openfield") / "videos").glob("*.mp4")))
    return folder


def test_a_film_and_its_sound_go_to_a_score(talk: Path, place: Path) -> None:
    """Of four classes each form tells two apart, so that both together are scored well and each alone is not."""
    shutil.copytree(talk, place, dirs_exist_ok=True)
    write_params(place, TALK)
    for command in [*commands("talk", beside="levels"), *commands("levels")]:
        run_stage(*command)
    both, heard = report(place, "talk", "linear"), report(place, "levels", "linear")
    assert both["score"] > 0.8 > 0.6 > heard["score"]
    write_params(place, TALK | {"multimodal": {"beside": {}}} | without_sound())
    run_stage("pipeline/03_tokenize.py", "talk")
    assert not (place / "data/clean/talk/beside.h5").exists(), "of a pair that is no more"
    run_stage("pipeline/04_train.py", "talk", "linear")
    run_stage("pipeline/05_evaluate.py", "talk", "linear")
    assert report(place, "talk", "linear")["score"] < 0.6


def test_a_network_learns_from_film_and_sound(talk: Path, place: Path) -> None:
    """With the sound as the wave, of which the tokenizer makes levels of bands itself."""
    shutil.copytree(talk, place, dirs_exist_ok=True)
    write_params(place, TALK | {"multimodal": {"beside": {"talk": "speech"}}})
    for command in commands("talk", beside="speech"):
        run_stage(*command)
    run_stage("pipeline/04_train.py", "talk", "model")
    run_stage("pipeline/05_evaluate.py", "talk", "model")
    found = report(place, "talk", "model")
    assert found["tokenizer"] == "VideoAudioTokenizer"
    assert found["score"] > 0.55, "more than either form alone can tell"


def without_sound() -> dict[str, Any]:
    """The film by a tokenizer that reads no sound."""
    datasets = {name: dict(block) for name, block in TALK["datasets"].items()}
    datasets["talk"]["tokenize"] = datasets["talk"]["tokenize"] | {"tokenizer": "video"}
    return {"datasets": datasets}


def test_dvc_makes_a_pair_in_order_and_anew_where_it_must(tmp_path: Path) -> None:
    checkout: Checkout = copy_of_checkout(tmp_path)
    for number in (1, 2):
        write_visit(tmp_path / f"films/visit{number}.mkv", session(number))
    page = (ROOT / "docs/your_own_data.md").read_text(encoding="utf-8")
    blocks = [YAML(typ="safe").load(text) for text in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]
    (block,) = (each for each in blocks if "my_film" in each["datasets"])
    (checkout.root / "dvc.lock").unlink(missing_ok=True)
    write_params(checkout.root, block)

    def ran() -> list[str]:
        done = checkout.run("dvc", "repro", "baseline@my_film")
        return [stage for stage in checkout.ran(done.stdout) if "@" in stage]

    first = ran()
    assert set(first) == {
        *(f"{stage}@{name}" for stage in ("download", "preprocess", "tokenize") for name in ("my_film", "my_sound")),
        "lend@my_film",
        "baseline@my_film",
    }
    assert first[-1] == "baseline@my_film"
    assert first.index("tokenize@my_sound") < first.index("lend@my_film") < first.index("tokenize@my_film")
    assert ran() == []
    block["datasets"]["my_sound"]["tokenize"]["patch"] = 10
    write_params(checkout.root, block)
    assert ran() == ["tokenize@my_sound", "lend@my_film", "tokenize@my_film", "baseline@my_film"]
    block["datasets"]["my_film"]["tokenize"]["tokenizer"] = "video"
    write_params(checkout.root, block | {"multimodal": {"beside": {}}})
    assert ran() == ["tokenize@my_film", "baseline@my_film"]
    assert load_windows(checkout.root / "data/tokens/my_film.h5").beside is None
    assert not (checkout.root / "data/clean/my_film/beside.h5").exists()
    assert ran() == []
