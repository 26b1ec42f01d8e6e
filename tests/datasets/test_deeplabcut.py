"""Tables of keypoints in the layout that pandas and PyTables write, and what such a file must not do."""

import os
import pickle
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from neurofmx.datasets.formats.deeplabcut import read_csv, read_h5

COLUMNS = [("scorer", part, axis) for part in ("snout", "tail") for axis in ("x", "y", "likelihood")]
VALUES = np.random.default_rng(0).normal(size=(5, 6))


def write_h5(path: Path, columns: Any = COLUMNS, *, protocol: int = 0, index: Any = range(5)) -> None:
    """What `DataFrame.to_hdf(key="df_with_missing", format="table")` leaves, as far as it is read."""
    index = np.array(list(index))
    rows = np.empty(5, [("index", index.dtype), ("values_block_0", "<f8", (6,))])
    rows["index"], rows["values_block_0"] = index, VALUES
    with h5py.File(path, "w") as file:
        table = file.create_dataset("df_with_missing/table", data=rows)
        table.attrs["values_block_0_kind"] = np.void(pickle.dumps(columns, protocol))


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_tables_of_tracked_films(protocol: int, tmp_path: Path) -> None:
    write_h5(tmp_path / "film.h5", protocol=protocol)
    table = read_h5(tmp_path / "film.h5")
    assert (table.parts, table.coordinates) == (("snout", "tail"), ("x", "y", "likelihood"))
    assert table.frames == ("0", "1", "2", "3", "4")
    np.testing.assert_array_equal(table.of(("tail",), ("y", "x"))[:, 0], VALUES[:, [4, 3]])


def test_names_of_pictures_are_text(tmp_path: Path) -> None:
    write_h5(tmp_path / "labels.h5", index=[f"img{i}.png".encode() for i in range(5)])
    assert read_h5(tmp_path / "labels.h5").frames[3] == "img3.png"


def test_labels_as_csv_are_those_of_pandas(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        np.where(VALUES > 1, np.nan, VALUES),
        columns=pd.MultiIndex.from_tuples(COLUMNS, names=["scorer", "bodyparts", "coords"]),
        index=[f"img{i}.png" for i in range(5)],
    )
    frame.to_csv(tmp_path / "labels.csv")
    table = read_csv(tmp_path / "labels.csv")
    np.testing.assert_allclose(table.values.reshape(5, 6), frame.to_numpy())
    assert table.frames == tuple(frame.index)


class Attack:
    """What a pickle may do to whoever loads it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("harm",)


def test_nothing_of_a_file_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_h5(tmp_path / "film.h5", Attack())
    with pytest.raises(ValueError, match=r"film.h5 is damaged or no DeepLabCut table \(its column names refer to"):
        read_h5(tmp_path / "film.h5")
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    "columns",
    [COLUMNS[:5], COLUMNS[::2] + COLUMNS[1::2], [("scorer", "a", "x")] * 6, "snout", None, [1, 2, 3, 4, 5, 6]],
)
def test_columns_that_are_no_keypoints_are_refused(columns: Any, tmp_path: Path) -> None:
    write_h5(tmp_path / "film.h5", columns)
    with pytest.raises(ValueError, match=r"film.h5"):
        read_h5(tmp_path / "film.h5")


@given(st.integers(0, 10_000), st.binary(min_size=1, max_size=40))
@example(1857, b"\x00")  # a table without an axis
def test_damaged_tables_end_in_our_error(tmp_path_factory: pytest.TempPathFactory, at: int, noise: bytes) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    write_h5(folder / "film.h5")
    content = bytearray((folder / "film.h5").read_bytes())
    at %= len(content)
    content[at : at + len(noise)] = noise
    (folder / "film.h5").write_bytes(content)
    with suppress(ValueError):  # all that may come of it: the right names, or our refusal
        assert read_h5(folder / "film.h5").values.shape[0] == 5


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "film.h5").write_text("no table")
    with pytest.raises(ValueError, match=r"film.h5 is damaged or no DeepLabCut table"):
        read_h5(tmp_path / "film.h5")
    (tmp_path / "labels.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"labels.csv is no DeepLabCut table: it must begin with scorer"):
        read_csv(tmp_path / "labels.csv")
    (tmp_path / "labels.csv").write_text("scorer,a,a\nbodyparts,b,b\ncoords,x,y\nimg,1,one\n")
    with pytest.raises(ValueError, match=r"labels.csv is damaged"):
        read_csv(tmp_path / "labels.csv")
