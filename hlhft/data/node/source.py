"""A node's files as a recording: trades, every level with the order that changed it, and the touch.

A snapshot says where the books begin, the files what changes after it. Where blocks are missing or lines cannot be
read the books are cleared and begin again with the next snapshot; without one that is an error. A torn last line,
which a node that still writes leaves for a moment, is left out and counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hlhft.data.errors import DataError
from hlhft.data.files import LineFile, ProgressMeter
from hlhft.data.markets import find, known
from hlhft.data.merge import Events, Numbered
from hlhft.data.node.decoding import Decoded, Decoder, Stream
from hlhft.data.node.formats import read_snapshot
from hlhft.data.node.joining import Joined, Joiner
from hlhft.data.node.layout import FILES_MAX, Layout, NodeFolder, folder_at, height_of, snapshots_in
from hlhft.data.sources import Source, market_for
from hlhft.units import Market

EMPTY = "empty"  # instead of a snapshot: no order rests before the first block
_OPTIONS = ("coins", "snapshot", "hidden_users")
_COIN = re.compile(rb'"coin":"([^"\\]{1,64})"')
_PLACES_MAX = 4_000_000  # lines of changes whose place in their file is kept, to name it


class NodeSource(Source):
    """The files of one node, all hours that are there from the snapshot on."""

    reader = "node-1"

    def __init__(
        self,
        folder: NodeFolder,
        markets: Sequence[Market],
        snapshots: Sequence[tuple[int, Path]],
        *,
        begins_empty: bool = False,
        hidden_users: Sequence[str] = (),
    ) -> None:
        """`snapshots` by height; none is asked for where it `begins_empty`. Raises DataError when there is no
        file, ValueError as hlhft.data.node.decoding.Decoder."""
        self._hours = {stream: folder.hours(stream) for stream in folder.streams}
        files = [hour.path for hours in self._hours.values() for hour in hours]
        if not self._hours[Stream.DIFFS] or len(files) > FILES_MAX:
            raise DataError(
                folder.root,
                None,
                f"there are {len(files)} files of a node's hours, expected book changes and at most {FILES_MAX}",
            )
        options = {"begins_empty": begins_empty, "hidden_users": sorted(user.lower() for user in hidden_users)}
        super().__init__(folder.root.name, [*files, *(path for _, path in snapshots)], markets, options)
        self.folder = folder
        self._snapshots = tuple(snapshots)
        self._begins_empty = begins_empty
        self._hidden = tuple(hidden_users)
        self._decoder = Decoder(markets, hidden_users=hidden_users)
        self._by_name = {market.name: market for market in markets}

    def _arrays(self, meter: ProgressMeter) -> Iterator[Events]:
        for joined, _ in self._joined(meter):
            if len(joined.events):
                yield joined.events

    def joined(self, meter: ProgressMeter, *, hourly: bool = False) -> Iterator[Joined]:
        """The frames in bounded pieces; with `hourly` as hlhft.data.node.joining.Joiner. Raises DataError."""
        return (joined for joined, _ in self._joined(meter, hourly=hourly))

    def numbered(self, meter: ProgressMeter) -> Iterator[tuple[Path, Numbered]]:
        """The events with the first line of their block among the book changes."""
        for joined, places in self._joined(meter):
            if len(joined.events) == 0:
                continue
            counts = np.diff(joined.frames["events_end"], prepend=0)
            heights = np.repeat(joined.frames["height"], counts)
            begin = 0
            for path, end, lines in places.split(heights):
                yield path, Numbered(joined.events[begin:end], lines)
                begin = end

    def _joined(self, meter: ProgressMeter, *, hourly: bool = False) -> Iterator[tuple[Joined, _Places]]:
        joiner = Joiner(self.markets, self._hours, by_block=self.folder.layout is Layout.BY_BLOCK, hourly=hourly)
        places = _Places()
        waiting = list(self._snapshots)
        readers = {stream: self._texts(stream, meter) for stream in self._hours}
        if self._begins_empty:
            joiner.begin_empty()
        try:
            while readers:
                stream = min(readers, key=joiner.newest)
                read = next(readers[stream], None)
                if read is None:
                    del readers[stream]
                    joiner.end(stream)
                else:
                    path, first, text, is_last = read
                    decoded = self._readable(self._decoder.read(stream, text), path, first, is_last)
                    if stream is Stream.DIFFS:
                        places.add(path, first, decoded.lines["height"])
                    joiner.add(stream, decoded)
                yield from self._taken(joiner, waiting, places, is_over=not readers)
        finally:
            self.counts.update(joiner.counts)

    def _taken(
        self, joiner: Joiner, waiting: list[tuple[int, Path]], places: _Places, *, is_over: bool
    ) -> Iterator[tuple[Joined, _Places]]:
        """What can be told now, with what a snapshot lets begin; `waiting` loses the snapshots that were looked at."""
        while True:
            joined = joiner.take()
            if len(joined.events) or len(joined.blocks):
                yield joined, places
                continue
            if not joiner.needs_snapshot:
                return
            while waiting and joiner.lost is not None and waiting[0][0] < joiner.lost.height:
                waiting.pop(0)
            if not waiting:
                raise self._lost(joiner, places)
            # A snapshot of a later time than what was read so far waits for its block.
            if joiner.newest(Stream.DIFFS) < waiting[0][0] and not is_over:
                return
            _, path = waiting.pop(0)
            joiner.load(read_snapshot(path, self._by_name), hidden_users=self._hidden)

    def _lost(self, joiner: Joiner, places: _Places) -> DataError:
        if joiner.lost is None:
            newest, path = self._snapshots[-1] if self._snapshots else (-1, self.folder.root)
            return DataError(
                path,
                None,
                f"the snapshot of block {newest} and the book changes do not meet, take a snapshot while the node "
                "writes them",
            )
        path, line = places.of(joiner.lost.height) or (self.folder.root, None)
        return DataError(
            path,
            line,
            f"{joiner.lost.message}, and no later snapshot says what the books are from there on, take one",
        )

    def _readable(self, decoded: Decoded, path: Path, first: int, is_last: bool) -> Decoded:
        """The same without a torn last line. Raises DataError for others where no snapshot can help."""
        if decoded.unreadable == 0:
            return decoded
        fault = decoded.faults[-1]
        if is_last and decoded.unreadable <= len(decoded.faults) and fault.lines_before == len(decoded.lines):
            self.counts["torn_last_line"] += 1
            decoded = decoded._replace(unreadable=decoded.unreadable - 1, faults=decoded.faults[:-1])
        if decoded.unreadable and not self._snapshots:
            fault = decoded.faults[0]
            raise DataError(path, first + fault.place, f"{fault.message}, drop the block and take a snapshot after it")
        return decoded

    def _texts(self, stream: Stream, meter: ProgressMeter) -> Iterator[tuple[Path, int, bytes, bool]]:
        """(file, number of the first line, whole lines, whether the stream may end with them) of every hour."""
        hours = self._hours[stream]
        for number, hour in enumerate(hours):
            if hour.path.stat().st_size == 0:
                continue
            is_last = number == len(hours) - 1
            for first, lines in LineFile(hour.path).blocks(meter, f"{stream.name} {hour.date} {hour.hour}"):
                yield hour.path, first, b"\n".join([*lines, b""]), is_last


class _Places:
    """Where the blocks of the newest book changes stand."""

    def __init__(self) -> None:
        self._held: list[tuple[Path, int, NDArray[np.int64]]] = []
        self._lines = 0

    def add(self, path: Path, first: int, heights: NDArray[np.int64]) -> None:
        """Remembers lines from number `first` on; the oldest are forgotten."""
        if len(heights):
            self._held.append((path, first, heights))
            self._lines += len(heights)
            while self._lines > _PLACES_MAX and len(self._held) > 1:
                self._lines -= len(self._held.pop(0)[2])

    def of(self, height: int) -> tuple[Path, int] | None:
        """(file, line) of the first line of a block or, where that is missing, of the next one."""
        for path, first, heights in self._held:
            if heights[-1] >= height:
                return path, first + int(np.searchsorted(heights, height))
        if not self._held:
            return None
        path, first, heights = self._held[-1]
        return path, first + len(heights) - 1

    def split(self, heights: NDArray[np.int64]) -> Iterator[tuple[Path, int, NDArray[np.int64]]]:
        """(file, end, line numbers) of runs of `heights` (never falling) that stand in one file."""
        begin = 0
        for number, (path, first, held) in enumerate(self._held):
            is_last = number == len(self._held) - 1
            end = len(heights) if is_last else int(np.searchsorted(heights, held[-1], side="right"))
            if end > begin:
                lines = first + np.minimum(np.searchsorted(held, heights[begin:end]), len(held) - 1)
                yield path, end, lines
                begin = end


def open_node(
    path: Path, market: Market | None, specification: Mapping[str, Market] | None, options: Mapping[str, Any]
) -> NodeSource:
    """The source of a node's folder: of `market`, of `coins` (an option, names), or of every coin of the specification
    that changes in it.

    Options beside `coins`: `snapshot`, a file, or "empty" where no order rests before the first block (default: the
    snapshots beside the files), and `hidden_users`, addresses whose orders are left out of the books. Raises DataError.
    """
    unknown = [name for name in options if name not in _OPTIONS]
    if unknown:
        raise DataError(path, None, f"the reader of a node's files has no option {unknown[0]}, it has coins, snapshot")
    folder = folder_at(path)
    snapshots, begins_empty = _snapshots(folder, options.get("snapshot"))
    if market is not None:
        markets = [market]
    elif "coins" in options:
        markets = [market_for(path, coin, specification) for coin in options["coins"]]
    else:
        markets = _markets_in(folder, known() if specification is None else specification)
    try:
        return NodeSource(
            folder, markets, snapshots, begins_empty=begins_empty, hidden_users=tuple(options.get("hidden_users", ()))
        )
    except ValueError as error:
        raise DataError(path, None, str(error)) from None


def _snapshots(folder: NodeFolder, wanted: Path | str | None) -> tuple[list[tuple[int, Path]], bool]:
    """(snapshots by height, whether the books begin empty)."""
    if wanted == EMPTY:
        return [], True
    if folder.layout is Layout.PLAIN:
        raise DataError(
            folder.root,
            None,
            "the node wrote no block numbers, so no snapshot can be put beside its lines, run it with "
            '--batch-by-block, or say snapshot "empty" if no order rested before the first line',
        )
    if wanted is None:
        found = snapshots_in(folder.root)
        if not found:
            raise DataError(
                folder.root,
                None,
                "there is no order-level snapshot beside the files, ask the node for one (fileSnapshot with "
                "l4Snapshots and includeHeightInOutput, outPath FOLDER/snapshot.json)",
            )
        return found, False
    height = height_of(Path(wanted))
    if height is None:
        raise DataError(wanted, None, "the snapshot names no height, take it again with includeHeightInOutput")
    return [(height, Path(wanted))], False


def _markets_in(folder: NodeFolder, table: Mapping[str, Market]) -> list[Market]:
    """The coins of the first megabytes of book changes that the table knows, by name."""
    coins: set[bytes] = set()
    for hour in folder.hours(Stream.DIFFS):
        if hour.path.stat().st_size == 0:
            continue
        for number, (_, lines) in enumerate(LineFile(hour.path).blocks()):
            for line in lines:
                coins.update(_COIN.findall(line))
            if number == 3:
                break
        break
    markets = [find(name, table) for coin in sorted(coins) if (name := coin.decode(errors="replace")) in table]
    if not markets:
        raise DataError(
            folder.root, None, "no coin of the node's files is in the market specification, give a fuller specification"
        )
    return markets
