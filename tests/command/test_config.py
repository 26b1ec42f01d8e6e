"""`neurofmx config`: what is shown, what is refused, what is written and what stays."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from neurofmx.command.commented import as_text, become, read
from neurofmx.command.edit import edit
from neurofmx.command.file import ParamsFile
from neurofmx.command.main import VERBS, main
from neurofmx.models.hybrid.config import HybridConfig
from neurofmx.params import load_params

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The committed file with a few of its datasets, as all of them take long to read."""
    tree = read(ROOT / "params.yaml")
    kept = {
        name: tree["datasets"][name] for name in ("digits", "haxby2001", "peyrache_a2929", "wikitext2", "wikitext2_bpe")
    }
    become(tree["datasets"], kept)
    texts = {name: item for name, item in tree["suites"]["text_v1"]["datasets"].items() if name in kept}
    become(tree["suites"], {"text_v1": {**tree["suites"]["text_v1"], "datasets": texts}})
    path = tmp_path_factory.mktemp("committed") / "params.yaml"
    path.write_text(as_text(tree))
    return path


@pytest.fixture
def params(committed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(committed, tmp_path))


def run(params: Path, *arguments: str) -> int:
    return main(["config", "--params", str(params), *arguments])


def changed(params: Path, committed: Path) -> list[str]:
    """Lines that differ from the committed file."""
    new, old = params.read_text().splitlines(), committed.read_text().splitlines()
    return [line.strip() for line in new if line not in old]


def test_every_verb_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--help"], ["config", "--help"], *(["config", verb, "--help"] for verb in VERBS)):
        with pytest.raises(SystemExit) as left:
            main(words)
        assert left.value.code == 0
        assert "usage: neurofmx" in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], ["config"]])
def test_a_call_without_a_verb_names_what_there_is(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 2
    assert ("{" + ",".join(VERBS if words else ["config"]) + "}") in capsys.readouterr().err


def test_the_installed_command_is_this_one() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    module, name = scripts["neurofmx"].split(":")
    assert getattr(import_module(module), name) is main


def test_show_marks_what_differs_and_tells_all_of_one(params: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(params, "show") == 0
    shown = capsys.readouterr().out
    assert re.search(r"\* model.num_layers +1 +default 6 +whole number, 1 or more", shown)
    assert re.search(r"\n  model.beta +0.95 +default 0.95 +number above 0, below 1", shown)
    assert "datasets.digits.tokenize.tokenizer_options.conv_channels" in shown
    assert "datasets.mnist_5k.tokenize" not in shown
    assert run(params, "show", "spiking") == 0
    assert "Membrane decay per step at the start" in capsys.readouterr().out
    for name in ("beta", "model.beta"):
        assert run(params, "show", name) == 0
        assert "allowed  number above 0, below 1" in capsys.readouterr().out
    assert run(params, "show", "vocab_size") == 0
    assert re.search(r"\* datasets.wikitext2_bpe.preprocess.size +4096 +default null", capsys.readouterr().out)
    assert run(params, "show", "run.datasets.digits") == 0
    assert capsys.readouterr().out == "run.datasets.digits: {kind: digits, modality: image}\n"
    assert run(params, "show", "suites.text_v1") == 0
    assert "\n  compare: [lstm, mamba, transformer]\n" in capsys.readouterr().out
    assert run(params, "show", "evaluate.robustness") == 0
    assert re.search(r"evaluate.robustness.noise +\[\] +default \[\]", capsys.readouterr().out)
    assert run(params, "show", "spikin") == 1
    assert "did you mean 'spiking'?" in capsys.readouterr().err
    assert run(params, "names", "seed") == 0
    assert "evaluate.seeds" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("suites.nope.bar", r"suites.nope.bar: nothing stands there: suites has no nope; it holds text_v1"),
        ("suites.text_v2", r"suites has no text_v2; did you mean 'text_v1'\?"),
        ("suites.text_v1.comon.model.beta", r"suites.text_v1 has no comon; did you mean 'common'\?"),
        ("suites.text_v1.seeds.3", r"suites.text_v1.seeds has no 3; it holds no keys"),
        ("suites.text_v1.common.train.num_epoch", r"has no train.num_epoch; did you mean 'train.num_epochs'\?"),
        ("run.datasets.digit", r"run.datasets has no digit; did you mean 'digits'\?"),
        ("datasets.digits.train.num_epochs", r"datasets.digits.train has no num_epochs; it holds no keys"),
    ],
)
def test_show_refuses_what_is_not_there(
    params: Path, key: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run(params, "set", "suites.text_v1.common={train.num_epochs: 3}")
    assert run(params, "show", key) == 1
    shown = capsys.readouterr()
    assert re.search(message, shown.err), shown.err
    assert "null" not in shown.out


def test_values_of_a_suite_are_shown_and_set_by_their_dotted_keys(
    params: Path, committed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = "suites.text_v1.variants.small"
    assert run(params, "show", "suites.text_v1.variants") == 0
    assert capsys.readouterr().out == "suites.text_v1.variants: {}\n"
    assert (
        run(params, "set", "suites.text_v1.variants.whole={}", f"{small}.model.beta=0.7", f"{small}.head.pool=last")
        == 0
    )
    assert run(params, "set", "suites.text_v1.common.train.num_epochs=3", f"{small}.model.beta=0.8") == 0
    assert f"{small}.model.beta: 0.7 -> 0.8" in capsys.readouterr().out
    suite = load_params(params).suite("text_v1")
    assert suite.variants == {"whole": {}, "small": {"model.beta": 0.8, "head.pool": "last"}}
    assert suite.common["train.num_epochs"] == 3
    assert run(params, "show", f"{small}.model.beta") == 0
    assert capsys.readouterr().out == f"{small}.model.beta: 0.8\n"
    assert all(
        line.startswith(("variants:", "whole:", "small:", "common:", "train.n")) for line in changed(params, committed)
    )


TYPO = r"stays as it was:\s+suites.text_v1.variants.b: model.use_mambo=.*did you mean 'use_mamba'\?"


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        (["suites.text_v1.variants={a: {}, b: {model.use_mambo: true}}"], TYPO),
        (["suites.text_v1.variants.a={}", "suites.text_v1.variants.b={model.use_mambo: true}"], TYPO),
        (["suites.text_v1.variants.a={}", "suites.text_v1.variants.b.model.use_mambo=true"], TYPO),
        (
            ["suites.text_v1.common.train.lerning_rate=0.1"],
            r"suites.text_v1: train.lerning_rate=0.1: .*'learning_rate'",
        ),
        (["suites.text_v1.common.num_epochs=3"], r"suites.text_v1.common: num_epochs: must name one value by its dot"),
    ],
)
def test_a_suite_that_cannot_run_is_not_written(
    params: Path,
    committed: Path,
    tmp_path: Path,
    assignments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(params, "set", *assignments) == 1
    assert re.search(message, capsys.readouterr().err)
    file = ParamsFile(params)
    for assignment in assignments:
        key, _, text = assignment.partition("=")
        file.set(key, YAML(typ="safe").load(text))
    YAML().dump(file.tree, tmp_path / "odd.yaml")
    assert run(params, "load", str(tmp_path / "odd.yaml")) == 1
    assert re.search(message, capsys.readouterr().err)
    answers, said = iter(["y", "", "0.7", "q", "q"]), list[str]()
    assert not edit(file, groups=["spiking"], ask=lambda _: next(answers), say=said.append)
    assert re.search(message.replace("stays as it was", "cannot be written yet"), "\n".join(said))
    assert params.read_bytes() == committed.read_bytes()


def test_a_suite_that_is_left_alone_is_asked_when_it_runs(params: Path) -> None:
    """As `-S model.integration_mode=parallel` is right, though a variant could not be run from there."""
    assert run(params, "set", "suites.text_v1.variants={a: {}, b: {model.use_state_exchange: false}}") == 0
    assert run(params, "set", "model.integration_mode=parallel") == 0
    assert run(params, "set", "suites.text_v1.seeds=[1]") == 1
    assert run(params, "set", "suites.text_v1.variants={a: {}}", "suites.text_v1.seeds=[1]") == 0


def test_set_changes_its_lines_alone(params: Path, committed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(params, "set", "model.integration_mode=parallel", "train.learning_rate=1e-4", "num_layers=3") == 0
    assert "model.num_layers: 1 -> 3" in capsys.readouterr().out
    assert changed(params, committed) == [
        "num_layers: 3",
        "integration_mode: parallel  # sequential | parallel | bidirectional",
        "learning_rate: 0.0001",
    ]
    assert len(params.read_text().splitlines()) == len(committed.read_text().splitlines())
    loaded = load_params(params)
    assert loaded.train.learning_rate == 1e-4


def test_set_makes_the_sections_it_needs(params: Path) -> None:
    key = "datasets.wikitext2.tokenize.tokenizer_options.embedding_dim"
    compare = "suites.text_v1.compare=[transformer, mamba, lstm]"
    others = (compare, "simulate.episodes=3", "datasets.digits.train.num_epochs=4")
    robust = ("evaluate.robustness.noise=[0.5]", "datasets.digits.head={pool: last}")
    assert run(params, "set", f"{key}=16", "evaluate.seeds=[1, 2]", *others, *robust) == 0
    assert ParamsFile(params).value(key) == 16
    loaded = load_params(params)
    assert (loaded.evaluate.seeds, loaded.evaluate.robustness.noise, loaded.simulate.episodes) == ((1, 2), (0.5,), 3)
    assert (loaded.train_of("digits").num_epochs, loaded.head_of("digits").pool) == (4, "last")


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("model.liquid_unit=5", r"model.liquid_unit: unknown key; did you mean 'model.liquid_units'\?"),
        ("liquid_unit=5", r"liquid_unit: unknown key; did you mean 'liquid_units'\?"),
        ("train.learningrate=1", r"did you mean 'train.learning_rate'\?"),
        ("model.num_layers=-1", r"stays as it was:\s+model.num_layers=-1: .*greater than or equal to 1"),
        ("model.num_layers=true", r"stays as it was:\s+model.num_layers=true: must be a number"),
        ("model.num_gate_heads=5", r"num_gate_heads=5 must divide hidden_dim=64; allowed up to 64: 1, 2, 4"),
        ("model.integration_mode=paralel", r"did you mean 'parallel'\?"),
        ("vocab_size=300", r"vocab_size is datasets.<name>.preprocess.size, and each dataset has its own"),
        ("model.input_dim=3", r"input_dim is not set: the tokenizer gives tokens"),
        ("run.compare=[ltsm]", r"unknown model in run.compare 'ltsm'; did you mean 'lstm'\?"),
        ("seed=7", r"evaluate.seeds=7: must be a list, such as \[7\]"),
        ("datasets.digits.train.num_epoch=3", r"digits.train.num_epoch=3: unknown key; did you mean 'num_epochs'\?"),
        ("evaluate.robustness.nois=[1]", r"did you mean 'evaluate.robustness.noise'\?"),
        ("model.beta", r"'model.beta': write KEY=VALUE"),
        ("model=3", r"stays as it was:\s+model must hold keys and values, found 3"),
        ("models=[a]", r"stays as it was:\s+models must hold keys and values, found \['a'\]"),
        ("models.lstm=3", r"stays as it was:\s+models.lstm must hold keys and values, found 3"),
        ("datasets=3", r"stays as it was:\s+datasets=3: .*valid dictionary"),
        ("datasets.digits=3", r"stays as it was:\s+datasets.digits=3: .*valid dictionary"),
        ("datasets.digits.tokenize=3", r"stays as it was:\s+datasets.digits.tokenize=3: .*valid dictionary"),
        ("datasets.digits.tokenize.tokenizer=[a]", r"datasets.digits.tokenize.tokenizer=\['a'\]: .*valid string"),
        ("run=3", r"stays as it was:\s+run=3: .*valid dictionary"),
        ("suites=3", r"stays as it was:\s+suites=3: .*valid dictionary"),
        ("suites.text_v1=3", r"stays as it was:\s+suites.text_v1=3: .*valid dictionary"),
        ("suites.text_v1.variants.a=3", r"stays as it was:\s+suites.text_v1.variants.a=3: .*valid dictionary"),
        ("model.beta=[1", r"not a value of YAML"),
        ("train.device=cpu", ""),
    ],
)
def test_what_is_wrong_is_refused_and_nothing_is_written(
    params: Path, assignment: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = params.read_bytes()
    status = run(params, "set", assignment, *(["train.threads=2"] if message else []))
    error = capsys.readouterr().err
    assert re.search(message, error), error
    assert status == (1 if message else 0)
    assert (params.read_bytes() == before) == bool(message)


def test_a_dry_run_checks_and_writes_nothing(params: Path, committed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(params, "set", "--dry-run", "model.hidden_dim=96", "model.num_gate_heads=3") == 0
    said = capsys.readouterr().out
    assert "model.hidden_dim: 64 -> 96" in said
    assert "nothing is written" in said
    assert run(params, "set", "--dry-run", "num_layers=1") == 0
    assert re.search("nothing changes\n.*nothing is written", capsys.readouterr().out)
    assert run(params, "set", "model.hidden_dim=96", "model.num_gate_heads=5", "--dry-run") == 1
    assert re.search(r"stays as it was:\s+.*num_gate_heads=5 must divide hidden_dim=96", capsys.readouterr().err)
    assert params.read_bytes() == committed.read_bytes()


def test_save_and_load_bring_everything_back(
    params: Path, committed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, part = tmp_path / "whole.yaml", tmp_path / "part.yaml"
    assert run(params, "save", str(whole)) == run(params, "save", str(part), "model", "train") == 0
    assert whole.read_bytes() == params.read_bytes()
    assert list(YAML(typ="safe").load(part)) == ["model", "train"]
    assert "# sequential | parallel | bidirectional" in part.read_text()
    assert "Named runs" not in part.read_text()
    assert run(params, "save", str(part), "model") == 1
    assert "--force" in capsys.readouterr().err
    assert run(params, "save", str(part), "modle", "--force") == 1
    assert "did you mean 'model'?" in capsys.readouterr().err
    run(params, "set", "model.num_layers=4", "train.threads=2", "head.pool=mean")
    assert run(params, "load", str(part)) == 0
    assert changed(params, committed) == ["pool: mean  # last | mean | attention"]
    assert run(params, "load", str(whole)) == 0
    assert params.read_bytes() == whole.read_bytes()


def test_a_loaded_section_replaces_the_whole_of_it(params: Path, committed: Path, tmp_path: Path) -> None:
    (tmp_path / "few.yaml").write_text("model: {num_layers: 2}\nmodels: {lstm: {num_layers: 1}}\n")
    assert run(params, "load", str(tmp_path / "few.yaml")) == 0
    loaded = load_params(params)
    assert loaded.model.config == HybridConfig(num_layers=2)
    assert loaded.named("lstm").config.model_dump(exclude_unset=True) == {"num_layers": 1}
    assert loaded.named("transformer") == load_params(committed).named("transformer")
    names = [set(YAML(typ="safe").load(path)["model"]) for path in (params, committed)]
    assert names[0] == names[1], "what the file leaves out stands there with its default"
    headings = [line for line in params.read_text().splitlines() if line.startswith("# ")]
    assert headings == [line for line in committed.read_text().splitlines() if line.startswith("# ")]


def test_validate_reads_whole_files_and_parts(
    params: Path, committed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(params, "validate") == 0
    assert run(params, "validate", str(ROOT / "configs/demo.yaml")) == 0
    said = capsys.readouterr().out
    assert "valid with the other sections of" in said
    assert "cannot be run" not in said
    tree = YAML(typ="safe").load(params)
    suite = {"variants": {"whole": {}, "odd": {"model.num_gate_heads": 5}}}
    odd = {"suites": {"text_v1": tree["suites"]["text_v1"] | suite}}
    YAML().dump(odd, tmp_path / "odd.yaml")
    assert run(params, "validate", str(tmp_path / "odd.yaml")) == 1, "as `load` would refuse it"
    assert re.search(r"odd.yaml:\s+suites.text_v1.variants.odd: .*num_gate_heads=5", capsys.readouterr().err)
    YAML().dump(tree | odd, tmp_path / "whole.yaml")
    assert run(params, "validate", str(tmp_path / "whole.yaml")) == 0
    assert re.search(r"cannot be run.*\n +suites.text_v1.variants.odd: .*num_gate_heads=5", capsys.readouterr().out)
    (tmp_path / "wrong.yaml").write_text("model: {beta: 2}\nmodle: {}\n")
    assert run(params, "validate", str(tmp_path / "wrong.yaml")) == 1
    assert re.search(r"wrong.yaml:\s+model.beta=2: .*less than 1", capsys.readouterr().err)
    assert run(tmp_path / "none.yaml", "validate") == 1
    assert "no such file" in capsys.readouterr().err
    assert params.read_bytes() == committed.read_bytes()


def test_a_kill_while_writing_leaves_the_file_whole(params: Path, committed: Path) -> None:
    code = (
        "import os, signal, sys; from neurofmx.command.main import main; "
        "os.replace = lambda *paths: os.kill(os.getpid(), signal.SIGKILL); "
        f"main(['config', '--params', {str(params)!r}, 'set', 'num_layers=3'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert done.returncode == -signal.SIGKILL
    assert params.read_bytes() == committed.read_bytes()


def test_a_reader_that_has_seen_enough_is_no_error(params: Path) -> None:
    command = [sys.executable, "-m", "neurofmx", "config", "--params", str(params), "show"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    _, said = process.communicate(timeout=120)
    assert (process.returncode, said) == (0, b"")


def edited(params: Path, *answers: str, groups: list[str]) -> tuple[bool, str]:
    """Whether the editor wrote, and all it said, for these answers."""
    given: Iterator[str] = iter(answers)
    said: list[str] = []

    def ask(prompt: str) -> str:
        said.append(prompt)
        try:
            return next(given)
        except StopIteration:
            raise EOFError from None

    return edit(ParamsFile(params), groups=groups, ask=ask, say=said.append), "\n".join(said)


def test_the_editor_asks_again_after_a_wrong_answer_and_writes_at_the_end(params: Path, committed: Path) -> None:
    before = params.read_bytes()
    answers = ("y", "0", "x", "2", "1.5", "0.8", "?", "<", "0.7", "q", "y")
    wrote, said = edited(params, *answers, groups=["spiking"])
    assert wrote
    assert "model.spike_threshold=0: Input should be greater than 0" in said
    assert "model.spike_threshold=x: Input should be a valid number" in said
    assert "model.beta=1.5: Input should be less than 1" in said
    assert "now      0.95" in said
    assert "Membrane decay per step" in said
    assert changed(params, committed) == ["spike_threshold: 2", "beta: 0.7"]
    assert params.read_bytes() != before


def test_a_refused_answer_leaves_no_key_behind(params: Path, committed: Path) -> None:
    """`head.tie_embeddings` and all of `datasets.digits.train` are keys that the file does not name."""
    asked = [each.key for each in ParamsFile(params).settings.values() if each.group == "architecture"]
    kept = [""] * asked.index("head.tie_embeddings")
    wrote, said = edited(params, "y", *kept, "banana", "q", groups=["architecture"])
    assert "head.tie_embeddings=banana: Input should be a valid boolean" in said
    assert "Nothing changed." in said
    assert not wrote
    file = ParamsFile(params)
    before = file.copied()
    file.set("datasets.digits.train.num_epochs", 3)
    file.set("model.num_layers", 2)
    file.restore(before)
    file.write()
    assert params.read_bytes() == committed.read_bytes()


@pytest.mark.parametrize("last", [["q", "n"], ["q", ""], ["q"], []])
def test_the_editor_writes_nothing_before_it_is_told(params: Path, committed: Path, last: list[str]) -> None:
    answers = ("", "2", "0.8", *last)
    if len(last) < 2:
        with pytest.raises(EOFError):
            edited(params, *answers, groups=["spiking"])
    else:
        assert not edited(params, *answers, groups=["spiking"])[0]
    assert params.read_bytes() == committed.read_bytes()


def test_rules_between_settings_wait_until_the_end(params: Path) -> None:
    """Width 96 and three heads go together; either alone does not."""
    keep = ("", "", "")
    answers = ("y", "", "93", *keep, "s", "n", "num_gate_heads=3", "cross_attn_heads=1", "q")
    wrote, said = edited(params, *answers, groups=["architecture", "spiking"])
    assert "for now: model: num_gate_heads=4 must divide hidden_dim=93" in said
    assert "This cannot be written yet:" in said
    assert not wrote
    wrote, said = edited(
        params, "y", "", "93", *keep, "s", "bad", "num_gate_heads=3", "cross_attn_heads=1", "y", groups=["architecture"]
    )
    assert "write KEY=VALUE" in said
    assert wrote
    config = load_params(params).model.config
    assert config.model_dump(include={"hidden_dim", "num_gate_heads"}) == {"hidden_dim": 93, "num_gate_heads": 3}


def test_default_and_no_change(params: Path, committed: Path) -> None:
    assert edited(params, "y", "", "", "default", "q", "y", groups=["spiking"])[0]
    assert changed(params, committed) == ["num_spike_steps: 32"]
    assert "Nothing changed." in edited(params, "n", groups=["spiking"])[1]


def test_the_editor_at_a_real_terminal(params: Path, committed: Path) -> None:
    """Through a pseudo-terminal, as a user meets it."""
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "neurofmx", "config", "--params", str(params), "edit", "spiking"],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        close_fds=True,
        env={**os.environ, "TERM": "dumb"},
    )
    os.close(terminal)
    said = ""
    try:
        for prompt, answer in [
            ("[Y/n/q]", "y"),
            ("threshold [1.0]:", "-3"),
            ("threshold [1.0]:", "1.25"),
            ("beta [", "q"),
        ]:
            said += _until(controller, prompt)
            os.write(controller, f"{answer}\n".encode())
        said += _until(controller, "[y/N]")
        assert params.read_bytes() == committed.read_bytes()
        os.write(controller, b"y\n")
        said += _until(controller, "is written")
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        os.close(controller)
    assert "model.spike_threshold=-3: Input should be greater than 0" in said
    assert changed(params, committed) == ["spike_threshold: 1.25"]


def _until(controller: int, prompt: str) -> str:
    """What the terminal shows up to a prompt."""
    shown, end = "", time.monotonic() + 60
    while prompt not in shown:
        assert time.monotonic() < end, shown
        if select.select([controller], [], [], 1)[0]:
            shown += os.read(controller, 4096).decode()
    return shown
