"""What a session starts from, as venue and store tell it: positions, equity, orders that rest, what survives a restart.

Each is stated once. A later statement of a position is a check: money that was booked here is never overwritten, so one
that disagrees is an illegal transition, which halts.
"""

from __future__ import annotations

from hlhft.compiled import compiled
from hlhft.core.state import SLOT_BITS, OrderState

_SLOT_MASK = (1 << SLOT_BITS) - 1
_FREE, _OPEN, _FIRST_DONE = int(OrderState.FREE), int(OrderState.OPEN), int(OrderState.DONE_FILLED)
_HALTED = 2
_DRAWDOWN_BIT, _MARGIN_BIT = 1 << 2, 1 << 6  # hlhft.core.risk.Breaker: those that close at market


@compiled
def state_position(lane, position, lots, mark_ticks):
    """Takes over the position that the venue reports, worth nothing at `mark_ticks`: the equity holds it already.

    Only once, and before any fill: from then on a statement that differs from what was booked is a fault.
    """
    if position["stated"] != 0 or position["fills"] != 0:
        if position["position_lots"] != lots:
            lane["illegal_transitions"] += 1
        return
    if lots != 0 and mark_ticks <= 0:
        lane["illegal_transitions"] += 1
        return
    position["stated"] = 1
    position["position_lots"] = lots
    position["cash_quanta"] = -lots * mark_ticks


@compiled
def state_equity(lane, equity_micro, is_start):
    """Takes over the equity that a session starts with, once; later it only measures the gap to our own.

    Deposits and withdrawals since the start are in the venue's figure and not in ours.
    """
    if not is_start:
        lane["equity_gap_micro"] = equity_micro - lane["equity_micro"] - lane["transfers_micro"]
        return
    if lane["starting_equity_micro"] != 0:
        lane["illegal_transitions"] += 1
        return
    lane["starting_equity_micro"] = equity_micro
    lane["equity_micro"] = equity_micro
    # The peak begins with it, at the next decision.
    lane["peak_next_ns"] = 0


@compiled
def restore(lane, latches, halt_code, peak_micro, peak_ns, is_closing):
    """What an earlier session left: its latches hold until an operator resumes, its peak of the last hour counts.

    Where the breaker that latched closes at market, the account is to be flat: closing goes on.
    """
    lane["restored_peak_micro"] = peak_micro
    lane["restored_peak_ns"] = peak_ns
    if latches == 0:
        return
    lane["latches"] |= latches
    lane["mode"] = _HALTED
    if halt_code != 0:
        lane["halt_code"] = halt_code
    if is_closing or latches & (_DRAWDOWN_BIT | _MARGIN_BIT):
        lane["must_be_flat"] = 1


@compiled
def adopt(lane, position, orders, active, order_id, side, ticks, lots, venue_order_id, reduce_only, ts_ns):
    """Puts an order of an earlier session that rests at the venue into its own slot as OPEN, and into the worst case.

    Ids given from now on are above it. An order that the table cannot hold is a fault, which halts: a slot that an
    order not proven dead occupies, or one that does not exist; no side, price or size.
    """
    slot = order_id & _SLOT_MASK
    is_malformed = order_id <= 0 or slot >= len(orders) or lots <= 0 or ticks <= 0 or (side != 1 and side != -1)
    if is_malformed or (orders[slot]["state"] != _FREE and orders[slot]["state"] < _FIRST_DONE):
        lane["illegal_transitions"] += 1
        return
    lane["order_sequence"] = max(lane["order_sequence"], order_id >> SLOT_BITS)
    order = orders[slot]
    order["order_id"] = order_id
    order["price_ticks"] = ticks
    order["size_lots"] = lots
    order["remaining_lots"] = lots
    order["sent_ns"] = ts_ns
    order["acknowledged_ns"] = ts_ns
    order["expires_ns"] = 0
    order["venue_order_id"] = venue_order_id
    order["state"] = _OPEN
    order["side"] = side
    order["time_in_force"] = 0
    order["reduce_only"] = reduce_only
    order["batch_id"] = 0
    order["unknown_ns"] = 0
    order["replacement_ticks"] = 0
    order["replacement_lots"] = 0
    # Oldest first, as everywhere: what is adopted comes in the venue's order.
    place = position["active_count"]
    while place > 0 and orders[active[place - 1]]["order_id"] > order_id:
        active[place] = active[place - 1]
        place -= 1
    active[place] = slot
    position["active_count"] += 1
    lane["orders_open"] += 1
    if side > 0:
        position["open_buy_lots"] += lots
    else:
        position["open_sell_lots"] += lots
