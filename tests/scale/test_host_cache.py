"""One copy a host, fetched once, whole or not there, bounded, and never taken from who reads it."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import BinaryIO

import pytest

from hlhft.scale.host_cache import cache_folder, held, keep
from hlhft.scale.storage import Storage, StorageError
from hlhft.scale.task import content_hash


class Counting(Storage):
    """A storage that counts what is fetched."""

    fetched = 0

    def fetch(self, digest: str, target: BinaryIO) -> int:
        self.fetched += 1
        return super().fetch(digest, target)


@pytest.fixture
def store(tmp_path: Path) -> Counting:
    return Counting(tmp_path / "store")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "inputs"
    path.mkdir()
    return path


def copies(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.endswith(".lock")}


def test_many_that_ask_at_once_share_one_fetch(store: Counting, folder: Path) -> None:
    digest = store.put_bytes(b"rows" * 100_000)
    ready, seen = threading.Barrier(8, timeout=10), []

    def read() -> None:
        ready.wait()
        with held(store, digest, folder=folder) as path:
            seen.append((path, path.read_bytes()))

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.fetched == 1 and len(seen) == 8 and set(seen) == {(folder / digest, b"rows" * 100_000)}


def test_what_was_made_here_is_not_fetched(store: Counting, folder: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.write_bytes(b"rows")
    digest = store.put_bytes(b"rows")
    keep(made, digest, folder=folder)
    keep(made, digest, folder=folder)
    made.unlink()
    with held(store, digest, folder=folder) as path:
        assert path.read_bytes() == b"rows" and store.fetched == 0
    assert copies(folder) == {digest}


def test_what_was_made_on_another_disk_is_fetched(
    store: Counting, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tmp_path / "made"
    made.write_bytes(b"rows")

    def refused(path: Path, target: Path) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", refused)
    keep(made, content_hash(b"rows"), folder=folder)
    assert copies(folder) == set()


def test_what_is_made_here_stays_within_the_bound(store: Counting, folder: Path, tmp_path: Path) -> None:
    old, made = tmp_path / "old", tmp_path / "made"
    old.write_bytes(b"old" * 100)
    made.write_bytes(b"rows")
    keep(old, content_hash(b"old" * 100), folder=folder)
    keep(made, content_hash(b"rows"), folder=folder, bytes_max=10)
    assert copies(folder) == {content_hash(b"rows")}


def test_a_wrong_input_leaves_no_copy(store: Counting, folder: Path) -> None:
    digest = store.put_bytes(b"rows")
    (Path(store.url) / "blobs" / digest[:2] / digest).write_bytes(b"torn")
    with pytest.raises(StorageError, match="torn or was changed"), held(store, digest, folder=folder):
        raise AssertionError
    assert copies(folder) == set()


def test_the_longest_unused_go_and_one_in_use_stays(store: Counting, folder: Path) -> None:
    digests = [store.put_bytes(bytes([number]) * 100) for number in range(4)]
    with held(store, digests[0], folder=folder):
        for number, digest in enumerate(digests[1:3], 1):
            with held(store, digest, folder=folder):
                pass
            os.utime(folder / digest, (number, number))
        os.utime(folder / digests[0], (0, 0))
        with held(store, digests[3], folder=folder, bytes_max=200):
            assert copies(folder) == {digests[0], digests[2], digests[3]}, "the oldest is in use, so the next one goes"


def test_what_a_killed_process_left_goes(store: Counting, folder: Path) -> None:
    left = folder / f"{content_hash(b'gone')}.writing"
    left.write_bytes(b"half")
    with held(store, store.put_bytes(b"rows"), folder=folder):
        assert not left.exists()


def test_the_folder_is_the_cache_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HLHFT_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path / "inputs" and cache_folder().is_dir()
