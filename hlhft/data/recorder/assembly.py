"""From the lines of one hour's raw file to its parts: the one way, live and when a file is read again after a kill.

What is written depends on the lines alone, so that a rebuilt part equals the one that a recorder would have written:
each frame is decoded, its rows go to the part of its coin and kind, repeated trades are left out, marks say what is
missing. Clocks, sockets and the disk's condition are the caller's.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np

from hlhft.data.catalogue.layout import BBO, BOOK, CONTEXT, TRADE, PartKey
from hlhft.data.catalogue.manifest import MEASURED, Clock, Manifest
from hlhft.data.catalogue.parts import PartWriter
from hlhft.data.merge import Events
from hlhft.data.recorder.cover import Cover
from hlhft.data.recorder.hours import SECOND_NS, Hour
from hlhft.data.recorder.latency import Latencies
from hlhft.data.recorder.marks import Begin, Down, Lost, Mark, Odd, Stale, Standing, read
from hlhft.data.sessions import TradeMemory, without_rows
from hlhft.data.tally import Tally
from hlhft.events import EventKind
from hlhft.hyperliquid.decode import Decoder
from hlhft.units import Market

CLOCK_BY = "this recorder"
AHEAD_NS_MAX = (
    3_600 * SECOND_NS
)  # of a block's time before the local clock; what claims more would hide all that follows
HELD_ROWS_MAX = 4_096  # of a stream, before they go to its part together
KIND_OF = {
    int(EventKind.SNAPSHOT_BEGIN): BOOK,
    int(EventKind.BBO): BBO,
    int(EventKind.TRADE): TRADE,
    int(EventKind.ASSET_CONTEXT): CONTEXT,
}
_CONTEXT = int(EventKind.ASSET_CONTEXT)


class _Stream:
    """One coin's kind in this hour."""

    def __init__(self, market: Market, cover: Cover) -> None:
        self.market = market
        self.cover = cover
        self.latencies = Latencies()
        self.tally = Tally()
        self.memory = TradeMemory()
        self.writer: PartWriter | None = None
        self.held: list[Events] = []
        self.held_rows = 0
        self.is_backfill = True  # the next trades are those that a subscription begins with


class Assembler:
    """The parts of one hour. A context manager: leaving it without `finish` leaves nothing of them.

    Memory is bounded by what PartWriter holds of each stream; streams are as many as coins times four.
    """

    def __init__(self, catalogue: Path, begin: Begin) -> None:
        """`begin` is the file's first mark. Opens nothing yet."""
        self.begin = begin
        self.hour = Hour(begin.hour, begin.session)
        self.newest_ns = begin.newest_ns
        self.faults = 0  # frames that could not be decoded, or are of a time that cannot be
        self.frames = 0
        self.events = 0
        self.gaps = 0  # times that something began to be missing
        self._catalogue = catalogue
        self._decoder = Decoder(begin.markets)
        self._streams: dict[tuple[str, str], _Stream] = {}
        self._stack = ExitStack()
        markets = {market.name: market for market in begin.markets}
        for one in begin.standing:
            if one.name in markets:
                self._streams[one.kind, one.name] = _Stream(markets[one.name], Cover(one.floor_ns, one.missing))

    def __enter__(self) -> Assembler:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def line(self, local_ns: int, text: bytes) -> None:
        """One line after the first. Local times never decrease. Raises DataError when a part cannot be written, and
        ValueError for a damaged mark."""
        mark = read(text)
        if mark is not None:
            self._marked(mark)
            return
        self.frames += 1
        count = self._decoder.decode(text, local_ns)
        if count < 0:
            self.faults += 1
        elif count > 0:
            self._take(self._decoder.events[:count].copy())

    def latencies(self) -> dict[str, Latencies]:
        """What was measured in this hour, by kind, over all coins."""
        found: dict[str, Latencies] = {}
        for (kind, _), stream in sorted(self._streams.items()):
            if stream.latencies.count:
                found.setdefault(kind, Latencies()).add(stream.latencies)
        return found

    def finish(self) -> list[Manifest]:
        """Completes all parts. Raises DataError when one cannot be written; those before it stay."""
        finished = [self._finished(key, stream) for key, stream in sorted(self._streams.items())]
        return [manifest for manifest in finished if manifest is not None]

    def standing(self) -> tuple[Standing, ...]:
        """How the streams stand at the end of the lines so far, for the file after."""
        return tuple(
            Standing(kind, name, *stream.cover.carried(self.newest_ns))
            for (kind, name), stream in sorted(self._streams.items())
            if stream.cover.is_known
        )

    # Parts.

    def _marked(self, mark: Mark) -> None:
        if isinstance(mark, Down):
            self._lose("disconnected")
            for stream in self._streams.values():
                stream.is_backfill = True
        elif isinstance(mark, Lost):
            self._lose("disk-full")
        elif isinstance(mark, Odd):
            self.faults += mark.is_fault
        elif isinstance(mark, Stale):
            for key in mark.streams:
                known = self._streams.get(key)
                if known is not None and not known.cover.is_missing:
                    # What it told last is true, and its silence since says nothing; it will be subscribed to anew.
                    known.cover.lost("silence")
                    known.is_backfill = True
                    self.gaps += 1

    def _lose(self, reason: str) -> None:
        self.gaps += any(not stream.cover.is_missing for stream in self._streams.values())
        for stream in self._streams.values():
            stream.cover.lost(reason, self.newest_ns)

    def _take(self, events: Events) -> None:
        """One frame's rows."""
        kind = KIND_OF[int(events["kind"][0])]
        if kind == CONTEXT:
            # A context names no time: the newest block time seen before it, which the decoder of a new file knows not.
            events["ts_exch_ns"] = self.newest_ns or events["ts_local_ns"]
        else:
            latest_ns = int(events["ts_exch_ns"].max())
            if latest_ns > int(events["ts_local_ns"][0]) + AHEAD_NS_MAX:
                self.faults += 1
                return
            self.newest_ns = max(self.newest_ns, latest_ns)
        for place in np.unique(events["market"]).tolist():
            market = self.begin.markets[place]
            stream = self._streams.get((kind, market.name))
            if stream is None:
                stream = self._streams[kind, market.name] = _Stream(market, Cover())
            mine = events["market"] == place
            self._keep(kind, stream, events if mine.all() else without_rows(events, mine))

    def _keep(self, kind: str, stream: _Stream, rows: Events) -> None:
        """Writes what of a frame's rows of one stream is new, and notes what that says."""
        earliest_ns, floor_ns = int(rows["ts_exch_ns"].min()), stream.cover.floor_ns
        goes_on = False
        fresh = rows
        if kind == TRADE:
            fresh = stream.memory.without_repeats(rows, stream.tally)
            goes_on = len(fresh) < len(rows) or earliest_ns < floor_ns
        late = fresh["ts_exch_ns"] < floor_ns
        if late.any():
            stream.tally["rows_of_the_hour_before"] += int(late.sum())
            fresh = without_rows(fresh, ~late)
        if kind != CONTEXT and not (kind == TRADE and stream.is_backfill):
            stream.latencies.note(int(rows["ts_local_ns"][0]) - int(rows["ts_exch_ns"].max()))
        stream.is_backfill = False
        stream.tally["frames"] += 1
        if len(fresh) == 0:
            stream.cover.resumed(earliest_ns, goes_on=goes_on)
            return
        times = fresh["ts_exch_ns"]
        stream.cover.told(int(times.min()), int(times.max()), goes_on=goes_on)
        self.events += len(fresh)
        stream.held.append(fresh)
        stream.held_rows += len(fresh)
        if stream.held_rows >= HELD_ROWS_MAX:
            self._write_held(kind, stream)

    def _write_held(self, kind: str, stream: _Stream) -> None:
        if stream.held:
            self._writer(kind, stream).write(np.concatenate(stream.held))
            stream.held, stream.held_rows = [], 0

    def _writer(self, kind: str, stream: _Stream) -> PartWriter:
        if stream.writer is None:
            key = PartKey(kind, stream.market.name, self.hour.date, self.hour.part_name)
            stream.writer = self._stack.enter_context(
                PartWriter(
                    self._catalogue, key, stream.market, source="recorder", origin=self._origin,
                    clock=Clock(MEASURED, CLOCK_BY), snapshots=kind == BOOK,
                )
            )  # fmt: skip
        return stream.writer

    @property
    def _origin(self) -> str:
        begin = self.begin
        return f"recorder of {begin.url}, session {begin.session} of {begin.session_ns}, hour {begin.hour}"

    def _finished(self, key: tuple[str, str], stream: _Stream) -> Manifest | None:
        """Completes one part; None where the hour knows nothing of the stream."""
        if not stream.cover.is_known:
            return None
        begin_ns, end_ns = stream.cover.covers(self.newest_ns)
        self._write_held(key[0], stream)
        if begin_ns == end_ns and stream.writer is None:
            return None
        writer = self._writer(key[0], stream)
        for gap in stream.cover.gaps():
            writer.gap(gap)
        counts: Counter[str] = Counter({name: count for name, count in stream.tally.items() if count})
        counts.update(stream.latencies.counts())
        if self.begin.offset_ms is not None:
            counts["venue_clock_ahead_ms"] = self.begin.offset_ms
        return writer.finish(covers=(begin_ns, end_ns), counts=counts)
