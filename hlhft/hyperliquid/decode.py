"""Frames of the venue's WebSocket as event records and typed messages: what the socket's callback calls.

Book, touch and trades go through a compiled scanner. What it does not recognise, and the asset contexts, are decoded by
their types to the same events; everything that is no market data becomes a message (`hlhft.hyperliquid.messages`). No
frame raises: what cannot be decoded is a fault with a counter, and writes no events. Source of the shapes: venue
reference section 6.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Annotated, Literal

import msgspec
import numpy as np

from hlhft.events import EventFlag, EventKind, Side, empty
from hlhft.hyperliquid.messages import ESTABLISHED_TEXT, Established, Message, Reader
from hlhft.hyperliquid.reading import UNDECODABLE, Fault, Id, TimeMs, whole_units
from hlhft.hyperliquid.scan import FAST_LEVELS, FULL_LEVELS, PADDING, new_coins, scan
from hlhft.hyperliquid.wire import ns_of
from hlhft.units import FUNDING_SCALE, LOTS_MAX, TICKS_MAX, Market

EVENTS_MAX, EVENTS_MIN = 1024, 64
SCANNED_BYTES_MAX = 1 << 16
FRAME_BYTES_MAX = 1 << 22  # a snapshot of 2,000 fills has less than one million bytes
MARKETS_MAX = 65_535  # an event's market is 16 bits
_RATE_DECIMALS = len(str(FUNDING_SCALE)) - 1
_RATE_MAX = 2**63 - 1
_VISIBLE = int(EventFlag.EXCHANGE_VISIBLE | EventFlag.LOCAL_VISIBLE)
_FRAME_END = int(EventFlag.FRAME_END)
_DEPTH_LEVEL, _BBO, _TRADE = int(EventKind.DEPTH_LEVEL), int(EventKind.BBO), int(EventKind.TRADE)
_SNAPSHOT_BEGIN, _SNAPSHOT_END = int(EventKind.SNAPSHOT_BEGIN), int(EventKind.SNAPSHOT_END)
_ASSET_CONTEXT = int(EventKind.ASSET_CONTEXT)
_BUY, _SELL = int(Side.BUY), int(Side.SELL)
_SIDES = (_BUY, _SELL)

Row = tuple[int, ...]  # the fields of an event, in EVENT_DTYPE's order


class _Level(msgspec.Struct, gc=False):
    px: str
    sz: str
    n: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] = 0


class _Book(msgspec.Struct):
    coin: str
    time: TimeMs
    levels: tuple[list[_Level], list[_Level]]
    fast: bool = False


class _Touch(msgspec.Struct):
    coin: str
    time: TimeMs
    bbo: tuple[_Level | None, _Level | None]


class _Trade(msgspec.Struct, gc=False):
    coin: str
    side: Literal["B", "A"]
    px: str
    sz: str
    time: TimeMs
    tid: Id


class _Values(msgspec.Struct, gc=False):
    funding: str = "0"
    open_interest: str = msgspec.field(default="0", name="openInterest")
    oracle: str = msgspec.field(default="0", name="oraclePx")
    mark: str = msgspec.field(default="0", name="markPx")
    premium: str | None = None


class _Context(msgspec.Struct):
    coin: str
    ctx: _Values


class _Envelope(msgspec.Struct):
    channel: str
    data: msgspec.Raw = msgspec.Raw(b"null")


_ENVELOPE = msgspec.json.Decoder(_Envelope)
_BOOK = msgspec.json.Decoder(_Book)
_TOUCH = msgspec.json.Decoder(_Touch)
_TRADES = msgspec.json.Decoder(list[_Trade])
_CONTEXT = msgspec.json.Decoder(_Context)


class Decoder:
    """Decodes the frames of one connection, one after the other; everything it needs is allocated here.

    `events` EVENT_DTYPE[events_max] holds the events of the last frame that had any, `message` the message of the last
    frame or None. The counters only rise: `scanned` and `typed` market frames by which way they took, `messages`,
    `other_channels` and `other_coins` what was left out because nobody here listens to it, `faults` by `Fault`.
    """

    def __init__(
        self, markets: Sequence[Market], *, events_max: int = EVENTS_MAX, scanned_bytes_max: int = SCANNED_BYTES_MAX
    ) -> None:
        """An event's market is the place in `markets`. Raises ValueError where names repeat or there are too many.

        Frames longer than `scanned_bytes_max` are decoded by their types alone, to the same events.
        """
        if len(markets) > MARKETS_MAX:
            raise ValueError(f"there can be at most {MARKETS_MAX} markets, not {len(markets)}")
        if events_max < EVENTS_MIN:
            raise ValueError(f"events_max must be at least {EVENTS_MIN}, not {events_max}")
        self.events = empty(events_max)
        self.message: Message | None = None
        self.scanned = self.typed = self.messages = self.other_channels = self.other_coins = 0
        self.faults = [0] * len(Fault)
        self._coins = new_coins(markets)
        self._scanned_bytes_max = scanned_bytes_max
        self._frame = np.zeros(scanned_bytes_max + PADDING, dtype=np.uint8)
        self._bytes = self._frame.data
        self._clock = np.zeros(1, dtype=np.int64)
        self._markets = {market.name: (row, market) for row, market in enumerate(markets)}
        self._reader = Reader(markets)
        self._channels: dict[str, Callable[[msgspec.Raw, int], int]] = {
            "l2Book": self._book,
            "bbo": self._touch,
            "trades": self._trades,
            "activeAssetCtx": self._context,
            "activeSpotAssetCtx": self._context,
        }

    def decode(self, frame: bytes | bytearray | memoryview, ts_local_ns: int) -> int:
        """Decodes one frame that was received at `ts_local_ns`; nothing of it is kept but copies.

        Returns how many events it became: they are the first in `events`, in order, the last with FRAME_END. Returns 0
        for a message, which is then in `message`, and for what nobody here listens to. Returns minus the Fault for what
        cannot be decoded, after which the beginning of `events` means nothing.

        The trades that a subscription begins with are given like any others. A context names no time: it has the newest
        exchange time of the frames before it.
        """
        self.message = None
        length = len(frame)
        if length <= self._scanned_bytes_max:
            self._bytes[:length] = frame
            count = int(scan(self._frame, length, ts_local_ns, self._coins, self._clock, self.events))
            if count >= 0:
                self.scanned += 1
                return count
        result = self._decode_typed(frame, ts_local_ns)
        if result < 0:
            self.faults[-result] += 1
        return result

    def _decode_typed(self, frame: bytes | bytearray | memoryview, ts_local_ns: int) -> int:
        if len(frame) > FRAME_BYTES_MAX:
            return -Fault.TOO_LONG
        try:
            envelope = _ENVELOPE.decode(frame)
        except UNDECODABLE:
            return self._greeting(frame)
        market_channel = self._channels.get(envelope.channel)
        if market_channel is not None:
            try:
                count = market_channel(envelope.data, ts_local_ns)
            except UNDECODABLE:
                return -Fault.WRONG_SHAPE
            self.typed += count > 0
            return count
        if envelope.channel not in Reader.channels:
            self.other_channels += 1
            return 0
        message = self._reader.read(envelope.channel, envelope.data)
        if isinstance(message, Fault):
            return -message
        return self._told(message)

    def _greeting(self, frame: bytes | bytearray | memoryview) -> int:
        if bytes(frame[: len(ESTABLISHED_TEXT) + 1]) == ESTABLISHED_TEXT:
            return self._told(Established())
        return -Fault.UNREADABLE

    def _told(self, message: Message) -> int:
        self.messages += 1
        self.message = message
        return 0

    def _row(self, coin: str) -> tuple[int, Market] | None:
        found = self._markets.get(coin)
        self.other_coins += found is None
        return found

    def _write(self, rows: list[Row], newest_ns: int) -> int:
        """Makes the rows the events of the frame; returns how many."""
        count = len(rows)
        if count:
            self.events[:count] = rows
            self.events[count - 1]["flags"] |= _FRAME_END
            self._clock[0] = max(int(self._clock[0]), newest_ns)
        return count

    def _book(self, data: msgspec.Raw, ts_local_ns: int) -> int:
        book = _BOOK.decode(data)
        found = self._row(book.coin)
        if found is None:
            return 0
        row, market = found
        count = sum(map(len, book.levels))
        if count + 2 > len(self.events):
            return -Fault.TOO_MANY
        times, channel = (ns_of(book.time), ts_local_ns), int(book.fast)
        limit = FAST_LEVELS if book.fast else FULL_LEVELS
        rows: list[Row] = [(*times, 0, 0, 0, limit, channel, _SNAPSHOT_BEGIN, _VISIBLE, row, 0, 0)]
        prices: list[list[int]] = []
        for side, levels in zip(_SIDES, book.levels, strict=True):
            prices.append([])
            for level in levels:
                ticks, lots, fault = _amounts(level.px, level.sz, market)
                if fault:
                    return -fault
                prices[-1].append(ticks)
                rows.append((*times, ticks, lots, 0, level.n, 0, _DEPTH_LEVEL, _VISIBLE, row, side, 0))
        if not _is_ordered(*prices):
            return -Fault.DISORDERED
        rows.append((*times, 0, 0, 0, count, channel, _SNAPSHOT_END, _VISIBLE, row, 0, 0))
        return self._write(rows, times[0])

    def _touch(self, data: msgspec.Raw, ts_local_ns: int) -> int:
        touch = _TOUCH.decode(data)
        found = self._row(touch.coin)
        if found is None:
            return 0
        row, market = found
        times = (ns_of(touch.time), ts_local_ns)
        rows: list[Row] = []
        prices = []
        for side, level in zip(_SIDES, touch.bbo, strict=True):
            ticks, lots, orders = 0, 0, 0
            if level is not None:
                ticks, lots, fault = _amounts(level.px, level.sz, market)
                if fault:
                    return -fault
                orders = level.n
                prices.append(ticks)
            rows.append((*times, ticks, lots, 0, orders, 0, _BBO, _VISIBLE, row, side, 0))
        if prices != sorted(set(prices)):
            return -Fault.DISORDERED
        return self._write(rows, times[0])

    def _trades(self, data: msgspec.Raw, ts_local_ns: int) -> int:
        trades = _TRADES.decode(data)
        if len(trades) > len(self.events):
            return -Fault.TOO_MANY
        rows: list[Row] = []
        for trade in sorted(trades, key=lambda trade: trade.time):
            found = self._row(trade.coin)
            if found is None:
                continue
            row, market = found
            ticks, lots, fault = _amounts(trade.px, trade.sz, market)
            if fault or lots == 0:
                return -(fault or Fault.OUT_OF_RANGE)
            side = _BUY if trade.side == "B" else _SELL
            ts_exch_ns = ns_of(trade.time)
            rows.append((ts_exch_ns, ts_local_ns, ticks, lots, trade.tid, 0, 0, _TRADE, _VISIBLE, row, side, 0))
        return self._write(rows, rows[-1][0] if rows else 0)

    def _context(self, data: msgspec.Raw, ts_local_ns: int) -> int:
        told = _CONTEXT.decode(data)
        found = self._row(told.coin)
        if found is None:
            return 0
        row, market = found
        values = told.ctx
        numbers: list[int] = []
        # Mark, oracle and rates are averages, finer than their units: they are cut.
        for text, decimals, maximum, signed in (
            (values.mark, market.price_decimals, TICKS_MAX, False),
            (values.open_interest, market.size_decimals, LOTS_MAX, False),
            (values.oracle, market.price_decimals, TICKS_MAX, False),
            (values.funding, _RATE_DECIMALS, _RATE_MAX, True),
            (values.premium or "0", _RATE_DECIMALS, _RATE_MAX, True),
        ):
            number, fault = whole_units(text, decimals, maximum, signed=signed, cut=True)
            if fault:
                return -fault
            numbers.append(number)
        ts_exch_ns = int(self._clock[0]) or ts_local_ns
        return self._write([(ts_exch_ns, ts_local_ns, *numbers, _ASSET_CONTEXT, _VISIBLE, row, 0, 0)], 0)


def _amounts(price: str, size: str, market: Market) -> tuple[int, int, Fault]:
    """(ticks, lots, fault) of a level or a trade; a price of 0 is out of range."""
    ticks, fault = whole_units(price, market.price_decimals, TICKS_MAX)
    if fault or ticks == 0:
        return 0, 0, fault or Fault.OUT_OF_RANGE
    lots, fault = whole_units(size, market.size_decimals, LOTS_MAX)
    return ticks, lots, fault


def _is_ordered(bids: Sequence[int], asks: Sequence[int]) -> bool:
    """Whether bids fall, asks rise, and the best bid lies below the best ask."""
    falling = all(nearer > farther for nearer, farther in pairwise(bids))
    rising = all(nearer < farther for nearer, farther in pairwise(asks))
    return falling and rising and (not bids or not asks or bids[0] < asks[0])
