"""Our side of a replay: rows that reached us give the books and features that the core makes of the same events."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.backtest.bus import FAR, RING, new_bus
from hlhft.backtest.latency import constant, new_lines
from hlhft.backtest.local_side import (
    local_time_ns,
    next_local_row_ns,
    read_replies,
    run_local_rows,
)
from hlhft.core.book import apply_event, refresh_touch
from hlhft.core.features import on_trade
from hlhft.core.orders import create
from hlhft.core.state import (
    LEVEL_DTYPE,
    LEVELS,
    LIMITS_DTYPE,
    Feature,
    Lane,
    MarketData,
    OrderState,
    new_lane,
    new_market_data,
)
from hlhft.core.step import step_at, update_features
from hlhft.events import EventKind
from hlhft.ladder import ASK_NONE, BID_NONE, lots_at
from hlhft.venue.recorded import REPLY_DTYPE
from tests.backtest.feed import BOTH, END, EXCHANGE, LOCAL, T, event, rows_of
from tests.venue.recorded_market import BASE, BUY, MARKET, SELL, WIDTH

LEVEL, CLEAR, BEGIN, BBO, TRADE, CONTEXT = (
    EventKind.DEPTH_LEVEL,
    EventKind.DEPTH_CLEAR,
    EventKind.SNAPSHOT_BEGIN,
    EventKind.BBO,
    EventKind.TRADE,
    EventKind.ASSET_CONTEXT,
)
LATE = 100  # ns after it happened, an event reaches us


def new_data() -> MarketData:
    _, data = new_market_data(MARKET.record(), 1, WIDTH)
    data.books[0]["ladder_index"] = 0
    data.ladders[0] = (BASE, WIDTH, BID_NONE, ASK_NONE, ASK_NONE, BID_NONE, 0)
    return data


def scratch() -> np.ndarray:
    return np.zeros((2, LEVELS), LEVEL_DTYPE)


class Side:
    """Our books, fed by rows."""

    def __init__(self, mask: int = 0) -> None:
        self.data, self.lane, self.mask = new_data(), new_lane(1)[1], mask

    def run(self, *events: np.ndarray, until: int = FAR) -> int:
        rows = rows_of(*events)
        return int(run_local_rows(self.data, self.lane, 0, rows, 0, len(rows), until, scratch(), self.mask))

    def touch(self) -> tuple[int, int]:
        return int(self.data.ladders[0]["best_bid_ticks"]), int(self.data.ladders[0]["best_ask_ticks"])

    def lots(self, side: int, ticks: int) -> int:
        return int(lots_at(self.data.ladders[0], self.data.cells[0], 0 if side > 0 else 1, ticks))


def level(side: int, ticks: int, lots: int, at: int = T, **fields: int) -> np.ndarray:
    return event(LEVEL, at=at, side=side, price_ticks=ticks, size_lots=lots, **fields)


BOOK = (level(BUY, 100, 7), level(BUY, 99, 4), level(SELL, 101, 2), level(SELL, 102, 3))


class TestRows:
    def test_levels_make_the_book(self):
        side = Side()
        assert side.run(*BOOK) == 4
        assert side.touch() == (100, 101)
        assert (side.lots(BUY, 99), side.lots(SELL, 102)) == (4, 3)
        assert int(side.data.books[0]["time_local_ns"]) == T + LATE

    def test_rows_wait_for_their_arrival_here_and_what_we_never_saw_is_passed(self):
        side = Side()
        events = [level(BUY, 98, 1), level(BUY, 97, 1, T + 1, flags=EXCHANGE), level(BUY, 96, 1, T + 2)]
        assert side.run(*events, until=T + LATE - 1) == 0
        assert side.run(*events, until=T + LATE) == 2
        assert (side.lots(BUY, 98), side.lots(BUY, 97), side.lots(BUY, 96)) == (1, 0, 0)
        assert side.run(*events, until=T + LATE + 2) == 3
        assert side.lots(BUY, 96) == 1

    def test_a_row_for_us_alone_has_our_clock(self):
        side = Side()
        events = [level(BUY, 98, 1, flags=LOCAL), level(BUY, 97, 1, T + 9, delay=-20, flags=BOTH)]
        rows = rows_of(events[0])
        assert int(local_time_ns(rows[0])) == T + LATE
        assert side.run(events[0], until=T + LATE - 1) == 0
        assert side.run(events[0]) == 1
        rows = rows_of(events[1])
        assert [int(local_time_ns(row)) for row in rows if row["word"] & 64] == [T - 11]

    def test_the_next_row_that_reaches_us(self):
        rows = rows_of(
            level(BUY, 97, 1, flags=EXCHANGE), level(BUY, 98, 1, T + 5), level(BUY, 98, 1, T + 9, flags=LOCAL)
        )
        times = [int(next_local_row_ns(rows, cursor, 3)) for cursor in range(4)]
        assert times == [T + 5 + LATE, T + 5 + LATE, T + 9 + LATE, FAR]

    def test_best_prices_clears_and_snapshots(self):
        side = Side()
        side.run(*BOOK, event(BBO, side=BUY, price_ticks=99, size_lots=9))
        assert (side.touch(), side.lots(BUY, 99)) == ((99, 101), 9)
        side.run(event(BBO, side=SELL, price_ticks=0))
        assert side.touch() == (99, ASK_NONE)
        side.run(*BOOK, event(CLEAR, side=BUY, price_ticks=100), event(CLEAR, side=SELL, price_ticks=101))
        assert side.touch() == (99, 102)
        side.run(event(BEGIN, aux0=20), level(SELL, 120, 1), event(EventKind.SNAPSHOT_END, aux0=20))
        assert side.touch() == (BID_NONE, 120)

    def test_a_trade_is_of_no_use_without_features(self):
        side = Side()
        side.run(*BOOK, event(TRADE, side=SELL, price_ticks=100, size_lots=3, flags=BOTH | END))
        assert (side.lots(BUY, 100), float(side.data.features[0]["trade_imbalance"])) == (7, 0.0)

    def test_mark_oracle_and_rate(self):
        side = Side()
        side.run(event(CONTEXT, price_ticks=500, order_id=501, aux0=-12_500_000))
        book = side.data.books[0]
        assert (book["mark_ticks"], book["oracle_ticks"], book["funding_rate_e12"]) == (500, 501, -12_500_000)

    def test_the_age_of_a_book_is_not_that_of_trades_and_contexts(self):
        side = Side(int(Feature.ALL))
        side.run(*BOOK[:3], level(SELL, 102, 3, flags=BOTH | END))
        later = event(TRADE, at=T + 50, side=BUY, price_ticks=101, size_lots=1, flags=BOTH | END)
        side.run(later, event(CONTEXT, at=T + 60, price_ticks=500))
        assert int(side.data.books[0]["time_local_ns"]) == T + LATE
        side.run(event(BBO, at=T + 70, side=BUY, price_ticks=100, size_lots=9))
        assert int(side.data.books[0]["time_local_ns"]) == T + 70 + LATE

    @pytest.mark.parametrize("mask", [0, int(Feature.ALL)])
    def test_features_are_computed_when_a_frame_ends_and_only_if_wanted(self, mask):
        side = Side(mask)
        side.run(*BOOK)
        assert int(side.data.features[0]["ready"]) == 0
        side.run(level(SELL, 103, 1, flags=BOTH | END))
        features = side.data.features[0]
        if not mask:
            assert int(features["ready"]) == 0
            return
        # Seven lots bid, two asked: (7 - 2) / 9 at the touch, and the price leans to the ask.
        assert features["imbalance"][0] == pytest.approx(5 / 9)
        assert features["micro_price"] == pytest.approx((100 * 2 + 101 * 7) / 9)
        side.run(event(TRADE, side=SELL, price_ticks=100, size_lots=3))
        assert features["trade_imbalance"] == -1.0
        side.run(event(TRADE, side=BUY, price_ticks=101, size_lots=9))
        assert features["trade_imbalance"] == pytest.approx(0.5)


SIDES = st.sampled_from([BUY, SELL])
STEP = st.one_of(
    st.tuples(st.just(LEVEL), SIDES, st.integers(95, 106), st.integers(0, 9)),
    st.tuples(st.just(BBO), SIDES, st.sampled_from([0, *range(97, 105)]), st.integers(1, 9)),
    st.tuples(st.just(TRADE), SIDES, st.integers(95, 106), st.integers(1, 9)),
    st.tuples(st.just(CLEAR), st.sampled_from([BUY, SELL, 0]), st.integers(97, 103), st.just(0)),
    st.tuples(st.just(BEGIN), st.just(0), st.just(0), st.just(0)),
    st.tuples(st.just(CONTEXT), st.just(0), st.integers(0, 106), st.just(0)),
)


def as_the_core_does(data: MarketData, lane: Lane, events: list[np.ndarray], mask: int) -> None:
    """The events through the core's own functions, frame by frame."""
    book = data.books[0]
    for made in events:
        row = made[0]
        if row["kind"] == TRADE:
            on_trade(
                data.features[0], data.feature_memory[0], book["best_bid_ticks"], book["best_ask_ticks"],
                step_at(data.markets[0], book["best_bid_ticks"]), int(row["side"]), row["price_ticks"],
                row["size_lots"], row["ts_local_ns"], mask,
            )  # fmt: skip
        apply_event(data, 0, row)
        if row["flags"] & END:
            refresh_touch(book, data.ladders, data.cells)
            update_features(data, lane, 0, scratch(), mask, row["ts_local_ns"])


@settings(max_examples=40)
@given(st.lists(st.tuples(STEP, st.booleans(), st.integers(0, 3)), min_size=1, max_size=30))
def test_rows_give_the_books_and_features_that_events_give(steps):
    events, at = [], T
    for (kind, side, ticks, lots), ends, seconds in steps:
        at += seconds * 1_000_000_000
        made = event(kind, at=at, side=side, price_ticks=ticks, size_lots=lots, flags=BOTH | (END if ends else 0))
        if kind == CONTEXT:
            made["order_id"], made["aux0"], made["size_lots"] = ticks + 1, 3 - ticks, 0
        if kind == CLEAR and side == 0:
            made["price_ticks"] = 0
        events.append(made)
    # Features see whole frames only.
    events[-1]["flags"] = BOTH | END
    mask = int(Feature.ALL)
    ours = Side(mask)
    ours.run(*events)
    data, lane = new_data(), new_lane(1)[1]
    as_the_core_does(data, lane, events, mask)
    assert ours.data.ladders.tobytes() == data.ladders.tobytes()
    assert ours.data.cells.tobytes() == data.cells.tobytes()
    assert ours.data.features.tobytes() == data.features.tobytes()
    assert ours.data.feature_memory.tobytes() == data.feature_memory.tobytes()
    for name in ("mark_ticks", "oracle_ticks", "funding_rate_e12", "time_local_ns", "best_bid_ticks", "best_ask_lots"):
        assert ours.data.books[0][name] == data.books[0][name], name


class Desk:
    """One lane with orders sent at T, and a line back to it."""

    def __init__(self) -> None:
        self.lane, self.limits = new_lane(1)[1], np.zeros(1, LIMITS_DTYPE)
        self.bus = new_bus(2, *constant(entry_ns=0, reply_ns=0), new_lines(2, 1))
        self.fills = np.zeros(RING, REPLY_DTYPE)

    def send(self, lots: int) -> int:
        lane = self.lane
        position, orders, active = lane.positions[0], lane.orders[0], lane.active[0]
        number = int(create(lane.lane[0], position, orders, active, BUY, 100, lots, 0, 0, T, 0))
        orders[number & 1023]["state"] = OrderState.SENT
        return number

    def hear(self, at: int, kind: int, **fields: int) -> None:
        line = self.bus.lines[1]
        reply = self.bus.replies[1, int(line["reply_tail"]) & (RING - 1)]
        line["reply_tail"] += 1
        reply["ts_local_ns"], reply["ts_exch_ns"], reply["kind"], reply["side"] = at, at - 5, kind, BUY
        reply["price_ticks"] = 100
        for name, value in fields.items():
            reply[name] = value
        self.bus.bus["next_reply_ns"] = min(int(self.bus.bus[0]["next_reply_ns"]), at)

    def read(self, until: int, count: int = 0, *, with_orders: int = 0) -> tuple[int, int]:
        logged, read = read_replies(self.lane, self.limits[0], self.bus, 1, until, self.fills, count, with_orders)
        return int(logged), int(read)


class TestReplies:
    def test_an_order_lives_through_what_reaches_us_in_its_time(self):
        desk = Desk()
        number = desk.send(5)
        order, position = desk.lane.orders[0][number & 1023], desk.lane.positions[0]
        desk.hear(T + 10, EventKind.ORDER_ACKNOWLEDGED, order_id=number, size_lots=5, aux0=number)
        desk.hear(T + 20, EventKind.ORDER_FILLED, order_id=number, size_lots=2, aux0=3, aux1=-30, maker=1, reason=1)
        desk.hear(T + 30, EventKind.ORDER_CANCELLED, order_id=number, size_lots=3, aux0=21)
        assert desk.read(T + 9) == (0, 0)
        assert desk.read(T + 10) == (0, 1)
        assert (order["state"], order["acknowledged_ns"]) == (OrderState.OPEN, T + 10)
        assert desk.read(T + 29, 7) == (8, 1)
        assert (position["position_lots"], position["cash_quanta"], position["fee_micro"]) == (2, -200, -30)
        assert desk.fills[7].tobytes() == desk.bus.replies[1, 1].tobytes()
        assert desk.read(FAR) == (0, 1)
        assert (position["active_count"], position["open_buy_lots"]) == (0, 0)
        assert desk.read(FAR) == (0, 0)

    def test_two_fills_are_logged_one_after_the_other(self):
        desk = Desk()
        number = desk.send(5)
        for lots, left in ((2, 3), (3, 0)):
            desk.hear(T + 10, EventKind.ORDER_FILLED, order_id=number, size_lots=lots, aux0=left)
        assert desk.read(T + 10, 3) == (5, 2)
        assert desk.fills["size_lots"][3:5].tolist() == [2, 3]
        assert int(desk.lane.positions[0]["position_lots"]) == 5

    def test_an_order_that_came_to_rest_is_logged_where_that_is_wanted(self):
        desk = Desk()
        for _ in range(2):
            number = desk.send(5)
            desk.hear(T + 10, EventKind.ORDER_ACKNOWLEDGED, order_id=number, size_lots=5, aux0=number, touch_ticks=101)
            desk.hear(T + 10, EventKind.ORDER_CANCELLED, order_id=number, size_lots=5, aux0=21)
        assert desk.read(T + 10, 3, with_orders=1) == (5, 4)
        assert desk.fills["kind"][3:5].tolist() == [EventKind.ORDER_ACKNOWLEDGED] * 2
        assert desk.fills["touch_ticks"][3:5].tolist() == [101, 101]

    def test_a_funding_payment_is_money_and_logged_and_no_order(self):
        desk = Desk()
        desk.hear(T + 10, EventKind.FUNDING_PAYMENT, aux0=-77, side=0)
        desk.hear(T + 11, EventKind.FUNDING_PAYMENT, aux0=7, side=0)
        assert desk.read(T + 11) == (2, 2)
        assert int(desk.lane.positions[0]["funding_micro"]) == -70
        assert desk.fills["aux0"][:2].tolist() == [-77, 7]
        assert int(desk.lane.lane[0]["illegal_transitions"]) == 0

    def test_the_ring_goes_round(self):
        desk = Desk()
        desk.bus.lines["reply_head"] = desk.bus.lines["reply_tail"] = RING - 1
        number = desk.send(5)
        for left in (4, 3, 2):
            desk.hear(T + 10, EventKind.ORDER_FILLED, order_id=number, size_lots=1, aux0=left)
        assert desk.read(T + 10) == (3, 3)
        assert int(desk.bus.lines[1]["reply_head"]) == RING + 2
