"""A recording or a live feed as legs: what the venue's public data say becomes the background of the exchange.

Two accounts stand for everybody else: the maker has the recorded levels resting (hlhft.venue.background), the taker
repeats the recorded trades. `feed_legs` turns event rows (hlhft.events) into the legs of a block, all of one action, in
the order of the rows; `price_legs` adds oracle and outside prices. Rows are DEPTH_LEVEL, DEPTH_CLEAR, SNAPSHOT_BEGIN
and _END (a full book, level by level, between them), BBO, TRADE and ASSET_CONTEXT; pictures of part of a book are made
into levels first (hlhft.data.snapshots). The recorded book is followed in a ladder beside the exchange's own:

- A trade takes from its level what it held, at most to nothing; the next row of the level corrects the guess.
- A best bid or offer is the touch: better levels are gone, the level has that size; one that changes nothing says
  nothing.
- Levels that another level crosses are gone until a row names them again.

Rows that find no room among the legs wait for the next block.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hlhft.compiled import compiled
from hlhft.ladder import ASK_NONE, BID_NONE, LADDER_DTYPE, ask_above, bid_below, lots_at, set_ask, set_bid
from hlhft.venue.blocks import ACTION_DTYPE

ACCOUNTS = 2  # the maker, then the taker
NOT_LISTED = -1

# As in hlhft.events and hlhft.venue.blocks; the compiled subset wants plain constants.
_LEVEL, _CLEAR, _BEGIN, _END, _BBO, _TRADE, _CONTEXT = 1, 2, 3, 4, 5, 6, 7
_ORACLE_PRICE, _EXTERNAL_MARK, _BACKGROUND_LEVEL, _BACKGROUND_TRADE = 15, 16, 17, 18
_TICKS_FAR = 2**40  # beyond every price
_PRICE_INTERVAL_NS = 3_000_000_000  # venue reference section 10: oracle updates every 3 s

FOLLOWED_DTYPE = np.dtype(  # per market of the exchange
    [
        ("is_full_book", np.int64),  # 1: between SNAPSHOT_BEGIN and SNAPSHOT_END
        ("full_books", np.int64),  # so far
        ("oracle_ticks", np.int64),  # 0 unknown
        ("mark_ticks", np.int64),  # 0 unknown
        ("next_price_ns", np.int64),
        ("rows", np.int64),
        ("trades", np.int64),
        ("outside", np.int64),  # levels that the exchange's band does not hold: they are left out
    ]
)


class Background(NamedTuple):
    """What is known of the recorded books. M markets of the exchange, S of the feed, W ticks of band."""

    accounts: np.ndarray  # int64[ACCOUNTS]
    places: np.ndarray  # int64[S]: the exchange's market of each of the feed's, NOT_LISTED none
    ladders: np.ndarray  # LADDER_DTYPE[M]
    cells: np.ndarray  # int64[M, 2, W]
    named: np.ndarray  # int32[M, 2, W]: the last full book that named the level
    followed: np.ndarray  # FOLLOWED_DTYPE[M]
    blank: np.ndarray  # ACTION_DTYPE[1]: a leg without contents


def new_background(ladders: np.ndarray, places: Sequence[int], *, first_account: int) -> Background:
    """Empty books with the bands of the exchange's LADDER_DTYPE[M] `ladders`, which share a width."""
    count, width = len(ladders), int(ladders["width"][0])
    background = Background(
        accounts=np.arange(first_account, first_account + ACCOUNTS, dtype=np.int64),
        places=np.array(places, np.int64),
        ladders=np.zeros(count, LADDER_DTYPE),
        cells=np.zeros((count, 2, width), np.int64),
        named=np.zeros((count, 2, width), np.int32),
        followed=np.zeros(count, FOLLOWED_DTYPE),
        blank=np.zeros(1, ACTION_DTYPE),
    )
    for market, ladder in enumerate(ladders):
        background.ladders[market] = (ladder["base_ticks"], width, BID_NONE, ASK_NONE, ASK_NONE, BID_NONE, 0)
    return background


@compiled
def _new_leg(background, legs, at, action, kind, account, market, ts_ns):
    legs[at] = background.blank[0]
    leg = legs[at]
    leg["action"] = action
    leg["arrival_ns"] = ts_ns
    leg["account"] = account
    leg["market"] = market
    leg["kind"] = kind
    return leg


@compiled
def _set_level(background, market, row, ticks, lots, legs, at, action, ts_ns):
    """Gives a level a new total and says so in legs[at], unless the band does not hold it; returns the next row."""
    ladder, cells = background.ladders[market], background.cells[market]
    before = set_bid(ladder, cells, ticks, lots) if row == 0 else set_ask(ladder, cells, ticks, lots)
    if before < 0:
        background.followed[market]["outside"] += 1
        return at
    leg = _new_leg(background, legs, at, action, _BACKGROUND_LEVEL, background.accounts[0], market, ts_ns)
    leg["side"] = 1 if row == 0 else -1
    leg["price_ticks"] = ticks
    leg["size_lots"] = lots
    leg["amount"] = before
    return at + 1


@compiled
def _is_within(ladder, row, ticks):
    """Whether the side's touch is at `ticks` or better."""
    if row == 0:
        return ladder["best_bid_ticks"] != BID_NONE and ladder["best_bid_ticks"] >= ticks
    return ladder["best_ask_ticks"] != ASK_NONE and ladder["best_ask_ticks"] <= ticks


@compiled
def _clear_to(background, market, row, ticks, legs, at, action, ts_ns):
    """Removes the levels from the touch to `ticks` inclusive, while there is room; returns the next row."""
    ladder = background.ladders[market]
    while at < len(legs) and _is_within(ladder, row, ticks):
        touch = ladder["best_bid_ticks"] if row == 0 else ladder["best_ask_ticks"]
        at = _set_level(background, market, row, touch, 0, legs, at, action, ts_ns)
    return at


@compiled
def _apply_level(background, market, row, ticks, lots, legs, at, action, ts_ns):
    """A level has a new total, and what it crosses is gone; returns the next row."""
    if lots > 0:
        at = _clear_to(background, market, 1 - row, ticks, legs, at, action, ts_ns)
    if at < len(legs):
        at = _set_level(background, market, row, ticks, lots, legs, at, action, ts_ns)
    return at


@compiled
def _apply_touch(background, market, row, ticks, lots, legs, at, action, ts_ns):
    """The best price of a side, 0 none; returns the next row."""
    ladder, side = background.ladders[market], 1 if row == 0 else -1
    better = ticks + side if ticks > 0 else (0 if row == 0 else _TICKS_FAR)
    at = _clear_to(background, market, row, better, legs, at, action, ts_ns)
    if ticks > 0 and lots_at(ladder, background.cells[market], row, ticks) != lots:
        at = _apply_level(background, market, row, ticks, lots, legs, at, action, ts_ns)
    return at


@compiled
def _apply_clear(background, market, side, ticks, legs, at, action, ts_ns):
    """Levels from the touch to `ticks` are gone, 0 all, of one side or with 0 of both; returns the next row."""
    if side >= 0:
        at = _clear_to(background, market, 0, ticks, legs, at, action, ts_ns)
    if side <= 0:
        at = _clear_to(background, market, 1, ticks if ticks > 0 else _TICKS_FAR, legs, at, action, ts_ns)
    return at


@compiled
def _end_full_book(background, market, legs, at, action, ts_ns):
    """Removes the levels that the full book did not name; returns the next row."""
    ladder, cells, followed = background.ladders[market], background.cells[market], background.followed[market]
    for row in range(2):
        ticks = ladder["best_bid_ticks"] if row == 0 else ladder["best_ask_ticks"]
        while at < len(legs) and ticks != BID_NONE and ticks != ASK_NONE:
            following = bid_below(ladder, cells, ticks) if row == 0 else ask_above(ladder, cells, ticks)
            if background.named[market, row, ticks - ladder["base_ticks"]] != followed["full_books"]:
                at = _set_level(background, market, row, ticks, 0, legs, at, action, ts_ns)
            ticks = following
    if at < len(legs):
        followed["is_full_book"] = 0
    return at


@compiled
def _apply_trade(background, market, side, ticks, lots, legs, at, action, ts_ns):
    """A trade by an aggressor on `side`; returns the next row."""
    ladder, cells = background.ladders[market], background.cells[market]
    row = 1 if side > 0 else 0
    standing = lots_at(ladder, cells, row, ticks)
    if standing > 0:
        left = max(standing - lots, 0)
        if row == 0:
            set_bid(ladder, cells, ticks, left)
        else:
            set_ask(ladder, cells, ticks, left)
    leg = _new_leg(background, legs, at, action, _BACKGROUND_TRADE, background.accounts[1], market, ts_ns)
    leg["counterparty"] = background.accounts[0]
    leg["side"] = side
    leg["price_ticks"] = ticks
    leg["size_lots"] = lots
    background.followed[market]["trades"] += 1
    return at + 1


@compiled
def _apply_row(background, market, event, legs, at, action, ts_ns):
    """Follows one row; returns the next row of the legs. With the last row of the legs written it was not done, or
    not wholly, and may be applied again."""
    followed = background.followed[market]
    kind, side, ticks, lots = int(event["kind"]), int(event["side"]), event["price_ticks"], event["size_lots"]
    row = 0 if side >= 0 else 1
    if kind == _LEVEL:
        at = _apply_level(background, market, row, ticks, lots, legs, at, action, ts_ns)
        cell = ticks - background.ladders[market]["base_ticks"]
        if followed["is_full_book"] != 0 and 0 <= cell < background.ladders[market]["width"]:
            background.named[market, row, cell] = followed["full_books"]
    elif kind == _BBO:
        at = _apply_touch(background, market, row, ticks, lots, legs, at, action, ts_ns)
    elif kind == _TRADE:
        if ticks > 0 and lots > 0:
            at = _apply_trade(background, market, 1 - 2 * row, ticks, lots, legs, at, action, ts_ns)
    elif kind == _CLEAR:
        at = _apply_clear(background, market, side, ticks, legs, at, action, ts_ns)
    elif kind == _BEGIN:
        followed["is_full_book"] = 1
        followed["full_books"] += 1
    elif kind == _END:
        at = _end_full_book(background, market, legs, at, action, ts_ns)
    elif kind == _CONTEXT:
        followed["mark_ticks"] = ticks
        followed["oracle_ticks"] = event["order_id"]
    return at


@compiled
def feed_legs(background, rows, cursor, legs, at, action, ts_ns):
    """Follows rows[cursor:] up to `ts_ns` inclusive and appends to legs[at:] what they mean.

    `rows` is EVENT_DTYPE, ts_exch_ns never decreasing, `legs` ACTION_DTYPE, `action` the number of the action that all
    of them are. Returns (the next row of the legs, the cursor of the first row not followed).
    """
    while cursor < len(rows) and at < len(legs) - 1 and rows[cursor]["ts_exch_ns"] <= ts_ns:
        event = rows[cursor]
        market = background.places[event["market"]]
        if market >= 0:
            # The last row of the legs shows whether there was room.
            at = _apply_row(background, market, event, legs, at, action, ts_ns)
            if at == len(legs):
                break
            background.followed[market]["rows"] += 1
        cursor += 1
    return at, cursor


@compiled
def price_legs(background, legs, at, action, ts_ns):
    """Appends to legs[at:] the prices that are due, each an action of its own from number `action` on.

    The oracle price is the recorded one, where none is recorded the middle of the recorded book; the price outside the
    recorded mark, else that middle. Nothing is said of a market of which neither is known. Returns the next row.
    """
    for market in range(len(background.followed)):
        followed, ladder = background.followed[market], background.ladders[market]
        if followed["next_price_ns"] > ts_ns or at + 2 > len(legs):
            continue
        bid, ask = ladder["best_bid_ticks"], ladder["best_ask_ticks"]
        middle = (bid + ask) // 2 if bid != BID_NONE and ask != ASK_NONE else 0
        oracle = followed["oracle_ticks"] if followed["oracle_ticks"] > 0 else middle
        outside = followed["mark_ticks"] if followed["mark_ticks"] > 0 else middle
        if oracle <= 0:
            continue
        followed["next_price_ns"] = ts_ns + _PRICE_INTERVAL_NS
        leg = _new_leg(background, legs, at, action, _ORACLE_PRICE, 0, market, ts_ns)
        leg["price_ticks"] = oracle
        leg = _new_leg(background, legs, at + 1, action + 1, _EXTERNAL_MARK, 0, market, ts_ns)
        leg["price_ticks"] = outside
        at += 2
        action += 2
    return at
