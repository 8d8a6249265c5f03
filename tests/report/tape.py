"""What happened at the venue in one market, row by row, as a scan looks at it; and the same scan done by hand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from hlhft.data.order import BLOCK_RANK
from hlhft.events import EVENT_DTYPE, EventFlag, EventKind, Side
from hlhft.report.scan_fills import AT_HORIZONS, BLOCK_NS, COLUMNS, HORIZONS_NS, HOUR_NS, QUEUES
from hlhft.units import Market

MS, SECOND = 1_000_000, 1_000_000_000
START_NS = 1_757_000_000 * SECOND // HOUR_NS * HOUR_NS
# Ticks x lots are micro-USDC.
MARKET = Market.perpetual("TEST", asset_id=0, size_decimals=3)
VISIBLE = int(EventFlag.EXCHANGE_VISIBLE | EventFlag.LOCAL_VISIBLE | EventFlag.FRAME_END)
MINUTE_NS = 60 * SECOND
BUY, SELL = int(Side.BUY), int(Side.SELL)


@dataclass
class Tape:
    """Adds rows; times are milliseconds from START_NS, of the venue; this side hears of them `delay_ms` later."""

    market: int = 0
    delay_ms: int = 0
    found: list[dict[str, int]] = field(default_factory=list)

    def row(self, at_ms: int, kind: EventKind, **fields: int) -> Tape:
        ts_ns = START_NS + at_ms * MS
        row = {"ts_exch_ns": ts_ns, "ts_local_ns": ts_ns + self.delay_ms * MS, "kind": int(kind), "flags": VISIBLE}
        self.found.append({**row, "market": self.market, **fields})
        return self

    def bbo(self, at_ms: int, bid: int, ask: int, bid_lots: int = 100, ask_lots: int = 100) -> Tape:
        for side, price, lots in ((BUY, bid, bid_lots), (SELL, ask, ask_lots)):
            self.row(at_ms, EventKind.BBO, side=side, price_ticks=price, size_lots=lots)
        return self

    def still(self, from_ms: int, to_ms: int, bid: int, ask: int) -> Tape:
        """The same best prices, told every half minute, and at the end."""
        for at_ms in [*range(from_ms, to_ms, 30_000), to_ms]:
            self.bbo(at_ms, bid, ask)
        return self

    def trade(self, at_ms: int, side: int, price: int, lots: int, tid: int = 0) -> Tape:
        return self.row(at_ms, EventKind.TRADE, side=side, price_ticks=price, size_lots=lots, order_id=tid)

    def context(self, at_ms: int, rate_e12: int, oracle: int = 0, mark: int = 0) -> Tape:
        return self.row(at_ms, EventKind.ASSET_CONTEXT, aux0=rate_e12, order_id=oracle, price_ticks=mark)

    def clear(self, at_ms: int) -> Tape:
        return self.row(at_ms, EventKind.DEPTH_CLEAR)

    def book(self, at_ms: int, bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> Tape:
        """A picture of the book: levels as (price, lots), the best first."""
        self.row(at_ms, EventKind.SNAPSHOT_BEGIN, aux0=20)
        for side, levels in ((BUY, bids), (SELL, asks)):
            for price, lots in levels:
                self.row(at_ms, EventKind.DEPTH_LEVEL, side=side, price_ticks=price, size_lots=lots)
        return self.row(at_ms, EventKind.SNAPSHOT_END, aux0=len(bids) + len(asks))

    def arrived(self) -> np.ndarray:
        """The rows as they were added; those of one picture are one frame."""
        rows = rows_of(self.found)
        inner = np.isin(rows["kind"], (int(EventKind.SNAPSHOT_BEGIN), int(EventKind.DEPTH_LEVEL)))
        rows["flags"][inner] &= ~np.uint16(EventFlag.FRAME_END)
        return rows

    def blocks(self) -> np.ndarray:
        """The rows in the venue's order: by time, within a block trades before best prices."""
        rows = rows_of(self.found)
        return rows[np.lexsort((BLOCK_RANK[rows["kind"]], rows["ts_exch_ns"]))]


def rows_of(found: Iterable[dict[str, int]]) -> np.ndarray:
    listed = list(found)
    rows = np.zeros(len(listed), EVENT_DTYPE)
    for number, values in enumerate(listed):
        for name, value in values.items():
            rows[number][name] = value
    return rows


def cut_at(rows: np.ndarray, places: Iterable[int]) -> list[np.ndarray]:
    """The rows in several arrays, cut only where a block ends."""
    ends = np.flatnonzero(np.diff(rows["ts_exch_ns"])) + 1
    wanted = sorted({int(ends[place % len(ends)]) for place in places}) if len(ends) else []
    return np.split(rows, wanted)


def by_hand(rows: np.ndarray, quote_micro: int) -> dict[int, np.ndarray]:
    """The sums of every block as `Watched` has them, by the words of its docstring and one fill at a time."""
    blocks: dict[int, np.ndarray] = {}
    contexts = rows[rows["kind"] == int(EventKind.ASSET_CONTEXT)]
    books = np.flatnonzero(rows["kind"] == int(EventKind.BBO))
    silent = books[1:][np.diff(rows["ts_exch_ns"][books]) > MINUTE_NS]
    clears = np.flatnonzero(rows["kind"] == int(EventKind.DEPTH_CLEAR))
    for session in np.split(rows, np.union1d(clears, silent)):
        touches = _touches(session)
        for (ts_ns, taker), trades in _takings(session).items():
            before = [touch for when, touch in touches.items() if ts_ns - MINUTE_NS <= when < ts_ns]
            if not before or not 0 < before[-1][0] < before[-1][1]:
                continue
            bid, ask, bid_lots, ask_lots = before[-1]
            price, depth = (ask, ask_lots) if taker == BUY else (bid, bid_lots)
            quote = max(quote_micro // price, 1)
            through = any(taker * (at - price) > 0 for at, _ in trades)
            traded = sum(lots for at, lots in trades if at == price)
            pro_rata = quote * 10**6 if through else min(traded, depth + quote) * (quote * 10**6 // (depth + quote))
            if pro_rata == 0:
                continue
            sums = blocks.setdefault(ts_ns // BLOCK_NS, np.zeros((QUEUES, COLUMNS)))
            for queue, size_e6 in enumerate((pro_rata, quote * 10**6 if through else 0)):
                if size_e6:
                    usdc = size_e6 / 10**12
                    sums[queue, :3] += 1, price * usdc, -taker * ((bid + ask) / 2 - price) * usdc
                    _at_horizons(sums[queue], ts_ns, -taker, price, usdc, touches, contexts)
    return blocks


def _touches(session: np.ndarray) -> dict[int, tuple[int, int, int, int]]:
    found: dict[int, tuple[int, int, int, int]] = {}
    bid = ask = bid_lots = ask_lots = 0
    for row in session[session["kind"] == int(EventKind.BBO)]:
        if row["side"] == BUY:
            bid, bid_lots = int(row["price_ticks"]), int(row["size_lots"])
        else:
            ask, ask_lots = int(row["price_ticks"]), int(row["size_lots"])
        found[int(row["ts_exch_ns"])] = bid, ask, bid_lots, ask_lots
    return found


def _takings(session: np.ndarray) -> dict[tuple[int, int], list[tuple[int, int]]]:
    found: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for row in session[session["kind"] == int(EventKind.TRADE)]:
        key = int(row["ts_exch_ns"]), int(row["side"])
        found.setdefault(key, []).append((int(row["price_ticks"]), int(row["size_lots"])))
    return found


def _at_horizons(
    sums: np.ndarray,
    ts_ns: int,
    side: int,
    price: int,
    usdc: float,
    touches: dict[int, tuple[int, int, int, int]],
    contexts: np.ndarray,
) -> None:
    for number, horizon_ns in enumerate(HORIZONS_NS):
        then = ts_ns + horizon_ns
        bid, ask = [touch for when, touch in touches.items() if when <= then][-1][:2]
        if then > max(touches) or not 0 < bid < ask:
            continue
        column = AT_HORIZONS + 3 * number
        sums[column : column + 2] += price * usdc, side * ((bid + ask) / 2 - price) * usdc
        hour_ns = then // HOUR_NS * HOUR_NS
        told = contexts[contexts["ts_exch_ns"] < hour_ns]
        if hour_ns > ts_ns and len(told):
            sums[column + 2] -= side * int(told["order_id"][-1]) * int(told["aux0"][-1]) / 1e12 * usdc
