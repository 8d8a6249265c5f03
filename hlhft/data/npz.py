"""Arrays in .npz files, row by row: neither reading nor writing holds the whole array."""

from __future__ import annotations

import json
import shutil
import tempfile
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from hlhft.data.errors import DataError
from hlhft.data.files import open_file

ROWS_AT_ONCE = 65_536
TEXT_BYTES_MAX = 16 * 1024 * 1024
Rows = NDArray[np.void]
# What reading a zip file of any content may raise; OSError is for places outside the file.
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError)


def members(path: Path) -> list[str]:
    """The names in the archive. Raises DataError when it is none."""
    with open_file(path) as raw:
        try:
            with zipfile.ZipFile(raw) as archive:
                return archive.namelist()
        except _DAMAGED as error:
            raise _damaged(path, error) from None


def rows_of(
    path: Path, member: str, dtype: np.dtype[np.void], *, at: Callable[[int], None] = lambda position: None
) -> Iterator[Rows]:
    """The rows of the one-dimensional array `member` (without .npy), ROWS_AT_ONCE each.

    `at` is told the position in the file. Raises DataError when the member is missing, has another dtype or shape, or
    is damaged or cut off.
    """
    with open_file(path) as raw:
        try:
            with zipfile.ZipFile(raw) as archive, archive.open(f"{member}.npy") as stream:
                count = _header(stream, path, member, dtype)
                done = 0
                while done < count:
                    wanted = min(ROWS_AT_ONCE, count - done) * dtype.itemsize
                    data = stream.read(wanted)
                    if len(data) != wanted:
                        raise EOFError(f"{done + len(data) // dtype.itemsize} of {count} rows are there")
                    done += wanted // dtype.itemsize
                    at(raw.tell())
                    yield np.frombuffer(data, dtype=dtype)
        except KeyError:
            raise DataError(
                path, None, f"there is no member {member}, expected an array of that name, give another file"
            ) from None
        except _DAMAGED as error:
            raise _damaged(path, error) from None


def text_of(path: Path, member: str) -> bytes:
    """The bytes of a small member. Raises DataError when it is missing, damaged or above TEXT_BYTES_MAX."""
    with open_file(path) as raw:
        try:
            with zipfile.ZipFile(raw) as archive, archive.open(member) as stream:
                text = stream.read(TEXT_BYTES_MAX + 1)
        except KeyError:
            raise DataError(
                path, None, f"there is no member {member}, expected it beside the array, convert the data again"
            ) from None
        except _DAMAGED as error:
            raise _damaged(path, error) from None
    if len(text) > TEXT_BYTES_MAX:
        raise DataError(path, f"member {member}", f"it has more than {TEXT_BYTES_MAX} bytes, expected a small text")
    return text


def write(
    path: Path,
    member: str,
    arrays: Iterable[Rows],
    dtype: np.dtype[np.void],
    *,
    texts: Mapping[str, object] | None = None,
) -> int:
    """Writes the rows as one array `member` and `texts` as JSON members; returns the number of rows.

    Equal rows and texts give equal bytes. The file appears under its name when complete; an earlier one stays until
    then. Rows are spooled beside it first, because an array's header names the number of rows. Raises DataError when it
    cannot be written.
    """
    partial = path.with_name(path.name + ".partial")
    count = 0
    try:
        with tempfile.TemporaryFile(dir=path.parent) as spool:
            for array in arrays:
                if array.dtype != dtype:
                    raise ValueError(f"rows have dtype {array.dtype}, expected {dtype}")
                spool.write(np.ascontiguousarray(array).tobytes())
                count += len(array)
            spool.seek(0)
            with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                for name, content in (texts or {}).items():
                    # Not writestr: it records the time of day, and two writings of the same rows would differ.
                    with archive.open(name, "w") as stream:
                        stream.write(json.dumps(content, indent=1, sort_keys=True).encode())
                with archive.open(f"{member}.npy", "w", force_zip64=True) as stream:
                    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (count,)}
                    np.lib.format.write_array_header_1_0(stream, header)
                    shutil.copyfileobj(spool, stream, 1 << 20)
        partial.replace(path)
    except OSError as error:
        raise DataError(
            path, None, f"the file cannot be written ({error.strerror}), give a name in a folder with room"
        ) from None
    finally:
        partial.unlink(missing_ok=True)
    return count


def _header(stream: IO[bytes], path: Path, member: str, dtype: np.dtype[np.void]) -> int:
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, found = read(stream)
    except (ValueError, SyntaxError, tokenize.TokenError) as error:
        raise DataError(path, f"member {member}", f"it is no array ({error}), expected one, write it again") from None
    if found.names != dtype.names or found.itemsize != dtype.itemsize or found != dtype:
        raise DataError(
            path,
            f"member {member}",
            f"its columns are {_columns(found)}, expected {_columns(dtype)}, give another file",
        )
    if len(shape) != 1:
        raise DataError(path, f"member {member}", f"it has {len(shape)} dimensions, expected 1, give another file")
    return int(shape[0])


def _columns(dtype: np.dtype[np.void]) -> str:
    return ", ".join(f"{name} {dtype[name]}" for name in dtype.names) if dtype.names else str(dtype)


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(
        path, None, f"the archive is damaged or cut off ({error}), expected a whole .npz, write or download it again"
    )
