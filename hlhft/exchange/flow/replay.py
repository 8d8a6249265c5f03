"""Replay: a recorded session as background liquidity and takers.

One account keeps, level by level, what the recording shows; another takes what the recording's takers took. Everybody
else trades with both through ordinary matching: an order of ours stands behind what rested at its price before it, and
in front of what comes later.

What is approximated. A level that grows gets one more order at its end. A level that shrinks loses its youngest lots
first: what was ahead of us stays until it is traded, so we are filled late rather than early. The book follows a block
after the trades: a block takes first from the book as it was. What our own orders took is not missed by the recorded
takers, who come as they came; the background refills what we took with its next change of that level. Where the
recorded book has moved through an order of ours it trades with it.

Everything is arithmetic on the recorded rows: the same recording gives the same legs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hlhft.compiled import compiled
from hlhft.events import EVENT_DTYPE
from hlhft.exchange.flow.legs import add_cancel, add_modify, add_order, add_price, add_take, level_client_id
from hlhft.venue.blocks import ACTION_DTYPE
from hlhft.venue.order_index import find_order

STACK = 8  # orders a level at most; a ninth increase joins the youngest order
DIRTY_MAX = 4_096  # levels that change in a block; what is more waits for the next
LEGS_ROOM = 2_048  # for a block's legs; what finds no room waits for the next

REPLAY_DTYPE = np.dtype(
    [
        ("book", np.int64),  # account of the background
        ("taker", np.int64),  # account of the recorded takers
        ("shift_ns", np.int64),  # exchange time less recorded time
        ("next_book", np.int64),  # first event that the book has not seen
        ("next_trade", np.int64),  # first event whose trade has not been taken
        ("last_ns", np.int64),  # recorded time of the block before
        ("dirty", np.int64),  # levels that wait for their orders
        ("outside", np.int64),  # events whose price the exchange's band does not hold
        ("next_oracle_ns", np.int64),
    ]
)
LEVEL_DTYPE = np.dtype([("market", np.int64), ("row", np.int64), ("cell", np.int64)])

# As in hlhft.events and hlhft.venue.blocks; the compiled subset wants plain constants.
_LEVEL, _CLEAR, _SNAPSHOT_BEGIN, _BBO, _TRADE = 1, 2, 3, 5, 6
_ORACLE_PRICE, _EXTERNAL_MARK = 15, 16
_GTC = 1
_STACK, _DIRTY_MAX = 8, 4_096
_IDS = 2**62  # above every id of the venue
_STACK_BIT = 2**56  # accounts of a replay are below 2^12
_ORACLE_NS = 3_000_000_000


class Replay(NamedTuple):
    """A recording of M markets under way; W is the width of the exchange's band."""

    state: np.ndarray  # REPLAY_DTYPE[1]
    events: np.ndarray  # EVENT_DTYPE, by exchange time
    wanted: np.ndarray  # int64[M, 2, W]: lots that the recording shows
    marked: np.ndarray  # int64[M, 2, W]: 1 where a level waits for its orders
    dirty: np.ndarray  # LEVEL_DTYPE[DIRTY_MAX]
    bounds: np.ndarray  # int64[M, 2, 2]: cells between which a side has lots; first above last: none
    mids: np.ndarray  # int64[M]: the sum of the recorded touches, 0 unknown
    touches: np.ndarray  # int64[M, 2]
    blank: np.ndarray  # ACTION_DTYPE[1]


def new_replay(events: np.ndarray, *, markets: int, width: int, book: int, taker: int, start_ns: int) -> Replay:
    """A replay that begins at `start_ns` with its first event. Raises ValueError without any event.

    `events` is EVENT_DTYPE as a source of hlhft.data gives it; accounts `book` and `taker` are below 2^12.
    """
    if len(events) == 0:
        raise ValueError("the recording holds no event to replay")
    ordered = events[np.argsort(events["ts_exch_ns"], kind="stable")].astype(EVENT_DTYPE)
    state = np.zeros(1, REPLAY_DTYPE)
    state["book"], state["taker"] = book, taker
    state["shift_ns"] = start_ns - ordered["ts_exch_ns"][0]
    state["last_ns"] = ordered["ts_exch_ns"][0] - 1
    bounds = np.zeros((markets, 2, 2), np.int64)
    bounds[:, :, 0], bounds[:, :, 1] = width, -1
    return Replay(
        state=state,
        events=ordered,
        wanted=np.zeros((markets, 2, width), np.int64),
        marked=np.zeros((markets, 2, width), np.int64),
        dirty=np.zeros(DIRTY_MAX, LEVEL_DTYPE),
        bounds=bounds,
        mids=np.zeros(markets, np.int64),
        touches=np.zeros((markets, 2), np.int64),
        blank=np.zeros(1, ACTION_DTYPE),
    )


@compiled
def _want(replay, market, row, cell, lots):
    """Notes what a level should hold."""
    if replay.wanted[market, row, cell] == lots:
        return
    replay.wanted[market, row, cell] = lots
    bounds = replay.bounds[market, row]
    bounds[0] = min(bounds[0], cell)
    bounds[1] = max(bounds[1], cell)
    state = replay.state[0]
    if replay.marked[market, row, cell] == 0 and state["dirty"] < _DIRTY_MAX:
        replay.marked[market, row, cell] = 1
        level = replay.dirty[state["dirty"]]
        level["market"] = market
        level["row"] = row
        level["cell"] = cell
        state["dirty"] += 1


@compiled
def _clear(replay, market, row, first, last):
    bounds = replay.bounds[market, row]
    for cell in range(max(bounds[0], first), min(bounds[1], last) + 1):
        _want(replay, market, row, cell, 0)


@compiled
def _see_touch(replay, event, row, cell, width):
    """A best bid or offer: nothing stands before it."""
    market = event["market"]
    bounds = replay.bounds[market, row]
    if row == 0:
        _clear(replay, market, row, cell + 1, width)
        bounds[1] = min(bounds[1], cell)
    else:
        _clear(replay, market, row, 0, cell - 1)
        bounds[0] = max(bounds[0], cell)
    _want(replay, market, row, cell, event["size_lots"])
    replay.touches[market, row] = event["price_ticks"]
    if replay.touches[market, 0] > 0 and replay.touches[market, 1] > 0:
        replay.mids[market] = replay.touches[market, 0] + replay.touches[market, 1]


@compiled
def _see(venue, replay, event):
    """What one event says of the book."""
    kind = event["kind"]
    market = event["market"]
    width = replay.wanted.shape[2]
    row = 0 if event["side"] > 0 else 1
    if kind == _SNAPSHOT_BEGIN or (kind == _CLEAR and event["price_ticks"] == 0):
        if event["side"] >= 0:
            _clear(replay, market, 0, 0, width)
        if event["side"] <= 0:
            _clear(replay, market, 1, 0, width)
        return
    if kind != _LEVEL and kind != _CLEAR and kind != _BBO:
        return
    cell = event["price_ticks"] - venue.ladders[market]["base_ticks"]
    if cell < 0 or cell >= width:
        replay.state[0]["outside"] += 1
    elif kind == _LEVEL:
        _want(replay, market, row, cell, event["size_lots"])
    elif kind == _BBO:
        _see_touch(replay, event, row, cell, width)
    elif row == 0:
        _clear(replay, market, 0, cell, width)
    else:
        _clear(replay, market, 1, 0, cell)


@compiled
def _youngest(venue, account, market, base_id, before_id):
    """The slot of a level's youngest order with a venue's id below `before_id`, 0 none."""
    found, found_id = 0, 0
    for index in range(_STACK):
        slot = find_order(venue, account, market, base_id + index * _STACK_BIT, True)
        if slot != 0:
            order_id = venue.orders[slot - 1]["order_id"]
            if found_id < order_id < before_id:
                found, found_id = slot, order_id
    return found


@compiled
def _grow(venue, replay, legs, row, account, market, base_id, side, ticks, lots, ts_ns):
    """One more order at the end of a level, or a larger youngest one where the level holds STACK; the next row."""
    for index in range(_STACK):
        own = base_id + index * _STACK_BIT
        if find_order(venue, account, market, own, True) == 0:
            return add_order(replay, legs, row, account, market, own, side, ticks, lots, _GTC, ts_ns)
    order = venue.orders[_youngest(venue, account, market, base_id, _IDS) - 1]
    own, lots = order["client_id"], order["remaining_lots"] + lots
    return add_modify(replay, legs, row, account, market, own, own, side, ticks, lots, ts_ns)


@compiled
def _settle_level(venue, replay, legs, row, level, ts_ns):
    """Legs that bring a level to what it should hold; returns the next row."""
    market, side = level["market"], 1 if level["row"] == 0 else -1
    account = replay.state[0]["book"]
    ticks = venue.ladders[market]["base_ticks"] + level["cell"]
    base_id = level_client_id(account, market, side, ticks)
    excess = -replay.wanted[market, level["row"], level["cell"]]
    for index in range(_STACK):
        slot = find_order(venue, account, market, base_id + index * _STACK_BIT, True)
        if slot != 0:
            excess += venue.orders[slot - 1]["remaining_lots"]
    if excess < 0:
        return _grow(venue, replay, legs, row, account, market, base_id, side, ticks, -excess, ts_ns)
    before_id = _IDS
    while excess > 0:
        order = venue.orders[_youngest(venue, account, market, base_id, before_id) - 1]
        own, lots = order["client_id"], order["remaining_lots"]
        before_id = order["order_id"]
        if lots > excess:
            return add_modify(replay, legs, row, account, market, own, own, side, ticks, lots - excess, ts_ns)
        row = add_cancel(replay, legs, row, account, market, own, ts_ns)
        excess -= lots
    return row


@compiled
def _book_legs(venue, replay, legs, row, ts_ns):
    """Settles the levels that wait, while there is room for their legs; returns the next row."""
    state = replay.state[0]
    kept = 0
    for place in range(state["dirty"]):
        level = replay.dirty[place]
        if row + _STACK <= len(legs):
            row = _settle_level(venue, replay, legs, row, level, ts_ns)
            replay.marked[level["market"], level["row"], level["cell"]] = 0
        else:
            replay.dirty[kept] = replay.dirty[place]
            kept += 1
    state["dirty"] = kept
    return row


@compiled
def _trade_legs(replay, legs, row, until_ns, ts_ns):
    state = replay.state[0]
    while state["next_trade"] < len(replay.events) and row < len(legs):
        event = replay.events[state["next_trade"]]
        if event["ts_exch_ns"] > until_ns:
            break
        if event["kind"] == _TRADE and event["side"] != 0:
            row = add_take(
                replay, legs, row, state["taker"], event["market"], event["side"], event["price_ticks"],
                event["size_lots"], ts_ns,
            )  # fmt: skip
        state["next_trade"] += 1
    return row


@compiled
def replay_legs(venue, replay, legs, first, ts_ns):
    """Appends to legs[first:] what the recording did up to the block at `ts_ns`; returns how many legs are there then.

    `venue` is a hlhft.venue.state.Exchange of the replay's width, `legs` ACTION_DTYPE with room for `first` + 2 M
    and LEGS_ROOM more. `ts_ns` never decreases.
    """
    state = replay.state[0]
    row = first
    now_ns = ts_ns - state["shift_ns"]
    while state["next_book"] < len(replay.events) and state["dirty"] < _DIRTY_MAX // 2:
        event = replay.events[state["next_book"]]
        if event["ts_exch_ns"] > state["last_ns"]:
            break
        _see(venue, replay, event)
        state["next_book"] += 1
    if ts_ns >= state["next_oracle_ns"]:
        state["next_oracle_ns"] = ts_ns + _ORACLE_NS
        for market in range(len(replay.mids)):
            if replay.mids[market] > 0:
                row = add_price(replay, legs, row, _ORACLE_PRICE, market, replay.mids[market] // 2, ts_ns)
                row = add_price(replay, legs, row, _EXTERNAL_MARK, market, replay.mids[market] // 2, ts_ns)
        if row == first:
            state["next_oracle_ns"] = ts_ns
    row = _book_legs(venue, replay, legs, row, ts_ns)
    row = _trade_legs(replay, legs, row, now_ns, ts_ns)
    state["last_ns"] = now_ns
    return row


@compiled
def is_over(replay):
    """Whether every event has been replayed."""
    return replay.state[0]["next_book"] == len(replay.events) and replay.state[0]["dirty"] == 0
