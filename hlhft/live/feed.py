"""Frames in: the one connection that brings market data and our own news.

A frame is decoded, stepped over and reacted to within the callback of its socket; only then does the connection machine
hear of it, to judge freshness. What a frame says of our own orders is recorded as it came, before anything is made of
it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hlhft.events import EventFlag, EventKind
from hlhft.hyperliquid.connection import Connection
from hlhft.hyperliquid.connection_events import ALARMING, Data, Reconcile, Report, ReportCode
from hlhft.hyperliquid.decode import Decoder
from hlhft.hyperliquid.messages import (
    Fills,
    Fundings,
    Liquidation,
    Message,
    NonUserCancels,
    OrderUpdates,
    Transfers,
)
from hlhft.hyperliquid.reading import MEANING, Fault
from hlhft.hyperliquid.subscriptions import (
    ALL_MARKETS,
    Stream,
    StreamKind,
    market_stream,
    user_stream,
)
from hlhft.live.hub import Hub
from hlhft.live.line import Line
from hlhft.live.pulse import Pulse
from hlhft.monitor.histogram import VALUE_MAX, Histogram
from hlhft.units import Market

NAME = "feed"
NS_PER_MS = 1_000_000
BLOCK_EVERY_MS = 100  # of block time: how often it is told on
FAULT_BYTES_MAX = 80  # of a frame that cannot be decoded, in its report
_FRESH, _STALE = 0, 1
_VISIBLE = int(EventFlag.LOCAL_VISIBLE)
_MARKET_STATE = int(EventKind.MARKET_STATE)
_CONTEXT = int(EventKind.ASSET_CONTEXT)
_SNAPSHOT, _BBO, _TRADE = int(EventKind.SNAPSHOT_BEGIN), int(EventKind.BBO), int(EventKind.TRADE)
_SELL = -1
# Places in an event as a tuple.
_TS, _PRICE, _AUX1, _KIND, _MARKET, _SIDE = 0, 2, 6, 7, 9, 10
OF_MARKETS = (StreamKind.FAST_BOOK, StreamKind.BOOK, StreamKind.BBO, StreamKind.TRADES, StreamKind.CONTEXT)
# With a node's files the books and trades come from there. The book of five levels is asked for all the same: it tells
# the venue's own block time, which a reading of the account is judged by; a node may be ahead of the API's servers.
OF_MARKETS_BESIDE_A_NODE = (StreamKind.FAST_BOOK, StreamKind.CONTEXT)
OF_USER = (
    StreamKind.ORDER_UPDATES, StreamKind.USER_FILLS, StreamKind.USER_EVENTS, StreamKind.USER_FUNDINGS,
    StreamKind.LEDGER_UPDATES,
)  # fmt: skip
OwnNews = OrderUpdates | Fills | NonUserCancels | Fundings | Transfers | Liquidation


def streams_of(markets: Sequence[Market], address: str, kinds: Sequence[StreamKind] = OF_MARKETS) -> tuple[Stream, ...]:
    """What the feed is subscribed to: the user's streams first, so that nothing is traded before they stand."""
    wanted = [user_stream(kind, address) for kind in OF_USER]
    wanted += [market_stream(kind, row, market.name) for row, market in enumerate(markets) for kind in kinds]
    return tuple(wanted)


class Feed:
    """The feed of one engine. `news(message)` takes what is told of our own account, `block(ms)` the venue's time,
    `reconcile(demand)` the wish for a reading; `raw(frame, now_ns)` records a frame of our own.

    `beside_node`: a node's files tell the books and trades. Then the venue's are not told to the core but to `compare`
    (market, block time in ms, best bid, best ask), and a market is fresh only while `node_is_fresh` says so as well.
    """

    def __init__(
        self,
        hub: Hub,
        connection: Connection,
        *,
        markets: Sequence[Market],
        address: str,
        pulse: Pulse,
        news: Callable[[OwnNews], None],
        block: Callable[[int], None],
        reconcile: Callable[[Reconcile], None],
        raw: Callable[[memoryview, int], None],
        changed: Callable[[bool], None],
        pulled: Callable[[int], None],
        beside_node: bool = False,
        compare: Callable[[int, int, int, int], None] = lambda market, block_ms, bid_ticks, ask_ticks: None,
        **line: Any,
    ) -> None:
        self.counters: Counter[str] = Counter()
        self.fresh = [False] * len(markets)
        self.latency = Histogram()  # from the venue's time of a book to its receipt, by the clocks as compared
        self.venue_ahead_ns = 0  # by which the venue's clock is ahead of ours
        self.least_ns = VALUE_MAX  # the least such time by the clocks as they are, since somebody last cleared it
        self._is_fresh_here = [False] * len(markets)  # by the venue's streams alone
        self._beside_node = beside_node
        self._compare = compare
        self._is_node_fresh = not beside_node
        self.line = Line(NAME, connection, owner=self, timers=hub.timers, clock=hub.clock, **line)
        self._hub = hub
        self._clock = hub.clock
        self._pulse = pulse
        self._markets = tuple(markets)
        self._streams = streams_of(markets, address, OF_MARKETS_BESIDE_A_NODE if beside_node else OF_MARKETS)
        self._decoder = Decoder(markets)
        self._events = self._decoder.events
        self._news = news
        self._block = block
        self._reconcile = reconcile
        self._raw = raw
        self._changed = changed
        self._pulled = pulled
        self._told_block_ms = 0

    def start(self) -> None:
        """Connects, and goes on connecting."""
        self.line.start(self._streams)

    @property
    def decoder(self) -> Decoder:
        """Its counters say what the frames were."""
        return self._decoder

    # What the line tells.

    def heard(self, line: Line, frame: memoryview) -> None:
        """A frame came: the hot path."""
        dispatch = self._hub.dispatch
        now_ns = dispatch.turn()
        self._pulse.busy_ns = line.heard_ns = now_ns
        count = self._decoder.decode(frame, now_ns)
        if count > 0:
            events = self._events
            if not self._beside_node or events["kind"][0] == _CONTEXT:
                dispatch.frame(events, count, now_ns)
            self._note(line, events, count)
        elif count == 0:
            message = self._decoder.message
            if message is not None:
                self._told(line, message, frame, now_ns)
        else:
            self._faulty(Fault(-count), frame)

    def pressed(self, line: Line, *, is_waiting: bool) -> None:
        """Nothing but subscriptions and pings is sent here."""

    def reconcile(self, line: Line, demand: Reconcile) -> None:
        """The account is to be read."""
        self._reconcile(demand)

    def market(self, line: Line, market: int, *, is_fresh: bool) -> None:
        """A market became stale or fresh. The user's streams are no market: while they are not well, the connection is
        not live."""
        if market == ALL_MARKETS:
            return
        self._is_fresh_here[market] = is_fresh
        if is_fresh and not self._is_node_fresh:
            return
        self._judge(market, is_fresh=is_fresh)

    def node_is_fresh(self, *, is_fresh: bool) -> None:
        """The node's files became stale or fresh, and with them every market."""
        self._is_node_fresh = is_fresh
        for market, is_fresh_here in enumerate(self._is_fresh_here):
            if is_fresh_here:
                self._judge(market, is_fresh=is_fresh)

    def _judge(self, market: int, *, is_fresh: bool) -> None:
        self.fresh[market] = is_fresh
        now_ns = self._clock.now_ns()
        state = _FRESH if is_fresh else _STALE
        self._hub.dispatch.tell([(0, now_ns, 0, 0, 0, state, 0, _MARKET_STATE, _VISIBLE, market, 0, 0)])
        name = self._markets[market].name
        self._hub.say(f"{name}: {'its data are fresh' if is_fresh else 'its data are old, quotes pulled'}")
        if not is_fresh:
            self._pulled(market)

    def live(self, line: Line, *, is_live: bool) -> None:
        """The feed serves, or does not any more."""
        self._changed(is_live)

    def reported(self, line: Line, report: Report) -> None:
        """Something of the connection."""
        say_report(self._hub, line.name, report)

    def broke(self, error: BaseException | None) -> None:
        """An invariant does not hold."""
        self._hub.engine.broke(error)

    # Parts.

    def _note(self, line: Line, events: np.ndarray, count: int) -> None:
        """Tells the connection what came, and the block's time now and then."""
        first = events[0].item()
        kind, market = first[_KIND], first[_MARKET]
        bid = ask = 0
        stamp_ns = first[_TS]
        if kind == _BBO:
            bid, ask = first[_PRICE], events[1].item()[_PRICE]
            stream = StreamKind.BBO
        elif kind == _SNAPSHOT:
            stream = StreamKind.FAST_BOOK if first[_AUX1] else StreamKind.BOOK
            bid, ask = _touch(events, count)
        elif kind == _TRADE:
            stream = StreamKind.TRADES
            stamp_ns = events[count - 1].item()[_TS]
        else:
            line.on(Data(line.socket, StreamKind.CONTEXT, market))
            return
        if stream is not StreamKind.TRADES:
            lag_ns = line.heard_ns - stamp_ns
            self.latency.note(lag_ns + self.venue_ahead_ns)
            if lag_ns < self.least_ns:
                self.least_ns = lag_ns
        block_ms = stamp_ns // NS_PER_MS
        if self._beside_node:
            self._compare(market, block_ms, bid, ask)
        line.on(Data(line.socket, stream, market, block_ms, bid, ask))
        if block_ms > self._hub.block_ms:
            self._hub.block_ms = block_ms
            if block_ms >= self._told_block_ms + BLOCK_EVERY_MS:
                self._told_block_ms = block_ms
                self._block(block_ms)

    def _told(self, line: Line, message: Message, frame: memoryview, now_ns: int) -> None:
        if line.control(message):
            return
        stream = _stream_of(message)
        if stream is None or not isinstance(message, OwnNews):
            self.counters["messages that nobody asked for"] += 1
            return
        self._raw(frame, now_ns)
        self._news(message)
        line.on(Data(line.socket, stream))

    def _faulty(self, fault: Fault, frame: memoryview) -> None:
        """A frame that cannot be decoded: counted, the first of each kind said. Its stream becomes stale if it goes on
        so, and that pulls the quotes."""
        name = f"frames that cannot be decoded: {MEANING[fault]}"
        self.counters[name] += 1
        if self.counters[name] == 1:
            shown = bytes(frame[:FAULT_BYTES_MAX]).decode(errors="replace")
            self._hub.say(f"a frame cannot be decoded, {MEANING[fault]}; it begins with {shown!r}", "warning")


def say_report(hub: Hub, name: str, report: Report) -> None:
    """Says what a connection reports."""
    hub.counters[f"{name}: {report.code.name}"] += 1
    detail = f", {report.detail}" if report.detail else ""
    level: Any = "warning" if report.code in ALARMING else "info"
    if report.code is ReportCode.ROTATED:
        level = "debug"
    hub.say(f"{name}: {report.code.name.lower().replace('_', ' ')}{detail}", level)


def _touch(events: np.ndarray, count: int) -> tuple[int, int]:
    """(best bid, best ask) of a snapshot's events, 0 for an empty side: levels stand bids first, the best first."""
    levels = count - 2
    if levels <= 0:
        return 0, 0
    first = events[1].item()
    bid = first[_PRICE] if first[_SIDE] != _SELL else 0
    # Mostly both sides have as many levels.
    middle = 1 + levels // 2
    before, ask = events[middle - 1].item(), events[middle].item()
    if ask[_SIDE] == _SELL and (before[_SIDE] != _SELL or middle == 1):
        return bid, ask[_PRICE]
    asks = np.flatnonzero(events["side"][1 : count - 1] == _SELL)
    return bid, int(events["price_ticks"][1 + asks[0]]) if len(asks) else 0


def _stream_of(message: Message) -> StreamKind | None:
    """Which stream of ours a message came on."""
    if isinstance(message, OrderUpdates):
        return StreamKind.ORDER_UPDATES
    if isinstance(message, Fills):
        return StreamKind.USER_FILLS if message.user else StreamKind.USER_EVENTS
    if isinstance(message, Fundings):
        return StreamKind.USER_FUNDINGS if message.user else StreamKind.USER_EVENTS
    if isinstance(message, NonUserCancels | Liquidation):
        return StreamKind.USER_EVENTS
    return StreamKind.LEDGER_UPDATES if isinstance(message, Transfers) else None
