"""What is appended to the venue's events, field by field, and what happens when there is no room."""

from __future__ import annotations

import numpy as np

from hlhft.events import EventFlag, EventKind
from hlhft.venue.blocks import ACTION_DTYPE
from hlhft.venue.event_log import append_event, tell_leg, tell_order
from hlhft.venue.state import VENUE_EVENT_DTYPE
from tests.venue.desk import Desk


def row(desk: Desk, at: int) -> dict[str, int]:
    """The event's fields that are not zero."""
    event = desk.exchange.events[at]
    return {name: int(event[name]) for name in VENUE_EVENT_DTYPE.names or () if event[name] != 0}


def test_every_field_is_written():
    desk = Desk(markets=2)
    desk.exchange.events.view(np.uint8)[:] = 0x55
    desk.exchange.events["padding"] = 0
    desk.exchange.engine["leg"] = 3
    append_event(desk.exchange, EventKind.ORDER_WAITING, 2, 1, 7, 8, -1, 90, 4, 5, 6, 10**18)
    assert row(desk, 0) == {
        "account": 2, "ts_exch_ns": 10**18, "price_ticks": 90, "size_lots": 4, "order_id": 7, "aux0": 5, "aux1": 6,
        "kind": EventKind.ORDER_WAITING, "flags": EventFlag.EXCHANGE_VISIBLE, "market": 1, "side": -1,
        "venue_order_id": 8, "leg": 3,
    }  # fmt: skip


def test_an_order_is_told_at_its_limit_with_the_twap_that_sent_it():
    desk = Desk()
    order = desk.exchange.taker[0]
    for name, value in {
        "account": 1,
        "client_id": 7,
        "order_id": 8,
        "side": 1,
        "price_ticks": 90,
        "twap_id": 2,
    }.items():
        order[name] = value
    tell_order(desk.exchange, EventKind.ORDER_EXPIRED, order, 4, 5, 6, 10**18)
    told = row(desk, 0)
    assert [told[name] for name in ("account", "order_id", "venue_order_id", "price_ticks", "size_lots")] == [
        1, 7, 8, 90, 4,
    ]  # fmt: skip
    assert [told[name] for name in ("aux0", "aux1", "twap_id")] == [5, 6, 2]


def test_a_leg_is_told_with_its_account_market_and_id():
    desk = Desk(markets=2)
    leg = np.zeros(1, ACTION_DTYPE)[0]
    leg["account"], leg["market"], leg["client_id"], leg["size_lots"] = 2, 1, 9, 5
    tell_leg(desk.exchange, EventKind.ACTION_REFUSED, leg, 33, 6, 10**18)
    told = row(desk, 0)
    assert "size_lots" not in told
    assert [told[name] for name in ("account", "market", "order_id", "aux0", "aux1")] == [2, 1, 9, 33, 6]


def test_without_room_the_latest_gives_way_and_is_counted():
    desk = Desk(slots=1, waiting=1)
    capacity = len(desk.exchange.events)
    for number in range(capacity + 2):
        append_event(desk.exchange, EventKind.NONE, 0, 0, number + 1, 0, 0, 0, 0, 0, 0, 1)
    engine = desk.exchange.engine[0]
    assert (engine["event_count"], engine["dropped"]) == (capacity, 2)
    assert desk.exchange.events["order_id"][[0, capacity - 2, capacity - 1]].tolist() == [1, capacity - 1, capacity + 2]
