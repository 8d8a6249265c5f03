"""Order-level books: every resting order of some markets in its place of the queue, changed order by order.

Pure and compiled. A book answers each change with the new total of its level and the time at which the order that
changed was placed, which is what an exact queue position is made of (`hlhft.venue.queue`, ORDER_LEVEL). An order that
was let in before another one counts as placed when that one was: it stands ahead of the same orders.

A change that does not fit what is known (an unknown order, another price, size or side, a book that stays crossed, a
full table) is a fault: the book is not right from there on, and the caller throws it away.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hlhft.compiled import compiled
from hlhft.events import EVENT_DTYPE

ORDERS_MAX = 1 << 20  # of all markets together; the venue holds a few hundred thousand
LEVELS_MAX = 1 << 15  # a side of one market
_BUCKETS = 1 << 20

ORDER_DTYPE = np.dtype(
    [
        ("order_id", np.int64),  # 0: an empty slot
        ("lots", np.int64),
        ("placed_ns", np.int64),
        ("level", np.int64),  # slot of its level
        ("previous", np.int64),  # towards the front of the queue, 0 at the front
        ("following", np.int64),  # 0 at the back; of an empty slot the next empty one
        ("same_bucket", np.int64),
        ("hidden", np.int64),
    ]
)
BOOK_LEVEL_DTYPE = np.dtype(
    [
        ("ticks", np.int64),
        ("lots", np.int64),  # of the orders that are not hidden
        ("orders", np.int64),  # which are not hidden
        ("front", np.int64),  # order slot, 0 when empty
        ("back", np.int64),
        ("market", np.int64),
        ("side_row", np.int64),  # 0 bids, 1 asks
        ("following", np.int64),  # of an empty slot the next empty one
    ]
)
FRAME_DTYPE = np.dtype(
    [
        ("height", np.int64),
        ("ts_exch_ns", np.int64),
        ("ts_local_ns", np.int64),
        ("market", np.int64),
        ("changes_end", np.int64),  # where its changes end; they begin where those of the frame before end
        ("trades_end", np.int64),
        ("is_whole", np.int64),  # 1: nothing of this block is still to come
        ("events_end", np.int64),  # where its events end: written by `apply`
    ]
)
TOUCH_DTYPE = np.dtype([("ticks", np.int64), ("lots", np.int64), ("orders", np.int64)])


class Fault(IntEnum):
    """Why a book is not right any more."""

    NONE = 0
    UNKNOWN_ORDER = 1  # of a change, or before which one was let in
    KNOWN_ORDER = 2  # a new one that rests already
    OTHER_SIZE = 3  # an order had not the size that the change says
    OTHER_LEVEL = 4  # or not the price or the side
    NO_SIDE = 5  # a new order whose side neither change nor status says
    UNKNOWN_CHANGE = 6  # of a kind that is not known
    CROSSED = 7  # bids reach asks after a whole block
    TOO_MANY_ORDERS = 8
    TOO_MANY_LEVELS = 9


# As above, and as hlhft.data.node.changes and hlhft.events; the compiled subset wants plain constants.
_UNKNOWN_ORDER, _KNOWN_ORDER, _OTHER_SIZE, _OTHER_LEVEL, _NO_SIDE, _UNKNOWN_CHANGE = 1, 2, 3, 4, 5, 6
_CROSSED, _TOO_MANY_ORDERS, _TOO_MANY_LEVELS = 7, 8, 9
_NEW, _UPDATE, _REMOVE = 1, 2, 3
_LEVEL, _CLEAR, _BBO, _TRADE = 1, 2, 5, 6
_VISIBLE, _FRAME_END = 3, 4
_IMPORTED = 1  # DEPTH_LEVEL's aux1 of a level that is told as a whole

# Columns of the state.
_FREE_ORDER, _FREE_LEVEL, _ORDERS, _FAULT_PLACE = 0, 1, 2, 3


class OrderBooks(NamedTuple):
    """The books of M markets. Slots are counted from 1. Keys are ticks, negative for asks: the best key is the last."""

    orders: NDArray[np.void]  # ORDER_DTYPE[slots]
    levels: NDArray[np.void]  # BOOK_LEVEL_DTYPE[slots]
    buckets: NDArray[np.int64]  # by order id, chained through the orders
    keys: NDArray[np.int64]  # [M, 2, levels a side], ascending
    places: NDArray[np.int64]  # the same: slots of the levels
    counts: NDArray[np.int64]  # [M, 2]
    touches: NDArray[np.void]  # TOUCH_DTYPE[M, 2]: what was told last
    state: NDArray[np.int64]  # [4]: first free order and level, orders that rest, place of the fault


def new_books(markets: int, *, orders_max: int = ORDERS_MAX, levels_max: int = LEVELS_MAX) -> OrderBooks:
    """Empty books for at most `orders_max` orders of all markets and `levels_max` levels a side of each.

    Memory is taken as it is used, on systems that give it so.
    """
    levels = min(markets * 2 * levels_max, orders_max)
    buckets = 1
    while buckets < min(orders_max, _BUCKETS):
        buckets *= 2
    books = OrderBooks(
        np.zeros(orders_max, ORDER_DTYPE),
        np.zeros(levels, BOOK_LEVEL_DTYPE),
        np.zeros(buckets, np.int64),
        np.zeros((markets, 2, levels_max), np.int64),
        np.zeros((markets, 2, levels_max), np.int64),
        np.zeros((markets, 2), np.int64),
        np.zeros((markets, 2), TOUCH_DTYPE),
        np.zeros(4, np.int64),
    )
    books.state[:] = (1, 1, 0, -1)
    return books


def clear(books: OrderBooks) -> None:
    """Forgets every order. What was told of the touch stays told."""
    for array in (books.orders, books.levels, books.buckets, books.counts):
        array[...] = np.zeros((), array.dtype)
    books.state[:] = (1, 1, 0, -1)


def room(markets: int, frames: int, changes: int, trades: int) -> int:
    """Events that `apply` may write for so much."""
    return changes + trades + 4 * frames + markets


@compiled
def apply(
    books: OrderBooks,
    frames: NDArray[np.void],
    changes: NDArray[np.void],
    trades: NDArray[np.void],
    out: NDArray[np.void],
) -> tuple[int, int, int]:
    """(events written, frames applied, fault) of applying frames in order.

    `frames` FRAME_DTYPE, `changes` CHANGE_DTYPE and `trades` TRADE_DTYPE in the order of the frames, `out` EVENT_DTYPE
    with `room`. A trade is told before the change of the order that it met. Each frame that tells anything ends with
    FRAME_END, its touch in BBO events where that changed. At a fault (else 0) nothing of its frame counts, and
    books.state[3] is the place of the change among `changes`, or -1.
    """
    written = 0
    first_change = 0
    first_trade = 0
    for index in range(len(frames)):
        frame = frames[index]
        begin = written
        written, fault = _frame(books, frame, changes, first_change, trades, first_trade, out, written)
        if fault != 0:
            return begin, index, fault
        if written > begin:
            out[written - 1]["flags"] = _VISIBLE | _FRAME_END
        frame["events_end"] = written
        first_change = frame["changes_end"]
        first_trade = frame["trades_end"]
    return written, len(frames), 0


@compiled
def _frame(books, frame, changes, first, trades, next_trade, out, written):
    """(new count of events, fault) of one frame."""
    market = frame["market"]
    trades_end = frame["trades_end"]
    for index in range(first, frame["changes_end"]):
        change = changes[index]
        kind = change["change"]
        fault = 0
        slot = 0
        gone = 0
        if kind == _UPDATE or kind == _REMOVE:
            slot = _find(books, change["order_id"])
            fault = _UNKNOWN_ORDER if slot == 0 else _fault_of(books, slot, change)
            if fault == 0:
                gone = books.orders[slot - 1]["lots"] - change["size_lots"]
        elif kind != _NEW:
            fault = _UNKNOWN_CHANGE
        if fault == 0 and next_trade < trades_end and gone > 0:
            written, next_trade = _tell_trades(trades, next_trade, trades_end, change, gone, frame, out, written)
        if fault == 0 and kind == _NEW:
            slot, fault = _insert(books, change, frame["ts_exch_ns"])
        if fault != 0:
            books.state[_FAULT_PLACE] = index
            return written, fault
        order = books.orders[slot - 1]
        place = order["level"]
        placed_ns = order["placed_ns"]
        hidden = order["hidden"]
        before = books.levels[place - 1]["orders"]
        if kind == _UPDATE:
            _resize(books, slot, change["size_lots"])
        elif kind == _REMOVE:
            _remove(books, slot)
        if hidden == 0 and (kind == _NEW or gone != 0 or before != books.levels[place - 1]["orders"]):
            written = _tell_level(books.levels[place - 1], placed_ns, frame, out, written)
        if kind == _REMOVE and books.levels[place - 1]["front"] == 0:
            _drop_level(books, place)
    while next_trade < trades_end:
        written = _tell_trade(trades[next_trade], frame, out, written)
        next_trade += 1
    books.state[_FAULT_PLACE] = -1
    if frame["is_whole"] != 0 and _is_crossed(books, market):
        return written, _CROSSED
    return _tell_touch(books, market, frame["ts_exch_ns"], frame["ts_local_ns"], out, written), 0


@compiled
def _fault_of(books, slot, change):
    """Why a change does not fit the order that it names, 0 when it does."""
    order = books.orders[slot - 1]
    level = books.levels[order["level"] - 1]
    side = change["side"]
    if level["market"] != change["market"] or level["ticks"] != change["price_ticks"]:
        return _OTHER_LEVEL
    if side != 0 and (side > 0) != (level["side_row"] == 0):
        return _OTHER_LEVEL
    if change["before_lots"] >= 0 and change["before_lots"] != order["lots"]:
        return _OTHER_SIZE
    return 0


@compiled
def _tell_trades(trades, next_trade, end, change, gone, frame, out, written):
    """(new count of events, next trade): tells the trades that took `gone` lots off the order, and those before."""
    while gone > 0:
        found = next_trade
        while found < end and trades[found]["maker_id"] != change["order_id"]:
            found += 1
        if found == end:
            break
        while next_trade <= found:
            written = _tell_trade(trades[next_trade], frame, out, written)
            next_trade += 1
        gone -= trades[found]["size_lots"]
    return written, next_trade


@compiled
def _put(event, kind, market, side, ticks, lots, ts_exch_ns, ts_local_ns):
    """Writes every field of an event that is not the last of its frame; what is not named is 0."""
    event["ts_exch_ns"] = ts_exch_ns
    event["ts_local_ns"] = ts_local_ns
    event["price_ticks"] = ticks
    event["size_lots"] = lots
    event["order_id"] = 0
    event["aux0"] = 0
    event["aux1"] = 0
    event["kind"] = kind
    event["flags"] = _VISIBLE
    event["market"] = market
    event["side"] = side
    event["padding"] = 0


@compiled
def _tell_trade(trade, frame, out, written):
    event = out[written]
    _put(
        event, _TRADE, frame["market"], trade["side"], trade["price_ticks"], trade["size_lots"],
        frame["ts_exch_ns"], frame["ts_local_ns"],
    )  # fmt: skip
    event["order_id"] = trade["trade_id"]
    return written + 1


@compiled
def _tell_level(level, placed_ns, frame, out, written):
    event = out[written]
    _put(
        event, _LEVEL, frame["market"], 1 - 2 * level["side_row"], level["ticks"], level["lots"],
        frame["ts_exch_ns"], frame["ts_local_ns"],
    )  # fmt: skip
    event["aux0"] = level["orders"]
    # An order that a snapshot holds says its own time, which is not the clock of the blocks.
    event["aux1"] = min(placed_ns, frame["ts_exch_ns"])
    return written + 1


@compiled
def _best(books, market, row):
    """Slot of the best level that shows any lots, 0 when none does."""
    index = books.counts[market, row] - 1
    while index >= 0 and books.levels[books.places[market, row, index] - 1]["lots"] == 0:
        index -= 1
    return books.places[market, row, index] if index >= 0 else 0


@compiled
def _is_crossed(books, market):
    bid, ask = _best(books, market, 0), _best(books, market, 1)
    return bid != 0 and ask != 0 and books.levels[bid - 1]["ticks"] >= books.levels[ask - 1]["ticks"]


@compiled
def _tell_touch(books, market, ts_exch_ns, ts_local_ns, out, written):
    """Tells the best bid and ask where they are not what was told last; returns the new count of events."""
    for row in range(2):
        ticks = 0
        lots = 0
        orders = 0
        slot = _best(books, market, row)
        if slot != 0:
            level = books.levels[slot - 1]
            ticks, lots, orders = level["ticks"], level["lots"], level["orders"]
        told = books.touches[market, row]
        if told["ticks"] != ticks or told["lots"] != lots or told["orders"] != orders:
            told["ticks"] = ticks
            told["lots"] = lots
            told["orders"] = orders
            _put(out[written], _BBO, market, 1 - 2 * row, ticks, lots, ts_exch_ns, ts_local_ns)
            out[written]["aux0"] = orders
            written += 1
    return written


@compiled
def picture_room(books, market):
    """Events that `picture` may write."""
    return int(books.counts[market, 0]) + int(books.counts[market, 1]) + 3


@compiled
def picture(books, market, ts_exch_ns, ts_local_ns, out):
    """Tells the whole book of a market as one frame: everything cleared, every level from the touch outward, the touch.

    `out` EVENT_DTYPE with `picture_room`; returns the number of events.
    """
    _put(out[0], _CLEAR, market, 0, 0, 0, ts_exch_ns, ts_local_ns)
    written = 1
    for row in range(2):
        for index in range(books.counts[market, row] - 1, -1, -1):
            level = books.levels[books.places[market, row, index] - 1]
            if level["lots"] > 0:
                _put(
                    out[written], _LEVEL, market, 1 - 2 * row, level["ticks"], level["lots"], ts_exch_ns, ts_local_ns
                )  # fmt: skip
                out[written]["aux0"] = level["orders"]
                out[written]["aux1"] = _IMPORTED
                written += 1
        books.touches[market, row]["orders"] = -1
    written = _tell_touch(books, market, ts_exch_ns, ts_local_ns, out, written)
    out[written - 1]["flags"] = _VISIBLE | _FRAME_END
    return written


@compiled
def load(books: OrderBooks, changes: NDArray[np.void], placed_ns: NDArray[np.int64]) -> int:
    """Adds the orders of a snapshot, `changes` CHANGE_DTYPE (all NEW) in the order of each queue, placed at
    `placed_ns`, int64[n]; returns 0, or the fault, with books.state[3] the place of the order."""
    for index in range(len(changes)):
        _, fault = _insert(books, changes[index], placed_ns[index])
        if fault != 0:
            books.state[_FAULT_PLACE] = index
            return int(fault)
    return 0


@compiled
def queue(books, market, row, ticks, out):
    """Writes the orders of a level from the front, (order id, lots) to `out`, int64[n, 2]; returns how many there are,
    those without room included."""
    place = _place_of(books, market, row, -ticks if row == 1 else ticks)
    count = 0
    if place == books.counts[market, row] or books.keys[market, row, place] != (-ticks if row == 1 else ticks):
        return 0
    slot = books.levels[books.places[market, row, place] - 1]["front"]
    while slot != 0:
        order = books.orders[slot - 1]
        if count < len(out):
            out[count, 0] = order["order_id"]
            out[count, 1] = order["lots"]
        count += 1
        slot = order["following"]
    return count


@compiled
def _bucket(books, order_id):
    # The venue counts its ids upward, so that the lowest bits spread them best.
    return order_id & (len(books.buckets) - 1)


@compiled
def _find(books, order_id):
    """Slot of the order, 0 when it does not rest."""
    slot = books.buckets[_bucket(books, order_id)]
    while slot != 0 and books.orders[slot - 1]["order_id"] != order_id:
        slot = books.orders[slot - 1]["same_bucket"]
    return slot


@compiled
def _place_of(books, market, row, key):
    """The place of the first key of a side that is not below `key`."""
    low, high = 0, books.counts[market, row]
    while low < high:
        middle = (low + high) // 2
        if books.keys[market, row, middle] < key:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def _take_level(books, market, row, ticks):
    """Slot of the level at a price, made where there is none; 0 when there is no room."""
    key = -ticks if row == 1 else ticks
    place = _place_of(books, market, row, key)
    count = books.counts[market, row]
    if place < count and books.keys[market, row, place] == key:
        return books.places[market, row, place]
    slot = books.state[_FREE_LEVEL]
    if count == books.keys.shape[2] or slot > len(books.levels):
        return 0
    level = books.levels[slot - 1]
    # A slot that was never used stands before the next of its kind.
    books.state[_FREE_LEVEL] = level["following"] if level["following"] != 0 else slot + 1
    for index in range(count, place, -1):
        books.keys[market, row, index] = books.keys[market, row, index - 1]
        books.places[market, row, index] = books.places[market, row, index - 1]
    books.keys[market, row, place] = key
    books.places[market, row, place] = slot
    books.counts[market, row] = count + 1
    level["ticks"] = ticks
    level["lots"] = 0
    level["orders"] = 0
    level["front"] = 0
    level["back"] = 0
    level["market"] = market
    level["side_row"] = row
    return slot


@compiled
def _drop_level(books, slot):
    """Gives back the slot of an empty level."""
    level = books.levels[slot - 1]
    market, row = level["market"], level["side_row"]
    place = _place_of(books, market, row, -level["ticks"] if row == 1 else level["ticks"])
    count = books.counts[market, row] - 1
    for index in range(place, count):
        books.keys[market, row, index] = books.keys[market, row, index + 1]
        books.places[market, row, index] = books.places[market, row, index + 1]
    books.counts[market, row] = count
    level["following"] = books.state[_FREE_LEVEL]
    books.state[_FREE_LEVEL] = slot


@compiled
def _insert(books, change, placed_ns):
    """(slot, fault) of a new order at the end of its queue, or before the order that it names."""
    if change["side"] == 0:
        return 0, _NO_SIDE
    if _find(books, change["order_id"]) != 0:
        return 0, _KNOWN_ORDER
    slot = books.state[_FREE_ORDER]
    if slot > len(books.orders):
        return 0, _TOO_MANY_ORDERS
    row = 0 if change["side"] > 0 else 1
    following = 0
    if change["before_id"] != 0:
        following = _find(books, change["before_id"])
        if following == 0:
            return 0, _UNKNOWN_ORDER
        target = books.levels[books.orders[following - 1]["level"] - 1]
        if target["market"] != change["market"] or target["side_row"] != row:
            return 0, _OTHER_LEVEL
        if target["ticks"] != change["price_ticks"]:
            return 0, _OTHER_LEVEL
        placed_ns = min(placed_ns, books.orders[following - 1]["placed_ns"])
    place = _take_level(books, change["market"], row, change["price_ticks"])
    if place == 0:
        return 0, _TOO_MANY_LEVELS
    order = books.orders[slot - 1]
    books.state[_FREE_ORDER] = order["following"] if order["following"] != 0 else slot + 1
    order["order_id"] = change["order_id"]
    order["lots"] = change["size_lots"]
    order["placed_ns"] = placed_ns
    order["level"] = place
    order["hidden"] = change["hidden"]
    _link(books, slot, place, following)
    bucket = _bucket(books, change["order_id"])
    order["same_bucket"] = books.buckets[bucket]
    books.buckets[bucket] = slot
    books.state[_ORDERS] += 1
    if change["hidden"] == 0:
        books.levels[place - 1]["lots"] += change["size_lots"]
        books.levels[place - 1]["orders"] += 1
    return slot, 0


@compiled
def _link(books, slot, place, following):
    """Puts an order into a level's queue before the one in slot `following`, 0 for the end."""
    order = books.orders[slot - 1]
    level = books.levels[place - 1]
    previous = level["back"] if following == 0 else books.orders[following - 1]["previous"]
    order["previous"] = previous
    order["following"] = following
    if previous == 0:
        level["front"] = slot
    else:
        books.orders[previous - 1]["following"] = slot
    if following == 0:
        level["back"] = slot
    else:
        books.orders[following - 1]["previous"] = slot


@compiled
def _resize(books, slot, lots):
    """Gives an order another size in its place."""
    order = books.orders[slot - 1]
    if order["hidden"] == 0:
        books.levels[order["level"] - 1]["lots"] += lots - order["lots"]
    order["lots"] = lots


@compiled
def _remove(books, slot):
    """Takes an order out of its queue; an emptied level stays for the caller to drop."""
    order = books.orders[slot - 1]
    level = books.levels[order["level"] - 1]
    if order["hidden"] == 0:
        level["lots"] -= order["lots"]
        level["orders"] -= 1
    if order["previous"] == 0:
        level["front"] = order["following"]
    else:
        books.orders[order["previous"] - 1]["following"] = order["following"]
    if order["following"] == 0:
        level["back"] = order["previous"]
    else:
        books.orders[order["following"] - 1]["previous"] = order["previous"]
    bucket = _bucket(books, order["order_id"])
    at = books.buckets[bucket]
    if at == slot:
        books.buckets[bucket] = order["same_bucket"]
    else:
        while books.orders[at - 1]["same_bucket"] != slot:
            at = books.orders[at - 1]["same_bucket"]
        books.orders[at - 1]["same_bucket"] = order["same_bucket"]
    order["order_id"] = 0
    order["following"] = books.state[_FREE_ORDER]
    books.state[_FREE_ORDER] = slot
    books.state[_ORDERS] -= 1


def events_of_picture(books: OrderBooks, market: int, ts_exch_ns: int, ts_local_ns: int) -> NDArray[np.void]:
    """`picture` as an array of its own."""
    out = np.zeros(picture_room(books, market), EVENT_DTYPE)
    count = picture(books, market, ts_exch_ns, ts_local_ns, out)
    return out[:count]
