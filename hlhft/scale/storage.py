"""Results and inputs by content, in a folder, on NFS or in S3: written whole or not at all, believed only if intact.

    blobs/HH/HASH      content, named by its blake2b hash: inputs, and what results are
    results/KK/KEY     the record of a finished task as JSON: its blob's hash and size, how it went, its log
    failures/KK/KEY    the record of a task's last failure

A record is written after its blob, so it never names one that is not there; a torn or changed blob does not have its
hash, and its task is as good as not done. Two that write the same at once write the same bytes.

In a local folder (NFS too) files are written under another name, fsynced and renamed. An object of S3 appears when its
upload is complete; what cut an upload short is noticed by the hash. Credentials come from where AWS's own tools have
them, never from the address.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import msgspec

from hlhft.data.addresses import S3, AddressError, opened_s3, without_secret
from hlhft.data.writing import sync_folder
from hlhft.scale.task import HASH_BYTES, content_hash, is_hash

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

CHUNK_BYTES = 4 * 1024 * 1024
RECORD_BYTES_MAX = 4 * 1024 * 1024
BLOB_BYTES_MAX = 8 * 1024**3
CHECKS_AT_ONCE = 16  # a storage far away answers in tens of milliseconds


class StorageError(Exception):
    """A storage that cannot be used, or content in it that is not what its name says."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a finished or failed task beside its result."""

    key: str
    function: str
    blob: str = ""  # the result's hash; empty where it failed
    size: int = 0  # of the result in bytes
    error: str = ""  # one sentence; empty where it did not fail
    log: str = ""  # what it said, bounded by hlhft.scale.worker.LOG_BYTES_MAX
    worker: str = ""  # host and process that ran it
    seconds: float = 0.0  # that it took there, inputs included


class Storage:
    """A store at `url`: a folder's path, file://…, s3://BUCKET/PREFIX?region=…&endpoint_override=…, memory://….

    Raises StorageError where the address is none, holds a secret or names a kind of storage that is not there.
    """

    def __init__(self, url: str | Path) -> None:
        # A worker has another working folder.
        self.url = str(url) if "://" in str(url) else str(Path(url).absolute())
        self._files, self._root = _opened(self.url)
        self._is_local = type(self._files).__name__ == "LocalFileSystem"
        self._intact: set[tuple[str, int, int]] = set()  # local blobs that were read through: hash, size, time

    def __repr__(self) -> str:
        return f"Storage({self.url!r})"

    @property
    def is_local(self) -> bool:
        """Whether it is a folder, on NFS perhaps, whose blobs are files here."""
        return self._is_local

    def has(self, key: str) -> bool:
        """Whether the task is done and its result intact, which is read to see it."""
        return self.get(key) is not None

    def done(self, keys: Iterable[str]) -> set[str]:
        """Those of the tasks that are done and intact, several asked at once."""
        asked = list(dict.fromkeys(keys))
        with ThreadPoolExecutor(CHECKS_AT_ONCE, thread_name_prefix="storage") as pool:
            return {key for key, found in zip(asked, pool.map(self.has, asked), strict=True) if found}

    def get(self, key: str) -> bytes | None:
        """The task's result; None where it was not done or what is there is torn or wrong. Raises StorageError."""
        record = self.record(key)
        if record is None:
            return None
        content = self._read(self._blob(record.blob), record.size)
        return content if content is not None and content_hash(content) == record.blob else None

    def record(self, key: str) -> Record | None:
        """The record of a finished task; None where there is none or it is torn. Raises StorageError."""
        return self._record("results", key)

    def failure(self, key: str) -> Record | None:
        """The record of the task's last failure; None where there is none. Raises StorageError."""
        return self._record("failures", key)

    def put(self, record: Record, content: bytes) -> Record:
        """Keeps a result and gives its record with the blob's hash and size. Raises StorageError and OSError.

        Nothing is written where the task is done already and intact.
        """
        digest = content_hash(content)
        record = msgspec.structs.replace(record, blob=digest, size=len(content))
        self.put_bytes(content)
        self._write(self._place("results", record.key), msgspec.json.encode(record))
        return record

    def put_failure(self, record: Record) -> None:
        """Keeps the last failure of a task, in place of an earlier one. Raises StorageError and OSError."""
        self._write(self._place("failures", record.key), msgspec.json.encode(record))

    def put_bytes(self, content: bytes) -> str:
        """Keeps a blob and gives its hash; one that is there intact is left alone. Raises StorageError and OSError."""
        digest = content_hash(content)
        kept = self._read(self._blob(digest), len(content))
        if kept is None or kept != content:
            self._write(self._blob(digest), content)
        return digest

    def put_file(self, path: Path, *, is_final: bool = False) -> str:
        """Keeps a file's content and gives its hash; what is there at that size is left alone, and checked when read.

        A file that `is_final`, which nobody ever writes again, takes no further room where the storage is on its disk.
        Raises StorageError, and OSError for a file that cannot be read.
        """
        digest, size = file_hash(path), path.stat().st_size
        place = self._blob(digest)
        if self._size(place) == size:
            return digest
        if is_final and self._is_local and _linked(path, Path(place)):
            return digest
        with path.open("rb") as source:
            self._write_stream(place, source)
        return digest

    def has_blob(self, digest: str, size: int) -> bool:
        """Whether there is a blob of that hash and size; its content is not looked at."""
        return self._size(self._blob(digest)) == size

    def forget(self, key: str) -> None:
        """Takes back that a task is done, as where a blob that its result names is gone, so that it is run again."""
        with contextlib.suppress(FileNotFoundError):
            self._files.rm_file(self._place("results", key))

    def local(self, digest: str) -> Path | None:
        """Where the blob lies as a file on this machine, read through once a process; None where the storage is none.

        Raises StorageError for a blob that is missing, torn or wrong.
        """
        if not self._is_local:
            return None
        path = Path(self._blob(digest))
        try:
            known = path.stat()
        except FileNotFoundError:
            raise self._missing(digest) from None
        entry = (digest, known.st_size, known.st_mtime_ns)
        if entry not in self._intact:
            if file_hash(path) != digest:
                raise self._wrong(digest)
            self._intact.add(entry)
        return path

    def fetch(self, digest: str, target: BinaryIO) -> int:
        """Writes the blob into an open file, checked; gives its bytes. Raises StorageError when missing or wrong."""
        running, size = hashlib.blake2b(digest_size=HASH_BYTES), 0
        try:
            with self._files.open(self._blob(digest), "rb") as source:
                while chunk := source.read(CHUNK_BYTES):
                    running.update(chunk)
                    target.write(chunk)
                    size += len(chunk)
        except FileNotFoundError:
            raise self._missing(digest) from None
        if running.hexdigest() != digest:
            raise self._wrong(digest)
        return size

    def _missing(self, digest: str) -> StorageError:
        return StorageError(
            f"{self.url}: there is no blob {digest}: put the input there, or name the storage that has it"
        )

    def _wrong(self, digest: str) -> StorageError:
        return StorageError(
            f"{self.url}: blob {digest} is torn or was changed: delete it and run the same command again"
        )

    def _record(self, kind: str, key: str) -> Record | None:
        content = self._read(self._place(kind, key), None)
        if content is None:
            return None
        try:
            record = msgspec.json.decode(content, type=Record)
        except msgspec.MsgspecError:
            return None
        whole = record.key == key and (kind != "results" or is_hash(record.blob))
        return record if whole else None

    def _blob(self, digest: str) -> str:
        return self._place("blobs", digest)

    def _place(self, kind: str, name: str) -> str:
        assert is_hash(name), name
        return f"{self._root}/{kind}/{name[:2]}/{name}"

    def _size(self, place: str) -> int | None:
        try:
            return int(self._files.info(place)["size"])
        except FileNotFoundError:
            return None

    def _read(self, place: str, size: int | None) -> bytes | None:
        """The content, of at most RECORD_BYTES_MAX where no size is said; None where it is missing or of another."""
        found = self._size(place)
        if found is None or (found != size if size is not None else found > RECORD_BYTES_MAX):
            return None
        with contextlib.suppress(FileNotFoundError), self._files.open(place, "rb") as stream:
            return cast(bytes, stream.read())
        return None

    def _write(self, place: str, content: bytes) -> None:
        if len(content) > BLOB_BYTES_MAX:
            raise StorageError(f"{self.url}: {len(content)} bytes are more than a blob may have, split the task")
        if not self._is_local:
            self._files.pipe_file(place, content)
            return
        with _renamed(Path(place)) as stream:
            stream.write(content)

    def _write_stream(self, place: str, source: BinaryIO) -> None:
        with contextlib.ExitStack() as stack:
            if self._is_local:
                target: Any = stack.enter_context(_renamed(Path(place)))
            else:
                target = stack.enter_context(self._files.open(place, "wb"))
            while chunk := source.read(CHUNK_BYTES):
                target.write(chunk)


def file_hash(path: Path) -> str:
    """The content hash of a file. Raises OSError."""
    digest = hashlib.blake2b(digest_size=HASH_BYTES)
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


@contextlib.contextmanager
def _renamed(path: Path) -> Iterator[BinaryIO]:
    """A stream whose content gets its name when it is complete and on disk; on an error nothing is left of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Two processes, on two hosts perhaps, may write the same at once.
    writing = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.writing")
    try:
        with writing.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        writing.replace(path)
        sync_folder(path.parent)
    finally:
        writing.unlink(missing_ok=True)


def _linked(path: Path, place: Path) -> bool:
    """Whether the file could be given a second name, in place of what is there; not across file systems."""
    place.parent.mkdir(parents=True, exist_ok=True)
    linking = place.with_name(f".{place.name}.{os.getpid()}.{secrets.token_hex(4)}.writing")
    try:
        linking.hardlink_to(path)
    except OSError:
        return False
    # A rename onto another name of the same file does nothing and leaves both.
    linking.replace(place)
    linking.unlink(missing_ok=True)
    return True


def prune(folder: Path, bytes_max: int) -> None:
    """Removes the oldest files of a storage in a folder until it is within the bound; others may do so at once."""
    entries: list[tuple[float, int, Path]] = []
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            if path.is_file():
                entries.append((path.stat().st_mtime, path.stat().st_size, path))
    total = sum(size for _, size, _ in entries)
    for _, size, path in sorted(entries):
        if total <= bytes_max:
            return
        path.unlink(missing_ok=True)
        total -= size


def _opened(url: str) -> tuple[AbstractFileSystem, str]:
    """The file system of an address, and the root within it."""
    try:
        if without_secret(url).startswith(S3):
            from fsspec.implementations.arrow import ArrowFSWrapper

            opened, root = opened_s3(url)
            return ArrowFSWrapper(opened), root
    except AddressError as error:
        raise StorageError(str(error)) from None
    import fsspec

    try:
        files, root = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise StorageError(
            f"{url}: no storage can be opened there ({error}): give a folder or s3://BUCKET/PREFIX"
        ) from None
    return files, str(root).rstrip("/")
