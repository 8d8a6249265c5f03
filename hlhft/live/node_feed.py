"""Books and trades from the files of one's own node, for an engine that trades through the venue's API.

The reader of the files tells whole blocks as events; here they become the frames that the core knows, one a market and
block, stepped over in the call in which they were read. The node's health (`hlhft.live.node_health`) decides whether
they may be quoted on. Books begin with a snapshot that the node is asked to write, and begin again with another where
they are lost; it is asked for at most once in SNAPSHOT_EVERY_NS.

What is older than the health allows is taken into the books and not told: the core would take it for news.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np

from hlhft.data.errors import DataError
from hlhft.data.merge import Events
from hlhft.data.node.following import Followed
from hlhft.data.node.joining import Lost
from hlhft.events import EventKind
from hlhft.hyperliquid.decode import Row
from hlhft.live.http import Answer, Http
from hlhft.live.hub import Hub
from hlhft.live.node_agreement import Agreement
from hlhft.live.node_books import NodeBook, timed
from hlhft.live.node_health import Health, HealthSettings, NodeHealth
from hlhft.live.pulse import Pulse
from hlhft.monitor.histogram import Histogram
from hlhft.units import Market

NS_PER_MS = 1_000_000
OWNER = "node"  # of its timers
SILENCE, SNAPSHOT = "silence", "snapshot"
SNAPSHOT_EVERY_NS = 5_000_000_000
SHOWN_EVERY_NS = (
    500_000_000  # a book that does not change is told again: as old as it is shown, it would pass for stale
)
HTTP_OK = 200
_CLEAR = int(EventKind.DEPTH_CLEAR)
SNAPSHOT_NAME = "hlhft-l4-snapshot.json"  # in the node's folder: the node writes it, and this user reads it


class Reader(Protocol):
    """Who follows the files (`hlhft.data.node.following`): tells blocks and losses from `start` until `close`."""

    @property
    def counts(self) -> Counter[str]:
        """What was found and left out."""

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begins to follow. Raises DataError when that cannot be."""

    def load(self, snapshot: Path) -> bool:
        """Begins the books from a snapshot; whether it fits the blocks that are known. Raises DataError."""

    def close(self) -> None:
        """Tells nothing more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeParts:
    """One node: its data folder, where it answers, and who follows its files."""

    folder: Path
    health: HealthSettings
    http: Http
    reader: Callable[[NodeFeed], Reader]


class NodeFeed:
    """The node of one engine. `fresh(is_fresh)` hears whether its books may be quoted on."""

    def __init__(
        self,
        hub: Hub,
        parts: NodeParts,
        *,
        markets: Sequence[Market],
        pulse: Pulse,
        fresh: Callable[..., None],
    ) -> None:
        self.counters: Counter[str] = Counter()
        self.health = NodeHealth(parts.health)
        self.lag = Histogram()  # from a block's time to its reading, ns
        self.height = 0
        self.heard_ns = 0  # when a block was read last
        self._hub = hub
        self._clock = hub.clock
        self._pulse = pulse
        self._fresh = fresh
        self._http = parts.http
        self._folder = parts.folder
        self._books = [NodeBook(row) for row in range(len(markets))]
        self._agreements = [Agreement() for _ in markets]
        self._markets = tuple(markets)
        self._shown_ns = [0] * len(markets)
        self.losses = 0  # times that the books were lost
        self._asked_ns = 0
        self._is_asking = False
        self._is_stopped = False
        self.reader = parts.reader(self)
        hub.timers.own(OWNER, self._fired)

    def start(self) -> None:
        """Begins to read. Raises DataError when there is nothing to read."""
        self.reader.start(asyncio.get_running_loop())
        self.wants_snapshot("the books begin")

    def stop(self) -> None:
        """Reads nothing more."""
        self._is_stopped = True
        self.reader.close()

    @property
    def compared(self) -> int:
        """How often a book was held against the venue's."""
        return sum(agreement.compared for agreement in self._agreements)

    # What the reader tells.

    def told(self, block: Followed) -> None:
        """A block came: the hot path."""
        now_ns = self._hub.dispatch.turn()
        self._pulse.busy_ns = now_ns
        trades = self._take(block.events)
        if len(block.events) and int(block.events["kind"][0]) == _CLEAR:
            return  # the books are about to be lost, which is told next
        self.height, self.heard_ns = block.height, now_ns
        is_new = self.health.heard(block.block_ns, now_ns)
        self.counters["blocks told by the node"] += 1
        self.lag.note(now_ns - block.block_ns)
        if self.health.state is Health.FRESH:
            self._show(trades, block.block_ns, now_ns, everything=is_new)
        else:
            self.counters["blocks of the node that were too old"] += 1
        if is_new:
            self._say()
        self._set_alarm()
        self._agree(block.block_ns // NS_PER_MS)

    def lost(self, lost: Lost) -> None:
        """The books are not known any more."""
        self.wants_snapshot(lost.message)

    def venue(self, market: int, block_ms: int, bid_ticks: int, ask_ticks: int) -> None:
        """The venue's own best prices after a block: a book that is another for too long is wrong."""
        if self.health.state is not Health.WAITING and self._agreements[market].venue(block_ms, bid_ticks, ask_ticks):
            self._disagree(market)

    def wants_snapshot(self, why: str) -> None:
        """The books are not known until a snapshot comes: all of them are stale."""
        for agreement in self._agreements:
            agreement.begin()
        if self.health.lost():
            self.losses += 1
            self._say()
        self._hub.say(f"node: {why}: a snapshot is asked for")
        if self._is_asking:
            return
        self._is_asking = True
        self._hub.timers.set(OWNER, SNAPSHOT, max(self._clock.now_ns(), self._asked_ns + SNAPSHOT_EVERY_NS))

    # Parts.

    def _take(self, events: Events) -> list[Row]:
        """Takes the events into the books; the trades among them."""
        if len(self._books) == 1:
            return self._books[0].take(events)
        markets = events["market"]
        return [row for market in np.unique(markets) for row in self._books[market].take(events[markets == market])]

    def _show(self, trades: Sequence[Row], block_ns: int, now_ns: int, *, everything: bool) -> None:
        """Tells the core the trades and what changed of the books, each market as one frame."""
        for book, shown_ns in zip(self._books, self._shown_ns, strict=True):
            rows = [row for row in trades if row[9] == book.market]
            if everything or book.is_changed or now_ns - shown_ns >= SHOWN_EVERY_NS:
                rows += book.picture()
                self._shown_ns[book.market] = now_ns
            if rows:
                self._hub.dispatch.tell(timed(rows, block_ns, now_ns))

    def _agree(self, block_ms: int) -> None:
        """Holds the books against what the venue said of them."""
        for book, agreement in zip(self._books, self._agreements, strict=True):
            if agreement.node(block_ms, *book.touch()):
                self._disagree(book.market)
                return

    def _disagree(self, market: int) -> None:
        self.counters["books of the node that were not the venue's"] += 1
        self.wants_snapshot(f"its best prices of {self._markets[market].name} are not the venue's")

    def _say(self) -> None:
        """The health has changed: the markets are told, and people."""
        is_fresh = self.health.state is Health.FRESH
        self._fresh(is_fresh=is_fresh)
        level: Any = "info" if is_fresh else "warning"
        self._hub.say(f"node: {self.health.state}" + ("" if is_fresh else ", quotes are pulled"), level)

    def _set_alarm(self) -> None:
        deadline_ns = self.health.deadline_ns()
        if deadline_ns is not None:
            self._hub.timers.set(OWNER, SILENCE, deadline_ns)

    def _fired(self, name: str, draw: int) -> None:
        now_ns = self._hub.dispatch.turn()
        if self._is_stopped:
            return
        if name == SNAPSHOT:
            self._ask(now_ns)
        elif self.health.look(now_ns):
            self._say()

    # Snapshots.

    def _ask(self, now_ns: int) -> None:
        self._asked_ns = now_ns
        path = self._folder / SNAPSHOT_NAME
        self._http.post("/info", snapshot_body(path), lambda answer: self._answered(answer, path))

    def _answered(self, answer: Answer, path: Path) -> None:
        """The node wrote its snapshot, or says why not."""
        if self._is_stopped:
            return
        self._is_asking = False
        self.counters["snapshots of the node"] += 1
        # What a node answers is not documented, beside that it answers once the file is there.
        fault = "" if answer.status == HTTP_OK else answer.fault
        try:
            is_loaded = not fault and self.reader.load(path)
        except DataError as error:
            is_loaded, fault = False, str(error)
        if not is_loaded:
            self.counters["snapshots of the node of no use"] += 1
            self.wants_snapshot(fault or "the snapshot does not fit the blocks that were read")


def snapshot_body(path: Path) -> bytes:
    """The request to write every order of every book to a file (venue reference section 12)."""
    return msgspec.json.encode(
        {
            "type": "fileSnapshot",
            "request": {"type": "l4Snapshots", "includeUsers": True, "includeTriggerOrders": False},
            "outPath": str(path),
            "includeHeightInOutput": True,
        }
    )
