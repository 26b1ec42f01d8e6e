"""Robots: what the readers make of files and of the simulator."""

import builtins
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.io import savemat

from neurofmx.datasets.mujoco import LINGER, Mujoco, _smooth_noise
from neurofmx.datasets.sarcos import Sarcos
from neurofmx.datasets.scitos import MOVES, Scitos
from neurofmx.datasets.shared.manifest import write_manifest

Raw = Callable[[str], Path]


def described(folder: Path, name: str, dataset: str) -> Path:
    write_manifest(folder, (name,), dataset=dataset, source="test", licence="none", options={})
    return folder


def sonars(folder: Path, *, rows: int = 20, columns: int = 24) -> tuple[Path, np.ndarray, list[str]]:
    """A table as the repository has it: a header, distances with three digits, a movement."""
    distances = np.round(np.random.default_rng(0).uniform(0, 5, (rows, columns)), 3)
    moves = [MOVES[row // 3 % 4] for row in range(rows)]
    lines = [",".join(f"S{i + 1}" for i in range(24)) + ",OUTPUT"]
    lines += [",".join(f"{d:.3f}" for d in row) + f",{move}" for row, move in zip(distances, moves, strict=True)]
    (folder / "sensor_readings_24.data").write_text("\n".join(lines) + "\n")
    return described(folder, "sensor_readings_24.data", "scitos"), distances, moves


def test_scitos_is_cut_in_time_and_its_movements_are_stretches(tmp_path: Path) -> None:
    folder, distances, moves = sonars(tmp_path)
    train, test = Scitos().read(folder)
    np.testing.assert_array_equal(np.vstack([r.signal("trajectory").data for r in (train, test)]), distances)
    assert (len(train.signal("trajectory").data), test.start) == (14, 14 / 9)
    for part, labels in ((train, moves[:14]), (test, moves[14:])):
        trials, times = part.require_trials(), part.signal("trajectory").times
        spoken = [trials.column("label")[np.searchsorted(trials.start, t + 1e-9) - 1] for t in times]
        assert spoken == labels
        np.testing.assert_allclose(trials.stop[:-1], trials.start[1:])


def test_scitos_refuses_a_damaged_table(tmp_path: Path) -> None:
    folder, *_ = sonars(tmp_path, columns=23)
    with pytest.raises(ValueError, match=r"sensor_readings_24.data: line 2 must hold 24 distances and a movement"):
        Scitos().read(folder)
    text = sonars(tmp_path)[0].joinpath("sensor_readings_24.data").read_text()
    (tmp_path / "sensor_readings_24.data").write_text(text.replace("3.", "x.", 1))
    with pytest.raises(ValueError, match=r"a distance is no number"):
        Scitos().read(described(tmp_path, "sensor_readings_24.data", "scitos"))


def arm(folder: Path, table: np.ndarray, *, name: str = "sarcos_inv_test") -> Path:
    savemat(folder / "sarcos_inv_test.mat", {name: table})
    return described(folder, "sarcos_inv_test.mat", "sarcos")


def test_sarcos_keeps_its_order_or_deals_its_rows_anew(tmp_path: Path) -> None:
    table = np.random.default_rng(0).normal(size=(30, 28))
    (plain,) = Sarcos().read(arm(tmp_path, table))
    np.testing.assert_array_equal(plain.signal("trajectory").data, table[:, :21])
    np.testing.assert_array_equal(plain.signal("torque").data, table[:, 21:])
    (mixed,) = Sarcos(order="shuffled").read(tmp_path)
    joined = np.hstack([mixed.signal("trajectory").data, mixed.signal("torque").data])
    assert not np.array_equal(joined, table)
    np.testing.assert_array_equal(joined[np.argsort(joined[:, 0])], table[np.argsort(table[:, 0])])
    assert Sarcos().split.name != Sarcos(order="shuffled").split.name


def test_sarcos_refuses_another_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must have 28 columns, got shape \(5, 27\)"):
        Sarcos().read(arm(tmp_path, np.zeros((5, 27))))
    with pytest.raises(ValueError, match=r"no variable sarcos_inv_test, found "):
        Sarcos().read(arm(tmp_path, np.zeros((5, 28)), name="other"))
    (tmp_path / "sarcos_inv_test.mat").write_bytes(b"MATLAB 5.0 no more")
    with pytest.raises(ValueError, match=r"is no sound MATLAB file .* download again"):
        Sarcos().read(described(tmp_path, "sarcos_inv_test.mat", "sarcos"))


def test_sarcos_is_a_movement_and_no_shuffled_rows(raw: Raw) -> None:
    (arm_,) = Sarcos().read(raw("sarcos"))
    position, velocity = np.split(arm_.signal("trajectory").data[:, :14], 2, axis=1)
    moved, expected = np.diff(position, axis=0), (velocity[1:] + velocity[:-1]) / 2 / arm_.signal("torque").rate
    correlations = [np.corrcoef(a, b)[0, 1] for a, b in zip(moved.T, expected.T, strict=True)]
    assert min(correlations) > 0.79
    slopes = np.sum(moved * expected, axis=0) / np.sum(expected**2, axis=0)
    assert np.all((slopes > 1.0) & (slopes < 1.15))


SMALL = {"episodes": 5, "steps": 30}


@pytest.mark.parametrize("robot", ["pusher", "reacher", "swimmer"])
def test_a_simulated_robot_moves_as_its_physics_say(robot: str) -> None:
    import gymnasium

    dataset = Mujoco(robot=robot, **SMALL)
    recordings = dataset.generate()
    assert [r.session for r in recordings] == [f"episode-00{k}" for k in range(5)]
    signal, change = (recordings[0].signal(name) for name in ("trajectory", "change"))
    width = dataset.expected.channels
    assert (signal.data.shape, change.data.shape) == ((30, width), (30, len(dataset.task.names)))
    states, commands = np.split(signal.data, [len(dataset.task.names)], axis=1)
    np.testing.assert_allclose(states[1:] - states[:-1], change.data[:-1], atol=1e-12)
    assert np.abs(commands).max() <= 1
    # the rate is that of the simulator, and no episode ends early
    environment = gymnasium.make(dataset.source and f"{robot.capitalize()}-v5")
    assert signal.rate == pytest.approx(1 / environment.unwrapped.dt)
    environment.close()


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        Mujoco(seed=seed, **SMALL).download(tmp_path / name, mirror=None, cache=tmp_path / "cache")
    a, b, c = ((tmp_path / name / "episodes.h5").read_bytes() for name in "abc")
    assert a == b != c
    assert len(Mujoco(**SMALL).read(tmp_path / "a")) == 5


def test_the_commands_are_smooth_noise() -> None:
    noise = _smooth_noise((20_000, 2), np.random.default_rng(0))
    assert np.corrcoef(noise[1:, 0], noise[:-1, 0])[0, 1] == pytest.approx(LINGER, abs=0.01)
    assert noise[100:].std() == pytest.approx(0.47, abs=0.03)  # 0.5, less what is held back at 1
    assert abs(np.corrcoef(noise.T)[0, 1]) < 0.1


def test_without_the_simulator_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = builtins.__import__

    def without(name: str, *rest: object) -> object:
        if name.startswith(("gymnasium", "mujoco")):
            raise ImportError(f"No module named {name!r}")
        return plain(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"simulates with gymnasium and mujoco.*pip install .*\[robotics\]"):
        Mujoco(**SMALL).download(tmp_path, mirror=None, cache=tmp_path)


@pytest.mark.parametrize("options", [{"episodes": 4}, {"steps": 2}, {"robot": "ant"}, {"seed": -1}])
def test_options_that_make_no_sense_are_refused(options: dict) -> None:
    with pytest.raises(ValidationError):
        Mujoco(**options)
