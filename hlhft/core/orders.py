"""The order table: every order of ours, in a state that evidence put it into.

Transitions are data. An event that a state has no row for is an error: it is counted and the caller halts. An order
stops counting as exposure only in a DONE state; what we merely have not heard of is UNKNOWN and still counts. What is
done stays readable until its slot is used again, so that late news can be told from a contradiction: a fill or an
acknowledgement of an order that was filled, cancelled or expired is late, of one that was rejected it is a fault.

While a modification is under way an order counts twice: what is left of it, and what takes its place. A fill lessens
that by no more than what was filled; the acknowledgement says which of the two rests.

Money is truth: a fill changes the position even when its order is no longer in the table. An event record has no room
for the venue's trade id, so whoever feeds the core passes each fill once: a fill that comes twice is booked twice.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from hlhft.compiled import compiled
from hlhft.core.state import SLOT_BITS, OrderState


class OrderEvent(IntEnum):
    """What can happen to an order."""

    SEND = 0
    SEND_FAILED = 1  # its newest command never left this machine
    ACKNOWLEDGE = 2
    REJECT = 3
    FILL_PART = 4
    FILL_ALL = 5
    CANCEL_SEND = 6
    CANCEL_DONE = 7
    CANCEL_REJECT = 8
    EXPIRE = 9
    LOSE = 10  # nobody knows: no answer came, or the venue says that there is nothing to cancel and not why
    MODIFY_SEND = 11


_S, _E = OrderState, OrderEvent
_LIVE_ENDS = {
    _E.FILL_ALL: _S.DONE_FILLED,
    _E.CANCEL_DONE: _S.DONE_CANCELLED,
    _E.EXPIRE: _S.DONE_EXPIRED,
}
# Whatever else says that an order is gone agrees that it is.
_GONE = (_E.SEND_FAILED, _E.REJECT, _E.CANCEL_DONE, _E.CANCEL_REJECT, _E.EXPIRE, _E.LOSE)
_LIVED = (_E.ACKNOWLEDGE, _E.FILL_PART, _E.FILL_ALL)

# State x event -> next state. What is missing is an error.
TRANSITIONS: dict[OrderState, dict[OrderEvent, OrderState]] = {
    _S.NEW: {_E.SEND: _S.SENT, _E.SEND_FAILED: _S.DONE_REJECTED, _E.REJECT: _S.DONE_REJECTED},
    _S.SENT: {
        **_LIVE_ENDS,
        _E.SEND_FAILED: _S.DONE_REJECTED,
        _E.ACKNOWLEDGE: _S.OPEN,
        _E.REJECT: _S.DONE_REJECTED,
        _E.FILL_PART: _S.PARTIAL,
        _E.LOSE: _S.UNKNOWN,
        _E.CANCEL_REJECT: _S.SENT,
    },
    _S.UNKNOWN: {
        **_LIVE_ENDS,
        _E.ACKNOWLEDGE: _S.OPEN,
        _E.REJECT: _S.DONE_REJECTED,
        _E.FILL_PART: _S.PARTIAL,
        _E.LOSE: _S.UNKNOWN,
        _E.CANCEL_REJECT: _S.UNKNOWN,
    },
    _S.OPEN: {
        **_LIVE_ENDS,
        _E.ACKNOWLEDGE: _S.OPEN,
        _E.FILL_PART: _S.PARTIAL,
        _E.CANCEL_SEND: _S.CANCEL_SENT,
        _E.MODIFY_SEND: _S.REPLACING,
        _E.CANCEL_REJECT: _S.OPEN,
        _E.LOSE: _S.UNKNOWN,
    },
    _S.PARTIAL: {
        **_LIVE_ENDS,
        _E.ACKNOWLEDGE: _S.PARTIAL,
        _E.FILL_PART: _S.PARTIAL,
        _E.CANCEL_SEND: _S.CANCEL_SENT,
        _E.MODIFY_SEND: _S.REPLACING,
        _E.CANCEL_REJECT: _S.PARTIAL,
        _E.LOSE: _S.UNKNOWN,
    },
    # Only an acknowledged order is cancelled, so a rejection would contradict what the venue said before.
    _S.CANCEL_SENT: {
        **_LIVE_ENDS,
        _E.SEND_FAILED: _S.OPEN,
        _E.ACKNOWLEDGE: _S.CANCEL_SENT,
        _E.FILL_PART: _S.CANCEL_SENT,
        _E.CANCEL_REJECT: _S.OPEN,
        _E.LOSE: _S.UNKNOWN,
    },
    # The venue may carry out a modification's cancel and then refuse its new order: a rejection ends the order.
    _S.REPLACING: {
        **_LIVE_ENDS,
        _E.SEND_FAILED: _S.OPEN,
        _E.ACKNOWLEDGE: _S.OPEN,
        _E.FILL_PART: _S.REPLACING,
        _E.CANCEL_REJECT: _S.OPEN,
        _E.REJECT: _S.DONE_REJECTED,
        _E.LOSE: _S.UNKNOWN,
    },
    _S.DONE_FILLED: dict.fromkeys(_GONE + _LIVED, _S.DONE_FILLED),
    _S.DONE_CANCELLED: dict.fromkeys(_GONE + _LIVED, _S.DONE_CANCELLED),
    _S.DONE_REJECTED: dict.fromkeys(_GONE, _S.DONE_REJECTED),
    _S.DONE_EXPIRED: dict.fromkeys(_GONE + _LIVED, _S.DONE_EXPIRED),
}

ILLEGAL = 255


def _table() -> np.ndarray:
    table = np.full((len(OrderState), len(OrderEvent)), ILLEGAL, np.uint8)
    for state, row in TRANSITIONS.items():
        for event, following in row.items():
            table[state, event] = following
    return table


TABLE = _table()


def transitions_table() -> str:
    """The transitions as a Markdown table, one line a state with every event it allows; the documentation prints it."""
    rows = ["| state | event → next state; any other event is an error |", "| --- | --- |"]
    for state, row in TRANSITIONS.items():
        cells = ", ".join(f"{event.name} → {row[event].name}" for event in OrderEvent if event in row)
        rows.append(f"| {state.name} | {cells} |")
    return "\n".join(rows)


# Outcomes of `apply`.
APPLIED, ORPHAN_FILL, IGNORED, FAULT = 0, 1, 2, 3

_FREE, _NEW, _CANCEL_SENT, _REPLACING = 0, 1, 6, 7
_IOC = 2
_SLOT_MASK = (1 << SLOT_BITS) - 1
_SEND, _SEND_FAILED, _ACKNOWLEDGE, _REJECT, _FILL_PART, _FILL_ALL = 0, 1, 2, 3, 4, 5
_CANCEL_SEND, _CANCEL_DONE, _CANCEL_REJECT, _EXPIRE, _LOSE, _MODIFY_SEND = 6, 7, 8, 9, 10, 11
_KIND_ACKNOWLEDGED, _KIND_REJECTED, _KIND_FILLED, _KIND_CANCELLED = 16, 17, 18, 19
_KIND_EXPIRED, _KIND_UNKNOWN, _KIND_CANCEL_REJECTED = 20, 21, 22
_KIND_SEND_FAILED, _KIND_REFUSED = 33, 34
_FIRST_DONE = 8
_NEVER_PLACED, _CANNOT_MODIFY, _REQUEST_LOST = 11, 12, 22  # codes of hlhft.venue.refusals


@compiled
def create(lane, position, orders, active, side, ticks, lots, time_in_force, reduce_only, now_ns, expires_ns):
    """Puts a new order into the table as NEW and into the worst case; returns its id, 0 when no slot is free.

    `orders` and `active` are one market's rows. The id's low SLOT_BITS bits are the slot, the rest a sequence number.
    """
    count = position["active_count"]
    if count >= len(active):
        return 0
    slot = position["free_hint"]
    while orders[slot]["state"] != _FREE and orders[slot]["state"] < _FIRST_DONE:
        slot = slot + 1 if slot + 1 < len(orders) else 0
    position["free_hint"] = slot + 1 if slot + 1 < len(orders) else 0
    lane["order_sequence"] += 1
    order_id = (lane["order_sequence"] << SLOT_BITS) | slot
    order = orders[slot]
    order["order_id"] = order_id
    order["price_ticks"] = ticks
    order["size_lots"] = lots
    order["remaining_lots"] = lots
    order["sent_ns"] = now_ns
    order["acknowledged_ns"] = 0
    order["expires_ns"] = expires_ns
    order["venue_order_id"] = 0
    order["state"] = _NEW
    order["side"] = side
    order["time_in_force"] = time_in_force
    order["reduce_only"] = reduce_only
    order["batch_id"] = 0
    order["unknown_ns"] = 0
    order["replacement_ticks"] = 0
    order["replacement_lots"] = 0
    active[count] = slot
    position["active_count"] = count + 1
    lane["orders_open"] += 1
    if side > 0:
        position["open_buy_lots"] += lots
    else:
        position["open_sell_lots"] += lots
    return order_id


@compiled
def find(orders, order_id):
    """The slot that holds the record of an order, also of one that is done; -1 when it is not there any more."""
    slot = order_id & _SLOT_MASK
    if slot >= len(orders) or orders[slot]["order_id"] != order_id or orders[slot]["state"] == _FREE:
        return -1
    return slot


@compiled
def is_new(orders, order_id):
    """Whether the order exists and its placement has not left yet."""
    slot = find(orders, order_id)
    return slot >= 0 and orders[slot]["state"] == _NEW


@compiled
def mark_sent(orders, order_id, batch_id, now_ns):
    """A command of the order leaves in action `batch_id`: a NEW order is SENT from now on; the action is unanswered."""
    slot = find(orders, order_id)
    if slot < 0:
        return
    order = orders[slot]
    order["batch_id"] = batch_id
    if order["state"] == _NEW:
        order["state"] = TABLE[_NEW, _SEND]
        order["sent_ns"] = now_ns


@compiled
def answered_batch(orders, kind, order_id, left):
    """The unanswered action that this news about an order answers, 0 none.

    A fill or a late acknowledgement of an order that is being cancelled or modified answers nothing.
    """
    slot = find(orders, order_id)
    if slot < 0:
        return 0
    state = orders[slot]["state"]
    if state == _CANCEL_SENT or state == _REPLACING:
        if (kind == _KIND_ACKNOWLEDGED and state == _CANCEL_SENT) or (kind == _KIND_FILLED and left > 0):
            return 0
    return orders[slot]["batch_id"]


@compiled
def may_cancel(orders, slot):
    """Whether an order rests, so that a cancel can find it; an immediate one never does: it ends by itself."""
    return TABLE[orders[slot]["state"], _CANCEL_SEND] != ILLEGAL and orders[slot]["time_in_force"] != _IOC


@compiled
def request_cancel(orders, slot):
    """Moves an order to CANCEL_SENT; the caller has seen that it `may_cancel`."""
    orders[slot]["state"] = TABLE[orders[slot]["state"], _CANCEL_SEND]


@compiled
def may_amend(orders, slot):
    """Whether an order rests post-only with nothing under way that could change it."""
    order = orders[slot]
    rests = TABLE[order["state"], _MODIFY_SEND] != ILLEGAL and order["replacement_lots"] == 0
    return rests and order["time_in_force"] == 0


@compiled
def request_amend(position, orders, slot, ticks, lots, expires_ns):
    """Moves an order to REPLACING by one of `lots` at `ticks`; both count until the venue has said which of them is
    there. The caller has seen that it `may_amend`."""
    order = orders[slot]
    order["state"] = TABLE[order["state"], _MODIFY_SEND]
    order["replacement_ticks"] = ticks
    order["replacement_lots"] = lots
    order["remaining_lots"] += lots
    order["expires_ns"] = expires_ns
    if order["side"] > 0:
        position["open_buy_lots"] += lots
    else:
        position["open_sell_lots"] += lots


@compiled
def is_replacing(orders, order_id):
    """Whether the order exists and a modification of it is under way."""
    slot = find(orders, order_id)
    return slot >= 0 and orders[slot]["state"] == _REPLACING


@compiled
def _settle_amend(position, order, event, ticks):
    """Ends a modification: by the order that rests now, as acknowledged, or because it was not carried out."""
    if event == _ACKNOWLEDGE:
        order["price_ticks"] = ticks if ticks > 0 else order["replacement_ticks"]
        order["size_lots"] = order["remaining_lots"]
    else:
        _shrink(position, order, max(order["remaining_lots"] - order["replacement_lots"], 1))
    order["replacement_ticks"] = 0
    order["replacement_lots"] = 0


@compiled
def _release(lane, position, orders, active, slot):
    """Takes a finished order out of the active list, which keeps its order of age, and out of the worst case."""
    order = orders[slot]
    if order["side"] > 0:
        position["open_buy_lots"] -= order["remaining_lots"]
    else:
        position["open_sell_lots"] -= order["remaining_lots"]
    count = position["active_count"]
    place = 0
    while place < count and active[place] != slot:
        place += 1
    for index in range(place, count - 1):
        active[index] = active[index + 1]
    position["active_count"] = count - 1
    lane["orders_open"] -= 1


@compiled
def book_fill(position, side, ticks, lots, fee_micro, maker):
    """Books a fill into the lane's position: the only place where position, cash and fees change."""
    quanta = ticks * lots
    position["position_lots"] += side * lots
    position["cash_quanta"] -= side * quanta
    position["fee_micro"] += fee_micro
    position["traded_lots"] += lots
    position["fills"] += 1
    if maker:
        position["maker_quanta"] += quanta
    else:
        position["taker_quanta"] += quanta


@compiled
def _event_of(kind, left):
    """The order event that an event kind stands for, -1 when it is none."""
    if kind == _KIND_FILLED:
        return _FILL_ALL if left == 0 else _FILL_PART
    if kind == _KIND_ACKNOWLEDGED:
        return _ACKNOWLEDGE
    if kind == _KIND_CANCELLED:
        return _CANCEL_DONE
    if kind == _KIND_REJECTED:
        return _REJECT
    if kind == _KIND_CANCEL_REJECTED:
        # "Never placed, already cancelled or filled" (venue reference section 4.4): it is gone, but nobody says how.
        # To try again would be to ask forever; as UNKNOWN it still counts until its fill or a query's answer comes.
        return _LOSE if left == _NEVER_PLACED or left == _CANNOT_MODIFY else _CANCEL_REJECT
    if kind == _KIND_EXPIRED:
        return _EXPIRE
    if kind == _KIND_UNKNOWN:
        return _LOSE
    if kind == _KIND_SEND_FAILED or kind == _KIND_REFUSED:
        return _SEND_FAILED
    return -1


@compiled
def _is_malformed(kind, side, ticks, lots, left):
    """Whether sizes, price or side of a fill or an acknowledgement cannot be true."""
    if kind == _KIND_FILLED:
        return lots <= 0 or left < 0 or ticks <= 0 or (side != 1 and side != -1)
    return kind == _KIND_ACKNOWLEDGED and lots <= 0


@compiled
def apply(lane, position, orders, active, kind, order_id, side, ticks, lots, left, aux1, maker, ts_ns):
    """Applies what the venue or the gateway said about an order; returns APPLIED, ORPHAN_FILL, IGNORED or FAULT.

    `kind` is an event kind; for a fill `side`, `ticks`, `lots`, `left` (lots left) and `aux1` (fee) are used; for an
    acknowledgement `left` is the venue's order id, for a rejection its code. News of an order that is gone is ignored,
    but for a fill's money. A FAULT is counted in `illegal_transitions`, which halts; a malformed fill is not booked.
    """
    event = _event_of(kind, left)
    if event < 0 or _is_malformed(kind, side, ticks, lots, left):
        lane["illegal_transitions"] += 1
        return FAULT
    slot = find(orders, order_id)
    if kind == _KIND_FILLED:
        book_fill(position, side, ticks, lots, aux1, maker)
    if slot < 0:
        if kind == _KIND_FILLED:
            lane["orphan_fills"] += 1
            return ORPHAN_FILL
        return IGNORED
    order = orders[slot]
    following = TABLE[order["state"], event]
    if following == ILLEGAL or (kind == _KIND_FILLED and side != order["side"]):
        lane["illegal_transitions"] += 1
        return FAULT
    if order["state"] >= _FIRST_DONE:
        if kind == _KIND_FILLED:
            lane["orphan_fills"] += 1
            return ORPHAN_FILL
        return IGNORED
    if event == _ACKNOWLEDGE:
        order["venue_order_id"] = left
        _shrink(position, order, lots)
    elif kind == _KIND_FILLED:
        # A modification that has not left yet counts here already, and who tells of the fill does not know of it.
        _shrink(position, order, left if order["replacement_lots"] == 0 else max(left, order["remaining_lots"] - lots))
    if order["replacement_lots"] > 0 and (event == _ACKNOWLEDGE or event == _CANCEL_REJECT or event == _SEND_FAILED):
        _settle_amend(position, order, event, ticks)
    _note_time(lane, order, kind, left, ts_ns)
    order["state"] = following
    if following >= _FIRST_DONE:
        _release(lane, position, orders, active, slot)
    return APPLIED


@compiled
def _note_time(lane, order, kind, left, ts_ns):
    """Measures how long the venue took to answer a placement, and since when a fate is unknown.

    Only the venue's own words count as its answer: not a cancel's, not our gateway's, not silence.
    """
    if kind == _KIND_UNKNOWN or kind == _KIND_CANCEL_REJECTED:
        if order["unknown_ns"] == 0 and _event_of(kind, left) == _LOSE:
            order["unknown_ns"] = ts_ns
        return
    if kind == _KIND_SEND_FAILED or kind == _KIND_REFUSED:
        return
    # What settles an unknown fate may be the answer to a query, long after.
    if order["acknowledged_ns"] == 0 and order["unknown_ns"] == 0:
        if kind != _KIND_REJECTED or left != _REQUEST_LOST:
            lane["acknowledgement_ns"] = ts_ns - order["sent_ns"]
    if order["acknowledged_ns"] == 0:
        order["acknowledged_ns"] = ts_ns
    order["unknown_ns"] = 0


@compiled
def _shrink(position, order, left):
    """Lowers what an order can still fill; never raises it (a late acknowledgement says the size before the fills)."""
    gone = order["remaining_lots"] - left
    if gone <= 0:
        return
    order["remaining_lots"] = left
    if order["side"] > 0:
        position["open_buy_lots"] -= gone
    else:
        position["open_sell_lots"] -= gone
