"""What leaves, by which way, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hlhft.hyperliquid.backoff import Budget, message_budget
from hlhft.hyperliquid.cloids import Cloid
from hlhft.hyperliquid.encode import Encoder
from hlhft.hyperliquid.gateway_events import (
    BlockTime,
    CancelOwn,
    Deadman,
    Gate,
    GatewayRefusal,
    LaneDown,
    LaneUp,
    NotWritten,
    Post,
    PostHttp,
    Pressure,
    Report,
    ReportCode,
)
from hlhft.hyperliquid.gateway_flights import FLIGHTS_MAX
from hlhft.hyperliquid.nonces import NonceRules
from hlhft.hyperliquid.packing import ActionKind
from hlhft.hyperliquid.signing import Signer
from hlhft.hyperliquid.wire import cloid_text
from tests.hyperliquid.actions import OWNER, market_records
from tests.hyperliquid.gateways import (
    DONE,
    KEY,
    MODIFY,
    MS,
    NOW_NS,
    PLACE,
    REFUSED,
    RESTING,
    SENT,
    SESSION,
    SUCCESS,
    USED,
    S,
    Shell,
    adopted_order,
    cancel,
    close,
    counted,
    every,
    ok,
    only,
    place,
    reports,
    told,
)


def shell(**changes: Any) -> Shell:
    made = Shell(**changes)
    made.begin()
    return made


def resting(made: Shell, *order_ids: int, market: int = 0) -> None:
    """Orders that rest, as oid 5 and on."""
    for order_id in order_ids:
        post = only(made.send(place(order_id, market=market)), Post)
        made.answer(post, ok(RESTING))


def refusals(effects: list[Any]) -> list[tuple[int, GatewayRefusal]]:
    rows = told(effects)
    assert all(row[7] == REFUSED for row in rows)
    return [(row[4], GatewayRefusal(row[5])) for row in rows]


def cloid(order_id: int, revision: int = 0) -> str:
    return cloid_text(Cloid(OWNER, SESSION, order_id, revision).number())


# Commands become actions.


def test_the_commands_of_one_batch_are_one_action_on_the_first_connection() -> None:
    made = shell()
    post = only(made.send(place(1025), place(2049)), Post)
    assert (post.lane, post.socket, post.batch_id) == (0, 10, 1)
    action = made.action(post)["action"]
    assert [order["c"] for order in action["orders"]] == [cloid(1025), cloid(2049)]
    assert made.gateway.posts_in_flight == 1 and not made.gateway.is_quiet
    assert made.nonces.unanswered == (made.action(post)["nonce"],)


def test_once_it_is_written_the_core_is_told_how_long_it_took() -> None:
    made = shell()
    post = only(made.send(place(batch_id=9)), Post)
    made.now_ns += 50
    assert told(made.written(post)) == [(0, NOW_NS + 50, 0, 0, 9, NOW_NS - 7, NOW_NS + 51, SENT, 2, 0, 0, 0)]
    made.answer(post, ok(RESTING))
    assert made.written(post) == [], "it is over"


def test_each_batch_and_each_kind_is_an_action_of_its_own_whatever_their_order() -> None:
    made = shell()
    resting(made, 1025, 2049)
    effects = made.send(
        cancel(1025, batch_id=4), place(3073, batch_id=5), cancel(2049, batch_id=4), place(4097, batch_id=5, side=-1)
    )
    posts = every(effects, Post)
    assert [post.batch_id for post in posts] == [4, 5]
    assert [made.action(post)["action"]["type"] for post in posts] == ["cancelByCloid", "order"]
    assert [item["cloid"] for item in made.action(posts[0])["action"]["cancels"]] == [cloid(1025), cloid(2049)]
    assert [order["b"] for order in made.action(posts[1])["action"]["orders"]] == [True, False]


def test_what_was_sent_is_not_changed_by_the_core_writing_its_next_commands() -> None:
    made = shell()
    commands = place(1025)
    post = only(made.keep(made.gateway.send(commands, NOW_NS, NOW_NS)), Post)
    commands["order_id"] = 7
    rows = told(made.answer(post, ok(RESTING)))
    assert [row[4] for row in rows] == [1025]


def test_a_command_that_is_none_is_refused_and_its_nonce_is_free() -> None:
    made = shell()
    effects = made.send(place(1025, price_ticks=0))
    assert refusals(effects) == [(1025, GatewayRefusal.ENCODE)]
    assert reports(effects) == [ReportCode.NOT_ENCODED]
    assert made.nonces.unanswered == () and made.gateway.is_quiet


def test_orders_beyond_what_the_fates_remember_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    made = shell()
    monkeypatch.setattr(made.fates, "has_room", lambda count: False)
    assert refusals(made.send(place())) == [(1025, GatewayRefusal.FULL)]


# The way.


def test_a_closed_gate_refuses_what_adds_risk_and_lets_cancels_pass() -> None:
    made = shell()
    resting(made, 1025)
    made.tell(Gate(is_open=False))
    assert refusals(made.send(place(2049), place(3073))) == [
        (2049, GatewayRefusal.CLOSED),
        (3073, GatewayRefusal.CLOSED),
    ]
    assert refusals(made.send(close(2049))) == [(2049, GatewayRefusal.CLOSED)]
    assert every(made.send(cancel(1025)), Post)
    made.tell(Gate(is_open=False, reductions=True))
    assert refusals(made.send(place(2049))) == [(2049, GatewayRefusal.CLOSED)]
    assert every(made.send(close(2049)), Post)


def test_without_a_connection_only_what_takes_risk_away_leaves_over_http() -> None:
    made = shell()
    resting(made, 1025)
    made.tell(LaneDown(0))
    post = only(made.send(place(2049)), Post)
    assert post.lane == 1, "the other connection"
    made.answer(post, ok(RESTING))
    made.tell(LaneDown(1))
    assert refusals(made.send(place(3073))) == [(3073, GatewayRefusal.NO_LANE)]
    assert made.action(only(made.send(close(3073, batch_id=8)), PostHttp))["action"]["orders"][0]["r"]
    sent = only(made.send(cancel(1025, batch_id=9)), PostHttp)
    assert sent.batch_id == 9
    assert made.gateway.posts_in_flight == 0


def test_bytes_that_wait_stop_placements_and_cancels_go_around_them() -> None:
    made = shell()
    resting(made, 1025, 2049, 3073)
    made.tell(Pressure(0, True))
    assert refusals(made.send(place(4097))) == [(4097, GatewayRefusal.PRESSURE)]
    assert only(made.send(cancel(1025)), Post).lane == 1
    made.tell(Pressure(1, True))
    assert every(made.send(cancel(2049)), PostHttp)
    made.tell(Pressure(0, False))
    made.tell(Pressure(1, False))
    assert every(made.send(place(4097)), Post)


def test_when_http_is_used_up_a_cancel_waits_behind_the_bytes_that_wait() -> None:
    made = shell(requests=Budget(1))
    resting(made, 1025, 2049)
    made.tell(Pressure(0, True))
    made.tell(Pressure(1, True))
    assert every(made.send(cancel(1025)), PostHttp)
    assert only(made.send(cancel(2049)), Post).lane == 0


def test_a_troubled_venue_gets_no_placements_until_the_wait_is_over() -> None:
    made = shell()
    post = only(made.send(place(1025)), Post)
    made.refuse(post, "502 Bad Gateway")
    assert refusals(made.send(place(2049))) == [(2049, GatewayRefusal.VENUE)]
    assert every(made.send(close(2049)), Post)
    made.run(250 * MS)
    assert every(made.send(place(3073)), Post)


def test_posts_in_flight_are_bounded_and_some_are_kept_for_cancels() -> None:
    made = shell(posts_max=3, posts_kept=1)
    resting(made, 1, 2)
    for order_id in (1025, 2049, 3073):
        assert every(made.send(place(order_id)), Post)
    assert refusals(made.send(place(4097))) == [(4097, GatewayRefusal.POSTS)]
    assert every(made.send(cancel(1)), Post)
    assert every(made.send(cancel(2)), PostHttp)


def test_messages_of_a_minute_are_bounded_and_some_are_kept_for_cancels() -> None:
    made = Shell(messages=Budget(4), requests=Budget(1), messages_kept=2)
    made.begin()
    resting(made, 1025)
    assert refusals(made.send(place(2049))) == [(2049, GatewayRefusal.MESSAGES)]
    for order_id in (1, 2):
        assert every(made.send(cancel(order_id)), Post)
    assert every(made.send(cancel(3)), PostHttp)
    assert refusals(made.send(cancel(1025))) == [(1025, GatewayRefusal.MESSAGES)]
    made.tell(LaneDown(0))
    made.tell(LaneDown(1))
    assert refusals(made.send(cancel(1025))) == [(1025, GatewayRefusal.NO_LANE)]


def test_orders_that_reduce_leave_half_of_the_messages_that_are_kept_to_cancels() -> None:
    made = Shell(messages=Budget(7), requests=Budget(1), messages_kept=4)
    made.begin()
    resting(made, 1025)
    made.requests.take(NOW_NS)
    for order_id in (2049, 3073, 4097):
        assert every(made.send(close(order_id)), Post), "one as any order, two of what is kept"
    assert refusals(made.send(close(5121))) == [(5121, GatewayRefusal.MESSAGES)]
    for order_id in (1025, 2049):
        assert every(made.send(cancel(order_id)), Post)
    assert refusals(made.send(cancel(3073))) == [(3073, GatewayRefusal.MESSAGES)]


def test_orders_that_reduce_leave_half_of_the_posts_that_are_kept_to_cancels() -> None:
    made = shell(posts_max=1, posts_kept=2)
    resting(made, 1)
    for order_id in (1025, 2049):
        assert every(made.send(close(order_id)), Post)
    assert every(made.send(close(3073)), PostHttp)
    assert every(made.send(cancel(1)), Post)


def test_the_weight_of_many_legs_over_http_is_counted() -> None:
    encoder = Encoder(market_records(), Signer(KEY), owner=OWNER, session=SESSION, mainnet=False)
    made = Shell(encoder=encoder, requests=Budget(3))
    made.begin()
    made.tell(LaneDown(0))
    made.tell(LaneDown(1))
    assert every(made.send(*[cancel(number) for number in range(1, 81)]), PostHttp)
    assert refusals(made.send(cancel(1025))) == [(1025, GatewayRefusal.NO_LANE)]


def test_when_every_way_is_used_up_also_reductions_are_refused() -> None:
    made = shell(requests=Budget(1))
    made.requests.take(NOW_NS)
    made.tell(LaneDown(0))
    made.tell(LaneDown(1))
    assert refusals(made.send(close())) == [(1025, GatewayRefusal.NO_LANE)]


def test_nonces_follow_the_venues_clock_where_ours_is_far_from_it() -> None:
    made = shell()
    made.tell(BlockTime(NOW_NS // MS - 3_602_000))
    made.tell(BlockTime(NOW_NS // MS - 7_200_000))
    made.now_ns += S
    effects = made.send(place())
    assert only(effects, Report).detail == "AHEAD", "more than an hour ahead of the venue"
    made.tell(BlockTime(NOW_NS // MS - 1_800_000))
    assert every(made.send(place(2049)), Post)


def test_without_a_nonce_nothing_leaves() -> None:
    made = shell(rules=NonceRules(window_ms=1))
    resting(made, 1025)
    effects = made.send(place(2049))
    assert refusals(effects) == [(2049, GatewayRefusal.NONCE)]
    assert only(effects, Report).detail == "UNRESERVED"
    assert refusals(made.send(cancel(1025))) == [(1025, GatewayRefusal.NONCE)]
    assert made.gateway.counters["refused: NONCE"] == 2


# Cancels and modifications.


def test_a_modified_order_is_cancelled_by_its_newest_name() -> None:
    made = shell()
    resting(made, 1025)
    post = only(made.send(place(1025, batch_id=3, kind=MODIFY)), Post)
    action = made.action(post)["action"]
    assert action["type"] == "batchModify"
    assert action["modifies"][0]["oid"] == cloid(1025)
    assert action["modifies"][0]["order"]["c"] == cloid(1025, 1)
    made.answer(post, ok(RESTING))
    sent = only(made.send(cancel(1025)), Post)
    assert made.action(sent)["action"]["cancels"] == [{"asset": 0, "cloid": cloid(1025, 1)}]


def test_a_second_modification_names_the_order_by_the_venues_id() -> None:
    made = shell()
    resting(made, 1025)
    first = only(made.send(place(1025, batch_id=3, kind=MODIFY)), Post)
    made.answer(
        first, ok(RESTING.__class__(outcome=RESTING.outcome.ERROR, text="Attempted to modify to invalid new order"))
    )
    second = only(made.send(place(1025, batch_id=4, kind=MODIFY)), Post)
    changed = made.action(second)["action"]["modifies"][0]
    assert (changed["oid"], changed["order"]["c"]) == (5, cloid(1025, 2))


def test_an_order_that_nobody_knows_is_not_modified() -> None:
    made = shell()
    effects = made.send(place(1025, kind=MODIFY))
    assert refusals(effects) == [(1025, GatewayRefusal.ENCODE)]


def test_a_cancel_of_what_is_over_names_it_as_it_was_placed() -> None:
    made = shell()
    sent = only(made.send(cancel(1025)), Post)
    assert made.action(sent)["action"]["cancels"] == [{"asset": 0, "cloid": cloid(1025)}]


def test_a_cancel_without_an_answer_is_repeated_on_the_other_connection_and_then_no_more() -> None:
    made = shell(repeats_max=2)
    resting(made, 1025, 2049)
    first = only(made.send(cancel(1025), cancel(2049)), Post)
    made.answer(only(made.send(cancel(2049, batch_id=3)), Post), ok(SUCCESS, kind="cancel"))
    effects = made.run(250 * MS)
    second = only(effects, Post)
    assert second.lane == 1 - first.lane and second.batch_id == 0
    assert counted(effects) == 1
    assert ReportCode.CANCEL_REPEATED in reports(effects)
    assert made.action(second)["action"] == {
        "type": "cancelByCloid", "cancels": [{"asset": 0, "cloid": cloid(1025)}], "f": True,
    }  # fmt: skip
    assert made.action(second)["nonce"] != made.action(first)["nonce"]
    third = only(made.run(250 * MS), Post)
    assert third.lane == first.lane
    assert every(made.run(1 * S), Post) == []


def test_a_cancel_of_what_has_ended_meanwhile_is_not_repeated() -> None:
    made = shell()
    resting(made, 1025)
    made.send(cancel(1025))
    made.answer(only(made.send(cancel(1025, batch_id=3)), Post), ok(SUCCESS, kind="cancel"))
    assert every(made.run(300 * MS), Post) == []


def test_repeats_of_several_cancels_of_one_order_do_not_add_up() -> None:
    """Where the venue is slow, the core cancels again what it hears still rests; a storm would take nonces away."""
    made = shell(repeats_max=3)
    resting(made, 1025)
    lanes = [only(made.send(cancel(1025)), Post).lane]
    made.run(100 * MS)
    lanes += [only(made.send(cancel(1025, batch_id=3)), Post).lane]
    for _ in range(20):
        lanes += [post.lane for post in every(made.run(50 * MS), Post)]
    assert lanes == [0, 0, 1, 0, 1], "the first one's repeats serve both"


def test_a_cancel_that_is_being_settled_is_not_repeated() -> None:
    made = shell()
    resting(made, 1025)
    post = only(made.send(cancel(1025)), Post)
    made.tell(LaneUp(0, 11))
    assert len(made.bodies) == 4, "the same bytes once more"
    made.run(300 * MS)
    assert len(made.bodies) == 4
    assert post.lane == 0


def test_own_orders_are_cancelled_market_by_market_or_all_but_what_is_being_cancelled() -> None:
    made = shell()
    resting(made, 1025, 2049)
    resting(made, 3073, market=1)
    made.send(cancel(1025))
    sent = only(made.tell(CancelOwn(0)), Post)
    assert made.action(sent)["action"]["cancels"] == [{"asset": 0, "cloid": cloid(2049)}]
    assert sent.batch_id == 0
    sent = only(made.tell(CancelOwn()), Post)
    assert made.action(sent)["action"]["cancels"] == [{"asset": 1, "cloid": cloid(3073)}]
    assert made.tell(CancelOwn()) == []


def test_own_orders_are_cancelled_in_actions_of_bounded_size_and_the_core_hears_of_no_failure() -> None:
    made = shell()
    resting(made, 1025, 2049, 3073, 4097, 5121)
    made.tell(LaneDown(0))
    made.tell(LaneDown(1))
    sent = every(made.tell(CancelOwn()), PostHttp)
    assert [len(made.action(one)["action"]["cancels"]) for one in sent] == [4, 1]
    made = shell(requests=Budget(1), messages=message_budget())
    resting(made, 1025, 2049, 3073, 4097, 5121)
    made.tell(LaneDown(0))
    made.tell(LaneDown(1))
    effects = made.tell(CancelOwn())
    assert len(every(effects, PostHttp)) == 1 and told(effects) == []
    assert made.gateway.counters["refused: NO_LANE"] == 1


def test_a_cancel_that_did_not_leave_goes_another_way_and_a_placement_does_not() -> None:
    made = shell()
    resting(made, 1025)
    post = only(made.send(cancel(1025)), Post)
    again = only(made.tell(NotWritten(post.request_id)), Post)
    assert again.lane == 1
    assert made.action(again) == made.action(post)
    post = only(made.send(place(2049)), Post)
    rows = told(made.tell(NotWritten(post.request_id)))
    assert [(row[4], row[7]) for row in rows] == [(2049, 33)]


def test_an_order_of_an_earlier_session_is_cancelled_by_the_venues_id_in_an_action_of_its_own() -> None:
    made = shell()
    resting(made, 1025)
    old = Cloid(OWNER, SESSION - 1, 3 << 10, 0).number()
    made.fates.adopted(adopted_order(old), NOW_NS // MS, NOW_NS)
    posts = every(made.send(cancel(3 << 10, market=1), cancel(1025)), Post)
    assert [made.action(post)["action"] for post in posts] == [
        {"type": "cancel", "cancels": [{"a": 1, "o": 77}], "f": True},
        {"type": "cancelByCloid", "cancels": [{"asset": 0, "cloid": cloid(1025)}], "f": True},
    ]
    assert [made.action(post)["action"]["type"] for post in every(made.send(cancel(3 << 10, market=1)), Post)] == [
        "cancel"
    ]


def test_a_cancel_that_is_none_is_refused() -> None:
    made = shell()
    effects = made.send(cancel(1025, market=99))
    assert refusals(effects) == [(1025, GatewayRefusal.ENCODE)]
    assert made.nonces.unanswered == ()


def test_own_cancels_that_never_left_are_no_failure_of_the_core() -> None:
    made = Shell(requests=Budget(1))
    made.begin(0)
    resting(made, 1025)
    sent = only(made.tell(CancelOwn()), Post)
    made.requests.take(made.now_ns)
    made.messages.take(made.now_ns)
    for _ in range(4):
        effects = made.tell(NotWritten(sent.request_id))
        assert told(effects) == []
        posts = every(effects, Post)
        if not posts:
            break
        sent = posts[0]
    assert made.gateway.is_quiet


# Small actions.


def test_the_scheduled_cancel_is_set_and_ended() -> None:
    made = shell()
    sent = only(made.tell(Deadman(1_790_000_010_000)), Post)
    assert made.action(sent)["action"] == {"type": "scheduleCancel", "time": 1_790_000_010_000}
    assert reports(made.answer(sent, DONE)) == [ReportCode.DEADMAN_SET]
    sent = only(made.tell(Deadman(None)), Post)
    assert made.action(sent)["action"] == {"type": "scheduleCancel"}


def test_a_scheduled_cancel_that_cannot_leave_is_reported() -> None:
    made = Shell(requests=Budget(1))
    assert every(made.tell(Deadman(1_790_000_010_000)), PostHttp) == [], "no nonce is reserved"
    assert reports(made.history) == [ReportCode.NO_NONCE, ReportCode.DEADMAN_REFUSED]
    made = Shell(requests=Budget(1))
    made.requests.take(NOW_NS)
    assert reports(made.tell(Deadman(None))) == [ReportCode.DEADMAN_REFUSED]


# Bounds and time.


def test_of_too_many_open_actions_the_oldest_is_pushed_out() -> None:
    made = shell(rules=NonceRules(window_ms=1_000_000, skew_ms_max=60_000), posts_max=1000, messages_kept=1)
    resting(made, 1025)
    first = only(made.send(cancel(1025)), Post)
    effects: list[Any] = []
    for _ in range(FLIGHTS_MAX):
        effects += made.send(cancel(1025))
    found = [report for report in every(effects, Report) if report.code is ReportCode.PUSHED_OUT]
    assert [report.detail for report in found] == [str(made.action(first)["nonce"])]
    assert reports(made.answer(first, ok(SUCCESS, kind="cancel"))) == [ReportCode.LATE_ANSWER]
    assert [row[7] for row in told(effects)] == [21], "its order is unknown"


def test_a_silent_action_is_pushed_out_without_another_word_of_it() -> None:
    made = shell(rules=NonceRules(window_ms=1_000_000, skew_ms_max=60_000), posts_max=1000, messages_kept=1)
    resting(made, 1025)
    made.refuse(only(made.send(cancel(1025)), Post), "502")
    for _ in range(FLIGHTS_MAX):
        effects = made.send(cancel(1025))
    assert reports(effects) == [ReportCode.PUSHED_OUT] and told(effects) == []


def test_a_landed_action_is_pushed_out_without_a_word_to_the_fates() -> None:
    made = shell(rules=NonceRules(window_ms=1_000_000, skew_ms_max=60_000), posts_max=1000, messages_kept=1)
    resting(made, 1025)
    made.answer(only(made.send(cancel(1025)), Post), USED)
    for _ in range(FLIGHTS_MAX):
        effects = made.send(cancel(1025))
    assert reports(effects) == [ReportCode.PUSHED_OUT] and told(effects) == []


def test_kinds_and_numbers_are_those_of_the_core() -> None:
    assert PLACE == 1 and ActionKind.ORDER == 0
    assert np.array_equal(place()["kind"], [PLACE])
