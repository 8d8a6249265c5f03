"""Raw files: lines `<local ns> <json>` in LZ4 blocks, under another name until complete.

Each block is an LZ4 frame of its own with a checksum, of whole lines. So of a file that a killed recorder left, all up
to its last whole block is good, and what is behind it is cut off. `hlhft.data.readers.websocket_log` reads such files.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import lz4.frame

from hlhft.data.errors import DataError
from hlhft.data.files import BLOCK_BYTES, LineFile
from hlhft.data.recorder.hours import writing_path
from hlhft.data.writing import sync_folder

BUFFER_BYTES_MAX = 1 << 18  # of lines that wait for their block
LOCK_NAME = ".recorder.lock"


class RawFile:
    """One file being written. A context manager: leaving it without `seal` leaves it unfinished on the disk, whole up
    to its last block."""

    def __init__(self, path: Path) -> None:
        """`path` is the file's final name. Raises DataError when it cannot be made, or is there already."""
        self.path = path
        self.bytes_written = 0
        self.is_synced = True
        self._lines: list[bytes] = []
        self._waiting_bytes = 0
        self._descriptor = -1
        if path.exists() or writing_path(path).exists():
            raise DataError(path, None, "a recording of this name is there already, start again in a second")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(writing_path(path), os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o644)
        except OSError as error:
            raise refusal(path, error) from None

    def __enter__(self) -> RawFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close()

    def add(self, local_ns: int, text: bytes) -> None:
        """One line; written with its block. Line ends in the text become spaces, which JSON does not mind. Raises
        DataError when the disk refuses: then the file is whole up to the block before."""
        line = b"%d %b\n" % (local_ns, text.replace(b"\n", b" ").replace(b"\r", b" "))
        self._lines.append(line)
        self._waiting_bytes += len(line)
        if self._waiting_bytes >= BUFFER_BYTES_MAX:
            self.flush()

    def flush(self) -> None:
        """Everything added so far survives this process. Raises DataError as `add`, and what was added is lost then."""
        if not self._lines:
            return
        lines, self._lines, self._waiting_bytes = self._lines, [], 0
        block = lz4.frame.compress(b"".join(lines), content_checksum=True, store_size=False)
        try:
            self._write(block)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self.bytes_written)
            raise refusal(self.path, error) from None
        self.bytes_written += len(block)
        self.is_synced = False

    def sync(self) -> None:
        """Everything flushed so far survives a loss of power. Raises DataError."""
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            raise refusal(self.path, error) from None
        self.is_synced = True

    def seal(self) -> None:
        """Completes the file under its name. Raises DataError."""
        self.flush()
        self.sync()
        self._close()
        complete(self.path)

    def _write(self, block: bytes) -> None:
        view = memoryview(block)
        while view:
            view = view[os.write(self._descriptor, view) :]

    def _close(self) -> None:
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)


def complete(path: Path) -> None:
    """Gives an unfinished file its final name `path`. Raises DataError."""
    try:
        writing_path(path).rename(path)
        sync_folder(path.parent)
    except OSError as error:
        raise refusal(path, error) from None


def cut_to_whole_blocks(path: Path) -> int:
    """Cuts off what is behind the last whole block of a file, on the disk itself; returns the bytes left. Raises
    DataError."""
    try:
        with path.open("r+b") as file:
            whole = _whole_bytes(iter(lambda: file.read(BLOCK_BYTES), b""))
            file.truncate(whole)
            os.fsync(file.fileno())
    except OSError as error:
        raise refusal(path, error) from None
    return whole


def lines_of(path: Path) -> Iterator[tuple[int, bytes]]:
    """(local ns, json) of each line of a whole file. Raises DataError for one that is none."""
    for first, lines in LineFile(path).blocks():
        for number, line in enumerate(lines, first):
            clock, _, text = line.partition(b" ")
            if not clock.isdigit() or not text:
                raise DataError(path, number, "the line is not `<local ns> <json>`, set the file aside")
            yield int(clock), text


class Lock:
    """One recorder a folder: held until closed, or until the process ends in any way."""

    def __init__(self, folder: Path) -> None:
        """Raises DataError when another recorder has the folder, or it cannot be made."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise refusal(folder, error) from None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise DataError(folder, None, "another recorder writes here, stop it or give another folder") from None

    def close(self) -> None:
        """Lets another have the folder."""
        os.close(self._descriptor)


def refusal(path: Path, error: OSError) -> DataError:
    """The sentence about a file that the disk refuses."""
    reason = error.strerror or str(error)
    return DataError(path, None, f"the recording cannot be written ({reason}), make room or give another folder")


def _whole_bytes(pieces: Iterator[bytes]) -> int:
    """How many bytes the whole blocks at the beginning of a file have."""
    whole = read = 0
    decompressor = lz4.frame.LZ4FrameDecompressor()
    for piece in pieces:
        read += len(piece)
        data = piece
        while data:
            try:
                decompressor.decompress(data)
            except RuntimeError:
                return whole  # what is behind a damaged block cannot be found
            if not decompressor.eof:
                break
            data = decompressor.unused_data or b""
            whole = read - len(data)
            decompressor = lz4.frame.LZ4FrameDecompressor()
    return whole
