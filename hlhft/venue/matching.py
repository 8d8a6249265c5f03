"""The order-level matching engine: every order of every account, by price, then time.

Sources: venue reference sections 4.2 (cancel, modify) and 8 (block order). What it works on is
`hlhft.venue.state.Exchange`; placing an order is `hlhft.venue.placing`, what rests `hlhft.venue.resting`, what waits
for a trigger `hlhft.venue.waiting` and `hlhft.venue.triggers`.

Invariants, held by tests: no crossed book; the oldest order of a level is matched first, unless a younger one paid for
priority; what one side gains the other loses; the reduce-only orders of an account together never exceed the position
that they close.

Every outcome is appended to `venue.events` in the order of execution, a trade as two fills, the buyer's first. A
reduce-only order that is trimmed is acknowledged again with its new size. The caller drains the events after each call
by setting `event_count` to 0; `events_for` slots of capacity never overflow within one call.
"""

from __future__ import annotations

from hlhft.compiled import compiled
from hlhft.venue.background import apply_background
from hlhft.venue.blocks import sort_actions
from hlhft.venue.event_log import append_event, tell_leg
from hlhft.venue.order_index import find_order
from hlhft.venue.placing import place, place_market, prepare, reference_ticks, submit
from hlhft.venue.resting import end_order
from hlhft.venue.triggers import place_trigger
from hlhft.venue.waiting import end_waiting, find_waiting

__all__ = [
    "apply_action",
    "cancel",
    "cancel_all",
    "execute_block",
    "modify",
    "place",
    "place_market",
    "reference_ticks",
]

# Event kinds, refusals, times in force, groupings and action kinds as in hlhft.events, hlhft.venue.refusals and
# hlhft.venue.blocks; the compiled subset wants plain constants.
_REJECTED, _CANCEL_REJECTED, _ACTION_DONE, _ACTION_REFUSED = 17, 22, 53, 54
_ALO, _IOC = 0, 2
_NORMAL_TPSL = 1
_PLACE, _CANCEL, _MODIFY, _PLACE_TRIGGER, _NOOP = 0, 1, 2, 3, 7
_BACKGROUND_LEVEL, _BACKGROUND_TRADE = 17, 18
_NEVER_PLACED, _CANNOT_MODIFY, _ACTION_EXPIRED, _REQUESTED = 11, 12, 13, 21
_FAST_CANCEL_OF_TRIGGER, _UNKNOWN_ACTION = 23, 48


@compiled
def _refuse_cancel(venue, account, market, target_id, is_client_id, code, ts_ns):
    client_id = target_id if is_client_id else 0
    order_id = 0 if is_client_id else target_id
    append_event(venue, _CANCEL_REJECTED, account, market, client_id, order_id, 0, 0, 0, code, 0, ts_ns)


@compiled
def cancel(venue, account, market, target_id, is_client_id, ts_ns):
    """A cancel arrives: the account's order, resting or waiting, ends, or the cancel is rejected; returns whether it
    ended."""
    slot = find_order(venue, account, market, target_id, is_client_id)
    if slot != 0:
        end_order(venue, slot, _REQUESTED, ts_ns)
        return True
    slot = find_waiting(venue, account, market, target_id, is_client_id)
    if slot != 0:
        end_waiting(venue, slot, _REQUESTED, ts_ns)
        return True
    _refuse_cancel(venue, account, market, target_id, is_client_id, _NEVER_PLACED, ts_ns)
    return False


@compiled
def _cancel_leg(venue, leg, ts_ns):
    """As `cancel`; a fast one does not reach the orders that wait (venue reference section 4.2)."""
    account, market, target_id = leg["account"], leg["market"], leg["target_id"]
    is_client_id = leg["target_is_client_id"] != 0
    if leg["fast"] != 0 and find_order(venue, account, market, target_id, is_client_id) == 0:
        if find_waiting(venue, account, market, target_id, is_client_id) != 0:
            _refuse_cancel(venue, account, market, target_id, is_client_id, _FAST_CANCEL_OF_TRIGGER, ts_ns)
            return
    cancel(venue, account, market, target_id, is_client_id, ts_ns)


@compiled
def _next_in(market, orders, slot):
    """The first slot from `slot` on in an account's list whose order is of the market, -1 any; 0 none."""
    while slot != 0 and market >= 0 and orders[slot - 1]["market"] != market:
        slot = orders[slot - 1]["owner_next"]
    return slot


@compiled
def cancel_all(venue, account, market, cause, ts_ns):
    """Ends every order of the account, resting and waiting, in the market or with -1 in all, in the order of the
    venue's ids, those that wait for a parent's fill with the parent; returns how many it ended but for those."""
    owned = venue.owned[account]
    resting = _next_in(market, venue.orders, owned["resting_head"])
    waiting = _next_in(market, venue.waiting, owned["waiting_head"])
    count = 0
    while resting != 0 or waiting != 0:
        if waiting == 0 or (
            resting != 0 and venue.orders[resting - 1]["order_id"] < venue.waiting[waiting - 1]["order_id"]
        ):
            order = venue.orders[resting - 1]
            following, children = order["owner_next"], order["children"]
            end_order(venue, resting, cause, ts_ns)
            resting = _next_in(market, venue.orders, following)
            if children != 0:  # the next of those that wait may have ended with it
                waiting = _next_in(market, venue.waiting, owned["waiting_head"])
        else:
            following = venue.waiting[waiting - 1]["owner_next"]
            end_waiting(venue, waiting, cause, ts_ns)
            waiting = _next_in(market, venue.waiting, following)
        count += 1
    return count


@compiled
def _refuse_modify(venue, leg, ts_ns):
    append_event(
        venue, _REJECTED, leg["account"], leg["market"], leg["client_id"], 0, leg["side"], leg["price_ticks"],
        leg["size_lots"], _CANNOT_MODIFY, 0, ts_ns,
    )  # fmt: skip


@compiled
def modify(venue, leg, ts_ns):
    """A modify arrives: the old order is cancelled, the new one placed behind everyone, under a new id, also when only
    its size changes; returns the venue's new id, 0 when nothing was placed.

    Unless the ACTION_DTYPE leg says `always_place`, an order that is gone, and a new order that is immediate or waits
    for a trigger, refuse the whole modify, and the new order is post-only. The cancel stands even when the new order is
    then refused. Either order may be one that waits.
    """
    account, market, time_in_force = leg["account"], leg["market"], leg["time_in_force"]
    is_client_id = leg["target_is_client_id"] != 0
    slot = find_order(venue, account, market, leg["target_id"], is_client_id)
    waiting = find_waiting(venue, account, market, leg["target_id"], is_client_id) if slot == 0 else 0
    if leg["always_place"] == 0:
        if slot == 0 and waiting == 0:
            _refuse_modify(venue, leg, ts_ns)
            return 0
        if time_in_force >= _IOC or leg["trigger_kind"] != 0:
            _refuse_modify(venue, leg, ts_ns)
            return 0
        time_in_force = _ALO
    if slot != 0:
        end_order(venue, slot, _REQUESTED, ts_ns)
    elif waiting != 0:
        end_waiting(venue, waiting, _REQUESTED, ts_ns)
    if leg["trigger_kind"] != 0:
        return place_trigger(venue, leg, ts_ns)
    order = prepare(
        venue, account, market, leg["client_id"], leg["side"], leg["price_ticks"], leg["size_lots"], time_in_force,
        leg["reduce_only"],
    )  # fmt: skip
    order["builder"] = leg["builder"]
    order["builder_rate_e9"] = leg["builder_rate_e9"]
    return submit(venue, ts_ns)


@compiled
def _place_leg(venue, leg, ts_ns):
    order = prepare(
        venue, leg["account"], leg["market"], leg["client_id"], leg["side"], leg["price_ticks"], leg["size_lots"],
        leg["time_in_force"], leg["reduce_only"],
    )  # fmt: skip
    order["builder"] = leg["builder"]
    order["builder_rate_e9"] = leg["builder_rate_e9"]
    order["priority_rate_e8"] = leg["priority_rate_e8"]
    submit(venue, ts_ns)
    # The orders that follow in its action, and only they, may wait for its fill.
    venue.engine[0]["placed_action"] = leg["action"] if leg["grouping"] == _NORMAL_TPSL else -1
    venue.engine[0]["placed_ns"] = ts_ns


@compiled
def _refuse_expired(venue, leg, ts_ns):
    """Each kind of leg is refused by the kind of event that tells its outcome."""
    if leg["kind"] == _CANCEL:
        is_client_id = leg["target_is_client_id"] != 0
        _refuse_cancel(
            venue, leg["account"], leg["market"], leg["target_id"], is_client_id, _ACTION_EXPIRED, ts_ns
        )  # fmt: skip
    elif leg["kind"] <= _PLACE_TRIGGER:
        append_event(
            venue, _REJECTED, leg["account"], leg["market"], leg["client_id"], 0, leg["side"], leg["price_ticks"],
            leg["size_lots"], _ACTION_EXPIRED, 0, ts_ns,
        )  # fmt: skip
    else:
        tell_leg(venue, _ACTION_REFUSED, leg, _ACTION_EXPIRED, leg["kind"], ts_ns)


@compiled
def apply_action(venue, leg, ts_ns):
    """Executes one ACTION_DTYPE leg of an order in the block at `ts_ns`, unless its action has expired by then.

    Legs of other kinds than PLACE, CANCEL, MODIFY, PLACE_TRIGGER, NOOP and those of a background
    (hlhft.venue.background) belong to those who keep more than orders (hlhft.venue.chain); here they are refused.
    """
    kind = leg["kind"]
    if leg["expires_ns"] != 0 and ts_ns > leg["expires_ns"]:
        _refuse_expired(venue, leg, ts_ns)
    elif kind == _PLACE:
        _place_leg(venue, leg, ts_ns)
    elif kind == _CANCEL:
        _cancel_leg(venue, leg, ts_ns)
    elif kind == _MODIFY:
        modify(venue, leg, ts_ns)
    elif kind == _PLACE_TRIGGER:
        place_trigger(venue, leg, ts_ns)
    elif kind == _NOOP:
        tell_leg(venue, _ACTION_DONE, leg, kind, 0, ts_ns)
    elif kind == _BACKGROUND_LEVEL or kind == _BACKGROUND_TRADE:
        apply_background(venue, leg, ts_ns)
    else:
        tell_leg(venue, _ACTION_REFUSED, leg, _UNKNOWN_ACTION, kind, ts_ns)


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
