"""The table and the summaries from fixed numbers, worked out by hand."""

from __future__ import annotations

import json

import pytest
from benchmarks.case import benchmark
from benchmarks.compare import Line
from benchmarks.compare import table as comparison
from benchmarks.figure import length_figure
from benchmarks.length import series
from benchmarks.machine import facts
from benchmarks.report import Results, Row, number, table, write
from benchmarks.scan import bound
from benchmarks.timing import interleave, summarise

SCAN = Row(
    benchmark="scan",
    size="B2 L2048",
    sizes={"batch": 2, "length": 2048},
    ours="neurofmx",
    peer="mambapy",
    threads=1,
    clock="CPU, median",
    path="numba",
    ours_ms=40.0,
    peer_ms=1600.0,
    ratio=40.0,
    low=39.5,
    high=41.2,
    rounds=5,
    goal=50,
    ours_mib=37.04,
    peer_mib=1101.0,
)
BROKEN = Row("lif", "B1", {}, "neurofmx", "snntorch", 2, "wall, best", failed="sides do not agree: outputs | differ\nx")


def block(tokens, ours_ms, **changes):
    """A row of the length benchmark."""
    numbers = {"ours_ms": ours_ms, "peer_ms": 2 * ours_ms, "ratio": 2.0, "tokens": tokens}
    names = {"ours": "hybrid", "peer": "transformer", "threads": 1, "clock": "CPU"}
    return Row("length", f"L{tokens}", {"length": tokens}, **(names | numbers | changes))


def test_the_table_says_what_was_reached():
    assert table([SCAN, BROKEN]) == (
        "| benchmark | ours | size | peer | threads | clock | ours ms | peer ms | ratio | goal | reached |"
        " ours peak MiB | peer peak MiB |\n"
        "| --- | --- | --- | --- | ---: | --- | ---: | ---: | ---: | --- | --- | ---: | ---: |\n"
        "| scan | neurofmx (numba) | B2 L2048 | mambapy | 1 | CPU, median | 40.0 | 1600 | 40.0 (39.5-41.2) | 50x |"
        " 80% of the goal | 37.0 | 1101 |\n"
        "| lif | neurofmx | B1 | snntorch | 2 | wall, best |  |  | sides do not agree: outputs / differ |  |  |  |  |\n"
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"goal": 2.0}, "2x | met"),
        ({"goal": 4.0}, "4x | 50% of the goal"),
        ({"memory_goal": 0.5, "ours_mib": 30.0, "peer_mib": 40.0}, "memory 0.5x | memory 1.5 x the goal"),
        ({"goal": 2.0, "memory_goal": 1.0, "ours_mib": 4.0, "peer_mib": 4.0}, "2x, memory 1x | met, memory met"),
    ],
)
def test_goals_of_speed_and_memory(changes, said):
    assert said in table([block(2048, 100.0, **changes)])


def test_tokens_a_second():
    assert "| 20,480 | 10,240 |" in table([block(2048, 100.0)])


def test_length_finds_the_best_of_the_transformer_and_how_much_speed_is_left():
    rows = [block(2048, 100.0), block(2048, 60.0, ours="other"), block(8192, 500.0)]
    models = series(rows, 1)
    assert models["hybrid"] == [(2048, 20480.0, None), (8192, 16384.0, None)]
    assert models["transformer"][0] == (2048, pytest.approx(2048 / 0.12), None)
    notes = benchmark("length").notes(rows, {})
    assert notes[0] == ("hybrid, 1 thread: tokens a second at 8192 are 0.80 of those at 2048, goal 0.95: not met.")


def test_the_figure_is_the_same_for_the_same_numbers(tmp_path):
    models = {"hybrid": [(512, 9e3, 20.0), (1024, 9e3, 30.0)], "transformer": [(512, 2e4, None), (1024, 1e4, None)]}
    for name in ("a", "b"):
        length_figure(models, tmp_path / name)
    bytes_of = [(tmp_path / name).read_bytes() for name in ("a", "b")]
    assert bytes_of[0].startswith(b"\x89PNG")
    assert bytes_of[0] == bytes_of[1]


def test_bound_of_the_scan():
    # 4096 tokens of 8 * 512 + 6 * 16 numbers of 4 bytes at 10 GB/s, and 2 * 4096 * 8192 exponentials at 2 a ns
    expected = 4096 * 4192 * 4 / 10e6 + 2 * 4096 * 8192 / 2e6
    machine = {"triad_gb_s": 10.0, "exp_gexp_s": 1.0, "compiled_exp_gexp_s": 2.0}
    assert bound(SCAN.sizes, machine) == pytest.approx(expected)
    (note,) = benchmark("scan").notes([SCAN], machine)
    assert note.endswith(f"{expected:.1f} ms on one thread; ours takes {40 / expected:.1f} times that.")


def test_files_hold_what_a_reader_needs(tmp_path):
    start = {"cold compile s": 3.5, "warm start s": 1.25}
    results = Results("scan", [SCAN], ["mambapy can't be imported: run `pip install`"], start, {}, [])
    write(results, facts(), tmp_path)
    text = (tmp_path / "scan.md").read_text()
    assert table([SCAN]) in text
    assert "Skipped: mambapy can't be imported" in text
    assert "3.5 s CPU with nothing compiled yet, 1.2 s CPU with the compiled code" in text
    known = json.loads((tmp_path / "scan.json").read_text())
    assert known["rows"][0]["ratio"] == 40.0
    assert known["facts"]["versions"]["torch"] in text
    assert {"processor", "cores", "memory_gib", "environment", "revision", "load"} <= known["facts"].keys()


def test_summary_on_one_and_on_several_threads():
    ours, peer = [1e-3, 1e-3, 2e-3], [4e-3, 3e-3, 5e-3]  # ratios 4, 3 and 2.5
    assert summarise(ours, peer, threads=1) == pytest.approx((1.0, 4.0, 3.0, 2.75, 3.5))
    assert summarise(ours, peer, threads=2)[:3] == pytest.approx((1.0, 3.0, 3.0))


def test_sides_take_turns_and_change_their_order():
    import time

    log = []
    steps = [lambda: (log.append("a"), time.sleep(0.021)), lambda: (log.append("b"), time.sleep(0.021))]
    found = interleave(*steps, read=time.perf_counter, seconds=0.0)
    assert "".join(log) == "ab" + "ba" + "ab"
    assert [len(times) for times in found] == [3, 3]


def test_comparison_of_revisions_says_where_a_kernel_is_missing():
    lines = [
        Line("scan", "B2 L8", ([0.4, 0.6, 0.5], [0.2, 0.2, 0.2]), (10.0, 5.0)),
        Line("ltc", "B2 L8", ([], [0.1]), (None, 7.0), ("this revision has no ltc", "")),
    ]
    assert comparison(lines, ["old", "new"]).splitlines()[2:] == [
        "| scan | B2 L8 | 500 | 200 | 2.50x | 2.00-3.00 | 10.0 | 5.00 |",
        "| ltc | B2 L8 |  | 100 | old: this revision has no ltc |  |  | 7.00 |",
    ]


def test_numbers_have_three_digits():
    assert [number(value) for value in (1534.2, 43.21, 1.5, 0.0123, None)] == ["1534", "43.2", "1.50", "0.012", ""]
