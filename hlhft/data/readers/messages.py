"""Hyperliquid market-data messages as events, shared by the raw logs and the archive (venue reference section 6).

Channels l2Book (also its fast form), bbo, trades and the asset contexts become events; others are counted and left
out. A context names no time: it is given the newest exchange time seen before it. A fast book is known by its `fast`
field.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Context, Decimal, InvalidOperation
from pathlib import Path

import msgspec
import numpy as np

from hlhft.data.errors import DataError
from hlhft.data.files import LineFile
from hlhft.data.merge import Events, Numbered, nothing
from hlhft.data.readers.frames import FrameBlock
from hlhft.data.sources import market_for
from hlhft.events import EventKind, Side
from hlhft.units import FUNDING_SCALE, LOTS_MAX, TICKS_MAX, Market

FULL_LEVELS, FAST_LEVELS = 20, 5
_MILLISECOND_NS = 1_000_000
_TIME_MAX_MS = 9_000_000_000_000
_INT64_MAX = 2**63 - 1
_COIN = re.compile(rb'"coin"\s*:\s*"([^"\\]{1,64})"')
COINS_MAX = 65_535  # an event's market is 16 bits
# What decoding JSON of any content may raise; the last is for thousands of nested brackets.
UNDECODABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
# Wide enough for any number in range times its scale; nothing traps, what is no number in range comes out as such.
_WIDE = Context(prec=60, traps=[])


class _Level(msgspec.Struct):
    px: str
    sz: str
    n: int = 0


class _Book(msgspec.Struct):
    coin: str
    time: int
    levels: tuple[list[_Level], list[_Level]]
    fast: bool = False


class _Bbo(msgspec.Struct):
    coin: str
    time: int
    bbo: tuple[_Level | None, _Level | None]


class _Trade(msgspec.Struct):
    coin: str
    side: str
    px: str
    sz: str
    time: int
    tid: int


class _Values(msgspec.Struct):
    funding: str = "0"
    openInterest: str = "0"  # noqa: N815 - the venue's names
    oraclePx: str = "0"  # noqa: N815
    markPx: str = "0"  # noqa: N815
    premium: str | None = None


class _Context(msgspec.Struct):
    coin: str
    ctx: _Values


class _Envelope(msgspec.Struct):
    channel: str
    data: msgspec.Raw = msgspec.Raw(b"null")


_ENVELOPE = msgspec.json.Decoder(_Envelope)
_BOOK = msgspec.json.Decoder(_Book)
_BBO = msgspec.json.Decoder(_Bbo)
_TRADES = msgspec.json.Decoder(list[_Trade])
_CONTEXT = msgspec.json.Decoder(_Context)


def coins_in(file: LineFile) -> list[str]:
    """The coins that a file's messages name, in order of first appearance; one pass over the file.

    Of a damaged file, those named before the damage: whoever reads the events comes to it.
    """
    found: dict[str, None] = {}
    for first, lines in readable(file):
        for coin in _COIN.findall(b"\n".join(lines)):
            found.setdefault(coin.decode("utf-8", "replace"))
        if len(found) > COINS_MAX:
            raise DataError(
                file.path, first, f"the file names more than {COINS_MAX} coins, expected a market-data recording"
            )
    return list(found)


def readable(file: LineFile) -> Iterator[tuple[int, list[bytes]]]:
    """The blocks of a file up to where its compression is damaged; raises DataError when that is the start."""
    given = False
    try:
        for block in file.blocks():
            given = True
            yield block
    except DataError:
        if not given:
            raise


def markets_in(file: LineFile, market: Market | None, specification: Mapping[str, Market] | None) -> list[Market]:
    """The markets of a file: `market` alone where it is given, else every coin it names."""
    if market is not None:
        return [market]
    coins = coins_in(file)
    if not coins:
        raise DataError(file.path, None, "no message names a coin, expected Hyperliquid market data, give another file")
    return [market_for(file.path, coin, specification) for coin in coins]


class MessageBlock:
    """Messages of several markets, gathered line by line; `events` turns them into rows in order of line."""

    def __init__(self, path: Path, markets: Sequence[Market], counts: Counter[str]) -> None:
        """Messages of coins that `markets` does not hold are counted and left out."""
        self._path = path
        self._counts = counts
        self._markets = markets
        self._places = {market.name: index for index, market in enumerate(markets)}
        self._blocks = [FrameBlock(path, market) for market in markets]
        self._contexts: list[tuple[int, tuple[int, ...]]] = []
        self._newest_exch_ns = 0
        self._channels: dict[str, Callable[[bytes, int, int], None]] = {
            "l2Book": self._book,
            "bbo": self._bbo,
            "trades": self._trades,
            "activeAssetCtx": self._context,
            "activeSpotAssetCtx": self._context,
        }

    def clear(self) -> None:
        """Forgets what was gathered since the last `events`, after a call that raised."""
        self._contexts = []
        for block in self._blocks:
            block.clear()

    def heard(self, ts_exch_ns: int) -> None:
        """Somebody else read a message of this time: contexts, which name none, come behind it."""
        self._newest_exch_ns = max(self._newest_exch_ns, ts_exch_ns)

    def add(self, line: int, ts_local_ns: int, text: bytes | msgspec.Raw) -> None:
        """One message, `text` its JSON. Raises DataError naming the line of one that has not the venue's shape."""
        if not 0 < ts_local_ns < 2**62:
            raise DataError(self._path, line, f"local time {ts_local_ns} is not in nanoseconds, drop the line")
        try:
            envelope = _ENVELOPE.decode(text)
            handler = self._channels.get(envelope.channel)
            if handler is None:
                self._counts["messages_of_other_channels"] += 1
                return
            handler(bytes(envelope.data), line, ts_local_ns)
        except UNDECODABLE as error:
            raise DataError(
                self._path, line, f"no Hyperliquid message ({error}), expected the venue's JSON, drop the line"
            ) from None

    def events(self) -> Numbered:
        """The rows gathered, in order of line, `market` the place among the markets; then it is empty."""
        parts, lines = [], []
        for place, block in enumerate(self._blocks):
            rows, row_lines = block.events_and_lines()
            rows["market"] = place
            parts.append(rows)
            lines.append(row_lines)
        contexts = self._take_contexts(parts, lines)
        if not contexts and sum(len(part) for part in parts) == 0:
            return Numbered(nothing(), np.zeros(0, dtype=np.int64))
        every = np.concatenate(lines)
        order = np.argsort(every, kind="stable")
        return Numbered(np.concatenate(parts)[order], every[order])

    def _take_contexts(self, parts: list[Events], lines: list[np.ndarray]) -> bool:
        if not self._contexts:
            return False
        rows = np.zeros(len(self._contexts), dtype=parts[0].dtype)
        for index, (_, values) in enumerate(self._contexts):
            rows[index] = values
        parts.append(rows)
        lines.append(np.array([line for line, _ in self._contexts], dtype=np.int64))
        self._contexts = []
        return True

    def _block(self, coin: str, what: str) -> FrameBlock | None:
        place = self._places.get(coin)
        self._counts[what if place is not None else "messages_of_other_coins"] += 1
        return None if place is None else self._blocks[place]

    def _exch_ns(self, time_ms: int, line: int) -> int:
        if not 0 < time_ms < _TIME_MAX_MS:
            raise DataError(self._path, line, f"time {time_ms} is not in milliseconds, drop the line")
        self._newest_exch_ns = max(self._newest_exch_ns, time_ms * _MILLISECOND_NS)
        return time_ms * _MILLISECOND_NS

    def _book(self, data: bytes, line: int, local_ns: int) -> None:
        book = _BOOK.decode(data)
        block = self._block(book.coin, "snapshot")
        if block is None:
            return
        block.frame(line, ts_exch_ns=self._exch_ns(book.time, line), ts_local_ns=local_ns)
        block.mark(EventKind.SNAPSHOT_BEGIN, aux0=FAST_LEVELS if book.fast else FULL_LEVELS, aux1=int(book.fast))
        for side, levels in zip((Side.BUY, Side.SELL), book.levels, strict=True):
            block.pairs(
                EventKind.DEPTH_LEVEL, int(side), len(levels), _pairs(levels), orders=self._orders(levels, line)
            )
        block.mark(EventKind.SNAPSHOT_END, aux0=sum(len(levels) for levels in book.levels), aux1=int(book.fast))

    def _orders(self, levels: Iterable[_Level], line: int) -> list[int]:
        orders = [level.n for level in levels]
        if any(not 0 <= count < 2**31 for count in orders):
            raise DataError(self._path, line, "a level's number of orders is out of range, drop the line")
        return orders

    def _bbo(self, data: bytes, line: int, local_ns: int) -> None:
        message = _BBO.decode(data)
        block = self._block(message.coin, "bbo")
        if block is None:
            return
        block.frame(line, ts_exch_ns=self._exch_ns(message.time, line), ts_local_ns=local_ns)
        for side, level in zip((Side.BUY, Side.SELL), message.bbo, strict=True):
            levels = [_Level("0", "0") if level is None else level]
            block.pairs(EventKind.BBO, int(side), 1, _pairs(levels), orders=self._orders(levels, line))

    def _trades(self, data: bytes, line: int, local_ns: int) -> None:
        for coin, trades in _by_coin(_TRADES.decode(data)).items():
            block = self._block(coin, "trade_messages")
            if block is None:
                continue
            block.frame(line, ts_exch_ns=0, ts_local_ns=local_ns)
            for trade in sorted(trades, key=lambda trade: trade.time):
                if trade.side not in ("A", "B") or not 0 <= trade.tid <= _INT64_MAX:
                    raise DataError(
                        self._path, line, "a trade's side or tid is unknown, expected A or B, drop the line"
                    )
                side = Side.BUY if trade.side == "B" else Side.SELL
                text = f"{trade.px},{trade.sz}".encode(errors="replace")
                exch_ns = self._exch_ns(trade.time, line)
                block.pairs(EventKind.TRADE, int(side), 1, text, order_id=trade.tid, ts_exch_ns=exch_ns)

    def _context(self, data: bytes, line: int, local_ns: int) -> None:
        message = _CONTEXT.decode(data)
        place = self._places.get(message.coin)
        self._counts["asset_context" if place is not None else "messages_of_other_coins"] += 1
        if place is None:
            return
        market, context = self._markets[place], message.ctx
        exch_ns = self._newest_exch_ns or local_ns
        values = (
            self._whole(context.markPx, 10**market.price_decimals, line, range(TICKS_MAX + 1)),
            self._whole(context.openInterest, 10**market.size_decimals, line, range(LOTS_MAX + 1)),
            self._whole(context.oraclePx, 10**market.price_decimals, line, range(TICKS_MAX + 1)),
            self._whole(context.funding, FUNDING_SCALE, line, _RATES),
            self._whole(context.premium or "0", FUNDING_SCALE, line, _RATES),
        )
        # Mark, oracle and rates are averages: finer than a tick, so they are cut to whole units.
        row = (exch_ns, local_ns, *values, int(EventKind.ASSET_CONTEXT), _CONTEXT_FLAGS, place, 0, 0)
        self._contexts.append((line, row))

    def _whole(self, text: str, scale: int, line: int, allowed: range) -> int:
        """`text` in whole units of 1/scale, cut toward zero."""
        try:
            value = _WIDE.multiply(Decimal(text), Decimal(scale))
        except InvalidOperation:
            value = Decimal("nan")
        if not value.is_finite() or not allowed.start <= value < allowed.stop:
            raise DataError(self._path, line, f'asset context value "{text[:40]}" is no number in range, drop the line')
        return int(value)


_RATES = range(-_INT64_MAX, _INT64_MAX)
_CONTEXT_FLAGS = 1 | 2 | 4  # EXCHANGE_VISIBLE, LOCAL_VISIBLE, FRAME_END


def _pairs(levels: Iterable[_Level]) -> bytes:
    return ",".join(f"{level.px},{level.sz}" for level in levels).encode(errors="replace")


def _by_coin(trades: Iterable[_Trade]) -> dict[str, list[_Trade]]:
    found: dict[str, list[_Trade]] = {}
    for trade in trades:
        found.setdefault(trade.coin, []).append(trade)
    return found
