"""The file in which an exchange keeps its state between runs, written whole or not at all, with a checksum."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

MAGIC = b"hlhft exchange state 2\n"
STATE_BYTES_MAX = 1 << 30


class StateFileError(ValueError):
    """A file that holds no state of this exchange."""


def check_writable(path: Path) -> None:
    """Raises OSError when no state could be written there, so that nobody learns it at the end of a long run."""
    with _beside(path).open("wb"):
        pass
    _beside(path).unlink()


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Writes the state beside `path` and then puts it in its place. Raises OSError, and leaves what was there."""
    body = msgspec.msgpack.encode(state)
    temporary = _beside(path)
    try:
        with temporary.open("wb") as stream:
            stream.write(MAGIC + hashlib.sha256(body).digest() + body)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".new")


def read_state(path: Path) -> dict[str, Any]:
    """The state in the file. Raises StateFileError when it is damaged or something else, OSError when unreadable."""
    with path.open("rb") as stream:
        content = stream.read(STATE_BYTES_MAX + 1)
    if len(content) > STATE_BYTES_MAX:
        raise StateFileError(f"{path}: larger than {STATE_BYTES_MAX} bytes, so it is no state of an exchange")
    head, digest, body = content[: len(MAGIC)], content[len(MAGIC) :][:32], content[len(MAGIC) + 32 :]
    if head != MAGIC:
        raise StateFileError(f"{path}: does not begin as a state of this version of the exchange, give another file")
    if hashlib.sha256(body).digest() != digest:
        raise StateFileError(f"{path}: the checksum does not match, the file is damaged; give another file")
    state = msgspec.msgpack.decode(body)
    assert isinstance(state, dict), "the checksum was that of a state"
    return state
