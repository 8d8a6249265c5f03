"""Our side of a replay: what reached this machine, applied to the core's state.

Rows move the books that all lanes share; replies move one lane's orders. The functions are the core's own.
"""

from __future__ import annotations

from hlhft.backtest.bus import FAR, RING
from hlhft.backtest.rows import (
    BBO,
    CLEAR,
    EXCHANGE_BIT,
    FRAME_BIT,
    FUNDING,
    KIND_MASK,
    LEVEL,
    LOCAL_BIT,
    LOTS_SHIFT,
    MARK,
    ORACLE,
    SELL_BIT,
    SNAPSHOT_BEGIN,
    TRADE,
)
from hlhft.compiled import compiled
from hlhft.core.book import ladder_bbo, refresh_touch
from hlhft.core.features import on_trade
from hlhft.core.step import apply_order_news, step_at, update_features
from hlhft.ladder import clear_asks, clear_bids, set_ask, set_bid

_ACKNOWLEDGED, _FILLED, _FUNDING_PAYMENT = 16, 18, 50


@compiled
def local_time_ns(row):
    """When a row reached us."""
    if row["word"] & EXCHANGE_BIT:
        return row["ts_ns"] + int(row["delay_ns"])
    return row["ts_ns"]


@compiled
def next_local_row_ns(rows, cursor, end):
    """Local time of the next row that reaches us, FAR when the window holds none."""
    while cursor < end:
        if rows[cursor]["word"] & LOCAL_BIT:
            return local_time_ns(rows[cursor])
        cursor += 1
    return FAR


@compiled
def run_local_rows(data, lane, market, rows, cursor, end, until_ns, scratch, mask):
    """Applies rows that reached us up to `until_ns` inclusive; returns the cursor of the first row not applied."""
    ladder = data.ladders[market]
    cells = data.cells[market]
    book = data.books[market]
    newest_ns = book["time_local_ns"]
    while cursor < end:
        word = rows[cursor]["word"]
        if word & LOCAL_BIT == 0:
            cursor += 1
            continue
        ts_ns = rows[cursor]["ts_ns"]
        if word & EXCHANGE_BIT:
            ts_ns += int(rows[cursor]["delay_ns"])
        if ts_ns > until_ns:
            break
        ticks = int(rows[cursor]["price_ticks"])
        cursor += 1
        kind = word & KIND_MASK
        if kind == LEVEL:
            if word & SELL_BIT:
                set_ask(ladder, cells, ticks, word >> LOTS_SHIFT)
            else:
                set_bid(ladder, cells, ticks, word >> LOTS_SHIFT)
            newest_ns = ts_ns
        elif kind == TRADE:
            # The age of a book is judged by its own channels, as the core does: a trade says nothing about it.
            if mask != 0:
                _trade_row(data, market, word, ticks, ts_ns, mask)
        else:
            _rare_row(book, ladder, cells, kind, word, ticks)
            if kind < TRADE:
                newest_ns = ts_ns
        if mask != 0 and word & FRAME_BIT:
            book["time_local_ns"] = newest_ns
            refresh_touch(book, data.ladders, data.cells)
            update_features(data, lane, market, scratch, mask, ts_ns)
    book["time_local_ns"] = newest_ns
    return cursor


@compiled
def _trade_row(data, market, word, ticks, ts_ns, mask):
    book = data.books[market]
    side = -1 if word & SELL_BIT else 1
    on_trade(
        data.features[market], data.feature_memory[market], book["best_bid_ticks"], book["best_ask_ticks"],
        step_at(data.markets[market], book["best_bid_ticks"]), side, ticks, word >> LOTS_SHIFT, ts_ns, mask,
    )  # fmt: skip


@compiled
def _rare_row(book, ladder, cells, kind, word, ticks):
    if kind == BBO:
        ladder_bbo(ladder, cells, 1 if word & SELL_BIT else 0, ticks, word >> LOTS_SHIFT)
    elif kind == CLEAR:
        if word & SELL_BIT:
            clear_asks(ladder, cells, ticks)
        else:
            clear_bids(ladder, cells, ticks)
    elif kind == SNAPSHOT_BEGIN:
        clear_bids(ladder, cells, 0)
        clear_asks(ladder, cells, 0)
    elif kind == MARK:
        book["mark_ticks"] = ticks
    elif kind == ORACLE:
        book["oracle_ticks"] = ticks
    elif kind == FUNDING:
        book["funding_rate_e12"] = word >> LOTS_SHIFT


@compiled
def read_replies(lane, limits, bus, number, until_ns, fills, fill_count, with_orders):
    """Applies one lane's replies up to `until_ns` inclusive; returns (fills logged so far, replies read).

    Fills and funding payments, and `with_orders` orders that came to rest, are copied to `fills`, REPLY_DTYPE, from
    `fill_count` on; the caller leaves room for a ring of them.
    """
    line = bus.lines[number]
    head = line["reply_head"]
    tail = line["reply_tail"]
    read = 0
    while head < tail:
        reply = bus.replies[number, head & (RING - 1)]
        if reply["ts_local_ns"] > until_ns:
            break
        kind = reply["kind"]
        if kind == _FUNDING_PAYMENT:
            lane.positions[reply["market"]]["funding_micro"] += reply["aux0"]
        else:
            apply_order_news(
                lane, limits, reply["market"], kind, reply["order_id"], reply["side"], reply["price_ticks"],
                reply["size_lots"], reply["aux0"], reply["aux1"], reply["maker"], reply["ts_local_ns"],
            )  # fmt: skip
        if kind == _FILLED or kind == _FUNDING_PAYMENT or (kind == _ACKNOWLEDGED and with_orders != 0):
            fills[fill_count] = reply
            fill_count += 1
        head += 1
        read += 1
    line["reply_head"] = head
    return fill_count, read
