"""IBL's client ONE against an Alyx database on this machine, and sessions read out of ALF files."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from one.alf.io import save_object_npy
from pydantic import ValidationError
from ruamel.yaml import YAML
from sklearn.linear_model import LogisticRegression
from tests.datasets.alyx_server import LOGIN, PASSWORD, TOKEN, AlyxServer, identity
from tests.datasets.range_server import Trouble

from neurofmx.datasets.access import patience
from neurofmx.datasets.ibl import Ibl, wheel_velocity
from neurofmx.preprocessing.spikes import SpikeOptions, preprocess
from neurofmx.recordings.recording import Recording, Source
from neurofmx.tokenizers.cutting.cut import CutOptions, cut

ROOT = Path(__file__).parents[2]
SESSION = "mrsicflogellab/Subjects/SWC_043/2020-09-21/001"
OTHER = "churchlandlab/Subjects/CSHL049/2020-01-08/002"
PROBE = "alf/probe00/pykilosort"
NEW = "#2024-05-06#"
TIMES = f"{PROBE}/{NEW}/spikes.times.npy"


def parquet(table: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.to_parquet(buffer)
    return buffer.getvalue()


def session(folder: Path, *, seed: int = 0) -> dict[str, bytes]:
    """100 s with three units on one probe, of which 7 is bad and 2 fires for choices to the left; a swinging wheel."""
    rng = np.random.default_rng(seed)
    start, choice = np.arange(5.0, 95.0, 3.0), np.resize([1, -1, 0], 30)
    left = (start[choice == 1, None] + rng.uniform(0, 0.5, (10, 30))).ravel()
    times = np.concatenate([rng.uniform(0, 100, 3000), left])
    clusters = np.concatenate([rng.choice([2, 7, 9], 3000), np.full(len(left), 2)]).astype(np.int32)
    order = np.argsort(times)
    times, clusters = times[order], clusters[order]
    stamps = np.sort(rng.uniform(0, 100, 50_000))
    alf = folder / SESSION / "alf"
    (alf / "probe00" / "pykilosort" / NEW).mkdir(parents=True)
    saved = save_object_npy(alf / "probe00" / "pykilosort" / NEW, {"times": times, "clusters": clusters}, "spikes")
    wheel = {"position": np.sin(np.pi * stamps), "timestamps": stamps}
    saved += save_object_npy(alf, wheel, "wheel", namespace="ibl")
    files = {Path(path).relative_to(folder / SESSION).as_posix(): Path(path).read_bytes() for path in saved}
    metrics = pd.DataFrame({"cluster_id": [2, 7, 9], "label": [1.0, 1 / 3, 1.0], "firing_rate": [10.0, 10.0, 10.0]})
    trials = pd.DataFrame(
        {
            "stimOn_times": start,
            "response_times": start + 1.5,
            "choice": choice,
            "feedbackType": np.resize([1, -1], 30),
            "contrastLeft": np.where(np.arange(30) % 2, np.nan, 0.25),
            "contrastRight": np.where(np.arange(30) % 2, 1.0, np.nan),
            "probabilityLeft": np.full(30, 0.5),
        }
    )
    files[f"{PROBE}/{NEW}/clusters.metrics.pqt"] = parquet(metrics)
    files["alf/_ibl_trials.table.pqt"] = parquet(trials)
    files[f"{PROBE}/spikes.times.npy"] = b"an older revision"
    return files


@pytest.fixture
def ibl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AlyxServer]:
    """A database with one session, and an account on it."""
    monkeypatch.setenv("ALYX_LOGIN", LOGIN)
    monkeypatch.setenv("ALYX_PWD", PASSWORD)
    sessions = {SESSION: session(tmp_path / "written")}
    with AlyxServer(sessions=sessions, old={f"{PROBE}/spikes.times.npy"}) as running:
        yield running


def kind(server: AlyxServer, **options) -> Ibl:
    return Ibl(**{"database": server.url, "data_server": server.data, "sessions": (identity(SESSION),)} | options)


def read(server: AlyxServer, folder: Path, **options) -> list[Recording]:
    dataset = kind(server, **options)
    dataset.download(folder / "raw", mirror=None, cache=folder / "cache")
    return dataset.read(folder / "raw")


def test_a_session_with_its_good_units_wheel_and_trials(ibl: AlyxServer, tmp_path: Path) -> None:
    (recording,) = read(ibl, tmp_path)
    assert recording.name == "SWC_043/2020-09-21-001"
    files = ibl.sessions[SESSION]
    times, clusters = (np.load(io.BytesIO(files[f"{PROBE}/{NEW}/spikes.{part}.npy"])) for part in ("times", "clusters"))
    spikes, wheel = recording.event("spikes"), recording.signal("wheel_velocity")
    assert spikes.names == ("probe00-2", "probe00-9")
    inside = (times >= wheel.start) & (times < wheel.stop)
    for cluster in (2, 9):
        np.testing.assert_array_equal(spikes.of(f"probe00-{cluster}"), times[inside & (clusters == cluster)])
    middle = slice(100, -100)
    expected = np.pi * np.cos(np.pi * wheel.times[middle])
    np.testing.assert_allclose(wheel.data[middle, 0], expected, atol=0.05)
    trials = recording.require_trials()
    assert trials.column("choice").tolist() == ["left", "right"] * 10  # those without an answer are left out
    assert trials.column("contrast")[:4].tolist() == [-0.25, 1.0, 1.0, -0.25]
    assert sorted(source.name for source in recording.sources)[0] == f"{SESSION}/alf/_ibl_trials.table.pqt"


def test_ten_millisecond_bins_hold_every_spike(ibl: AlyxServer, tmp_path: Path) -> None:
    (recording,) = read(ibl, tmp_path, target="wheel_velocity")
    (binned,) = preprocess([recording], SpikeOptions(bin_ms=10.0))
    counts, wheel = binned.signal("spikes"), binned.signal("wheel_velocity")
    assert counts.rate == wheel.rate == 100.0
    assert counts.start == wheel.start
    stop = counts.start - 0.005 + len(counts.data) / 100
    spikes = recording.event("spikes").slice(0.0, stop)
    assert counts.data.sum(axis=0).tolist() == [len(spikes.of(name)) for name in spikes.names]


def test_choices_from_spikes_with_the_block_of_params(ibl: AlyxServer, tmp_path: Path) -> None:
    block = YAML(typ="safe").load(ROOT / "params.yaml")["datasets"]["ibl"]
    options = block["options"] | {"sessions": (identity(SESSION),)}
    clean = preprocess(read(ibl, tmp_path, **options), SpikeOptions(**block["preprocess"]))
    dataset = kind(ibl, **options)
    facts = {"signal": "spikes", "task": dataset.task, "split": dataset.split}
    windows = cut(clean, **facts, options=CutOptions(**block["tokenize"]), modality="spikes", dataset="ibl")
    right = []
    for k in range(windows.folds):
        train, _, test = windows.fold(k)
        counts = windows.x.sum(axis=1)
        model = LogisticRegression().fit(counts[train], windows.y[train])
        right += (model.predict(counts[test]) == windows.y[test]).tolist()
    assert np.mean(right) > 0.9


def test_units_of_lower_quality_on_request(ibl: AlyxServer, tmp_path: Path) -> None:
    (recording,) = read(ibl, tmp_path, quality=0.3)
    assert recording.event("spikes").names == ("probe00-2", "probe00-7", "probe00-9")


def test_a_search_finds_sessions_over_pages_up_to_a_limit(ibl: AlyxServer, tmp_path: Path) -> None:
    ibl.sessions[OTHER] = session(tmp_path / "other", seed=1)
    found = read(ibl, tmp_path, sessions=(), search={"project": "brainwide"}, limit=5)
    assert [recording.name for recording in found] == ["CSHL049/2020-01-08-002", "SWC_043/2020-09-21-001"]
    (first,) = read(ibl, tmp_path, sessions=(), search={"subject": "cshl"}, limit=5)
    assert first.subject == "CSHL049"
    assert len(read(ibl, tmp_path, sessions=(), search={"project": "brainwide"}, limit=1)) == 1


def test_a_broken_download_asks_for_the_rest_alone(ibl: AlyxServer, tmp_path: Path) -> None:
    wheel = ibl.file(SESSION, "alf/_ibl_wheel.position.npy")
    ibl.troubles[wheel] = [Trouble(stop_after=200_000), Trouble(status=500)]
    read(ibl, tmp_path)
    assert ibl.ranges(wheel) == ["bytes=196608-", "bytes=196608-"]  # whole blocks of 64 KiB were kept
    sent = ibl.sent(wheel)
    read(ibl, tmp_path)
    assert ibl.sent(wheel) == sent


def test_a_file_with_another_sum_is_refused(ibl: AlyxServer, tmp_path: Path) -> None:
    ibl.stated[TIMES] = "0" * 32
    with pytest.raises(ValueError, match=r"spikes.times.*wrong checksum, expected md5 0000"):
        read(ibl, tmp_path)
    assert not (tmp_path / "raw" / "MANIFEST.json").exists()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_database_is_asked_again(ibl: AlyxServer, tmp_path: Path, status: int) -> None:
    ibl.troubles[f"/sessions/{identity(SESSION)}"] = [Trouble(status=status)]
    assert len(read(ibl, tmp_path)) == 1


def test_a_silent_database_is_given_up(ibl: AlyxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "SILENCE", 0.3)
    ibl.troubles["/auth-token"] = [Trouble(silence=1.0)]
    with pytest.raises(ConnectionError, match=r"database at .* fails: .*timed out.*NEUROFMX_MIRROR"):
        read(ibl, tmp_path)


def test_a_data_server_with_a_login_gets_the_one_of_netrc(
    ibl: AlyxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ibl.data_login = ("data", "secret")
    elsewhere = ibl.data.replace("127.0.0.1", "localhost")
    with pytest.raises(ConnectionError, match=r"the server refuses \(status 401\)"):
        read(ibl, tmp_path, data_server=elsewhere)
    (tmp_path / "netrc").write_text("machine localhost login data password secret\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert len(read(ibl, tmp_path, data_server=elsewhere)) == 1


def test_a_token_serves_as_login(ibl: AlyxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ALYX_PWD")
    monkeypatch.setenv("ALYX_TOKEN", TOKEN)
    assert len(read(ibl, tmp_path)) == 1


def test_a_wrong_or_missing_account_is_said(ibl: AlyxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALYX_PWD", "wrong")
    with pytest.raises(ConnectionError, match=r"database at .* fails: .*authentication failed"):
        read(ibl, tmp_path)
    monkeypatch.delenv("ALYX_PWD")
    with pytest.raises(ConnectionError, match=r"wants an account, which is free: set ALYX_LOGIN and ALYX_PWD"):
        read(ibl, tmp_path)


def test_what_the_database_lacks_is_named(ibl: AlyxServer, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no session matches {'subject': 'nobody'}"):
        read(ibl, tmp_path, sessions=(), search={"subject": "nobody"})
    with pytest.raises(
        FileNotFoundError, match=r"has no file 'alf/probe07/pykilosort/\*spikes.times.npy'; it has alf/_ibl"
    ):
        read(ibl, tmp_path, probes="probe07")
    bad = pd.DataFrame({"cluster_id": [2, 7, 9], "label": [0.0, 0.0, 0.0]})
    ibl.sessions[SESSION][f"{PROBE}/{NEW}/clusters.metrics.pqt"] = parquet(bad)
    with pytest.raises(ValueError, match=r"no unit with a quality of 1 or more; lower `quality`"):
        read(ibl, tmp_path)


def test_the_client_writes_nothing_into_the_home_folder(
    ibl: AlyxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    read(ibl, tmp_path)
    assert list(home.iterdir()) == []
    assert not any(TOKEN.encode() in path.read_bytes() for path in (tmp_path / "cache").rglob("*") if path.is_file())


@pytest.mark.parametrize("name", ["alf/_ibl_wheel.position.npy", "alf/_ibl_trials.table.pqt", TIMES])
@pytest.mark.parametrize("body", [b"", b"\x93NUMPY", b"PAR1 and no more", b"\0" * 500])
def test_damaged_files_end_in_our_error(ibl: AlyxServer, tmp_path: Path, name: str, body: bytes) -> None:
    files = ibl.sessions[SESSION] | {name: body}
    sources = {f"{SESSION}/{path}": Source(f"{SESSION}/{path}", "0" * 64) for path in files if path not in ibl.old}
    for path in files:
        (tmp_path / SESSION / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / SESSION / path).write_bytes(files[path])
    with pytest.raises(ValueError, match=r"."):
        list(kind(ibl).parse(tmp_path, sources))


def test_options_that_name_no_session_or_one_twice_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"name sessions, or a search"):
        Ibl(sessions=())
    with pytest.raises(ValidationError, match=r"must differ from one another"):
        Ibl(sessions=("a", "a"))


def test_a_wheel_without_time_is_refused() -> None:
    with pytest.raises(ValueError, match=r"wheel needs a position and a time for each"):
        wheel_velocity(np.zeros(3), np.zeros(2))
