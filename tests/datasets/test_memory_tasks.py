"""Memory tasks: a window asks for what it holds, who cannot remember is at chance, long windows are as short ones."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from neurofmx.datasets.associative_recall import AssociativeRecall
from neurofmx.datasets.induction import Induction
from neurofmx.datasets.shared.memory_task import MemoryTask
from neurofmx.evaluation.by_length import by_length
from neurofmx.evaluation.chance import chance_outputs
from neurofmx.headline import headline
from neurofmx.models.fitted.linear import LinearConfig, LinearDecoder
from neurofmx.preprocessing.text import TextOptions, preprocess
from neurofmx.recordings.recording import Recording
from neurofmx.tokenizers.cutting.cut import CutOptions, cut
from neurofmx.tokenizers.cutting.windows import Windows, load_windows
from neurofmx.tokenizers.tokens import Layout, Sample

KINDS = (AssociativeRecall, Induction)


def lines(recording: Recording) -> list[tuple[str, str]]:
    """Text and answer of every window."""
    text = recording.signal("text").data.astype("<u4").tobytes().decode("utf-32-le")
    trials = recording.require_trials()
    spans = zip(trials.start.astype(int), trials.stop.astype(int), trials.column("answer"), strict=True)
    return [(text[start:stop], str(answer)) for start, stop, answer in spans]


def looked_up(text: str) -> str:
    """What stood behind the first appearance of the last symbol: the answer to both tasks."""
    return text[text.index(text[-1]) + 1]


def cut_windows(dataset: MemoryTask) -> Windows:
    clean = preprocess(dataset.generate(), TextOptions(unit="character"))
    options = CutOptions(anchor="trial", start=0.0, stop=float(max(dataset.test_lengths)), pad=True)
    asked = {"task": dataset.task, "split": dataset.split, "modality": "text", "dataset": dataset.name}
    return cut(clean, signal="tokens", options=options, **asked)


@pytest.mark.parametrize("kind", KINDS)
def test_every_window_holds_its_answer_once_and_its_length_is_the_wanted_one(kind: type[MemoryTask]) -> None:
    dataset = kind(windows=200, tested=100, length=12, test_lengths=(12, 40))
    train, valid, *tests = dataset.generate()
    assert [r.session for r in tests] == ["test-12", "test-40"] == list(dataset.split.test)
    for recording, length in zip((train, valid, *tests), (12, 12, 12, 40), strict=True):
        for text, answer in lines(recording):
            assert len(text) == length
            assert text.count(text[-1]) == 2
            assert looked_up(text) == answer
    windows = [text for recording in (train, valid, *tests[:1]) for text, _ in lines(recording)]
    assert len(set(windows)) == len(windows)  # nothing to learn by heart


def test_the_pairs_of_a_window_differ_and_stand_at_its_beginning() -> None:
    for text, answer in lines(AssociativeRecall(windows=100, tested=10, pairs=5, length=20).generate()[0]):
        keys, values, gap = text[0:10:2], text[1:10:2], text[10:-1]
        assert len(set(keys)) == len(set(values)) == 5
        assert (keys.isupper(), values.islower(), gap.isdigit()) == (True, True, True)
        assert values[keys.index(text[-1])] == answer


@pytest.mark.parametrize("kind", KINDS)
def test_options_fix_the_bytes_and_a_length_to_test_on_changes_no_other_window(kind: type[MemoryTask]) -> None:
    small = {"windows": 50, "tested": 20, "length": 16}
    first, again, longer, other = (
        [lines(recording) for recording in kind(**small, test_lengths=lengths, seed=seed).generate()]
        for lengths, seed in (((16, 32), 0), ((16, 32), 0), ((16, 64, 32), 0), ((16, 32), 1))
    )
    assert first == again
    assert longer[:3] == first[:3]
    assert longer[4] == first[3]
    assert all(a != b for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_who_does_not_remember_is_at_the_chance_of_the_closed_form(kind: type[MemoryTask]) -> None:
    dataset = kind(windows=2000, tested=1500, length=20, test_lengths=(20, 48))
    made = cut_windows(dataset)
    assert dataset.chance == 1 / 16
    deviation = np.sqrt(dataset.chance * (1 - dataset.chance) / 3000)
    usual = headline(chance_outputs(made, 0), made.truth, made.task)
    assert usual == pytest.approx(dataset.chance, abs=4 * deviation)
    # knowing what there was, without order, is worth 1 / pairs in one task and nothing in the other
    linear = LinearDecoder.fit(made, 0, LinearConfig(strengths=(1.0,)))
    score = headline(linear.answer(made, 0, made.fold(0).test), made.truth, made.task)
    bag = dataset.bag if isinstance(dataset, AssociativeRecall) else 1 / (dataset.symbols - 1)
    assert score == pytest.approx(bag, abs=4 * np.sqrt(bag * (1 - bag) / 3000) + 0.01)
    assert sorted(linear.arrays()) == sorted(LinearDecoder.from_arrays(linear.arrays()).arrays())


def test_windows_hold_tokens_padded_behind_their_length(tmp_path) -> None:
    dataset = AssociativeRecall(windows=300, tested=200, length=16, test_lengths=(16, 40))
    made = cut_windows(dataset)
    assert (made.x.dtype, made.x.shape) == (np.int32, (900, 40, 1))
    assert made.vocabulary == made.tokens == 16 + 16 + 10 + 1 == Layout.of(made).vocabulary
    assert np.unique(made.length).tolist() == [16, 40]
    (train, *_), index = dataset.generate(), made.fold(0).train
    names = preprocess(dataset.generate(), TextOptions(unit="character"))[0].array("vocabulary")
    for k in index[:20]:
        text, answer = lines(train)[k]
        assert "".join(names[made.x[k, :16, 0]]) == text
        assert made.task.names[made.y[k]] == answer
        assert not made.x[k, 16:].any()
    made.save(tmp_path / "windows.h5")
    assert load_windows(tmp_path / "windows.h5").vocabulary == made.vocabulary
    sample = Sample.of(made, 0, index)  # what is trained on carries no padding of the long windows
    assert (sample.x.shape[1], sample.x.is_floating_point()) == (16, False)
    assert Sample.of(made, 0, made.fold(0).test).x.shape[1] == 40


def test_the_score_by_length_is_that_of_the_windows_of_that_length() -> None:
    dataset = Induction(windows=20, tested=50, length=8, test_lengths=(8, 16))
    task, y, length = dataset.task, np.arange(100) % 16, np.repeat([16, 8], 50)
    outputs = np.zeros((2, 100, 16))
    outputs[:, np.arange(100), np.where(length == 8, y, (y + 1) % 16)] = 1
    outputs[1, 50:60] = -outputs[1, 50:60]  # ten wrong ones of one seed
    scores = by_length(outputs, y, length, np.arange(100), task, draws=400)
    assert {name: each["value"] for name, each in scores.items()} == {"8": pytest.approx(0.9), "16": 0.0}
    assert list(scores) == ["8", "16"]
    assert (scores["16"]["low"], scores["16"]["high"]) == (0.0, 0.0)
    assert 0.6 < scores["8"]["low"] < 0.9 < scores["8"]["high"] <= 1.0


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        (AssociativeRecall, {"pairs": 17}, r"pairs=17: must be at most keys=16 and values=16"),
        (AssociativeRecall, {"pairs": 4, "length": 8}, r"must be 9 or more for pairs=4, got 8"),
        (AssociativeRecall, {"test_lengths": (64, 64)}, r"names a length twice"),
        (Induction, {"symbols": 2}, r"greater than or equal to 3"),
        (Induction, {"test_lengths": (3,)}, r"greater than or equal to 4"),
    ],
)
def test_what_cannot_be_asked_is_refused(kind: type[MemoryTask], options: dict, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        kind(**options)


def test_only_characters_keep_their_trials_and_only_symbols_are_read_of_tokens() -> None:
    dataset = Induction(windows=300, tested=200, length=8, test_lengths=(8,))
    with pytest.raises(ValueError, match=r"unit=word: trials of a text lie at its characters"):
        preprocess(dataset.generate(), TextOptions())
    made = cut_windows(dataset)
    with pytest.raises(ValueError, match=r"features='flat' cannot read induction, whose windows hold numbers of tok"):
        LinearDecoder.fit(made, 0, LinearConfig(features="flat"))
    with pytest.raises(ValueError, match=r"features='symbols' cannot read"):
        LinearDecoder.fit(replace(made, vocabulary=0), 0, LinearConfig(features="symbols"))
