"""A move by modification: one action of the address instead of a cancel and a placement."""

from __future__ import annotations

from hlhft.compiled import compiled
from hlhft.core.budgets import check as check_budget
from hlhft.core.commands import write_command
from hlhft.core.orders import may_amend, request_amend
from hlhft.core.quotes import free_quote
from hlhft.core.risk import approve, is_below_minimum, market_exposure_micro

_ALO, _CLASS_ALO, _MODIFY = 0, 1, 3
_URGENCY_PLACEMENT = 0


@compiled
def amend_order(data, lane, limits, market, slot, count, now_ns, out, commands):
    """Modifies an order into a quote that nothing holds yet, where there is one; returns the number of commands.

    Never to more than what is left of the order: what is filled on the way is not quoted once more. The gate judges the
    new order beside the old one, as it would a placement before its cancel is done.
    """
    position, orders, active = lane.positions[market], lane.orders[market], lane.active[market]
    order = orders[slot]
    if not may_amend(orders, slot) or commands >= len(out):
        return commands
    quotes = lane.quotes
    place = free_quote(
        quotes, count, market, order["side"], order["remaining_lots"], orders, active, position["active_count"]
    )
    if place < 0 or quotes[place]["reduce_only"] != order["reduce_only"]:
        return commands
    lane_row, book, row = lane.lane[0], data.books[market], data.markets[market]
    ticks = quotes[place]["price_ticks"]
    lots, code = approve(
        lane_row, position, book, row, limits, order["side"], ticks, quotes[place]["size_lots"], _ALO,
        order["reduce_only"],
    )  # fmt: skip
    if code != 0 or (order["reduce_only"] == 0 and is_below_minimum(row, ticks, lots)):
        return commands
    if limits["address_enforced"] != 0:
        if check_budget(lane_row, limits, lane_row["waiting_count"] + commands + 1, _URGENCY_PLACEMENT) != 0:
            return commands
    before = market_exposure_micro(position, book, row, 0, 0)
    expires_ns = now_ns + limits["expires_after_ns"] if limits["expires_after_ns"] > 0 else 0
    request_amend(position, orders, slot, ticks, lots, expires_ns)
    lane_row["exposure_micro"] += market_exposure_micro(position, book, row, 0, 0) - before
    lane_row["amended"] += 1
    quotes[place]["size_lots"] = -quotes[place]["size_lots"]
    write_command(out, commands, _MODIFY, _CLASS_ALO, market, order, expires_ns)
    out[commands]["price_ticks"] = ticks
    out[commands]["size_lots"] = lots
    return commands + 1
