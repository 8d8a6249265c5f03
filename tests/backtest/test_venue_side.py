"""The venue's side of a replay: rows and requests in its order of time; order-level recordings against the truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.backtest.bus import FAR, new_bus, send
from hlhft.backtest.latency import QUANTILES, blocks, constant, new_lines
from hlhft.backtest.venue_side import next_venue_row_ns, run_rows, take_requests, venue_bbo
from hlhft.core.state import COMMAND_DTYPE, CommandClass, CommandKind
from hlhft.events import EventKind
from hlhft.ladder import ASK_NONE, BID_NONE, lots_at
from hlhft.venue.queue import QueueModel
from hlhft.venue.recorded import place
from tests.backtest.feed import BOTH, END, EXCHANGE, LOCAL, T, event, rows_of
from tests.backtest.order_level_flow import Action, Ours, Recorder, first, true_first_fill
from tests.venue.recorded_market import ALO, BUY, GTC, IOC, SELL, RecordedMarket, rules, said

LEVEL, CLEAR, BEGIN, BBO, TRADE = (
    EventKind.DEPTH_LEVEL,
    EventKind.DEPTH_CLEAR,
    EventKind.SNAPSHOT_BEGIN,
    EventKind.BBO,
    EventKind.TRADE,
)


def level(side: int, ticks: int, lots: int, at: int = T, **fields: int) -> np.ndarray:
    return event(LEVEL, at=at, side=side, price_ticks=ticks, size_lots=lots, **fields)


BOOK = (level(BUY, 100, 7), level(BUY, 99, 4), level(SELL, 101, 2), level(SELL, 102, 3), level(SELL, 103, 10))


@dataclass
class Feed:
    """A recorded market and how far its rows went."""

    market: RecordedMarket

    def run(self, *events: np.ndarray, until: int = FAR, stop: bool = False) -> list[tuple]:
        """Runs the rows of events; returns the replies, `cursor` is how many rows were applied."""
        rows = rows_of(*events)
        self.cursor = int(run_rows(self.market.venue, 0, rows, 0, len(rows), until, stop))
        return self.market.replies()

    def touch(self) -> tuple[int, int]:
        ladder = self.market.venue.ladders[0]
        return int(ladder["best_bid_ticks"]), int(ladder["best_ask_ticks"])

    def lots(self, side: int, ticks: int) -> int:
        return int(lots_at(self.market.venue.ladders[0], self.market.venue.cells[0], 0 if side > 0 else 1, ticks))


def feed(model: QueueModel = QueueModel.RISK_AVERSE, **others: float) -> Feed:
    made = Feed(RecordedMarket(rules(model, **others), lanes=2, now=T))
    made.run(*BOOK)
    assert made.touch() == (100, 101)
    return made


class TestRows:
    def test_levels_move_queues_on_both_sides(self):
        f = feed()
        f.market.place(1, BUY, 100, 5)
        f.market.place(2, SELL, 103, 5)
        assert f.run(level(BUY, 100, 3), level(SELL, 103, 4), level(BUY, 99, 1), level(SELL, 102, 1)) == []
        assert (f.market.front(1), f.market.front(2)) == (3, 4)

    def test_trades_fill_both_sides_and_pass_by_what_they_do_not_reach(self):
        f = feed()
        f.market.place(1, BUY, 100, 5)
        f.market.place(2, SELL, 101, 5)
        trades = [
            event(TRADE, side=SELL, price_ticks=101, size_lots=50),
            event(TRADE, side=BUY, price_ticks=100, size_lots=50),
        ]
        assert f.run(*trades) == []
        trades = [
            event(TRADE, side=SELL, price_ticks=100, size_lots=8),
            event(TRADE, side=BUY, price_ticks=101, size_lots=4),
        ]
        assert f.run(*trades) == [("QUEUE_REACHED", 1, 100, 1, 4), ("QUEUE_REACHED", 2, 101, 2, 3)]

    def test_a_touch_that_crosses_fills_both_sides(self):
        f = feed()
        f.market.place(1, BUY, 99, 5)
        assert f.run(level(SELL, 99, 2)) == [("CROSSED", 1, 99, 2, 3)]
        f = feed()
        f.market.place(2, SELL, 102, 5)
        assert f.run(level(BUY, 103, 2)) == [("CROSSED", 2, 102, 2, 3)]
        # A better touch that stops short crosses nothing.
        assert f.run(level(SELL, 101, 1), level(BUY, 100, 9)) == []

    def test_rows_beyond_the_time_wait_and_rows_for_our_side_alone_are_passed(self):
        f = feed()
        later = [level(BUY, 98, 1, T + 5), level(BUY, 97, 1, T + 6, flags=LOCAL), level(BUY, 96, 1, T + 7)]
        f.run(*later, until=T + 4)
        assert (f.cursor, f.lots(BUY, 98)) == (0, 0)
        f.run(*later, until=T + 5)
        assert (f.cursor, f.lots(BUY, 98), f.lots(BUY, 97)) == (2, 1, 0)
        f.run(*later)
        assert (f.cursor, f.lots(BUY, 97), f.lots(BUY, 96)) == (3, 0, 1)

    def test_it_stops_after_the_row_that_made_the_venue_speak(self):
        f = feed()
        f.market.place(1, BUY, 100, 5)
        trades = [event(TRADE, side=SELL, price_ticks=100, size_lots=7 + extra) for extra in (0, 1, 1)]
        assert f.run(*trades, stop=True) == [("QUEUE_REACHED", 1, 100, 5, 0)]
        assert f.cursor == 2
        f = feed()
        f.market.place(1, BUY, 100, 5)
        assert f.run(*trades) == [("QUEUE_REACHED", 1, 100, 5, 0)]
        assert f.cursor == 3

    def test_prices_outside_the_band_are_counted_and_change_nothing(self):
        f = feed()
        f.market.place(1, BUY, 100, 5)
        assert f.run(level(BUY, 20, 1), level(SELL, 500, 1)) == []
        assert int(f.market.venue.ladders[0]["updates_outside"]) == 2
        assert f.touch() == (100, 101)

    def test_a_clear_removes_levels_and_leaves_queues_as_they_were(self):
        f = feed()
        f.market.place(1, BUY, 100, 5)
        f.run(event(CLEAR, side=BUY, price_ticks=100))
        assert (f.touch(), f.market.front(1)) == ((99, 101), 7)
        f.run(event(CLEAR, side=SELL, price_ticks=102))
        assert f.touch() == (99, 103)
        f.run(event(CLEAR, side=0))
        assert f.touch() == (BID_NONE, ASK_NONE)
        # The level comes back with less than was ahead of us.
        f.run(level(BUY, 100, 6))
        assert f.market.front(1) == 6

    def test_a_snapshot_begins_with_an_empty_book(self):
        f = feed()
        f.run(event(BEGIN, aux0=20), level(BUY, 90, 1), event(EventKind.SNAPSHOT_END))
        assert f.touch() == (90, ASK_NONE)
        assert f.lots(BUY, 100) == 0

    def test_what_only_our_side_needs_changes_nothing(self):
        f = feed()
        f.run(event(EventKind.ASSET_CONTEXT, price_ticks=500, order_id=501, aux0=-3))
        assert f.touch() == (100, 101)

    def test_the_next_row_that_the_venue_sees(self):
        rows = rows_of(level(BUY, 97, 1, T, flags=LOCAL), level(BUY, 98, 1, T + 5), level(BUY, 99, 1, T + 9))
        assert [int(next_venue_row_ns(rows, cursor, 3)) for cursor in range(4)] == [T + 5, T + 5, T + 9, FAR]
        assert int(next_venue_row_ns(rows, 0, 1)) == FAR


class TestBestPrice:
    def bbo(self, f: Feed, side: int, ticks: int, lots: int) -> list[tuple]:
        return f.run(event(BBO, side=side, price_ticks=ticks, size_lots=lots))

    def test_better_levels_are_gone_and_the_touch_has_its_lots(self):
        f = feed()
        self.bbo(f, BUY, 99, 6)
        self.bbo(f, SELL, 103, 1)
        assert (f.touch(), f.lots(BUY, 99), f.lots(BUY, 100), f.lots(SELL, 103)) == ((99, 103), 6, 0, 1)

    def test_an_empty_side_is_empty(self):
        f = feed()
        self.bbo(f, BUY, 0, 0)
        assert f.touch() == (BID_NONE, 101)
        self.bbo(f, SELL, 0, 0)
        assert f.touch() == (BID_NONE, ASK_NONE)
        self.bbo(f, SELL, 0, 0)
        assert f.touch() == (BID_NONE, ASK_NONE)

    def test_queues_move_and_what_crosses_fills(self):
        f = feed()
        f.market.place(1, BUY, 100, 5)
        f.market.place(2, SELL, 103, 5)
        f.market.place(3, SELL, 102, 5)
        assert self.bbo(f, BUY, 100, 2) == []
        assert self.bbo(f, SELL, 103, 4) == []
        assert (f.market.front(1), f.market.front(2), f.market.front(3)) == (2, 4, 0)
        assert self.bbo(f, SELL, 100, 1) == [("CROSSED", 1, 100, 1, 4)]
        assert self.bbo(f, BUY, 102, 9) == [("CROSSED", 3, 102, 5, 0)]

    def test_a_repeated_touch_keeps_what_trades_took(self):
        f = feed(QueueModel.POWER)
        f.market.place(1, BUY, 100, 5)
        f.run(event(TRADE, side=SELL, price_ticks=100, size_lots=3))
        self.bbo(f, BUY, 100, 7)
        self.bbo(f, BUY, 100, 4)
        # The trade explains all of the decrease: four ahead, not fewer.
        assert f.market.front(1) == 4

    @pytest.mark.parametrize(("side", "own", "other"), [(BUY, 100, 101), (SELL, 101, 100)])
    def test_a_level_that_was_crossed_becomes_the_touch_again(self, side, own, other):
        f = feed()
        lots = f.lots(side, own)
        f.run(level(-side, own, 3), level(-side, own, 0))  # the other side comes and goes
        assert own not in f.touch()
        assert f.lots(side, own) == lots
        self.bbo(f, side, own, lots)
        assert own in f.touch()

    def test_outside_the_band_it_is_counted(self):
        f = feed()
        self.bbo(f, BUY, 20, 5)
        self.bbo(f, SELL, 500, 5)
        assert int(f.market.venue.ladders[0]["updates_outside"]) == 2
        assert f.touch() == (BID_NONE, ASK_NONE)

    def test_it_can_be_told_directly(self):
        f = feed()
        venue_bbo(f.market.venue, 0, 0, 98, 5, T)
        assert f.touch() == (98, 101)


def command(kind: int, number: int, side: int = BUY, ticks: int = 100, lots: int = 1, tif: int = ALO, expires: int = 0):
    made = np.zeros(1, COMMAND_DTYPE)
    made["kind"], made["order_id"], made["side"], made["price_ticks"], made["size_lots"] = (
        kind,
        number,
        side,
        ticks,
        lots,
    )
    made["time_in_force"], made["expires_ns"] = tif, expires
    made["command_class"] = CommandClass.ALO if tif == ALO else CommandClass.OTHER
    if kind == CommandKind.CANCEL:
        made["command_class"] = CommandClass.CANCEL
    return made


PLACE, CANCEL = CommandKind.PLACE, CommandKind.CANCEL


class TestRequests:
    def lines(self, f: Feed, model=None, lanes: int = 2):
        return new_bus(lanes, *(model or constant(entry_ns=10, reply_ns=7)), new_lines(lanes, 1))

    def came_back(self, bus, lane: int = 0) -> list[tuple]:
        line = bus.lines[lane]
        return [said(row) for row in bus.replies[lane, int(line["reply_head"]) : int(line["reply_tail"])]]

    def test_what_has_arrived_is_done_and_answered_and_the_rest_waits(self):
        f = feed()
        bus = self.lines(f)
        send(bus, 0, command(PLACE, 1), 1, T)
        send(bus, 0, command(CANCEL, 1), 1, T + 1)
        send(bus, 1, command(PLACE, 1, ticks=99), 1, T + 2)
        assert int(take_requests(f.market.venue, bus, T + 9)) == FAR
        assert int(take_requests(f.market.venue, bus, T + 10)) == T + 17
        assert self.came_back(bus) == [("RESTS", 1, 1)]
        assert int(bus.bus[0]["next_request_ns"]) == T + 11
        assert int(take_requests(f.market.venue, bus, T + 50)) == T + 18
        assert self.came_back(bus) == [("RESTS", 1, 1), ("ORDER_CANCELLED", 1, 1, "REQUESTED")]
        assert self.came_back(bus, 1) == [("RESTS", 1, 1)]
        # What happened carries the time of arrival, however late it is looked at.
        assert bus.replies[1, 0]["ts_exch_ns"] == T + 12
        assert int(bus.bus[0]["next_request_ns"]) == FAR

    def test_a_cancel_that_arrives_after_the_fill_loses(self):
        f = feed()
        bus = self.lines(f)
        f.market.place(1, BUY, 100, 5)
        send(bus, 0, command(CANCEL, 1), 1, T)
        f.run(event(TRADE, at=T + 9, side=SELL, price_ticks=99, size_lots=50), until=T + 10)
        take_requests(f.market.venue, bus, T + 10)
        assert self.came_back(bus) == [("CANCEL_REJECTED", 1, 0, "NEVER_PLACED")]

    def test_recorded_data_of_the_same_instant_comes_first(self):
        f = feed()
        bus = self.lines(f)
        send(bus, 0, command(PLACE, 1), 1, T)
        f.run(level(BUY, 100, 20, T + 10), until=T + 10)
        take_requests(f.market.venue, bus, T + 10)
        assert f.market.front(1) == 20

    def test_an_action_too_old_is_refused_on_arrival(self):
        f = feed()
        bus = self.lines(f)
        send(bus, 0, command(PLACE, 1, expires=T + 9), 1, T)
        send(bus, 0, command(PLACE, 2, expires=T + 10), 1, T)
        take_requests(f.market.venue, bus, T + 10)
        assert self.came_back(bus) == [("ORDER_REJECTED", 1, 1, "ACTION_EXPIRED"), ("RESTS", 2, 1)]

    def test_a_modify_is_no_request_of_this_kernel(self):
        f = feed()
        bus = self.lines(f)
        send(bus, 0, command(CommandKind.MODIFY, 1), 1, T)
        take_requests(f.market.venue, bus, T + 10)
        assert self.came_back(bus) == []
        assert int(bus.lines[0]["request_head"]) == 1

    def test_without_blocks_requests_keep_their_order(self):
        f = feed()
        bus = self.lines(f)
        f.market.place(9, BUY, 100, 1)
        for request in (command(PLACE, 1, ticks=101, tif=IOC), command(CANCEL, 9), command(PLACE, 2)):
            send(bus, 0, request, 1, T)
        take_requests(f.market.venue, bus, T + 10)
        assert [row[0] for row in self.came_back(bus)] == ["TAKER", "ORDER_CANCELLED", "RESTS"]

    def test_a_block_runs_post_only_then_cancels_then_takers_and_blocks_do_not_mix(self):
        f = feed()
        nothing = np.zeros(QUANTILES, np.int64)
        every = np.full(QUANTILES, 100_000_000, np.int64)
        bus = self.lines(f, blocks(nothing, nothing, every, mean_ns=100_000_000, seed=1))
        f.market.place(9, BUY, 100, 1)
        f.market.place(8, BUY, 100, 1)
        for request in (
            command(PLACE, 1, ticks=101, tif=IOC),
            command(CANCEL, 9),
            command(PLACE, 2),
            command(PLACE, 3, ticks=102, tif=GTC),
            command(PLACE, 4),
        ):
            send(bus, 0, request, 1, T)
        # The next block has a cancel before its post-only order as well.
        send(bus, 0, command(CANCEL, 8), 1, T + 100_000_000)
        send(bus, 0, command(PLACE, 5), 1, T + 100_000_000)
        first_block = int(bus.bus[0]["next_request_ns"])
        take_requests(f.market.venue, bus, first_block + 100_000_000)
        assert [row[:2] for row in self.came_back(bus)] == [
            ("RESTS", 2), ("RESTS", 4), ("ORDER_CANCELLED", 9), ("TAKER", 1), ("TAKER", 3), ("RESTS", 5),
            ("ORDER_CANCELLED", 8),
        ]  # fmt: skip
        times = bus.replies[0, :7]["ts_exch_ns"].tolist()
        assert times == [first_block] * 5 + [first_block + 100_000_000] * 2


def play(actions: list[Action], ours: Ours, model: QueueModel, *, check_front: bool) -> tuple[int, int] | None:
    """Replays a recording of the flow with our order; returns its first fill as `true_first_fill` does."""
    market = RecordedMarket(rules(model, enforce_validation=0), now=T)
    recorder, arrived, fills = Recorder(), -1, []
    for action in actions:
        events = recorder.play(action)
        if len(events):
            rows = rows_of(events)
            assert int(run_rows(market.venue, 0, rows, 0, len(rows), FAR, False)) == len(rows)
        fills += [
            (int(row["ts_exch_ns"]), int(row["size_lots"]))
            for row in market.raw()
            if row["kind"] == EventKind.ORDER_FILLED
        ]
        if check_front and arrived >= 0 and not fills and market.venue.slots[0, 0, 1]:
            assert market.front(1) == recorder.ahead(ours, arrived)
        if action.number == ours.after and action.name != "cancel":
            place(market.venue, 0, 0, 1, ours.side, ours.ticks, ours.lots, ALO, 0, 0, action.at)
            market.raw()
            arrived = recorder.arrived
    return first(fills)


def flow(steps: list[tuple[int, int, int, int, int]]) -> list[Action]:
    """Actions from numbers: what, side, distance, lots, wait. Posts share instants, takers have theirs alone."""
    actions, at = [], T
    for number, (what, side, distance, lots, wait) in enumerate(steps, start=1):
        if what < 5:
            at += wait
            # Bids rest at 100 and below, asks at 101 and above.
            ticks = 100 - distance if side > 0 else 101 + distance
            actions.append(Action(at, "rest", number, side, ticks, lots))
        elif what < 7:
            at += 1 + wait
            ticks = 101 + distance if side > 0 else 100 - distance
            # Small beside what rests, so that queues are eaten slowly and cancellations matter.
            actions.append(Action(at, "take", number, side, ticks, 1 + lots % 3))
            at += 1
        else:
            at += wait
            actions.append(Action(at, "cancel", 1 + (lots * 7 + distance) % number, side))
    return actions


def ours_in(steps: list[tuple[int, int, int, int, int]], after: int, side: int, distance: int, lots: int):
    """The flow with our order right after an action; what follows comes at a later instant."""
    after = 1 + after % len(steps)
    what, own_side, own_distance, own_lots, wait = steps[after - 1]
    steps = [*steps[: after - 1], (min(what, 6), own_side, own_distance, own_lots, wait), *steps[after:]]
    if after < len(steps):
        steps[after] = (*steps[after][:4], steps[after][4] + 1)
    return flow(steps), Ours(after, side, 100 - distance if side > 0 else 101 + distance, lots)


SIDES = st.sampled_from([BUY, SELL])
STEP = st.tuples(st.integers(0, 9), SIDES, st.integers(0, 3), st.integers(1, 9), st.integers(0, 3))


class TestOrderLevel:
    """Order-level recordings, replayed with our order, against the true engine with our order in it."""

    @settings(max_examples=60)
    @given(st.lists(STEP, min_size=8, max_size=50), st.integers(0, 15), SIDES, st.integers(0, 2), st.integers(1, 4))
    def test_the_first_fill_is_the_true_one_and_the_queue_is_known(self, steps, after, side, distance, lots):
        actions, ours = ours_in(steps, after, side, distance, lots)
        replayed = play(actions, ours, QueueModel.ORDER_LEVEL, check_front=True)
        assert replayed == true_first_fill(actions, ours)

    def test_most_flows_fill_us_and_what_models_assume_differs(self):
        """Without this the property above could hold because nothing ever happens."""
        generator = np.random.default_rng(20_251_124)
        filled, misjudged = 0, 0
        for _ in range(30):
            steps = [
                (int(what), BUY if buys else SELL, int(distance), int(lots), int(wait))
                for what, buys, distance, lots, wait in generator.integers(
                    (0, 0, 0, 1, 0), (10, 2, 2, 10, 4), size=(90, 5)
                )
            ]
            actions, ours = ours_in(steps, int(generator.integers(20, 40)), BUY, 0, 3)
            truth = true_first_fill(actions, ours)
            assert play(actions, ours, QueueModel.ORDER_LEVEL, check_front=True) == truth
            filled += truth is not None
            misjudged += play(actions, ours, QueueModel.RISK_AVERSE, check_front=False) != truth
        assert filled >= 10
        assert misjudged >= 3

    def test_levels_that_name_no_order_are_taken_as_risk_averse(self):
        for model in (QueueModel.ORDER_LEVEL, QueueModel.RISK_AVERSE):
            f = feed(model)
            f.market.place(1, BUY, 100, 5)
            f.run(level(BUY, 100, 12), level(BUY, 100, 9))
            assert f.market.front(1) == 7
            f.run(level(BUY, 100, 4))
            assert f.market.front(1) == 4

    def test_a_level_that_names_its_order_is_taken_exactly_to_the_nanosecond(self):
        for later, front in ((0, 5), (1, 7)):
            f = feed(QueueModel.ORDER_LEVEL)
            f.market.now = T + 1_000_000_007
            f.market.place(1, BUY, 100, 5)
            at = f.market.now + 86_400_000_000_123
            f.run(level(BUY, 100, 5, at, aux1=f.market.now + later, flags=BOTH | END))
            assert f.market.front(1) == front

    def test_asks_know_their_queue_as_well(self):
        f = feed(QueueModel.ORDER_LEVEL)
        f.market.place(1, SELL, 103, 5)
        f.run(level(SELL, 103, 8, T + 9, aux1=T + 3), level(SELL, 103, 7, T + 9, aux1=T, flags=EXCHANGE))
        assert f.market.front(1) == 9
