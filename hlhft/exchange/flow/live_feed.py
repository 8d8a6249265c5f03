"""What to do with the real venue's public streams: when to connect, what to subscribe to, what of it to believe.

Pure: a shell (`hlhft.exchange.flow.live`) tells what happened and when, and performs the effects that come back.
Messages become event rows with the readers of recordings, and pictures of the book levels (hlhft.data.snapshots), so
that a feed and a recording of it mean the same. Guarantees:

- Connections are tried with exponential backoff, jitter from the seed, and at most CONNECTS_PER_MINUTE_MAX in any
  minute. Every subscription is made again on each.
- Frames are held for `hold_ns` and put in the venue's order, within a block trades before best prices before pictures:
  on the wire the best price of a block tends to be ahead of its trades.
- Best prices older than the newest book are dropped, and trades that repeat or precede the connection's first book.
- A market without a book for `stale_ns` is stale: its book is gone, so that nobody trades against what may not be
  there, until the next one comes. A connection without any market data for `silent_ns` is given up.
- What waits is bounded: when it is too much, all of it is dropped and counted, and the books begin anew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import msgspec
import numpy as np

from hlhft.data.errors import DataError
from hlhft.data.merge import Events, nothing
from hlhft.data.order import BLOCK_RANK
from hlhft.data.readers.messages import MessageBlock
from hlhft.data.sessions import TradeMemory, without_rows
from hlhft.data.snapshots import levels_from_snapshots
from hlhft.data.tally import Tally
from hlhft.events import EventKind
from hlhft.exchange.flow.draws import new_generators, next_share
from hlhft.exchange.flow.feeding import cleared
from hlhft.units import Market

MS = 1_000_000
SECOND = 1_000 * MS
CONNECTS_PER_MINUTE_MAX = 30  # venue reference section 7
MINUTE_NS = 60 * SECOND
ROWS_WAITING_MAX = 200_000
_NEVER = 2**62
_SHARE = 65_536  # hlhft.exchange.flow.draws.ONE


class Link(Enum):
    """Where the connection stands."""

    WAITING = "waiting"
    CONNECTING = "connecting"
    UP = "up"
    CLOSING = "closing"


class Step(Enum):
    """What moves it."""

    DUE = "due"
    OPENED = "opened"
    SILENT = "silent"
    CLOSED = "closed"


# A step that is missing is an error of the shell's.
TRANSITIONS: Mapping[Link, Mapping[Step, Link]] = {
    Link.WAITING: {Step.DUE: Link.CONNECTING},
    Link.CONNECTING: {Step.OPENED: Link.UP, Step.CLOSED: Link.WAITING},
    Link.UP: {Step.SILENT: Link.CLOSING, Step.CLOSED: Link.WAITING},
    Link.CLOSING: {Step.CLOSED: Link.WAITING},
}


@dataclass(frozen=True, slots=True)
class Connect:
    """Open a connection; then `opened` or `closed`."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send this text."""

    text: str


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection; then `closed`."""


Effect = Connect | Send | Close


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedSettings:
    """The numbers of a live feed."""

    backoff_ns_min: int = 250 * MS
    backoff_ns_max: int = 30 * SECOND
    hold_ns: int = 50 * MS  # best price to trades of a block: median 4 to 9 ms (venue reference section 6.2)
    ping_ns: int = 20 * SECOND  # the venue closes what it has sent nothing to for 60 s
    silent_ns: int = 30 * SECOND
    stale_ns: int = 15 * SECOND


class LiveFeed:
    """The feed of some markets. Times are nanoseconds of one clock that never goes back."""

    def __init__(self, markets: Sequence[Market], *, seed: int, settings: FeedSettings | None = None) -> None:
        """Raises ValueError on a negative seed."""
        self.markets = tuple(markets)
        self.settings = FeedSettings() if settings is None else settings
        self.link = Link.WAITING
        self.tally = Tally()
        self.last_error = ""  # the venue's or the network's latest, cut
        self.stale = [True] * len(self.markets)
        self._jitter = new_generators(seed, 1)
        self._messages = MessageBlock(Path("live feed"), self.markets, self.tally)
        self._memory = TradeMemory()
        self._connects: deque[int] = deque(maxlen=CONNECTS_PER_MINUTE_MAX)
        self._failures = 0  # since a connection brought a book
        self._connect_ns = 0
        self._heard_ns = 0  # the latest market data of this connection
        self._ping_ns = _NEVER
        self._book_ns = [0] * len(self.markets)  # when the latest book came
        self._first_book_ns = [_NEVER] * len(self.markets)  # venue's time of the connection's first
        self._newest_book_ns = np.zeros(len(self.markets), np.int64)  # venue's time of the newest released
        self._held: deque[tuple[int, Events]] = deque()  # by arrival
        self._ready: deque[Events] = deque()
        self._waiting_rows = 0
        self._converting = nothing()
        self._converted = levels_from_snapshots(
            self._to_convert(), snapshot_markets=np.ones(len(self.markets), np.bool_)
        )

    # What happened.

    def tick(self, now_ns: int) -> list[Effect]:
        """Time passed."""
        self._release(now_ns)
        self._judge_books(now_ns)
        effects: list[Effect] = []
        if self.link is Link.WAITING and now_ns >= self._connect_ns:
            self._move(Step.DUE)
            self._connects.append(now_ns)
            effects.append(Connect())
        elif self.link is Link.UP and now_ns - self._heard_ns >= self.settings.silent_ns:
            self._move(Step.SILENT)
            self.tally["connections_silent"] += 1
            effects.append(Close())
        elif self.link is Link.UP and now_ns >= self._ping_ns:
            self._ping_ns = now_ns + self.settings.ping_ns
            effects.append(Send('{"method":"ping"}'))
        return effects

    def opened(self, now_ns: int) -> list[Effect]:
        """The connection stands."""
        self._move(Step.OPENED)
        self.tally["connections"] += 1
        self._heard_ns = now_ns
        self._ping_ns = now_ns + self.settings.ping_ns
        self._first_book_ns = [_NEVER] * len(self.markets)
        return [Send(text) for text in subscriptions(self.markets)]

    def received(self, text: str | bytes, now_ns: int) -> list[Effect]:
        """A frame came. One that cannot be read is counted and left out."""
        raw = text.encode(errors="replace") if isinstance(text, str) else text
        if self.link is Link.UP:
            self._take(raw, now_ns)
        return self.tick(now_ns)

    def closed(self, reason: str, now_ns: int) -> None:
        """The connection is gone, or never came about."""
        self._move(Step.CLOSED)
        self.last_error = reason[:200]
        backoff_ns = min(self.settings.backoff_ns_min << min(self._failures, 32), self.settings.backoff_ns_max)
        self._failures += 1
        share = int(next_share(self._jitter[0]))
        self._connect_ns = now_ns + backoff_ns // 2 + backoff_ns // 2 * share // _SHARE
        if len(self._connects) == CONNECTS_PER_MINUTE_MAX:
            self._connect_ns = max(self._connect_ns, self._connects[0] + MINUTE_NS)

    def next_deadline_ns(self) -> int:
        """When `tick` has something to do."""
        deadlines = [_NEVER]
        if self.link is Link.WAITING:
            deadlines.append(self._connect_ns)
        elif self.link is Link.UP:
            deadlines += [self._ping_ns, self._heard_ns + self.settings.silent_ns]
        if self._held:
            deadlines.append(self._held[0][0] + self.settings.hold_ns)
        deadlines += [
            book_ns + self.settings.stale_ns for book_ns, stale in zip(self._book_ns, self.stale) if not stale
        ]
        return min(deadlines)

    # What came of it.

    def take_rows(self) -> Events | None:
        """The rows that are ready, in the venue's order, pictures made into levels; None without any."""
        if not self._ready:
            return None
        rows = np.concatenate(self._ready)
        self._ready.clear()
        self._waiting_rows = sum(len(held) for _, held in self._held)
        return rows

    def begin_anew(self) -> None:
        """Says that all books are gone, before any further row."""
        self._clear(range(len(self.markets)), 0)

    def status(self) -> str:
        """One line for people."""
        stale = [market.name for market, is_stale in zip(self.markets, self.stale) if is_stale]
        count = self.tally["connections"]
        text = f"{self.link.value}, {count} connection{'' if count == 1 else 's'}"
        if stale:
            text += f", no book of {', '.join(stale)}"
        return text + (f", last error: {self.last_error}" if self.last_error else "")

    # Inside.

    def _move(self, step: Step) -> None:
        row = TRANSITIONS[self.link]
        assert step in row, f"the feed's connection is {self.link.value}, where {step.value} cannot happen"
        self.link = row[step]

    def _take(self, raw: bytes, now_ns: int) -> None:
        """Turns a frame into rows and holds them."""
        if not raw.startswith(b"{"):
            self.tally["greetings"] += 1  # the venue's first words are plain text
            return
        try:
            self._messages.add(1, now_ns, raw)
            rows = self._messages.events().events
        except DataError as error:
            self._messages.clear()
            self.tally["messages_refused"] += 1
            self.last_error = str(error)[:200]
            return
        if len(rows) == 0:
            if raw.startswith(b'{"channel":"error"'):
                self.tally["errors"] += 1
                self.last_error = raw[:200].decode(errors="replace")
            return
        self._heard_ns = now_ns
        self._note_books(rows, now_ns)
        rows = self._believed(self._memory.without_repeats(rows, self.tally))
        if len(rows):
            self._hold(rows, now_ns)

    def _note_books(self, rows: Events, now_ns: int) -> None:
        kind = rows["kind"]
        books = rows[(kind == int(EventKind.BBO)) | (kind == int(EventKind.SNAPSHOT_BEGIN))]
        for market in set(books["market"].tolist()):
            first = int(books["ts_exch_ns"][books["market"] == market][0])
            self._first_book_ns[market] = min(self._first_book_ns[market], first)
            self._book_ns[market] = now_ns
            self.stale[market] = False
            self._failures = 0

    def _believed(self, rows: Events) -> Events:
        """The rows without trades from before the connection's first book."""
        since = np.array(self._first_book_ns, np.int64)[rows["market"]]
        early = (rows["kind"] == int(EventKind.TRADE)) & (rows["ts_exch_ns"] < since)
        if not early.any():
            return rows
        self.tally["backfill_trades"] += int(early.sum())
        return without_rows(rows, ~early)

    def _hold(self, rows: Events, now_ns: int) -> None:
        if self._waiting_rows + len(rows) > ROWS_WAITING_MAX:
            self.tally["overflows"] += 1
            self._held.clear()
            self._ready.clear()
            self._waiting_rows = 0
            self._clear(range(len(self.markets)), now_ns)
        self._held.append((now_ns, rows))
        self._waiting_rows += len(rows)

    def _release(self, now_ns: int) -> None:
        """Makes ready what was held long enough."""
        due = []
        while self._held and now_ns - self._held[0][0] >= self.settings.hold_ns:
            due.append(self._held.popleft()[1])
        if not due:
            return
        rows = np.concatenate(due)
        rows = self._without_overtaken(rows[np.lexsort((BLOCK_RANK[rows["kind"]], rows["ts_exch_ns"]))])
        if len(rows):
            self._convert(rows)

    def _without_overtaken(self, rows: Events) -> Events:
        """The rows without best prices that are older than a book released before."""
        best = rows["kind"] == int(EventKind.BBO)
        overtaken = best & (rows["ts_exch_ns"] < self._newest_book_ns[rows["market"]])
        self.tally["best_prices_overtaken"] += int(overtaken.sum())
        books = best | (rows["kind"] == int(EventKind.SNAPSHOT_BEGIN))
        np.maximum.at(self._newest_book_ns, rows["market"][books], rows["ts_exch_ns"][books])
        kept: Events = rows[~overtaken]
        return kept

    def _judge_books(self, now_ns: int) -> None:
        """Takes away the books that have become stale."""
        for market, book_ns in enumerate(self._book_ns):
            if not self.stale[market] and now_ns - book_ns >= self.settings.stale_ns:
                self.tally["books_stale"] += 1
                self.stale[market] = True
                self._first_book_ns[market] = _NEVER
                self._clear([market], now_ns)

    def _clear(self, markets: Sequence[int], now_ns: int) -> None:
        self._convert(cleared(markets, now_ns))

    def _convert(self, rows: Events) -> None:
        self._converting = rows
        made = next(self._converted)
        self._waiting_rows += len(made) - len(rows)
        if len(made):
            self._ready.append(made)

    def _to_convert(self) -> Iterator[Events]:
        while True:
            yield self._converting


def subscriptions(markets: Sequence[Market]) -> list[str]:
    """What is subscribed to, in the venue's JSON: both books, best price, trades and prices of each market."""
    texts = []
    for market in markets:
        wanted: list[dict[str, object]] = [
            {"type": "l2Book", "coin": market.name},
            {"type": "l2Book", "coin": market.name, "fast": True},
            {"type": "bbo", "coin": market.name},
            {"type": "trades", "coin": market.name},
            {"type": "activeAssetCtx", "coin": market.name},
        ]
        texts += [msgspec.json.encode({"method": "subscribe", "subscription": one}).decode() for one in wanted]
    return texts
