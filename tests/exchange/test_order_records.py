"""Orders as they are remembered and shown."""

from __future__ import annotations

import pytest

from hlhft.exchange.order_records import (
    NOT_THE_OWNERS,
    STATUS_OF,
    OrderRecord,
    OrderUpdate,
    status_of,
    trigger_condition,
    trigger_text,
)
from hlhft.venue.refusals import Refusal
from tests.exchange.hall import LISTING

# Venue reference section 3.2.
STATUSES = frozenset(
    [
        "open",
        "filled",
        "canceled",
        "triggered",
        "rejected",
        "marginCanceled",
        "vaultWithdrawalCanceled",
        "openInterestCapCanceled",
        "selfTradeCanceled",
        "reduceOnlyCanceled",
        "siblingFilledCanceled",
        "delistedCanceled",
        "liquidatedCanceled",
        "outcomeSettledCanceled",
        "scheduledCancel",
        "internalCancel",
        "tickRejected",
        "minTradeNtlRejected",
        "perpMarginRejected",
        "reduceOnlyRejected",
        "badAloPxRejected",
        "iocCancelRejected",
        "badTriggerPxRejected",
        "marketOrderNoLiquidityRejected",
        "positionIncreaseAtOpenInterestCapRejected",
        "positionFlipAtOpenInterestCapRejected",
        "tooAggressiveAtOpenInterestCapRejected",
        "openInterestIncreaseRejected",
        "insufficientSpotBalanceRejected",
        "oracleRejected",
        "perpMaxPositionRejected",
        "tooManyOpenOrdersRejected",
    ]
)


def order(**more: object) -> OrderRecord:
    fields: dict[str, object] = {
        "account": 1,
        "row": 1,
        "listed": LISTING.markets[1],
        "oid": 313890189710,
        "side": 1,
        "limit_ticks": 150_000,
        "lots": 10_000,
        "lots_original": 10_000,
        "placed_ms": 1770381849546,
        "tif": "Alo",
        **more,
    }
    return OrderRecord(**fields)  # type: ignore[arg-type]


def test_every_refusal_has_a_word_of_the_venue_or_ends_no_order():
    assert set(STATUS_OF) == set(Refusal)
    assert {word for word in STATUS_OF.values() if word is not None} <= STATUSES
    assert {STATUS_OF[refusal] for refusal in NOT_THE_OWNERS} == {
        "selfTradeCanceled",
        "marginCanceled",
        "liquidatedCanceled",
        "siblingFilledCanceled",
        "scheduledCancel",
    }


@pytest.mark.parametrize(
    ("code", "word"),
    [
        (Refusal.BAD_ALO_PRICE, "badAloPxRejected"),
        (Refusal.REQUESTED, "canceled"),
        (Refusal.NEVER_PLACED, "rejected"),
        (9999, "rejected"),
    ],
)
def test_a_code_becomes_a_word(code, word):
    assert status_of(int(code)) == word


def test_an_order_is_shown_as_it_was_recorded():
    made = order(cloid="0x00030050c6301a2b00000100000000d2")
    assert OrderUpdate(made, "open", 10_000, 1770381849546).basic() == {
        "order": {
            "coin": "ETH",
            "side": "B",
            "limitPx": "1500.0",
            "sz": "1.0",
            "oid": 313890189710,
            "timestamp": 1770381849546,
            "origSz": "1.0",
            "cloid": "0x00030050c6301a2b00000100000000d2",
        },
        "status": "open",
        "statusTimestamp": 1770381849546,
    }


def test_an_order_without_a_cloid_does_not_say_so_and_a_reduce_only_one_does():
    shape = order(reduce_only=True, side=-1).basic(0)
    assert "cloid" not in shape
    assert (shape["reduceOnly"], shape["side"], shape["sz"]) == (True, "A", "0.0")


def test_the_long_shape_says_everything_and_names_the_children_that_wait():
    waiting, gone = order(oid=2), order(oid=3, status="canceled")
    parent = order(children=[waiting, gone])
    shape = OrderUpdate(parent, "filled", 0, 5).frontend()
    assert shape["order"] == {
        "coin": "ETH",
        "side": "B",
        "limitPx": "1500.0",
        "sz": "0.0",
        "oid": 313890189710,
        "timestamp": 1770381849546,
        "triggerCondition": "N/A",
        "isTrigger": False,
        "triggerPx": "0.0",
        "children": [waiting.frontend(10_000)],
        "isPositionTpsl": False,
        "reduceOnly": False,
        "orderType": "Limit",
        "origSz": "1.0",
        "tif": "Alo",
        "cloid": None,
    }


@pytest.mark.parametrize(
    ("side", "is_take_profit", "text"),
    [
        (-1, True, "Price above 10.004"),  # recorded: take profit and stop of a long
        (-1, False, "Price below 10.004"),
        (1, True, "Price below 10.004"),
        (1, False, "Price above 10.004"),
    ],
)
def test_a_trigger_fires_on_the_side_where_its_position_wins_or_loses(side, is_take_profit, text):
    assert trigger_condition(side=side, is_take_profit=is_take_profit, price="10.004") == text


def test_trigger_orders_are_called_as_the_venue_calls_them():
    names = [
        trigger_text(is_take_profit=profit, is_market=market) for profit in (True, False) for market in (True, False)
    ]
    assert names == ["Take Profit Market", "Take Profit Limit", "Stop Market", "Stop Limit"]
