"""Files out of a zip archive, into one folder and nowhere else."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from neurofmx.atomic import atomic

LARGEST = 8 << 30  # bytes of one unpacked file: more than any recording here, less than a bomb


def require_inside(member: str, *, what: str) -> None:
    """Refuse a path that could lead out of a folder.

    Args:
        member: A path as an archive or a bucket names it.
        what: What named it, for the message.

    Raises:
        ValueError: If the path is absolute, empty, or holds `..` or a backslash.
    """
    path = PurePosixPath(member)
    drive = member[1:2] == ":"
    if path.is_absolute() or ".." in path.parts or not path.name or "\\" in member or "\0" in member or drive:
        raise ValueError(f"{what}: a path must lie inside the archive, got {member!r}; name it relative, without '..'")


def unpack(archive: Path, folder: Path, *, wanted: Callable[[str], bool], origin: str) -> tuple[str, ...]:
    """Take files out of a zip archive, under their own paths.

    An archive in which any member would leave the folder is refused as a whole, also where that member is not wanted.

    Args:
        archive: The zip archive.
        folder: Where the files are put.
        wanted: Called with a member's path; true for those to take.
        origin: What to call the archive in messages.

    Returns:
        Paths of the files, relative to the folder, sorted. Each appeared only when its checksum was right.

    Raises:
        ValueError: If the file is no zip archive or damaged, or a member is a link, lies outside, is encrypted, or
            unpacks to more than 8 GiB.
    """
    try:
        with zipfile.ZipFile(archive) as bundle:
            chosen = [_checked(member, origin) for member in bundle.infolist() if not member.is_dir()]
            chosen = sorted((member for member in chosen if wanted(member.filename)), key=lambda m: m.filename)
            for member in chosen:
                _extract(bundle, member, folder / member.filename, origin)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise ValueError(f"{origin}: no sound zip archive ({error}); delete it from the cache and try again") from error
    return tuple(member.filename for member in chosen)


def _checked(member: zipfile.ZipInfo, origin: str) -> zipfile.ZipInfo:
    """Refuse what must not be unpacked."""
    require_inside(member.filename, what=origin)
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise ValueError(f"{origin}: {member.filename!r} must be a plain file in the archive, not a link or device")
    if member.flag_bits & 1:
        raise ValueError(f"{origin}: {member.filename!r} is encrypted; unpack it by hand and use a mirror")
    if member.file_size > LARGEST:
        raise ValueError(f"{origin}: {member.filename!r} would unpack to {member.file_size} bytes, over {LARGEST}")
    return member


def _extract(bundle: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, origin: str) -> None:
    """Copy one member out; zipfile compares its CRC at the end and stops at the size its header states."""
    if not target.resolve().is_relative_to(target.parents[len(PurePosixPath(member.filename).parts) - 1].resolve()):
        raise ValueError(f"{origin}: {member.filename!r} would be written through a link out of the folder")
    with bundle.open(member) as source, atomic(target) as part, part.open("wb") as file:
        shutil.copyfileobj(source, file, 1 << 20)
