"""Recorded files as streams of lines: compression by content, bounded memory, and errors that say what to do.

gzip and LZ4 frames are opened as they are read; nothing is ever held whole. Blocks of lines carry the number of their
first line, so that an error can name its line.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import stat
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

import lz4.frame
import numpy as np

from hlhft.data.errors import DataError

BLOCK_BYTES = 1 << 20
LINE_BYTES_MAX = 16 * 1024 * 1024  # the longest line seen is a 1000-level REST snapshot of 60 kB

Progress = Callable[[int, int], None]

_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"\x04\x22\x4d\x18": "lz4",
    b"PK\x03\x04": "zip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"PAR1": "parquet",
}
_SUFFIXES = {".gz": "gzip", ".lz4": "lz4", ".npz": "zip", ".zip": "zip", ".zst": "zstd", ".bz2": "bzip2",
             ".parquet": "parquet"}  # fmt: skip
_NEWLINE = 10
_READABLE = ("gzip", "lz4", "plain")


class ProgressMeter:
    """Adds up bytes read of several files and tells the caller; the total is known from the start."""

    def __init__(self, progress: Progress | None, bytes_total: int) -> None:
        self._progress = progress
        self._done: dict[str, int] = {}
        self._total = bytes_total

    def at(self, what: str, position: int) -> None:
        """`position` bytes of the named pass over one file are done."""
        self._done[what] = position
        if self._progress is not None:
            self._progress(min(sum(self._done.values()), self._total), self._total)


def open_file(path: Path) -> BinaryIO:
    """The file, opened for reading. Raises DataError when it is missing, no regular file, unreadable or empty."""
    try:
        # Opening a pipe would wait for its writer, and a recording is read more than once.
        if not stat.S_ISREG(mode := path.stat().st_mode) and not stat.S_ISDIR(mode):
            raise DataError(path, None, "this is a pipe or a device, expected a file, write the recording to one first")
        stream = path.open("rb")
    except FileNotFoundError:
        raise DataError(path, None, "there is no such file, give the path of a recording") from None
    except IsADirectoryError:
        raise DataError(path, None, "this is a folder, expected a file, give one of the recordings in it") from None
    except OSError as error:
        raise DataError(path, None, f"the file cannot be opened ({error.strerror}), give a readable file") from None
    if path.stat().st_size == 0:
        stream.close()
        raise DataError(path, None, "the file is empty, expected a recording, record or download it again")
    return stream


def compression(path: Path) -> str:
    """How the content is packed: gzip, lz4, zip, zstd, bzip2, parquet or plain.

    Raises DataError when the name says otherwise: such a file was damaged or misnamed, and guessing would hide it.
    """
    with open_file(path) as stream:
        head = stream.read(4)
    found = next((name for magic, name in _MAGIC.items() if head.startswith(magic)), "plain")
    named = _SUFFIXES.get(path.suffix.lower())
    if named is not None and named != found:
        raise DataError(
            path,
            None,
            f"the name says {named} but the content is {found}, expected {named}, download it again or rename it",
        )
    return found


class LineFile:
    """One recorded file, read as blocks of whole lines."""

    def __init__(self, path: Path) -> None:
        """Raises DataError when the file cannot be read as lines: missing, empty, or packed in another way."""
        self.path = path
        self.bytes_total = path.stat().st_size if path.is_file() else 0
        self.compression = compression(path)
        if self.compression not in _READABLE:
            raise DataError(
                path,
                None,
                f"the file is packed with {self.compression}, expected gzip, LZ4 or plain text, unpack it first",
            )

    def blocks(self, meter: ProgressMeter | None = None, what: str = "") -> Iterator[tuple[int, list[bytes]]]:
        """Yields (number of the first line, lines without their newline), about BLOCK_BYTES of text each.

        Raises DataError as `texts` does.
        """
        return ((first_line, text.split(b"\n")) for first_line, text in self.texts(meter, what))

    def texts(self, meter: ProgressMeter | None = None, what: str = "") -> Iterator[tuple[int, bytes]]:
        """Yields (number of the first line, whole lines without the last one's newline), about BLOCK_BYTES each.

        Raises DataError on damaged or cut-off compression, after the whole lines before it, and on a line longer than
        LINE_BYTES_MAX.
        """
        first_line = 1
        rest = b""
        fault = ""
        with open_file(self.path) as raw, self._unpacked(raw) as stream:
            while not fault:
                block, fault = self._read(stream)
                if meter is not None:
                    meter.at(what or str(self.path), raw.tell())
                if not block:
                    break
                cut = block.rfind(b"\n")
                if cut < 0:
                    rest += block
                    if len(rest) > LINE_BYTES_MAX:
                        raise DataError(
                            self.path,
                            first_line,
                            f"the line has more than {LINE_BYTES_MAX} bytes, expected a text recording",
                        )
                    continue
                text = rest + block[:cut]
                rest = block[cut + 1 :]
                yield first_line, text
                first_line += int(np.count_nonzero(np.frombuffer(text, dtype=np.uint8) == _NEWLINE)) + 1
        if fault:
            # The lines before it were given; what came of this one is not.
            raise DataError(
                self.path, first_line, f"the {self.compression} stream {fault}, expected a whole file, download or "
                "record it again",
            )  # fmt: skip
        if rest:
            yield first_line, rest

    def head(self, count: int) -> list[bytes]:
        """The first `count` lines, fewer when the file has fewer."""
        lines: list[bytes] = []
        for _, block in self.blocks():
            lines.extend(block[: count - len(lines)])
            if len(lines) >= count:
                break
        return lines

    def _unpacked(self, raw: BinaryIO) -> BinaryIO:
        if self.compression == "gzip":
            return cast(BinaryIO, gzip.GzipFile(fileobj=raw))
        if self.compression == "lz4":
            return cast(BinaryIO, lz4.frame.LZ4FrameFile(raw))
        return raw

    def _read(self, stream: BinaryIO) -> tuple[bytes, str]:
        """(the next BLOCK_BYTES, or what is left, or what comes before a fault; the fault in words, or nothing)."""
        pieces: list[bytes] = []
        held = 0
        try:
            while held < BLOCK_BYTES and (piece := self._piece(stream, BLOCK_BYTES - held)):
                pieces.append(piece)
                held += len(piece)
        except EOFError:
            return b"".join(pieces), "is cut off in this line"
        except (gzip.BadGzipFile, zlib.error, RuntimeError) as error:
            return b"".join(pieces), f"is damaged in this line ({error})"
        return b"".join(pieces), ""

    def _piece(self, stream: BinaryIO, bytes_max: int) -> bytes:
        # Reading at most once keeps what was unpacked before a fault; `read` would drop it with the exception.
        return cast(io.BufferedIOBase, stream).read1(bytes_max)


def fingerprint(files: tuple[Path, ...], reader: str, options: str) -> str:
    """32 hexadecimal digits over the contents of `files` in order, the reader's name and version, and its options."""
    digest = hashlib.blake2b(digest_size=16)
    for part in (reader, options):
        digest.update(part.encode() + b"\0")
    for path in files:
        digest.update(path.stat().st_size.to_bytes(8, "little"))
        with open_file(path) as stream:
            while block := stream.read(BLOCK_BYTES):
                digest.update(block)
    return digest.hexdigest()
