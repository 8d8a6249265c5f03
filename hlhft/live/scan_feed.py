"""The venue's best prices and trades of some markets, for a scan: when to connect and subscribe, what of it to believe.

Pure: a shell (`hlhft.live.scan`) tells what happened and when, and performs the effects that come back. Messages become
rows with the readers of recordings, so that a live scan and one of a recording of it mean the same. Guarantees:

- Connects and messages keep within the budgets handed in: the share of the venue's limits that tools have.
- Rows come out in whole blocks, in the venue's time, within a block trades before best prices. They are held until the
  feed has told of HOLD_NS more; what is later still is dropped and counted.
- Trades that repeat, or precede a connection's first best price, are left out: a subscription begins with the last
  thirty or so (venue reference section 6.3).
- When a connection ends, every market's session does: nothing is assumed of the time between.
- What waits is bounded; when it is too much it comes out at once, and that is counted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import msgspec
import numpy as np

from hlhft.data.errors import DataError
from hlhft.data.merge import Events, nothing
from hlhft.data.order import BLOCK_RANK
from hlhft.data.readers.messages import MessageBlock
from hlhft.data.sessions import TradeMemory, without_rows
from hlhft.data.tally import Tally
from hlhft.events import EVENT_DTYPE, EventKind
from hlhft.hyperliquid.backoff import DRAWS, SECOND_NS, Budget, wait_ns
from hlhft.units import Market

CHANNELS = ("bbo", "trades")
HOLD_NS = 2 * SECOND_NS  # best price to trades of a block: median 4 to 9 ms (venue reference section 6.2)
PING_NS = 20 * SECOND_NS  # the venue closes what it has sent nothing to for 60 s
SILENT_NS = 30 * SECOND_NS
ROWS_HELD_MAX = 200_000
FAULT_CHARACTERS_MAX = 200
_NEVER = 2**62


class Link(StrEnum):
    """Where the connection stands."""

    WAITING = "waiting"
    CONNECTING = "connecting"
    UP = "up"
    CLOSING = "closing"


class Step(StrEnum):
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


class ScanFeed:
    """The feed of some markets. `now_ns` is of a clock that never goes back, `local_ns` the time of day."""

    def __init__(self, markets: Sequence[Market], *, connects: Budget, messages: Budget) -> None:
        self.markets = tuple(markets)
        self.link = Link.WAITING
        self.tally = Tally()
        self.last_fault = ""  # the venue's or the network's latest, cut
        self._connects, self._messages = connects, messages
        self._reader = MessageBlock(Path("live feed"), self.markets, self.tally)
        self._memory = TradeMemory()
        self._failures = 0  # since a connection brought a best price
        self._due_ns = 0  # of the next connect, or the next message to send
        self._heard_ns = self._ping_ns = 0
        self._to_send: deque[str] = deque()
        self._first_book_ns = np.full(len(self.markets), _NEVER, np.int64)  # of this connection
        self._contexts: dict[str, msgspec.Raw] = {}  # latest told before any best price
        self._held: list[Events] = []
        self._held_rows = 0
        self._ready: list[Events] = []
        self._newest_ns = self._released_ns = 0  # venue's time: newest row, and below which all came out

    # What happened.

    def tick(self, now_ns: int) -> list[Effect]:
        """Time passed."""
        if self.link is Link.WAITING and now_ns >= self._due_ns:
            wait = self._connects.take(now_ns)
            if wait:
                self._due_ns = now_ns + wait
                return []
            self._move(Step.DUE)
            return [Connect()]
        if self.link is not Link.UP:
            return []
        if now_ns - self._heard_ns >= SILENT_NS:
            self._move(Step.SILENT)
            self.tally["connections_silent"] += 1
            return [Close()]
        if now_ns >= self._ping_ns:
            self._ping_ns = now_ns + PING_NS
            self._to_send.append('{"method":"ping"}')
        return self._sent(now_ns)

    def opened(self, now_ns: int) -> list[Effect]:
        """The connection stands."""
        self._move(Step.OPENED)
        self.tally["connections"] += 1
        self._heard_ns = now_ns
        self._ping_ns = now_ns + PING_NS
        self._first_book_ns[:] = _NEVER
        self._to_send = deque(subscriptions(self.markets))
        self._due_ns = now_ns
        return self._sent(now_ns)

    def received(self, text: str | bytes, now_ns: int, local_ns: int) -> list[Effect]:
        """A frame came. One that cannot be read is counted and left out."""
        raw = text.encode(errors="replace") if isinstance(text, str) else text
        if self.link is Link.UP:
            self._take(raw, now_ns, local_ns)
        return self.tick(now_ns)

    def context(self, coin: str, values: msgspec.Raw, now_ns: int, local_ns: int) -> None:
        """What `metaAndAssetCtxs` says of a coin: funding, oracle and mark prices. As if it came with the feed."""
        if not self._newest_ns:
            self._contexts[coin] = values
            return
        said = {"channel": "activeAssetCtx", "data": {"coin": coin, "ctx": values}}
        rows = self._rows(msgspec.json.encode(said), local_ns)
        # Its time is the newest best price's, or a trade's before one.
        rows["ts_exch_ns"] = self._newest_ns
        self._hold(rows)

    def closed(self, reason: str, now_ns: int, draw: int) -> None:
        """The connection is gone, or never came about. `draw` is a random whole number below DRAWS."""
        assert 0 <= draw < DRAWS, "a draw is a whole number from 0 to DRAWS - 1"
        self._move(Step.CLOSED)
        self.last_fault = reason[:FAULT_CHARACTERS_MAX]
        self._due_ns = now_ns + wait_ns(self._failures, draw)
        self._failures += 1
        self._to_send.clear()
        self._end_session()

    def next_deadline_ns(self) -> int:
        """When `tick` has something to do."""
        if self.link is Link.WAITING:
            return self._due_ns
        if self.link is not Link.UP:
            return _NEVER
        deadlines = [self._ping_ns, self._heard_ns + SILENT_NS]
        return min([*deadlines, self._due_ns] if self._to_send else deadlines)

    # What came of it.

    def take_blocks(self, *, everything: bool = False) -> Events:
        """The blocks that are complete, sorted by ts_exch_ns; with `everything`, also those that may not be."""
        self._release(_NEVER if everything else self._newest_ns - HOLD_NS)
        ready = np.concatenate([nothing(), *self._ready])
        self._ready.clear()
        return ready

    def status(self) -> str:
        """One line for people."""
        count = self.tally["connections"]
        text = f"{self.link}, {count} connection{'' if count == 1 else 's'}"
        return text + (f", last fault: {self.last_fault}" if self.last_fault else "")

    # Inside.

    def _move(self, step: Step) -> None:
        row = TRANSITIONS[self.link]
        assert step in row, f"the feed's connection is {self.link}, where {step} cannot happen"
        self.link = row[step]

    def _sent(self, now_ns: int) -> list[Effect]:
        """What of the messages that wait the budget allows now."""
        effects: list[Effect] = []
        while self._to_send and now_ns >= self._due_ns:
            wait = self._messages.take(now_ns)
            if wait:
                self._due_ns = now_ns + wait
                break
            effects.append(Send(self._to_send.popleft()))
        return effects

    def _take(self, raw: bytes, now_ns: int, local_ns: int) -> None:
        if not raw.startswith(b"{"):
            self.tally["greetings"] += 1  # the venue's first words are plain text
            return
        rows = self._rows(raw, local_ns)
        if len(rows) == 0:
            if raw.startswith(b'{"channel":"error"'):
                self.tally["errors"] += 1
                self.last_fault = raw[:FAULT_CHARACTERS_MAX].decode(errors="replace")
            return
        self._heard_ns = now_ns
        best = rows["kind"] == int(EventKind.BBO)
        np.minimum.at(self._first_book_ns, rows["market"][best], rows["ts_exch_ns"][best])
        rows = self._believed(self._memory.without_repeats(rows, self.tally))
        if len(rows) == 0:
            return
        if best.any():
            self._failures = 0
        self._hold(rows)
        for coin, values in self._contexts.items():
            self.context(coin, values, now_ns, local_ns)
        self._contexts.clear()

    def _rows(self, raw: bytes, local_ns: int) -> Events:
        """The rows of one message, none of one that cannot be read."""
        try:
            self._reader.add(1, local_ns, raw)
            return self._reader.events().events
        except DataError as error:
            self._reader.clear()
            self.tally["messages_refused"] += 1
            self.last_fault = str(error)[:FAULT_CHARACTERS_MAX]
            return nothing()

    def _believed(self, rows: Events) -> Events:
        """The rows without trades from before the connection's first best price of their market."""
        since = self._first_book_ns[rows["market"]]
        early = (rows["kind"] == int(EventKind.TRADE)) & (rows["ts_exch_ns"] < since)
        if not early.any():
            return rows
        self.tally["backfill_trades"] += int(early.sum())
        return without_rows(rows, ~early)

    def _hold(self, rows: Events) -> None:
        late = rows["ts_exch_ns"] < self._released_ns
        if late.any():
            self.tally["rows_too_late"] += int(late.sum())
            rows = rows[~late]
        if len(rows) == 0:
            return
        self._newest_ns = max(self._newest_ns, int(rows["ts_exch_ns"].max()))
        self._held.append(rows)
        self._held_rows += len(rows)
        if self._held_rows > ROWS_HELD_MAX:
            self.tally["overflows"] += 1
            self._release(_NEVER)

    def _release(self, bound_ns: int) -> None:
        """Makes ready all rows before `bound_ns` of the venue's time."""
        if not self._held:
            return
        rows = np.concatenate(self._held)
        out = rows["ts_exch_ns"] < bound_ns
        if not out.any():
            return
        self._held = [rows[~out]] if not out.all() else []
        self._held_rows = len(rows) - int(out.sum())
        ready = rows[out]
        self._ready.append(ready[np.lexsort((BLOCK_RANK[ready["kind"]], ready["ts_exch_ns"]))])
        # A block that was cut in two for want of room or of time would come out of order.
        self._released_ns = min(bound_ns, self._newest_ns + 1)

    def _end_session(self) -> None:
        """All that is held comes out, and after it every market's book is unknown."""
        self._release(_NEVER)
        if not self._newest_ns:
            return
        clears = np.zeros(len(self.markets), EVENT_DTYPE)
        clears["kind"] = int(EventKind.DEPTH_CLEAR)
        clears["market"] = np.arange(len(self.markets))
        clears["ts_exch_ns"] = self._newest_ns
        self._ready.append(clears)


def subscriptions(markets: Sequence[Market]) -> list[str]:
    """What is subscribed to, in the venue's JSON: best price and trades of each market."""
    wanted = [{"type": kind, "coin": market.name} for market in markets for kind in CHANNELS]
    return [msgspec.json.encode({"method": "subscribe", "subscription": one}).decode() for one in wanted]
