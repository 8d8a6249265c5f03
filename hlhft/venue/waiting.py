"""Orders that wait: the slab of take-profit and stop-loss orders, for the fill of their parent or for the mark price.

Source: venue reference sections 4.1 (grouping), 4.2 (cancels), 4.4 (waitingForFill, waitingForTrigger) and 7 (open
orders). A slot is counted from 1, so that 0 is none. An order stands in two lists, both in the order of the venue's
ids: that of all waiting orders and that of its account. Waiting orders count as open orders.
"""

from __future__ import annotations

from hlhft.compiled import compiled
from hlhft.venue.event_log import tell_order

# Event kinds and refusals as in hlhft.events and hlhft.venue.refusals; the compiled subset wants plain constants.
_CANCELLED, _WAITING = 19, 23
_PARENT_CANCELLED = 27


@compiled
def find_waiting(venue, account, market, identity, is_client_id):
    """Slot of the account's waiting order in the market under the venue's id or its own; 0 when there is none.

    An own id that is used twice finds the younger order; an own id of 0 is none and finds nothing.
    """
    if identity == 0:
        return 0
    slot = venue.owned[account]["waiting_tail"]
    while slot != 0:
        order = venue.waiting[slot - 1]
        known = order["client_id"] if is_client_id else order["order_id"]
        if known == identity and order["market"] == market:
            return int(slot)
        slot = order["owner_previous"]
    return 0


@compiled
def take_waiting_slot(venue, account):
    """Slot of a new waiting order of the account, the youngest of all. Its other fields are the caller's; one is
    free."""
    engine, owned = venue.engine[0], venue.owned[account]
    slot = engine["waiting_free"]
    order = venue.waiting[slot - 1]
    engine["waiting_free"] = order["next"]
    engine["waiting"] += 1
    venue.open_orders[account] += 1
    order["account"] = account
    order["next"] = 0
    order["previous"] = engine["waiting_tail"]
    if engine["waiting_tail"] != 0:
        venue.waiting[engine["waiting_tail"] - 1]["next"] = slot
    else:
        engine["waiting_head"] = slot
    engine["waiting_tail"] = slot
    order["owner_next"] = 0
    order["owner_previous"] = owned["waiting_tail"]
    if owned["waiting_tail"] != 0:
        venue.waiting[owned["waiting_tail"] - 1]["owner_next"] = slot
    else:
        owned["waiting_head"] = slot
    owned["waiting_tail"] = slot
    return slot


@compiled
def remove_waiting(venue, slot):
    """Takes a waiting order out of its lists and the slab; nothing is told."""
    engine, order = venue.engine[0], venue.waiting[slot - 1]
    owned = venue.owned[order["account"]]
    if order["previous"] != 0:
        venue.waiting[order["previous"] - 1]["next"] = order["next"]
    else:
        engine["waiting_head"] = order["next"]
    if order["next"] != 0:
        venue.waiting[order["next"] - 1]["previous"] = order["previous"]
    else:
        engine["waiting_tail"] = order["previous"]
    if order["owner_previous"] != 0:
        venue.waiting[order["owner_previous"] - 1]["owner_next"] = order["owner_next"]
    else:
        owned["waiting_head"] = order["owner_next"]
    if order["owner_next"] != 0:
        venue.waiting[order["owner_next"] - 1]["owner_previous"] = order["owner_previous"]
    else:
        owned["waiting_tail"] = order["owner_previous"]
    venue.open_orders[order["account"]] -= 1
    engine["waiting"] -= 1
    order["order_id"] = 0
    order["next"] = engine["waiting_free"]
    engine["waiting_free"] = slot


@compiled
def end_waiting(venue, slot, cause, ts_ns):
    """Cancels a waiting order for a cause of hlhft.venue.refusals."""
    order = venue.waiting[slot - 1]
    tell_order(venue, _CANCELLED, order, order["size_lots"], cause, 0, ts_ns)
    remove_waiting(venue, slot)


@compiled
def tell_waiting(venue, slot, ts_ns):
    """Tells what the order waits for."""
    order = venue.waiting[slot - 1]
    tell_order(venue, _WAITING, order, order["size_lots"], order["armed"], order["trigger_ticks"], ts_ns)


@compiled
def cancel_children(venue, account, parent_id, ts_ns):
    """Cancels the orders that wait for the fill of the account's order `parent_id`, which will not come."""
    slot = venue.owned[account]["waiting_head"]
    while slot != 0:
        order = venue.waiting[slot - 1]
        following = order["owner_next"]
        if order["parent_id"] == parent_id and order["armed"] == 0:
            end_waiting(venue, slot, _PARENT_CANCELLED, ts_ns)
        slot = following


@compiled
def arm_children(venue, account, parent_id, ts_ns):
    """Lets the orders that waited for the fill of the account's order `parent_id` wait for the mark price now."""
    slot = venue.owned[account]["waiting_head"]
    while slot != 0:
        order = venue.waiting[slot - 1]
        if order["parent_id"] == parent_id and order["armed"] == 0:
            order["armed"] = 1
            tell_waiting(venue, slot, ts_ns)
        slot = order["owner_next"]
