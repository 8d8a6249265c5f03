"""One mining at a time in a catalogue: a lock that the system lets go when its process ends, however it ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hlhft.data.mining.errors import MiningError

NAME = ".mine.lock"
_PID_BYTES_MAX = 20


@contextmanager
def only_one(root: Path) -> Iterator[None]:
    """Holds the lock of the catalogue `root`, which is made if need be. Raises MiningError naming who holds it.

    The file stays: removing it would let two processes hold the lock of two files of that name.
    """
    path = root / NAME
    try:
        root.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise MiningError(
            f"{path}: the catalogue cannot be written ({error.strerror}), give a folder that can (--catalogue)"
        ) from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(handle, _PID_BYTES_MAX).decode("ascii", "replace").strip() or "unknown"
            raise MiningError(
                f"{root}: process {holder} is mining into this catalogue, wait for it or choose another (--catalogue)"
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)
