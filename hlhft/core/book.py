"""What we believe the book is.

Two kinds with the same read functions. A ladder book takes incremental levels. A snapshot book takes full frames from
three sources, the 20-level channel, the 5-level fast channel and the best bid and offer, and merges them by range: the
newest block time owns the prices it covers, an older frame only adds what lies beyond, and levels that a newer touch of
the other side crosses are dropped. The merge is written into a back buffer and swapped, so the book before it stays
readable. Every level of a snapshot book carries the block time it comes from.

In live trading the book holds our own orders; `without_own` takes them out of what `read_levels` copied, and that is
what features and strategies see in every world.
"""

from __future__ import annotations

from hlhft.compiled import compiled
from hlhft.core.state import LEVELS
from hlhft.ladder import ASK_NONE, BID_NONE, clear_asks, clear_bids, set_ask, set_bid
from hlhft.ladder import top_levels as ladder_top

_LADDER = 0
_BBO_SOURCE = 2
_LEVEL, _CLEAR, _SNAPSHOT_BEGIN, _SNAPSHOT_END, _BBO, _TRADE, _CONTEXT = 1, 2, 3, 4, 5, 6, 7


@compiled
def refresh_touch(book, ladders, cells):
    """Brings the best prices and lots of a ladder book's row up to its ladder; 0 where a side is empty."""
    ladder = ladders[book["ladder_index"]]
    depth = cells[book["ladder_index"]]
    bid, ask = ladder["best_bid_ticks"], ladder["best_ask_ticks"]
    base = ladder["base_ticks"]
    if bid == BID_NONE:
        book["best_bid_ticks"] = 0
        book["best_bid_lots"] = 0
    else:
        book["best_bid_ticks"] = bid
        book["best_bid_lots"] = depth[0, bid - base]
    if ask == ASK_NONE:
        book["best_ask_ticks"] = 0
        book["best_ask_lots"] = 0
    else:
        book["best_ask_ticks"] = ask
        book["best_ask_lots"] = depth[1, ask - base]


@compiled
def ladder_bbo(ladder, cells, row, ticks, lots):
    """A best price reported for a ladder book: better levels of its side are gone; price 0 empties the side."""
    if row == 0:
        if ticks == 0:
            clear_bids(ladder, cells, 0)
            return
        while ladder["best_bid_ticks"] != BID_NONE and ladder["best_bid_ticks"] > ticks:
            set_bid(ladder, cells, ladder["best_bid_ticks"], 0)
        set_bid(ladder, cells, ticks, lots)
        return
    if ticks == 0:
        clear_asks(ladder, cells, 0)
        return
    while ladder["best_ask_ticks"] != ASK_NONE and ladder["best_ask_ticks"] < ticks:
        set_ask(ladder, cells, ladder["best_ask_ticks"], 0)
    set_ask(ladder, cells, ticks, lots)


@compiled
def _better(row, ticks, other):
    """Whether `ticks` is higher than `other` for row 0 (bids), lower for row 1 (asks): nearer the other side."""
    return ticks > other if row == 0 else ticks < other


@compiled
def _merge_side(book, sources, out, row, opposite_ticks, opposite_time_ns):
    """Merges one side of the sources into `out`; returns the number of levels.

    `opposite_ticks` is the newest touch of the other side (0 unknown) and its time: older levels it crosses are
    dropped.
    """
    newest, middle, oldest = _ranks(book)
    count = 0
    boundary = 0
    for rank in range(3):
        source = newest if rank == 0 else (middle if rank == 1 else oldest)
        time_ns = book["source_time_ns"][source]
        if time_ns == 0:
            continue
        held = book["source_count"][source, row]
        for index in range(held):
            level = sources[source, row, index]
            ticks = level["price_ticks"]
            if boundary != 0 and not _better(row, boundary, ticks):
                continue
            crossed = opposite_ticks != 0 and time_ns < opposite_time_ns and not _better(row, opposite_ticks, ticks)
            if crossed or count == LEVELS:
                continue
            out[row, count]["price_ticks"] = ticks
            out[row, count]["size_lots"] = level["size_lots"]
            out[row, count]["orders"] = level["orders"]
            out[row, count]["time_ns"] = time_ns
            count += 1
        if held < book["source_limit"][source]:
            return count
        last = sources[source, row, held - 1]["price_ticks"]
        if boundary == 0 or _better(row, boundary, last):
            boundary = last
    return count


@compiled
def _ranks(book):
    """The sources, newest block time first; on a tie the narrower one first."""
    a, b, c = 2, 1, 0
    if book["source_time_ns"][b] > book["source_time_ns"][a]:
        a, b = b, a
    if book["source_time_ns"][c] > book["source_time_ns"][b]:
        b, c = c, b
        if book["source_time_ns"][b] > book["source_time_ns"][a]:
            a, b = b, a
    return a, b, c


@compiled
def _newest_touch(book, sources, row):
    """The touch of a side in the newest source that has one, and its time; (0, 0) when none has."""
    newest, middle, oldest = _ranks(book)
    for rank in range(3):
        source = newest if rank == 0 else (middle if rank == 1 else oldest)
        if book["source_time_ns"][source] != 0 and book["source_count"][source, row] > 0:
            return sources[source, row, 0]["price_ticks"], book["source_time_ns"][source]
    return 0, 0


@compiled
def _blank(side, count):
    """Zeroes what an earlier, deeper book left behind the first `count` levels: a view copies a fixed number."""
    for index in range(count, LEVELS):
        if side[index]["price_ticks"] == 0:
            return
        side[index]["price_ticks"] = 0
        side[index]["size_lots"] = 0
        side[index]["orders"] = 0
        side[index]["time_ns"] = 0


@compiled
def merge(book, levels, sources):
    """Writes the merged book into the back buffer, swaps, and brings the touch up to date."""
    back = 1 - book["front"]
    out = levels[back]
    bid_ticks, bid_time = _newest_touch(book, sources, 0)
    ask_ticks, ask_time = _newest_touch(book, sources, 1)
    book["previous_bid_count"] = book["bid_count"]
    book["previous_ask_count"] = book["ask_count"]
    book["bid_count"] = _merge_side(book, sources, out, 0, ask_ticks, ask_time)
    book["ask_count"] = _merge_side(book, sources, out, 1, bid_ticks, bid_time)
    _blank(out[0], book["bid_count"])
    _blank(out[1], book["ask_count"])
    book["front"] = back
    book["best_bid_ticks"] = out[0, 0]["price_ticks"] if book["bid_count"] > 0 else 0
    book["best_bid_lots"] = out[0, 0]["size_lots"] if book["bid_count"] > 0 else 0
    book["best_ask_ticks"] = out[1, 0]["price_ticks"] if book["ask_count"] > 0 else 0
    book["best_ask_lots"] = out[1, 0]["size_lots"] if book["ask_count"] > 0 else 0


@compiled
def _begin_source(book, source, limit, ts_exch_ns):
    """Opens a source for writing; an older frame than the source's own is not opened."""
    if ts_exch_ns < book["source_time_ns"][source]:
        book["writing"] = -1
        return
    book["writing"] = source
    book["source_time_ns"][source] = ts_exch_ns
    book["source_limit"][source] = min(max(limit, 1), LEVELS)
    book["source_count"][source, 0] = 0
    book["source_count"][source, 1] = 0


@compiled
def _write_level(book, sources, source, row, ticks, lots, orders):
    count = book["source_count"][source, row]
    if count >= book["source_limit"][source] or lots == 0 or ticks == 0:
        return
    level = sources[source, row, count]
    level["price_ticks"] = ticks
    level["size_lots"] = lots
    level["orders"] = orders
    book["source_count"][source, row] = count + 1


@compiled
def _apply_snapshot_event(book, levels, sources, event, kind, row):
    ts_ns = event["ts_exch_ns"]
    if kind == _SNAPSHOT_BEGIN:
        _begin_source(book, 1 if event["aux1"] == 1 else 0, event["aux0"], ts_ns)
    elif kind == _LEVEL:
        if book["writing"] >= 0:
            _write_level(book, sources, book["writing"], row, event["price_ticks"], event["size_lots"], event["aux0"])
    elif kind == _SNAPSHOT_END:
        if book["writing"] >= 0:
            book["writing"] = -1
            merge(book, levels, sources)
    elif kind == _BBO:
        if ts_ns < book["source_time_ns"][_BBO_SOURCE]:
            return
        if ts_ns > book["source_time_ns"][_BBO_SOURCE]:
            # The two sides of one frame arrive as two events: the first one keeps the other side until it comes.
            book["source_time_ns"][_BBO_SOURCE] = ts_ns
            book["source_limit"][_BBO_SOURCE] = 1
        book["source_count"][_BBO_SOURCE, row] = 0
        _write_level(book, sources, _BBO_SOURCE, row, event["price_ticks"], event["size_lots"], event["aux0"])
        if event["flags"] & 4:
            merge(book, levels, sources)
    elif kind == _CLEAR:
        for source in range(3):
            if event["side"] >= 0:
                book["source_count"][source, 0] = 0
            if event["side"] <= 0:
                book["source_count"][source, 1] = 0
        merge(book, levels, sources)


@compiled
def _apply_ladder_event(ladder, cells, event, kind, row):
    if kind == _LEVEL:
        if row == 0:
            set_bid(ladder, cells, event["price_ticks"], event["size_lots"])
        else:
            set_ask(ladder, cells, event["price_ticks"], event["size_lots"])
    elif kind == _BBO:
        ladder_bbo(ladder, cells, row, event["price_ticks"], event["size_lots"])
    elif kind == _CLEAR:
        if event["side"] >= 0:
            clear_bids(ladder, cells, event["price_ticks"])
        if event["side"] <= 0:
            clear_asks(ladder, cells, event["price_ticks"])
    elif kind == _SNAPSHOT_BEGIN:
        clear_bids(ladder, cells, 0)
        clear_asks(ladder, cells, 0)


@compiled
def apply_event(data, market, event):
    """Applies one market-data event to a market's book and times.

    A ladder book's touch in the book row is brought up to date by `refresh_touch`, once a frame. A clear empties whole
    sides of a snapshot book, whatever its price.
    """
    book = data.books[market]
    kind = int(event["kind"])
    row = 0 if event["side"] >= 0 else 1
    if kind == _CONTEXT:
        book["mark_ticks"] = event["price_ticks"]
        book["oracle_ticks"] = event["order_id"]
        book["funding_rate_e12"] = event["aux0"]
        book["premium_e12"] = event["aux1"]
        book["context_time_ns"] = event["ts_local_ns"]
        return
    if kind == _TRADE:
        book["last_trade_ticks"] = event["price_ticks"]
        book["last_trade_side"] = event["side"]
        return
    if book["kind"] == _LADDER:
        index = book["ladder_index"]
        _apply_ladder_event(data.ladders[index], data.cells[index], event, kind, row)
    else:
        _apply_snapshot_event(book, data.levels[market], data.sources[market], event, kind, row)
    book["time_exch_ns"] = max(book["time_exch_ns"], event["ts_exch_ns"])
    book["time_local_ns"] = max(book["time_local_ns"], event["ts_local_ns"])


@compiled
def read_levels(data, market, row, out):
    """Copies the side (row 0 bids, 1 asks) from the touch outward into `out`, LEVEL_DTYPE[n]; returns how many.

    A ladder keeps prices and lots only and leaves the other fields of `out` as they are.
    """
    book = data.books[market]
    if book["kind"] == _LADDER:
        index = book["ladder_index"]
        return ladder_top(data.ladders[index], data.cells[index], row, out)
    held = book["bid_count"] if row == 0 else book["ask_count"]
    front = data.levels[market, book["front"], row]
    count = min(held, len(out))
    for position in range(count):
        out[position]["price_ticks"] = front[position]["price_ticks"]
        out[position]["size_lots"] = front[position]["size_lots"]
        out[position]["orders"] = front[position]["orders"]
        out[position]["time_ns"] = front[position]["time_ns"]
    return count


@compiled
def own_lots_at(orders, active, active_count, side, ticks):
    """Lots of ours that rest at a price, by orders the venue has acknowledged and not yet ended.

    A frame that the venue made before it took the order, or before it ended it, does not agree with that: until the
    next frame a level is off by that order.
    """
    total = 0
    for position in range(active_count):
        order = orders[active[position]]
        if order["price_ticks"] == ticks and order["side"] == side and order["acknowledged_ns"] > 0:
            # What takes its place is not there yet, as far as anybody knows.
            total += order["remaining_lots"] - order["replacement_lots"]
    return total


@compiled
def without_own(levels, count, orders, active, active_count, side):
    """Subtracts our resting lots from the first `count` levels in place; a level that was only ours goes. Returns how
    many are left."""
    kept = 0
    for position in range(count):
        ticks = levels[position]["price_ticks"]
        lots = levels[position]["size_lots"] - own_lots_at(orders, active, active_count, side, ticks)
        if lots <= 0:
            continue
        levels[kept]["price_ticks"] = ticks
        levels[kept]["size_lots"] = lots
        levels[kept]["orders"] = levels[position]["orders"]
        levels[kept]["time_ns"] = levels[position]["time_ns"]
        kept += 1
    return kept
