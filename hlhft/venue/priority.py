"""Priority that an order pays for: its place among the young orders of a level, and what that costs.

Source: venue reference section 9, "Order (write) priority". A post-only order with a rate goes ahead of the orders at
the end of its level that pay less and are younger than the rule's 400 ms; among equals the earlier one stays ahead. The
rate is charged on the resting notional at placement, for an immediate order on what it fills. The venue burns it from
the staked HYPE of the owner; nobody stakes here, so nobody is charged and `burned_micro` of the engine counts it.
"""

from __future__ import annotations

from hlhft.compiled import compiled
from hlhft.venue.fees import fee_micro, notional_micro

_ALO, _GTC = 0, 1  # hlhft.venue.blocks.TimeInForce; the compiled subset wants plain constants
_PLACE = 0
_RATE_E8_MAX = 100_000_000  # more than all of the notional is no rate
_E9_PER_E8 = 10

NOT_ALLOWED = -1  # what `mark_mixed` puts in place of a rate


@compiled
def may_have_priority(order):
    """Whether the ORDER_DTYPE record may have the rate it asks for; true for one that asks for none."""
    rate = order["priority_rate_e8"]
    if rate == 0:
        return True
    if rate < 0 or rate > _RATE_E8_MAX or order["time_in_force"] == _GTC:
        return False
    return order["time_in_force"] != _ALO or order["reduce_only"] == 0


@compiled
def mark_mixed(actions, first, last):
    """Takes the right to priority from the legs of an action, actions[first:last], that is not of one kind.

    All must be immediate orders, or all post-only ones that may increase the position.
    """
    post_only, immediate, asked = 0, 0, False
    for row in range(first, last):
        leg = actions[row]
        asked = asked or leg["priority_rate_e8"] != 0
        if leg["kind"] == _PLACE and leg["time_in_force"] == _ALO and leg["reduce_only"] == 0:
            post_only += 1
        elif leg["kind"] == _PLACE and leg["time_in_force"] > _GTC:
            immediate += 1
    if asked and max(post_only, immediate) != last - first:
        for row in range(first, last):
            actions[row]["priority_rate_e8"] = NOT_ALLOWED


@compiled
def charge_priority(venue, order, ticks, lots):
    """Counts what the order's rate costs for a notional."""
    if order["priority_rate_e8"] > 0:
        notional = notional_micro(venue.markets[order["market"]], ticks, lots)
        venue.engine[0]["burned_micro"] += fee_micro(notional, order["priority_rate_e8"] * _E9_PER_E8)


@compiled
def place_in_level(venue, slot, ts_ns):
    """Links the order in `slot` into its level: at the end, but ahead of the young ones there that pay less."""
    order = venue.orders[slot - 1]
    row = 0 if order["side"] > 0 else 1
    cell = order["price_ticks"] - venue.ladders[order["market"]]["base_ticks"]
    window_ns = venue.rules[0]["priority_window_ns"]
    before, behind = venue.tails[order["market"], row, cell], 0
    while before != 0:
        other = venue.orders[before - 1]
        if other["priority_rate_e8"] >= order["priority_rate_e8"] or ts_ns - other["placed_ns"] >= window_ns:
            break
        behind = before
        before = other["previous"]
    order["next"] = behind
    order["previous"] = before
    if before != 0:
        venue.orders[before - 1]["next"] = slot
    else:
        venue.heads[order["market"], row, cell] = slot
    if behind != 0:
        venue.orders[behind - 1]["previous"] = slot
    else:
        venue.tails[order["market"], row, cell] = slot
