"""The replay itself: the venue's side and ours, apart in space and joined only by the lines between them.

Both sides walk the same rows, each by its own clock. Our side acts at targets: a timer, the next frame that reaches us,
a reply, a batch's deadline, a funding hour. The venue runs ahead to the target and no further, and stops earlier when
it says something that reaches us earlier and may make us act; so no decision ever sees what it could not have seen, and
no request arrives in the venue's past.

What models say is a list of events of its own, in order of their arrival at our side. Each is heard before the first
moment of our side that is not earlier, and leads to no decision by itself, as in `hlhft.core.step`.

`advance` runs until it is done or needs its caller: more rows, room for fills or records, or a look at `until_ns`.
Everything it knows is in its arguments, so it can be called again where it stopped.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from hlhft.backtest.accounts import LIQUIDATION, holds, is_short, liquidate_lane, mark_markets, note_margin, pay_funding
from hlhft.backtest.bus import FAR, RING, deliver, refresh_next_reply, send
from hlhft.backtest.local_side import local_time_ns, next_local_row_ns, read_replies, run_local_rows
from hlhft.backtest.rows import EXCHANGE_BIT, LOCAL_BIT
from hlhft.backtest.venue_side import next_venue_row_ns, run_rows, take_requests
from hlhft.compiled import borrowed, compiled, compiled_views
from hlhft.core.batch import next_deadline_ns
from hlhft.core.book import refresh_touch
from hlhft.core.risk import trip
from hlhft.core.signals import hear
from hlhft.core.state import Lane
from hlhft.core.step import decide
from hlhft.venue.funding import HOUR_NS

IDLE_NS = 10_000_000_000  # the longest way from one target to the next
# How long lanes go on after the last row: quotes that are refused for ever must end some time.
TAIL_NS = 600_000_000_000
_MARGIN_BREAKER = 6


class Status(IntEnum):
    """Why `advance` returned."""

    DONE = 0
    NEED_ROWS = 1
    FILLS_FULL = 2
    RECORDS_FULL = 3
    BUS_FULL = 4
    REPLIES_LOST = 5
    PAUSED = 6  # what our side does next, it does later than `until_ns`


LOOP_DTYPE = np.dtype(
    [
        ("now_ns", np.int64),
        ("target_ns", np.int64),  # where both sides are going, 0 when none is chosen
        ("next_timer_ns", np.int64),
        ("next_funding_ns", np.int64),
        ("funding_rate_e12", np.int64),  # used where the recording names none
        ("funding", np.int64),  # 1: pay on the hour
        ("margin", np.int64),  # 1: liquidate below maintenance margin
        ("started", np.int64),
        ("next_record_ns", np.int64),
        ("record_interval_ns", np.int64),  # 0: every decision
        ("fill_count", np.int64),
        ("record_count", np.int64),
        ("venue_rows", np.int64),
        ("first_ns", np.int64),
        ("last_row_ns", np.int64),  # newest time of either clock of the rows applied
        ("rows_left", np.int64),
        ("moved", np.int64),  # a row reached us since the last decision
        ("signals_heard", np.int64),  # how many of the models' events were
        ("until_ns", np.int64),  # pause before any moment of our side later than this; 0 never
        ("log_orders", np.int64),  # 1: orders that came to rest are logged among the fills
    ]
)

RECORD_DTYPE = np.dtype(
    [
        ("ts_ns", np.int64),
        ("lane", np.int64),
        ("market", np.int64),
        ("best_bid_ticks", np.int64),
        ("best_ask_ticks", np.int64),
        ("mark_ticks", np.int64),
        ("position_lots", np.int64),
        ("cash_quanta", np.int64),
        ("maker_quanta", np.int64),
        ("taker_quanta", np.int64),
        ("fee_micro", np.int64),
        ("funding_micro", np.int64),
        ("fills", np.int64),
        ("traded_lots", np.int64),
    ]
)


@compiled_views
def lane_of(lanes, number):
    """One lane's arrays, as views."""
    return Lane(
        lanes.lane[number],
        lanes.positions[number],
        lanes.orders[number],
        lanes.active[number],
        lanes.params[number],
        lanes.memory[number],
        lanes.views[number],
        lanes.quotes[number],
        lanes.waiting[number],
    )


@compiled
def _start(loop, limits, rows, cursors, ends):
    """Sets the clock to the first event on either side."""
    first = FAR
    for market in range(len(ends)):
        first = min(first, next_venue_row_ns(rows[market], cursors[market, 0], ends[market]))
        first = min(first, next_local_row_ns(rows[market], cursors[market, 1], ends[market]))
    first = 0 if first == FAR else first
    loop["started"] = 1
    loop["now_ns"] = first
    loop["first_ns"] = first
    loop["last_row_ns"] = first
    loop["rows_left"] = 1
    loop["next_timer_ns"] = first + limits["interval_ns"] if limits["interval_ns"] > 0 else FAR
    loop["next_funding_ns"] = first - first % HOUR_NS + HOUR_NS if loop["funding"] else FAR


@compiled
def _under_way(bus, number):
    """Whether a request or reply of the lane is on its line."""
    line = bus.lines[number]
    return line["request_head"] < line["request_tail"] or line["reply_head"] < line["reply_tail"]


@compiled
def _at_its_end(loop, bus, number):
    """Whether a lane has nothing before it and nothing under way, whatever the others still wait for."""
    if loop["rows_left"] != 0:
        return False
    moment_ns = max(loop["now_ns"], loop["target_ns"])
    return not _under_way(bus, number) or moment_ns > loop["last_row_ns"] + TAIL_NS


@compiled
def _choose_target(loop, limits, lanes, bus, rows, cursors, ends, finished):
    """The next time our side acts, FAR when nothing is left to wait for, -1 when only more rows can tell."""
    target = loop["next_timer_ns"]
    if limits["decide_on_frame"] != 0:
        for market in range(len(ends)):
            following = next_local_row_ns(rows[market], cursors[market, 1], ends[market])
            if following == FAR and finished[market] == 0:
                return -1
            target = min(target, following)
    if limits["decide_on_fill"] != 0:
        target = min(target, bus.bus[0]["next_reply_ns"])
    if limits["batch_window_ns"] > 0:
        for number in range(len(lanes.lane)):
            if not _at_its_end(loop, bus, number):
                target = min(target, next_deadline_ns(lanes.lane[number, 0], limits))
    if loop["rows_left"] != 0:
        # The venue runs to the target before our side follows, and the rows between wait in memory.
        return max(min(target, loop["next_funding_ns"], loop["now_ns"] + IDLE_NS), loop["now_ns"])
    if target == FAR:
        # Without a wake of our own: follow whatever is still under way.
        target = min(bus.bus[0]["next_request_ns"], bus.bus[0]["next_reply_ns"])
    return max(target, loop["now_ns"])


@compiled
def _rows_left(cursors, ends):
    """Whether either side still has rows before it."""
    for market in range(len(ends)):
        if cursors[market, 0] < ends[market] or cursors[market, 1] < ends[market]:
            return True
    return False


@compiled
def _bound(venue, rows, cursors, ends, bound):
    """How far the venue's markets may run before looking at each other: with several, one instant at a time while an
    order rests, so that what they say is in order of time."""
    if len(ends) == 1 or venue.venue[0]["resting"] == 0:
        return bound
    earliest = FAR
    for market in range(len(ends)):
        # Each cursor stands at a row of the venue's side, or at the end of all rows.
        earliest = min(earliest, next_venue_row_ns(rows[market], cursors[market, 0], ends[market]))
    return min(bound, earliest)


@compiled
def _newest_ns(rows, before, cursor, bit):
    """The latest time among rows[before:cursor] that the side of `bit` sees, 0 when it sees none."""
    while cursor > before:
        cursor -= 1
        if rows[cursor]["word"] & bit:
            return rows[cursor]["ts_ns"] if bit == EXCHANGE_BIT else local_time_ns(rows[cursor])
    return 0


@compiled
def run_venue(loop, limits, venue, bus, rows, cursors, ends, finished):
    """Brings the venue to the target, which a reply that may wake us lowers; False when rows are missing."""
    wakes = limits["decide_on_fill"] != 0
    while True:
        bound = min(loop["target_ns"], bus.bus[0]["next_request_ns"])
        reached = _bound(venue, rows, cursors, ends, bound)
        for market in range(len(ends)):
            while True:
                before = cursors[market, 0]
                cursor = run_rows(venue, market, rows[market], before, ends[market], reached, True)
                cursors[market, 0] = cursor
                loop["venue_rows"] += cursor - before
                loop["last_row_ns"] = max(loop["last_row_ns"], _newest_ns(rows[market], before, cursor, EXCHANGE_BIT))
                if venue.venue[0]["reply_count"] == 0:
                    break
                earliest = deliver(bus, venue.venue[0], venue.replies)
                if wakes and earliest < loop["target_ns"]:
                    loop["target_ns"] = earliest
                    reached = min(reached, earliest)
            if cursors[market, 0] >= ends[market] and finished[market] == 0:
                return False
        if reached < bound and reached < loop["target_ns"]:
            continue
        if bus.bus[0]["next_request_ns"] > loop["target_ns"]:
            return True
        earliest = take_requests(venue, bus, bus.bus[0]["next_request_ns"])
        if wakes and earliest < loop["target_ns"]:
            loop["target_ns"] = earliest


@compiled
def _record_lane(books, positions, number, ts_ns, records, count):
    """Writes one record a market of a lane; returns the new count."""
    for market in range(len(books)):
        record = records[count]
        position = positions[market]
        book = books[market]
        record["ts_ns"] = ts_ns
        record["lane"] = number
        record["market"] = market
        record["best_bid_ticks"] = book["best_bid_ticks"]
        record["best_ask_ticks"] = book["best_ask_ticks"]
        record["mark_ticks"] = book["mark_ticks"]
        record["position_lots"] = position["position_lots"]
        record["cash_quanta"] = position["cash_quanta"]
        record["maker_quanta"] = position["maker_quanta"]
        record["taker_quanta"] = position["taker_quanta"]
        record["fee_micro"] = position["fee_micro"]
        record["funding_micro"] = position["funding_micro"]
        record["fills"] = position["fills"]
        record["traded_lots"] = position["traded_lots"]
        count += 1
    return count


@compiled
def record_ends(loops, data, lanes, bus, done, records):
    """Writes every lane's last record, after all that it learned, into the empty `records`; returns how many.

    Without `done` the run was stopped on its way, and everybody's last moment is that one.
    """
    loop = loops[0]
    stopped_ns = max(loop["now_ns"], loop["target_ns"])
    count = 0
    for number in range(len(lanes.lane)):
        ts_ns = max(loop["last_row_ns"], bus.lines[number]["reply_last_ns"]) if done else stopped_ns
        count = _record_lane(data.books, lanes.positions[number], number, ts_ns, records, count)
    return count


@compiled
def _pay_funding(loop, lanes, venue, bus):
    """One hour's funding for every lane that is not at its end."""
    for number in range(len(lanes.lane)):
        if not _at_its_end(loop, bus, number):
            pay_funding(venue, number, loop["funding_rate_e12"], loop["target_ns"])
            deliver(bus, venue.venue[0], venue.replies)
    loop["next_funding_ns"] += HOUR_NS


@compiled
def _maintain_margin(loop, data, lanes, limits, venue, accounts, bus):
    """Margin of every lane that is not at its end: at the venue, and what the core's own breaker may know of it."""
    marked = False
    for number in range(len(lanes.lane)):
        if _at_its_end(loop, bus, number):
            continue
        if limits["margin_distance_e6_min"] > 0:
            note_margin(
                lanes.lane[number, 0], lanes.positions[number], data.books, data.markets, accounts.margins,
                accounts.tiers,
            )  # fmt: skip
        holdings = venue.holdings[number]
        if not holds(holdings):
            continue
        if not marked:
            mark_markets(venue.contexts, venue.ladders, accounts.marks)
            marked = True
        if is_short(
            accounts.collateral[number], holdings, accounts.margins, venue.markets, accounts.marks, accounts.tiers
        ):
            liquidate_lane(venue, accounts, number, loop["target_ns"])
            deliver(bus, venue.venue[0], venue.replies)


@compiled
def _note_uptime(position, now_ns):
    """Accumulates the time with orders on both sides."""
    both = position["open_buy_lots"] > 0 and position["open_sell_lots"] > 0
    since = position["quoted_since_ns"]
    if since != 0:
        position["quoted_ns"] += now_ns - since
    position["quoted_since_ns"] = now_ns if both else 0


@compiled
def _decide_lane(loop, data, lanes, limits, bus, number, out):
    lane = lane_of(lanes, number)
    count = decide(data, lane, limits, loop["target_ns"], out)
    if count > 0:
        send(bus, number, out, count, loop["target_ns"])
    for market in range(len(data.books)):
        _note_uptime(lane.positions[market], loop["target_ns"])


@compiled
def _halt_when_liquidated(lane_row, fills, first, count):
    """A lane that learns of a forced fill stops until an operator looks."""
    for index in range(first, count):
        if fills[index]["reason"] == LIQUIDATION:
            trip(lane_row, _MARGIN_BREAKER, True)


@compiled
def _read_all(loop, lanes, limits, bus, fills, woken):
    """Lets every lane read its replies; False when the fill log has no room, to be called again for the others.

    Adds to `woken`, by lane, how many it read.
    """
    if bus.bus[0]["next_reply_ns"] > loop["target_ns"]:
        return True
    for number in range(len(lanes.lane)):
        line = bus.lines[number]
        if line["reply_head"] == line["reply_tail"]:
            continue
        before = loop["fill_count"]
        if before + RING > len(fills):
            return False
        count, read = read_replies(
            lane_of(lanes, number), limits, bus, number, loop["target_ns"], fills, before, loop["log_orders"]
        )
        _halt_when_liquidated(lanes.lane[number, 0], fills, before, count)
        loop["fill_count"] = count
        woken[number] += read
    refresh_next_reply(bus)
    return True


@compiled
def _run_local(loop, data, lanes, limits, rows, cursors, ends, finished, scratch):
    """Brings our books to the target; False when rows are missing."""
    first = lane_of(lanes, 0)
    for market in range(len(ends)):
        before = cursors[market, 1]
        cursor = run_local_rows(
            data, first, market, rows[market], before, ends[market], loop["target_ns"], scratch, limits["features"]
        )
        cursors[market, 1] = cursor
        newest_ns = _newest_ns(rows[market], before, cursor, LOCAL_BIT)
        if newest_ns > 0:
            loop["last_row_ns"] = max(loop["last_row_ns"], newest_ns)
            loop["moved"] = 1
            refresh_touch(data.books[market], data.ladders, data.cells)
        if cursor >= ends[market] and finished[market] == 0:
            return False
    return True


@compiled
def _hear_signals(loop, lanes, bus, signals):
    """Tells every lane that is not at its end what models said up to the target."""
    first = loop["signals_heard"]
    last = first
    while last < len(signals) and signals[last]["ts_local_ns"] <= loop["target_ns"]:
        last += 1
    loop["signals_heard"] = last
    for number in range(len(lanes.lane) if last > first else 0):
        if not _at_its_end(loop, bus, number):
            for index in range(first, last):
                hear(lanes.lane[number, 0], lanes.positions[number, int(signals[index]["market"])], signals[index])


@compiled
def advance(
    loops, data, lanes, limits, venue, accounts, bus, rows, cursors, ends, finished, scratch, out, fills, records,
    woken, signals,
):  # fmt: skip
    """Runs the replay until a Status is reached and returns it.

    With `until_ns` it returns PAUSED where our side has nothing left to do up to that time, and goes on from there when
    called with a later one: the outcome is that of never pausing. Our side then knows what it knew at its last moment;
    the venue may be ahead of `until_ns`, and nothing of that has reached us. Whoever pauses may tell lanes a signal or
    a policy, and then it is as if it were among `signals` with an arrival of `until_ns` + 1.

    `loops` LOOP_DTYPE[1]; `rows` ROW_DTYPE[M, n] windows with `ends` int64[M] rows each, `cursors` int64[M, 2] (venue,
    local), `finished` int64[M] (1: no more rows come); `scratch` LEVEL_DTYPE[2, LEVELS]; `out` COMMAND_DTYPE[n];
    `fills` REPLY_DTYPE[n]; `records` RECORD_DTYPE[n]; `woken` int64[L], zeros at first; `signals` EVENT_DTYPE[n] of the
    kinds SIGNAL and POLICY, in order of `ts_local_ns`, of markets that there are.
    """
    loop, limits = borrowed(loops)[0], borrowed(limits)[0]
    data, lanes, venue, accounts, bus = borrowed((data, lanes, venue, accounts, bus))
    rows, cursors, ends, finished = borrowed((rows, cursors, ends, finished))
    scratch, out, fills, records, woken, signals = borrowed((scratch, out, fills, records, woken, signals))
    if loop["started"] == 0:
        _start(loop, limits, rows, cursors, ends)
    while True:
        if loop["target_ns"] == 0:
            target = _choose_target(loop, limits, lanes, bus, rows, cursors, ends, finished)
            if target < 0:
                return 1
            if target >= FAR:
                return 0
            loop["target_ns"] = target
        if not run_venue(loop, limits, venue, bus, rows, cursors, ends, finished):
            return 1
        if loop["until_ns"] != 0 and loop["target_ns"] > loop["until_ns"]:
            return 6
        if not _run_local(loop, data, lanes, limits, rows, cursors, ends, finished, scratch):
            return 1
        if loop["record_count"] + len(lanes.lane) * len(ends) > len(records):
            return 3
        if not _read_all(loop, lanes, limits, bus, fills, woken):
            return 2
        if bus.bus[0]["overflow"] > 0:
            return 4
        if venue.venue[0]["dropped"] > 0:
            return 5
        loop["rows_left"] = 1 if _rows_left(cursors, ends) else 0
        if loop["rows_left"] == 0 and bus.bus[0]["next_request_ns"] == FAR and bus.bus[0]["next_reply_ns"] == FAR:
            return 0
        _hear_signals(loop, lanes, bus, signals)
        _act(loop, data, lanes, limits, venue, accounts, bus, out, records, woken)


@compiled
def _act(loop, data, lanes, limits, venue, accounts, bus, out, records, woken):
    """At the target: funding, margin, a record, and the decisions that are due."""
    target = loop["target_ns"]
    if target >= loop["next_funding_ns"]:
        _pay_funding(loop, lanes, venue, bus)
    timer = target >= loop["next_timer_ns"]
    everyone = timer or (loop["moved"] != 0 and limits["decide_on_frame"] != 0)
    # What a lane's results hold must not depend on when other lanes act: margin and records follow the common clock.
    if everyone and loop["margin"] != 0:
        _maintain_margin(loop, data, lanes, limits, venue, accounts, bus)
    recorded = everyone and target >= loop["next_record_ns"]
    for number in range(len(lanes.lane)):
        if _at_its_end(loop, bus, number):
            continue
        if recorded:
            loop["record_count"] = _record_lane(
                data.books, lanes.positions[number], number, target, records, loop["record_count"]
            )
        # An answer to what was sent at this very moment waits: without latency a refusal would be followed by another
        # attempt, and another refusal, for ever.
        answered = woken[number] > 0 and limits["decide_on_fill"] != 0 and lanes.lane[number, 0]["now_ns"] < target
        due = everyone or answered
        if due or next_deadline_ns(lanes.lane[number, 0], limits) <= target:
            _decide_lane(loop, data, lanes, limits, bus, number, out)
        woken[number] = 0
    if recorded:
        loop["next_record_ns"] = target + loop["record_interval_ns"]
    if timer:
        loop["next_timer_ns"] += limits["interval_ns"]
    loop["now_ns"] = target
    loop["target_ns"] = 0
    loop["moved"] = 0
