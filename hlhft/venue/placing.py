"""Placing an order: why it is refused, what it takes, and what of it rests.

Sources: venue reference sections 4.5 (reduce-only, margin), 8 (priority, self-trade prevention) and 4.4 (texts). Prices
outside the ladder's band can be taken from but not rested at.

The order that is being placed stands in `venue.taker`: `prepare` writes it, `submit` places it. What became of it is in
the engine's `placed_id` and `placed_outcome`.
"""

from __future__ import annotations

from hlhft.compiled import compiled
from hlhft.ladder import ASK_NONE, BID_NONE
from hlhft.venue.admission import margin_refusal
from hlhft.venue.event_log import append_event, tell_order
from hlhft.venue.fees import fee_micro, notional_micro
from hlhft.venue.holding import apply_fill
from hlhft.venue.margin import APART, ISOLATED, available_micro, isolated_transfer_micro
from hlhft.venue.priority import charge_priority, may_have_priority
from hlhft.venue.resting import end_order, end_sibling, resize, rest, trim_reduce_only, unlink
from hlhft.venue.validation import check_order, market_value_max_micro
from hlhft.venue.waiting import arm_children

# Event kinds, flags, refusals and times in force as in hlhft.events, hlhft.venue.refusals and hlhft.venue.blocks; the
# compiled subset wants plain constants.
_REJECTED, _FILLED, _EXPIRED = 17, 18, 20
_VISIBLE, _VISIBLE_MAKER = 1, 9
_ALO, _IOC, _MARKET = 0, 2, 3
_REDUCE_ONLY, _BAD_ALO, _NO_MATCH, _PRICE_BAND, _TOO_LARGE, _INVALID_PRICE = 4, 5, 6, 7, 8, 10
_TOO_MANY, _NO_LIQUIDITY, _SELF_TRADE, _MARGIN_CANCELLED, _PRIORITY_NOT_ALLOWED = 14, 16, 17, 19, 35

_TICKS_FAR = 2**40  # beyond every price: a forced order's limit

ENDED, RESTS, FILLED_WHOLE = 0, 1, 2  # `placed_outcome` of the engine


# Matching.


@compiled
def maker_lost_margin(venue, slot):
    """Whether the maker's order would open or increase and its owner's collateral no longer covers what it has."""
    order = venue.orders[slot - 1]
    account = order["account"]
    # A spot order holds the balance that it needs.
    if venue.rules[0]["enforce_margin"] == 0 or venue.margins[account, order["market"]]["isolated"] == APART:
        return False
    if order["side"] * venue.holdings[account, order["market"]]["position_lots"] + order["remaining_lots"] <= 0:
        return False
    available = available_micro(
        venue.collateral[account], venue.holdings[account], venue.margins[account], venue.resting[account],
        venue.markets, venue.marks,
    )  # fmt: skip
    return available < 0


@compiled
def book_fill(venue, order, ticks, lots, left, maker, ts_ns):
    """Books one side of a trade, the ORDER_DTYPE record's, and says so."""
    engine, account, market = venue.engine[0], order["account"], order["market"]
    holding = venue.holdings[account, market]
    start = holding["position_lots"]
    fee = apply_fill(holding, venue.markets[market], order["side"], ticks, lots, maker)
    engine["fees_micro"] += fee
    builder_fee = 0
    margin = venue.margins[account, market]
    # A spot buy pays no builder: it holds its notional and the taker's fee, and no more (unverified).
    if order["builder"] != 0 and (order["side"] < 0 or margin["isolated"] != APART):
        builder_fee = fee_micro(notional_micro(venue.markets[market], ticks, lots), order["builder_rate_e9"])
        holding["fee_micro"] += builder_fee
        venue.builder_fees[order["builder"] - 1] += builder_fee
    if margin["isolated"] == ISOLATED:
        moved = isolated_transfer_micro(holding, margin, venue.markets[market], start, ticks)
        margin["bucket_micro"] += moved
        venue.collateral[account] -= moved
    append_event(
        venue, _FILLED, account, market, order["client_id"], order["order_id"], order["side"], ticks, lots, left,
        fee + builder_fee, ts_ns,
    )  # fmt: skip
    event = venue.events[engine["event_count"] - 1]
    event["flags"] = _VISIBLE_MAKER if maker != 0 else _VISIBLE
    event["trade_id"] = engine["next_trade_id"]
    event["start_position_lots"] = start
    event["builder_fee_micro"] = builder_fee
    event["twap_id"] = order["twap_id"]


@compiled
def trade(venue, slot, lots, left, ts_ns):
    """Executes `lots` between the maker in `slot` and the taker, at the maker's price; `left` is left of the taker."""
    taker, maker = venue.taker[0], venue.orders[slot - 1]
    market, ticks, owner = maker["market"], maker["price_ticks"], maker["account"]
    order_id, children, sibling_id = maker["order_id"], maker["children"], maker["sibling_id"]
    resize(venue, slot, -lots)
    owner_left = maker["remaining_lots"]
    if maker["side"] > 0:
        book_fill(venue, maker, ticks, lots, owner_left, 1, ts_ns)
        book_fill(venue, taker, ticks, lots, left, 0, ts_ns)
    else:
        book_fill(venue, taker, ticks, lots, left, 0, ts_ns)
        book_fill(venue, maker, ticks, lots, owner_left, 1, ts_ns)
    if owner_left == 0:
        unlink(venue, slot)
    venue.engine[0]["next_trade_id"] += 1
    charge_priority(venue, taker, ticks, lots)
    trim_reduce_only(venue, owner, market, ts_ns)
    trim_reduce_only(venue, taker["account"], market, ts_ns)
    if owner_left == 0 and children != 0:
        arm_children(venue, owner, order_id, ts_ns)
    if sibling_id != 0:
        end_sibling(venue, owner, market, sibling_id, ts_ns)


@compiled
def crosses(ladder, side, ticks):
    """Whether an order at `ticks` would take what rests on the other side."""
    if side > 0:
        return ladder["best_ask_ticks"] <= ticks
    return ladder["best_bid_ticks"] >= ticks


@compiled
def match(venue, lots, ts_ns):
    """Executes `lots` of the taker up to its limit; returns the lots left."""
    taker = venue.taker[0]
    market, side = taker["market"], taker["side"]
    ladder = venue.ladders[market]
    row = 1 if side > 0 else 0
    left = lots
    while left > 0 and crosses(ladder, side, taker["price_ticks"]):
        best = ladder["best_ask_ticks"] if side > 0 else ladder["best_bid_ticks"]
        # The head is read anew each time: a fill may have trimmed or ended any order of the level.
        slot = venue.heads[market, row, best - ladder["base_ticks"]]
        maker = venue.orders[slot - 1]
        if maker["account"] == taker["account"]:
            end_order(venue, slot, _SELF_TRADE, ts_ns)
        elif maker_lost_margin(venue, slot):
            end_order(venue, slot, _MARGIN_CANCELLED, ts_ns)
        else:
            taken = min(left, maker["remaining_lots"])
            left -= taken
            trade(venue, slot, taken, left, ts_ns)
    return left


# Placing.


@compiled
def reference_ticks(venue, market):
    """The price that bands are measured from: the mark, else the middle of the book, else its one side, else 0."""
    ladder = venue.ladders[market]
    bid, ask = ladder["best_bid_ticks"], ladder["best_ask_ticks"]
    if venue.marks[market] > 0:
        return venue.marks[market]
    if bid != BID_NONE and ask != ASK_NONE:
        return (bid + ask) // 2
    if bid != BID_NONE:
        return bid
    return ask if ask != ASK_NONE else 0


@compiled
def _refusal_by_itself(venue, order):
    """Why the order is refused whatever the book and its owner's margin are, 0 when it is not."""
    account, market = order["account"], order["market"]
    code = check_order(
        venue.markets[market], order["side"], order["price_ticks"], order["original_lots"], order["reduce_only"],
        venue.holdings[account, market]["position_lots"], reference_ticks(venue, market), venue.open_orders[account],
        venue.rules[0],
    )  # fmt: skip
    if code != 0:
        return code
    if order["time_in_force"] == _MARKET and venue.rules[0]["enforce_validation"] != 0:
        value = notional_micro(venue.markets[market], order["price_ticks"], order["original_lots"])
        if value > market_value_max_micro(venue.markets[market], venue.rules[0]):
            return _TOO_LARGE
    return 0 if may_have_priority(order) else _PRIORITY_NOT_ALLOWED


@compiled
def _refusal_by_the_rest(venue, order):
    """Why the order is refused as the position, the book and its owner's margin are, 0 when it is not."""
    account, market, side, ticks = order["account"], order["market"], order["side"], order["price_ticks"]
    reduce_only, time_in_force = order["reduce_only"], order["time_in_force"]
    ladder = venue.ladders[market]
    if reduce_only != 0 and side * venue.holdings[account, market]["position_lots"] >= 0:
        return _REDUCE_ONLY
    if time_in_force < _IOC:
        cell = ticks - ladder["base_ticks"]
        if cell < 0 or cell >= ladder["width"]:
            return _PRICE_BAND
        if crosses(ladder, side, ticks):
            if time_in_force == _ALO:
                return _BAD_ALO
            # What does not fill whole ends a maker, whose slot it can take.
        elif venue.engine[0]["free"] == 0:
            return _TOO_MANY
    if venue.rules[0]["enforce_margin"] == 0:
        return 0
    return margin_refusal(venue, account, market, side, ticks, order["original_lots"], reduce_only)


@compiled
def prepare(venue, account, market, client_id, side, ticks, lots, time_in_force, reduce_only):
    """Writes the order that `submit` places next to `venue.taker` and returns the record: what pays a builder or for
    priority, or belongs to others, is the caller's to add.

    `client_id` is the account's own id or 0, `side` +1 or -1, `lots` positive, `time_in_force` of
    hlhft.venue.blocks.TimeInForce.
    """
    order = venue.taker[0]
    order["order_id"] = 0
    order["client_id"] = client_id
    order["account"] = account
    order["market"] = market
    order["side"] = side
    order["price_ticks"] = ticks
    order["original_lots"] = lots
    order["time_in_force"] = time_in_force
    order["reduce_only"] = reduce_only
    order["builder"] = 0
    order["builder_rate_e9"] = 0
    order["priority_rate_e8"] = 0
    order["twap_id"] = 0
    order["sibling_id"] = 0
    return order


@compiled
def submit(venue, ts_ns):
    """The order in `venue.taker` arrives in the block at `ts_ns`; returns the venue's id of it, 0 when its price was no
    price.

    It is refused, or executes, rests, or both; an immediate order's rest expires. One that has an id already has
    waited: it keeps the id, and what it is by itself was checked when it was placed.
    """
    engine, order = venue.engine[0], venue.taker[0]
    code = _refusal_by_itself(venue, order) if order["order_id"] == 0 else 0
    # Rejected orders count too, except those without a price (venue reference section 4.5).
    if order["order_id"] == 0 and code != _INVALID_PRICE:
        order["order_id"] = engine["next_order_id"]
        engine["next_order_id"] += 1
    if code == 0:
        code = _refusal_by_the_rest(venue, order)
    engine["placed_id"] = order["order_id"]
    engine["placed_outcome"] = ENDED
    ladder = venue.ladders[order["market"]]
    if code != 0:
        tell_order(venue, _REJECTED, order, order["original_lots"], code, 0, ts_ns)
        if code == _BAD_ALO:
            # The venue's answer names the touch of this moment, which may be gone when the block ends.
            event = venue.events[engine["event_count"] - 1]
            event["bid_ticks"] = 0 if ladder["best_bid_ticks"] == BID_NONE else ladder["best_bid_ticks"]
            event["ask_ticks"] = 0 if ladder["best_ask_ticks"] == ASK_NONE else ladder["best_ask_ticks"]
        return order["order_id"]
    found_nobody = ladder["best_ask_ticks"] == ASK_NONE if order["side"] > 0 else ladder["best_bid_ticks"] == BID_NONE
    wanted = order["original_lots"]
    if order["reduce_only"] != 0:
        wanted = min(wanted, abs(venue.holdings[order["account"], order["market"]]["position_lots"]))
    left = match(venue, wanted, ts_ns)
    if left < wanted and order["sibling_id"] != 0:
        end_sibling(venue, order["account"], order["market"], order["sibling_id"], ts_ns)
        order["sibling_id"] = 0
    if left == 0:
        engine["placed_outcome"] = FILLED_WHOLE
    elif order["time_in_force"] < _IOC:
        engine["placed_outcome"] = RESTS
        if order["time_in_force"] == _ALO:
            charge_priority(venue, order, order["price_ticks"], left)
        rest(venue, left, ts_ns)
    elif left < wanted:
        tell_order(venue, _EXPIRED, order, left, 0, 0, ts_ns)
    else:
        code = _NO_LIQUIDITY if order["time_in_force"] == _MARKET and found_nobody else _NO_MATCH
        tell_order(venue, _REJECTED, order, left, code, 0, ts_ns)
    return order["order_id"]


@compiled
def place(venue, account, market, client_id, side, ticks, lots, time_in_force, reduce_only, ts_ns):
    """An order without more arrives in the block at `ts_ns`: `prepare` and `submit` say of what and what comes of it;
    returns the venue's id of it, 0 when its price was no price."""
    prepare(venue, account, market, client_id, side, ticks, lots, time_in_force, reduce_only)
    return submit(venue, ts_ns)


@compiled
def place_market(venue, account, market, side, lots, ts_ns):
    """A forced order of the venue itself: takes at any price, without checks; returns the lots left."""
    order = prepare(venue, account, market, 0, side, side * _TICKS_FAR, lots, _MARKET, 0)
    order["order_id"] = venue.engine[0]["next_order_id"]
    venue.engine[0]["next_order_id"] += 1
    return match(venue, lots, ts_ns)
