"""Resting orders: how one comes into the book, shrinks, and leaves it, with every list and total that counts it.

Sources: venue reference sections 4.1 (orders that belong together), 4.5 (reduce-only) and 8 (price-time priority). A
slot is counted from 1, so that 0 is none. An order stands in its level, in the list of all orders of its account in the
order of the venue's ids, in its account's reduce-only orders of the market where it is one, and in the hash tables of
`hlhft.venue.order_index`.
"""

from __future__ import annotations

from hlhft.compiled import compiled
from hlhft.ladder import lots_at, set_ask, set_bid
from hlhft.venue.event_log import tell_order
from hlhft.venue.order_index import find_order, index_order, unindex_order
from hlhft.venue.priority import place_in_level
from hlhft.venue.waiting import cancel_children, end_waiting, find_waiting

# Event kinds and refusals as in hlhft.events and hlhft.venue.refusals; the compiled subset wants plain constants.
_ACKNOWLEDGED, _CANCELLED = 16, 19
_REDUCE_ONLY_CANCELLED, _SIBLING_FILLED = 18, 26


@compiled
def resize(venue, slot, change):
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
def unlink(venue, slot):
    """Takes an order out of its level, its owner's lists and the slab."""
    resize(venue, slot, -venue.orders[slot - 1]["remaining_lots"])
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
    _unlink_owned(venue, slot)
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
def _unlink_owned(venue, slot):
    order = venue.orders[slot - 1]
    owned = venue.owned[order["account"]]
    if order["owner_previous"] != 0:
        venue.orders[order["owner_previous"] - 1]["owner_next"] = order["owner_next"]
    else:
        owned["resting_head"] = order["owner_next"]
    if order["owner_next"] != 0:
        venue.orders[order["owner_next"] - 1]["owner_previous"] = order["owner_previous"]
    else:
        owned["resting_tail"] = order["owner_previous"]


@compiled
def end_order(venue, slot, cause, ts_ns):
    """Cancels a resting order for a cause of hlhft.venue.refusals, and with it the orders that waited for its fill."""
    order = venue.orders[slot - 1]
    account, order_id, children = order["account"], order["order_id"], order["children"]
    tell_order(venue, _CANCELLED, order, order["remaining_lots"], cause, 0, ts_ns)
    unlink(venue, slot)
    if children != 0:
        cancel_children(venue, account, order_id, ts_ns)


@compiled
def end_sibling(venue, account, market, order_id, ts_ns):
    """Cancels the other order of a pair, wherever it stands, because the first was executed."""
    slot = find_waiting(venue, account, market, order_id, False)
    if slot != 0:
        end_waiting(venue, slot, _SIBLING_FILLED, ts_ns)
        return
    slot = find_order(venue, account, market, order_id, False)
    if slot != 0:
        end_order(venue, slot, _SIBLING_FILLED, ts_ns)


@compiled
def _acknowledge(venue, slot, ts_ns):
    order = venue.orders[slot - 1]
    tell_order(venue, _ACKNOWLEDGED, order, order["remaining_lots"], order["order_id"], 0, ts_ns)


@compiled
def trim_reduce_only(venue, account, market, ts_ns):
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
            resize(venue, slot, -excess)
            _acknowledge(venue, slot, ts_ns)
            return
        end_order(venue, slot, _REDUCE_ONLY_CANCELLED, ts_ns)
        slot = following


@compiled
def _link_reduce_only(venue, slot):
    order = venue.orders[slot - 1]
    resting = venue.resting[order["account"], order["market"]]
    order["reduce_next"] = 0
    order["reduce_previous"] = resting["reduce_tail"]
    if resting["reduce_tail"] != 0:
        venue.orders[resting["reduce_tail"] - 1]["reduce_next"] = slot
    else:
        resting["reduce_head"] = slot
    resting["reduce_tail"] = slot


@compiled
def _link_owned(venue, slot):
    """Puts the order behind those of its account with lower ids; only one that has waited has any with higher ones."""
    order = venue.orders[slot - 1]
    owned = venue.owned[order["account"]]
    before, behind = owned["resting_tail"], 0
    while before != 0 and venue.orders[before - 1]["order_id"] > order["order_id"]:
        behind = before
        before = venue.orders[before - 1]["owner_previous"]
    order["owner_next"] = behind
    order["owner_previous"] = before
    if before != 0:
        venue.orders[before - 1]["owner_next"] = slot
    else:
        owned["resting_head"] = slot
    if behind != 0:
        venue.orders[behind - 1]["owner_previous"] = slot
    else:
        owned["resting_tail"] = slot


@compiled
def rest(venue, lots, ts_ns):
    """Puts what is left of `venue.taker`, `lots`, into its level: at the end, or where its priority puts it.

    A slot is free and the price inside the band.
    """
    taker = venue.taker[0]
    slot = venue.engine[0]["free"]
    order = venue.orders[slot - 1]
    venue.engine[0]["free"] = order["next"]
    venue.engine[0]["resting"] += 1
    venue.open_orders[taker["account"]] += 1
    order["order_id"] = taker["order_id"]
    order["client_id"] = taker["client_id"]
    order["account"] = taker["account"]
    order["market"] = taker["market"]
    order["side"] = taker["side"]
    order["price_ticks"] = taker["price_ticks"]
    order["remaining_lots"] = 0
    order["original_lots"] = taker["original_lots"]
    order["placed_ns"] = ts_ns
    order["reduce_only"] = taker["reduce_only"]
    order["time_in_force"] = taker["time_in_force"]
    order["builder"] = taker["builder"]
    order["builder_rate_e9"] = taker["builder_rate_e9"]
    order["priority_rate_e8"] = taker["priority_rate_e8"]
    order["sibling_id"] = taker["sibling_id"]
    order["twap_id"] = 0
    order["children"] = 0
    place_in_level(venue, slot, ts_ns)
    if order["reduce_only"] != 0:
        _link_reduce_only(venue, slot)
    _link_owned(venue, slot)
    index_order(venue, slot)
    resize(venue, slot, lots)
    _acknowledge(venue, slot, ts_ns)
    if order["reduce_only"] != 0:
        trim_reduce_only(venue, order["account"], order["market"], ts_ns)
