"""Where a node keeps what it writes: `{stream}{suffix}/hourly/{YYYYMMDD}/{H}` below its data folder.

The suffix says how lines are written (venue reference section 12): none for one event a line, `_by_block` for one line
a block, `_streaming` for blocks in lines of one event each, as public readers of such files name it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from hlhft.data.errors import DataError
from hlhft.data.node.decoding import Stream

FILES_MAX = 50_000  # hours of all streams: almost two years
SNAPSHOTS_MAX = 1_000
_FOLDERS = {
    Stream.DIFFS: "node_raw_book_diffs",
    Stream.STATUSES: "node_order_statuses",
    Stream.FILLS: "node_fills",
}
_DATE = re.compile(r"[0-9]{8}")
_HOUR = re.compile(r"([0-9]{1,2})(\.lz4|\.gz)?")
# The height is the first thing in a snapshot.
_HEIGHT = re.compile(rb"\s*\[\s*([0-9]{1,15})\s*,")


class Layout(Enum):
    """How lines are written; the value is the suffix of the folders."""

    BY_BLOCK = "_by_block"
    STREAMING = "_streaming"
    PLAIN = ""


class Hour(NamedTuple):
    """One file: sorted by time as it is."""

    date: str  # YYYYMMDD
    hour: int
    path: Path


class NodeFolder(NamedTuple):
    """A node's data folder, or a copy of it, in one layout."""

    root: Path
    layout: Layout
    streams: Mapping[Stream, Path]  # the folders of days; DIFFS is among them

    def hours(self, stream: Stream) -> list[Hour]:
        """The files of a stream in the order of time. Raises DataError."""
        return sorted(_hours(self.streams[stream]))


def _hours(days: Path) -> Iterator[Hour]:
    try:
        for day in days.iterdir():
            if _DATE.fullmatch(day.name):
                for path in day.iterdir():
                    found = _HOUR.fullmatch(path.name)
                    if found is not None and int(found[1]) < 24:
                        yield Hour(day.name, int(found[1]), path)
    except OSError as error:
        raise DataError(
            days, None, f"the node's files cannot be listed ({error.strerror}), make them readable"
        ) from None


def found_in(folder: Path) -> NodeFolder | None:
    """The node's files in `folder`, or in `data` or `hl/data` below it; None when it has no book changes.

    Of several layouts the one by block is taken, then the streaming one.
    """
    for root in (folder, folder / "data", folder / "hl" / "data"):
        for layout in Layout:
            streams = {
                stream: days
                for stream, name in _FOLDERS.items()
                if _is_folder(days := root / f"{name}{layout.value}" / "hourly")
            }
            if Stream.DIFFS in streams:
                return NodeFolder(root, layout, streams)
    return None


def _is_folder(path: Path) -> bool:
    """Whether it is one that can be seen: what may not be looked into is nobody's folder of a node yet."""
    try:
        return path.is_dir()
    except PermissionError:
        return False


def folder_at(folder: Path) -> NodeFolder:
    """As `found_in`. Raises DataError when there is nothing of a node's."""
    found = found_in(folder)
    if found is None:
        raise DataError(
            folder,
            None,
            "there are no book changes of a node (node_raw_book_diffs_by_block/hourly), run the node with "
            "--write-raw-book-diffs, --write-fills and --batch-by-block, or name its data folder",
        )
    return found


def snapshots_in(root: Path) -> list[tuple[int, Path]]:
    """(height, file) of the snapshots beside the files, by height: `*snapshot*.json` and `snapshots/*.json`.

    What does not begin with a height is none. Raises DataError when there are more than SNAPSHOTS_MAX.
    """
    paths = [*root.glob("*snapshot*.json"), *(root / "snapshots").glob("*.json")]
    if len(paths) > SNAPSHOTS_MAX:
        raise DataError(root, None, f"there are more than {SNAPSHOTS_MAX} snapshots, take older ones away")
    found = []
    for path in paths:
        height = height_of(path)
        if height is not None:
            found.append((height, path))
    return sorted(found)


def height_of(path: Path) -> int | None:
    """The height that a snapshot begins with, None when it does not. Raises DataError when it cannot be read."""
    try:
        with path.open("rb") as stream:
            found = _HEIGHT.match(stream.read(64))
    except OSError as error:
        raise DataError(path, None, f"the snapshot cannot be read ({error.strerror}), make it readable") from None
    return None if found is None else int(found[1])
