"""What quotes at the touch of one market would have filled, and what the mid did then.

Assumed, and said with every result:

- The quoter always has one order of the same value on each side, at the best price as it stood before a block: no
  latency, no limit on its position, no effect on others.
- Two places in the queue. `LAST`: it is filled, wholly, only when a trade goes through its price. `PRO_RATA`: of what
  trades at its price it gets its share of the level, its size / (displayed + its size); when a trade goes through, all.
  Trades of one block on one side are one taking: the order fills once at most. Trades at a better price than the touch
  before the block pass by.
- A fill is valued at the mid that stood at the venue a horizon later. It is known only where a later best price of the
  same session says that the market was still watched then; else the fill is left out at that horizon, and counted.
- After more than a minute without any best price nothing is known until the next one, as after a lost connection: the
  touch before it counts for no trade and no horizon.
- What is held over a full hour before a horizon ends pays or earns that hour's funding (venue reference section 10), at
  the rate last told before it.

Prices, mids, sizes and times are whole numbers: ticks, half ticks, millionths of a lot, nanoseconds. Money is their
product in float64, for statistics. Nothing is looked at that is later than a fill's horizon. Pure.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from hlhft.data.errors import DataError
from hlhft.data.merge import Events
from hlhft.data.sessions import GAP_NS
from hlhft.events import EventKind, Side
from hlhft.units import FUNDING_SCALE, MICRO, Market

SECOND_NS = 1_000_000_000
HORIZONS_NS = (SECOND_NS, 10 * SECOND_NS, 60 * SECOND_NS)
HOUR_NS = 3_600 * SECOND_NS
BLOCK_NS = 300 * SECOND_NS
BLOCKS_MAX = 250_000  # of one market: more than two years
PRO_RATA, LAST = 0, 1
QUEUES = 2
E6 = 1_000_000  # fills are whole millionths of a lot
LOTS_MAX = 2**42  # of the quote: times E6, and times a price in half ticks over E6, this stays within 64 bits

# Columns of the sums of a block, by queue: then VALUE, MOVED, FUNDING of each horizon.
FILLS, VALUE, SPREAD, AT_HORIZONS = 0, 1, 2, 3
COLUMNS = AT_HORIZONS + 3 * len(HORIZONS_NS)

FILL_DTYPE = np.dtype(
    [
        ("ts_ns", np.int64),
        ("side", np.int64),  # ours: BUY 1, SELL -1
        ("price_ticks", np.int64),
        ("mid_half_ticks", np.int64),  # twice the mid before the block
        ("size_e6", np.int64, (QUEUES,)),  # millionths of a lot, by queue; 0 for none
    ]
)
TOUCH_DTYPE = np.dtype(
    [
        ("ts_ns", np.int64),
        ("bid_ticks", np.int64),
        ("ask_ticks", np.int64),
        ("bid_lots", np.int64),
        ("ask_lots", np.int64),
    ]
)
_CONTEXT_DTYPE = np.dtype([("ts_ns", np.int64), ("rate_e12", np.int64), ("oracle_ticks", np.int64)])

_BBO, _TRADE = int(EventKind.BBO), int(EventKind.TRADE)
_CONTEXT, _CLEAR = int(EventKind.ASSET_CONTEXT), int(EventKind.DEPTH_CLEAR)

Int64 = NDArray[np.int64]
Floats = NDArray[np.float64]
Rows = NDArray[np.void]


def touches_of(rows: Events, before: Rows) -> Rows:
    """The best prices after each time at which they were told, TOUCH_DTYPE[n], times rising.

    `rows` are of one market, sorted; `before` is the last touch known, of length 0 or 1. 0 is a side not known.
    """
    books = rows[rows["kind"] == _BBO]
    if len(books) == 0:
        return np.zeros(0, TOUCH_DTYPE)
    found = np.zeros(len(books), TOUCH_DTYPE)
    found["ts_ns"] = books["ts_exch_ns"]
    for side, price, lots in ((Side.BUY, "bid_ticks", "bid_lots"), (Side.SELL, "ask_ticks", "ask_lots")):
        told = np.maximum.accumulate(np.where(books["side"] == int(side), np.arange(len(books)), -1))
        for name, source in ((price, "price_ticks"), (lots, "size_lots")):
            earlier = int(before[name][0]) if len(before) else 0
            found[name] = np.where(told >= 0, books[source][told], earlier)
    last = np.append(found["ts_ns"][1:] != found["ts_ns"][:-1], True)
    kept: Rows = found[last]
    return kept


def fills_of(trades: Events, touches: Rows, market: Market, quote_micro: int) -> tuple[Rows, int]:
    """(What quotes at the touch would have filled, FILL_DTYPE[n], and how many trades met no two-sided touch known.)

    `trades` are sorted and of one market, `touches` begin before the first of them where they are known so early.
    """
    place = np.searchsorted(touches["ts_ns"], trades["ts_exch_ns"], side="left") - 1
    known = place >= 0
    if len(touches):
        known &= trades["ts_exch_ns"] - touches["ts_ns"][place] <= GAP_NS
    bid, ask, bid_lots, ask_lots = (
        np.where(known, touches[name][place], 0) if len(touches) else np.zeros(len(trades), np.int64)
        for name in ("bid_ticks", "ask_ticks", "bid_lots", "ask_lots")
    )
    sided = (bid > 0) & (ask > bid)
    trades, bid, ask = trades[sided], bid[sided], ask[sided]
    unmet = len(sided) - len(trades)
    if len(trades) == 0:
        return np.zeros(0, FILL_DTYPE), unmet
    buys = trades["side"] == int(Side.BUY)
    price = np.where(buys, ask, bid)
    depth = np.where(buys, ask_lots[sided], bid_lots[sided])
    taker = np.where(buys, 1, -1)
    away = taker * (trades["price_ticks"] - price)
    order = np.argsort(2 * trades["ts_exch_ns"] + buys, kind="stable")
    taking = (2 * trades["ts_exch_ns"] + buys)[order]
    starts = np.flatnonzero(np.append(True, taking[1:] != taking[:-1]))
    firsts = order[starts]
    through = np.logical_or.reduceat((away > 0)[order], starts)
    traded = np.add.reduceat(np.where(away == 0, trades["size_lots"], 0)[order], starts)
    fills = np.zeros(len(starts), FILL_DTYPE)
    fills["ts_ns"] = trades["ts_exch_ns"][firsts]
    fills["side"] = -taker[firsts]
    fills["price_ticks"] = price[firsts]
    fills["mid_half_ticks"] = (bid + ask)[firsts]
    quote = quote_lots(price[firsts], market, quote_micro)
    fills["size_e6"][:, PRO_RATA] = np.where(through, quote * E6, shared(quote, depth[firsts], traded))
    fills["size_e6"][:, LAST] = np.where(through, quote * E6, 0)
    kept: Rows = fills[fills["size_e6"][:, PRO_RATA] > 0]
    return kept, unmet


def quote_lots(price_ticks: Int64, market: Market, quote_micro: int) -> Int64:
    """The size of an order of `quote_micro` at these prices, rounded down to whole lots, and at least one lot."""
    record = market.record()[0]
    numerator, denominator = int(record["micro_numerator"]), int(record["micro_denominator"])
    lots = (quote_micro * denominator) // (price_ticks * numerator)
    return np.asarray(np.clip(lots, 1, LOTS_MAX))


def shared(quote_lots: Int64, depth_lots: Int64, traded_lots: Int64) -> Int64:
    """What an order gets of `traded_lots` when all of its level get the same part of it, in millionths of a lot.

    Rounded down, and never more than the order.
    """
    whole = depth_lots + quote_lots
    share_e6 = quote_lots * E6 // whole
    return np.asarray(np.minimum(traded_lots, whole) * share_e6)


def left_out(horizon_ns: int) -> str:
    """The count of fills that are left out at this horizon."""
    return f"fills_without_a_mid_after_{horizon_ns // SECOND_NS}_s"


class Watched:
    """One market: what came of quoting it, summed up by blocks of BLOCK_NS. Memory: the last minute and the sums."""

    def __init__(self, market: Market, quote_micro: int) -> None:
        self.market = market
        self.counts: Counter[str] = Counter()
        self.watched_ns = 0
        self.spread_ns = 0.0  # relative spread x time
        self.blocks: dict[int, Floats] = {}  # by ts // BLOCK_NS: [QUEUES, COLUMNS]
        self.first_ns = self.last_ns = 0
        self.turnover_usdc = 0.0
        self.funding_rates = (0, 0)  # sum in 1e-12 an hour, and how many
        self._quote_micro = quote_micro
        record = market.record()[0]
        # USDC of one tick x one lot.
        self._unit = int(record["micro_numerator"]) / int(record["micro_denominator"]) / MICRO
        self._touches = np.zeros(0, TOUCH_DTYPE)
        self._contexts = np.zeros(0, _CONTEXT_DTYPE)
        self._waiting = np.zeros(0, FILL_DTYPE)

    def take(self, rows: Events) -> None:
        """Rows of this market as `hlhft.report.scan_touches.blocks_of` has them, no block split. Raises DataError."""
        for place, part in enumerate(np.split(rows, self._session_ends(rows))):
            if place:
                self._end_session()
            if len(part):
                self._take(part)

    def finish(self) -> None:
        """Nothing more comes: what still waits is left out at the horizons that are not known."""
        self._end_session()

    def sums(self) -> Floats:
        """The sums of every block in order of time, float64[B, QUEUES, COLUMNS], in USDC."""
        found = [self.blocks[key] for key in sorted(self.blocks)]
        return np.array(found) if found else np.zeros((0, QUEUES, COLUMNS))

    # Inside.

    def _take(self, rows: Events) -> None:
        times = rows["ts_exch_ns"]
        self.first_ns = self.first_ns or int(times[0])
        self.last_ns = int(times[-1])
        self._take_touches(touches_of(rows, self._touches[-1:]))
        self._take_contexts(rows[rows["kind"] == _CONTEXT])
        trades = rows[rows["kind"] == _TRADE]
        fills, unmet = fills_of(trades, self._touches, self.market, self._quote_micro)
        self.counts["trades"] += len(trades)
        self.counts["trades_without_a_touch_before"] += unmet
        self.turnover_usdc += float((trades["price_ticks"] * trades["size_lots"].astype(np.float64)).sum() * self._unit)
        self._waiting = np.concatenate([self._waiting, fills])
        if len(self._touches):
            newest_ns = int(self._touches["ts_ns"][-1])
            self._settle(self._waiting["ts_ns"] + HORIZONS_NS[-1] <= newest_ns, newest_ns)
            self._forget()

    def _take_touches(self, told: Rows) -> None:
        if len(told) == 0:
            return
        held = self._touches
        if len(held):
            # The time from the last one held to the first one told counts as well.
            path = np.concatenate([held[-1:], told])
            held = held[held["ts_ns"] < told["ts_ns"][0]]
        else:
            path = told
        lasted = np.diff(path["ts_ns"])
        bid, ask = path["bid_ticks"][:-1], path["ask_ticks"][:-1]
        sided = (bid > 0) & (ask > bid)
        self.watched_ns += int(lasted[sided].sum())
        self.spread_ns += float((2.0 * (ask - bid)[sided] / (ask + bid)[sided] * lasted[sided]).sum())
        self._touches = np.concatenate([held, told])

    def _take_contexts(self, rows: Events) -> None:
        told = np.zeros(len(rows), _CONTEXT_DTYPE)
        told["ts_ns"], told["rate_e12"] = rows["ts_exch_ns"], rows["aux0"]
        told["oracle_ticks"] = np.where(rows["order_id"] > 0, rows["order_id"], rows["price_ticks"])
        total, count = self.funding_rates
        self.funding_rates = total + int(told["rate_e12"].sum()), count + len(told)
        self._contexts = np.concatenate([self._contexts, told])

    def _session_ends(self, rows: Events) -> Int64:
        """Places of the rows that begin anew: clears, and the first best price after a silence."""
        kind = rows["kind"]
        books = np.flatnonzero(kind == _BBO)
        times = np.append(self._touches["ts_ns"][-1:], rows["ts_exch_ns"][books])
        silent = books[np.diff(times, prepend=times[:1])[len(times) - len(books) :] > GAP_NS]
        return np.union1d(np.flatnonzero(kind == _CLEAR), silent)

    def _end_session(self) -> None:
        if len(self._touches):
            self._settle(np.ones(len(self._waiting), np.bool_), int(self._touches["ts_ns"][-1]))
        assert len(self._waiting) == 0, "a fill had a touch before it"
        self._touches = self._touches[:0]

    def _forget(self) -> None:
        """Drops what neither a fill that waits nor a row to come can ask for."""
        bound_ns = min(self.last_ns, int(self._waiting["ts_ns"].min()) if len(self._waiting) else self.last_ns)
        self._touches = _since(self._touches, bound_ns)
        self._contexts = _since(self._contexts, bound_ns)

    def _settle(self, ready: NDArray[np.bool_], newest_ns: int) -> None:
        """Sums up these fills; nothing later than `newest_ns` is known of the market."""
        fills, self._waiting = self._waiting[ready], self._waiting[~ready]
        if len(fills) == 0:
            return
        price = fills["price_ticks"]
        sums = np.zeros((len(fills), QUEUES, COLUMNS))
        size = fills["size_e6"] / E6 * self._unit  # USDC for each tick, by queue
        sums[:, :, FILLS] = fills["size_e6"] > 0
        sums[:, :, VALUE] = price[:, np.newaxis] * size
        sums[:, :, SPREAD] = (fills["side"] * (fills["mid_half_ticks"] - 2 * price))[:, np.newaxis] * size / 2
        for number, horizon_ns in enumerate(HORIZONS_NS):
            mid = self._mids(fills["ts_ns"] + horizon_ns, newest_ns)
            known = mid > 0
            self.counts[left_out(horizon_ns)] += int((~known).sum())
            column = AT_HORIZONS + 3 * number
            moved = np.where(known, fills["side"] * (mid - 2 * price), 0)
            sums[:, :, column] = np.where(known[:, np.newaxis], sums[:, :, VALUE], 0.0)
            sums[:, :, column + 1] = moved[:, np.newaxis] * size / 2
            funding, lacks = self._funding(fills, horizon_ns)
            sums[:, :, column + 2] = np.where(known, funding, 0.0)[:, np.newaxis] * size
            if horizon_ns == HORIZONS_NS[-1]:
                self.counts["fills_over_an_hour_without_a_funding_rate"] += int((known & lacks).sum())
        self._add(fills["ts_ns"] // BLOCK_NS, sums)

    def _mids(self, times: Int64, newest_ns: int) -> Int64:
        """Twice the mid at these times, 0 where it is not known."""
        place = np.searchsorted(self._touches["ts_ns"], times, side="right") - 1
        bid, ask = self._touches["bid_ticks"][place], self._touches["ask_ticks"][place]
        return np.where((place >= 0) & (times <= newest_ns) & (bid > 0) & (ask > bid), bid + ask, 0)

    def _funding(self, fills: Rows, horizon_ns: int) -> tuple[Floats, NDArray[np.bool_]]:
        """(What holding each fill to the horizon earns, in ticks for each unit of size; where its rate is not known.)

        0 where no full hour passes.
        """
        hour_ns = (fills["ts_ns"] + horizon_ns) // HOUR_NS * HOUR_NS
        over = hour_ns > fills["ts_ns"]
        place = np.searchsorted(self._contexts["ts_ns"], hour_ns, side="left") - 1
        told = over & (place >= 0)
        if not told.any():
            return np.zeros(len(fills)), over
        rate = self._contexts["rate_e12"][place] / FUNDING_SCALE
        # Longs pay a positive rate.
        return np.where(told, -fills["side"] * self._contexts["oracle_ticks"][place] * rate, 0.0), over & ~told

    def _add(self, keys: Int64, sums: Floats) -> None:
        for key in np.unique(keys).tolist():
            if key not in self.blocks and len(self.blocks) == BLOCKS_MAX:
                raise DataError(
                    self.market.name,
                    None,
                    f"the fills span more than {BLOCKS_MAX} blocks of 5 minutes, scan a shorter time",
                )
            block = self.blocks.setdefault(key, np.zeros((QUEUES, COLUMNS)))
            block += sums[keys == key].sum(axis=0)


def _since(rows: Rows, bound_ns: int) -> Rows:
    """The rows from the last one before `bound_ns` on."""
    kept: Rows = rows[max(int(np.searchsorted(rows["ts_ns"], bound_ns, side="left")) - 1, 0) :]
    return kept
