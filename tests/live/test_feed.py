"""Frames in: what each leads to, and what happens to those that are none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hlhft.events import EventKind
from hlhft.hyperliquid.backoff import connect_budget, message_budget
from hlhft.hyperliquid.connection import Connection, ConnectionSettings
from hlhft.hyperliquid.connection_events import Reconcile, ReconcileReason, Report, ReportCode
from hlhft.hyperliquid.messages import Fills, OrderUpdates
from hlhft.hyperliquid.subscriptions import ALL_MARKETS, StreamKind
from hlhft.live.clock import Clock
from hlhft.live.feed import BLOCK_EVERY_MS, Feed, _stream_of, _touch, say_report, streams_of
from hlhft.live.hub import Hub
from hlhft.live.pulse import Pulse
from hlhft.live.timers import Timers
from hlhft.units import Market

MARKETS = (
    Market.perpetual("BTC", asset_id=0, size_decimals=5, maximum_leverage=40),
    Market.perpetual("ETH", asset_id=1, size_decimals=4, maximum_leverage=25),
)
ADDRESS = "0x" + "ab" * 20
TIME_MS = 1_790_000_000_000
BOOK = (
    b'{"channel":"l2Book","data":{"coin":"ETH","time":%d,"levels":[[{"px":"3999","sz":"1","n":1},'
    b'{"px":"3998","sz":"1","n":1}],[{"px":"4001","sz":"2","n":1}]],"fast":true}}'
)
MORE = b',{"px":"4003","sz":"2","n":1}'
BOTH = (399_900, 400_100)
BBO = b'{"channel":"bbo","data":{"coin":"BTC","time":%d,"bbo":[{"px":"109999","sz":"1","n":1},null]}}'
TRADES = (
    b'{"channel":"trades","data":[{"coin":"ETH","side":"B","px":"4001","sz":"0.1","time":%d,"hash":"0x00","tid":5,'
    b'"users":["",""]}]}'
)
CONTEXT = (
    b'{"channel":"activeAssetCtx","data":{"coin":"ETH","ctx":{"funding":"0.0","openInterest":"1.0","oraclePx":"4000",'
    b'"markPx":"4000.5","premium":"0.0"}}}'
)
UPDATES = b'{"channel":"orderUpdates","data":[]}'
FILLS = b'{"channel":"userFills","data":{"user":"%s","fills":[]}}' % ADDRESS.encode()


class Dispatched:
    """Stands where the core's way is, and writes down what comes."""

    def __init__(self, note: Callable[..., None], clock: Clock) -> None:
        self.received_ns = 0
        self._note = note
        self._clock = clock

    def turn(self) -> int:
        self.received_ns = self._clock.now_ns()
        return self.received_ns

    def frame(self, events: np.ndarray, count: int, now_ns: int) -> None:
        self._note("frame", EventKind(int(events["kind"][0])).name, count, self.received_ns <= now_ns)

    def tell(self, rows: Any) -> None:
        self._note("rows", [(EventKind(row[7]).name, row[9], row[5]) for row in rows])


class Desk:
    """A feed that is connected to nobody; frames are handed to it."""

    def __init__(self, *, beside_node: bool = False) -> None:
        loop = asyncio.get_running_loop()
        self.seen: list[Any] = []
        clock = Clock()
        self.hub = Hub(
            clock=clock, timers=Timers(loop, clock), http=None, keeper=None,  # type: ignore[arg-type]
            connects=connect_budget(), messages=message_budget(),
        )  # fmt: skip
        self.hub.dispatch = Dispatched(self.note, clock)  # type: ignore[assignment]
        self.hub.engine = self  # type: ignore[assignment]
        self.pulse = Pulse(loop, clock, told_ns=1, late=lambda late_ns: None)
        connection = Connection(
            ConnectionSettings(url="ws://127.0.0.1:1"), connects=self.hub.connects, messages=self.hub.messages
        )
        self.feed = Feed(
            self.hub, connection, markets=MARKETS, address=ADDRESS, pulse=self.pulse,
            news=lambda message: self.note("news", type(message)), block=lambda ms: self.note("block", ms),
            reconcile=lambda demand: self.note("reconcile", demand.number),
            raw=lambda frame, now_ns: self.note("raw", bytes(frame)), changed=lambda live: self.note("live", live),
            pulled=lambda market: self.note("pulled", market),
            beside_node=beside_node, compare=lambda *what: self.note("compare", *what),
        )  # fmt: skip
        self.told: list[Any] = []
        self.feed.line.on = self.told.append  # type: ignore[method-assign]

    def note(self, *what: Any) -> None:
        self.seen.append(what)

    def broke(self, error: BaseException | None) -> None:
        self.note("broke", error)

    def hear(self, frame: bytes) -> None:
        self.feed.heard(self.feed.line, memoryview(frame))


def on_desk(work: Callable[[Desk], None], *, beside_node: bool = False) -> None:
    async def whole() -> None:
        work(Desk(beside_node=beside_node))

    asyncio.run(whole())


def test_a_frame_is_stepped_over_before_anybody_judges_it():
    def work(desk: Desk) -> None:
        desk.hear(BOOK % TIME_MS)
        desk.hear(BBO % (TIME_MS + 1))
        desk.hear(TRADES % (TIME_MS + BLOCK_EVERY_MS))
        desk.hear(CONTEXT)
        assert [what[:3] for what in desk.seen] == [
            ("frame", "SNAPSHOT_BEGIN", 5), ("block", TIME_MS), ("frame", "BBO", 2), ("frame", "TRADE", 1),
            ("block", TIME_MS + BLOCK_EVERY_MS), ("frame", "ASSET_CONTEXT", 1),
        ]  # fmt: skip
        told = [(data.kind, data.market, data.block_ms, data.bid_ticks, data.ask_ticks) for data in desk.told]
        assert told == [
            (StreamKind.FAST_BOOK, 1, TIME_MS, 399_900, 400_100),
            (StreamKind.BBO, 0, TIME_MS + 1, 1_099_990, 0),
            (StreamKind.TRADES, 1, TIME_MS + BLOCK_EVERY_MS, 0, 0),
            (StreamKind.CONTEXT, 1, 0, 0, 0),
        ]
        assert desk.hub.block_ms == TIME_MS + BLOCK_EVERY_MS
        assert desk.pulse.busy_ns == desk.feed.line.heard_ns > 0

    on_desk(work)


def test_news_of_our_own_is_recorded_before_anything_is_made_of_it():
    def work(desk: Desk) -> None:
        desk.hear(UPDATES)
        desk.hear(FILLS)
        assert desk.seen == [("raw", UPDATES), ("news", OrderUpdates), ("raw", FILLS), ("news", Fills)]
        assert [data.kind for data in desk.told] == [StreamKind.ORDER_UPDATES, StreamKind.USER_FILLS]

    on_desk(work)


def test_what_cannot_be_decoded_is_counted_and_said_once():
    def work(desk: Desk) -> None:
        for frame in (b"<html>", b"<html>", b'{"channel":"l2Book","data":5}', b'{"channel":"allMids","data":{}}'):
            desk.hear(frame)
        assert sum(desk.feed.counters.values()) == 3
        assert sum("cannot be decoded" in one.text for one in desk.hub.happenings) == 2
        assert "'<html>'" in desk.hub.happenings[0].text
        assert not desk.seen

    on_desk(work)


def test_answers_that_belong_elsewhere_and_the_connections_own_are_no_news():
    def work(desk: Desk) -> None:
        desk.hear(b'{"channel":"pong"}')
        desk.hear(b'{"channel":"post","data":{"id":5,"response":{"type":"error","payload":"x"}}}')
        assert not desk.seen
        assert desk.feed.counters["messages that nobody asked for"] == 1

    on_desk(work)


def test_a_market_that_is_stale_or_fresh_is_told_to_the_core():
    def work(desk: Desk) -> None:
        feed = desk.feed
        feed.market(feed.line, 1, is_fresh=True)
        feed.market(feed.line, 1, is_fresh=False)
        feed.market(feed.line, ALL_MARKETS, is_fresh=True)
        assert desk.seen == [
            ("rows", [("MARKET_STATE", 1, 0)]), ("rows", [("MARKET_STATE", 1, 1)]), ("pulled", 1),
        ]  # fmt: skip
        assert feed.fresh == [False, False]
        assert [one.text for one in desk.hub.happenings] == [
            "ETH: its data are fresh", "ETH: its data are old, quotes pulled",
        ]  # fmt: skip

    on_desk(work)


def test_beside_a_node_the_venue_tells_the_marks_and_its_time_and_no_book():
    def work(desk: Desk) -> None:
        assert {stream.kind for stream in desk.feed._streams if stream.market == 1} == {
            StreamKind.FAST_BOOK, StreamKind.CONTEXT,
        }  # fmt: skip
        desk.hear(BOOK % TIME_MS)
        desk.hear(CONTEXT)
        assert [what[:2] for what in desk.seen] == [("compare", 1), ("block", TIME_MS), ("frame", "ASSET_CONTEXT")]
        assert desk.seen[0] == ("compare", 1, TIME_MS, *BOTH)
        assert [data.kind for data in desk.told] == [StreamKind.FAST_BOOK, StreamKind.CONTEXT]

    on_desk(work, beside_node=True)


def test_beside_a_node_a_market_is_fresh_when_both_are():
    def work(desk: Desk) -> None:
        feed = desk.feed
        steps: list[tuple[Callable[[], None], list[bool], int, list[int]]] = [
            (lambda: feed.market(feed.line, 0, is_fresh=False), [False, False], 1, [0]),
            (lambda: feed.market(feed.line, 0, is_fresh=True), [False, False], 0, []),
            (lambda: feed.node_is_fresh(is_fresh=True), [True, False], 1, []),
            (lambda: feed.market(feed.line, 1, is_fresh=True), [True, True], 1, []),
            (lambda: feed.market(feed.line, 1, is_fresh=False), [True, False], 1, [1]),
            (lambda: feed.node_is_fresh(is_fresh=False), [False, False], 1, [0]),
            (lambda: feed.node_is_fresh(is_fresh=True), [True, False], 1, []),
        ]
        for step, fresh, told, pulled in steps:
            desk.seen.clear()
            step()
            assert (feed.fresh, len(desk.seen) - len(pulled)) == (fresh, told)
            assert [what[1] for what in desk.seen if what[0] == "pulled"] == pulled

    on_desk(work, beside_node=True)


def test_demands_and_reports_go_on():
    def work(desk: Desk) -> None:
        feed = desk.feed
        feed.reconcile(feed.line, Reconcile(ReconcileReason.CONNECTED, 3))
        feed.live(feed.line, is_live=True)
        feed.pressed(feed.line, is_waiting=True)
        feed.broke(None)
        feed.reported(feed.line, Report(ReportCode.LOST, "1006 gone"))
        assert desk.seen == [("reconcile", 3), ("live", True), ("broke", None)]
        assert desk.hub.happenings[-1].text == "feed: lost, 1006 gone"
        say_report(desk.hub, "feed", Report(ReportCode.ROTATED))
        assert desk.hub.counters["feed: ROTATED"] == 1
        assert len(desk.hub.happenings) == 1

    on_desk(work)


def test_the_user_comes_before_the_markets_in_what_is_subscribed_to():
    streams = streams_of(MARKETS, ADDRESS)
    kinds = [stream.kind for stream in streams]
    assert kinds[:3] == [StreamKind.ORDER_UPDATES, StreamKind.USER_FILLS, StreamKind.USER_EVENTS]
    assert len(streams) == 5 + 2 * 5
    assert len({stream.key for stream in streams}) == len(streams)


def test_touches_of_books_with_an_empty_side():
    def work(desk: Desk) -> None:
        for levels, touch in (
            (b'[[],[{"px":"4001","sz":"2","n":1}]]', (0, 400_100)),
            (b'[[{"px":"3999","sz":"1","n":1}],[]]', (399_900, 0)),
            (b'[[{"px":"3999","sz":"1","n":1}],[{"px":"4001","sz":"2","n":1}]]', (399_900, 400_100)),
            (
                b'[[{"px":"3999","sz":"1","n":1}],[{"px":"4001","sz":"2","n":1},{"px":"4002","sz":"2","n":1}%b]]'
                % MORE,
                BOTH,
            ),
            (b'[[],[{"px":"4001","sz":"2","n":1},{"px":"4002","sz":"2","n":1}]]', (0, 400_100)),
            (b"[[],[]]", (0, 0)),
        ):
            desk.hear(b'{"channel":"l2Book","data":{"coin":"ETH","time":%d,"levels":%b}}' % (TIME_MS, levels))
            assert (desk.told[-1].bid_ticks, desk.told[-1].ask_ticks) == touch
        assert _touch(desk.feed._events, 2) == (0, 0)

    on_desk(work)


@pytest.mark.parametrize("user", ["", ADDRESS])
def test_fills_come_on_two_streams(user: str):
    kind = _stream_of(Fills(fills=(), user=user))
    assert kind is (StreamKind.USER_FILLS if user else StreamKind.USER_EVENTS)


def test_the_time_that_books_take_is_counted_by_the_clocks_as_compared():
    def work(desk: Desk) -> None:
        now_ms = desk.hub.clock.now_ns() // 1_000_000
        desk.feed.venue_ahead_ns = 100_000_000
        desk.hear(BOOK % (now_ms - 50))
        desk.hear(BBO % (now_ms - 30))
        desk.hear(TRADES % (now_ms - 9_000))
        desk.hear(CONTEXT)
        latency = desk.feed.latency
        assert latency.count == 2, "trades and contexts are no books"
        assert 150_000_000 <= latency.maximum < 1_000_000_000
        assert 30_000_000 <= desk.feed.least_ns < 900_000_000

    on_desk(work)
