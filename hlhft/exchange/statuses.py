"""What came of an action, in the venue's words: events of a block to the answer of each action in it.

Source: venue reference section 4.4. A status is told from the events of its leg that belong to the leg's account and
order: a leg may also have ended resting orders of others, or of the same account.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hlhft.events import EventFlag, EventKind
from hlhft.exchange.client_ids import ClientIds
from hlhft.exchange.listing import Listing
from hlhft.exchange.order_plans import asset_suffix
from hlhft.exchange.plans import Form, Plan
from hlhft.hyperliquid.wire import answer_number
from hlhft.units import MICRO, Market, MarketKind, decimal_text
from hlhft.venue.blocks import TimeInForce
from hlhft.venue.refusals import TEXT, Refusal

Status = str | dict[str, Any]
DURING_MODIFY = "Error placing new order during modify: {}"
BBO_NONE = "none"

# Looking up a member of an enumeration costs more than all the rest of an answer.
_ACKNOWLEDGED, _REJECTED = int(EventKind.ORDER_ACKNOWLEDGED), int(EventKind.ORDER_REJECTED)
_FILLED, _EXPIRED = int(EventKind.ORDER_FILLED), int(EventKind.ORDER_EXPIRED)
_WAITING, _CANCEL_REJECTED = int(EventKind.ORDER_WAITING), int(EventKind.CANCEL_REJECTED)
_ACTION_REFUSED, _TWAP_STATE = int(EventKind.ACTION_REFUSED), int(EventKind.TWAP_STATE)
_MAKER = int(EventFlag.MAKER)
_OF_THE_ORDER = frozenset({_ACKNOWLEDGED, _REJECTED, _EXPIRED, _WAITING})
_REFUSING = frozenset({_ACTION_REFUSED, _CANCEL_REJECTED, _REJECTED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """What the words need besides the events: the markets, the client ids, the rules (RULES_DTYPE[1]), what a scheduled
    cancel asks for, and whether errors of orders name their asset.
    """

    listing: Listing
    client_ids: ClientIds
    rules: np.ndarray
    scheduled_volume_micro: int = 1_000_000 * MICRO
    asset_suffix: bool = True


def group_by_leg(events: np.ndarray, legs: int) -> list[list[np.void]]:
    """The events of each of the first `legs` legs, in the order of execution."""
    groups: list[list[np.void]] = [[] for _ in range(legs)]
    for row, leg in enumerate(events["leg"].tolist()):
        if 0 <= leg < legs:
            groups[leg].append(events[row])
    return groups


def answer_of(
    plan: Plan, legs: np.ndarray, events: Sequence[Sequence[np.void]], answering: Answering, *, volume_micro: int = 0
) -> dict[str, Any]:
    """The body of the answer; `legs` are the plan's rows of ACTION_DTYPE and `events` what each of them caused."""
    if plan.form in (Form.ORDER, Form.CANCEL):
        one = order_status if plan.form == Form.ORDER else cancel_status
        statuses: list[Status] = [
            {"error": item} if isinstance(item, str) else one(legs[item], events[item], answering)
            for item in plan.items
        ]
        return _ok({"type": plan.form.value, "data": {"statuses": statuses}})
    if plan.form == Form.MODIFY:
        return _modify_answer(plan, legs, events, answering)
    if plan.form == Form.TWAP_ORDER:
        return _ok({"type": "twapOrder", "data": {"status": _twap_status(plan, events)}})
    if plan.form == Form.TWAP_CANCEL:
        error = _refusal_of(events[0]) if not isinstance(plan.items[0], str) else plan.items[0]
        return _ok({"type": "twapCancel", "data": {"status": {"error": error} if error else "success"}})
    for one_leg in events:
        code = _refusal_code(one_leg)
        if code:
            return refused(_account_text(code, answering, volume_micro))
    if plan.form == Form.CREATE_SUB_ACCOUNT:
        return _ok({"type": "createSubAccount", "data": plan.detail})
    return _ok({"type": "default"})


def refused(text: str) -> dict[str, Any]:
    """The answer to an action that is refused as a whole."""
    return {"status": "err", "response": text}


def order_status(leg: np.void, events: Sequence[np.void], answering: Answering) -> Status:
    """The status of a leg that places an order, modifications and waiting orders included."""
    own = [event for event in events if event["account"] == leg["account"]]
    order_id = max((int(event["venue_order_id"]) for event in own if _is_of_the_order(event)), default=0)
    own = [event for event in own if _is_of_the_order(event) and event["venue_order_id"] == order_id]
    market = answering.listing.markets[int(leg["market"])].market
    taken = [event for event in own if event["kind"] == _FILLED]
    if taken:
        lots = sum(int(event["size_lots"]) for event in taken)
        value = sum(int(event["size_lots"]) * int(event["price_ticks"]) for event in taken)
        filled: dict[str, Any] = {
            "totalSz": answer_number(lots, market.size_decimals),
            "avgPx": answer_number((2 * value + lots) // (2 * lots), market.price_decimals),
            "oid": order_id,
        }
        return {"filled": _named(filled, leg, answering)}
    for event in own:
        if event["kind"] == _REJECTED:
            return {"error": _suffixed(_order_text(event, leg, answering), leg, answering)}
        if event["kind"] == _WAITING:
            return "waitingForTrigger" if event["aux0"] else "waitingForFill"
        if event["kind"] == _ACKNOWLEDGED:
            return {"resting": _named({"oid": order_id}, leg, answering)}
    refusal = _refusal(events)
    assert refusal is not None, f"no event tells what came of a leg of kind {leg['kind']}"
    return {"error": _suffixed(_order_text(refusal, leg, answering), leg, answering)}


def cancel_status(leg: np.void, events: Sequence[np.void], answering: Answering) -> Status:
    """The status of a leg that cancels."""
    code = _refusal_code(events)
    return {"error": _suffixed(TEXT[Refusal(code)], leg, answering)} if code else "success"


def _is_of_the_order(event: np.void) -> bool:
    if event["kind"] == _FILLED:
        return not event["flags"] & _MAKER
    return int(event["kind"]) in _OF_THE_ORDER


def _ok(response: Mapping[str, Any]) -> dict[str, Any]:
    return {"status": "ok", "response": response}


def _named(fields: dict[str, Any], leg: np.void, answering: Answering) -> dict[str, Any]:
    cloid = answering.client_ids.cloid_of(int(leg["client_id"]))
    return fields if cloid is None else {**fields, "cloid": cloid}


def _suffixed(text: str, leg: np.void, answering: Answering) -> str:
    if not answering.asset_suffix:
        return text
    return asset_suffix(text, answering.listing.markets[int(leg["market"])].market.asset_id)


def _order_text(refusal: np.void, leg: np.void, answering: Answering) -> str:
    """The text of an order's refusal, with what the venue says besides."""
    code = int(refusal["aux0"])
    text = TEXT[Refusal(code)]
    market = answering.listing.markets[int(leg["market"])].market
    if code == Refusal.BAD_ALO_PRICE:
        bid, ask = (
            decimal_text(int(ticks), market.price_decimals) if ticks > 0 else BBO_NONE
            for ticks in (refusal["bid_ticks"], refusal["ask_ticks"])
        )
        return f"{text}, bbo was {bid}@{ask}."
    if code == Refusal.ORDER_TOO_LARGE:
        return f"{text} Max is ${_value_max_micro(market, leg, answering) // MICRO}."
    if code == Refusal.MINIMUM_NOTIONAL and market.kind == MarketKind.SPOT:
        return "Order must have minimum value of 10 USDC."
    return text


def _value_max_micro(market: Market, leg: np.void, answering: Answering) -> int:
    """The largest order of that kind (venue reference section 2)."""
    rules = answering.rules[0]
    offered = next(leverage for leverage in (25, 20, 10, 1) if market.maximum_leverage >= leverage)
    largest = int(rules[f"value_max_leverage_{offered}_micro"])
    return largest if leg["time_in_force"] == TimeInForce.MARKET else largest * int(rules["limit_value_factor"])


def _modify_answer(
    plan: Plan, legs: np.ndarray, events: Sequence[Sequence[np.void]], answering: Answering
) -> dict[str, Any]:
    item = plan.items[0]
    if isinstance(item, str):
        return refused(item)
    rejection = _refusal(events[item])
    if rejection is None:
        return _ok({"type": "default"})
    text = _order_text(rejection, legs[item], answering)
    return refused(text if rejection["aux0"] == Refusal.CANNOT_MODIFY else DURING_MODIFY.format(text))


def _twap_status(plan: Plan, events: Sequence[Sequence[np.void]]) -> Status:
    item = plan.items[0]
    if isinstance(item, str):
        return {"error": item}
    code = _refusal_code(events[item])
    if code == Refusal.TWAP_DURATION:
        return {"error": f"{TEXT[Refusal.TWAP_DURATION]}: {plan.detail} min(s)"}
    if code:
        return {"error": TEXT[Refusal(code)]}
    running = next(event for event in events[item] if event["kind"] == _TWAP_STATE)
    return {"running": {"twapId": int(running["order_id"])}}


def _refusal_code(events: Sequence[np.void]) -> int:
    """The code of the refusal among the events, 0 for none."""
    refusal = _refusal(events)
    return 0 if refusal is None else int(refusal["aux0"])


def _refusal(events: Sequence[np.void]) -> np.void | None:
    """The event that refuses, if there is one."""
    return next((event for event in events if int(event["kind"]) in _REFUSING), None)


def _refusal_of(events: Sequence[np.void]) -> str:
    return TEXT[Refusal(_refusal_code(events))]


def _account_text(code: int, answering: Answering, volume_micro: int) -> str:
    text = TEXT[Refusal(code)]
    if code == Refusal.SCHEDULE_VOLUME:
        required = decimal_text(answering.scheduled_volume_micro, 6)
        # Two decimals, as in the venue's other texts that name a volume (venue reference section 4.4).
        traded = f"{volume_micro // MICRO}.{volume_micro % MICRO // 10_000:02d}"
        return f"{text} Required: ${required}. Traded: ${traded}."
    return text
