"""The feed of a live scan in virtual time: connects and messages within their share, blocks whole and in order."""

from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.data.markets import known
from hlhft.events import EventKind
from hlhft.hyperliquid.backoff import DRAWS, WINDOW_NS, Budget
from hlhft.live import scan_feed
from hlhft.live.scan_feed import (
    HOLD_NS,
    PING_NS,
    SILENT_NS,
    TRANSITIONS,
    Close,
    Connect,
    Effect,
    Link,
    ScanFeed,
    Send,
    Step,
    subscriptions,
)
from tests.data.readers.fuzz import mutated

BTC, ETH = known()["BTC"], known()["ETH"]
SECOND = 1_000_000_000
START_MS = 1_790_000_000_000
LOCAL_NS = START_MS * 1_000_000
TRADE, BBO, CLEAR, CONTEXT = (
    int(kind) for kind in (EventKind.TRADE, EventKind.BBO, EventKind.DEPTH_CLEAR, EventKind.ASSET_CONTEXT)
)


def feed(*, messages: int = 100, connects: int = 10) -> ScanFeed:
    return ScanFeed([BTC, ETH], connects=Budget(connects), messages=Budget(messages))


def up(**options: int) -> ScanFeed:
    made = feed(**options)
    assert made.tick(0) == [Connect()]
    made.opened(0)
    return made


def bbo(at_ms: int, bid: str = "100000", ask: str = "100001", coin: str = "BTC") -> str:
    levels = [{"px": bid, "sz": "1", "n": 1}, {"px": ask, "sz": "2", "n": 1}]
    return json.dumps({"channel": "bbo", "data": {"coin": coin, "time": START_MS + at_ms, "bbo": levels}})


def trade(at_ms: int, tid: int, coin: str = "BTC") -> str:
    row = {"coin": coin, "side": "B", "px": "100001", "sz": "0.5", "time": START_MS + at_ms, "hash": "0x", "tid": tid}
    return json.dumps({"channel": "trades", "data": [{**row, "users": ["0x1", "0x2"]}]})


def told(made: ScanFeed, *texts: str, now_ns: int = SECOND) -> list[Effect]:
    return [effect for text in texts for effect in made.received(text, now_ns, LOCAL_NS)]


def seen(rows: np.ndarray) -> list[tuple[int, int]]:
    """(milliseconds, kind) of each row; of the two of a best price the first."""
    shown = rows[(rows["kind"] != BBO) | (rows["side"] > 0)]
    return [(int(row["ts_exch_ns"] // 1_000_000) - START_MS, int(row["kind"])) for row in shown]


def test_every_market_is_subscribed_to_as_the_venue_wants_it() -> None:
    made = feed()
    assert made.tick(0) == [Connect()]
    assert made.opened(0) == [Send(text) for text in subscriptions([BTC, ETH])]
    assert [json.loads(text)["subscription"] for text in subscriptions([BTC])] == [
        {"type": "bbo", "coin": "BTC"},
        {"type": "trades", "coin": "BTC"},
    ]


def test_messages_wait_for_their_share() -> None:
    made = feed(messages=3)
    made.tick(0)
    assert len(made.opened(0)) == 3
    assert made.next_deadline_ns() <= WINDOW_NS
    assert made.received(bbo(0), SILENT_NS - 1, LOCAL_NS) == []
    assert made.received(bbo(1), 2 * SILENT_NS - 2, LOCAL_NS) == []
    # A ping has waited since, behind the subscription.
    assert len(made.received(bbo(2), WINDOW_NS, LOCAL_NS)) == 3


def test_connects_wait_for_their_share() -> None:
    made = feed(connects=1)
    made.tick(0)
    made.closed("refused", 5, 0)
    assert made.tick(made.next_deadline_ns()) == []
    assert made.next_deadline_ns() == WINDOW_NS
    assert made.tick(WINDOW_NS) == [Connect()]


def test_waits_grow_until_a_best_price_comes() -> None:
    made, now, waits = feed(connects=100), 0, []
    for _ in range(4):
        assert made.tick(now) == [Connect()]
        made.closed("refused", now, DRAWS - 1)
        waits.append(made.next_deadline_ns() - now)
        now = made.next_deadline_ns()
    assert waits == [250_000_000 << number for number in range(4)]
    made.tick(now)
    made.opened(now)
    told(made, bbo(0), now_ns=now)
    made.closed("gone", now, DRAWS - 1)
    assert made.next_deadline_ns() - now == waits[0]


def test_a_silent_connection_is_closed_and_a_quiet_one_pinged() -> None:
    made = up()
    assert made.tick(PING_NS) == [Send('{"method":"ping"}')]
    told(made, '{"channel":"pong"}', "Websocket connection established.", now_ns=PING_NS)
    assert made.tick(SILENT_NS) == [Close()]
    made.closed("silent", SILENT_NS, 0)
    assert made.tally["connections_silent"] == 1


def test_blocks_come_whole_and_trades_before_best_prices() -> None:
    made = up()
    told(made, bbo(0), bbo(100, "100001", "100002"), trade(100, 1), bbo(300), bbo(2100))
    assert seen(made.take_blocks()) == [(0, BBO)]
    told(made, bbo(2101))
    assert seen(made.take_blocks()) == [(100, TRADE), (100, BBO)]
    assert seen(made.take_blocks(everything=True)) == [(300, BBO), (2100, BBO), (2101, BBO)]
    assert len(made.take_blocks(everything=True)) == 0


def test_what_is_later_than_the_hold_is_dropped_and_counted() -> None:
    made = up()
    told(made, bbo(0), bbo(5000))
    made.take_blocks()
    told(made, trade(2_999, 1), trade(3_000, 2))
    assert made.tally["rows_too_late"] == 1
    assert seen(made.take_blocks(everything=True)) == [(3_000, TRADE), (5_000, BBO)]


def test_backfill_and_repeated_trades_are_left_out() -> None:
    made = up()
    told(made, trade(-5, 1), bbo(0), trade(-4, 2), trade(1, 3), trade(1, 3))
    assert seen(made.take_blocks(everything=True)) == [(0, BBO), (1, TRADE)]
    assert (made.tally["backfill_trades"], made.tally["duplicate_trades"]) == (2, 1)


def test_a_lost_connection_ends_every_session_and_begins_anew() -> None:
    made = up()
    told(made, bbo(0), trade(5, 1), bbo(10, coin="ETH"))
    made.closed("Expired", 2 * SECOND, 0)
    rows = made.take_blocks()
    assert seen(rows) == [(0, BBO), (5, TRADE), (10, BBO), (10, CLEAR), (10, CLEAR)]
    assert sorted(rows["market"][-2:].tolist()) == [0, 1]
    now_ns = made.next_deadline_ns()
    assert made.tick(now_ns) == [Connect()]
    assert len(made.opened(now_ns)) == 4
    told(made, trade(5, 1), trade(900, 2), bbo(1_000), now_ns=now_ns)
    assert seen(made.take_blocks(everything=True)) == [(1_000, BBO)]
    assert "2 connections, last fault: Expired" in made.status()


def test_a_connection_that_brought_nothing_ends_no_session() -> None:
    made = feed()
    made.tick(0)
    made.closed("refused", 1, 0)
    assert len(made.take_blocks(everything=True)) == 0


def context(made: ScanFeed, funding: str = "0.0000125") -> None:
    values = {"funding": funding, "openInterest": "1", "oraclePx": "100000.0", "markPx": "100001.0", "premium": None}
    made.context("BTC", msgspec.Raw(json.dumps(values).encode()), 0, LOCAL_NS)


def test_contexts_have_the_time_of_the_newest_best_price_and_wait_for_the_first() -> None:
    made = up()
    context(made, "0.5")
    context(made)
    assert len(made.take_blocks(everything=True)) == 0
    told(made, trade(900, 1, "ETH"), bbo(7))
    rows = made.take_blocks(everything=True)
    assert seen(rows) == [(7, BBO), (7, CONTEXT)]
    assert (rows["aux0"][-1], rows["order_id"][-1]) == (12_500_000, BTC.ticks("100000"))
    told(made, bbo(9))
    context(made)
    assert seen(made.take_blocks(everything=True)) == [(9, BBO), (9, CONTEXT)]


def test_errors_and_nonsense_are_counted_and_told() -> None:
    made = up()
    told(made, '{"channel":"error","data":"Invalid subscription"}')
    assert "Invalid subscription" in made.status()
    told(made, '{"channel":"bbo","data":5}', "{")
    assert (made.tally["errors"], made.tally["messages_refused"]) == (1, 2)
    told(made, bbo(0))
    assert seen(made.take_blocks(everything=True)) == [(0, BBO)]


def test_a_frame_of_a_closed_connection_is_not_looked_at() -> None:
    made = up()
    made.tick(SILENT_NS)
    assert told(made, bbo(0), now_ns=SILENT_NS) == []
    assert len(made.take_blocks(everything=True)) == 0


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_feed, "ROWS_HELD_MAX", 5)
    made = up()
    told(made, bbo(0), bbo(1), bbo(2), bbo(1))
    assert made.tally["overflows"] == 1
    assert seen(made.take_blocks()) == [(0, BBO), (1, BBO), (2, BBO)]
    assert made.tally["rows_too_late"] == 2


def test_every_step_is_in_the_table_where_it_can_happen() -> None:
    assert set(TRANSITIONS) == set(Link)
    assert {step for row in TRANSITIONS.values() for step in row} == set(Step)
    with pytest.raises(AssertionError, match="where opened cannot happen"):
        feed().opened(0)


FRAMES = [bbo(0), trade(5, 1), bbo(10, coin="ETH"), trade(11, 2, "ETH")]


@settings(max_examples=40)
@given(mutated([frame.encode() for frame in FRAMES]))
def test_any_frame_is_rows_or_counted(changed: tuple[list[bytes], int]) -> None:
    made = up()
    for frame in changed[0]:
        made.received(frame, SECOND, LOCAL_NS)
    rows = made.take_blocks(everything=True)
    assert (np.diff(rows["ts_exch_ns"]) >= 0).all()


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 6_000), st.booleans(), st.booleans()), max_size=40))
def test_whatever_order_frames_come_in_rows_come_out_in_the_venues(frames: list[tuple[int, bool, bool]]) -> None:
    made, out = up(), []
    for number, (at_ms, is_trade, is_taken) in enumerate(frames, 1):
        told(made, trade(at_ms, number) if is_trade else bbo(at_ms))
        if is_taken:
            out.append(made.take_blocks())
    out.append(made.take_blocks(everything=True))
    rows = np.concatenate(out)
    assert (np.diff(rows["ts_exch_ns"]) >= 0).all()
    given_rows = sum(1 if is_trade else 2 for _, is_trade, _ in frames)
    assert len(rows) + made.tally["rows_too_late"] + made.tally["backfill_trades"] == given_rows
    assert HOLD_NS == 2 * SECOND
