"""Events of accounts and prices: every field is written, and what does not fit is counted."""

from __future__ import annotations

import numpy as np

from hlhft.events import EventFlag, EventKind
from hlhft.units import Market
from hlhft.venue import rules as rule_sets
from hlhft.venue.blocks import ACTION_DTYPE, ActionKind
from hlhft.venue.outcomes import tell, tell_outcome
from hlhft.venue.refusals import Refusal
from hlhft.venue.state import new_exchange

BTC = Market.perpetual("BTC", asset_id=0, size_decimals=5)


def venue(slots: int = 1):
    exchange = new_exchange(BTC.record(), rule_sets.hyperliquid(), accounts=2, base_ticks=[1], width=10, slots=slots)
    exchange.events.view(np.uint8)[:] = 0x55
    exchange.engine[0]["leg"] = 7
    return exchange


def test_an_event_leaves_nothing_of_what_was_there():
    exchange = venue()
    assert tell(exchange, EventKind.LIQUIDATION, 1, 2, 3, 4, 5, 6, 10**18) == 0
    assert exchange.engine[0]["event_count"] == 1
    event = exchange.events[0]
    written = {name: int(event[name]) for name in exchange.events.dtype.names if name != "padding"}
    assert {name: value for name, value in written.items() if value != 0} == {
        "account": 1, "ts_exch_ns": 10**18, "price_ticks": 3, "size_lots": 4, "aux0": 5, "aux1": 6,
        "kind": EventKind.LIQUIDATION, "flags": EventFlag.EXCHANGE_VISIBLE, "market": 2, "leg": 7,
    }  # fmt: skip


def test_outcomes_name_the_leg_and_the_code():
    exchange = venue()
    leg = np.zeros(1, ACTION_DTYPE)
    leg["kind"], leg["account"] = ActionKind.WITHDRAW, 1
    tell_outcome(exchange, leg[0], 0, 5)
    tell_outcome(exchange, leg[0], Refusal.INVALID_AMOUNT, 5)
    told = [(int(e["kind"]), int(e["account"]), int(e["aux0"]), int(e["aux1"])) for e in exchange.events[:2]]
    assert told == [
        (EventKind.ACTION_DONE, 1, ActionKind.WITHDRAW, 0),
        (EventKind.ACTION_REFUSED, 1, Refusal.INVALID_AMOUNT, ActionKind.WITHDRAW),
    ]


def test_an_event_without_room_replaces_the_last_and_is_counted():
    exchange = venue()
    capacity = len(exchange.events)
    for number in range(capacity + 2):
        row = tell(exchange, EventKind.ACTION_DONE, 0, 0, 0, 0, number, 0, 5)
    assert row == capacity - 1
    assert exchange.events["aux0"].tolist() == [*range(capacity - 1), capacity + 1]
    assert (exchange.engine[0]["event_count"], exchange.engine[0]["dropped"]) == (capacity, 2)
