"""Files of public S3 buckets, listed and fetched without an account, resumably."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import requests
from tqdm import tqdm

from neurofmx.datasets.access.fetch import WAY_OUT
from neurofmx.datasets.access.unpack import require_inside
from neurofmx.datasets.access.unpinned import keep, put

if TYPE_CHECKING:
    from botocore.client import BaseClient

_BLOCK = 1 << 16
ATTEMPTS = 3  # of Amazon's client, at each of our own
TIMEOUT = 30.0  # s, longest silence of the server
MISSING = ("NoSuchBucket", "NoSuchKey", "404")
REFUSED = ("AccessDenied", "AllAccessDisabled", "InvalidAccessKeyId", "403")


class Stored(NamedTuple):
    """An object of a bucket.

    Args:
        key: Its path in the bucket.
        size: Bytes.
        tag: What the bucket calls this version of it; the MD5 sum, unless it holds a `-`.
    """

    key: str
    size: int
    tag: str


def listing(bucket: str, prefix: str, *, deep: bool = True) -> list[Stored]:
    """Everything in a bucket below a prefix.

    Args:
        bucket: Name of the bucket. `AWS_ENDPOINT_URL_S3` names another server than Amazon's.
        prefix: First part of the keys.
        deep: Whether to look into folders below it, default yes.

    Returns:
        The objects, sorted by key; folders that are stored as empty objects are left out.

    Raises:
        FileNotFoundError: If there is no such bucket.
        ConnectionError: If the server cannot be reached, keeps failing or refuses.
        ValueError: If a key could lead out of a folder.
    """
    try:
        with _told(f"s3://{bucket}/{prefix}"):
            asked = {"Bucket": bucket, "Prefix": prefix} | ({} if deep else {"Delimiter": "/"})
            pages = client().get_paginator("list_objects_v2").paginate(**asked)
            rows = [row for page in pages for row in page.get("Contents", ()) if not row["Key"].endswith("/")]
    except requests.ConnectionError as error:
        raise ConnectionError(f"cannot list {error}; {WAY_OUT}") from error
    for row in rows:
        require_inside(row["Key"], what=f"s3://{bucket}")
    return sorted(Stored(row["Key"], row["Size"], row["ETag"].strip('"')) for row in rows)


def fetch_stored(
    bucket: str,
    stored: Stored,
    target: Path,
    *,
    cache: Path,
    retries: int = 4,
    backoff: float = 0.5,
    progress: bool = True,
) -> None:
    """Download one object, continuing what an earlier, even killed, attempt began, as long as it has not changed.

    Args:
        bucket: Name of the bucket.
        stored: The object, from `listing`.
        target: Where the file shall stand. It appears only when complete and, where the tag is one, of that MD5 sum.
        cache: Folder of partial and finished downloads.
        retries: Attempts in a row that may fail without a byte gained, default 4; each asks a busy server three times.
        backoff: Pause after the first failure, s, doubled after each further one, default 0.5.
        progress: Whether to draw a progress bar, default yes.

    Raises:
        FileNotFoundError: If the object is gone.
        ConnectionError: If the server cannot be reached, keeps failing or refuses, or the object changed meanwhile.
        ValueError: If the file has another MD5 sum.
    """

    def attempt(part: Path) -> None:
        with _told(f"s3://{bucket}/{stored.key}"):
            _ask_for_rest(bucket, stored, part, progress=progress)

    md5 = stored.tag if len(stored.tag) == 32 and "-" not in stored.tag else None
    origin = f"s3://{bucket}/{stored.key}#{stored.tag}"
    put(keep(origin, attempt, cache=cache, md5=md5, retries=retries, backoff=backoff), target)


def _ask_for_rest(bucket: str, stored: Stored, part: Path, *, progress: bool) -> None:
    """One request for the bytes that are still missing."""
    have = part.stat().st_size if part.exists() else 0
    if have > stored.size:
        part.unlink()
        have = 0
    if have == stored.size and have:
        return  # killed after the last byte
    span = {"Range": f"bytes={have}-"} if have else {}
    answer = client().get_object(Bucket=bucket, Key=stored.key, IfMatch=f'"{stored.tag}"', **span)
    at = have if answer.get("ContentRange", "").startswith(f"bytes {have}-") else 0  # some servers ignore Range
    hidden = None if progress else True
    bar = tqdm(total=stored.size, initial=at, unit="B", unit_scale=True, disable=hidden, desc=Path(stored.key).name)
    with part.open("r+b" if part.exists() else "wb") as file, bar, closing(answer["Body"]) as body:
        file.seek(at)
        file.truncate()
        for block in body.iter_chunks(_BLOCK):
            bar.update(file.write(block))
    if part.stat().st_size < stored.size:
        raise requests.ConnectionError(f"got {part.stat().st_size} of {stored.size} bytes")


def client() -> BaseClient:
    """Amazon's own client for the server that `AWS_ENDPOINT_URL_S3` names, Amazon's by default.

    Raises:
        ImportError: If boto3 is not installed.
    """
    return _client(os.environ.get("AWS_ENDPOINT_URL_S3"))


@functools.cache
def _client(endpoint: str | None) -> BaseClient:
    """A client that signs nothing and asks a busy server again."""
    try:
        import boto3  # imported here: a quarter of a second that only such archives need
    except ImportError as error:
        raise ImportError("S3 needs boto3: pip install -c constraints.txt -e '.[data]'") from error
    from botocore import UNSIGNED
    from botocore.config import Config

    config = Config(
        signature_version=UNSIGNED,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        connect_timeout=TIMEOUT,
        read_timeout=TIMEOUT,
        response_checksum_validation="when_required",  # sizes and MD5 sums are compared at the end instead
    )
    return boto3.client("s3", region_name="us-east-1", endpoint_url=endpoint, config=config)


@contextmanager
def _told(where: str) -> Iterator[None]:
    """Turn the client's errors into ours: what asking again may mend is a `requests.ConnectionError`."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code"))
        if code in MISSING:
            raise FileNotFoundError(f"{where}: the bucket has no such file ({code})") from error
        if code in REFUSED:
            raise ConnectionError(f"{where}: the bucket refuses ({code}); {WAY_OUT}") from error
        if code in ("PreconditionFailed", "412"):
            raise ConnectionError(f"{where}: changed at its source during the download; run it again") from error
        raise requests.ConnectionError(f"{where}: {error}") from error
    except BotoCoreError as error:
        raise requests.ConnectionError(f"{where}: {error}") from error
