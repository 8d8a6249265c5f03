"""The limits: windows, weights, sockets, the budget of an account; by hand and against models that keep everything."""

from __future__ import annotations

from dataclasses import fields

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.exchange.limits import (
    MINUTE_MS,
    AccountLimits,
    BudgetState,
    ClientLimits,
    LimitSettings,
    Window,
    exchange_weight,
    info_weight,
    items_weight,
    limits_table,
)
from hlhft.units import MICRO

NOW = 1_770_000_000_000  # the start of a minute of the clock
HOME, DESK = ("127.0.0.1", ""), ("127.0.0.1", "desk")
OFF = LimitSettings(enabled=False)


@pytest.mark.parametrize(
    ("request_type", "weight"),
    [
        ("l2Book", 2),
        ("allMids", 2),
        ("clearinghouseState", 2),
        ("orderStatus", 2),
        ("spotClearinghouseState", 2),
        ("exchangeStatus", 2),
        ("userRole", 60),
        ("meta", 20),
        ("openOrders", 20),
        ("userFills", 20),
        ("candleSnapshot", 20),
    ],
)
def test_weights_of_info_requests(request_type: str, weight: int) -> None:
    assert info_weight(request_type) == weight


@pytest.mark.parametrize(
    ("request_type", "items", "weight"),
    [
        ("userFills", 19, 0),
        ("userFills", 20, 1),
        ("userFills", 2000, 100),
        ("recentTrades", 39, 1),
        ("fundingHistory", 500, 25),
        ("candleSnapshot", 59, 0),
        ("candleSnapshot", 5000, 83),
        ("openOrders", 1000, 0),
        ("meta", 200, 0),
    ],
)
def test_what_an_answer_adds(request_type: str, items: int, weight: int) -> None:
    assert items_weight(request_type, items) == weight


@pytest.mark.parametrize(("legs", "weight"), [(0, 1), (1, 1), (39, 1), (40, 2), (79, 2), (80, 3), (200, 6)])
def test_weights_of_actions(legs: int, weight: int) -> None:
    assert exchange_weight(legs) == weight


def test_a_sliding_minute_frees_what_is_sixty_seconds_old() -> None:
    window = Window(10, sliding=True)
    window.add(4, NOW)
    window.add(3, NOW + 30_000)
    window.add(3, NOW + 30_000)
    assert window.used(NOW + 59_999) == 10
    assert window.wait_ms(1, NOW + 59_999) == 1 and window.wait_ms(4, NOW + 59_999) == 1
    assert window.wait_ms(5, NOW + 59_999) == 30_001
    assert window.wait_ms(11, NOW + 59_999) == MINUTE_MS, "what is above the limit never fits"
    assert window.used(NOW + 60_000) == 6 and window.wait_ms(4, NOW + 60_000) == 0
    assert window.used(NOW + 90_000) == 0


def test_a_minute_of_the_clock_begins_anew() -> None:
    window = Window(10, sliding=False)
    window.add(10, NOW + 59_000)
    assert window.wait_ms(1, NOW + 59_999) == 1 and window.used(NOW + 59_999) == 10
    assert window.wait_ms(10, NOW + 60_000) == 0 and window.used(NOW + 60_000) == 0


@given(st.lists(st.tuples(st.integers(0, 40_000), st.integers(0, 5)), max_size=40), st.booleans())
@settings(max_examples=60)
def test_a_window_counts_as_a_model_that_keeps_everything(steps: list[tuple[int, int]], sliding: bool) -> None:
    window, taken, now_ms = Window(9, sliding=sliding), [], NOW
    for elapsed_ms, amount in steps:
        now_ms += elapsed_ms
        start = now_ms - MINUTE_MS if sliding else now_ms // MINUTE_MS * MINUTE_MS - 1
        used = sum(part for when, part in taken if when > start)
        assert window.used(now_ms) == used
        wait_ms = window.wait_ms(amount, now_ms)
        assert (wait_ms == 0) is (used + amount <= 9)
        if wait_ms == 0:
            window.add(amount, now_ms)
            taken.append((now_ms, amount))
            continue
        later = [now_ms + wait_ms - 1, now_ms + wait_ms]
        starts = [moment - MINUTE_MS if sliding else moment // MINUTE_MS * MINUTE_MS - 1 for moment in later]
        fits = [sum(part for when, part in taken if when > begin) + amount <= 9 for begin in starts]
        assert fits == [False, True], "the wait is exact"


def test_rest_weight_is_counted_for_each_client_and_answers_add_to_it() -> None:
    limits = ClientLimits()
    for _ in range(59):
        assert limits.take_weight(HOME, 20, NOW) == 0
    limits.add_weight(HOME, 100, NOW + 1)
    assert limits.weight_used(HOME, NOW + 1) == 1280
    assert limits.take_weight(HOME, 2, NOW + 2) == MINUTE_MS - 2
    assert limits.take_weight(DESK, 1200, NOW + 2) == 0 and limits.take_weight(DESK, 1, NOW + 2) == MINUTE_MS
    assert limits.refused == {"weight_per_minute": 2}
    assert limits.weight_used(HOME, NOW + MINUTE_MS) == 100 and limits.take_weight(HOME, 2, NOW + MINUTE_MS) == 0
    limits.add_weight(("10.0.0.1", ""), 5, NOW)
    assert limits.weight_used(("10.0.0.1", ""), NOW) == 0, "only who asked is charged"


def test_a_refused_request_weighs_nothing() -> None:
    limits = ClientLimits(LimitSettings(weight_per_minute=10))
    assert limits.take_weight(HOME, 8, NOW) == 0
    assert limits.take_weight(HOME, 3, NOW + 1) > 0 and limits.take_weight(HOME, 2, NOW + 2) == 0


def test_ten_connections_and_thirty_new_ones_a_minute() -> None:
    limits = ClientLimits()
    for number in range(10):
        assert limits.connect(HOME, number, NOW) is None
    assert limits.connect(HOME, 10, NOW) == "Too many websocket connections."
    limits.disconnect(0)
    assert limits.connect(HOME, 11, NOW) is None
    for number in range(12, 30):
        assert limits.connect(HOME, number, NOW) == "Too many websocket connections."
    limits.disconnect(1)
    assert limits.connect(HOME, 30, NOW) == "Too many new websocket connections."
    assert limits.connect(DESK, 31, NOW) is None
    assert limits.connect(HOME, 30, NOW + MINUTE_MS) is None
    assert limits.refused == {"connections": 19, "new_connections_per_minute": 1}
    limits.disconnect(10)  # was refused, so has nothing to give back
    limits.disconnect(1)  # is gone already


def test_subscriptions_and_users_are_counted_over_all_connections_of_a_client() -> None:
    limits = ClientLimits(LimitSettings(subscriptions=4, users=2))
    for number in range(2):
        limits.connect(HOME, number, NOW)
    assert limits.subscribe(0, "0xa") is None and limits.subscribe(1, "0xb") is None
    assert limits.subscribe(1, "0xc") == "Cannot track more than 3 total users."
    assert limits.subscribe(1, "0xa") is None and limits.subscribe(0, None) is None
    assert limits.subscribe(0, None) == "Cannot have more than 4 subscriptions."
    limits.unsubscribe(0, "0xa")
    assert limits.subscribe(0, "0xc") == "Cannot track more than 3 total users.", "the other connection tracks it still"
    limits.unsubscribe(1, "0xa")
    assert limits.subscribe(0, "0xc") is None
    limits.disconnect(0)
    assert limits.subscribe(1, "0xd") is None and limits.subscribe(1, "0xe") is not None
    assert limits.refused == {"users": 3, "subscriptions": 1}


def test_the_fifteenth_user_is_refused_as_measured() -> None:
    limits = ClientLimits()
    limits.connect(HOME, 0, NOW)
    for user in range(14):
        assert limits.subscribe(0, f"0x{user}") is None
    assert limits.subscribe(0, "0xlast") == "Cannot track more than 15 total users."


def test_messages_and_posts() -> None:
    limits = ClientLimits(LimitSettings(messages_per_minute=3, posts_in_flight=2))
    for number in range(2):
        limits.connect(HOME, number, NOW)
    assert [limits.message(number, NOW) for number in (0, 1, 0)] == [None, None, None]
    assert limits.message(1, NOW + 1) == "Too many websocket messages."
    assert limits.message(1, NOW + MINUTE_MS) is None
    assert limits.begin_post(0) is None and limits.begin_post(1) is None
    assert limits.begin_post(1) == "Too many inflight posts."
    limits.end_post(0)
    assert limits.begin_post(1) is None and limits.begin_post(0) is not None
    limits.disconnect(1)
    assert limits.begin_post(0) is None and limits.begin_post(0) is None, "what a closed connection had is free again"
    limits.end_post(1)  # its answer comes too late
    limits.subscribe(0, None)
    limits.unsubscribe(0, None)


def test_clients_are_bounded_and_idle_ones_make_room() -> None:
    limits = ClientLimits(LimitSettings(clients_max=2))
    assert limits.take_weight(HOME, 1, NOW) == 0 and limits.connect(DESK, 0, NOW) is None
    third = ("10.0.0.1", "")
    assert limits.take_weight(third, 1, NOW) == MINUTE_MS
    assert limits.connect(third, 1, NOW) == "Too many clients."
    assert limits.take_weight(third, 1, NOW + MINUTE_MS) == 0, "the first has used nothing for a minute"
    assert limits.take_weight(HOME, 1, NOW + MINUTE_MS) > 0, "the second is still connected"
    limits.disconnect(0)
    assert limits.take_weight(HOME, 1, NOW + MINUTE_MS) == 0
    assert limits.refused == {"clients_max": 3}


def test_nothing_is_refused_with_limits_off() -> None:
    limits = ClientLimits(OFF)
    for number in range(100):
        assert limits.take_weight(HOME, 10_000, NOW) == 0
        assert limits.connect(HOME, number, NOW) is None and limits.subscribe(number, f"0x{number}") is None
        assert limits.message(number, NOW) is None and limits.begin_post(number) is None
    limits.add_weight(HOME, 1, NOW)
    for number in range(100):
        limits.disconnect(number)
    assert limits.refused == {} and limits.weight_used(HOME, NOW) == 0
    accounts = AccountLimits(OFF)
    assert accounts.take(1, 10**9, is_cancel=False, volume_micro=0, now_ms=NOW) is None
    assert accounts.answer(1, 0)["nRequestsUsed"] == 10**9


def take(limits: AccountLimits, requests: int, *, is_cancel: bool = False, volume: int = 0, now_ms: int = NOW) -> bool:
    refusal = limits.take(1, requests, is_cancel=is_cancel, volume_micro=volume * MICRO, now_ms=now_ms)
    return refusal is None


def test_ten_thousand_requests_and_one_more_for_each_dollar_traded() -> None:
    limits = AccountLimits()
    assert take(limits, 9_999) and take(limits, 1) and not take(limits, 1)
    assert take(limits, 1, volume=1) and not take(limits, 1, volume=1)
    refusal = limits.take(1, 4, is_cancel=False, volume_micro=87_457_460_000 - 87_456 * MICRO, now_ms=NOW)
    assert refusal == (
        "Too many cumulative requests sent (10005 > 10001) for cumulative volume traded $1.46. "
        "Place taker orders to free up 1 request per USDC traded."
    )
    assert limits.refused == 3
    assert limits.take(2, 10_000, is_cancel=False, volume_micro=0, now_ms=NOW) is None, "each account has its own"


def test_cancels_go_to_twice_the_limit_or_a_hundred_thousand_beyond() -> None:
    limits = AccountLimits()
    assert take(limits, 10_000) and not take(limits, 1)
    assert take(limits, 10_000, is_cancel=True) and not take(limits, 1, is_cancel=True)
    rich = AccountLimits()
    assert take(rich, 500_000, volume=490_000)
    assert take(rich, 100_000, is_cancel=True, volume=490_000) and not take(rich, 1, is_cancel=True, volume=490_000)


def test_an_exhausted_account_sends_once_in_ten_seconds_and_refusals_do_not_restart_the_wait() -> None:
    limits = AccountLimits()
    assert take(limits, 10_000)
    assert not take(limits, 1, now_ms=NOW + 9_999)
    assert not take(limits, 2, now_ms=NOW + 10_000), "one request, not two"
    assert take(limits, 1, now_ms=NOW + 10_000)
    assert not take(limits, 1, now_ms=NOW + 19_999) and take(limits, 1, now_ms=NOW + 20_000)
    assert limits.answer(1, 0)["nRequestsUsed"] == 10_002


def test_a_stale_action_costs_five_times_as_much() -> None:
    limits = AccountLimits()
    limits.take_stale(1, 1_999)
    assert limits.answer(1, 0)["nRequestsUsed"] == 9_995
    assert take(limits, 5) and not take(limits, 1, now_ms=NOW + 1)


def test_requests_can_be_bought() -> None:
    limits = AccountLimits()
    limits.reserve(1, 1_000)
    assert limits.answer(1, 0)["nRequestsSurplus"] == 1_000 and limits.answer(1, 0)["nRequestsUsed"] == 0
    assert take(limits, 11_000) and not take(limits, 1)
    assert limits.answer(1, 0)["nRequestsSurplus"] == 0 and limits.answer(1, 0)["nRequestsUsed"] == 10_000


def test_the_answer_to_user_rate_limit() -> None:
    """The venue's own example: the cap is the volume, cut, and 10,000 (venue reference appendix B)."""
    limits = AccountLimits()
    limits.take(1, 2_890, is_cancel=False, volume_micro=0, now_ms=NOW)
    assert limits.answer(1, 2_854_574_593_578) == {
        "cumVlm": "2854574.593578",
        "nRequestsUsed": 2890,
        "nRequestsCap": 2864574,
        "nRequestsSurplus": 0,
    }
    empty = {"cumVlm": "0.0", "nRequestsUsed": 0, "nRequestsCap": 10_000, "nRequestsSurplus": 0}
    assert limits.answer(None, 0) == limits.answer(7, 0) == empty


def restored(limits: AccountLimits) -> AccountLimits:
    state = msgspec.json.decode(msgspec.json.encode(limits.state()), type=BudgetState)
    return AccountLimits.from_state(state, limits.settings)


moves = st.tuples(st.integers(0, 3), st.integers(1, 6), st.booleans(), st.integers(0, 9), st.integers(0, 15_000))


@given(st.lists(moves, max_size=60), st.integers(0, 30))
@settings(max_examples=60)
def test_any_sequence_of_actions_is_judged_as_by_the_rules(
    sequence: list[tuple[int, int, bool, int, int]], cut: int
) -> None:
    limits = AccountLimits(LimitSettings(requests_initial=20, cancels_extra=15))
    used, bought, last_ms, now_ms, volume = 0, 0, -(10**9), NOW, 0
    for place, (kind, requests, is_cancel, traded, elapsed_ms) in enumerate(sequence):
        now_ms += elapsed_ms
        volume += traded
        if place == cut:
            limits = restored(limits)
        if kind == 0:
            limits.reserve(1, requests)
            bought += requests
        elif kind == 1:
            limits.take_stale(1, requests)
            used += 5 * requests
        else:
            cap = 20 + volume
            bound = min(cap + 15, cap * 2) if is_cancel else cap
            fits = max(0, used + requests - bought) <= bound
            expected = fits or (requests == 1 and now_ms - last_ms >= 10_000)
            assert take(limits, requests, is_cancel=is_cancel, volume=volume, now_ms=now_ms) is expected
            if expected:
                used, last_ms = used + requests, now_ms
        answer = limits.answer(1, volume * MICRO)
        assert answer["nRequestsUsed"] - answer["nRequestsSurplus"] == used - bought


socket_moves = st.tuples(st.integers(0, 5), st.integers(0, 4), st.integers(0, 3))


@given(st.lists(socket_moves, max_size=60))
@settings(max_examples=60)
def test_whatever_connections_do_the_counts_stay_within_the_limits(sequence: list[tuple[int, int, int]]) -> None:
    limits = ClientLimits(LimitSettings(connections=3, subscriptions=4, users=2, posts_in_flight=2))
    opened: dict[int, list[str | None]] = {}
    posts: dict[int, int] = {}
    for kind, connection, user_number in sequence:
        user = f"0x{user_number}" if user_number else None
        if kind == 0 and connection not in opened:
            if limits.connect(HOME, connection, NOW) is None:
                opened[connection], posts[connection] = [], 0
        elif connection not in opened:
            continue
        elif kind == 1:
            limits.disconnect(connection)
            del opened[connection], posts[connection]
        elif kind == 2:
            everything = [name for names in opened.values() for name in names]
            users = {name for name in everything if name is not None}
            fits = len(everything) < 4 and (user is None or user in users or len(users) < 2)
            assert (limits.subscribe(connection, user) is None) is fits
            if fits:
                opened[connection].append(user)
        elif kind == 3 and opened[connection]:
            limits.unsubscribe(connection, opened[connection].pop())
        elif kind == 4:
            fits = sum(posts.values()) < 2
            assert (limits.begin_post(connection) is None) is fits
            posts[connection] += fits
        elif kind == 5 and posts[connection]:
            limits.end_post(connection)
            posts[connection] -= 1
        assert len(opened) <= 3
    for connection in list(opened):
        limits.disconnect(connection)
    if limits.connect(HOME, 99, NOW) is None:
        assert [limits.subscribe(99, f"0x{user}") for user in range(2)] == [None, None], "all was given back"


def test_the_table_shows_every_limit_with_its_number() -> None:
    table = limits_table().splitlines()
    assert len(table) == 2 + len(fields(LimitSettings))
    assert "| `weight_per_minute` | 1200 | weight | REST requests of a client |" in table
    assert all(line.count("|") == 5 for line in table)
