"""The order-level matching engine: every order of every account, by price, then time.

Sources: venue reference sections 4.2 (modify), 4.5 (reduce-only, margin) and 8 (priority, self-trade prevention, block
order). What it works on is `hlhft.venue.state.Exchange`. Prices outside the ladder's band can be taken from but not
rested at.

Invariants, held by tests: no crossed book; the oldest order of a level is matched first; what one side gains the other
loses; the reduce-only orders of an account together never exceed the position that they close.

Every outcome is appended to `venue.events` in the order of execution, a trade as two fills, the buyer's first. A
reduce-only order that is trimmed is acknowledged again with its new size. The caller drains the events after each call
by setting `event_count` to 0; `events_for` slots of capacity never overflow within one call.
"""

from __future__ import annotations

from hlhft.compiled import compiled
from hlhft.ladder import ASK_NONE, BID_NONE, lots_at, set_ask, set_bid
from hlhft.venue.admission import margin_refusal
from hlhft.venue.blocks import sort_actions
from hlhft.venue.holding import apply_fill
from hlhft.venue.margin import available_micro, isolated_transfer_micro
from hlhft.venue.order_index import find_order, index_order, unindex_order
from hlhft.venue.validation import check_order

# Event kinds, flags, refusals, times in force and action kinds as in hlhft.events, hlhft.venue.refusals and
# hlhft.venue.blocks; the compiled subset wants plain constants.
_ACKNOWLEDGED, _REJECTED, _FILLED, _CANCELLED, _EXPIRED, _CANCEL_REJECTED = 16, 17, 18, 19, 20, 22
_VISIBLE, _VISIBLE_MAKER = 1, 9
_ALO, _IOC = 0, 2
_PLACE, _CANCEL = 0, 1
_REDUCE_ONLY, _BAD_ALO, _NO_MATCH, _PRICE_BAND, _INVALID_PRICE = 4, 5, 6, 7, 10
_NEVER_PLACED, _CANNOT_MODIFY, _ACTION_EXPIRED, _TOO_MANY = 11, 12, 13, 14
_SELF_TRADE, _REDUCE_ONLY_CANCELLED, _MARGIN_CANCELLED, _REQUESTED = 17, 18, 19, 21

_ISOLATED, _APART = 1, 2  # `isolated` of a MARGIN_DTYPE record
_TICKS_FAR = 2**40  # beyond every price: a market order's limit


@compiled
def _event(venue, kind, account, market, client_id, order_id, side, ticks, lots, aux0, ts_ns):
    engine = venue.engine[0]
    if engine["event_count"] >= len(venue.events):
        engine["dropped"] += 1
        engine["event_count"] -= 1
    event = venue.events[engine["event_count"]]
    engine["event_count"] += 1
    event["account"] = account
    event["ts_exch_ns"] = ts_ns
    event["ts_local_ns"] = 0
    event["price_ticks"] = ticks
    event["size_lots"] = lots
    event["order_id"] = client_id
    event["aux0"] = aux0
    event["aux1"] = 0
    event["kind"] = kind
    event["flags"] = _VISIBLE
    event["market"] = market
    event["side"] = side
    event["venue_order_id"] = order_id
    event["trade_id"] = 0
    event["start_position_lots"] = 0
    event["leg"] = engine["leg"]
    event["builder_fee_micro"] = 0


@compiled
def _fill(venue, account, market, client_id, order_id, side, ticks, lots, left, maker, ts_ns):
    """Books one side of a trade and says so."""
    holding = venue.holdings[account, market]
    start = holding["position_lots"]
    fee = apply_fill(holding, venue.markets[market], side, ticks, lots, maker)
    margin = venue.margins[account, market]
    if margin["isolated"] == _ISOLATED:
        moved = isolated_transfer_micro(holding, margin, venue.markets[market], start, ticks)
        margin["bucket_micro"] += moved
        venue.collateral[account] -= moved
    _event(venue, _FILLED, account, market, client_id, order_id, side, ticks, lots, left, ts_ns)
    event = venue.events[venue.engine[0]["event_count"] - 1]
    event["aux1"] = fee
    event["flags"] = _VISIBLE_MAKER if maker != 0 else _VISIBLE
    event["trade_id"] = venue.engine[0]["next_trade_id"]
    event["start_position_lots"] = start


# Resting, shrinking, ending.


@compiled
def _resize(venue, slot, change):
    """Adds `change` lots to a resting order and to every total that counts it."""
    order = venue.orders[slot - 1]
    ladder = venue.ladders[order["market"]]
    cells = venue.cells[order["market"]]
    resting = venue.resting[order["account"], order["market"]]
    order["remaining_lots"] += change
    if order["side"] > 0:
        resting["buy_lots"] += change
        resting["buy_quanta"] += change * order["price_ticks"]
        set_bid(ladder, cells, order["price_ticks"], lots_at(ladder, cells, 0, order["price_ticks"]) + change)
    else:
        resting["sell_lots"] += change
        set_ask(ladder, cells, order["price_ticks"], lots_at(ladder, cells, 1, order["price_ticks"]) + change)
    if order["reduce_only"] != 0:
        resting["reduce_only_lots"] += change


@compiled
def _unlink(venue, slot):
    """Takes an order out of its level, its owner's lists and the slab."""
    _resize(venue, slot, -venue.orders[slot - 1]["remaining_lots"])
    unindex_order(venue, slot)
    order = venue.orders[slot - 1]
    market = order["market"]
    row = 0 if order["side"] > 0 else 1
    cell = order["price_ticks"] - venue.ladders[market]["base_ticks"]
    if order["previous"] != 0:
        venue.orders[order["previous"] - 1]["next"] = order["next"]
    else:
        venue.heads[market, row, cell] = order["next"]
    if order["next"] != 0:
        venue.orders[order["next"] - 1]["previous"] = order["previous"]
    else:
        venue.tails[market, row, cell] = order["previous"]
    if order["reduce_only"] != 0:
        _unlink_reduce_only(venue, slot)
    venue.open_orders[order["account"]] -= 1
    venue.engine[0]["resting"] -= 1
    order["order_id"] = 0
    order["next"] = venue.engine[0]["free"]
    venue.engine[0]["free"] = slot


@compiled
def _unlink_reduce_only(venue, slot):
    order = venue.orders[slot - 1]
    resting = venue.resting[order["account"], order["market"]]
    if order["reduce_previous"] != 0:
        venue.orders[order["reduce_previous"] - 1]["reduce_next"] = order["reduce_next"]
    else:
        resting["reduce_head"] = order["reduce_next"]
    if order["reduce_next"] != 0:
        venue.orders[order["reduce_next"] - 1]["reduce_previous"] = order["reduce_previous"]
    else:
        resting["reduce_tail"] = order["reduce_previous"]


@compiled
def _end(venue, slot, cause, ts_ns):
    """Cancels a resting order for a cause."""
    order = venue.orders[slot - 1]
    _event(
        venue, _CANCELLED, order["account"], order["market"], order["client_id"], order["order_id"], order["side"],
        order["price_ticks"], order["remaining_lots"], cause, ts_ns,
    )  # fmt: skip
    _unlink(venue, slot)


@compiled
def _acknowledge(venue, slot, ts_ns):
    order = venue.orders[slot - 1]
    _event(
        venue, _ACKNOWLEDGED, order["account"], order["market"], order["client_id"], order["order_id"], order["side"],
        order["price_ticks"], order["remaining_lots"], order["order_id"], ts_ns,
    )  # fmt: skip


@compiled
def _trim_reduce_only(venue, account, market, ts_ns):
    """Shrinks the account's reduce-only orders, the oldest first, to the position that they close."""
    resting = venue.resting[account, market]
    slot = resting["reduce_head"]
    while slot != 0:
        order = venue.orders[slot - 1]
        closable = max(-order["side"] * venue.holdings[account, market]["position_lots"], 0)
        excess = resting["reduce_only_lots"] - closable
        if excess <= 0:
            return
        following = order["reduce_next"]
        if excess < order["remaining_lots"]:
            _resize(venue, slot, -excess)
            _acknowledge(venue, slot, ts_ns)
            return
        _end(venue, slot, _REDUCE_ONLY_CANCELLED, ts_ns)
        slot = following


@compiled
def _rest(venue, account, market, client_id, order_id, side, ticks, lots, original_lots, reduce_only, ts_ns):
    """Puts an order at the end of its level. A slot is free and the price inside the band."""
    slot = venue.engine[0]["free"]
    order = venue.orders[slot - 1]
    venue.engine[0]["free"] = order["next"]
    venue.engine[0]["resting"] += 1
    venue.open_orders[account] += 1
    row = 0 if side > 0 else 1
    cell = ticks - venue.ladders[market]["base_ticks"]
    tail = venue.tails[market, row, cell]
    order["order_id"] = order_id
    order["client_id"] = client_id
    order["account"] = account
    order["market"] = market
    order["side"] = side
    order["price_ticks"] = ticks
    order["remaining_lots"] = 0
    order["original_lots"] = original_lots
    order["placed_ns"] = ts_ns
    order["reduce_only"] = reduce_only
    order["next"] = 0
    order["previous"] = tail
    if tail != 0:
        venue.orders[tail - 1]["next"] = slot
    else:
        venue.heads[market, row, cell] = slot
    venue.tails[market, row, cell] = slot
    if reduce_only != 0:
        resting = venue.resting[account, market]
        order["reduce_next"] = 0
        order["reduce_previous"] = resting["reduce_tail"]
        if resting["reduce_tail"] != 0:
            venue.orders[resting["reduce_tail"] - 1]["reduce_next"] = slot
        else:
            resting["reduce_head"] = slot
        resting["reduce_tail"] = slot
    index_order(venue, slot)
    _resize(venue, slot, lots)
    _acknowledge(venue, slot, ts_ns)
    if reduce_only != 0:
        _trim_reduce_only(venue, account, market, ts_ns)


# Matching.


@compiled
def _maker_lost_margin(venue, slot):
    """Whether the maker's order would open or increase and its owner's collateral no longer covers what it has."""
    order = venue.orders[slot - 1]
    account = order["account"]
    # A spot order holds the balance that it needs.
    if venue.rules[0]["enforce_margin"] == 0 or venue.margins[account, order["market"]]["isolated"] == _APART:
        return False
    if order["side"] * venue.holdings[account, order["market"]]["position_lots"] + order["remaining_lots"] <= 0:
        return False
    available = available_micro(
        venue.collateral[account], venue.holdings[account], venue.margins[account], venue.resting[account],
        venue.markets, venue.marks,
    )  # fmt: skip
    return available < 0


@compiled
def _trade(venue, slot, account, client_id, order_id, lots, left, ts_ns):
    """Executes `lots` between the maker in `slot` and the taker, at the maker's price."""
    maker = venue.orders[slot - 1]
    market, ticks, side = maker["market"], maker["price_ticks"], maker["side"]
    owner, owner_client_id, owner_order_id = maker["account"], maker["client_id"], maker["order_id"]
    owner_left = maker["remaining_lots"] - lots
    _resize(venue, slot, -lots)
    if owner_left == 0:
        _unlink(venue, slot)
    if side > 0:
        _fill(venue, owner, market, owner_client_id, owner_order_id, 1, ticks, lots, owner_left, 1, ts_ns)
        _fill(venue, account, market, client_id, order_id, -1, ticks, lots, left, 0, ts_ns)
    else:
        _fill(venue, account, market, client_id, order_id, 1, ticks, lots, left, 0, ts_ns)
        _fill(venue, owner, market, owner_client_id, owner_order_id, -1, ticks, lots, owner_left, 1, ts_ns)
    venue.engine[0]["next_trade_id"] += 1
    _trim_reduce_only(venue, owner, market, ts_ns)
    _trim_reduce_only(venue, account, market, ts_ns)


@compiled
def _crosses(ladder, side, ticks):
    if side > 0:
        return ladder["best_ask_ticks"] <= ticks
    return ladder["best_bid_ticks"] >= ticks


@compiled
def _match(venue, account, market, client_id, order_id, side, ticks, lots, ts_ns):
    """Executes an aggressor up to its limit; returns the lots left."""
    ladder = venue.ladders[market]
    row = 1 if side > 0 else 0
    left = lots
    while left > 0 and _crosses(ladder, side, ticks):
        best = ladder["best_ask_ticks"] if side > 0 else ladder["best_bid_ticks"]
        # The head is read anew each time: a fill may have trimmed or ended any order of the level.
        slot = venue.heads[market, row, best - ladder["base_ticks"]]
        maker = venue.orders[slot - 1]
        if maker["account"] == account:
            _end(venue, slot, _SELF_TRADE, ts_ns)
        elif _maker_lost_margin(venue, slot):
            _end(venue, slot, _MARGIN_CANCELLED, ts_ns)
        else:
            taken = min(left, maker["remaining_lots"])
            left -= taken
            _trade(venue, slot, account, client_id, order_id, taken, left, ts_ns)
    return left


# What clients ask for.


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
def _refusal(venue, account, market, side, ticks, lots, time_in_force, reduce_only):
    """Why the order is refused before it is matched, 0 when it is not."""
    rules = venue.rules[0]
    ladder = venue.ladders[market]
    position = venue.holdings[account, market]["position_lots"]
    code = check_order(
        venue.markets[market], side, ticks, lots, reduce_only, position, reference_ticks(venue, market),
        venue.open_orders[account], rules,
    )  # fmt: skip
    if code != 0:
        return code
    if reduce_only != 0 and side * position >= 0:
        return _REDUCE_ONLY
    if time_in_force != _IOC:
        cell = ticks - ladder["base_ticks"]
        if cell < 0 or cell >= ladder["width"]:
            return _PRICE_BAND
        if _crosses(ladder, side, ticks):
            if time_in_force == _ALO:
                return _BAD_ALO
            # What does not fill whole ends a maker, whose slot it can take.
        elif venue.engine[0]["free"] == 0:
            return _TOO_MANY
    if rules["enforce_margin"] == 0:
        return 0
    return margin_refusal(venue, account, market, side, ticks, lots, reduce_only)


@compiled
def place(venue, account, market, client_id, side, ticks, lots, time_in_force, reduce_only, ts_ns):
    """An order arrives in the block at `ts_ns`; returns the venue's id of it, 0 when its price was no price.

    It is refused, or executes, rests, or both; an IOC's rest expires. `client_id` is the account's own id or 0, `side`
    +1 or -1, `lots` positive, `time_in_force` of hlhft.venue.blocks.TimeInForce.
    """
    code = _refusal(venue, account, market, side, ticks, lots, time_in_force, reduce_only)
    order_id = venue.engine[0]["next_order_id"]
    if code == _INVALID_PRICE:
        # Rejected orders count too, except this one (venue reference section 4.5).
        order_id = 0
    else:
        venue.engine[0]["next_order_id"] += 1
    if code != 0:
        _event(venue, _REJECTED, account, market, client_id, order_id, side, ticks, lots, code, ts_ns)
        return order_id
    wanted = lots
    if reduce_only != 0:
        wanted = min(lots, abs(venue.holdings[account, market]["position_lots"]))
    left = _match(venue, account, market, client_id, order_id, side, ticks, wanted, ts_ns)
    if left == 0:
        return order_id
    if time_in_force == _IOC:
        kind = _REJECTED if left == wanted else _EXPIRED
        code = _NO_MATCH if left == wanted else 0
        _event(venue, kind, account, market, client_id, order_id, side, ticks, left, code, ts_ns)
        return order_id
    _rest(venue, account, market, client_id, order_id, side, ticks, left, lots, reduce_only, ts_ns)
    return order_id


@compiled
def place_market(venue, account, market, side, lots, ts_ns):
    """A forced order of the venue itself: takes at any price, without checks; returns the lots left."""
    order_id = venue.engine[0]["next_order_id"]
    venue.engine[0]["next_order_id"] += 1
    return _match(venue, account, market, 0, order_id, side, side * _TICKS_FAR, lots, ts_ns)


@compiled
def cancel(venue, account, market, target_id, is_client_id, ts_ns):
    """A cancel arrives: the account's order leaves the book, or the cancel is rejected; returns whether it left."""
    slot = find_order(venue, account, market, target_id, is_client_id)
    if slot == 0:
        client_id = target_id if is_client_id else 0
        order_id = 0 if is_client_id else target_id
        _event(venue, _CANCEL_REJECTED, account, market, client_id, order_id, 0, 0, 0, _NEVER_PLACED, ts_ns)
        return False
    _end(venue, slot, _REQUESTED, ts_ns)
    return True


@compiled
def cancel_all(venue, account, market, cause, ts_ns):
    """Ends every resting order of the account, in the market or with -1 in all, oldest slot first; returns how many."""
    count = 0
    for slot in range(1, len(venue.orders) + 1):
        order = venue.orders[slot - 1]
        if order["order_id"] != 0 and order["account"] == account and (market < 0 or order["market"] == market):
            _end(venue, slot, cause, ts_ns)
            count += 1
    return count


@compiled
def modify(venue, leg, ts_ns):
    """A modify arrives: the old order is cancelled, the new one placed behind everyone, under a new id, also when only
    its size changes; returns the venue's new id, 0 when nothing was placed.

    Unless the ACTION_DTYPE leg says `always_place`, an order that is gone, and a new order that is IOC, refuse the
    whole modify, and the new order is post-only. The cancel stands even when the new order is then refused.
    """
    account, market, time_in_force = leg["account"], leg["market"], leg["time_in_force"]
    slot = find_order(venue, account, market, leg["target_id"], leg["target_is_client_id"] != 0)
    if leg["always_place"] == 0:
        if slot == 0 or time_in_force == _IOC:
            _event(
                venue, _REJECTED, account, market, leg["client_id"], 0, leg["side"], leg["price_ticks"],
                leg["size_lots"], _CANNOT_MODIFY, ts_ns,
            )  # fmt: skip
            return 0
        time_in_force = _ALO
    if slot != 0:
        _end(venue, slot, _REQUESTED, ts_ns)
    return place(
        venue, account, market, leg["client_id"], leg["side"], leg["price_ticks"], leg["size_lots"], time_in_force,
        leg["reduce_only"], ts_ns,
    )  # fmt: skip


@compiled
def _refuse_expired(venue, leg, ts_ns):
    kind = _CANCEL_REJECTED if leg["kind"] == _CANCEL else _REJECTED
    client_id = leg["client_id"]
    order_id = 0
    if leg["kind"] == _CANCEL:
        client_id = leg["target_id"] if leg["target_is_client_id"] != 0 else 0
        order_id = 0 if leg["target_is_client_id"] != 0 else leg["target_id"]
    _event(
        venue, kind, leg["account"], leg["market"], client_id, order_id, leg["side"], leg["price_ticks"],
        leg["size_lots"], _ACTION_EXPIRED, ts_ns,
    )  # fmt: skip


@compiled
def apply_action(venue, leg, ts_ns):
    """Executes one ACTION_DTYPE leg in the block at `ts_ns`, unless its action has expired by then."""
    if leg["expires_ns"] != 0 and ts_ns > leg["expires_ns"]:
        _refuse_expired(venue, leg, ts_ns)
    elif leg["kind"] == _PLACE:
        place(
            venue, leg["account"], leg["market"], leg["client_id"], leg["side"], leg["price_ticks"], leg["size_lots"],
            leg["time_in_force"], leg["reduce_only"], ts_ns,
        )  # fmt: skip
    elif leg["kind"] == _CANCEL:
        cancel(venue, leg["account"], leg["market"], leg["target_id"], leg["target_is_client_id"] != 0, ts_ns)
    else:
        modify(venue, leg, ts_ns)


@compiled
def execute_block(venue, actions, count, order_scratch, ts_ns):
    """Executes actions[:count] as one block at `ts_ns`: by class, then by arrival; `order_scratch` is int64[>= count].

    The events of a whole block must fit: the caller sizes `venue.events` for it, or `dropped` tells.
    """
    sort_actions(actions, count, order_scratch)
    for row in range(count):
        venue.engine[0]["leg"] = order_scratch[row]
        apply_action(venue, actions[order_scratch[row]], ts_ns)
    venue.engine[0]["leg"] = -1
