"""Own orders against a recorded market: fills, queues and refusals worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hlhft.ladder import ASK_NONE, BID_NONE
from hlhft.venue import recorded
from hlhft.venue.blocks import TimeInForce
from hlhft.venue.queue import QueueModel
from tests.venue.recorded_market import ALO, BASE, BUY, GTC, IOC, MS, SELL, WIDTH, RecordedMarket, rules


def market(model: QueueModel = QueueModel.RISK_AVERSE, *, whole: bool = False, lanes: int = 1, **others: float):
    """Bids 100:7 and 99:4, asks 101:2, 102:3 and 103:10."""
    made = RecordedMarket(rules(model, whole=whole, **others), lanes=lanes)
    for side, ticks, lots in [(BUY, 100, 7), (BUY, 99, 4), (SELL, 101, 2), (SELL, 102, 3), (SELL, 103, 10)]:
        assert made.level(side, ticks, lots) == []
    return made


class TestQueueReached:
    def test_trades_eat_the_queue_then_us_part_by_part(self):
        m = market()
        assert m.place(1, BUY, 100, 5) == [("RESTS", 1, 5)]
        assert m.trade(SELL, 100, 5) == []
        assert m.front(1) == 2
        assert m.trade(SELL, 100, 4) == [("QUEUE_REACHED", 1, 100, 2, 3)]
        assert m.trade(SELL, 100, 10) == [("QUEUE_REACHED", 1, 100, 3, 0)]
        assert m.position() == 5
        assert m.trade(SELL, 100, 10) == []

    def test_the_reply_tells_queue_age_middle_and_fee(self):
        m = market()
        m.place(1, BUY, 100, 5)
        m.trade(SELL, 100, 5)
        m.now += 70 * MS
        m.trade(SELL, 100, 4)
        (fill,) = m.last
        # Two lots stood ahead when the trade came, seven at entry; 2 lots x 100 USDC x 1.5 bp.
        assert (fill["front"], fill["front_at_entry"], fill["aux1"]) == (2, 7, 30_000)
        assert fill["ts_exch_ns"] - fill["placed_ns"] == 70 * MS
        assert (fill["mid_half_ticks"], fill["maker"], fill["side"], fill["lane"]) == (201, 1, 1, 0)

    def test_an_acknowledgement_tells_the_queue_at_entry_and_nothing_of_an_earlier_reply(self):
        m = market()
        m.place(1, BUY, 100, 5)
        m.trade(SELL, 100, 9)
        m.place(2, BUY, 99, 1)
        (reply,) = m.last
        found = tuple(int(reply[name]) for name in ("front", "front_at_entry", "touch_ticks", "placed_ns"))
        assert (*found, *(int(reply[name]) for name in ("maker", "reason", "aux1"))) == (4, 4, 100, m.now, 0, 0, 0)

    def test_no_reply_carries_anything_of_the_one_that_had_its_place(self):
        m = market()
        m.place(1, BUY, 100, 5)
        m.now += 1
        m.trade(SELL, 99, 3)
        m.now += 1
        m.cancel(1)
        (reply,) = m.last
        names = ("front", "front_at_entry", "mid_half_ticks", "touch_ticks", "maker", "reason", "aux1")
        assert [float(reply[name]) for name in names] == [0] * 7
        assert reply["placed_ns"] == m.now

    def test_a_new_order_knows_nothing_of_trades_before_it(self):
        m = market(QueueModel.POWER)
        m.place(1, BUY, 100, 5)
        m.trade(SELL, 100, 2)
        m.cancel(1)
        m.place(2, BUY, 100, 5)
        m.level(BUY, 100, 9)
        m.level(BUY, 100, 7)
        # Seven ahead and two behind: 4/53 of the two that left stood behind.
        assert m.front(2) == pytest.approx(7 - 2 * 49 / 53, abs=1e-12)

    def test_asks_are_filled_by_buyers_in_the_same_way(self):
        m = market()
        m.place(1, SELL, 102, 5)
        assert m.trade(BUY, 102, 3) == []
        assert m.trade(SELL, 102, 9) == []
        assert m.trade(BUY, 102, 4) == [("QUEUE_REACHED", 1, 102, 4, 1)]
        assert m.position() == -4

    def test_whole_fills_need_one_lot_past_the_queue(self):
        m = market(whole=True)
        m.place(1, BUY, 100, 5)
        assert m.trade(SELL, 100, 7) == []
        assert m.trade(SELL, 100, 1) == [("QUEUE_REACHED", 1, 100, 5, 0)]

    def test_two_orders_at_one_price_share_a_trade_the_older_first(self):
        m = market()
        m.place(1, BUY, 100, 3)
        m.place(2, BUY, 100, 3)
        # 11 lots: 7 recorded, 3 of the older order, 1 of the younger.
        assert m.trade(SELL, 100, 11) == [("QUEUE_REACHED", 1, 100, 3, 0), ("QUEUE_REACHED", 2, 100, 1, 2)]
        assert m.trade(SELL, 100, 11) == [("QUEUE_REACHED", 2, 100, 2, 0)]

    def test_the_younger_order_moves_up_when_the_older_leaves(self):
        m = market()
        m.place(1, BUY, 100, 3)
        m.place(2, BUY, 100, 3)
        m.cancel(1)
        assert m.trade(SELL, 100, 8) == [("QUEUE_REACHED", 2, 100, 1, 2)]

    def test_an_emptied_level_does_not_let_two_orders_have_the_same_lots(self):
        m = market()
        m.place(1, BUY, 100, 3)
        m.place(2, BUY, 100, 3)
        m.level(BUY, 100, 0)
        assert m.trade(SELL, 100, 4) == [("QUEUE_REACHED", 1, 100, 3, 0), ("QUEUE_REACHED", 2, 100, 1, 2)]

    @pytest.mark.parametrize("gone", [1, 2, 3])
    def test_leaving_from_anywhere_in_a_level_keeps_the_order_of_age(self, gone):
        m = market()
        for number in (1, 2, 3):
            m.place(number, BUY, 100, 1)
        m.cancel(gone)
        m.place(4, BUY, 100, 1)
        left = [number for number in (1, 2, 3, 4) if number != gone]
        assert m.trade(SELL, 100, 10) == [("QUEUE_REACHED", number, 100, 1, 0) for number in left]
        assert m.venue.heads.max() == 0


class TestTradedThrough:
    def test_a_trade_beyond_our_price_fills_at_our_price_what_it_held(self):
        m = market()
        m.place(1, BUY, 100, 5)
        assert m.trade(SELL, 99, 4) == [("TRADED_THROUGH", 1, 100, 4, 1)]
        assert m.last[0]["front"] == 7
        assert m.front(1) == 0
        assert m.trade(SELL, 99, 4) == [("TRADED_THROUGH", 1, 100, 1, 0)]

    def test_orders_at_several_prices_share_one_trade_the_best_first(self):
        m = market()
        m.place(1, SELL, 101, 5)
        m.place(2, SELL, 102, 5)
        m.place(3, SELL, 104, 5)
        # Six lots print at 103: five are the order at 101's, one that at 102's.
        assert m.trade(BUY, 103, 6) == [("TRADED_THROUGH", 1, 101, 5, 0), ("TRADED_THROUGH", 2, 102, 1, 4)]
        assert m.position() == -6

    def test_what_better_prices_took_does_not_reach_the_queue_behind(self):
        m = market()
        m.place(1, SELL, 101, 5)
        m.place(2, SELL, 102, 5)
        # Six lots at 102, three of them recorded ahead of us: the order at 101 had five, so nothing is left.
        assert m.trade(BUY, 102, 6) == [("TRADED_THROUGH", 1, 101, 5, 0)]
        assert m.front(2) == 0

    def test_whole_fills_take_all_that_lies_in_the_way(self):
        m = market(whole=True)
        m.place(1, SELL, 101, 5)
        m.place(2, SELL, 102, 5)
        assert m.trade(BUY, 103, 1) == [("TRADED_THROUGH", 1, 101, 5, 0), ("TRADED_THROUGH", 2, 102, 5, 0)]

    @pytest.mark.parametrize(("side", "ticks", "own"), [(SELL, 1, 100), (SELL, BASE - 1, BASE), (BUY, 500, 149)])
    def test_a_trade_outside_the_band_goes_through_what_rests_inside(self, side, ticks, own):
        m = RecordedMarket()
        m.place(1, -side, own, 5)
        assert m.trade(side, ticks, 5) == [("TRADED_THROUGH", 1, own, 5, 0)]

    @pytest.mark.parametrize(("side", "ticks", "own"), [(BUY, 1, BASE), (SELL, 500, 149)])
    def test_a_trade_outside_the_band_on_the_far_side_reaches_nothing(self, side, ticks, own):
        m = RecordedMarket()
        m.place(1, -side, own, 5)
        assert m.trade(side, ticks, 5) == []


class TestCrossed:
    def test_the_other_side_comes_to_rest_at_our_price(self):
        m = market()
        m.place(1, BUY, 100, 5)
        assert m.level(SELL, 100, 3) == [("CROSSED", 1, 100, 3, 2)]
        # More at the same price is no new crossing; a better price is.
        assert m.level(SELL, 100, 9) == []
        assert m.level(SELL, 99, 1) == [("CROSSED", 1, 100, 1, 1)]

    def test_a_rising_bid_crosses_asks(self):
        m = market()
        m.place(1, SELL, 101, 4)
        m.place(2, SELL, 103, 4)
        assert m.level(BUY, 102, 9) == [("CROSSED", 1, 101, 4, 0)]
        assert m.last[0]["front"] == 2

    def test_the_level_is_shared_as_a_trade_is(self):
        m = market()
        m.place(1, SELL, 101, 4)
        m.place(2, SELL, 102, 4)
        assert m.level(BUY, 103, 6) == [("CROSSED", 1, 101, 4, 0), ("CROSSED", 2, 102, 2, 2)]

    def test_a_touch_that_moves_away_or_stops_short_fills_nothing(self):
        m = market()
        m.place(1, BUY, 99, 5)
        assert m.level(SELL, 101, 0) == []
        assert m.level(SELL, 100, 5) == []


class TestTaker:
    def test_it_walks_the_levels_up_to_its_limit_and_the_rest_rests(self):
        m = market()
        assert m.place(1, BUY, 102, 8, GTC) == [("TAKER", 1, 101, 2, 6), ("TAKER", 1, 102, 3, 3), ("RESTS", 1, 3)]
        # 2 x 101 + 3 x 102 USDC at 4.5 bp, each fill truncated by itself.
        assert [int(fee) for fee in m.last["aux1"][:2]] == [90_900, 137_700]
        assert (m.position(), int(m.venue.holdings[0, 0]["cash_quanta"])) == (5, -508)
        # What we took stays in the recording.
        assert m.place(2, BUY, 101, 2, IOC) == [("TAKER", 2, 101, 2, 0)]

    def test_an_immediate_order_drops_what_is_left(self):
        m = market()
        assert m.place(1, SELL, 99, 20, IOC) == [
            ("TAKER", 1, 100, 7, 13),
            ("TAKER", 1, 99, 4, 9),
            ("EXPIRED", 1, 9),
        ]

    def test_an_immediate_order_that_meets_nobody_is_refused(self):
        assert market().place(1, BUY, 100, 5, IOC) == [("ORDER_REJECTED", 1, 5, "IOC_NO_MATCH")]

    def test_with_whole_fills_it_is_filled_at_the_touch(self):
        m = market(whole=True)
        assert m.place(1, BUY, 103, 8, GTC) == [("TAKER", 1, 101, 8, 0)]
        assert m.place(2, SELL, 100, 9, GTC) == [("TAKER", 2, 100, 9, 0)]

    def test_on_a_one_sided_market_there_is_no_middle(self):
        for side in (SELL, BUY):
            m = RecordedMarket()
            m.level(side, 101, 2)
            assert m.place(1, -side, 101, 1, GTC) == [("TAKER", 1, 101, 1, 0)]
            assert m.last[0]["mid_half_ticks"] == 0

    def test_what_cannot_rest_after_taking_expires(self):
        m = market()
        assert m.place(1, BUY, 190, 16, GTC)[-1] == ("EXPIRED", 1, 1)
        assert m.position() == 15


class TestRefusals:
    def test_a_post_only_order_that_would_match(self):
        m = market()
        assert m.place(1, BUY, 101, 1) == [("ORDER_REJECTED", 1, 1, "BAD_ALO_PRICE")]
        assert m.place(2, SELL, 100, 1) == [("ORDER_REJECTED", 2, 1, "BAD_ALO_PRICE")]
        assert m.place(3, SELL, 101, 1) == [("RESTS", 3, 1)]

    @pytest.mark.parametrize("whole", [False, True])
    def test_an_order_for_nothing(self, whole):
        assert market(whole=whole).place(1, BUY, 100, 0) == [("ORDER_REJECTED", 1, 0, "ZERO_SIZE")]

    def test_an_action_that_expired_on_its_way(self):
        m = market()
        assert m.place(1, BUY, 100, 1, expires=m.now) == [("RESTS", 1, 1)]
        assert m.place(2, BUY, 100, 1, expires=m.now - 1) == [("ORDER_REJECTED", 2, 1, "ACTION_EXPIRED")]

    def test_what_the_venue_checks_first(self):
        m = market(minimum_notional_micro=500_000_000, open_orders_max=1)
        assert m.place(1, BUY, 100, 4) == [("ORDER_REJECTED", 1, 4, "MINIMUM_NOTIONAL")]
        assert m.place(3, BUY, 100, 5) == [("RESTS", 3, 5)]
        assert m.place(4, BUY, 100, 5) == [("ORDER_REJECTED", 4, 5, "TOO_MANY_OPEN_ORDERS")]

    @pytest.mark.parametrize(
        ("levels", "refused"),
        [
            ([], False),  # nothing to measure from
            ([(BUY, 100)], True),
            ([(SELL, 102)], True),
            ([(BUY, 100), (SELL, 104)], True),  # from 102
        ],
    )
    def test_the_band_is_measured_from_what_there_is_of_the_touch(self, levels, refused):
        m = RecordedMarket(rules(band_e6=100_000))
        for side, ticks in levels:
            m.level(side, ticks, 1)
        assert m.place(1, BUY, 89, 1) == [("ORDER_REJECTED", 1, 1, "PRICE_BAND") if refused else ("RESTS", 1, 1)]

    @pytest.mark.parametrize(("ticks", "rests"), [(49, False), (50, True), (149, True), (150, False)])
    def test_a_price_that_the_recording_never_came_near(self, ticks, rests):
        m = RecordedMarket()
        assert m.place(1, BUY, ticks, 1) == [("RESTS", 1, 1) if rests else ("ORDER_REJECTED", 1, 1, "PRICE_BAND")]

    def test_more_orders_than_there_are_slots(self):
        m = RecordedMarket(slots=2)
        m.place(1, BUY, 100, 1)
        m.place(2, BUY, 100, 1)
        assert m.place(3, BUY, 100, 1) == [("ORDER_REJECTED", 3, 1, "TOO_MANY_OPEN_ORDERS")]
        m.cancel(1)
        assert m.place(4, BUY, 100, 1) == [("RESTS", 4, 1)]

    def test_replies_that_nobody_drains_are_counted(self):
        m = RecordedMarket(slots=1)
        for number in range(recorded.ORDER_INDEX + 3):
            recorded.cancel(m.venue, 0, 0, number, 21, m.now)
        assert int(m.venue.venue[0]["dropped"]) == 2
        assert len(m.raw()) == recorded.ORDER_INDEX + 1


class TestCancel:
    def test_it_takes_the_order_out(self):
        m = market()
        m.place(1, BUY, 100, 5)
        assert m.cancel(1) == [("ORDER_CANCELLED", 1, 5, "REQUESTED")]
        assert m.trade(SELL, 98, 50) == []

    def test_it_loses_the_race_against_a_fill(self):
        m = market()
        m.place(1, BUY, 100, 5)
        m.trade(SELL, 98, 50)
        assert m.cancel(1) == [("CANCEL_REJECTED", 1, 0, "NEVER_PLACED")]
        assert m.position() == 5

    def test_it_saves_what_a_partial_fill_left(self):
        m = market()
        m.place(1, BUY, 100, 5)
        m.trade(SELL, 99, 3)
        assert m.cancel(1) == [("ORDER_CANCELLED", 1, 2, "REQUESTED")]

    def test_it_does_not_hit_another_order_in_the_same_place_of_the_index(self):
        m = market()
        m.place(1 + 1024, BUY, 100, 5)
        assert m.cancel(1) == [("CANCEL_REJECTED", 1, 0, "NEVER_PLACED")]


class TestReduceOnly:
    def long(self, lots: int, **others: float) -> RecordedMarket:
        m = market(**others)
        m.place(1, BUY, 103, lots, IOC)
        assert m.position() == lots
        return m

    @pytest.mark.parametrize("side", [BUY, SELL])
    def test_it_is_refused_where_it_would_not_reduce(self, side):
        m = market()
        assert m.place(2, side, 100 if side > 0 else 101, 5, reduce=1) == [("ORDER_REJECTED", 2, 5, "REDUCE_ONLY")]
        m = self.long(4)
        assert m.place(2, BUY, 100, 5, reduce=1) == [("ORDER_REJECTED", 2, 5, "REDUCE_ONLY")]

    def test_it_is_shrunk_to_the_position(self):
        m = self.long(4)
        assert m.place(2, SELL, 100, 9, IOC, reduce=1) == [("TAKER", 2, 100, 4, 0)]
        m = self.long(4)
        assert m.place(2, SELL, 101, 9, reduce=1) == [("RESTS", 2, 4)]

    def test_it_shrinks_as_the_position_does_and_ends_when_that_is_gone(self):
        m = self.long(4)
        m.place(2, SELL, 102, 4, reduce=1)
        m.place(3, SELL, 101, 9)
        # Three of the plain order's lots are sold: one is left to close.
        assert m.trade(BUY, 101, 5) == [("QUEUE_REACHED", 3, 101, 3, 6), ("RESTS", 2, 1)]
        # Two more turn the position over, which the reduce-only order must not survive.
        assert m.trade(BUY, 101, 2) == [
            ("QUEUE_REACHED", 3, 101, 2, 4),
            ("ORDER_CANCELLED", 2, 1, "REDUCE_ONLY_CANCELLED"),
        ]
        assert m.position() == -1

    def test_of_several_the_oldest_is_trimmed_first(self):
        m = self.long(4)
        m.place(2, SELL, 103, 3, reduce=1)
        m.now += 1
        # Together they would exceed the position by two.
        assert m.place(3, SELL, 102, 3, reduce=1) == [("RESTS", 3, 3), ("RESTS", 2, 1)]
        # Sent in the same block as the third: the smaller number is older.
        assert m.place(4, SELL, 102, 1, reduce=1) == [
            ("RESTS", 4, 1),
            ("ORDER_CANCELLED", 2, 1, "REDUCE_ONLY_CANCELLED"),
        ]
        assert m.place(5, SELL, 100, 2, IOC) == [("TAKER", 5, 100, 2, 0), ("RESTS", 3, 1)]
        assert m.trade(BUY, 120, 50) == [("TRADED_THROUGH", 3, 102, 1, 0), ("TRADED_THROUGH", 4, 102, 1, 0)]
        assert m.position() == 0

    def test_two_that_one_trade_reaches_never_turn_the_position_over(self):
        m = self.long(4, whole=True)
        m.place(2, SELL, 101, 4, reduce=1)
        # The other lane's orders are another matter.
        assert m.place(3, SELL, 102, 4, reduce=1) == [
            ("RESTS", 3, 4),
            ("ORDER_CANCELLED", 2, 4, "REDUCE_ONLY_CANCELLED"),
        ]
        m.place(4, SELL, 101, 1)
        assert m.trade(BUY, 110, 9) == [
            ("TRADED_THROUGH", 4, 101, 1, 0),
            ("TRADED_THROUGH", 3, 102, 3, 1),
            ("ORDER_CANCELLED", 3, 1, "REDUCE_ONLY_CANCELLED"),
        ]
        assert m.position() == 0

    def test_one_that_has_nothing_left_to_close_is_passed_over(self):
        m = self.long(1)
        m.place(2, SELL, 102, 1, reduce=1)
        m.place(3, SELL, 101, 5)
        assert m.trade(BUY, 110, 9) == [
            ("TRADED_THROUGH", 3, 101, 5, 0),
            ("ORDER_CANCELLED", 2, 1, "REDUCE_ONLY_CANCELLED"),
        ]

    def test_orders_of_another_market_are_left_alone(self):
        venue = recorded.new_venue(
            np.concatenate([market().venue.markets] * 2), rules(), lanes=1, base_ticks=[BASE] * 2, width=WIDTH, slots=8
        )
        venue.holdings[0]["position_lots"] = 2
        recorded.place(venue, 0, 0, 1, SELL, 101, 2, ALO, 1, 0, 5)
        recorded.place(venue, 0, 1, 2, SELL, 101, 2, ALO, 0, 0, 5)
        recorded.on_trade(venue, 1, BUY, 110, 2, 6)
        assert venue.replies["kind"][:3].tolist() == [16, 16, 18]
        assert venue.replies["market"][:3].tolist() == [0, 1, 1]
        assert venue.holdings["position_lots"].tolist() == [[2, 0]]
        assert int(venue.venue[0]["reply_count"]) == 3


class TestLevels:
    @pytest.mark.parametrize(
        ("model", "front"), [(QueueModel.RISK_AVERSE, 4.0), (QueueModel.POWER, 4.0), (QueueModel.LOG, 4.0)]
    )
    def test_a_level_that_shrinks_below_us_pulls_us_along(self, model, front):
        m = market(model)
        m.place(1, BUY, 100, 5)
        m.level(BUY, 100, 12)
        assert m.front(1) == 7
        m.level(BUY, 100, 4)
        assert m.front(1) <= front

    def test_the_power_model_by_hand(self):
        m = market(QueueModel.POWER)
        m.place(1, BUY, 100, 5)
        m.level(BUY, 100, 11)  # 7 ahead, 4 behind
        m.trade(SELL, 100, 3)  # 4 ahead
        m.level(BUY, 100, 6)
        # 11 to 6 is 5, the trade explains 3 of it; of the other 2, 49/65 stood behind (back is 11 - 4 = 7).
        assert m.front(1) == pytest.approx(4 - (1 - 49 / 65) * 2, abs=1e-12)

    def test_a_level_that_vanishes_does_not_leave_more_than_nothing_ahead(self):
        m = RecordedMarket(rules(QueueModel.POWER))
        m.level(BUY, 100, 1000)
        m.place(1, BUY, 100, 300)
        m.level(BUY, 100, 1414)
        m.level(BUY, 100, 0)
        # The model's own figure is -207: a trade of one lot would have filled 208.
        assert m.front(1) == 0
        assert m.trade(SELL, 100, 1) == [("QUEUE_REACHED", 1, 100, 1, 299)]

    def test_with_whole_fills_the_figure_stays_as_the_library_has_it(self):
        m = RecordedMarket(rules(QueueModel.POWER, whole=True))
        m.level(BUY, 100, 1000)
        m.place(1, BUY, 100, 300)
        m.level(BUY, 100, 1414)
        m.level(BUY, 100, 0)
        assert m.front(1) == pytest.approx(1000 - 1000**2 / (1000**2 + 414**2) * 1414, abs=1e-9)

    def test_jumpers_take_their_share_of_what_joins_a_young_level(self):
        m = market(alo_jumper_share_e6=250_000)
        m.place(1, BUY, 100, 5)
        m.now += 399 * MS
        m.level(BUY, 100, 11)  # four joined
        assert m.front(1) == 8
        m.trade(SELL, 100, 2)  # six ahead, and eight must have joined for the total to be 17
        m.level(BUY, 100, 17)
        assert m.front(1) == 8
        m.level(BUY, 100, 16)
        assert m.front(1) == 8
        m.now += 1 * MS  # 400 ms old: the place is settled
        m.level(BUY, 100, 50)
        assert m.front(1) == 8


class TestOrderLevel:
    def test_only_what_stood_ahead_moves_us_and_by_just_that(self):
        m = market(QueueModel.ORDER_LEVEL)
        m.place(1, BUY, 100, 5)
        placed = m.now
        m.now += 1
        for placed_ns, total, front in [
            (m.now, 10, 7),  # joins behind
            (m.now, 8, 7),  # part of it leaves
            (placed, 6, 5),  # placed in the same block as ours, and recorded first: ahead
            (placed - 1, 9, 8),  # an old one that grows in its place, or is let in before another, stands ahead too
            (placed - 1, 5, 4),
            (placed - 1, 1, 0),  # never below nothing
        ]:
            recorded.name_order(m.venue, 0, 0, 100, placed_ns, m.now)
            m.level(BUY, 100, total)
            assert m.front(1) == front

    def test_trades_explain_what_leaves_first(self):
        m = market(QueueModel.ORDER_LEVEL)
        m.place(1, BUY, 100, 5)
        m.trade(SELL, 100, 3)
        recorded.name_order(m.venue, 0, 0, 100, 5, m.now)
        m.level(BUY, 100, 5)  # two of the three traded
        assert m.front(1) == 4
        recorded.name_order(m.venue, 0, 0, 100, 5, m.now)
        m.level(BUY, 100, 2)  # the third, and two cancelled ahead
        assert m.front(1) == 2

    @pytest.mark.parametrize(("side", "ticks", "wait"), [(SELL, 100, 0), (BUY, 99, 0), (BUY, 100, 1)])
    def test_a_name_counts_for_its_own_level_and_instant_only(self, side, ticks, wait):
        m = market(QueueModel.ORDER_LEVEL)
        m.place(1, BUY, 100, 5)
        recorded.name_order(m.venue, 0, 0 if side > 0 else 1, ticks, m.now + 99, m.now)
        m.now += wait
        # Named as younger it would have left us where we were; without a name the worst is assumed.
        m.level(BUY, 100, 4)
        assert m.front(1) == 4

    def test_a_name_counts_once(self):
        m = market(QueueModel.ORDER_LEVEL)
        m.place(1, BUY, 100, 5)
        recorded.name_order(m.venue, 0, 0, 100, m.now + 99, m.now)
        m.level(BUY, 100, 6)
        assert m.front(1) == 7
        m.level(BUY, 100, 5)
        assert m.front(1) == 5

    def test_other_models_do_not_look_at_it(self):
        m = market(QueueModel.RISK_AVERSE)
        m.place(1, BUY, 100, 5)
        recorded.name_order(m.venue, 0, 0, 100, m.now + 99, m.now)
        m.level(BUY, 100, 6)
        assert m.front(1) == 6

    def test_asks_have_their_own_names(self):
        m = market(QueueModel.ORDER_LEVEL)
        m.place(1, SELL, 103, 5)
        recorded.name_order(m.venue, 0, 1, 103, m.now + 1, m.now)
        m.level(SELL, 103, 2)
        assert m.front(1) == 10


class TestLiquidation:
    def test_orders_go_and_the_position_is_closed_at_the_recorded_prices(self):
        m = market(lanes=2)
        m.place(1, BUY, 103, 9, IOC)
        m.place(2, BUY, 99, 1)
        m.place(3, BUY, 99, 1, lane=1)
        assert m.liquidate() == (
            0,
            [("ORDER_CANCELLED", 2, 1, "LIQUIDATED"), ("LIQUIDATION", 0, 100, 7, 2), ("LIQUIDATION", 0, 99, 2, 0)],
        )
        assert (m.position(), m.front(3, lane=1)) == (0, 4)

    def test_its_orders_go_in_the_order_of_their_ids_whatever_the_neighbours_do(self):
        """Order 3 rests in the slot that the neighbour's order 1 left, before that of order 2."""
        m = market(lanes=2)
        m.place(1, BUY, 99, 1, lane=1)
        m.place(2, BUY, 99, 1)
        m.cancel(1, lane=1)
        m.place(3, BUY, 99, 1)
        assert m.liquidate() == (
            0,
            [("ORDER_CANCELLED", 2, 1, "LIQUIDATED"), ("ORDER_CANCELLED", 3, 1, "LIQUIDATED")],
        )

    def test_a_book_too_thin_leaves_some(self):
        m = market()
        m.place(1, SELL, 99, 11, IOC)
        m.level(SELL, 103, 0)
        assert m.liquidate() == (6, [("LIQUIDATION", 0, 101, 2, 9), ("LIQUIDATION", 0, 102, 3, 6)])

    def test_a_part_of_the_position_can_be_closed(self):
        m = market()
        m.place(1, BUY, 103, 9, IOC)
        assert m.liquidate(lots_max=3) == (0, [("LIQUIDATION", 0, 100, 3, 0)])
        assert m.liquidate(lots_max=0) == (0, [])
        assert m.position() == 6

    @pytest.mark.parametrize("whole", [False, True])
    def test_an_empty_book_closes_nothing(self, whole):
        m = RecordedMarket(rules(whole=whole))
        for lots, left in ((5, 5), (-5, 5), (0, 0)):
            m.venue.holdings[0, 0]["position_lots"] = lots
            assert m.liquidate() == (left, [])

    def test_with_whole_fills_the_touch_closes_it(self):
        m = market(whole=True)
        m.venue.holdings[0, 0]["position_lots"] = 50
        assert m.liquidate() == (0, [("LIQUIDATION", 0, 100, 50, 0)])


class TestEdges:
    def test_they_bound_what_rests(self):
        m = market()
        edge = m.venue.edges[0]
        assert (edge["lowest_ask_ticks"], edge["highest_bid_ticks"]) == (ASK_NONE, BID_NONE)
        m.place(1, SELL, 105, 1)
        m.place(2, SELL, 103, 1)
        m.place(3, BUY, 98, 1)
        assert (edge["lowest_ask_ticks"], edge["highest_bid_ticks"], edge["resting"]) == (103, 98, 3)
        m.trade(BUY, 104, 1)
        assert edge["lowest_ask_ticks"] == 104
        m.trade(BUY, 104, 1)
        m.trade(SELL, 98, 9)
        assert (edge["highest_bid_ticks"], edge["resting"]) == (98, 1)
        m.cancel(1)
        assert (edge["lowest_ask_ticks"], edge["highest_bid_ticks"]) == (ASK_NONE, BID_NONE)


def test_plain_constants_are_those_of_their_enumerations():
    reasons = {name: getattr(recorded, f"_{name}") for name in recorded.FillReason.__members__ if name != "NONE"}
    assert reasons == {reason.name: reason.value for reason in recorded.FillReason if reason}
    assert recorded._ORDER_LEVEL == QueueModel.ORDER_LEVEL
    assert tuple(TimeInForce)[:3] == (recorded._ALO, recorded._GTC, recorded._IOC)
