"""Public buckets: listed and fetched without an account, under the faults of networks and servers."""

from pathlib import Path

import numpy as np
import pytest
from tests.datasets.bucket import Buckets, Fault

from neurofmx.datasets.access import s3
from neurofmx.datasets.access.s3 import Stored, fetch_stored, listing

BODY = np.random.default_rng(0).bytes(600_000)
KEY = "ds000001/sub-01/func/bold.nii.gz"


@pytest.fixture(autouse=True)
def _filled(buckets: Buckets) -> None:
    buckets.fill("openneuro.org", {KEY: BODY, "ds000001/participants.tsv": b"id\n", "ds000002/a": b"a"})


def fetch(folder: Path, **options) -> bytes:
    (stored,) = listing("openneuro.org", KEY)
    target = folder / "raw" / "bold.nii.gz"
    fetch_stored("openneuro.org", stored, target, cache=folder / "cache", progress=False, backoff=0.01, **options)
    return target.read_bytes()


def test_a_listing_is_sorted_anonymous_and_stays_below_its_prefix(buckets: Buckets) -> None:
    assert [stored.key for stored in listing("openneuro.org", "ds000001/")] == ["ds000001/participants.tsv", KEY]
    assert [stored.key for stored in listing("openneuro.org", "ds000001/", deep=False)] == ["ds000001/participants.tsv"]
    assert listing("openneuro.org", "ds000009/") == []
    assert not buckets.signed


def test_a_listing_of_many_pages_is_read_to_the_end(buckets: Buckets, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, keys = buckets.owner(), [f"many/{i:02d}" for i in range(7)]
    for key in keys:
        owner.put_object(Bucket="openneuro.org", Key=key, Body=b"")
    client = s3.client()
    asked = client.list_objects_v2
    monkeypatch.setattr(client, "_make_api_call", _small_pages(client._make_api_call))
    assert [stored.key for stored in listing("openneuro.org", "many/")] == keys
    assert asked(Bucket="openneuro.org", Prefix="many/")["IsTruncated"]


def _small_pages(call):
    """Ask for three keys a page."""
    return lambda operation, parameters: call(operation, {**parameters, "MaxKeys": 3})


def test_a_file_is_fetched_once(buckets: Buckets, tmp_path: Path) -> None:
    assert fetch(tmp_path) == BODY
    assert fetch(tmp_path) == BODY
    assert [name for name, _ in buckets.asked].count("bold.nii.gz") == 1
    assert not buckets.signed


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_bucket_is_asked_again(buckets: Buckets, tmp_path: Path, status: int) -> None:
    buckets.faults["bold.nii.gz"] = [Fault(status=status), Fault(status=status)]
    assert fetch(tmp_path) == BODY


def test_a_broken_line_is_continued_where_it_broke(buckets: Buckets, tmp_path: Path) -> None:
    buckets.faults["bold.nii.gz"] = [Fault(stop_after=250_000)]
    assert fetch(tmp_path) == BODY
    ranges = [span for name, span in buckets.asked if name == "bold.nii.gz"]
    assert ranges[0] is None
    assert 0 < int(ranges[1].removeprefix("bytes=").removesuffix("-")) <= 250_000


def test_a_silent_line_is_given_up_and_continued(buckets: Buckets, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(s3, "TIMEOUT", 0.3)
    s3._client.cache_clear()
    buckets.faults["bold.nii.gz"] = [Fault(stop_after=250_000, silence=1.0)]
    assert fetch(tmp_path) == BODY


def test_a_bucket_that_ignores_ranges_is_read_from_the_start(buckets: Buckets, tmp_path: Path) -> None:
    buckets.faults["bold.nii.gz"] = [Fault(stop_after=250_000), Fault(ignore_range=True)]
    assert fetch(tmp_path) == BODY


def test_a_partial_file_of_an_earlier_process_is_continued(buckets: Buckets, tmp_path: Path) -> None:
    buckets.faults["bold.nii.gz"] = [Fault(stop_after=250_000), Fault(status=503)]
    with pytest.raises(ConnectionError, match=r"cannot download s3://openneuro.org/.*NEUROFMX_MIRROR"):
        fetch(tmp_path, retries=0)
    assert not (tmp_path / "raw").exists()
    (part,) = (tmp_path / "cache").glob("*.part")
    have = part.stat().st_size
    assert fetch(tmp_path) == BODY
    assert buckets.asked[-1] == ("bold.nii.gz", f"bytes={have}-")


def test_a_file_that_changes_meanwhile_is_never_mixed(buckets: Buckets, tmp_path: Path) -> None:
    (stored,) = listing("openneuro.org", KEY)
    buckets.owner().put_object(Bucket="openneuro.org", Key=KEY, Body=BODY[::-1], ACL="public-read")
    with pytest.raises(ConnectionError, match="changed at its source during the download"):
        fetch_stored("openneuro.org", stored, tmp_path / "a", cache=tmp_path / "cache", progress=False)
    assert not (tmp_path / "a").exists()
    assert fetch(tmp_path) == BODY[::-1]


def test_bytes_of_another_sum_are_refused_and_forgotten(buckets: Buckets, tmp_path: Path) -> None:
    (stored,) = listing("openneuro.org", KEY)
    buckets.faults["bold.nii.gz"] = [Fault(stop_after=1000), Fault(status=500)]
    with pytest.raises(ConnectionError):
        fetch(tmp_path, retries=0)
    (part,) = (tmp_path / "cache").glob("*.part")
    part.write_bytes(b"damaged on disk")
    with pytest.raises(ValueError, match=f"wrong checksum, expected md5 {stored.tag}"):
        fetch(tmp_path)
    assert fetch(tmp_path) == BODY


def test_what_is_missing_or_refused_is_said_at_once(buckets: Buckets, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"s3://nowhere/ds1: the bucket has no such file \(NoSuchBucket\)"):
        listing("nowhere", "ds1")
    gone = Stored("ds000001/gone", 3, "0" * 32)
    with pytest.raises(FileNotFoundError, match="NoSuchKey"):
        fetch_stored("openneuro.org", gone, tmp_path / "a", cache=tmp_path, progress=False)
    buckets.faults["bold.nii.gz"] = [Fault(status=403)]
    with pytest.raises(ConnectionError, match="the bucket refuses"):
        fetch(tmp_path)


def test_no_network_names_the_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    with pytest.raises(ConnectionError, match=r"cannot list s3://openneuro.org/ds000001/.*NEUROFMX_MIRROR"):
        listing("openneuro.org", "ds000001/")


def test_a_key_that_leads_out_is_refused(buckets: Buckets) -> None:
    buckets.owner().put_object(Bucket="openneuro.org", Key="ds000003/../../evil", Body=b"evil")
    with pytest.raises(ValueError, match="must lie inside the archive"):
        listing("openneuro.org", "ds000003/")


def test_large_files_of_several_parts_have_no_sum_but_a_size(buckets: Buckets, tmp_path: Path) -> None:
    owner = buckets.owner()
    upload = owner.create_multipart_upload(Bucket="openneuro.org", Key=KEY, ACL="public-read")
    where = {"Bucket": "openneuro.org", "Key": KEY, "UploadId": upload["UploadId"]}
    body = np.random.default_rng(1).bytes(5 << 20)
    parts = [
        {"PartNumber": i, "ETag": owner.upload_part(**where, PartNumber=i, Body=piece)["ETag"]}
        for i, piece in ((1, body), (2, b"end"))
    ]
    owner.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
    (stored,) = listing("openneuro.org", KEY)
    assert stored.tag.endswith("-2")
    assert fetch(tmp_path) == body + b"end"
