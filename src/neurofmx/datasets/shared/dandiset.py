"""A selection of NWB files of one dandiset: whole files, or the parts that are read of them."""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Annotated, ClassVar, Self, final

import h5py
from pydantic import Field, model_validator

from neurofmx.atomic import atomic
from neurofmx.datasets.access.dandi_archive import API, Asset, fetch_asset, find_assets, open_asset
from neurofmx.datasets.access.unpinned import put
from neurofmx.datasets.formats.nwb_series import readable
from neurofmx.datasets.shared.archive import Archive
from neurofmx.recordings.recording import Recording, Source, load, save

_PART = "_part.h5"
_ORIGIN = ".json"  # beside a part: which bytes of the archive it was read from
Version = Annotated[str, Field(pattern=r"^(draft|\d+\.\d{6}\.\d{4})$", description="version of the dandiset")]
Patterns = Annotated[tuple[str, ...], Field(min_length=1, description="shell patterns of the files to take")]


class Dandiset(Archive):
    """Recordings out of NWB files on DANDI.

    With `by_range` a file is never fetched whole: the wanted series are read by ranges of bytes between `start` and
    `stop` and stand in the raw folder as `<path>_part.h5`, beside a JSON file that names the archive's own files with
    their SHA-256 sums. Without it the files are downloaded as they are, checked
    against the archive's own SHA-256 sums, and the same reader runs on them.

    Args:
        version: Version of the dandiset.
        assets: Shell patterns of the files to take, such as `sub-01/*ses-3*`.
        by_range: Whether to read by ranges instead of downloading whole files.
        start: First time to read, s on the file's clock.
        stop: First time to leave out, s, or none for the end.
        api: Address of the archive's REST interface.
    """

    dandiset: ClassVar[str]

    version: Version
    assets: Patterns
    by_range: bool = Field(default=True, description="read by ranges instead of downloading whole files")
    start: float = Field(default=0.0, description="first time to read, s on the file's clock")
    stop: float | None = Field(default=None, description="first time to leave out, s; null for the end")
    api: str = Field(default=API, description="address of the archive's REST interface")

    @model_validator(mode="after")
    def _some_time(self) -> Self:
        if self.stop is not None and self.stop <= self.start:
            raise ValueError(f"stop must lie after start, got start {self.start} and stop {self.stop} s")
        return self

    @abstractmethod
    def extract(self, path: str, files: Mapping[str, h5py.File]) -> list[Recording]:
        """Read one of the selected files.

        Args:
            path: Its path in the dandiset.
            files: It and its `partners`, open, by path.

        Returns:
            Its recordings, without sources.

        Raises:
            ValueError: If the file does not hold what is expected.
        """

    def partners(self, path: str) -> tuple[str, ...]:
        """Paths of further files that a selected one is read together with; none by default."""
        return ()

    @final
    def retrieve(self, names: tuple[str, ...], *, folder: Path, cache: Path) -> tuple[str, ...]:
        """Ask the archive for the selected files, and take them or their parts."""
        cache.mkdir(parents=True, exist_ok=True)
        chosen = find_assets(self.dandiset, self.version, self.assets, api=self.api)
        further = sorted({path for asset in chosen for path in self.partners(asset.path)})
        others = find_assets(self.dandiset, self.version, further, api=self.api) if further else []
        known = {asset.path: asset for asset in (*chosen, *others)}
        wanted = [a for a in (chosen if self.by_range else known.values()) if not names or self._name(a.path) in names]
        with ExitStack() as stack:  # partners stay open: several files may have the same one
            remote = _Remote({asset.path: asset for asset in others}, stack, cache)
            for asset in wanted:
                if self.by_range:
                    self._take_parts(asset, folder / self._name(asset.path), remote, cache=cache)
                else:
                    fetch_asset(asset, folder / asset.path, cache=cache)
        made = tuple(self._name(asset.path) for asset in wanted)
        return made + tuple(f"{name}{_ORIGIN}" for name in made if self.by_range)

    @final
    def parse(self, folder: Path, sources: dict[str, Source]) -> list[Recording]:
        """The parts as they were read, or the same out of whole files."""
        recordings: list[Recording] = []
        for name in sorted(sources):
            if name.endswith(_PART):
                found, used = load(folder / name), (name,)
            elif not name.endswith(_ORIGIN) and self._selected(name):
                used = (name, *self.partners(name))
                found = self._read({path: folder / path for path in used}, name)
            else:
                continue
            origin = tuple(sources[path] for path in used)
            recordings += [replace(recording, sources=origin) for recording in found]
        if not recordings:
            raise ValueError(f"{self.name}: no file of the raw folder matches `assets` {list(self.assets)}")
        return recordings

    def _selected(self, path: str) -> bool:
        """Whether a file is one of its own right, and not only a partner of others."""
        return any(fnmatchcase(path, pattern) for pattern in self.assets)

    def _name(self, path: str) -> str:
        """What stands in the raw folder for a file of the archive."""
        return f"{path.removesuffix('.nwb')}{_PART}" if self.by_range else path

    def _take_parts(self, asset: Asset, target: Path, remote: _Remote, *, cache: Path) -> None:
        """What is read of one file."""
        partners = [remote.assets[path] for path in self.partners(asset.path)]
        kept = cache / f"{self._key([asset, *partners])}.recordings.h5"
        if not kept.is_file():
            with readable(asset.path), open_asset(asset, cache=cache) as file, h5py.File(file) as main:
                files = {asset.path: main} | {each.path: remote.open(each.path) for each in partners}
                save(kept, self.extract(asset.path, files))
        put(kept, target)
        facts = [{"path": each.path, "bytes": each.size, "sha256": each.sha256} for each in (asset, *partners)]
        with atomic(target.with_name(f"{target.name}{_ORIGIN}")) as path:
            path.write_text(json.dumps({"dandiset": self.dandiset, "files": facts}, indent=1) + "\n", encoding="utf-8")

    def _read(self, paths: Mapping[str, Path], name: str) -> list[Recording]:
        """Read whole files of the raw folder."""
        with readable(name), ExitStack() as stack:
            files = {path: stack.enter_context(h5py.File(file)) for path, file in paths.items()}
            return self.extract(name, files)

    def _key(self, used: list[Asset]) -> str:
        """Names what is read of which bytes."""
        options = self.model_dump(mode="json", exclude={"pins", "api", "assets", "version", "by_range"})
        content = [self.name, [asset.sha256 for asset in used], options]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class _Remote:
    """Remote files that are opened once, where they are first needed."""

    def __init__(self, assets: dict[str, Asset], stack: ExitStack, cache: Path) -> None:
        self.assets, self._stack, self._cache = assets, stack, cache
        self._files: dict[str, h5py.File] = {}

    def open(self, path: str) -> h5py.File:
        """The open file, until the stack ends."""
        if path not in self._files:
            file = self._stack.enter_context(open_asset(self.assets[path], cache=self._cache))
            self._files[path] = self._stack.enter_context(h5py.File(file))
        return self._files[path]


def entities(path: str) -> dict[str, str]:
    """The named parts of a file's path on DANDI.

    Example:
        >>> entities("sub-01/sub-01_ses-3_behavior+ecephys.nwb")
        {'sub': '01', 'ses': '3'}
    """
    parts = PurePosixPath(path).stem.split("_")
    return dict(part.split("-", 1) for part in parts if "-" in part)
