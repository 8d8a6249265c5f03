"""Binance streams as they were received: gzip lines of the receiver's clock in nanoseconds, a space, and the raw JSON.

Channels of a combined or single stream: depthUpdate, bookTicker, trade, and the REST depth snapshot. Times: a futures
message happened at its transaction time `T`, a spot depth update at its event time `E`; a message with neither (spot
bookTicker and REST snapshot) is given the local time less the median latency of the messages that have one.

Clock: where the receiver's clock runs behind, so that some message would arrive before it happened, every local time is
moved by the most negative latency plus `base_latency_ns`; otherwise nothing moves. That is the rule of hftbacktest's
converter, so the same messages (`book_ticker=False`) give the same times.

A REST snapshot is older than some updates that were received before it. Taken as it is, it would bring back levels
that are long gone; so the updates it lacks are applied again behind it, in its frame (`mend_snapshots=False` leaves
it bare).

Levels of spot books hold sizes older than the lot, finer than it (25.426189 where the lot is 0.00001): the total at a
level is cut to whole lots and counted. Trades are never cut.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from hlhft.data.errors import DataError
from hlhft.data.files import LineFile, ProgressMeter
from hlhft.data.merge import Events, Numbered
from hlhft.data.order import in_arrival_order
from hlhft.data.readers.frames import VISIBLE, FrameBlock
from hlhft.data.readers.messages import UNDECODABLE
from hlhft.data.sources import Source, market_for
from hlhft.events import EventFlag, EventKind, Side
from hlhft.units import Market

_MILLISECOND_NS = 1_000_000
_CLOCK_DIGITS = 19
_TIME_MAX_MS = 9_000_000_000_000  # in nanoseconds still an int64
_INT64_MAX = 2**63 - 1
RECENT_UPDATES_MAX = 1024  # a minute and more of updates: no REST answer takes that long
LATENCY_SAMPLES_MAX = 65_536  # the median latency is taken over so many messages
_PAIR = b'["",""]'
_NUMBER_BYTES = b"0123456789.eE+-"
_PROBE_LINES = 1000
_OPTIONS = ("base_latency_ns", "book_ticker", "mend_snapshots")


class _Data(msgspec.Struct):
    e: str = ""
    E: int = 0
    T: int = 0
    s: str = ""
    u: int = 0
    t: int = 0
    p: str = ""
    q: str = ""
    m: bool = False
    X: str = "MARKET"  # spot names no kind: every spot trade is a market trade
    b: msgspec.Raw = msgspec.Raw(b"")
    a: msgspec.Raw = msgspec.Raw(b"")
    B: msgspec.Raw = msgspec.Raw(b"")
    A: msgspec.Raw = msgspec.Raw(b"")


class _Message(msgspec.Struct):
    stream: str = ""
    data: _Data | None = None
    lastUpdateId: int = 0  # noqa: N815 - Binance's name
    bids: msgspec.Raw = msgspec.Raw(b"")
    asks: msgspec.Raw = msgspec.Raw(b"")
    T: int = 0


class _Times(msgspec.Struct):
    e: str = ""
    E: int = 0
    T: int = 0
    X: str = "MARKET"


class _TimesMessage(msgspec.Struct):
    stream: str = ""
    data: _Times | None = None
    lastUpdateId: int = 0  # noqa: N815
    T: int = 0


_MESSAGE = msgspec.json.Decoder(_Message)
_TIMES = msgspec.json.Decoder(_TimesMessage)
_SINGLE = msgspec.json.Decoder(_Data)
_SINGLE_TIMES = msgspec.json.Decoder(_Times)


class BinanceSource(Source):
    """One instrument's recorded streams."""

    reader = "binance-1"

    def __init__(
        self,
        file: LineFile,
        market: Market,
        *,
        base_latency_ns: int = 0,
        book_ticker: bool = True,
        mend_snapshots: bool = True,
    ) -> None:
        """`base_latency_ns` >= 0 is added when the clock is moved; without `book_ticker` that channel is left out."""
        if base_latency_ns < 0:
            raise ValueError(f"base_latency_ns must not be negative, not {base_latency_ns}")
        options = {"base_latency_ns": base_latency_ns, "book_ticker": book_ticker, "mend_snapshots": mend_snapshots}
        super().__init__(file.path.name, [file.path], [market], options)
        self._file = file
        self._base_latency_ns = base_latency_ns
        self._book_ticker = book_ticker
        self._clock: tuple[int, int] | None = None
        self._mend_snapshots = mend_snapshots
        # Last update id, exchange time, bids and asks of the newest depth updates.
        self._recent: deque[tuple[int, int, tuple[int, bytes], tuple[int, bytes]]] = deque(maxlen=RECENT_UPDATES_MAX)

    @property
    def bytes_total(self) -> int:
        """Both passes: the clock's and the events'."""
        return 2 * super().bytes_total

    def clock(self, meter: ProgressMeter | None = None) -> tuple[int, int]:
        """(nanoseconds that local times are moved by, median latency after that), from one pass over the file."""
        if self._clock is None:
            self._clock = self._measure(meter)
        return self._clock

    def _measure(self, meter: ProgressMeter | None) -> tuple[int, int]:
        least = 2**63 - 1
        samples: list[int] = []
        fault = DataError(
            self._file.path, None, "no message has an exchange time, expected depth updates or trades, check the file"
        )
        try:
            for latency in self._latencies(meter):
                least = min(least, latency)
                if len(samples) < LATENCY_SAMPLES_MAX:
                    samples.append(latency)
        except DataError as error:
            # What comes before is measured: whoever reads the events comes to the same line.
            fault = error
        if not samples:
            raise fault
        shift = self._base_latency_ns - least if least < 0 else 0
        return shift, int(np.median(np.array(samples, dtype=np.int64))) + shift

    def _latencies(self, meter: ProgressMeter | None) -> Iterator[int]:
        """Local minus exchange time, ns, of every message that will give events and names the latter."""
        for first, lines in self._file.blocks(meter, "clock"):
            for number, line in enumerate(lines, first):
                local_ns = self._local_ns(line, number)
                exch_ms = self._time_ms(line, number)
                if exch_ms:
                    yield local_ns - exch_ms * _MILLISECOND_NS

    def _time_ms(self, line: bytes, number: int) -> int:
        """The exchange time of a message that will give events, 0 for every other."""
        text = line[_CLOCK_DIGITS + 1 :]
        try:
            message = _TIMES.decode(text)
            data = message.data
            if data is None:
                if message.lastUpdateId or message.stream:
                    return self._milliseconds(message.T, number)
                data = _SINGLE_TIMES.decode(text)
        except UNDECODABLE as error:
            raise self._unreadable(number, error) from None
        channel = _channel(message.stream, data.e)
        if channel is None or data.X != "MARKET" or (channel is EventKind.BBO and not self._book_ticker):
            return 0
        time_ms = data.T or (0 if channel is EventKind.BBO else data.E)
        return time_ms if 0 <= time_ms < _TIME_MAX_MS else self._milliseconds(time_ms, number)

    def _milliseconds(self, time_ms: int, number: int) -> int:
        """`time_ms` itself. Raises DataError when it is out of range."""
        if not 0 <= time_ms < _TIME_MAX_MS:
            raise DataError(self._file.path, number, f"exchange time {time_ms} is not in milliseconds, drop the line")
        return time_ms

    def _local_ns(self, line: bytes, number: int) -> int:
        if line[_CLOCK_DIGITS : _CLOCK_DIGITS + 1] == b" " and line[:_CLOCK_DIGITS].isdigit():
            local_ns = int(line[:_CLOCK_DIGITS])
            if local_ns < 2**62:
                return local_ns
        raise DataError(
            self._file.path,
            number,
            f'the line begins with "{line[:24].decode("ascii", "backslashreplace")}", expected a clock of '
            f"{_CLOCK_DIGITS} digits (nanoseconds) and a space, drop the line",
        )

    def _unreadable(self, number: int, error: Exception) -> DataError:
        return DataError(self._file.path, number, f"no Binance message ({error}), expected its JSON, drop the line")

    def _arrays(self, meter: ProgressMeter) -> Iterator[Events]:
        return in_arrival_order(self._rows(meter), name=str(self._file.path), tally=self.counts)

    def numbered(self, meter: ProgressMeter) -> Iterator[tuple[Path, Numbered]]:
        """The messages line by line, local times moved."""
        return ((self._file.path, rows) for rows in self._rows(meter))

    def _rows(self, meter: ProgressMeter) -> Iterator[Numbered]:
        shift, median = self.clock(meter)
        self.counts["clock_shift_ns"] = shift
        self._recent.clear()
        block = FrameBlock(self._file.path, self.markets[0], cut_levels=True)

        def read(first: int, lines: list[bytes]) -> Numbered:
            block.clear()
            for number, line in enumerate(lines, first):
                local_ns = self._local_ns(line, number) + shift
                self._gather(block, line[_CLOCK_DIGITS + 1 :], number, local_ns, local_ns - median)
            return Numbered(*block.events_and_lines())

        yield from self._up_to_fault(self._file.blocks(meter, "events"), read)
        if block.cut:
            self.counts["levels_cut_to_whole_lots"] = block.cut

    def _gather(self, block: FrameBlock, text: bytes, number: int, local_ns: int, modelled_ns: int) -> None:
        """Adds one message; `modelled_ns` is its exchange time where it names none."""
        try:
            message = _MESSAGE.decode(text)
            data = message.data
            if data is None and not message.stream and not message.lastUpdateId:
                data = _SINGLE.decode(text)
        except UNDECODABLE as error:
            raise self._unreadable(number, error) from None
        if data is None:
            exch_ns = self._milliseconds(message.T, number) * _MILLISECOND_NS or modelled_ns
            self._snapshot(block, message, number, exch_ns, local_ns)
            return
        channel = _channel(message.stream, data.e)
        if channel is None or (channel is EventKind.BBO and not self._book_ticker):
            self.counts["messages_of_other_channels"] += 1
            return
        if channel is EventKind.TRADE and data.X != "MARKET":
            self.counts["trades_not_at_market"] += 1
            return
        time_ms = data.T or (0 if channel is EventKind.BBO else data.E)
        if not 0 <= time_ms < _TIME_MAX_MS:
            self._milliseconds(time_ms, number)
        if not 0 <= data.t <= _INT64_MAX:
            raise DataError(self._file.path, number, f"trade id {data.t} is out of range, drop the line")
        block.frame(number, ts_exch_ns=time_ms * _MILLISECOND_NS or modelled_ns, ts_local_ns=local_ns)
        self.counts[channel.name.lower()] += 1
        if channel is EventKind.TRADE:
            side = int(Side.SELL if data.m else Side.BUY)
            pair = f"{data.p},{data.q}".encode(errors="replace")
            block.pairs(EventKind.TRADE, side, 1, pair, order_id=data.t)
        elif channel is EventKind.BBO:
            self._ticker(block, data)
        else:
            bids, asks = self._levels(bytes(data.b), number), self._levels(bytes(data.a), number)
            block.pairs(EventKind.DEPTH_LEVEL, 1, *bids)
            block.pairs(EventKind.DEPTH_LEVEL, -1, *asks)
            self._recent.append((data.u, time_ms * _MILLISECOND_NS, bids, asks))

    def _snapshot(self, block: FrameBlock, message: _Message, number: int, exch_ns: int, local_ns: int) -> None:
        if not message.lastUpdateId:
            raise DataError(
                self._file.path,
                number,
                "the message holds no data, expected a stream's data or a snapshot, drop the line",
            )
        bids, bid_text = self._levels(bytes(message.bids), number)
        asks, ask_text = self._levels(bytes(message.asks), number)
        block.frame(number, ts_exch_ns=exch_ns, ts_local_ns=local_ns)
        block.mark(EventKind.SNAPSHOT_BEGIN, aux0=max(bids, asks))
        block.pairs(EventKind.DEPTH_LEVEL, 1, bids, bid_text)
        block.pairs(EventKind.DEPTH_LEVEL, -1, asks, ask_text)
        block.mark(EventKind.SNAPSHOT_END, aux0=bids + asks)
        self.counts["snapshot"] += 1
        if self._mend_snapshots:
            self._mend(block, message.lastUpdateId, exch_ns)

    def _mend(self, block: FrameBlock, update_id: int, snapshot_exch_ns: int) -> None:
        """Applies the updates again that a snapshot of `update_id` lacks and that were received before it."""
        for last_id, exch_ns, bids, asks in self._recent:
            if last_id > update_id:
                # In exchange time a later update follows the snapshot anyway: only our side got them in turned order.
                flags = int(EventFlag.LOCAL_VISIBLE) if exch_ns > snapshot_exch_ns else VISIBLE
                block.pairs(EventKind.DEPTH_LEVEL, 1, *bids, flags=flags | int(EventFlag.SYNTHETIC))
                block.pairs(EventKind.DEPTH_LEVEL, -1, *asks, flags=flags | int(EventFlag.SYNTHETIC))
                self.counts["updates_applied_again"] += 1

    def _ticker(self, block: FrameBlock, data: _Data) -> None:
        for side, price, size in ((1, data.b, data.B), (-1, data.a, data.A)):
            block.pairs(EventKind.BBO, side, 1, bytes(price).strip(b'"') + b"," + bytes(size).strip(b'"'))

    def _levels(self, raw: bytes, number: int) -> tuple[int, bytes]:
        """The number of levels of a JSON list of [price, size] strings, and the numbers alone, comma-separated."""
        count = raw.count(b"[") - 1
        bare = raw.translate(None, _NUMBER_BYTES)
        if count < 0 or bare != b"[" + b",".join(itertools.repeat(_PAIR, count)) + b"]":
            return self._levels_slowly(raw, number)
        return count, raw.translate(None, b'[]"')

    def _levels_slowly(self, raw: bytes, number: int) -> tuple[int, bytes]:
        """As `_levels`, for text with white space or a wrong shape. Raises DataError for the latter."""
        try:
            pairs = msgspec.json.decode(raw, type=list[tuple[str, str]])
        except UNDECODABLE as error:
            raise self._unreadable(number, error) from None
        return len(pairs), ",".join(f"{price},{size}" for price, size in pairs).encode(errors="replace")


def _channel(stream: str, event: str) -> EventKind | None:
    """What a stream's name, or a single stream's event name, stands for; None for channels that are not read."""
    name = stream.partition("@")[2] or event
    if name.startswith("depth"):
        return EventKind.DEPTH_LEVEL
    if name == "bookTicker":
        return EventKind.BBO
    return EventKind.TRADE if name == "trade" else None


def recognises(head: list[bytes]) -> bool:
    """Whether these first lines look like such a recording."""
    line = next((line for line in head if line), b"")
    text = line[_CLOCK_DIGITS + 1 :]
    return (
        line[:_CLOCK_DIGITS].isdigit()
        and line[_CLOCK_DIGITS : _CLOCK_DIGITS + 1] == b" "
        and (text.startswith((b'{"stream"', b'{"lastUpdateId"', b'{"e"')) and b'"channel"' not in text[:80])
    )


def open_binance(
    file: LineFile, market: Market | None, specification: Mapping[str, Market] | None, options: Mapping[str, Any]
) -> Source:
    """The source; the market is read from the first depth update or trade: futures name `T` there or `X`."""
    unknown = [name for name in options if name not in _OPTIONS]
    if unknown:
        raise DataError(
            file.path, None, f"the reader of Binance streams has no option {unknown[0]}, it has {', '.join(_OPTIONS)}"
        )
    if market is None:
        market = market_for(file.path, _market_name(file), specification)
    return BinanceSource(file, market, **options)


def _market_name(file: LineFile) -> str:
    for number, line in enumerate(file.head(_PROBE_LINES), 1):
        try:
            message = _MESSAGE.decode(line[_CLOCK_DIGITS + 1 :])
            data = message.data or _SINGLE.decode(line[_CLOCK_DIGITS + 1 :])
        except UNDECODABLE as error:
            raise DataError(
                file.path, number, f"no Binance message ({error}), expected its JSON, drop the line"
            ) from None
        if data.e == "depthUpdate" and data.s:
            return ("usdm_" if data.T else "spot_") + data.s.lower()
    raise DataError(
        file.path, None, f"no depth update in the first {_PROBE_LINES} lines names the market, name the market"
    )
