"""Take-profit and stop-loss orders: how one comes to wait, and what becomes of it when the mark price gets there.

Source: venue reference sections 4.1 (groups, 10 % slippage, the mark), 4.4 (texts) and 8 (evaluated after the actions
of a block). A triggered order keeps its id. A market one executes immediately within a rule's distance of its trigger
price; a limit one is good till cancelled. Both are judged by margin and position only then.

Three ways of belonging together:

- alone: waits for the mark at once;
- with a parent, the order before it in its action: waits until the parent is filled whole, and ends with a parent that
  ends otherwise; when one of a pair is executed, even in part, the other ends;
- with the position: closes all of it whatever it has become, at most one of a kind in a market, and ends with it.
"""

from __future__ import annotations

from hlhft.compiled import compiled
from hlhft.units import TICKS_MAX
from hlhft.venue.event_log import append_event, tell_order
from hlhft.venue.order_index import find_order
from hlhft.venue.placing import prepare, submit
from hlhft.venue.validation import check_order, is_on_grid
from hlhft.venue.waiting import end_waiting, remove_waiting, take_waiting_slot, tell_waiting

# Event kinds, refusals, outcomes and groupings as in hlhft.events, hlhft.venue.refusals, hlhft.venue.placing and
# hlhft.venue.blocks; the compiled subset wants plain constants.
_REJECTED, _CANCELLED, _TRIGGERED = 17, 19, 24
_TICK, _REDUCE_ONLY, _INVALID_PRICE, _TOO_MANY_OPEN_ORDERS = 1, 4, 10, 14
_REDUCE_ONLY_CANCELLED, _BAD_TRIGGER_PRICE, _TRIGGER_COUNT, _PARENT_CANCELLED = 18, 24, 25, 27
_TOO_MANY_TRIGGERS, _PRIORITY_NOT_ALLOWED = 34, 35
_ENDED, _RESTS = 0, 1
_NORMAL_TPSL, _POSITION_TPSL = 1, 2
_TAKE_PROFIT, _STOP_LOSS = 1, 2
_GTC, _MARKET = 1, 3
_E6 = 1_000_000


@compiled
def is_reached(side, trigger_kind, trigger_ticks, mark_ticks):
    """Whether a trigger has been reached by the mark; never while there is none.

    Taking the profit of a long, which sells, waits for the mark to rise, and its stop for the mark to fall; of a short,
    the other way round.
    """
    if mark_ticks <= 0:
        return False
    if (side < 0) == (trigger_kind == _TAKE_PROFIT):
        return mark_ticks >= trigger_ticks
    return mark_ticks <= trigger_ticks


@compiled
def worst_ticks(side, trigger_ticks, slippage_e6):
    """The last price at which a triggered market order may execute."""
    distance = trigger_ticks * slippage_e6 // _E6
    return trigger_ticks + distance if side > 0 else max(trigger_ticks - distance, 1)


@compiled
def _sibling(venue, leg):
    """Slot of the order that waits with the leg's: of the same parent, or of the same position; 0 none, -1 when there
    is no room beside it."""
    slot = venue.owned[leg["account"]]["waiting_tail"]
    found = 0
    while slot != 0:
        order = venue.waiting[slot - 1]
        together = order["grouping"] == leg["grouping"] and order["market"] == leg["market"]
        if together and leg["grouping"] == _NORMAL_TPSL:
            together = order["parent_id"] == venue.engine[0]["placed_id"]
        if together:
            if found != 0 or order["trigger_kind"] == leg["trigger_kind"]:
                return -1
            found = slot
        slot = order["owner_previous"]
    return found


@compiled
def _refusal_of_group(venue, leg, ts_ns):
    """Why the leg does not fit what it belongs to, 0 when it does."""
    if leg["grouping"] != _NORMAL_TPSL and leg["grouping"] != _POSITION_TPSL:
        return 0
    if leg["reduce_only"] == 0 or _sibling(venue, leg) < 0:
        return _TRIGGER_COUNT
    if leg["grouping"] == _POSITION_TPSL:
        position = venue.holdings[leg["account"], leg["market"]]["position_lots"]
        return _REDUCE_ONLY if leg["side"] * position >= 0 else 0
    engine, parent = venue.engine[0], venue.taker[0]
    if engine["placed_action"] != leg["action"] or engine["placed_ns"] != ts_ns:
        return _TRIGGER_COUNT
    if parent["account"] != leg["account"] or parent["market"] != leg["market"] or parent["side"] == leg["side"]:
        return _TRIGGER_COUNT
    return _PARENT_CANCELLED if engine["placed_outcome"] == _ENDED else 0


@compiled
def _refusal_by_itself(venue, leg, lots):
    """Why the order is no order, whatever it belongs to, 0 when it is one. Its band is measured from its trigger."""
    rules, market, account = venue.rules[0], venue.markets[leg["market"]], leg["account"]
    ticks = leg["trigger_ticks"]
    is_kind = leg["trigger_kind"] == _TAKE_PROFIT or leg["trigger_kind"] == _STOP_LOSS
    if ticks <= 0 or ticks > TICKS_MAX or not is_kind:
        return _BAD_TRIGGER_PRICE
    if leg["priority_rate_e8"] != 0:
        return _PRIORITY_NOT_ALLOWED
    position = venue.holdings[account, leg["market"]]["position_lots"]
    code = check_order(
        market, leg["side"], leg["price_ticks"], lots, leg["reduce_only"], position, ticks, venue.open_orders[account],
        rules,
    )  # fmt: skip
    if code != 0 or rules["enforce_validation"] == 0:
        return code
    if not is_on_grid(market, ticks):
        return _TICK
    # From this many open orders on trigger orders are refused, as reduce-only ones (venue reference section 7).
    return _TOO_MANY_OPEN_ORDERS if venue.open_orders[account] >= rules["open_orders_reduce_only_max"] else 0


@compiled
def _waits_for_parent(venue, leg):
    return leg["grouping"] == _NORMAL_TPSL and venue.engine[0]["placed_outcome"] == _RESTS


@compiled
def _refusal(venue, leg, lots, ts_ns):
    code = _refusal_of_group(venue, leg, ts_ns)
    if code == 0:
        code = _refusal_by_itself(venue, leg, lots)
    if code != 0:
        return code
    mark = venue.marks[leg["market"]]
    if not _waits_for_parent(venue, leg) and is_reached(leg["side"], leg["trigger_kind"], leg["trigger_ticks"], mark):
        return _BAD_TRIGGER_PRICE
    return _TOO_MANY_TRIGGERS if venue.engine[0]["waiting_free"] == 0 else 0


@compiled
def place_trigger(venue, leg, ts_ns):
    """A PLACE_TRIGGER leg arrives in the block at `ts_ns`: it waits or is rejected, with an id of the venue, which is
    returned, unless its price is none: then with 0.

    An order of NORMAL_TPSL comes right after its parent in the same action.
    """
    engine, account, market = venue.engine[0], leg["account"], leg["market"]
    lots = leg["size_lots"]
    if leg["grouping"] == _POSITION_TPSL:
        lots = abs(venue.holdings[account, market]["position_lots"])
    code = _refusal(venue, leg, lots, ts_ns)
    order_id = 0
    if code != _INVALID_PRICE:
        order_id = engine["next_order_id"]
        engine["next_order_id"] += 1
    if code != 0:
        append_event(
            venue, _REJECTED, account, market, leg["client_id"], order_id, leg["side"], leg["price_ticks"], lots, code,
            0, ts_ns,
        )  # fmt: skip
        return order_id
    sibling = _sibling(venue, leg) if leg["grouping"] == _NORMAL_TPSL else 0
    slot = take_waiting_slot(venue, account)
    order = venue.waiting[slot - 1]
    order["order_id"] = order_id
    order["client_id"] = leg["client_id"]
    order["market"] = market
    order["side"] = leg["side"]
    order["price_ticks"] = leg["price_ticks"]
    order["size_lots"] = lots
    order["placed_ns"] = ts_ns
    order["reduce_only"] = leg["reduce_only"]
    order["time_in_force"] = _MARKET if leg["trigger_is_market"] != 0 else _GTC
    order["builder"] = leg["builder"]
    order["builder_rate_e9"] = leg["builder_rate_e9"]
    order["twap_id"] = 0
    order["grouping"] = leg["grouping"]
    order["trigger_kind"] = leg["trigger_kind"]
    order["trigger_ticks"] = leg["trigger_ticks"]
    order["is_market"] = leg["trigger_is_market"]
    order["parent_id"] = engine["placed_id"] if leg["grouping"] == _NORMAL_TPSL else 0
    order["armed"] = 0 if _waits_for_parent(venue, leg) else 1
    order["sibling_id"] = 0
    if sibling != 0:
        order["sibling_id"] = venue.waiting[sibling - 1]["order_id"]
        venue.waiting[sibling - 1]["sibling_id"] = order_id
    if order["armed"] == 0:
        venue.orders[find_order(venue, account, market, order["parent_id"], False) - 1]["children"] = 1
    tell_waiting(venue, slot, ts_ns)
    return order_id


@compiled
def _fire(venue, slot, ts_ns):
    """The order in `slot` is triggered: it leaves the waiting ones and is placed under its id."""
    waiting = venue.waiting[slot - 1]
    account, market, side = waiting["account"], waiting["market"], waiting["side"]
    position = venue.holdings[account, market]["position_lots"]
    lots = abs(position) if waiting["grouping"] == _POSITION_TPSL else waiting["size_lots"]
    ticks = waiting["price_ticks"]
    if waiting["is_market"] != 0:
        ticks = worst_ticks(side, waiting["trigger_ticks"], venue.rules[0]["trigger_slippage_e6"])
    order = prepare(
        venue, account, market, waiting["client_id"], side, ticks, lots, waiting["time_in_force"],
        waiting["reduce_only"],
    )  # fmt: skip
    order["order_id"] = waiting["order_id"]
    order["builder"] = waiting["builder"]
    order["builder_rate_e9"] = waiting["builder_rate_e9"]
    order["sibling_id"] = waiting["sibling_id"]
    tell_order(venue, _TRIGGERED, waiting, lots, 0, venue.marks[market], ts_ns)
    remove_waiting(venue, slot)
    if order["reduce_only"] != 0 and side * position >= 0:
        tell_order(venue, _CANCELLED, order, lots, _REDUCE_ONLY_CANCELLED, 0, ts_ns)
        return
    submit(venue, ts_ns)


@compiled
def fire_triggers(venue, ts_ns):
    """Places every waiting order whose trigger the mark has reached, the oldest first, after the actions of the block
    at `ts_ns`; those of a position that is gone end. How far the mark is beyond a trigger does not matter."""
    engine = venue.engine[0]
    engine["leg"] = -1
    slot, seen = engine["waiting_head"], 0
    while slot != 0:
        order = venue.waiting[slot - 1]
        following = order["next"]
        if order["order_id"] > seen:
            seen = order["order_id"]
            position = venue.holdings[order["account"], order["market"]]["position_lots"]
            mark = venue.marks[order["market"]]
            if order["grouping"] == _POSITION_TPSL and order["side"] * position >= 0:
                end_waiting(venue, slot, _REDUCE_ONLY_CANCELLED, ts_ns)
            elif order["armed"] != 0 and is_reached(order["side"], order["trigger_kind"], order["trigger_ticks"], mark):
                _fire(venue, slot, ts_ns)
        # What fired may have ended the next one: then from the front, past those that have been seen.
        if following != 0 and venue.waiting[following - 1]["order_id"] == 0:
            following = engine["waiting_head"]
        slot = following
