"""The streams of a node put together block by block: trades, then the changes of the book that they and others made.

Pure: lines come in with `add`, events go out with `take`. The rules are those of the venue's own reader (venue
reference section 12): a snapshot stands for the books after its block, changes follow from the next block on, statuses
and changes of one block belong together. A block that is missing, a line that cannot be read, or a change that does
not fit makes the books unknown: they are cleared, with an event that says so, and a snapshot is asked for.

Where blocks come as one line each (layout by block), a block is taken once every stream has told it. Where they come
event by event it is whole once every stream has told a later one, or, `at_once`, what has come is taken as it is: then
a trade may be told after the change that it made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hlhft.data.merge import Events, nothing
from hlhft.data.node.book import (
    FRAME_DTYPE,
    LEVELS_MAX,
    ORDERS_MAX,
    Fault,
    apply,
    clear,
    events_of_picture,
    load,
    new_books,
    room,
)
from hlhft.data.node.changes import CHANGE_DTYPE, ENTRY_DTYPE, HEIGHT_MAX, LINE_DTYPE, TRADE_DTYPE, Change
from hlhft.data.node.decoding import Decoded, Stream
from hlhft.data.node.formats import Snapshot
from hlhft.events import EVENT_DTYPE, EventFlag, EventKind
from hlhft.units import Market

BLOCK_DTYPE = np.dtype([("height", np.int64), ("block_ns", np.int64), ("local_ns", np.int64)])
BACKLOG_ROWS_MAX = 1_000_000  # of each stream, while a snapshot is waited for; the oldest are dropped
BACKLOG_LINES_MAX = 100_000
HOUR_NS = 3_600_000_000_000

Taken = dict[Stream, tuple[NDArray[np.void], NDArray[np.void]]]  # lines and rows


class State(Enum):
    """What is known of the books."""

    WAITING = "waiting"  # for a first snapshot
    FOLLOWING = "following"  # they are right
    LOST = "lost"  # they were, and are not any more


class Step(Enum):
    """What can happen to what is known."""

    SNAPSHOT = "snapshot"
    FAULT = "fault"


STATES: dict[tuple[State, Step], State] = {
    (State.WAITING, Step.SNAPSHOT): State.FOLLOWING,
    (State.WAITING, Step.FAULT): State.WAITING,
    (State.FOLLOWING, Step.SNAPSHOT): State.FOLLOWING,
    (State.FOLLOWING, Step.FAULT): State.LOST,
    (State.LOST, Step.SNAPSHOT): State.FOLLOWING,
    (State.LOST, Step.FAULT): State.LOST,
}

SAYINGS = {
    Fault.UNKNOWN_ORDER: "an order changes that was never told",
    Fault.KNOWN_ORDER: "an order is new that rests already",
    Fault.OTHER_SIZE: "an order had another size than its change says",
    Fault.OTHER_LEVEL: "an order rests at another price or side than its change says",
    Fault.NO_SIDE: "a new order has no side",
    Fault.UNKNOWN_CHANGE: "an order changes in a way that is not known",
    Fault.CROSSED: "the best bid reaches the best ask after a whole block",
    Fault.TOO_MANY_ORDERS: "more orders rest than there is room for",
    Fault.TOO_MANY_LEVELS: "more price levels hold orders than there is room for",
}


class Lost(NamedTuple):
    """Why the books are not known: a sentence's first half, and the block from which on."""

    height: int
    message: str
    missing: int = 0  # blocks that never came


class Joined(NamedTuple):
    """What was taken. Events stand in the order of the frames (FRAME_DTYPE; `events_end` is where a frame's end); a
    block without a frame told nothing of our markets."""

    blocks: NDArray[np.void]  # BLOCK_DTYPE
    frames: NDArray[np.void]
    events: Events


class _Queue:
    """The lines and rows of one stream that were not taken yet, by height."""

    def __init__(self) -> None:
        self.lines: NDArray[np.void] = np.zeros(0, LINE_DTYPE)
        self.rows: NDArray[np.void] | None = None
        self.newest = -1

    def add(self, decoded: Decoded, counts: Counter[str], *, is_whole: bool) -> None:
        """Appends lines; those of a block that was told already are left out and counted."""
        lines, rows = decoded.lines, decoded.rows
        heights = lines["height"]
        before = np.maximum.accumulate(np.append(self.newest, heights))[:-1]
        again = heights <= before if is_whole else heights < before
        if again.any():
            counts["lines_told_again"] += int(again.sum())
            rows = rows[~np.repeat(again, lines["rows"])]
            lines = lines[~again]
        if len(lines):
            self.newest = int(lines["height"][-1])
            self.lines = np.concatenate([self.lines, lines]) if len(self.lines) else lines
        if self.rows is None or len(self.rows) == 0:
            self.rows = rows
        elif len(rows):
            self.rows = np.concatenate([self.rows, rows])

    def take(self, height: int) -> tuple[NDArray[np.void], NDArray[np.void]]:
        """Removes and returns (lines, rows) up to a height, inclusive."""
        assert self.rows is not None, "a queue is asked only once it was given lines"
        cut = int(np.searchsorted(self.lines["height"], height, side="right"))
        row_cut = int(np.searchsorted(self.rows["height"], height, side="right"))
        lines, self.lines = self.lines[:cut], self.lines[cut:]
        rows, self.rows = self.rows[:row_cut], self.rows[row_cut:]
        return lines, rows

    def put_back(self, lines: NDArray[np.void], rows: NDArray[np.void], height: int) -> None:
        """Holds again what was taken beyond a height."""
        assert self.rows is not None, "only what was taken is put back"
        self.lines = np.concatenate([lines[lines["height"] > height], self.lines])
        self.rows = np.concatenate([rows[rows["height"] > height], self.rows])

    def shorten(self, counts: Counter[str]) -> None:
        """Drops the oldest blocks beyond what may be held."""
        if self.rows is None:
            return
        drop = max(len(self.lines) - BACKLOG_LINES_MAX, 0)
        if len(self.rows) > BACKLOG_ROWS_MAX:
            height = self.rows["height"][len(self.rows) - BACKLOG_ROWS_MAX - 1]
            drop = max(drop, int(np.searchsorted(self.lines["height"], height, side="right")))
        if drop:
            counts["lines_dropped"] += drop
            self.take(int(self.lines["height"][drop - 1]))


class Joiner:
    """Follows the books of some markets; `lost` says why it does not any more, None while it does or never did."""

    def __init__(
        self,
        markets: Sequence[Market],
        streams: Iterable[Stream],
        *,
        by_block: bool,
        at_once: bool = False,
        wait_blocks: int | None = None,
        hourly: bool = False,
        orders_max: int = ORDERS_MAX,
        levels_max: int = LEVELS_MAX,
    ) -> None:
        """`streams` are those that will come, DIFFS among them; `by_block` says that a line is a whole block. A block
        waits for the other streams until `wait_blocks` later ones changed the book, None for as long as it takes. With
        `hourly` every hour of the node's clock begins with the whole books, and `take` ends with it."""
        self._markets = tuple(markets)
        self._queues = {stream: _Queue() for stream in Stream if stream in set(streams)}
        if Stream.DIFFS not in self._queues:
            raise ValueError("books are followed by their changes, name the stream DIFFS")
        self._by_block = by_block
        self._at_once = at_once
        self._wait_blocks = wait_blocks
        self._hourly = hourly
        self._hour = -1  # of the node's clock, since the epoch
        self._books = new_books(len(markets), orders_max=orders_max, levels_max=levels_max)
        self.state = State.WAITING
        self.lost: Lost | None = None
        self.height = -1  # of the newest block taken
        self.counts: Counter[str] = Counter()
        self._ended: set[Stream] = set()
        self._snapshot_height = -1
        self._any_height = False  # the first block decides where it begins
        self._known_from = -1  # a snapshot of an earlier height does not help
        self._broken: Lost | None = None  # a line that could not be read, behind the one of this height
        self._to_picture = False
        self._to_clear = False
        self._newest_exch_ns = 0
        self._newest_local_ns = 0

    @property
    def needs_snapshot(self) -> bool:
        """Whether nothing is told until a snapshot comes."""
        return self.state is not State.FOLLOWING

    def newest(self, stream: Stream) -> int:
        """The newest height that a stream has told, -1 for none."""
        return self._queues[stream].newest

    def add(self, stream: Stream, decoded: Decoded) -> None:
        """Takes in the next lines of a stream. The books are lost from a line on that could not be read."""
        queue = self._queues[stream]
        newest = queue.newest
        queue.add(decoded, self.counts, is_whole=self._by_block)
        others = "changes_of_other_coins" if stream is Stream.DIFFS else "events_of_other_coins"
        self.counts[others] += int(decoded.lines["others"].sum())
        if decoded.unreadable:
            self.counts["lines_unreadable"] += decoded.unreadable
            if stream is Stream.DIFFS and self._broken is None:
                before = decoded.faults[0].lines_before
                height = int(decoded.lines["height"][before - 1]) if before else newest
                self._broken = Lost(height, f"a line cannot be read ({decoded.faults[0].message})")
        if self.needs_snapshot:
            queue.shorten(self.counts)

    def lose(self, message: str) -> None:
        """Says that what was told last is not to be trusted, for a reason that the lines do not show."""
        if self.state is State.FOLLOWING:
            self._lose(Lost(self.height + 1, message))

    def end(self, stream: Stream) -> None:
        """Says that nothing more will come of a stream."""
        self._ended.add(stream)

    def begin_empty(self) -> None:
        """Says that no order rests before the first block that comes."""
        self._begin(Snapshot(-1, {}), set())
        self._any_height = True

    def load(self, snapshot: Snapshot, *, hidden_users: Iterable[str] = ()) -> bool:
        """Begins from a snapshot; False, and nothing changes, when a block after it is known to be missing, or when
        what is followed has passed it or has no heights to put it beside."""
        diffs = self._queues[Stream.DIFFS]
        if diffs.newest >= HEIGHT_MAX or snapshot.height < self._known_from:
            return False
        if not self.needs_snapshot and snapshot.height < self.height:
            return False
        later = diffs.lines["height"][diffs.lines["height"] > snapshot.height]
        if len(later) == 0 and diffs.newest > snapshot.height:
            return False
        if self._by_block and len(later) and later[0] != snapshot.height + 1:
            return False
        if self._broken is not None and self._broken.height < snapshot.height:
            self._broken = None
        self._begin(snapshot, {user.lower() for user in hidden_users})
        return self.state is State.FOLLOWING

    def _begin(self, snapshot: Snapshot, hidden: set[str]) -> None:
        clear(self._books)
        orders = [
            (snapshot.height, order.order_id, 0, order.ticks, order.lots, -1, place, order.side, int(Change.NEW),
             int(order.user in hidden), 0)
            for place, market in enumerate(self._markets)
            for order in snapshot.orders.get(market.name, ())
        ]  # fmt: skip
        placed_ns = [order.placed_ns for market in self._markets for order in snapshot.orders.get(market.name, ())]
        fault = Fault(load(self._books, np.array(orders, CHANGE_DTYPE), np.array(placed_ns, np.int64)))
        self.height = self._snapshot_height = snapshot.height
        self.state = STATES[self.state, Step.SNAPSHOT]
        self.lost = None
        self._any_height = False
        self._to_picture = True
        if fault is not Fault.NONE:
            self._lose(Lost(snapshot.height, f"the snapshot contradicts itself: {SAYINGS[fault]}"))

    def _lose(self, lost: Lost) -> None:
        """The books are not known from a block on."""
        self.counts["losses"] += 1
        self.counts["blocks_missing"] += lost.missing
        self._known_from = lost.height
        self._broken = None
        self.lost = lost
        self.state = STATES[self.state, Step.FAULT]
        self._to_clear = self._newest_exch_ns != 0
        self._to_picture = False

    def take(self) -> Joined:
        """The frames of all blocks that are whole. When the books are lost the last frames clear them."""
        if self.needs_snapshot:
            return self._with_clears(_NOTHING)
        for queue in self._queues.values():
            if len(queue.lines) and queue.lines["height"][0] <= self._snapshot_height:
                queue.take(self._snapshot_height)
        upto = self._whole_upto()
        taken = {stream: queue.take(upto) for stream, queue in self._queues.items() if queue.rows is not None}
        if not taken:
            return _NOTHING
        blocks = _blocks([lines for lines, _ in taken.values()])
        lost = self._first_loss(taken[Stream.DIFFS][0]["height"] if Stream.DIFFS in taken else _NO_HEIGHTS)
        if lost is not None:
            blocks = blocks[blocks["height"] < lost.height]
        blocks["local_ns"] = np.maximum(np.maximum.accumulate(blocks["local_ns"]), self._newest_local_ns)
        later = self._next_hour(blocks)
        if later is not None:
            blocks, lost = blocks[blocks["height"] < later], None
        joined = _NOTHING
        if len(blocks):
            heights = blocks["height"]
            changes = _within(taken, Stream.DIFFS, heights)
            if Stream.STATUSES in taken:
                self._join_statuses(changes, _within(taken, Stream.STATUSES, heights))
            joined, fault = self._applied(blocks, changes, _paired(_within(taken, Stream.FILLS, heights)))
            lost = fault if fault is not None else lost
        untold = later if lost is None else lost.height
        if untold is not None:
            for stream, (lines, rows) in taken.items():
                self._queues[stream].put_back(lines, rows, untold - 1)
        if lost is not None:
            self._lose(lost)
        return self._with_clears(joined)

    def _next_hour(self, blocks: NDArray[np.void]) -> int | None:
        """The height of the first of these blocks that belongs to another hour than the first one; None for none."""
        if not self._hourly or len(blocks) == 0:
            return None
        hours = blocks["local_ns"] // HOUR_NS
        self._to_picture |= int(hours[0]) != self._hour
        self._hour = int(hours[0])
        later = np.flatnonzero(hours != hours[0])
        return int(blocks["height"][later[0]]) if len(later) else None

    def _whole_upto(self) -> int:
        """The height up to which every block is whole, or was waited for long enough."""
        if self._at_once:
            return _ALL
        newest = [
            _ALL if stream in self._ended else queue.newest - (0 if self._by_block else 1)
            for stream, queue in self._queues.items()
        ]
        if self._wait_blocks is None:
            return min(newest)
        return max(min(newest), newest[Stream.DIFFS] - self._wait_blocks)

    def _first_loss(self, heights: NDArray[np.int64]) -> Lost | None:
        """Where the changes of the book stop to be whole, if they do: the first height that may not be told."""
        lost: Lost | None = None
        if self._broken is not None and (len(heights) == 0 or self._broken.height <= heights[-1]):
            # Of blocks that come in pieces the one of the line before may have lost a piece.
            height = self._broken.height + (1 if self._by_block else 0)
            lost = Lost(height, self._broken.message)
        if not self._by_block or len(heights) == 0 or heights[-1] >= HEIGHT_MAX:
            return lost
        expected = np.append(heights[0] if self._any_height else self.height + 1, heights[:-1] + 1)
        gaps = np.flatnonzero(heights > expected)
        if len(gaps) and (lost is None or expected[gaps[0]] < lost.height):
            missing = int(heights[gaps[0]] - expected[gaps[0]])
            first = int(expected[gaps[0]])
            lost = Lost(first, f"{missing} blocks from {first} on are missing", missing)
        return lost

    def _join_statuses(self, changes: NDArray[np.void], entries: NDArray[np.void]) -> None:
        """Gives new orders the side that their status says where the change does not, and counts what disagrees."""
        new = np.flatnonzero(changes["change"] == int(Change.NEW))
        entries = entries[np.argsort(entries["order_id"], kind="stable")]
        place = np.searchsorted(entries["order_id"], changes["order_id"][new])
        known = place < len(entries)
        known[known] = entries["order_id"][place[known]] == changes["order_id"][new[known]]
        self.counts["new_orders_without_status"] += int((~known).sum())
        new, entries = new[known], entries[place[known]]
        unsaid = changes["side"][new] == 0
        changes["side"][new[unsaid]] = entries["side"][unsaid]
        differs = (changes["side"][new] != entries["side"]) & (entries["side"] != 0)
        differs |= changes["market"][new] != entries["market"]
        self.counts["statuses_that_differ"] += int(differs.sum())

    def _applied(
        self, blocks: NDArray[np.void], changes: NDArray[np.void], trades: NDArray[np.void]
    ) -> tuple[Joined, Lost | None]:
        """What the blocks tell, and where the books stopped to be right."""
        pictures = self._pictures(blocks[0]) if self._to_picture else _NOTHING
        frames, changes, trades = _frames(blocks, changes, trades, len(self._markets))
        frames["is_whole"] = 0 if self._at_once else 1
        out = np.zeros(room(len(self._markets), len(frames), len(changes), len(trades)), EVENT_DTYPE)
        count, applied, code = apply(self._books, frames, changes, trades, out)
        lost: Lost | None = None
        if code != 0:
            at = int(self._books.state[3])
            order = f" (order {changes['order_id'][at]})" if at >= 0 else ""
            height = int(frames["height"][applied])
            lost = Lost(height, f"in block {height} {SAYINGS[Fault(code)]}{order}")
            blocks, frames = blocks[blocks["height"] < height], frames[:applied]
        self.counts["changes"] += len(changes)
        self.counts["trades"] += len(trades)
        # What comes late of a block, or another piece of it, are frames of a block that was told.
        blocks = blocks[blocks["height"] > self.height]
        self.counts["blocks"] += len(blocks)
        if len(blocks):
            self.height = int(blocks["height"][-1])
            self._any_height = False
        return self._timed(_together(pictures, Joined(blocks, frames, out[:count]))), lost

    def _timed(self, joined: Joined) -> Joined:
        """The same with a nanosecond more for each event of a block, so that times alone tell the order of events.

        Rows that are kept apart by kind find together again that way.
        """
        events = joined.events
        if len(events):
            number = np.arange(len(events))
            begins = np.append(True, events["ts_exch_ns"][1:] != events["ts_exch_ns"][:-1])
            within = number - np.maximum.accumulate(np.where(begins, number, 0))
            for name, newest in (("ts_exch_ns", self._newest_exch_ns), ("ts_local_ns", self._newest_local_ns)):
                least = np.maximum.accumulate(np.maximum(events[name] + within, newest + 1) - number)
                events[name] = least + number
            self._newest_exch_ns, self._newest_local_ns = int(events["ts_exch_ns"][-1]), int(events["ts_local_ns"][-1])
        return joined

    def _pictures(self, block: np.void) -> Joined:
        """The whole books as the frames before those of a block."""
        self._to_picture = False
        parts = [
            events_of_picture(self._books, market, int(block["block_ns"]), int(block["local_ns"]))
            for market in range(len(self._markets))
        ]
        return _told(parts, int(block["height"]))

    def _with_clears(self, joined: Joined) -> Joined:
        """The same, and behind it the books cleared if they were lost and nobody was told so."""
        if not self._to_clear:
            return joined
        self._to_clear = False
        parts = [_clear_of(market, self._newest_exch_ns, self._newest_local_ns) for market in range(len(self._markets))]
        return _together(joined, self._timed(_told(parts, self.height)))


_ALL = 2**62
_NO_HEIGHTS = np.zeros(0, np.int64)
_NOTHING = Joined(np.zeros(0, BLOCK_DTYPE), np.zeros(0, FRAME_DTYPE), nothing())
_EMPTY = {Stream.DIFFS: CHANGE_DTYPE, Stream.STATUSES: ENTRY_DTYPE, Stream.FILLS: TRADE_DTYPE}
_VISIBLE = int(EventFlag.EXCHANGE_VISIBLE | EventFlag.LOCAL_VISIBLE)


def _blocks(lines: Sequence[NDArray[np.void]]) -> NDArray[np.void]:
    """The blocks of some lines, BLOCK_DTYPE by height; the last line of a block says when all of it was there."""
    every = np.concatenate(lines)
    heights, first, block = np.unique(every["height"], return_index=True, return_inverse=True)
    blocks = np.zeros(len(heights), BLOCK_DTYPE)
    blocks["height"], blocks["block_ns"] = heights, every["block_ns"][first]
    np.maximum.at(blocks["local_ns"], block, every["local_ns"])
    blocks["block_ns"] = np.maximum.accumulate(blocks["block_ns"])
    return blocks


def _within(taken: Taken, stream: Stream, heights: NDArray[np.int64]) -> NDArray[np.void]:
    """The rows of a stream up to the last of some heights."""
    if stream not in taken:
        return np.zeros(0, _EMPTY[stream])
    rows = taken[stream][1]
    return rows[: int(np.searchsorted(rows["height"], heights[-1], side="right"))]


def _paired(sides: NDArray[np.void]) -> NDArray[np.void]:
    """The trades whose aggressor's side is there, in their order, each with the order that it met if that is there."""
    trades: NDArray[np.void] = sides[sides["crossed"] == 1]
    makers = sides[sides["crossed"] == 0]
    makers = makers[np.argsort(makers["trade_id"], kind="stable")]
    place = np.searchsorted(makers["trade_id"], trades["trade_id"])
    known = place < len(makers)
    known[known] = makers["trade_id"][place[known]] == trades["trade_id"][known]
    trades["maker_id"][known] = makers["maker_id"][place[known]]
    return trades


def _frames(
    blocks: NDArray[np.void], changes: NDArray[np.void], trades: NDArray[np.void], markets: int
) -> tuple[NDArray[np.void], NDArray[np.void], NDArray[np.void]]:
    """(frames, changes, trades) by block and within it by market: a frame for each that tells anything."""
    heights = blocks["height"]
    change_keys = np.searchsorted(heights, changes["height"]) * markets + changes["market"]
    trade_keys = np.searchsorted(heights, trades["height"]) * markets + trades["market"]
    if markets > 1:
        order = np.argsort(change_keys, kind="stable")
        changes, change_keys = changes[order], change_keys[order]
        order = np.argsort(trade_keys, kind="stable")
        trades, trade_keys = trades[order], trade_keys[order]
    keys = np.union1d(change_keys, trade_keys)
    frames = np.zeros(len(keys), FRAME_DTYPE)
    block = blocks[keys // markets]
    frames["height"], frames["market"] = block["height"], keys % markets
    frames["ts_exch_ns"], frames["ts_local_ns"] = block["block_ns"], block["local_ns"]
    frames["changes_end"] = np.searchsorted(change_keys, keys, side="right")
    frames["trades_end"] = np.searchsorted(trade_keys, keys, side="right")
    return frames, changes, trades


def _told(parts: Sequence[Events], height: int) -> Joined:
    """Frames of a height, one an array (not empty), that no change or trade made."""
    frames = np.zeros(len(parts), FRAME_DTYPE)
    frames["height"] = height
    for name in ("ts_exch_ns", "ts_local_ns", "market"):
        frames[name] = [int(part[name][0]) for part in parts]
    frames["events_end"] = np.cumsum([len(part) for part in parts])
    return Joined(np.zeros(0, BLOCK_DTYPE), frames, np.concatenate(parts))


def _together(first: Joined, second: Joined) -> Joined:
    frames = second.frames.copy()
    frames["events_end"] += len(first.events)
    return Joined(*(np.concatenate(pair) for pair in zip(first, second._replace(frames=frames), strict=True)))


def _clear_of(market: int, ts_exch_ns: int, ts_local_ns: int) -> Events:
    """One frame that clears both sides of a book."""
    event = np.zeros(1, EVENT_DTYPE)
    event["kind"], event["market"] = int(EventKind.DEPTH_CLEAR), market
    event["ts_exch_ns"], event["ts_local_ns"] = ts_exch_ns, ts_local_ns
    event["flags"] = _VISIBLE | int(EventFlag.FRAME_END | EventFlag.SYNTHETIC)
    return event
