"""The compiled passes that put event rows in order and mark them: each looks at a row once.

What they decide is written down where they are called: `merge`, `order`, `sessions` and `profiles`. Rows are
EVENT_DTYPE; results go to arrays that the caller gives, which have room for them.
"""

from __future__ import annotations

from typing import Any

from hlhft.compiled import compiled

# Kinds and flags as in hlhft.events; the compiled subset wants plain constants.
_LEVEL, _CLEAR, _BEGIN, _END, _BBO, _TRADE = 1, 2, 3, 4, 5, 6
_EXCHANGE, _LOCAL, _FRAME_END = 1, 2, 4
_RANKS = 4

# Columns of the state of `split_rows`.
LARGEST, NEWEST, ARRIVAL = 0, 1, 2
# Columns of the state of `scan_sessions`.
SESSIONS, LAST_LOCAL = 0, 1
UNKNOWN = -1
# Columns of the state of `thin`, by market; the touch follows by side.
FULL_DUE, FAST_DUE = 0, 1


@compiled
def merge_rows(first: Any, second: Any, out: Any) -> Any:
    """Writes two arrays sorted by ts_local_ns to `out`, sorted; at equal times the first one's rows come first."""
    place, other, count = 0, 0, len(first)
    rest = len(second)
    for index in range(count + rest):
        if other == rest or (place < count and first[place]["ts_local_ns"] <= second[other]["ts_local_ns"]):
            out[index] = first[place]
            place += 1
        else:
            out[index] = second[other]
            other += 1


@compiled
def is_in_order(
    rows: Any, base_ns: Any, span_ns: Any, window_ns: Any, ranks: Any, ranked: Any, state: Any, held_to: Any
) -> Any:
    """Whether `split_rows` would change nothing: all of them seen, ordered for both sides, from `held_to` on.

    Then `state` is as it would leave it.
    """
    largest, newest, arrival = state[LARGEST], state[NEWEST], state[ARRIVAL]
    last = max(largest, held_to)
    for index in range(len(rows)):
        row = rows[index]
        exch, local, flags = int(row["ts_exch_ns"]), int(row["ts_local_ns"]), int(row["flags"])
        key = (exch - base_ns) * _RANKS
        if ranked[int(row["market"])]:
            key += ranks[int(row["kind"])]
        if key < last or flags & (_EXCHANGE | _LOCAL) == 0 or (flags & _EXCHANGE and exch < newest - window_ns):
            return False
        last = key
        newest = max(newest, exch)
        if flags & _LOCAL:
            if local < arrival:
                return False
            largest, arrival = key, local
        elif flags & _FRAME_END:
            return False
    if abs(newest // 2 - base_ns // 2) > span_ns // 2:
        return False
    state[LARGEST], state[NEWEST], state[ARRIVAL] = largest, newest, arrival
    return True


@compiled
def split_rows(
    rows: Any,
    base_ns: Any,
    span_ns: Any,
    window_ns: Any,
    ranks: Any,
    ranked: Any,
    state: Any,
    out: Any,
    keys: Any,
    written: Any,
    copies: Any,
    copy_keys: Any,
    copy_at: Any,
    copied: Any,
) -> Any:
    """Takes `rows` in order of arrival apart: what we see, in this order, and what only the venue has at its place.

    Returns (rows in `out`, copies, whether all is well); on a fault nothing of it counts. `out` and `keys` hold
    `written` rows already, `copies` and their places `copied`. `ranks` int64[256] by kind and `ranked` bool by market
    order the events of one block; `state` int64[3] is LARGEST key, NEWEST exchange time and last ARRIVAL so far. A copy
    goes behind the `copy_at` rows that came before it, as far as its key allows.
    """
    largest, newest, arrival = state[LARGEST], state[NEWEST], state[ARRIVAL]
    for index in range(len(rows)):
        row = rows[index]
        flags = int(row["flags"])
        exch = int(row["ts_exch_ns"])
        if abs(exch // 2 - base_ns // 2) > span_ns // 2:
            return written, copied, False
        newest = max(newest, exch)
        if flags & _EXCHANGE and exch < newest - window_ns:
            return written, copied, False
        key = (exch - base_ns) * _RANKS
        if ranked[int(row["market"])]:
            key += ranks[int(row["kind"])]
        is_late = False
        if flags & _LOCAL:
            if row["ts_local_ns"] < arrival:
                return written, copied, False
            arrival = int(row["ts_local_ns"])
            is_late = key < largest
            largest = max(largest, key)
            out[written] = row
            keys[written] = largest
            if is_late:
                out[written]["flags"] = flags & ~_EXCHANGE
            written += 1
        if flags & _EXCHANGE and (is_late or not flags & _LOCAL):
            copies[copied] = row
            copies[copied]["flags"] = flags & ~(_LOCAL | _FRAME_END)
            copy_keys[copied] = key
            copy_at[copied] = written
            copied += 1
    state[LARGEST], state[NEWEST], state[ARRIVAL] = largest, newest, arrival
    return written, copied, True


@compiled
def insert_rows(out: Any, keys: Any, written: Any, copies: Any, copy_keys: Any, copy_at: Any, order: Any) -> Any:
    """Puts the copies, `order` their places by key and arrival, among the first `written` rows; there is room."""
    place = written - 1
    for rest in range(len(order), 0, -1):
        copy = order[rest - 1]
        key = copy_keys[copy]
        while place >= 0 and (keys[place] > key or (keys[place] == key and place >= copy_at[copy])):
            out[place + rest] = out[place]
            keys[place + rest] = keys[place]
            place -= 1
        out[place + rest] = copies[copy]
        keys[place + rest] = key


@compiled
def scan_sessions(
    rows: Any, gap_ns: Any, is_marked: Any, first_book_ns: Any, state: Any, early: Any, starts: Any
) -> Any:
    """Finds the trades before their session's first book, and the first books of later sessions.

    Returns (trades, books): their places are in `early` and `starts`. `is_marked` bool by market says which are looked
    at; `first_book_ns` int64 by market and `state` int64[2] are carried from array to array.
    """
    trades = books = 0
    for index in range(len(rows)):
        row = rows[index]
        local = int(row["ts_local_ns"])
        if state[SESSIONS] == 0 or local - state[LAST_LOCAL] > gap_ns:
            state[SESSIONS] += 1
            for each in range(len(first_book_ns)):
                first_book_ns[each] = UNKNOWN
        state[LAST_LOCAL] = local
        market = int(row["market"])
        if not is_marked[market]:
            continue
        kind = int(row["kind"])
        known = first_book_ns[market]
        if kind in (_BBO, _BEGIN) and known == UNKNOWN:
            first_book_ns[market] = row["ts_exch_ns"]
            if state[SESSIONS] > 1:
                starts[books] = index
                books += 1
        elif kind == _TRADE and (known == UNKNOWN or row["ts_exch_ns"] < known):
            early[trades] = index
            trades += 1
    return trades, books


@compiled
def _hide_unchanged(out, begin, end, is_thinned):
    """Takes local visibility from the best bids and offers among the rows of one message."""
    for index in range(begin, end):
        if int(out[index]["kind"]) == _BBO and is_thinned[int(out[index]["market"])]:
            out[index]["flags"] = int(out[index]["flags"]) & ~(_LOCAL | _FRAME_END)


@compiled
def _send(out, written, rows, begin, end, levels, channel):
    """Writes the local form of the snapshot at rows[begin..end], both inclusive: the first levels of each side."""
    head = written
    out[head] = rows[begin]
    written += 1
    for side in (1, -1):
        taken = 0
        for index in range(begin, end + 1):
            if taken < levels and int(rows[index]["kind"]) == _LEVEL and int(rows[index]["side"]) == side:
                out[written] = rows[index]
                out[written]["flags"] = int(rows[index]["flags"]) & ~(_EXCHANGE | _FRAME_END)
                written += 1
                taken += 1
    sent = written - head - 1
    out[written] = rows[end]
    out[written]["flags"] = (int(rows[end]["flags"]) & ~_EXCHANGE) | _FRAME_END
    out[written]["aux0"] = sent
    out[written]["aux1"] = channel
    out[head]["flags"] = int(rows[begin]["flags"]) & ~(_EXCHANGE | _FRAME_END)
    out[head]["aux0"] = min(levels, int(rows[begin]["aux0"]))
    out[head]["aux1"] = channel
    return written + 1


@compiled
def thin(
    rows: Any, first: Any, enough: Any, is_thinned: Any, levels: Any, intervals: Any, due: Any, touch: Any, out: Any
) -> Any:
    """Thins whole frames from row `first` on until `enough` rows are written and a frame ends.

    Returns (next row, rows written, whether snapshots come in pairs of begin and end). `levels` and `intervals`
    int64[2] and `due` int64[M, 2] are of the full and the fast channel; `touch` int64[M, 3, 3] holds by side whether it
    is known, its ticks and its lots. `out` has room for three times the rows.
    """
    written = 0
    begin = message = -1
    is_changed = False
    for index in range(first, len(rows)):
        row = rows[index]
        kind, market, flags = int(row["kind"]), int(row["market"]), int(row["flags"])
        is_mine = is_thinned[market]
        if is_mine and kind == _CLEAR:
            for side in range(3):
                touch[market, side, 0] = 0
        is_seen = is_mine and flags & _LOCAL != 0
        if is_seen and kind == _BEGIN:
            if begin >= 0:
                return index, written, False
            begin = index
        if begin < 0:
            out[written] = row
            written += 1
        if is_mine and kind == _BBO and begin < 0:
            if message < 0:
                message = written - 1
            side = int(row["side"]) + 1
            ticks, lots = int(row["price_ticks"]), int(row["size_lots"])
            if touch[market, side, 0] == 0 or touch[market, side, 1] != ticks or touch[market, side, 2] != lots:
                is_changed = True
            touch[market, side, 0], touch[market, side, 1], touch[market, side, 2] = 1, ticks, lots
            if flags & _FRAME_END:
                if not is_changed:
                    _hide_unchanged(out, message, written, is_thinned)
                message = -1
                is_changed = False
        if is_seen and kind == _END:
            if begin < 0:
                return index, written, False
            written = _thin_snapshot(rows, begin, index, levels, intervals, due, out, written)
            begin = -1
        if flags & _FRAME_END and begin < 0 and message < 0 and written >= enough:
            return index + 1, written, True
    return len(rows), written, begin < 0


@compiled
def _thin_snapshot(rows, begin, end, levels, intervals, due, out, written):
    """Writes what we see of one snapshot, then the venue's."""
    market, now = int(rows[begin]["market"]), int(rows[begin]["ts_exch_ns"])
    recorded_fast = int(rows[begin]["aux1"]) == 1
    for channel in range(2):
        if now >= due[market, channel] and not (channel == FULL_DUE and recorded_fast):
            due[market, channel] = (now // intervals[channel] + 1) * intervals[channel]
            written = _send(out, written, rows, begin, end, levels[channel], channel)
    for index in range(begin, end + 1):
        out[written] = rows[index]
        out[written]["flags"] = int(rows[index]["flags"]) & ~(_LOCAL | _FRAME_END)
        written += 1
    return written
