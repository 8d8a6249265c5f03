"""Snapshot-only feeds become events: what must have happened between two pictures of the book.

The venue's book channel sends pictures, at best every half second, while a replay's exchange side needs a book that
changes event by event. What is assumed, and tested:

- The levels a snapshot shows are the book at its block time, from the touch to the last level shown; where it shows
  fewer levels than its channel carries, the side is complete. Levels beyond are not touched: they stay as last seen.
- The change from one snapshot to the next happens at the second one's block time, removals before additions, except for
  what trades and the best bid and offer say in between.
- A trade takes from the level it printed at first, at its own time: that level is reduced by the traded size, at most
  to nothing (flag SYNTHETIC). The next picture corrects the guess.
- A best bid or offer is the touch: better levels of its side are gone, the level has that size.

Applying the resulting events to an empty book gives every snapshot exactly. The function runs on either side: for the
venue's rows, in exchange time, or for the local ones, in order of arrival. A picture older than the newest best bid and
offer, which in exchange time there is none, does not move the touch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hlhft.compiled import compiled
from hlhft.data.merge import Events, copied, rechunk
from hlhft.events import EVENT_DTYPE, EventFlag

KNOWN_LEVELS_MAX = 4096  # a side; the farthest is forgotten, with an event that removes it
SNAPSHOT_LEVELS_MAX = 1024  # a side; of a picture that shows more, the first in it are looked at
EXCHANGE_SIDE, LOCAL_SIDE = 1, 2
ROWS_AT_ONCE = 8_192  # few calls, and what is written stays in the processor's cache

assert (EventFlag.EXCHANGE_VISIBLE, EventFlag.LOCAL_VISIBLE) == (EXCHANGE_SIDE, LOCAL_SIDE)

# Kinds and flags as in hlhft.events; the compiled subset wants plain constants.
_LEVEL, _CLEAR, _BEGIN, _END, _BBO, _TRADE = 1, 2, 3, 4, 5, 6
_FRAME_END, _SYNTHETIC = 4, 16
_BOTH = 3

# Columns of the state.
_COLLECTING, _LIMIT, _BBO_TIME, _TOUCH_BID, _TOUCH_ASK = 0, 1, 2, 3, 4
_NO_TOUCH = -(2**62)


class KnownBooks(NamedTuple):
    """What is known of M markets' books. Keys are prices, negative for bids: the best key is the smallest."""

    keys: NDArray[np.int64]  # [M, 2, KNOWN_LEVELS_MAX]
    lots: NDArray[np.int64]  # the same
    counts: NDArray[np.int64]  # [M, 2]
    shown: NDArray[np.int64]  # [M, 2, SNAPSHOT_LEVELS_MAX, 3]: key, lots, orders of the snapshot being read
    shown_count: NDArray[np.int64]  # [M, 2]
    state: NDArray[np.int64]  # [M, 5]: collecting, levels the channel carries, time of the newest bbo, its touch keys
    spare: NDArray[np.int64]  # [2, KNOWN_LEVELS_MAX]: the side being rewritten


def new_books(markets: int) -> KnownBooks:
    """Empty books of `markets` markets."""
    books = KnownBooks(
        np.zeros((markets, 2, KNOWN_LEVELS_MAX), np.int64),
        np.zeros((markets, 2, KNOWN_LEVELS_MAX), np.int64),
        np.zeros((markets, 2), np.int64),
        np.zeros((markets, 2, SNAPSHOT_LEVELS_MAX, 3), np.int64),
        np.zeros((markets, 2), np.int64),
        np.zeros((markets, 5), np.int64),
        np.zeros((2, KNOWN_LEVELS_MAX), np.int64),
    )
    books.state[:, _TOUCH_BID:] = _NO_TOUCH
    return books


def levels_from_snapshots(
    arrays: Iterable[Events], *, snapshot_markets: NDArray[np.bool_], side: int = EXCHANGE_SIDE
) -> Iterator[Events]:
    """Rows sorted by both clocks with the snapshots of one side made into levels.

    On `side` (EXCHANGE_SIDE or LOCAL_SIDE) the snapshots of `snapshot_markets` (bool by market) become DEPTH_LEVEL
    rows that only this side sees; for the other side they stay. All other rows pass; on the venue's side each trade
    is followed by its effect on the book. A local picture that changes nothing still gives one row, so that the frame
    counts.
    """
    if side not in (EXCHANGE_SIDE, LOCAL_SIDE):
        raise ValueError(f"side must be EXCHANGE_SIDE or LOCAL_SIDE, not {side}")
    books = new_books(len(snapshot_markets))
    out = np.empty(0, dtype=EVENT_DTYPE)
    for array in arrays:
        # Every level added was shown by a row, every one removed was added before or is known now.
        room = 4 * len(array) + int(books.counts.sum()) + 1
        if len(out) < room:
            out = np.empty(2 * room, dtype=EVENT_DTYPE)
        count = _convert(array, snapshot_markets, books, side, out)
        assert count < len(out), "the bound above holds"
        yield copied(out[:count])


def levels_on_both_sides(arrays: Iterable[Events], *, snapshot_markets: NDArray[np.bool_]) -> Iterator[Events]:
    """As `levels_from_snapshots` for the venue's side and, of what it gives, for ours, in one pass.

    An array yielded is valid until the next is asked for.
    """
    venue, ours = new_books(len(snapshot_markets)), new_books(len(snapshot_markets))
    out = np.empty(0, dtype=EVENT_DTYPE)
    for rows in rechunk(arrays, ROWS_AT_ONCE):
        room = 7 * len(rows) + int(venue.counts.sum()) + int(ours.counts.sum()) + 1
        if len(out) < room:
            out = np.empty(2 * room, dtype=EVENT_DTYPE)
        count = _convert_both(rows, snapshot_markets, venue, ours, out)
        assert count < len(out), "the bound above holds"
        yield out[:count]


@compiled
def _place_of(keys, count, key):
    """The place of the first of `count` ascending keys that is not below `key`."""
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if keys[middle] < key:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def _emit(out, written, event, row, key, lots, orders, flags):
    """Writes one level at the time of `event`; row 0 is bids, 1 asks."""
    out[written]["ts_exch_ns"] = event["ts_exch_ns"]
    out[written]["ts_local_ns"] = event["ts_local_ns"]
    out[written]["order_id"] = 0
    out[written]["aux1"] = 0
    out[written]["padding"] = 0
    out[written]["market"] = event["market"]
    out[written]["kind"] = _LEVEL
    out[written]["flags"] = flags
    out[written]["side"] = 1 if row == 0 else -1
    out[written]["price_ticks"] = -key if row == 0 else key
    out[written]["size_lots"] = lots
    out[written]["aux0"] = orders
    return written + 1


@compiled
def set_known(keys, lots, counts, row, key, value, out, written, event, flags):
    """Sets one known level, 0 removes it; writes an event only for a level that is forgotten for want of room."""
    count = counts[row]
    place = _place_of(keys[row], count, key)
    if place < count and keys[row, place] == key:
        if value != 0:
            lots[row, place] = value
            return written
        for index in range(place, count - 1):
            keys[row, index] = keys[row, index + 1]
            lots[row, index] = lots[row, index + 1]
        counts[row] = count - 1
        return written
    if value == 0:
        return written
    if count == KNOWN_LEVELS_MAX:
        count -= 1
        written = _emit(out, written, event, row, keys[row, count], 0, 0, flags)
        place = min(place, count)
    for index in range(count, place, -1):
        keys[row, index] = keys[row, index - 1]
        lots[row, index] = lots[row, index - 1]
    keys[row, place] = key
    lots[row, place] = value
    counts[row] = count + 1
    return written


@compiled
def drop_better(keys, lots, counts, row, key):
    """Forgets the levels better than `key`."""
    place = _place_of(keys[row], counts[row], key)
    if place > 0:
        for index in range(place, counts[row]):
            keys[row, index - place] = keys[row, index]
            lots[row, index - place] = lots[row, index]
        counts[row] -= place


@compiled
def _show(shown, shown_counts, row, key, lots, orders):
    """Adds a level to the snapshot being read, in its place; a repeated price takes the later size."""
    count = shown_counts[row]
    place = count
    while place > 0 and shown[row, place - 1, 0] >= key:
        place -= 1
    if place < count and shown[row, place, 0] == key:
        shown[row, place, 1] = lots
        shown[row, place, 2] = orders
        return
    if count == SNAPSHOT_LEVELS_MAX:
        return
    for index in range(count, place, -1):
        for column in range(3):
            shown[row, index, column] = shown[row, index - 1, column]
    shown[row, place, 0] = key
    shown[row, place, 1] = lots
    shown[row, place, 2] = orders
    shown_counts[row] = count + 1


@compiled
def _remove_unshown(keys, count, shown, shown_count, row, guard, covered, out, written, event, flags):
    """Writes a removal for every known level in (guard, covered] that the snapshot does not show."""
    place = 0
    for index in range(count):
        key = keys[row, index]
        if key > covered:
            break
        while place < shown_count and shown[row, place, 0] < key:
            place += 1
        if key > guard and (place == shown_count or shown[row, place, 0] != key):
            written = _emit(out, written, event, row, key, 0, 0, flags)
    return written


@compiled
def _rewrite(keys, lots, counts, shown, shown_count, row, guard, covered, spare, out, written, event, flags):
    """Writes additions and changes and rewrites the known side: as it was up to `guard` and beyond `covered`, as shown
    between. What is beyond is moved only when the number between changes: far levels gather over a day."""
    count = counts[row]
    begin = 0
    while begin < count and keys[row, begin] <= guard:
        begin += 1
    known, fresh = begin, 0
    for index in range(shown_count):
        key = shown[row, index, 0]
        if key <= guard or begin + fresh == KNOWN_LEVELS_MAX:
            continue
        while known < count and keys[row, known] < key:
            known += 1
        if known == count or keys[row, known] != key or lots[row, known] != shown[row, index, 1]:
            written = _emit(out, written, event, row, key, shown[row, index, 1], shown[row, index, 2], flags)
        spare[0, fresh] = key
        spare[1, fresh] = shown[row, index, 1]
        fresh += 1
    while known < count and (keys[row, known] <= covered or keys[row, known] <= guard):
        known += 1
    end = begin + fresh
    beyond = count - known
    if end + beyond > KNOWN_LEVELS_MAX:
        beyond = KNOWN_LEVELS_MAX - end
        for index in range(known + beyond, count):
            written = _emit(out, written, event, row, keys[row, index], 0, 0, flags)
    if end < known:
        for index in range(beyond):
            keys[row, end + index] = keys[row, known + index]
            lots[row, end + index] = lots[row, known + index]
    elif end > known:
        for index in range(beyond - 1, -1, -1):
            keys[row, end + index] = keys[row, known + index]
            lots[row, end + index] = lots[row, known + index]
    for index in range(fresh):
        keys[row, begin + index] = spare[0, index]
        lots[row, begin + index] = spare[1, index]
    counts[row] = end + beyond
    return written


@compiled
def _is_in_place(keys, count, shown, shown_count, row, covered):
    """Whether the snapshot shows just the levels that are known up to `covered`: the touch has not moved."""
    if count < shown_count or (count > shown_count and keys[row, shown_count] <= covered):
        return False
    place = 0
    while place < shown_count and keys[row, place] == shown[row, place, 0]:
        place += 1
    return place == shown_count


@compiled
def _change_in_place(keys, lots, shown, shown_count, row, out, written, event, flags):
    """Writes the levels whose size is another, as `_rewrite` does where no level comes or goes."""
    for index in range(shown_count):
        if lots[row, index] != shown[row, index, 1]:
            lots[row, index] = shown[row, index, 1]
            written = _emit(
                out, written, event, row, keys[row, index], shown[row, index, 1], shown[row, index, 2], flags
            )
    return written


@compiled
def _end_snapshot(books, market, event, side, flags, out, written):
    """Writes the difference between what is known and what was shown, removals first."""
    begin = written
    keys, lots, counts = books.keys[market], books.lots[market], books.counts[market]
    shown, shown_counts, state = books.shown[market], books.shown_count[market], books.state[market]
    older = event["ts_exch_ns"] < state[_BBO_TIME]
    for phase in range(2):
        for row in range(2):
            shown_count = shown_counts[row]
            covered = shown[row, shown_count - 1, 0] if shown_count > 0 and shown_count >= state[_LIMIT] else 2**62
            guard = state[_TOUCH_BID + row] if older else _NO_TOUCH
            if guard == _NO_TOUCH and _is_in_place(keys, counts[row], shown, shown_count, row, covered):
                if phase == 1:
                    written = _change_in_place(keys, lots, shown, shown_count, row, out, written, event, flags)
            elif phase == 0:
                written = _remove_unshown(
                    keys, counts[row], shown, shown_count, row, guard, covered, out, written, event, flags
                )
            else:
                written = _rewrite(
                    keys, lots, counts, shown, shown_count, row, guard, covered, books.spare, out, written, event, flags
                )
    if side == LOCAL_SIDE:
        for row in range(2):
            if written == begin and counts[row] > 0:
                written = _emit(out, written, event, row, keys[row, 0], lots[row, 0], 0, flags)
        if written > begin and event["flags"] & _FRAME_END:
            out[written - 1]["flags"] |= _FRAME_END
    return written


@compiled
def _apply_other(books, market, event, side, out, written):
    """Follows a row that is no snapshot; on the venue's side a trade's effect is written after it."""
    keys, lots, counts, state = books.keys[market], books.lots[market], books.counts[market], books.state[market]
    kind, ticks, size = event["kind"], event["price_ticks"], event["size_lots"]
    row = 0 if event["side"] >= 0 else 1
    key = -ticks if row == 0 else ticks
    if kind == _BBO:
        if event["ts_exch_ns"] > state[_BBO_TIME]:
            state[_BBO_TIME] = event["ts_exch_ns"]
        if ticks == 0:
            counts[row] = 0
            state[_TOUCH_BID + row] = _NO_TOUCH
        else:
            state[_TOUCH_BID + row] = key
            drop_better(keys, lots, counts, row, key)
            written = set_known(keys, lots, counts, row, key, size, out, written, event, side | _SYNTHETIC)
    elif kind == _CLEAR:
        for each in range(2):
            if (each == 0 and event["side"] >= 0) or (each == 1 and event["side"] <= 0):
                if ticks == 0:
                    counts[each] = 0
                else:
                    drop_better(keys, lots, counts, each, (-ticks if each == 0 else ticks) + 1)
    elif kind == _LEVEL and ticks > 0:
        written = set_known(keys, lots, counts, row, key, size, out, written, event, side | _SYNTHETIC)
    elif kind == _TRADE and side == EXCHANGE_SIDE:
        hit = 1 - row
        hit_key = -ticks if hit == 0 else ticks
        place = _place_of(keys[hit], counts[hit], hit_key)
        if place < counts[hit] and keys[hit, place] == hit_key:
            left = max(lots[hit, place] - size, 0)
            written = _emit(out, written, event, hit, hit_key, left, 0, side | _SYNTHETIC)
            written = set_known(keys, lots, counts, hit, hit_key, left, out, written, event, side | _SYNTHETIC)
    return written


@compiled
def _convert(rows, snapshot_markets, books, side, out):
    """Writes `rows` to `out` with one side's snapshots made into levels; returns the number of rows written."""
    written = 0
    for index in range(len(rows)):
        event = rows[index]
        market = int(event["market"])
        state = books.state[market]
        kind = int(event["kind"])
        if not snapshot_markets[market] or int(event["flags"]) & side == 0:
            out[written] = event
            written += 1
            continue
        in_snapshot = kind in (_BEGIN, _END) or (kind == _LEVEL and state[_COLLECTING] != 0)
        if not in_snapshot:
            out[written] = event
            written = _apply_other(books, market, event, side, out, written + 1)
            continue
        if int(event["flags"]) & (_BOTH - side):
            out[written] = event
            out[written]["flags"] = int(event["flags"]) & ~side
            written += 1
        written = _take_shown(books, market, kind, event, side, out, written)
    return written


@compiled
def _take_shown(books, market, kind, event, side, out, written):
    """Takes one row of a snapshot in; its end writes what changed."""
    state = books.state[market]
    if kind == _BEGIN:
        state[_COLLECTING] = 1
        state[_LIMIT] = event["aux0"]
        books.shown_count[market, 0] = 0
        books.shown_count[market, 1] = 0
    elif kind == _END:
        state[_COLLECTING] = 0
        written = _end_snapshot(books, market, event, side, side, out, written)
    elif event["size_lots"] > 0 and event["price_ticks"] > 0:
        row = 0 if event["side"] >= 0 else 1
        key = -event["price_ticks"] if row == 0 else event["price_ticks"]
        _show(books.shown[market], books.shown_count[market], row, key, event["size_lots"], event["aux0"])
    return written


@compiled
def _convert_both(rows, snapshot_markets, venue, ours, out):
    """Writes `rows` to `out` with both sides' snapshots made into levels; returns the number of rows written.

    The order is that of two passes: what our side makes of a row goes before what the venue's side adds to it.
    """
    written = 0
    for index in range(len(rows)):
        event = rows[index]
        market = int(event["market"])
        if not snapshot_markets[market]:
            out[written] = event
            written += 1
            continue
        kind, flags = int(event["kind"]), int(event["flags"])
        is_edge = kind in (_BEGIN, _END)
        venue_sees, we_see = flags & EXCHANGE_SIDE != 0, flags & LOCAL_SIDE != 0
        venue_collects = venue_sees and (is_edge or (kind == _LEVEL and venue.state[market, _COLLECTING] != 0))
        we_collect = we_see and (is_edge or (kind == _LEVEL and ours.state[market, _COLLECTING] != 0))
        if kind == _LEVEL and venue_collects and we_collect and event["size_lots"] > 0 and event["price_ticks"] > 0:
            # Nearly all rows are these, best first. Calls, with all their arrays, would take three times as long.
            row = 0 if event["side"] >= 0 else 1
            key = -event["price_ticks"] if row == 0 else event["price_ticks"]
            place, other = venue.shown_count[market, row], ours.shown_count[market, row]
            is_next = place < SNAPSHOT_LEVELS_MAX and (place == 0 or venue.shown[market, row, place - 1, 0] < key)
            if is_next and other < SNAPSHOT_LEVELS_MAX and (other == 0 or ours.shown[market, row, other - 1, 0] < key):
                venue.shown[market, row, place, 0] = key
                venue.shown[market, row, place, 1] = event["size_lots"]
                venue.shown[market, row, place, 2] = event["aux0"]
                venue.shown_count[market, row] = place + 1
                ours.shown[market, row, other, 0] = key
                ours.shown[market, row, other, 1] = event["size_lots"]
                ours.shown[market, row, other, 2] = event["aux0"]
                ours.shown_count[market, row] = other + 1
                continue
        if we_collect:
            if venue_sees and not venue_collects:
                out[written] = event
                out[written]["flags"] = flags & ~LOCAL_SIDE
                written += 1
            written = _take_shown(ours, market, kind, event, LOCAL_SIDE, out, written)
        elif we_see or not venue_collects:
            out[written] = event
            if venue_collects:
                out[written]["flags"] = flags & ~EXCHANGE_SIDE
            written += 1
            if we_see:
                written = _apply_other(ours, market, event, LOCAL_SIDE, out, written)
        if venue_collects:
            written = _take_shown(venue, market, kind, event, EXCHANGE_SIDE, out, written)
        elif venue_sees:
            written = _apply_other(venue, market, event, EXCHANGE_SIDE, out, written)
    return written
