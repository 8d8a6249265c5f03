"""Recorded liquidity in the order-level book, in hand-computed scenarios and against the recorded venue."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hlhft.venue.background import background_lots
from hlhft.venue.blocks import ACTION_DTYPE, ActionKind, sort_actions
from hlhft.venue.queue import QueueModel
from hlhft.venue.refusals import Refusal
from tests.venue.desk import (
    ACKNOWLEDGED,
    ALO,
    ANN,
    BOB,
    BUY,
    CANCELLED,
    FILLED,
    IOC,
    SELL,
    Desk,
    assert_consistent,
)
from tests.venue.desk import CAT as BACK  # the background
from tests.venue.desk import DAN as FLOW  # who takes in the recording
from tests.venue.recorded_market import RecordedMarket, rules

LEVEL, TRADE = ActionKind.BACKGROUND_LEVEL, ActionKind.BACKGROUND_TRADE
DONE = 53


class Feed(Desk):
    """A desk that a feed speaks to, each row a block of its own."""

    def __init__(self, model: QueueModel = QueueModel.POWER, **more: int) -> None:
        super().__init__(**more)
        self.exchange.rules["queue_model"], self.exchange.rules["queue_power"] = int(model), 2.0
        self.recorded: dict[tuple[int, int], int] = {}

    def level(self, side: int, price: int, lots: int) -> list[tuple]:
        """The feed names a level; what came of it, in short."""
        before = self.recorded.get((side, price), 0)
        self.recorded[side, price] = lots
        self.leg(kind=LEVEL, account=BACK, side=side, price_ticks=price, size_lots=lots, amount=before)
        return [event[:-1] if event[0] == DONE else event for event in self.short()]

    def trade(self, side: int, price: int, lots: int) -> list[tuple]:
        """The feed tells a trade; the fills that came of it."""
        at = (-side, price)
        self.recorded[at] = max(self.recorded.get(at, 0) - lots, 0)
        self.leg(kind=TRADE, account=FLOW, counterparty=BACK, side=side, price_ticks=price, size_lots=lots)
        return [event for event in self.short() if event[0] == FILLED]

    def background(self, side: int, price: int) -> int:
        return int(background_lots(self.exchange, BACK, 0, 0 if side > 0 else 1, price))


@pytest.fixture
def feed():
    """Every scenario ends with every invariant intact."""
    made = Feed()
    yield made
    assert_consistent(made.exchange, made.history)


# Levels.


def test_a_level_comes_grows_and_goes(feed):
    assert feed.level(BUY, 100, 10) == [(ACKNOWLEDGED, BACK, BUY, 100, 10), (DONE, BACK)]
    assert feed.touch() == (100, None)
    # Nobody stands behind it: the same order grows, so that a level needs few.
    assert feed.level(BUY, 100, 13) == [(ACKNOWLEDGED, BACK, BUY, 100, 13), (DONE, BACK)]
    assert feed.resting(BUY, 100) == [(BACK, 13)]
    assert feed.level(BUY, 100, 4) == [(ACKNOWLEDGED, BACK, BUY, 100, 4), (DONE, BACK)]
    assert feed.level(BUY, 100, 4) == [(DONE, BACK)]
    assert feed.level(BUY, 100, 0) == [(CANCELLED, BACK, 4, Refusal.REQUESTED), (DONE, BACK)]
    assert feed.touch() == (None, None)


def test_what_joins_stands_behind_us(feed):
    feed.level(SELL, 100, 10)
    feed.place(ANN, SELL, 100, 2).run()
    feed.level(SELL, 100, 16)
    assert feed.resting(SELL, 100) == [(BACK, 10), (ANN, 2), (BACK, 6)]
    feed.level(SELL, 100, 17)
    assert feed.resting(SELL, 100) == [(BACK, 10), (ANN, 2), (BACK, 7)]


def test_a_decrease_is_split_by_the_queue_model(feed):
    feed.level(BUY, 100, 10)
    feed.place(ANN, BUY, 100, 2).run()
    feed.level(BUY, 100, 16)
    # Behind with probability 36 / (36 + 100): of 8 lots 5.88 stood ahead, so 4.12 are left there.
    feed.level(BUY, 100, 8)
    assert feed.resting(BUY, 100) == [(BACK, 4), (ANN, 2), (BACK, 4)]
    feed.level(BUY, 100, 0)
    assert feed.resting(BUY, 100) == [(ANN, 2)]


def test_risk_averse_all_that_left_stood_behind():
    feed = Feed(QueueModel.RISK_AVERSE)
    feed.level(BUY, 100, 10)
    feed.place(ANN, BUY, 100, 2).run()
    feed.level(BUY, 100, 16)
    feed.level(BUY, 100, 12)
    assert feed.resting(BUY, 100) == [(BACK, 10), (ANN, 2), (BACK, 2)]
    feed.level(BUY, 100, 8)
    assert feed.resting(BUY, 100) == [(BACK, 8), (ANN, 2)]


def test_several_orders_are_judged_one_by_one(feed):
    feed.level(BUY, 100, 10)
    feed.place(ANN, BUY, 100, 1).run()
    feed.level(BUY, 100, 20)
    feed.place(BOB, BUY, 100, 1).place(ANN, BUY, 100, 3).run()
    feed.level(BUY, 100, 40)
    assert feed.resting(BUY, 100) == [(BACK, 10), (ANN, 1), (BACK, 10), (BOB, 1), (ANN, 3), (BACK, 20)]
    # 10 ahead, 30 behind: 900 / 1000 of 20 stood behind, so 8 stay; 20 and 20: half of 20, so 10 stay ahead.
    feed.level(BUY, 100, 20)
    assert feed.resting(BUY, 100) == [(BACK, 8), (ANN, 1), (BACK, 2), (BOB, 1), (ANN, 3), (BACK, 10)]


def test_orders_between_which_others_left_are_one_run(feed):
    feed.level(BUY, 100, 5)
    feed.place(ANN, BUY, 100, 1, client_id=7).run()
    feed.level(BUY, 100, 9)
    feed.cancel(ANN, 7, target_is_client_id=1).place(BOB, BUY, 100, 1).run()
    assert feed.resting(BUY, 100) == [(BACK, 5), (BACK, 4), (BOB, 1)]
    # Nothing stands behind Bob: all 7 left ahead of him, the older order first.
    feed.level(BUY, 100, 2)
    assert feed.resting(BUY, 100) == [(BACK, 2), (BOB, 1)]


def test_an_order_whose_share_is_no_number_has_all_that_is_left_ahead(feed):
    feed.exchange.rules["queue_model"] = int(QueueModel.POWER_TOTAL)
    feed.exchange.rules["queue_power"] = -1.0
    feed.level(BUY, 100, 6)
    feed.place(ANN, BUY, 100, 1).run()
    feed.level(BUY, 100, 3)
    assert feed.resting(BUY, 100) == [(BACK, 3), (ANN, 1)]


# Trades.


def test_a_trade_takes_the_oldest_first_and_prints_whole(feed):
    feed.level(SELL, 101, 5)
    feed.place(ANN, SELL, 101, 3).run()
    feed.level(SELL, 101, 9)
    assert feed.trade(BUY, 101, 6) == [
        (FILLED, FLOW, BUY, 101, 5, 1),
        (FILLED, BACK, SELL, 101, 5, 0),
        (FILLED, FLOW, BUY, 101, 1, 0),
        (FILLED, ANN, SELL, 101, 1, 2),
    ]
    # In the recording the level lost 6 of its 9 lots: the one that Ann got in their place is gone from the front.
    assert feed.resting(SELL, 101) == [(ANN, 2), (BACK, 3)]
    assert feed.level(SELL, 101, 3) == [(DONE, BACK)]


def test_what_the_level_does_not_hold_trades_off_the_book(feed):
    feed.level(BUY, 99, 2)
    assert feed.trade(SELL, 99, 5) == [
        (FILLED, BACK, BUY, 99, 2, 0),
        (FILLED, FLOW, SELL, 99, 2, 3),
        (FILLED, BACK, BUY, 99, 3, 0),
        (FILLED, FLOW, SELL, 99, 3, 0),
    ]
    assert feed.touch() == (None, None)
    assert feed.trade(BUY, 99, 1) == [(FILLED, FLOW, BUY, 99, 1, 0), (FILLED, BACK, SELL, 99, 1, 0)]
    assert feed.trade(BUY, 4_000, 1) == [(FILLED, FLOW, BUY, 4_000, 1, 0), (FILLED, BACK, SELL, 4_000, 1, 0)]
    assert (feed.position(BACK), feed.position(FLOW)) == (3, -3)


def test_a_trade_goes_through_our_better_prices_but_not_through_stale_levels(feed):
    feed.level(SELL, 101, 5)
    feed.place(ANN, SELL, 102, 2).place(BOB, SELL, 101, 1).run()
    feed.level(SELL, 103, 4)
    # The recorded level at 101 was not traded: the feed will tell that it is gone.
    assert feed.trade(BUY, 103, 4) == [
        (FILLED, FLOW, BUY, 101, 1, 3),
        (FILLED, BOB, SELL, 101, 1, 0),
        (FILLED, FLOW, BUY, 102, 2, 1),
        (FILLED, ANN, SELL, 102, 2, 0),
        (FILLED, FLOW, BUY, 103, 1, 0),
        (FILLED, BACK, SELL, 103, 1, 3),
    ]
    assert feed.background(SELL, 103) == 0
    assert feed.touch() == (None, 101)


def test_a_seller_goes_down_through_our_bids(feed):
    feed.level(BUY, 100, 3)
    feed.place(ANN, BUY, 99, 5).run()
    feed.level(BUY, 98, 3)
    assert feed.trade(SELL, 98, 4) == [(FILLED, ANN, BUY, 99, 4, 1), (FILLED, FLOW, SELL, 99, 4, 0)]
    # The recorded level is gone all the same.
    assert (feed.background(BUY, 98), feed.resting(BUY, 99)) == (0, [(ANN, 1)])


def test_a_maker_without_margin_ends_instead_of_trading():
    feed = Feed(margin=True, mark=100, collateral=10_000)
    feed.exchange.collateral[[BACK, FLOW]] = 10**12
    feed.place(ANN, SELL, 100, 900).run()
    feed.exchange.collateral[ANN] = 0
    feed.leg(kind=TRADE, account=FLOW, counterparty=BACK, side=BUY, price_ticks=100, size_lots=1)
    assert feed.short() == [
        (CANCELLED, ANN, 900, Refusal.MARGIN_CANCELLED),
        (FILLED, FLOW, BUY, 100, 1, 0),
        (FILLED, BACK, SELL, 100, 1, 0),
        (DONE, FLOW, TRADE),
    ]


# Our orders in the feed's way.


def test_a_level_that_comes_through_our_order_fills_it_and_rests_whole(feed):
    feed.place(ANN, SELL, 101, 2).run()
    assert feed.level(BUY, 102, 7) == [
        (FILLED, BACK, BUY, 101, 2, 5),
        (FILLED, ANN, SELL, 101, 2, 0),
        (ACKNOWLEDGED, BACK, BUY, 102, 7),
        (DONE, BACK),
    ]


def test_while_our_order_is_in_the_way_the_level_stays_out(feed):
    refused = (54, BACK, Refusal.BAD_ALO_PRICE)
    feed.place(ANN, SELL, 101, 10).run()
    assert feed.level(BUY, 101, 4)[-1] == refused
    assert (feed.resting(SELL, 101), feed.touch()) == ([(ANN, 6)], (None, 101))
    # Only what the level grew by is new and takes.
    assert feed.level(BUY, 101, 5)[-1] == refused
    assert feed.resting(SELL, 101) == [(ANN, 5)]
    assert feed.level(BUY, 101, 5) == [refused]
    feed.place(BOB, BUY, 101, 5, IOC).run()
    feed.level(BUY, 101, 5)
    assert feed.resting(BUY, 101) == [(BACK, 5)]


def test_what_takers_took_comes_back_when_the_level_is_named(feed):
    feed.level(SELL, 101, 5)
    feed.place(ANN, BUY, 101, 3, IOC).run()
    assert feed.background(SELL, 101) == 2
    feed.level(SELL, 101, 5)
    assert feed.background(SELL, 101) == 5


def test_where_it_cannot_rest_it_is_refused():
    feed = Feed(slots=1)
    assert feed.level(BUY, 0, 5) == [(54, BACK, Refusal.PRICE_BAND)]
    assert feed.level(BUY, 201, 5) == [(54, BACK, Refusal.PRICE_BAND)]
    feed.place(ANN, BUY, 50, 1).run()
    assert feed.level(BUY, 60, 5) == [(54, BACK, Refusal.TOO_MANY_OPEN_ORDERS)]
    # What rests can still grow.
    feed.cancel(ANN, 1).run()
    assert feed.level(BUY, 60, 5)[-1] == feed.level(BUY, 60, 7)[-1] == (DONE, BACK)


def test_nobody_checks_the_background():
    feed = Feed(validate=True, margin=True)
    assert feed.level(BUY, 100, 1)[-1] == (DONE, BACK)
    assert len(feed.trade(SELL, 100, 1)) == 2


# In a block.


def test_a_feeds_action_comes_behind_post_only_orders_cancels_and_earlier_takers():
    legs = np.zeros(5, ACTION_DTYPE)
    legs["action"] = [1, 2, 2, 3, 4]
    legs["kind"] = [ActionKind.PLACE, LEVEL, TRADE, ActionKind.CANCEL, ActionKind.PLACE]
    legs["time_in_force"] = [IOC, 0, 0, 0, ALO]
    order = np.zeros(5, np.int64)
    sort_actions(legs, 5, order)
    assert order.tolist() == [4, 3, 0, 1, 2]


# Against the recorded venue.


ROWS = st.lists(
    st.tuples(st.sampled_from(["bid", "ask", "buy", "sell"]), st.integers(0, 3), st.integers(0, 30), st.integers(0, 1)),
    min_size=1,
    max_size=40,
)


def _fills_of_both(model: QueueModel, rows: list[tuple[str, int, int, int]]) -> tuple[list[int], list[int]]:
    """Lots that one order at 100 (a bid of 4 lots) got, row by row: in the recorded venue, and among orders."""
    recorded, feed = RecordedMarket(rules=rules(model, enforce_validation=0)), Feed(model)
    for side, price in ((BUY, 100), (BUY, 99), (SELL, 101), (SELL, 102)):
        recorded.level(side, price, 20)
        feed.level(side, price, 20)
    recorded.place(1, BUY, 100, 4)
    feed.place(ANN, BUY, 100, 4, ALO).run()
    there, here = [], []
    levels = {(BUY, 100): 20, (BUY, 99): 20, (SELL, 101): 20, (SELL, 102): 20}
    for what, away, lots, _ in rows:
        if what in ("bid", "ask"):
            side, price = (BUY, 100 - away) if what == "bid" else (SELL, 101 + away)
            there += recorded.level(side, price, lots)
            feed.level(side, price, lots)
        else:
            side, price = (SELL, 100 - away) if what == "sell" else (BUY, 101 + away)
            lots = max(lots, 1)
            # As a feed does: what the trade went through is gone first.
            for (standing_side, at), standing in list(levels.items()):
                if standing and standing_side == -side and (price - at) * side > 0:
                    there += recorded.level(standing_side, at, 0)
                    feed.level(standing_side, at, 0)
                    levels[standing_side, at] = 0
            there += recorded.trade(side, price, lots)
            feed.trade(side, price, lots)
            lots = max(levels.get((-side, price), 0) - lots, 0)
            side = -side
            there += recorded.level(side, price, lots)
            feed.level(side, price, lots)
        levels[side, price] = lots
        assert feed.background(side, price) == lots
    here = [event.lots for event in feed.history if event.account == ANN and event.kind == FILLED]
    return [reply[3] for reply in there if len(reply) == 5], here


@settings(max_examples=40)
@given(ROWS)
@example([("sell", 1, 0, 0), ("sell", 0, 0, 0)])
def test_risk_averse_fills_are_those_of_the_recorded_venue(rows):
    there, here = _fills_of_both(QueueModel.RISK_AVERSE, rows)
    assert here == there


@settings(max_examples=40)
@given(ROWS)
def test_under_a_probability_model_they_differ_by_rounding_alone(rows):
    there, here = _fills_of_both(QueueModel.POWER, rows)
    assert abs(sum(here) - sum(there)) <= 2


# Many streams.

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["level", "trade", "alo", "ioc", "cancel"]),
        st.sampled_from([BUY, SELL]),
        st.integers(95, 106),
        st.integers(0, 20),
    ),
    min_size=1,
    max_size=60,
)


@settings(max_examples=30)
@given(STEPS, st.sampled_from([QueueModel.RISK_AVERSE, QueueModel.POWER, QueueModel.LOG_TOTAL]))
def test_no_stream_breaks_the_book(steps, model):
    feed = Feed(model)
    for what, side, price, lots in steps:
        if what == "level":
            # As a feed does: what the level crosses is gone first.
            for (other, at), standing in list(feed.recorded.items()):
                if lots and other == -side and standing and (price - at) * side >= 0:
                    feed.level(other, at, 0)
            feed.level(side, price, lots)
        elif what == "trade":
            feed.trade(side, price, max(lots, 1))
        elif what == "cancel":
            feed.cancel(ANN, int(feed.exchange.engine[0]["next_order_id"]) - 1 - lots).run()
        else:
            feed.place(ANN if lots % 2 else BOB, side, price, max(lots, 1), ALO if what == "alo" else IOC).run()
        assert_consistent(feed.exchange)
    assert_consistent(feed.exchange, feed.history)
    positions = feed.exchange.holdings["position_lots"][:, 0]
    assert positions.sum() == 0
