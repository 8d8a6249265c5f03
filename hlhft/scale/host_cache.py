"""One copy a host of every input: fetched once under a lock, checked, renamed when whole, mapped by all that need it.

The copies lie in the cache folder (`hlhft.compiled.cache_root`), at most CACHE_BYTES_MAX of them; the longest unused
goes first, and one that a task is reading never. What a killed process left half-fetched goes with the next fetch.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from hlhft.scale.storage import Storage

CACHE_BYTES_MAX = 32 * 1024**3
_WRITING = ".writing"
_LOCK = ".lock"


def cache_folder() -> Path:
    """Where the copies lie; it exists. Raises CacheError."""
    # Here, as numba comes with it: a scheduler reads the names of this package, and may map no memory to execute.
    from hlhft.compiled import cache_root

    folder = cache_root() / "inputs"
    folder.mkdir(exist_ok=True)
    return folder


@contextlib.contextmanager
def held(
    storage: Storage, digest: str, *, folder: Path | None = None, bytes_max: int = CACHE_BYTES_MAX
) -> Iterator[Path]:
    """The input's copy on this host, there until the block ends.

    Raises StorageError when the storage has none or a wrong one, and OSError when there is no room.
    """
    folder = cache_folder() if folder is None else folder
    path = folder / digest
    with (folder / f"{digest}{_LOCK}").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # whoever is first fetches, the others wait for it
        if not path.is_file():
            _make_room(folder, bytes_max)
            _fetch(storage, digest, path)
        fcntl.flock(lock, fcntl.LOCK_SH)  # as long as it is held, nobody removes it
        if not path.is_file():  # between the two another process may have had the lock
            fcntl.flock(lock, fcntl.LOCK_EX)
            _fetch(storage, digest, path)
        os.utime(path)
        yield path


def keep(path: Path, digest: str, *, folder: Path | None = None, bytes_max: int = CACHE_BYTES_MAX) -> None:
    """Takes a file of that hash, which nobody ever writes again, as this host's copy, so that it is never fetched here.

    Without effect where there is one, or where the file is not on the cache's disk. Raises OSError when there is no
    room for a name.
    """
    folder = cache_folder() if folder is None else folder
    copy = folder / digest
    with (folder / f"{digest}{_LOCK}").open("ab") as lock:
        if copy.is_file() or not _is_free(lock):
            return
        _make_room(folder, bytes_max)
        with path.open("rb") as stream:
            os.fsync(stream.fileno())  # what has its name is whole, also after a power cut
        try:
            copy.hardlink_to(path)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise


def _fetch(storage: Storage, digest: str, path: Path) -> None:
    writing = path.with_name(path.name + _WRITING)  # nobody else writes it: we have the lock
    try:
        with writing.open("wb") as stream:
            storage.fetch(digest, stream)
            stream.flush()
            os.fsync(stream.fileno())
        writing.replace(path)
    finally:
        writing.unlink(missing_ok=True)


def _make_room(folder: Path, bytes_max: int) -> None:
    """Removes the longest unused copies that nobody holds until what is there is within the bound."""
    entries: list[tuple[float, Path, int]] = []
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if not path.name.endswith(_LOCK):
                entries.append((path.stat().st_mtime, path, path.stat().st_size))
    total = sum(size for _, _, size in entries)
    for _, path, size in sorted(entries):
        if total <= bytes_max and not path.name.endswith(_WRITING):
            continue
        with (folder / f"{path.name.removesuffix(_WRITING)}{_LOCK}").open("ab") as lock:
            if _is_free(lock):
                path.unlink(missing_ok=True)
                total -= size


def _is_free(lock: BinaryIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
