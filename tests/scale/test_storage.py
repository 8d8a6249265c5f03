"""Whole or not at all, by content; a torn or changed file is as good as none."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hlhft.scale import storage as module
from hlhft.scale.storage import Record, Storage, StorageError, file_hash, prune
from hlhft.scale.task import content_hash

KEY, OTHER = content_hash(b"key"), content_hash(b"other")


def record(key: str = KEY) -> Record:
    return Record(key=key, function="f", log="said", worker="w", seconds=1.0)


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket of a stand-in for S3 on this machine."""
    from moto.server import ThreadedMotoServer

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    server = ThreadedMotoServer(port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        import boto3

        boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1").create_bucket(Bucket="bucket")
        yield f"s3://bucket/of/mine?endpoint_override={host}:{port}&scheme=http&region=us-east-1"
    finally:
        server.stop()


def test_a_result_comes_back_with_its_record(tmp_path: Path) -> None:
    store = Storage(tmp_path / "store")
    assert not store.has(KEY) and store.get(KEY) is None and store.record(KEY) is None
    kept = store.put(record(), b"result")
    assert (kept.blob, kept.size) == (content_hash(b"result"), 6)
    assert store.has(KEY) and store.get(KEY) == b"result" and store.record(KEY) == kept
    assert store.done([KEY, OTHER, KEY]) == {KEY}
    assert Storage(f"file://{tmp_path}/store").get(KEY) == b"result"
    assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob(f"{KEY[:2]}/*"))] == [
        f"store/results/{KEY[:2]}/{KEY}"
    ]


@pytest.mark.parametrize("damage", [b"", b"resul", b"RESULT", b"result and more"])
def test_a_torn_or_changed_result_is_none_and_is_made_again(tmp_path: Path, damage: bytes) -> None:
    store = Storage(tmp_path)
    kept = store.put(record(), b"result")
    (tmp_path / "blobs" / kept.blob[:2] / kept.blob).write_bytes(damage)
    assert store.get(KEY) is None and store.done([KEY]) == set()
    store.put(record(), b"result")
    assert store.get(KEY) == b"result"


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"key": "x", "function": "f"}'])
def test_a_torn_record_is_none(tmp_path: Path, damage: bytes) -> None:
    store = Storage(tmp_path)
    store.put(record(), b"result")
    (tmp_path / "results" / KEY[:2] / KEY).write_bytes(damage)
    assert store.record(KEY) is None and not store.has(KEY)


def test_a_record_of_another_task_under_the_name_is_none(tmp_path: Path) -> None:
    store = Storage(tmp_path)
    store.put(record(OTHER), b"result")
    place = tmp_path / "results" / KEY[:2] / KEY
    place.parent.mkdir()
    (tmp_path / "results" / OTHER[:2] / OTHER).rename(place)
    assert store.record(KEY) is None


def test_nothing_is_left_of_a_write_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Storage(tmp_path)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        store.put(record(), b"result")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_failure_is_kept_beside_and_is_no_result(tmp_path: Path) -> None:
    store = Storage(tmp_path)
    store.put_failure(Record(key=KEY, function="f", error="it broke", log="trace"))
    found = store.failure(KEY)
    assert found is not None and (found.error, found.log) == ("it broke", "trace")
    assert not store.has(KEY)


def test_a_file_is_an_input_by_its_hash(tmp_path: Path) -> None:
    store = Storage(tmp_path / "store")
    path = tmp_path / "day.rows"
    path.write_bytes(b"rows" * 1000)
    digest = store.put_file(path)
    assert digest == file_hash(path) == content_hash(b"rows" * 1000)
    assert store.put_file(path) == digest, "a second time nothing is written"
    local = store.local(digest)
    assert local is not None and local.read_bytes() == b"rows" * 1000
    target = io.BytesIO()
    assert store.fetch(digest, target) == 4000 and target.getvalue() == b"rows" * 1000


def test_a_wrong_input_is_refused_wherever_it_is_read(tmp_path: Path) -> None:
    store = Storage(tmp_path)
    digest = store.put_bytes(b"rows")
    (tmp_path / "blobs" / digest[:2] / digest).write_bytes(b"rows and more")
    for read in (store.local, lambda name: store.fetch(name, io.BytesIO())):
        with pytest.raises(StorageError, match="is torn or was changed"):
            read(digest)
        with pytest.raises(StorageError, match="there is no blob"):
            read(OTHER)
    assert store.put_bytes(b"rows") == digest and store.local(digest) is not None


def test_an_input_that_was_read_through_is_read_through_again_when_it_changes(tmp_path: Path) -> None:
    store = Storage(tmp_path)
    digest = store.put_bytes(b"rows")
    path = store.local(digest)
    assert path is not None
    path.write_bytes(b"ROWS")
    os.utime(path, ns=(1, 1))
    with pytest.raises(StorageError, match="torn or was changed"):
        store.local(digest)


def test_s3_keeps_the_same(s3: str, tmp_path: Path) -> None:
    store = Storage(s3)
    assert store.get(KEY) is None
    store.put(record(), b"result")
    assert Storage(s3).get(KEY) == b"result" and store.done([KEY, OTHER]) == {KEY}
    path = tmp_path / "day.rows"
    path.write_bytes(b"rows" * 1000)
    digest = store.put_file(path)
    assert store.put_file(path) == digest
    target = io.BytesIO()
    store.fetch(digest, target)
    assert target.getvalue() == path.read_bytes() and store.local(digest) is None
    with pytest.raises(StorageError, match="there is no blob"):
        store.fetch(OTHER, target)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("s3://key:word@bucket/x", "holds a secret"),
        ("s3://bucket/x?secret_key=word", "holds a secret"),
        ("s3://bucket/x?nonsense=1", "no storage can be opened there"),
        ("nowhere://x", "no storage can be opened there"),
    ],
)
def test_an_address_that_is_none_or_holds_a_secret_is_refused_without_showing_it(url: str, sentence: str) -> None:
    with pytest.raises(StorageError, match=sentence) as found:
        Storage(url)
    assert "word" not in str(found.value)


def test_a_blob_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values: dict[str, Any] = {"BLOB_BYTES_MAX": 5}
    for name, value in values.items():
        monkeypatch.setattr(module, name, value)
    with pytest.raises(StorageError, match="6 bytes are more than a blob may have"):
        Storage(tmp_path).put_bytes(b"result")


def test_a_file_that_is_final_takes_no_further_room(tmp_path: Path) -> None:
    store, path = Storage(tmp_path / "store"), tmp_path / "day.rows"
    path.write_bytes(b"rows" * 1000)
    digest = store.put_file(path, is_final=True)
    local = store.local(digest)
    assert local is not None and local.samefile(path)
    # A torn one is replaced, and nothing is left beside.
    local.unlink()
    local.write_bytes(b"torn")
    assert store.put_file(path, is_final=True) == digest and local.samefile(path)
    assert store.put_file(path, is_final=True) == digest
    assert [one.name for one in local.parent.iterdir()] == [digest]
    path.unlink()
    assert local.read_bytes() == b"rows" * 1000


def test_the_oldest_go_until_a_store_is_within_its_bound(tmp_path: Path) -> None:
    store = Storage(tmp_path)
    digests = [store.put_bytes(bytes([number]) * 100) for number in range(4)]
    for number, digest in enumerate(digests):
        os.utime(store.local(digest) or "", (number, number))
    prune(tmp_path, 250)
    left = [digest for digest in digests if (tmp_path / "blobs" / digest[:2] / digest).exists()]
    assert left == digests[2:]


def test_a_relative_folder_is_the_same_for_who_works_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Storage("store").url == str(tmp_path / "store")
