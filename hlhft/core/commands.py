"""Orders become commands: the gate and the budgets are asked, the table and the worst case are brought up to date."""

from __future__ import annotations

from hlhft.compiled import compiled
from hlhft.core.budgets import check as check_budget
from hlhft.core.orders import create, may_cancel, request_cancel
from hlhft.core.risk import approve, is_below_minimum, market_exposure_micro
from hlhft.core.state import SLOT_BITS
from hlhft.units import MarketKind

_ALO = 0
_PLACE, _CANCEL = 1, 2
_CLASS_CANCEL, _CLASS_ALO, _CLASS_OTHER = 0, 1, 2
_URGENCY_PLACEMENT, _URGENCY_REDUCTION, _URGENCY_CANCEL = 0, 1, 2
_SPOT = int(MarketKind.SPOT)


@compiled
def write_command(out, count, kind, command_class, market, order, expires_ns):
    """Writes a command about an order, its price and what is left of it into out[count]; returns count + 1."""
    command = out[count]
    command["ts_ns"] = 0
    command["batch_id"] = 0
    command["kind"] = kind
    command["command_class"] = command_class
    command["market"] = market
    command["order_id"] = order["order_id"]
    command["price_ticks"] = order["price_ticks"]
    command["size_lots"] = order["remaining_lots"]
    command["side"] = order["side"]
    command["time_in_force"] = order["time_in_force"]
    command["reduce_only"] = order["reduce_only"]
    command["expires_ns"] = expires_ns
    return count + 1


@compiled
def refuse(lane_row, code):
    """Counts a refusal of the gate, hlhft.core.risk.RiskRefusal."""
    lane_row["refused"] += 1
    lane_row["refusals"][code] += 1


@compiled
def place_order(data, lane, limits, market, side, ticks, lots, time_in_force, reduce_only, now_ns, out, count):
    """Asks the gate; when it approves, creates the order and its command. Returns the number of commands."""
    lane_row = lane.lane[0]
    position, book, row = lane.positions[market], data.books[market], data.markets[market]
    lots, code = approve(lane_row, position, book, row, limits, side, ticks, lots, time_in_force, reduce_only)
    if code == 0 and limits["address_enforced"] != 0:
        urgency = _URGENCY_REDUCTION if lots <= -side * position["position_lots"] else _URGENCY_PLACEMENT
        # Used up, the address may still send one action in ten seconds: the venue decides whether it is this one.
        urgency = _URGENCY_CANCEL if lane_row["close_at_market"] != 0 else urgency
        if check_budget(lane_row, limits, lane_row["waiting_count"] + count + 1, urgency) != 0:
            code = 10
    if code == 0 and count >= len(out):
        code = 11
    if code != 0:
        refuse(lane_row, code)
        return count
    if is_below_minimum(row, ticks, lots):
        # The gate lets it pass as it closes a position. That may be gone when it arrives, and then nothing is opened.
        reduce_only = 1
    before = market_exposure_micro(position, book, row, 0, 0) if limits["exposure_micro_max"] > 0 else 0
    expires_ns = now_ns + limits["expires_after_ns"] if limits["expires_after_ns"] > 0 else 0
    order_id = create(
        lane_row, position, lane.orders[market], lane.active[market], side, ticks, lots, time_in_force, reduce_only,
        now_ns, expires_ns,
    )  # fmt: skip
    if order_id == 0:
        refuse(lane_row, 11)
        return count
    if limits["exposure_micro_max"] > 0:
        # The orders of one decision count against the cap together.
        lane_row["exposure_micro"] += market_exposure_micro(position, book, row, 0, 0) - before
    lane_row["placed"] += 1
    order = lane.orders[market][order_id & ((1 << SLOT_BITS) - 1)]
    command_class = _CLASS_ALO if time_in_force == _ALO else _CLASS_OTHER
    write_command(out, count, _PLACE, command_class, market, order, expires_ns)
    if row["kind"] == _SPOT:
        # Nothing can be short there, and the venue knows no reduce-only order of it; the order's own row keeps it.
        out[count]["reduce_only"] = 0
    return count + 1


@compiled
def cancel_order(lane, limits, market, slot, out, count):
    """Cancels an order that is open; returns the number of commands. An immediate order ends by itself."""
    lane_row = lane.lane[0]
    if count >= len(out) or not may_cancel(lane.orders[market], slot):
        return count
    if limits["address_enforced"] != 0:
        if check_budget(lane_row, limits, lane_row["waiting_count"] + count + 1, _URGENCY_CANCEL) != 0:
            refuse(lane_row, 10)
            return count
    request_cancel(lane.orders[market], slot)
    lane_row["cancelled"] += 1
    return write_command(out, count, _CANCEL, _CLASS_CANCEL, market, lane.orders[market][slot], 0)
