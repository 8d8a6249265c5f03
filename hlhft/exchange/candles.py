"""Candles of one market, in all of the venue's intervals, bounded.

Only the minute is kept by trade; when it ends it goes into the open candle of every longer interval, which are whole
minutes. Source: venue reference section 3.1 (`candleSnapshot`). A minute without a trade has no candle, and weeks are
counted from the Unix epoch (both unverified).
"""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime

from hlhft.exchange.listing import Listed
from hlhft.hyperliquid.wire import answer_number

MINUTE_MS = 60_000
DAY_MS = 86_400_000
INTERVAL_MS: dict[str, int] = {
    "1m": MINUTE_MS,
    "3m": 3 * MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1h": 60 * MINUTE_MS,
    "2h": 120 * MINUTE_MS,
    "4h": 240 * MINUTE_MS,
    "8h": 480 * MINUTE_MS,
    "12h": 720 * MINUTE_MS,
    "1d": DAY_MS,
    "3d": 3 * DAY_MS,
    "1w": 7 * DAY_MS,
    "1M": 0,  # a calendar month
}
CANDLES_MAX = 5000  # venue reference section 3.1


class Candle:
    """One candle: prices are ticks, the volume is lots, `start_ms` its first ms."""

    __slots__ = ("close", "high", "low", "open", "start_ms", "trades", "volume_lots")

    def __init__(self, start_ms: int, ticks: int) -> None:
        self.start_ms = start_ms
        self.open = self.high = self.low = self.close = ticks
        self.volume_lots = 0
        self.trades = 0

    def trade(self, ticks: int, lots: int) -> None:
        """Adds one trade."""
        self.high = max(self.high, ticks)
        self.low = min(self.low, ticks)
        self.close = ticks
        self.volume_lots += lots
        self.trades += 1

    def add(self, later: Candle) -> None:
        """Adds a candle that follows."""
        self.high = max(self.high, later.high)
        self.low = min(self.low, later.low)
        self.close = later.close
        self.volume_lots += later.volume_lots
        self.trades += later.trades

    def copy(self, start_ms: int) -> Candle:
        """The same candle, said to begin at `start_ms`."""
        made = Candle(start_ms, self.open)
        made.high, made.low, made.close = self.high, self.low, self.close
        made.volume_lots, made.trades = self.volume_lots, self.trades
        return made


def start_of(interval: str, time_ms: int) -> int:
    """The begin in ms of the candle of `interval` that holds `time_ms`."""
    length = INTERVAL_MS[interval]
    if length:
        return time_ms - time_ms % length
    when = datetime.fromtimestamp(time_ms / 1000, UTC)
    return int(datetime(when.year, when.month, 1, tzinfo=UTC).timestamp()) * 1000


def end_of(interval: str, start_ms: int) -> int:
    """The last ms of the candle of `interval` that begins at `start_ms`."""
    length = INTERVAL_MS[interval]
    if length:
        return start_ms + length - 1
    return start_of(interval, start_ms + 31 * DAY_MS) - 1


class Candles:
    """The candles of one market. At most `candles_max` an interval: the oldest goes."""

    def __init__(self, listed: Listed, *, candles_max: int = CANDLES_MAX) -> None:
        self._listed = listed
        self.minute: Candle | None = None
        self.open: dict[str, Candle] = {}
        self.closed: dict[str, deque[Candle]] = {name: deque(maxlen=candles_max) for name in INTERVAL_MS}

    def trade(self, time_ms: int, ticks: int, lots: int) -> None:
        """Adds one trade; times do not descend."""
        start_ms = time_ms - time_ms % MINUTE_MS
        minute = self.minute
        if minute is None or minute.start_ms != start_ms:
            if minute is not None:
                self._close_minute(minute)
            minute = self.minute = Candle(start_ms, ticks)
        minute.trade(ticks, lots)

    def _close_minute(self, minute: Candle) -> None:
        self.closed["1m"].append(minute)
        for interval in INTERVAL_MS:
            if interval == "1m":
                continue
            start_ms = start_of(interval, minute.start_ms)
            candle = self.open.get(interval)
            if candle is not None and candle.start_ms == start_ms:
                candle.add(minute)
                continue
            if candle is not None:
                self.closed[interval].append(candle)
            self.open[interval] = minute.copy(start_ms)

    def latest(self, interval: str) -> Candle | None:
        """The open candle of `interval`, its minute so far included; None before the first trade."""
        minute = self.minute
        if minute is None:
            return None
        start_ms = start_of(interval, minute.start_ms)
        candle = self.open.get(interval)
        if candle is None or candle.start_ms != start_ms:
            return minute.copy(start_ms)
        whole = candle.copy(start_ms)
        whole.add(minute)
        return whole

    def between(self, interval: str, start_ms: int, end_ms: int) -> list[dict[str, object]]:
        """The candles that begin in start_ms .. end_ms, ascending, as the wire shows them."""
        found = list(self.closed[interval])
        latest = self.latest(interval)
        unfinished = self.open.get(interval)
        if unfinished is not None and latest is not None and unfinished.start_ms != latest.start_ms:
            found.append(unfinished)
        if latest is not None:
            found.append(latest)
        chosen = [candle for candle in found if start_ms <= candle.start_ms <= end_ms]
        return [self.shape(interval, candle) for candle in chosen[-CANDLES_MAX:]]

    def shape(self, interval: str, candle: Candle) -> dict[str, object]:
        """One candle as the wire shows it."""
        market = self._listed.market
        return {
            "t": candle.start_ms,
            "T": end_of(interval, candle.start_ms),
            "s": market.name,
            "i": interval,
            "o": answer_number(candle.open, market.price_decimals),
            "c": answer_number(candle.close, market.price_decimals),
            "h": answer_number(candle.high, market.price_decimals),
            "l": answer_number(candle.low, market.price_decimals),
            "v": answer_number(candle.volume_lots, market.size_decimals),
            "n": candle.trades,
        }
