"""Orders in doubt are asked about, within a rate, until there is no doubt."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from hlhft.hyperliquid.account import OrderStatus
from hlhft.hyperliquid.answers import LegStatus, Outcome
from hlhft.hyperliquid.backoff import DRAWS, BackoffSettings
from hlhft.hyperliquid.gateway_asks import Asks
from hlhft.hyperliquid.gateway_events import AskFills, AskStatus, BlockTime, FillsRead, Post, StatusRead
from tests.hyperliquid.gateways import (
    MS,
    NOW_NS,
    RESTING,
    SUCCESS,
    USED,
    S,
    Shell,
    cancel,
    every,
    fill,
    kinds,
    ok,
    only,
    order,
    own_cloid,
    place,
    told,
)

ACKNOWLEDGED, REJECTED, FILLED = 16, 17, 18
WAITS = BackoffSettings(first_ns=2 * S, longest_ns=8 * S)


def begun() -> Shell:
    made = Shell()
    made.begin()
    return made


def test_a_new_doubt_is_asked_about_at_once_and_then_after_waits_that_grow() -> None:
    asks = Asks(100, WAITS)
    assert asks.due([5], 0, DRAWS - 1) == [5]
    assert asks.due([5], 2 * S - 1, DRAWS - 1) == []
    assert asks.due([5], 2 * S, DRAWS - 1) == [5]
    assert asks.due([5], 5 * S, DRAWS - 1) == []
    assert asks.due([5], 6 * S, DRAWS - 1) == [5]
    assert asks.asked == 3


def test_a_doubt_that_is_gone_is_forgotten() -> None:
    asks = Asks(100, WAITS)
    asks.due([5, 6], 0, 0)
    assert len(asks) == 2
    assert asks.due([], 0, 0) == []
    assert len(asks) == 0
    assert asks.due([5], 0, 0) == [5], "another doubt about the same order"


def test_what_the_rate_does_not_allow_is_asked_later_the_longest_waiting_first() -> None:
    asks = Asks(2, WAITS)
    assert asks.due([1, 2, 3], 0, 0) == [1, 2]
    assert asks.due([1, 2, 3], 30 * S, 0) == []
    assert asks.due([1, 2, 3], 61 * S, 0) == [3, 1]


@given(st.lists(st.tuples(st.integers(0, 3 * S), st.sets(st.integers(1, 5))), max_size=40))
def test_never_more_than_the_rate_and_never_what_is_not_in_doubt(looks: list[tuple[int, set[int]]]) -> None:
    asks, now_ns, times = Asks(4, WAITS), 0, []
    for passed_ns, doubts in looks:
        now_ns += passed_ns
        found = asks.due(sorted(doubts), now_ns, 0)
        assert set(found) <= doubts and len(set(found)) == len(found)
        times += [now_ns] * len(found)
        assert sum(time > now_ns - 60 * S for time in times) <= 4


def test_an_order_whose_nonce_is_used_is_asked_about_by_its_name() -> None:
    made = begun()
    made.send(place())
    made.answer(only(made.run(3 * S), Post), USED)
    ask = every(made.run(S), AskStatus)[0]
    assert msgspec.json.decode(ask.body)["oid"] == f"0x{own_cloid(1025):032x}"
    assert (ask.order_id, ask.revision, ask.weight) == (1025, 0, 2)
    status = OrderStatus(order=order(), status="open", status_ns=made.now_ns)
    assert kinds(made.tell(StatusRead(1025, 0, status))) == [(1025, ACKNOWLEDGED)]
    assert every(made.run(5 * S), AskStatus) == []


def test_fills_that_are_missing_are_read() -> None:
    made = begun()
    post = only(made.send(place()), Post)
    filled = LegStatus(outcome=Outcome.FILLED, oid=5, size_text="0.0015", average_price_text="104000.0")
    made.answer(post, ok(filled))
    asked = made.run(2 * S)
    found = every(asked, AskFills)
    assert found and found[0].since_ms <= NOW_NS // MS
    assert made.gateway.weight_used(made.now_ns) == 20 * len(found) + 2 * len(every(asked, AskStatus))
    assert made.gateway.weight_used(made.now_ns + 61 * S) == 0
    assert kinds(made.tell(fill(150))) == [(1025, FILLED)]
    assert told(made.tell(FillsRead(0, made.now_ns // MS, made.now_ns))) == []
    assert every(made.run(10 * S), AskFills) == []


def test_an_order_unknown_to_the_venue_past_its_expiry_never_was() -> None:
    made = begun()
    only(made.send(place()), Post)
    made.answer(only(made.run(3 * S), Post), USED)
    made.tell(BlockTime(NOW_NS // MS + 3000))
    made.tell(BlockTime(NOW_NS // MS + 2000))
    assert every(made.run(300 * MS), AskStatus)
    assert told(made.tell(StatusRead(1025, 0, None))) == [], "no later than its expiry and the margin"
    made.tell(BlockTime(NOW_NS // MS + 4500))
    assert told(made.tell(StatusRead(1025, 0, None))) == [], "asked before that block"
    assert every(made.run(2 * S), AskStatus)
    assert kinds(made.tell(StatusRead(1025, 0, None))) == [(1025, REJECTED)]


def test_the_block_that_a_reading_names_counts() -> None:
    made = begun()
    only(made.send(place()), Post)
    made.answer(only(made.run(3 * S), Post), USED)
    assert kinds(made.tell(StatusRead(1025, 0, None, NOW_NS // MS + 9000))) == [(1025, REJECTED)]


def test_an_order_that_the_venue_named_is_asked_about_by_its_id() -> None:
    made = begun()
    made.answer(only(made.send(place()), Post), ok(RESTING))
    made.answer(only(made.send(cancel(1025)), Post), ok(SUCCESS, kind="cancel"))
    ask = every(made.run(2 * S), AskStatus)[0]
    assert msgspec.json.decode(ask.body) == {"type": "orderStatus", "user": "0x" + "ab" * 20, "oid": 5}
