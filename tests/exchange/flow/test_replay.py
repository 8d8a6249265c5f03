"""A recording as order flow: its book exactly, its fills as in the backtest, its time, its end, and the same twice."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest

from hlhft.backtest.rows import ROW_DTYPE, ROWS_PER_EVENT_MAX, rows_from_events
from hlhft.backtest.venue_side import run_rows
from hlhft.data.errors import DataError
from hlhft.data.feed import replay_events
from hlhft.data.sources import open_source
from hlhft.events import EventKind
from hlhft.exchange.flow.feeding import visible
from hlhft.exchange.flow.replay import REST_NS, RecordedFlow, first_mids
from hlhft.units import Market
from hlhft.venue import recorded
from hlhft.venue import rules as rule_sets
from hlhft.venue.blocks import ActionKind
from hlhft.venue.queue import QueueModel
from hlhft.venue.refusals import Refusal
from tests.data.making import BTC, ETH, SECOND, ListSource, bbo, joined, level, snapshot, trade
from tests.exchange.flow.host import BLOCK_NS, FIRST_ACCOUNT, USER, Host, deposit, order

BUY, SELL = 1, -1
T = 1_757_000_000 * SECOND
EVENTS = 9_000  # of a real recording: about two minutes
WIDTH = 1 << 16


def hosted(source, markets=None, **more) -> tuple[Host, RecordedFlow]:
    flow = RecordedFlow(source, markets or source.markets, first_account=FIRST_ACCOUNT, **more)
    base = [max(mid - WIDTH // 2, 1) for mid in first_mids(source)]
    return Host(flow, markets or source.markets, base, width=WIDTH), flow


def short_source() -> ListSource:
    """Ten seconds: two pictures of one market, a trade between them."""
    rows = [
        snapshot(T, [(1_000, 50), (999, 60)], [(1_002, 70)]),
        trade(T + 2 * SECOND, SELL, 1_000, 20),
        snapshot(T + 10 * SECOND, [(1_000, 30), (998, 10)], [(1_001, 5)]),
    ]
    return ListSource([joined(rows)])


# Time.


def test_its_time_runs_as_the_exchanges_from_the_first_block_on():
    host, flow = hosted(short_source(), repeat=False)
    start = 5 * SECOND
    host.block(1)
    host.block(start)
    assert host.book() == ([(1_000, 50), (999, 60)], [(1_002, 70)])
    host.block(start + 2 * SECOND - 1)
    assert host.book()[0][0] == (1_000, 50)
    host.block(start + 2 * SECOND)
    assert host.book()[0][0] == (1_000, 30)
    assert flow.status() == "list: pass 1, 9 rows"
    host.block(start + 10 * SECOND)
    assert host.book() == ([(1_000, 30), (998, 10)], [(1_001, 5)])
    host.block(start + 10 * SECOND + REST_NS)
    assert host.book() == ([], [])
    host.block(start + 100 * SECOND)
    assert (flow.is_over, flow.passes, flow.status()) == (True, 1, "list: at its end")


def test_it_begins_again():
    host, flow = hosted(short_source())
    host.block(1)
    times = range(SECOND, 60 * SECOND, SECOND // 2)
    touches = []
    for ts_ns in times:
        host.block(ts_ns)
        touches.append(host.book()[0][:1])
    # A pass takes ten seconds; one rest later the book is gone, and after another one the next begins.
    first = touches[:24]
    assert first == [[(1_000, 50)]] * 4 + [[(1_000, 30)]] * 18 + [[]] * 2
    assert touches[24:48] == touches[48:72] == first
    assert flow.passes == 5
    assert int(flow.followed[0]["trades"]) == 5


def test_a_long_silence_is_cut():
    rows = [level(T, BUY, 1_000, 1), level(T + 3_600 * SECOND, BUY, 999, 1), level(T + 3_601 * SECOND, BUY, 998, 1)]
    source = ListSource([joined(rows[:1]), joined(rows[1:])], snapshots_only=False)
    host, _ = hosted(source, silence_ns_max=2 * SECOND)
    host.block(1)
    host.block(SECOND)
    host.block(3 * SECOND - 1)
    assert host.book()[0] == [(1_000, 1)]
    host.block(3 * SECOND)
    assert host.book()[0] == [(1_000, 1), (999, 1)]
    host.block(4 * SECOND)
    assert host.book()[0] == [(1_000, 1), (999, 1), (998, 1)]


def test_a_recording_that_shows_nothing_of_the_venue_is_over_at_once():
    flow = RecordedFlow(ListSource([]), [BTC], first_account=FIRST_ACCOUNT)
    host = Host(flow, [BTC], [1])
    host.block(1)
    host.block(2)
    host.block(3)
    assert (flow.is_over, host.book()) == (True, ([], []))


@pytest.mark.parametrize("blocks", [0, 1, 2, 5, 21, 23, 24, 25, 40])
def test_it_goes_on_from_its_state(blocks):
    def run(host: Host, numbers: range) -> list:
        shown = []
        for number in numbers:
            host.block(SECOND + number * SECOND // 2)
            shown.append(host.book())
        return shown

    whole, _ = hosted(short_source())
    expected = run(whole, range(60))
    stopped, first = hosted(short_source())
    shown = run(stopped, range(blocks))
    flow = RecordedFlow(short_source(), [BTC], first_account=FIRST_ACCOUNT)
    flow.restore(first.state())
    stopped.flow = flow
    # Stopped for an hour: the first block after it is like the last one before it, where there was one.
    later = 7_200
    again = range(later + blocks - 1, later + 60) if blocks > 1 else range(later + blocks, later + 60)
    shown = shown[:-1] if blocks > 1 else shown
    assert shown + run(stopped, again) == expected
    assert flow.passes == 3


def test_it_does_not_go_on_from_another_flows_state():
    _, flow = hosted(short_source())
    other = RecordedFlow(ListSource([joined([level(T, BUY, 1, 1)])], [BTC, ETH]), [BTC], first_account=FIRST_ACCOUNT)
    with pytest.raises(ValueError, match="another recording than list"):
        other.restore(flow.state())
    host, flow = hosted(short_source())
    host.block(1)
    two = RecordedFlow(short_source(), [ETH, BTC], first_account=FIRST_ACCOUNT)
    with pytest.raises(ValueError, match="has other markets"):
        two.restore(flow.state())


# Markets.


def test_first_mids_are_of_the_first_book_or_trade():
    rows = [
        level(T, BUY, 1_000, 1), trade(T, BUY, 77, 1, market=1), level(T, BUY, 1_004, 1), level(T, SELL, 1_020, 0),
        level(T, SELL, 1_012, 1), level(T, SELL, 1_006, 1),
    ]  # fmt: skip
    source = ListSource([joined(rows)], [BTC, ETH], snapshots_only=False)
    assert first_mids(source) == (1_008, 77)
    assert first_mids(ListSource([joined([level(T, BUY, 1_000, 1)])], snapshots_only=False)) == (1_000,)
    with pytest.raises(DataError, match="no price of ETH is in it"):
        first_mids(ListSource([joined([bbo(T, (10, 1), (12, 1))])], [BTC, ETH]))


def test_markets_that_are_not_listed_are_left_out():
    rows = [level(T, BUY, 1_000, 1), level(T, BUY, 90, 4, market=1), level(T, SELL, 92, 4, market=1)]
    source = ListSource([joined(rows)], [BTC, ETH], snapshots_only=False)
    flow = RecordedFlow(source, [ETH], first_account=FIRST_ACCOUNT)
    host = Host(flow, [ETH], [1])
    host.block(1)
    host.block(2)
    assert host.book() == ([(90, 4)], [(92, 4)])


# Real recordings.


@functools.cache
def read(recordings: Path, coin: str) -> tuple[np.ndarray, Market]:
    """The first events of a real recording."""
    source = open_source(recordings / "hyperliquid" / "l2_trades_bbo_20250904" / f"orderbooks_{coin}.csv.gz")
    return next(iter(source.chunks(EVENTS))), source.markets[0]


def recording(recordings: Path, coin: str) -> ListSource:
    events, market = read(recordings, coin)
    return ListSource([events], [market])


def pictures(source, count: int) -> list[tuple[int, list, list]]:
    """(time, bids, asks) of the first snapshots, in the venue's time."""
    rows = visible(joined([next(iter(source.chunks()))]))
    begins = np.flatnonzero(rows["kind"] == EventKind.SNAPSHOT_BEGIN)[:count]
    ends = np.flatnonzero(rows["kind"] == EventKind.SNAPSHOT_END)[:count]
    found = []
    for begin, end in zip(begins, ends):
        shown = rows[begin + 1 : end]
        sides = [
            [(int(row["price_ticks"]), int(row["size_lots"])) for row in shown if row["side"] == side]
            for side in (BUY, SELL)
        ]
        found.append((int(rows[begin]["ts_exch_ns"]), *sides))
    return found


def first_ns(source) -> int:
    return int(next(rows for events in replay_events(source) if len(rows := visible(events)))["ts_exch_ns"][0])


@pytest.mark.parametrize("coin", ["BTC", "WLFI"])
def test_without_clients_the_book_is_the_recorded_one_at_every_snapshot(recordings, coin):
    source = recording(recordings, coin)
    host, flow = hosted(recording(recordings, coin))
    host.block(1)
    host.block(first_ns(source))
    for ts_ns, bids, asks in pictures(source, 60):
        host.block(ts_ns)
        assert host.book() == (bids, asks)
    assert flow.followed[0]["trades"] > 10
    assert flow.followed[0]["outside"] == 0


class Both:
    """One recording in the backtest's venue and in the exchange, and the same orders in both."""

    def __init__(self, recordings: Path, coin: str, model: QueueModel) -> None:
        self.host, _ = hosted(recording(recordings, coin))
        source = recording(recordings, coin)
        rules = rule_sets.hyperliquid()
        for each in (rules, self.host.exchange.rules):
            each["queue_model"], each["queue_power"] = int(model), 2.0
        base = int(self.host.exchange.ladders[0]["base_ticks"])
        market = source.markets[0]
        self.venue = recorded.new_venue(market.record(), rules, lanes=1, base_ticks=[base], width=WIDTH, slots=8)
        events = joined(replay_events(source, local_levels=False))
        rows = np.zeros(len(events) * ROWS_PER_EVENT_MAX, ROW_DTYPE)
        count, _, fault, _ = rows_from_events(events, 0, np.full(2, -(2**63), np.int64), rows)
        assert fault == 0
        self.rows, self.cursor = rows[:count], 0
        self.now = first_ns(source)
        self.host.block(1, deposit())
        self.host.block(self.now)
        self.fills: dict[int, int] = {}  # lots by order, in the backtest's venue
        self.working: list[int] = []
        self.orders = 0

    def run_to(self, ts_ns: int) -> None:
        """Recorded data first, as in the backtest."""
        cursor = -1
        while cursor != self.cursor:
            cursor = self.cursor
            self.cursor = int(run_rows(self.venue, 0, self.rows, cursor, len(self.rows), ts_ns, True))
            self.drain()
        self.host.block(ts_ns)
        self.now = ts_ns

    def drain(self) -> None:
        for reply in self.venue.replies[: int(self.venue.venue[0]["reply_count"])]:
            if reply["kind"] == EventKind.ORDER_FILLED:
                number = int(reply["order_id"])
                self.fills[number] = self.fills.get(number, 0) + int(reply["size_lots"])
        self.venue.venue["reply_count"] = 0

    def quote(self, lots: int) -> None:
        """Takes the orders back and posts one a side at the recorded touch."""
        legs = []
        for number in self.working:
            recorded.cancel(self.venue, 0, 0, number, int(Refusal.REQUESTED), self.now)
            legs.append({"kind": ActionKind.CANCEL, "account": USER, "target_id": number, "target_is_client_id": 1})
        ladder = self.venue.ladders[0]
        self.working = [self.orders + 1, self.orders + 2]
        self.orders += 2
        for number, side, name in zip(self.working, (BUY, SELL), ("best_bid_ticks", "best_ask_ticks")):
            ticks = int(ladder[name])
            recorded.place(self.venue, 0, 0, number, side, ticks, lots, 0, 0, 0, self.now)
            legs.append(order(side, ticks, lots, client_id=number))
        self.drain()
        # The same instant, behind what the feed said of it.
        self.host.block(self.now + 1, *legs, feed=False)

    def here(self) -> dict[int, int]:
        fills: dict[int, int] = {}
        for fill in self.host.fills:
            fills[int(fill["order_id"])] = fills.get(int(fill["order_id"]), 0) + int(fill["size_lots"])
        return fills


@pytest.mark.parametrize(
    ("coin", "lots", "model"),
    [("BTC", 900, QueueModel.POWER), ("WLFI", 5_000, QueueModel.RISK_AVERSE), ("SOL", 500, QueueModel.LOG)],
)
def test_a_quoter_is_filled_as_in_the_backtest(recordings, coin, lots, model):
    """The same orders are filled, with as many lots to 3 %: a level that stays in our order's way goes on filling it
    with what it grows by, where the backtest's venue fills only when the touch rises."""
    both = Both(recordings, coin, model)
    start = both.now
    for second in range(1, 61):
        both.run_to(start + second * SECOND)
        both.quote(lots)
    there, here = both.fills, both.here()
    assert len(there) >= 10
    assert set(here) == set(there)
    assert abs(sum(here.values()) / sum(there.values()) - 1.0) <= 0.03


def test_two_runs_give_the_same_bytes(recordings):
    digests = set()
    for _ in range(2):
        host, _ = hosted(recording(recordings, "SOL"))
        host.block(1, deposit())
        for number in range(1, 100):
            touch = int(host.exchange.ladders[0]["best_bid_ticks"])
            host.block(SECOND + number * BLOCK_NS, order(BUY, touch, 100) if number == 50 else deposit(micro=1))
        digests.add(host.told.hexdigest())
    assert len(digests) == 1
