"""Books and trades from the files of one's own node, for an engine that trades through the venue's API.

The reader of the files tells whole blocks as events; here they become the frames that the core knows, one a market and
block, stepped over in the call in which they were read. The node's health (`hlhft.live.node_health`) decides whether
they may be quoted on. Books begin with a snapshot that the node is asked to write, and begin again with another where
they are lost; it is asked for at most once in SNAPSHOT_EVERY_NS.

What is older than the health allows is taken into the books and not told: the core would take it for news.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec

from hlhft.data.errors import DataError
from hlhft.data.merge import Events
from hlhft.hyperliquid.decode import Row
from hlhft.live.histogram import Histogram
from hlhft.live.http import Answer, Http
from hlhft.live.hub import Hub
from hlhft.live.node_books import NodeBook, timed
from hlhft.live.node_health import Health, HealthSettings, NodeHealth
from hlhft.live.pulse import Pulse
from hlhft.units import Market

OWNER = "node"  # of its timers
SILENCE, SNAPSHOT = "silence", "snapshot"
SNAPSHOT_EVERY_NS = 5_000_000_000
SHOWN_EVERY_NS = (
    500_000_000  # a book that does not change is told again: as old as it is shown, it would pass for stale
)
HTTP_OK = 200
SNAPSHOT_NAME = "hlhft-l4-snapshot.json"  # in the node's folder: the node writes it, and this user reads it


class Told(msgspec.Struct, frozen=True):
    """What was read at one time: the newest block, and by market its events of all the blocks that were read."""

    height: int
    block_ns: int
    events: Sequence[tuple[int, Events]]


class Reader(Protocol):
    """Who follows the files. It tells the feed that it was made for, from `start` to `stop`, on the event loop."""

    counts: Counter[str]

    def start(self) -> None:
        """Begins to follow. Raises DataError when there is nothing to follow."""

    def load(self, snapshot: Path) -> bool:
        """Begins the books from a snapshot; whether it fits the blocks that are known. Raises DataError."""

    def stop(self) -> None:
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
        self._shown_ns = [0] * len(markets)
        self.losses = 0  # times that the books were lost
        self._asked_ns = 0
        self._is_asking = False
        self._is_stopped = False
        self.reader = parts.reader(self)
        hub.timers.own(OWNER, self._fired)

    def start(self) -> None:
        """Begins to read. Raises DataError when there is nothing to read."""
        self.reader.start()
        self.wants_snapshot("the books begin")

    def stop(self) -> None:
        """Reads nothing more."""
        self._is_stopped = True
        self.reader.stop()

    # What the reader tells.

    def told(self, told: Told) -> None:
        """Blocks came: the hot path."""
        now_ns = self._hub.dispatch.turn()
        self._pulse.busy_ns = now_ns
        trades = [row for market, events in told.events for row in self._books[market].take(events)]
        self.height, self.heard_ns = told.height, now_ns
        is_new = self.health.heard(told.block_ns, now_ns)
        self.counters["blocks told by the node"] += 1
        self.lag.note(now_ns - told.block_ns)
        if self.health.state is Health.FRESH:
            self._show(trades, told.block_ns, now_ns, everything=is_new)
        else:
            self.counters["blocks of the node that were too old"] += 1
        if is_new:
            self._say()
        self._set_alarm()

    def wants_snapshot(self, why: str) -> None:
        """The books are not known until a snapshot comes: all of them are stale."""
        if self.health.lost():
            self.losses += 1
            self._say()
        self._hub.say(f"node: {why}: a snapshot is asked for")
        if self._is_asking:
            return
        self._is_asking = True
        self._hub.timers.set(OWNER, SNAPSHOT, max(self._clock.now_ns(), self._asked_ns + SNAPSHOT_EVERY_NS))

    def broke(self, error: BaseException | None) -> None:
        """An invariant of the reader does not hold."""
        self._hub.engine.broke(error)

    # Parts.

    def _show(self, trades: Sequence[Row], block_ns: int, now_ns: int, *, everything: bool) -> None:
        """Tells the core the trades and what changed of the books, each market as one frame."""
        for book, shown_ns in zip(self._books, self._shown_ns, strict=True):
            rows = [row for row in trades if row[9] == book.market]
            if everything or book.is_changed or now_ns - shown_ns >= SHOWN_EVERY_NS:
                rows += book.picture()
                self._shown_ns[book.market] = now_ns
            if rows:
                self._hub.dispatch.tell(timed(rows, block_ns, now_ns))

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
