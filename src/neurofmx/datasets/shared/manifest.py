"""MANIFEST.json: which files a raw folder holds, where they are from and what their bytes must be."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from neurofmx.atomic import atomic
from neurofmx.datasets.shared.checksum import sha256_of
from neurofmx.recordings.recording import Source

NAME = "MANIFEST.json"


def write_manifest(
    folder: Path, files: Iterable[str], *, dataset: str, source: str, licence: str, options: dict
) -> None:
    """Describe a raw folder. The same files give the same bytes: it holds no time and no path of the machine.

    Args:
        folder: The raw folder.
        files: Paths of its files, relative to it.
        dataset: Name of the dataset.
        source: The public source, in words.
        licence: Terms of use, in words.
        options: The options that the dataset was downloaded with.
    """
    rows = [{"file": name, **_facts(folder / name), "source": source, "licence": licence} for name in sorted(files)]
    content = {"dataset": dataset, "options": options, "files": rows}
    with atomic(folder / NAME) as part:
        part.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def verify_manifest(folder: Path, *, dataset: str) -> dict[str, Source]:
    """Check every file of a raw folder against its manifest.

    Args:
        folder: The raw folder.
        dataset: Name of the dataset, for the error message.

    Returns:
        The files, by name.

    Raises:
        FileNotFoundError: If the manifest or a file is missing.
        ValueError: If a file is truncated or changed, or the manifest is of another dataset.
    """
    return {row["file"]: _verified(folder, row) for row in _rows(folder, dataset)}


def options_of(folder: Path) -> dict:
    """The options that a raw folder was downloaded with; its manifest must be there and readable."""
    return json.loads((folder / NAME).read_text(encoding="utf-8")).get("options", {})


def rows_of(folder: Path) -> list[dict]:
    """Every file of a raw folder with size, checksum, source and licence; its manifest must be there and readable."""
    return json.loads((folder / NAME).read_text(encoding="utf-8"))["files"]


def _facts(path: Path) -> dict[str, int | str]:
    """Size and checksum of a file."""
    return {"bytes": path.stat().st_size, "sha256": sha256_of(path)}


def _rows(folder: Path, dataset: str) -> list[dict]:
    """The manifest's entries, if it is there, readable and of this dataset."""
    path = folder / NAME
    again = f"download {dataset} again (`dvc repro download@{dataset}`)"
    if not path.is_file():
        raise FileNotFoundError(f"no {path}: the download is missing or was interrupted; {again}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found, rows = content["dataset"], content["files"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}); {again}") from error
    if found != dataset:
        raise ValueError(f"{path}: dataset must be {dataset!r}, found {found!r}; {again}")
    return rows


def _verified(folder: Path, row: dict) -> Source:
    """One file, after comparing size and checksum."""
    path = folder / row["file"]
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing but named in {NAME}; delete {folder} and download it again")
    facts = _facts(path)
    if facts != {"bytes": row["bytes"], "sha256": row["sha256"]}:
        raise ValueError(
            f"{path} is truncated or changed: expected {row['bytes']} bytes, sha256 {row['sha256']}, "
            f"got {facts['bytes']} bytes, sha256 {facts['sha256']}; delete {folder} and download it again"
        )
    return Source(row["file"], row["sha256"])
