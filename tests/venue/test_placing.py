"""Placing an order, in hand-computed scenarios: what it takes, what rests, and why it is refused."""

from __future__ import annotations

import pytest

from hlhft.venue.blocks import Grouping, TriggerKind
from hlhft.venue.matching import place_market, reference_ticks
from hlhft.venue.refusals import Refusal
from tests.venue.desk import (
    ACKNOWLEDGED,
    ALO,
    ANN,
    BOB,
    BUY,
    CANCELLED,
    CAT,
    DAN,
    EXPIRED,
    FILLED,
    GTC,
    IOC,
    MARKET,
    REJECTED,
    SELL,
    WAITING,
    Desk,
    Event,
    asks,
    assert_consistent,
    bids,
)

CHILD = {"grouping": Grouping.NORMAL_TPSL}


@pytest.fixture
def desk():
    """Every scenario ends with every invariant intact."""
    made = Desk()
    yield made
    assert_consistent(made.exchange, made.history)


# Price, then time.


def test_a_sweep_takes_the_best_price_first_and_the_oldest_first(desk):
    asks(desk, (ANN, 102, 5), (BOB, 101, 3), (CAT, 101, 4))
    assert desk.place(DAN, BUY, 102, 10).short() == [
        (FILLED, DAN, BUY, 101, 3, 7),  # the buyer is told first
        (FILLED, BOB, SELL, 101, 3, 0),
        (FILLED, DAN, BUY, 101, 4, 3),
        (FILLED, CAT, SELL, 101, 4, 0),
        (FILLED, DAN, BUY, 102, 3, 0),
        (FILLED, ANN, SELL, 102, 3, 2),  # a part
    ]
    assert desk.resting(SELL, 102) == [(ANN, 2)]
    assert [desk.position(account) for account in range(4)] == [-3, -3, -4, 10]


def test_a_seller_sweeps_the_bids_downward(desk):
    bids(desk, (ANN, 99, 5), (BOB, 100, 2), (CAT, 98, 9))
    assert desk.place(DAN, SELL, 99, 6).short() == [
        (FILLED, BOB, BUY, 100, 2, 0),
        (FILLED, DAN, SELL, 100, 2, 4),
        (FILLED, ANN, BUY, 99, 4, 1),
        (FILLED, DAN, SELL, 99, 4, 0),
    ]
    assert desk.touch() == (99, None)


def test_a_partial_fill_keeps_its_place(desk):
    asks(desk, (ANN, 101, 5), (BOB, 101, 5))
    desk.place(DAN, BUY, 101, 3, IOC).run()
    assert desk.resting(SELL, 101) == [(ANN, 2), (BOB, 5)]


def test_what_a_taker_does_not_get_rests_at_its_limit(desk):
    asks(desk, (ANN, 101, 3))
    assert desk.place(DAN, BUY, 102, 5).short() == [
        (FILLED, DAN, BUY, 101, 3, 2),
        (FILLED, ANN, SELL, 101, 3, 0),
        (ACKNOWLEDGED, DAN, BUY, 102, 2),
    ]
    assert desk.touch() == (102, None)
    assert desk.exchange.orders[0]["original_lots"] == 5, "as asked for"
    assert desk.exchange.orders[0]["placed_ns"] == desk.now_ns


def test_the_price_is_the_makers_and_the_fee_is_cut_at_six_decimals(desk):
    # Prices are 10.0 USDC and up, lots 1e-5: at 10.1 USDC 33,333 lots are 3.366633 USDC.
    asks(desk, (ANN, 101, 33_333))
    buyer, seller = desk.place(BOB, BUY, 150, 33_333, IOC).run()
    assert (buyer.price, buyer.fee, buyer.maker) == (101, 1_514, False)  # x 4.5 bp = 1514.98…
    assert (seller.price, seller.fee, seller.maker) == (101, 504, True)  # x 1.5 bp = 504.99…
    assert buyer.trade_id == seller.trade_id == 1
    assert desk.exchange.holdings["cash_quanta"][:2, 0].tolist() == [3_366_633, -3_366_633]


def test_each_side_is_told_its_position_before_the_fill(desk):
    asks(desk, (ANN, 101, 9))
    assert [event.start for event in desk.place(BOB, BUY, 101, 4, IOC).run()] == [0, 0]
    assert [event.start for event in desk.place(BOB, BUY, 101, 5, IOC).run()] == [4, -4]


def test_markets_do_not_meet():
    desk = Desk(markets=2)
    asks(desk, (ANN, 101, 5))
    assert desk.place(BOB, BUY, 101, 5, market=1).short() == [(ACKNOWLEDGED, BOB, BUY, 101, 5)]
    assert desk.touch(0) == (None, 101)
    assert desk.touch(1) == (101, None)
    assert_consistent(desk.exchange, desk.history)


# Times in force.


def test_post_only_never_takes(desk):
    asks(desk, (ANN, 101, 5))
    assert desk.place(BOB, BUY, 101, 1, ALO).short() == [(REJECTED, BOB, Refusal.BAD_ALO_PRICE)]
    assert desk.place(BOB, BUY, 100, 1, ALO).short() == [(ACKNOWLEDGED, BOB, BUY, 100, 1)]
    assert desk.place(BOB, SELL, 100, 1, ALO).short() == [(REJECTED, BOB, Refusal.BAD_ALO_PRICE)], "not even its own"


def test_an_immediate_order_takes_what_there_is_and_the_rest_expires(desk):
    asks(desk, (ANN, 101, 3), (ANN, 103, 3))
    assert desk.place(BOB, BUY, 102, 5, IOC).short() == [
        (FILLED, BOB, BUY, 101, 3, 2),
        (FILLED, ANN, SELL, 101, 3, 0),
        (EXPIRED, BOB, 2),
    ]
    assert desk.touch() == (None, 103)


def test_an_immediate_order_that_meets_nothing_is_rejected(desk):
    asks(desk, (ANN, 103, 3))
    assert desk.place(BOB, BUY, 102, 5, IOC).short() == [(REJECTED, BOB, Refusal.IOC_NO_MATCH)]


def test_prices_outside_the_band_can_be_taken_from_but_not_rested_at(desk):
    asks(desk, (ANN, 101, 3))
    assert desk.place(BOB, BUY, 201, 1).short() == [(REJECTED, BOB, Refusal.PRICE_BAND)]
    assert desk.place(BOB, BUY, 0, 1, ALO).short() == [(REJECTED, BOB, Refusal.PRICE_BAND)]
    assert desk.place(BOB, BUY, 10_000, 1, IOC).short()[0] == (FILLED, BOB, BUY, 101, 1, 0)
    assert desk.place(BOB, BUY, 200, 3).short()[-1] == (ACKNOWLEDGED, BOB, BUY, 200, 1), "the last tick of the band"


@pytest.mark.parametrize(("tif", "code"), [(IOC, Refusal.IOC_NO_MATCH), (MARKET, Refusal.NO_LIQUIDITY)])
def test_a_market_order_is_told_that_there_is_no_liquidity(desk, tif, code):
    bids(desk, (BOB, 90, 1))
    assert desk.place(ANN, BUY, 110, 4, tif).short() == [(REJECTED, ANN, code)]
    asks(desk, (BOB, 120, 1))  # beyond its limit: there is liquidity, but no match
    assert desk.place(ANN, BUY, 110, 4, tif).short() == [(REJECTED, ANN, Refusal.IOC_NO_MATCH)]
    assert desk.place(ANN, SELL, 80, 4, tif).short()[2:] == [(EXPIRED, ANN, 3)]
    assert desk.place(ANN, SELL, 80, 4, tif).short() == [(REJECTED, ANN, code)]


@pytest.mark.parametrize(("bid", "ask"), [(90, 110), (0, 110), (90, 0)])
def test_a_post_only_order_that_would_take_is_told_the_touch(desk, bid, ask):
    for side, price in ((BUY, bid), (SELL, ask)):
        if price:
            desk.place(BOB, side, price, 5, ALO).run()
    desk.place(ANN, BUY if ask else SELL, 111 if ask else 89, 1, ALO)
    desk.execute()
    told = desk.exchange.events[0]
    assert (told["kind"], told["aux0"]) == (REJECTED, Refusal.BAD_ALO_PRICE)
    assert (told["bid_ticks"], told["ask_ticks"]) == (bid, ask)
    desk.drain()


@pytest.mark.parametrize(("tif", "times"), [(MARKET, 1), (IOC, 10), (GTC, 10)])
def test_a_limit_order_may_be_ten_times_as_large_as_a_market_order(tif, times):
    """Leverage 40: 30 million USDC, which at 10,000.0 are 3,000 coins of 100,000 lots."""
    desk = Desk(validate=True, mark=100_000, width=10)
    most = times * 300_000_000
    assert desk.place(ANN, BUY, 100_000, most + 1, tif).short() == [(REJECTED, ANN, Refusal.ORDER_TOO_LARGE)]
    assert desk.place(ANN, BUY, 100_000, most, tif).short() != [(REJECTED, ANN, Refusal.ORDER_TOO_LARGE)]


# One account's own orders.


def test_the_resting_order_of_the_same_account_is_cancelled_and_the_aggressor_goes_on(desk):
    asks(desk, (ANN, 101, 3), (BOB, 101, 4), (ANN, 102, 5))
    assert desk.place(ANN, BUY, 102, 6).short() == [
        (CANCELLED, ANN, 3, Refusal.SELF_TRADE),
        (FILLED, ANN, BUY, 101, 4, 2),
        (FILLED, BOB, SELL, 101, 4, 0),
        (CANCELLED, ANN, 5, Refusal.SELF_TRADE),
        (ACKNOWLEDGED, ANN, BUY, 102, 2),
    ]
    assert desk.position(ANN) == 4


def test_an_immediate_order_that_meets_only_its_own_account_matches_nothing(desk):
    asks(desk, (ANN, 101, 3))
    assert desk.place(ANN, BUY, 101, 6, IOC).short() == [
        (CANCELLED, ANN, 3, Refusal.SELF_TRADE),
        (REJECTED, ANN, Refusal.IOC_NO_MATCH),
    ]


# Builders and the venue's fees.


def test_a_builder_gets_its_share_of_the_notional_on_top(desk):
    """A hundred million lots at 100 are 10,000 USDC; 4.5 and 1.5 basis points are the fees, CAT gets one and a half."""
    lots = 10**8
    desk.place(ANN, SELL, 100, lots, ALO, builder=CAT + 1, builder_rate_e9=100_000).run()
    told = desk.place(BOB, BUY, 100, lots, IOC, builder=CAT + 1, builder_rate_e9=50_000).run()
    assert [(event.account, event.fee) for event in told] == [(BOB, 5_000_000), (ANN, 2_500_000)]
    assert desk.exchange.builder_fees.tolist() == [0, 0, 1_500_000, 0]
    assert desk.exchange.engine[0]["fees_micro"] == 6_000_000
    assert desk.exchange.holdings["fee_micro"][:, 0].tolist() == [2_500_000, 5_000_000, 0, 0]


def test_the_event_tells_the_builders_part(desk):
    desk.place(ANN, SELL, 100, 1999, ALO).run()
    desk.place(BOB, BUY, 100, 1999, IOC, builder=ANN + 1, builder_rate_e9=1_000_000)
    desk.execute()
    told = desk.exchange.events[:2]
    assert told["builder_fee_micro"].tolist() == [199, 0]  # a thousandth of 199,900, truncated
    assert told["aux1"].tolist() == [89 + 199, 29]
    desk.drain()


def test_rebates_lower_the_venues_fees(desk):
    desk.exchange.holdings["maker_rate_e9"] = -30_000
    asks(desk, (ANN, 100, 10**8))
    desk.place(BOB, BUY, 100, 10**8, IOC).run()
    assert desk.exchange.engine[0]["fees_micro"] == 4_500_000 - 300_000


def test_the_book_remembers_what_an_order_was(desk):
    fields = {"builder": CAT + 1, "builder_rate_e9": 7, "priority_rate_e8": 8}
    desk.place(ANN, BUY, 90, 5, ALO, **fields).place(ANN, BUY, 91, 5, GTC).run()
    first, second = desk.exchange.orders[:2]
    assert {name: first[name] for name in fields} == fields
    assert (first["time_in_force"], second["time_in_force"]) == (ALO, GTC)
    assert (second["builder"], second["builder_rate_e9"], second["priority_rate_e8"]) == (0, 0, 0)


# Orders that belong together.


def pair(desk: Desk, *, tp_price: int | None) -> None:
    """ANN buys ten at 100, with a take-profit at 110, of which with a price a limit order, and a stop at 90."""
    desk.mark(100)
    desk.place(ANN, BUY, 100, 10, ALO, action=1, **CHILD)
    desk.trigger(ANN, SELL, TriggerKind.TAKE_PROFIT, 110, 10, tp_price, action=1, **CHILD)
    desk.trigger(ANN, SELL, TriggerKind.STOP_LOSS, 90, 10, action=1, **CHILD).run()


def test_a_parent_that_is_filled_as_a_maker_arms_its_children(desk):
    pair(desk, tp_price=None)
    assert [event[0] for event in desk.place(BOB, SELL, 100, 9).short()] == [FILLED, FILLED]
    assert [event[0] for event in desk.place(BOB, SELL, 100, 1).short()] == [FILLED, FILLED, WAITING, WAITING]


def test_a_child_that_takes_ends_the_other_before_its_rest_is_told(desk):
    pair(desk, tp_price=None)
    desk.place(BOB, SELL, 100, 10).run()
    bids(desk, (CAT, 105, 4))
    told = desk.mark(110).short()
    assert told[3:] == [(CANCELLED, ANN, 10, Refusal.SIBLING_FILLED), (EXPIRED, ANN, 6)]


def test_a_child_that_rests_ends_the_other_at_its_first_fill(desk):
    pair(desk, tp_price=112)
    desk.place(BOB, SELL, 100, 10).run()
    desk.mark(110).run()
    told = desk.place(CAT, BUY, 112, 4, IOC).short()
    assert told[2:] == [(CANCELLED, ANN, 10, Refusal.SIBLING_FILLED)]
    assert [event[0] for event in desk.place(CAT, BUY, 112, 4, IOC).short()] == [FILLED, FILLED]


def test_priority_is_refused_and_charged_at_placement(desk):
    assert desk.place(ANN, BUY, 90, 1, GTC, priority_rate_e8=1).short() == [
        (REJECTED, ANN, Refusal.PRIORITY_NOT_ALLOWED)
    ]
    desk.place(ANN, BUY, 90, 10**6, ALO, priority_rate_e8=10_000).run()
    assert desk.exchange.engine[0]["burned_micro"] == 9_000


# Ids and limits.


def test_refused_orders_use_up_an_id_unless_their_price_was_none():
    desk = Desk(validate=True, width=5_000)
    ids = []
    for price, lots in ((0, 100_000), (1_000, 1), (1_000, 100_000), (1_000, 0)):
        ids.append((desk.place(ANN, BUY, price, lots).run()[0].order_id, desk.history[-1].aux0))
    assert ids == [(0, Refusal.INVALID_PRICE), (1, Refusal.MINIMUM_NOTIONAL), (2, 2), (3, Refusal.ZERO_SIZE)]
    assert desk.history[2].kind == ACKNOWLEDGED
    assert desk.history[2].aux0 == 2, "an acknowledgement carries the venue's id"


def test_a_full_slab_refuses_what_would_rest_and_takes_what_takes():
    desk = Desk(slots=2)
    asks(desk, (ANN, 101, 1), (ANN, 102, 1))
    assert desk.place(BOB, BUY, 90, 1).short() == [(REJECTED, BOB, Refusal.TOO_MANY_OPEN_ORDERS)]
    assert desk.place(BOB, BUY, 90, 1, ALO).short() == [(REJECTED, BOB, Refusal.TOO_MANY_OPEN_ORDERS)]
    # What takes a maker's whole order takes its slot as well.
    assert desk.place(BOB, BUY, 101, 3).short() == [
        (FILLED, BOB, BUY, 101, 1, 2),
        (FILLED, ANN, SELL, 101, 1, 0),
        (ACKNOWLEDGED, BOB, BUY, 101, 2),
    ]
    assert desk.place(CAT, SELL, 101, 2, IOC).short()[0] == (FILLED, BOB, BUY, 101, 2, 0)
    assert desk.place(BOB, BUY, 90, 1).short() == [(ACKNOWLEDGED, BOB, BUY, 90, 1)]
    assert_consistent(desk.exchange, desk.history)


def test_the_limit_on_open_orders_counts_the_accounts_own():
    desk = Desk(validate=True, width=2_000)
    desk.exchange.rules["open_orders_max"] = 2
    for _ in range(2):
        assert desk.place(ANN, BUY, 1_000, 100_000, ALO).run()[0].kind == ACKNOWLEDGED
    assert desk.place(ANN, BUY, 1_000, 100_000, ALO).short() == [(REJECTED, ANN, Refusal.TOO_MANY_OPEN_ORDERS)]
    assert desk.place(BOB, BUY, 1_000, 100_000, ALO).run()[0].kind == ACKNOWLEDGED
    desk.cancel(ANN, 1).run()
    assert desk.place(ANN, BUY, 1_000, 100_000, ALO).run()[0].kind == ACKNOWLEDGED
    assert_consistent(desk.exchange, desk.history)


def test_events_without_room_are_counted_and_the_last_is_the_newest():
    desk = Desk(slots=1, waiting=1)
    desk.place(ANN, BUY, 90, 1)
    for _ in range(30):
        desk.cancel(BOB, 9)
    with pytest.raises(AssertionError):
        desk.run()
    assert desk.exchange.engine[0]["event_count"] == len(desk.exchange.events) == 24
    assert desk.exchange.engine[0]["dropped"] == 7


# What bands are measured from.


def test_the_reference_is_the_mark_else_the_middle_else_the_one_side(desk):
    exchange = desk.exchange
    assert reference_ticks(exchange, 0) == 0
    asks(desk, (ANN, 111, 1))
    assert reference_ticks(exchange, 0) == 111
    bids(desk, (ANN, 100, 1))
    assert reference_ticks(exchange, 0) == 105
    desk.cancel(ANN, 1).run()
    assert reference_ticks(exchange, 0) == 100
    exchange.marks[0] = 77
    assert reference_ticks(exchange, 0) == 77


def test_the_band_is_measured_from_it():
    desk = Desk(validate=True, width=5_000, mark=1_000)
    assert desk.place(ANN, BUY, 1_951, 100_000).short() == [(REJECTED, ANN, Refusal.PRICE_BAND)]
    assert desk.place(ANN, BUY, 1_950, 100_000).run()[0].kind == ACKNOWLEDGED


# Margin.


def test_margin_is_checked_at_placement():
    # At a mark of 100 ticks a lot is worth 100 micro-USDC; 1000 of collateral at leverage 10 carry 100 lots.
    desk = Desk(margin=True, mark=100, collateral=1_000)
    assert desk.place(ANN, BUY, 100, 101).short() == [(REJECTED, ANN, Refusal.MARGIN)]
    assert desk.place(ANN, BUY, 100, 60).run()[0].kind == ACKNOWLEDGED
    assert desk.place(ANN, BUY, 99, 41).short() == [(REJECTED, ANN, Refusal.MARGIN)], "resting orders count"
    assert desk.place(ANN, BUY, 99, 40).run()[0].kind == ACKNOWLEDGED
    assert desk.place(BOB, SELL, 99, 100).run()[-1].kind == FILLED
    assert desk.place(ANN, SELL, 120, 100).run()[0].kind == ACKNOWLEDGED, "what closes needs nothing"
    # 40 lots were bought one tick below the mark: 40 of profit is free, for four lots that would open a short.
    assert desk.place(ANN, SELL, 121, 5).short() == [(REJECTED, ANN, Refusal.MARGIN)]
    assert desk.place(ANN, SELL, 121, 4).run()[0].kind == ACKNOWLEDGED
    assert desk.place(ANN, SELL, 121, 500, reduce_only=1).run()[0].kind == ACKNOWLEDGED
    assert_consistent(desk.exchange, desk.history)


def test_nobody_opens_while_there_is_no_mark():
    desk = Desk(margin=True, collateral=10**9)
    assert desk.place(ANN, BUY, 100, 1).short() == [(REJECTED, ANN, Refusal.MARGIN)]
    desk.exchange.marks[0] = 100
    assert desk.place(ANN, BUY, 100, 1).run()[0].kind == ACKNOWLEDGED


def test_margin_is_checked_again_when_a_maker_is_matched():
    desk = Desk(margin=True, mark=100, collateral=1_000)
    desk.place(ANN, BUY, 100, 50).run()
    desk.place(BOB, SELL, 100, 50).run()  # ANN is long 50
    desk.place(ANN, BUY, 99, 40, ALO).place(ANN, SELL, 130, 50, ALO).run()
    desk.exchange.marks[0] = 78
    # 50 lots lost 22 each: 1100 of 1000, so nothing is free.
    assert desk.place(CAT, SELL, 99, 40, IOC).short() == [
        (CANCELLED, ANN, 40, Refusal.MARGIN_CANCELLED),
        (REJECTED, CAT, Refusal.IOC_NO_MATCH),
    ]
    # What only closes is matched all the same.
    assert desk.place(CAT, BUY, 130, 20, IOC).short()[-1] == (FILLED, ANN, SELL, 130, 20, 30)
    assert_consistent(desk.exchange, desk.history)


def test_isolated_positions_draw_their_margin_from_the_cross_account():
    desk = Desk(margin=True, mark=100, collateral=1_000)
    desk.exchange.margins["isolated"][ANN] = 1
    desk.place(BOB, SELL, 100, 60).place(ANN, BUY, 100, 60).run()
    # 60 x 100 / 10 = 600 moved over.
    assert desk.exchange.margins[ANN, 0]["bucket_micro"] == 600
    assert desk.exchange.collateral[ANN] == 400
    desk.place(BOB, BUY, 110, 30).place(ANN, SELL, 110, 30).run()
    # At 110 it was worth 600 + 60 x 10 = 1200, half of which came back.
    assert desk.exchange.collateral[ANN] == 1_000
    desk.place(BOB, BUY, 90, 30).place(ANN, SELL, 90, 30, IOC).run()
    # The other half lost 30 x 20: nothing comes back, and nothing stays.
    assert desk.exchange.collateral[ANN] == 1_000
    assert desk.exchange.margins[ANN, 0]["bucket_micro"] + desk.exchange.holdings[ANN, 0]["cash_quanta"] == 0
    assert desk.exchange.collateral[BOB] == 1_000, "cross accounts keep their collateral"
    assert_consistent(desk.exchange, desk.history)


def test_a_forced_order_takes_at_any_price_and_without_checks():
    desk = Desk(validate=True, margin=True, width=5_000, mark=1_000)
    desk.exchange.collateral[:] = 10**9
    desk.place(ANN, SELL, 1_100, 100_000).place(BOB, SELL, 1_900, 100_000).run()
    desk.exchange.collateral[CAT] = 0
    assert place_market(desk.exchange, CAT, 0, BUY, 250_000, desk.now_ns) == 50_000
    assert [event.short for event in desk.drain()] == [
        (FILLED, CAT, BUY, 1_100, 100_000, 150_000),
        (FILLED, ANN, SELL, 1_100, 100_000, 0),
        (FILLED, CAT, BUY, 1_900, 100_000, 50_000),
        (FILLED, BOB, SELL, 1_900, 100_000, 0),
    ]
    assert place_market(desk.exchange, CAT, 0, SELL, 1, desk.now_ns) == 1, "an empty side gives nothing"
    assert_consistent(desk.exchange, desk.history)


def test_events_carry_everything(desk):
    """One event spelled out in full, so that what the other tests compare means something."""
    asks(desk, (ANN, 101, 5))
    buyer, seller = desk.place(BOB, BUY, 102, 2, GTC, client_id=9).run()
    assert buyer == Event(FILLED, BOB, 0, 9, 2, BUY, 101, 2, 0, 0, False, 1, 0)
    assert seller == Event(FILLED, ANN, 0, 0, 1, SELL, 101, 2, 3, 0, True, 1, 0)
