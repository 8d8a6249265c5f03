"""How a node is, as its files say: which layout it writes, its newest block, and how old that is. For `hlhft doctor`.

Only the heads of the last whole lines are read, of every stream that books and trades come from.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from hlhft.data.times import utc_ns

STREAMS = ("node_raw_book_diffs", "node_order_statuses", "node_fills")
SUFFIXES = ("_by_block", "_streaming", "")  # the first that is there is followed, as by hlhft.data.node.layout
TAIL_BYTES = 1 << 20
TAIL_BYTES_MAX = 1 << 26  # a line that is longer is none
_TIME = re.compile(rb'"block_time":\s*"([^"]{1,40})"')
_LOCAL = re.compile(rb'"local_time":\s*"([^"]{1,40})"')
_HEIGHT = re.compile(rb'"block_number":\s*(\d{1,18})[,}]')
_HEAD_BYTES = 400


class Newest(NamedTuple):
    """What the last whole line of a stream says: its block, and when the node wrote it."""

    path: Path
    height: int
    block_ns: int
    local_ns: int


def folder_of(data: Path, stream: str) -> Path | None:
    """The folder of a stream's hours, of the layout that is followed; None when there is none."""
    found = (data / f"{stream}{suffix}" / "hourly" for suffix in SUFFIXES)
    return next((folder for folder in found if folder.is_dir()), None)


def newest(hourly: Path) -> Newest | None:
    """The newest block of a stream whose lines name blocks; None when there is none. Raises OSError."""
    files = [path for path in hourly.glob("*/*") if path.name.isdecimal() and path.parent.name.isdecimal()]
    files.sort(key=lambda path: (path.parent.name, int(path.name)), reverse=True)
    for path in files[:2]:  # the newest may have been opened a moment ago, and hold no whole line
        line = _last_line(path)
        time, local, height = (pattern.search(line) for pattern in (_TIME, _LOCAL, _HEIGHT))
        if time is None or local is None or height is None:
            continue
        try:
            return Newest(path, int(height[1]), utc_ns(time[1].decode()), utc_ns(local[1].decode()))
        except (ValueError, UnicodeDecodeError):
            continue
    return None


def _last_line(path: Path) -> bytes:
    """The head of the last line that has ended; empty when none has."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        length = TAIL_BYTES
        while True:
            stream.seek(max(size - length, 0))
            tail = stream.read(min(length, size))
            end = tail.rfind(b"\n")
            begin = tail.rfind(b"\n", 0, max(end, 0))
            if end >= 0 and (begin >= 0 or length >= size):
                return tail[begin + 1 : end][:_HEAD_BYTES]
            if length >= min(size, TAIL_BYTES_MAX):
                return b""
            length *= 4
