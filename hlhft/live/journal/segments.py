"""The files of a journal: their names, how one is made with all its room, and how one is read piece by piece.

A folder holds, for each segment, one or two of these:

| name | what |
| --- | --- |
| `s0000000007-000003.journal` | as it is written: preallocated, records and then zeros |
| `s0000000007-000003.journal.zst` | closed and compressed: every record |
| `s0000000007-000003.ledger.zst` | closed and compressed: every record without market data |

The first number is the session, the second the segment within it, so names sort in the order of writing. Files are
readable by their owner only.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import re
from collections.abc import Iterator
from contextlib import closing
from enum import Enum
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from hlhft.data.writing import sync_folder

FOLDER_MODE, FILE_MODE = 0o700, 0o600
PIECE_BYTES = 1 << 20
PAGE_BYTES = mmap.PAGESIZE
FILES_MAX = 100_000  # of one folder; more means that retention does not work
_NAME = re.compile(r"s(\d{10})-(\d{6})(\.journal|\.journal\.zst|\.ledger\.zst)")
_MADV_DONTNEED, _MADV_POPULATE_WRITE = 4, 23  # linux/mman.h; the second is known since Linux 5.14
_madvise = ctypes.CDLL(None, use_errno=True).madvise
_madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
# What reading a compressed file of any content may raise.
_DAMAGED = (OSError, pa.ArrowException)


class JournalError(Exception):
    """A journal that cannot be opened, written or read as it is: one sentence."""


class JournalFull(JournalError):
    """There is no room for the record: trading must halt, and what cancels goes out without it."""


class Form(Enum):
    """What a file of a journal is."""

    OPEN = ".journal"
    WHOLE = ".journal.zst"
    LEDGER = ".ledger.zst"


class Name(NamedTuple):
    """Which segment; names sort in the order of writing."""

    session: int
    number: int

    def file(self, form: Form) -> str:
        """The file's name."""
        return f"s{self.session:010}-{self.number:06}{form.value}"


class File(NamedTuple):
    """A file that a journal's folder holds."""

    name: Name
    form: Form
    path: Path
    bytes: int  # on disk
    modified_ns: int


def parse_name(text: str) -> tuple[Name, Form] | None:
    """What a file's name says; None when it is none of a journal's."""
    found = _NAME.fullmatch(text)
    return (Name(int(found[1]), int(found[2])), Form(found[3])) if found else None


def files(folder: Path) -> list[File]:
    """The journal's files in the folder, in order of writing. Raises JournalError when there are too many."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            parsed = parse_name(entry.name)
            if parsed is not None and entry.is_file(follow_symlinks=False):
                status = entry.stat()
                found.append(File(*parsed, Path(entry.path), status.st_blocks * 512, status.st_mtime_ns))
    if len(found) > FILES_MAX:
        raise JournalError(f"{folder}: more than {FILES_MAX} files of a journal; move the old ones elsewhere")
    return sorted(found, key=lambda file: (file.name, file.form.value))


def prepare_folder(folder: Path) -> None:
    """The folder is there, and its owner's only. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
    folder.chmod(FOLDER_MODE)


class Segment:
    """A new segment with all its room on disk, mapped into memory: what is copied into `view` survives this process.

    Raises JournalFull when the disk has no room for it, JournalError when the file is there already, OSError.
    """

    def __init__(self, folder: Path, name: Name, size: int) -> None:
        assert size % PAGE_BYTES == 0
        self.name = name
        self.size = size
        self.path = folder / name.file(Form.OPEN)
        try:
            self.descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        except FileExistsError:
            raise JournalError(
                f"{self.path}: the file is there already, so its session number was given out before; the store is"
                " older than the journal"
            ) from None
        try:
            # All room is taken now: a full disk is an error here, and no signal when memory is written.
            os.posix_fallocate(self.descriptor, 0, size)
            sync_folder(folder)
        except OSError as error:
            self._remove()
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise JournalFull(
                    f"{folder}: there is no room for another {size >> 20} MiB of journal ({error.strerror}); free some"
                    " or lower journal.total_gib_max"
                ) from None
            raise
        self._map = mmap.mmap(self.descriptor, size)
        self._address = np.frombuffer(self._map, np.uint8).ctypes.data
        self.view = memoryview(self._map)
        self._dropped = 0
        self.populates = True  # until the kernel says that it does not know how

    def ahead(self, at: int, distance: int) -> None:
        """Makes the page at `at` and those up to `distance` bytes behind it ready to be written, so that the writer
        does not wait for the file system; where the kernel cannot, nothing happens."""
        start = at // PAGE_BYTES * PAGE_BYTES
        end = min(-(-(at + distance) // PAGE_BYTES) * PAGE_BYTES, self.size)
        if self.populates and end > start:
            self.populates = _madvise(self._address + start, end - start, _MADV_POPULATE_WRITE) == 0

    def behind(self, at: int) -> None:
        """Lets go of the memory of pages that are full: they are in the file, and this process never reads them."""
        end = at // PAGE_BYTES * PAGE_BYTES
        if end - self._dropped >= PIECE_BYTES:
            _madvise(self._address + self._dropped, end - self._dropped, _MADV_DONTNEED)
            self._dropped = end

    def sync(self) -> None:
        """Everything in it survives a power cut. Raises OSError."""
        os.fdatasync(self.descriptor)

    def close(self, *, truncate_at: int | None = None) -> None:
        """Unmaps it; the file stays, cut to `truncate_at` bytes where that is given. Raises OSError."""
        self.behind(self.size)
        self.view.release()
        self._map.close()
        try:
            if truncate_at is not None:
                os.ftruncate(self.descriptor, truncate_at)
                os.fsync(self.descriptor)
        finally:
            os.close(self.descriptor)

    def discard(self) -> None:
        """Unmaps and removes it: nothing was written."""
        self.close()
        self.path.unlink()

    def _remove(self) -> None:
        os.close(self.descriptor)
        self.path.unlink()


def pieces(path: Path) -> Iterator[bytes]:
    """The content of a segment's file, unpacked, about PIECE_BYTES at a time.

    Raises JournalError when it cannot be opened, or its compression is damaged: after the pieces before the damage.
    """
    try:
        raw = pa.OSFile(str(path), "rb")
    except OSError as error:
        raise JournalError(f"{path}: the file cannot be opened ({error.strerror or error})") from None
    with closing(raw):
        stream = pa.CompressedInputStream(raw, "zstd") if path.suffix == ".zst" else raw
        while True:
            try:
                piece = stream.read(PIECE_BYTES)
            except _DAMAGED as error:
                raise JournalError(f"{path}: the compression is damaged ({error})") from None
            if not piece:
                return
            yield piece
