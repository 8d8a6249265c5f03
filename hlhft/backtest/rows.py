"""Replay rows: 24 bytes an event, made once from the event record, walked by both sides of the replay.

One row serves the venue's side and ours. `ts_ns` is the exchange time of a row the venue sees, else the local time;
`delay_ns` is what the feed took to reach us. Rows are sorted by both clocks for the sides that see them. An event whose
delay is negative or does not fit 32 bits becomes two rows, one a side.

The word packs size and meaning: lots << 16 | side << 4 | visibility << 5 | frame end << 7 | kind. Kinds 0 to 7 are the
market-data kinds of `hlhft.events`; an asset context becomes three rows (mark, oracle, funding rate). On order-level
feeds a row that only the venue sees stands before a level that names the order that changed: ORDER_AGE holds that
order's age, whole microseconds where the lots are and the nanoseconds beyond them where the delay is.
"""

from __future__ import annotations

import numpy as np

from hlhft.compiled import compiled

ROW_DTYPE = np.dtype([("ts_ns", np.int64), ("word", np.int64), ("price_ticks", np.int32), ("delay_ns", np.uint32)])
assert ROW_DTYPE.itemsize == 24

KIND_MASK = 15
SELL_BIT = 16
EXCHANGE_BIT = 32
LOCAL_BIT = 64
FRAME_BIT = 128
LOTS_SHIFT = 16
DELAY_LIMIT_NS = 2**32 - 1
ROWS_PER_EVENT_MAX = 6

# Market-data kinds of hlhft.events, then the extra ones of an asset context.
LEVEL, CLEAR, SNAPSHOT_BEGIN, SNAPSHOT_END, BBO, TRADE, MARK = 1, 2, 3, 4, 5, 6, 7
ORACLE, FUNDING, ORDER_AGE = 8, 9, 10

SNAPSHOT_LEVEL = 1  # aux1 of a level that an imported snapshot held (hlhft.data.readers.hftbacktest_npz): no time

_TICKS_LIMIT = 2**31 - 1
_LOTS_LIMIT = 2**46

FAULT_PRICE, FAULT_SIZE, FAULT_KIND, FAULT_ORDER_EXCHANGE, FAULT_ORDER_LOCAL = -1, -2, -3, -4, -5


@compiled
def _put(out, count, ts_exch_ns, ts_local_ns, lots, code, ticks, visible):
    delay = ts_local_ns - ts_exch_ns
    both = EXCHANGE_BIT | LOCAL_BIT
    if visible == both and delay >= 0 and delay <= DELAY_LIMIT_NS:
        out[count]["ts_ns"] = ts_exch_ns
        out[count]["word"] = (lots << LOTS_SHIFT) | code | both
        out[count]["price_ticks"] = ticks
        out[count]["delay_ns"] = delay
        return count + 1
    if visible & EXCHANGE_BIT:
        out[count]["ts_ns"] = ts_exch_ns
        out[count]["word"] = (lots << LOTS_SHIFT) | code | EXCHANGE_BIT
        out[count]["price_ticks"] = ticks
        out[count]["delay_ns"] = 0
        count += 1
    if visible & LOCAL_BIT:
        out[count]["ts_ns"] = ts_local_ns
        out[count]["word"] = (lots << LOTS_SHIFT) | code | LOCAL_BIT
        out[count]["price_ticks"] = ticks
        out[count]["delay_ns"] = 0
        count += 1
    return count


@compiled
def rows_from_events(events, market, last, out):
    """Rows of one market's events; returns (rows written, events read, fault code, index of the fault or -1).

    `events` EVENT_DTYPE, `out` ROW_DTYPE with room for ROWS_PER_EVENT_MAX rows an event, `last` int64[2]: newest
    exchange and local time written so far, carried between calls. Events of other markets are passed over. Faults are
    FAULT_PRICE, FAULT_SIZE (out of a row's range, also a funding rate or an order's age that is), FAULT_KIND (no market
    data) and FAULT_ORDER_* (a clock runs backwards).
    """
    count = 0
    for index in range(len(events)):
        event = events[index]
        if event["market"] != market:
            continue
        kind = int(event["kind"])
        if kind < 1 or kind > 7:
            return count, index, FAULT_KIND, index
        ticks = event["price_ticks"]
        lots = event["size_lots"]
        if ticks < 0 or ticks > _TICKS_LIMIT:
            return count, index, FAULT_PRICE, index
        if lots < 0 or lots >= _LOTS_LIMIT:
            return count, index, FAULT_SIZE, index
        flags = int(event["flags"])
        visible = (EXCHANGE_BIT if flags & 1 else 0) | (LOCAL_BIT if flags & 2 else 0)
        ts_exch, ts_local = event["ts_exch_ns"], event["ts_local_ns"]
        if visible & EXCHANGE_BIT:
            if ts_exch < last[0]:
                return count, index, FAULT_ORDER_EXCHANGE, index
            last[0] = ts_exch
        if visible & LOCAL_BIT:
            if ts_local < last[1]:
                return count, index, FAULT_ORDER_LOCAL, index
            last[1] = ts_local
        fault = _fault_beside(event, kind)
        if fault != 0:
            return count, index, fault, index
        side = int(event["side"])
        code = kind | (SELL_BIT if side < 0 else 0)
        end = FRAME_BIT if flags & 4 else 0
        if kind == MARK:
            count = _put_context(out, count, event, ts_exch, ts_local, end, visible)
        elif kind == CLEAR and side == 0:
            count = _put(out, count, ts_exch, ts_local, lots, code, ticks, visible)
            count = _put(out, count, ts_exch, ts_local, lots, code | SELL_BIT | end, ticks, visible)
        elif kind == SNAPSHOT_BEGIN or kind == SNAPSHOT_END:
            count = _put(out, count, ts_exch, ts_local, event["aux0"] * 4 + event["aux1"], code | end, 0, visible)
        else:
            if kind == LEVEL and event["aux1"] > SNAPSHOT_LEVEL and visible & EXCHANGE_BIT:
                count = _put_age(out, count, ts_exch, ts_exch - event["aux1"], code, ticks)
            count = _put(out, count, ts_exch, ts_local, lots, code | end, ticks, visible)
    return count, len(events), 0, -1


@compiled
def _fault_beside(event, kind):
    """The fault of what a kind keeps beside price and size and puts into rows of its own, 0 when it fits."""
    if kind == MARK:
        if event["order_id"] < 0 or event["order_id"] > _TICKS_LIMIT:
            return FAULT_PRICE
        if event["aux0"] <= -_LOTS_LIMIT or event["aux0"] >= _LOTS_LIMIT:
            return FAULT_SIZE
    elif kind == LEVEL and event["aux1"] > SNAPSHOT_LEVEL:
        age_ns = event["ts_exch_ns"] - event["aux1"]
        if age_ns < 0 or age_ns // 1000 >= _LOTS_LIMIT:
            return FAULT_SIZE
    return 0


@compiled
def _put_age(out, count, ts_exch_ns, age_ns, code, ticks):
    """The age of the order that changes the level of the next row."""
    out[count]["ts_ns"] = ts_exch_ns
    out[count]["word"] = (age_ns // 1000 << LOTS_SHIFT) | (code & SELL_BIT) | EXCHANGE_BIT | ORDER_AGE
    out[count]["price_ticks"] = ticks
    out[count]["delay_ns"] = age_ns % 1000
    return count + 1


@compiled
def _put_context(out, count, event, ts_exch, ts_local, end, visible):
    count = _put(out, count, ts_exch, ts_local, 0, MARK, event["price_ticks"], visible)
    count = _put(out, count, ts_exch, ts_local, 0, ORACLE, event["order_id"], visible)
    return _put(out, count, ts_exch, ts_local, event["aux0"], FUNDING | end, 0, visible)


@compiled
def has_touch(rows, count):
    """Whether any of the first `count` rows is a trade or a best price."""
    for index in range(count):
        kind = rows[index]["word"] & KIND_MASK
        if kind == TRADE or kind == BBO:
            return True
    return False


@compiled
def price_range(rows, count):
    """Lowest and highest price of trades and best prices among the first `count` rows, of levels when there are none.

    (0, -1) when no row has a price. Levels far from every trade are left out on purpose: they never become the touch,
    and one stray order at a thousandth of the price would make the ladder a thousand times wider.
    """
    low = low_level = _TICKS_LIMIT
    high = high_level = -1
    for index in range(count):
        kind = rows[index]["word"] & KIND_MASK
        ticks = int(rows[index]["price_ticks"])
        if ticks == 0:
            continue
        if kind == TRADE or kind == BBO:
            low = min(low, ticks)
            high = max(high, ticks)
        elif kind == LEVEL:
            low_level = min(low_level, ticks)
            high_level = max(high_level, ticks)
    if high >= 0:
        return low, high
    if high_level >= 0:
        return low_level, high_level
    return 0, -1
