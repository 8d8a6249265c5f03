"""An exchange as it is made: empty, linked, and its caller's own."""

from __future__ import annotations

import numpy as np
import pytest

from hlhft.events import EVENT_DTYPE
from hlhft.units import Market
from hlhft.venue import rules as rule_sets
from hlhft.venue.state import VENUE_EVENT_DTYPE, Exchange, events_for, new_exchange
from tests.venue.desk import ALO, Desk, assert_consistent

BTC = Market.perpetual("BTC", asset_id=0, size_decimals=5)
ETH = Market(name="ETH", asset_id=1, price_decimals=2, size_decimals=4, maker_rate_e9=-30_000, taker_rate_e9=240_000)


def made(**changes: object) -> Exchange:
    markets = np.concatenate([BTC.record(), ETH.record()])
    settings = {"accounts": 3, "base_ticks": [100, 200], "width": 50, "slots": 5, **changes}
    return new_exchange(markets, rule_sets.hyperliquid(), **settings)  # type: ignore[arg-type]


def test_shapes():
    exchange = made()
    assert exchange.cells.shape == exchange.heads.shape == exchange.tails.shape == (2, 2, 50)
    assert exchange.holdings.shape == exchange.margins.shape == exchange.resting.shape == (3, 2)
    assert exchange.collateral.shape == exchange.open_orders.shape == (3,)
    assert exchange.orders.shape == (5,)
    assert exchange.events.shape == (events_for(5, 1),) == (44,)


def test_it_begins_empty_with_the_fees_of_each_market_and_leverage_one():
    exchange = made()
    assert_consistent(exchange)
    assert exchange.ladders["base_ticks"].tolist() == [100, 200]
    assert exchange.ladders["width"].tolist() == [50, 50]
    assert exchange.holdings["maker_rate_e9"].tolist() == [[150_000, -30_000]] * 3
    assert exchange.holdings["taker_rate_e9"].tolist() == [[450_000, 240_000]] * 3
    assert (exchange.holdings["leverage"] == 1).all()
    assert (exchange.marks == 0).all(), "unknown"
    engine = exchange.engine[0]
    assert (engine["next_order_id"], engine["next_trade_id"], engine["event_count"]) == (1, 1, 0)


@pytest.mark.parametrize(("slots", "buckets"), [(1, 2), (5, 8), (8, 16), (1000, 1024)])
def test_buckets_are_a_power_of_two_above_the_slots(slots, buckets):
    assert made(slots=slots).buckets.shape == (2, buckets)


def test_markets_and_rules_are_its_own():
    markets, rules = BTC.record(), rule_sets.hyperliquid()
    exchange = new_exchange(markets, rules, accounts=1, base_ticks=[1], width=1, slots=1)
    markets["lot_size"] = 7.0
    rules["enforce_margin"] = 0
    assert exchange.markets[0]["lot_size"] == 1e-5
    assert exchange.rules[0]["enforce_margin"] == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"accounts": 0}, "not 0, 50, 5, 1 and 2"),
        ({"width": 0}, "not 3, 0, 5, 1 and 2"),
        ({"slots": 0}, "not 3, 50, 0, 1 and 2"),
        ({"waiting": 0}, "not 3, 50, 5, 0 and 2"),
        ({"base_ticks": [1]}, "not 3, 50, 5, 1 and 1"),
    ],
)
def test_impossible_sizes_are_refused(changes, said):
    with pytest.raises(ValueError, match=f"at least 1 account, tick, slot and waiting order and 2 base prices, {said}"):
        made(**changes)


OF_THE_VENUE = (
    "venue_order_id",
    "trade_id",
    "start_position_lots",
    "leg",
    "builder_fee_micro",
    "twap_id",
    "bid_ticks",
    "ask_ticks",
)


def test_an_event_is_the_interchange_record_and_what_the_venue_knows_besides():
    names = EVENT_DTYPE.names or ()
    assert VENUE_EVENT_DTYPE.names == ("account", *names, *OF_THE_VENUE)
    assert all(VENUE_EVENT_DTYPE[name] == EVENT_DTYPE[name] for name in names)


def test_one_call_that_sweeps_trims_and_ends_every_order_has_room_for_its_events():
    """The worst there is: every maker is another account's reduce-only order, and each fill trims two accounts."""
    slots = 24
    desk = Desk(accounts=13, slots=slots)
    for account in range(12):
        desk.place(12, 1, 100, 10).run()
        desk.place(account, -1, 100, 10).run()
    for account in range(12):  # short ten each, with two orders that may only reduce
        desk.place(account, 1, 90, 6, ALO, reduce_only=1).run()
        desk.place(account, 1, 91, 4, ALO, reduce_only=1).run()
    events = desk.place(12, -1, 90, 120).run()
    assert len(events) >= 2 * slots
    assert len(events) <= events_for(slots)
    assert_consistent(desk.exchange, desk.history)
