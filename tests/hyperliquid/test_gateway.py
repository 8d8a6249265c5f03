"""What follows what left: answers, silence, proofs, and everything ends."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hlhft.hyperliquid.account import OrderStatus
from hlhft.hyperliquid.answers import LegStatus, Outcome
from hlhft.hyperliquid.backoff import DRAWS, Budget
from hlhft.hyperliquid.fates_records import FateCode
from hlhft.hyperliquid.gateway_events import (
    AskStatus,
    BlockTime,
    CancelOwn,
    Deadman,
    FillsRead,
    Found,
    HttpAnswered,
    LaneDown,
    LaneUp,
    Listed,
    MarkFailed,
    MarkWritten,
    NonceEvidence,
    NotWritten,
    Post,
    PostHttp,
    Pressure,
    Report,
    ReportCode,
    Resume,
    SetTimer,
    Start,
    StatusRead,
    Timer,
    TimerName,
    Told,
    WriteMark,
    Written,
)
from hlhft.hyperliquid.gateway_mode import Mode
from hlhft.hyperliquid.gateway_table import ImpossibleEvent
from hlhft.hyperliquid.messages import Ended, NonUserCancels
from hlhft.hyperliquid.nonces import NonceError, NonceState
from tests.hyperliquid.gateways import (
    DONE,
    EXPIRED,
    MS,
    NOW_NS,
    RESTING,
    SEND_FAILED,
    SENT,
    USED,
    VENUE_MODE,
    S,
    Shell,
    cancel,
    close,
    counted,
    every,
    fill,
    kinds,
    no,
    ok,
    only,
    order,
    own_cloid,
    place,
    reports,
    told,
    types,
    update,
)

ACKNOWLEDGED, REJECTED, FILLED, CANCELLED, UNKNOWN = 16, 17, 18, 19, 21
POST_ONLY_TEXT = "Only post-only orders allowed immediately after a network upgrade"
HTML = b"<html>502 Bad Gateway</html>"


def shell(**changes: Any) -> Shell:
    made = Shell(**changes)
    made.begin()
    return made


def flying(made: Shell, order_id: int = 1025) -> Post:
    return only(made.send(place(order_id)), Post)


def lone(**changes: Any) -> Shell:
    """With one connection only."""
    made = Shell(**changes)
    made.begin(0)
    return made


# Answers.


def test_the_answer_to_an_action_settles_it() -> None:
    made = shell()
    post = flying(made)
    rows = told(made.answer(post, ok(RESTING)))
    assert [(row[4], row[5], row[7]) for row in rows] == [(1025, 5, ACKNOWLEDGED)]
    assert made.gateway.is_quiet and made.nonces.unanswered == () and made.gateway.posts_in_flight == 0
    assert told(made.tell(StatusRead(1025, 0, None))) == [], "nobody asked"


def test_each_order_of_an_action_gets_its_own_error() -> None:
    made = shell()
    post = only(made.send(place(1025), place(2049)), Post)
    refused = LegStatus(outcome=Outcome.ERROR, text="Insufficient margin to place order. asset=0")
    assert kinds(made.answer(post, ok(RESTING, refused))) == [(1025, ACKNOWLEDGED), (2049, REJECTED)]


def test_a_refusal_of_the_whole_action_is_that_of_each_order_and_reported() -> None:
    made = shell()
    effects = made.answer(
        only(made.send(place(1025), place(2049)), Post), no("Signed action over weight limit" + 1000 * ".")
    )
    assert kinds(effects) == [(1025, REJECTED), (2049, REJECTED)]
    assert reports(effects) == [ReportCode.ACTION_REFUSED]
    assert len(only(effects, Report).detail) == 256
    assert made.nonces.unanswered == ()


def test_an_unknown_key_is_loud() -> None:
    made = shell()
    effects = made.answer(flying(made), no("User or API Wallet 0x12 does not exist."))
    assert reports(effects) == [ReportCode.UNKNOWN_USER]
    assert kinds(effects) == [(1025, REJECTED)]


def test_an_answer_that_nobody_waits_for_is_counted() -> None:
    made = shell()
    post = flying(made)
    made.answer(post, ok(RESTING))
    assert reports(made.answer(post, ok(RESTING))) == [ReportCode.LATE_ANSWER]
    assert reports(made.tell(HttpAnswered(post.request_id))) == [ReportCode.LATE_ANSWER]
    assert made.tell(NotWritten(post.request_id)) == []
    assert made.gateway.counters["answers too late"] == 2


# The mode of the venue.


@pytest.mark.parametrize("is_whole", [True, False])
def test_a_post_only_window_is_told_and_ends(is_whole: bool) -> None:
    made = shell()
    post = only(made.send(close(1025)), Post)
    error = LegStatus(outcome=Outcome.ERROR, text=POST_ONLY_TEXT)
    effects = made.answer(post, no(POST_ONLY_TEXT) if is_whole else ok(error))
    assert [row[5] for row in told(effects) if row[7] == VENUE_MODE] == [1]
    assert reports(effects) == [ReportCode.POST_ONLY]
    assert made.gateway.mode is Mode.POST_ONLY
    made.run(20 * S)
    again = made.answer(only(made.send(close(2049)), Post), no(POST_ONLY_TEXT))
    assert reports(again) == [], "it goes on"
    assert told(made.run(29 * S)) == []
    assert [row[5] for row in told(made.run(2 * S)) if row[7] == VENUE_MODE] == [0]


def test_errors_in_a_row_take_the_venue_down_and_an_answer_brings_it_back() -> None:
    made = shell()
    posts = [flying(made, order_id) for order_id in (1025, 2049, 3073)]
    for post in posts[:2]:
        assert reports(made.refuse(post, "429"))[0] is ReportCode.TROUBLE
    effects = made.refuse(posts[2], "502")
    assert [row[5] for row in told(effects) if row[7] == VENUE_MODE] == [2]
    assert ReportCode.VENUE_DOWN in reports(effects)
    effects = made.answer(posts[0], ok(RESTING))
    assert [row[5] for row in told(effects) if row[7] == VENUE_MODE] == [0]
    assert reports(effects) == [ReportCode.VENUE_BACK]


def test_after_the_wait_a_venue_that_was_down_gets_another_try() -> None:
    made = shell()
    for order_id in (1025, 2049, 3073):
        made.now_ns += S
        made.refuse(flying(made, order_id), "502")
    assert made.gateway.mode is Mode.DOWN
    made.tell(Timer(TimerName.MODE, 0))
    assert made.gateway.mode is Mode.DOWN, "an early timer is set again"
    made.run(10 * S)
    assert made.gateway.mode is Mode.NORMAL
    assert made.tell(Timer(TimerName.MODE, 0)) == []


# Silence.


def test_an_order_without_an_answer_is_voided_by_a_noop_on_its_nonce() -> None:
    made = shell()
    post = flying(made)
    effects = made.run(3 * S)
    assert kinds(effects) == [(1025, UNKNOWN)]
    assert ReportCode.UNANSWERED in reports(effects)
    noop = only(effects, Post)
    assert noop.lane == 1, "the other connection"
    assert made.action(noop)["action"] == {"type": "noop"}
    assert made.action(noop)["nonce"] == made.action(post)["nonce"]
    assert not made.gateway.is_quiet
    effects = made.answer(noop, DONE)
    assert kinds(effects) == [(1025, REJECTED)]
    assert reports(effects) == [ReportCode.VOIDED]
    assert counted(effects) == 4, "should it come, it comes too late"
    assert made.gateway.is_quiet and made.nonces.unanswered == () and made.fates.is_done(1025)


def test_a_noop_refused_as_used_proves_nothing_and_the_order_is_asked_about() -> None:
    made = shell()
    flying(made)
    noop = only(made.run(3 * S), Post)
    effects = made.answer(noop, USED)
    assert reports(effects) == [ReportCode.LANDED] and told(effects) == []
    assert made.nonces.unanswered == () and made.gateway.is_quiet
    assert not made.fates.is_done(1025)
    made.tell(BlockTime(NOW_NS // MS + 3500))
    ask = every(made.run(S), AskStatus)[0]
    assert msgspec.json.decode(ask.body)["oid"] == f"0x{own_cloid(1025):032x}"
    status = OrderStatus(order=order(), status="open", status_ns=made.now_ns)
    assert kinds(made.tell(StatusRead(1025, 0, status))) == [(1025, ACKNOWLEDGED)]
    assert every(made.run(5 * S), AskStatus) == []


def test_a_late_answer_still_counts() -> None:
    made = shell()
    post = flying(made)
    noop = only(made.run(3 * S), Post)
    assert kinds(made.answer(post, ok(RESTING))) == [(1025, ACKNOWLEDGED)]
    assert made.gateway.is_quiet
    assert reports(made.answer(noop, USED)) == [ReportCode.LATE_ANSWER]


def test_a_late_answer_counts_also_after_the_noop_was_refused() -> None:
    made = shell()
    post = flying(made)
    made.answer(only(made.run(3 * S), Post), USED)
    assert kinds(made.answer(post, ok(RESTING))) == [(1025, ACKNOWLEDGED)]
    assert reports(made.answer(post, ok(RESTING))) == [ReportCode.LATE_ANSWER]


def test_a_landed_action_is_forgotten_after_a_while() -> None:
    made = shell()
    post = flying(made)
    made.answer(only(made.run(3 * S), Post), USED)
    made.run(31 * S)
    assert reports(made.answer(post, ok(RESTING))) == [ReportCode.LATE_ANSWER]


def test_a_connection_that_ends_has_its_actions_settled_at_once_over_the_other() -> None:
    made = shell()
    post = flying(made)
    effects = made.tell(LaneDown(0))
    assert kinds(effects) == [(1025, UNKNOWN)]
    assert only(effects, Post).lane == 1
    assert types(made, effects) == ["noop"]
    assert effects[-1].__class__.__name__ == "Tell", "what is to be sent comes first"
    assert made.action(post)["nonce"] in made.nonces.unanswered


def test_without_any_connection_it_is_settled_over_http() -> None:
    made = lone()
    flying(made)
    effects = made.tell(LaneDown(0))
    noop = only(effects, PostHttp)
    body = b'{"status":"ok","response":{"type":"default"}}'
    assert kinds(made.tell(HttpAnswered(noop.request_id, 200, body))) == [(1025, REJECTED)]


def test_with_no_way_at_all_it_is_tried_again_until_there_is_one() -> None:
    made = lone(requests=Budget(1))
    made.requests.take(made.now_ns)
    flying(made)
    effects = made.tell(LaneDown(0))
    assert types(made, effects) == []
    assert types(made, made.run(5 * S)) == []
    effects = made.tell(LaneUp(0, 20))
    if not every(effects, Post):
        effects = made.run(S)
    assert types(made, effects) == ["noop"]


def test_a_new_socket_means_that_the_one_before_is_gone() -> None:
    made = shell()
    flying(made)
    effects = made.tell(LaneUp(0, 20))
    assert kinds(effects) == [(1025, UNKNOWN)]
    assert types(made, effects) == ["noop"]


def test_what_could_not_be_settled_is_tried_again_when_a_connection_is_back() -> None:
    made = shell()
    flying(made)
    noop = only(made.run(3 * S), Post)
    made.draw = DRAWS - 1
    made.answer(noop, no("Too many cumulative requests sent"))
    assert types(made, made.tell(LaneUp(1, 21))) == ["noop"]


def test_waits_between_tries_grow() -> None:
    made = shell(answer_ns=S)
    made.draw = DRAWS - 1
    flying(made)
    times = []
    end_ns = made.now_ns + 20 * S
    while made.now_ns < end_ns:
        if every(made.fire(), Post):
            times.append((made.now_ns - NOW_NS) / S)
    assert times[:5] == [1, 2.25, 3.75, 5.75, 8.75]


def test_an_order_that_takes_risk_away_is_posted_again_as_it_is_while_it_has_not_expired() -> None:
    made = shell()
    post = only(made.send(close(1025)), Post)
    effects = made.tell(LaneDown(0))
    again = only(effects, Post)
    assert again.lane == 1 and again.request_id != post.request_id
    assert counted(effects) == 1, "either may come too late, and is charged for"
    assert made.bodies[again.request_id] == made.bodies[post.request_id]
    made.now_ns += 2600 * MS
    effects = made.tell(LaneUp(1, 30))
    assert types(made, effects) == ["noop"], "too near its expiry"
    assert counted(effects) == 1


def test_an_order_posted_twice_is_settled_by_either_answer_but_by_no_refusal() -> None:
    made = shell()
    post = only(made.send(close(1025)), Post)
    again = only(made.tell(LaneDown(0)), Post)
    effects = made.answer(post, EXPIRED)
    assert told(effects) == [], "the other copy may have been taken"
    effects = made.answer(again, EXPIRED)
    assert told(effects) == [] and not made.gateway.is_quiet
    noop = every(made.run(3 * S), Post)[-1]
    assert made.action(noop)["action"] == {"type": "noop"}
    assert kinds(made.answer(noop, DONE)) == [(1025, REJECTED)]


def test_a_noop_taken_after_the_copy_was_refused_as_used_is_still_a_proof() -> None:
    made = shell(answer_ns=S)
    only(made.send(close(1025)), Post)
    copy = only(made.tell(LaneDown(0)), Post)
    made.now_ns += 2600 * MS
    noop = only(made.tell(LaneUp(1, 30)), Post)
    assert reports(made.answer(copy, USED)) == [ReportCode.LANDED]
    assert kinds(made.answer(noop, DONE)) == [(1025, REJECTED)]


def test_a_nonce_used_by_somebody_else_halts() -> None:
    made = shell()
    effects = made.answer(flying(made), USED)
    assert ReportCode.NONCE_USED in reports(effects)
    assert kinds(effects) == [(1025, UNKNOWN)], "it may be ours after all"
    assert made.nonces.state is NonceState.ROLLED_BACK and made.nonces.unanswered == ()
    assert made.gateway.is_quiet
    made.tell(Resume())
    assert made.nonces.state is NonceState.PROVEN


def test_a_nonce_out_of_bounds_is_no_sign_of_somebody_else() -> None:
    made = shell()
    effects = made.answer(flying(made), no("Invalid nonce: nonce 3 is not above the lowest of the last 100"))
    assert ReportCode.ACTION_REFUSED in reports(effects)
    assert made.nonces.state is NonceState.PROVEN and made.nonces.unanswered == ()


def test_a_cancel_without_an_answer_is_sent_again_as_it_is_until_it_is_settled() -> None:
    made = shell(repeats_max=1)
    made.answer(flying(made), ok(RESTING))
    post = only(made.send(cancel(1025)), Post)
    made.run(2 * S)
    effects = made.run(1100 * MS)
    assert kinds(effects) == [(1025, UNKNOWN)]
    again = every(effects, Post)[0]
    assert made.bodies[again.request_id] == made.bodies[post.request_id]
    made.tell(update("canceled"))
    made.answer(again, USED)
    assert made.fates.is_done(1025)


def test_an_empty_or_broken_answer_over_http_is_trouble_and_proves_nothing() -> None:
    made = lone()
    made.answer(flying(made), ok(RESTING))
    made.tell(LaneDown(0))
    for event in (
        {"status": 502, "body": HTML},
        {"status": 200, "body": HTML},
        {"status": 429, "body": b'{"status":"err","response":"Too many requests."}'},
        {"body": None},
    ):
        made.now_ns += 20 * S
        sent = only(made.send(cancel(1025)), PostHttp)
        effects = made.tell(HttpAnswered(sent.request_id, **event))  # type: ignore[arg-type]
        assert ReportCode.TROUBLE in reports(effects)
        assert not made.gateway.is_quiet


def test_late_trouble_of_an_earlier_request_changes_nothing() -> None:
    made = shell()
    post = flying(made)
    noop = only(made.run(3 * S), Post)
    assert reports(made.refuse(post, "late")) == [ReportCode.TROUBLE]
    assert kinds(made.answer(noop, DONE)) == [(1025, REJECTED)]


def test_a_request_that_did_not_leave_changes_nothing_of_an_older_one() -> None:
    made = shell()
    post = flying(made)
    noop = only(made.run(3 * S), Post)
    assert made.tell(NotWritten(post.request_id)) == []
    made.tell(NotWritten(noop.request_id))
    assert kinds(made.answer(every(made.run(5 * S), Post)[0], DONE)) == [(1025, REJECTED)]


def test_what_cannot_happen_is_an_error() -> None:
    made = shell()
    post = flying(made)
    flight = made.gateway._flights.find(post.request_id)
    assert flight is not None
    flight[1].is_noop = True
    with pytest.raises(ImpossibleEvent, match="voided cannot happen to an action that is flying"):
        made.answer(post, DONE)


def test_bytes_that_wait_are_told_by_the_shell_and_turn_a_cancel_away() -> None:
    made = shell()
    made.answer(flying(made), ok(RESTING))
    made.tell(Pressure(0, True))
    post = only(made.send(cancel(1025)), Post)
    assert post.lane == 1
    assert [row[7] for row in told(made.written(post))] == [SENT]
    made.answer(post, no("something"))
    made.tell(Pressure(0, False))
    sent = only(made.tell(CancelOwn()), Post)
    assert (sent.lane, only(made.tell(NotWritten(sent.request_id)), Post).lane) == (0, 1)


def test_a_cancel_without_any_way_is_a_failure_that_the_core_hears_of() -> None:
    made = lone(messages=Budget(3), requests=Budget(1), messages_kept=1)
    made.answer(flying(made), ok(RESTING))
    made.requests.take(made.now_ns)
    post = only(made.send(cancel(1025)), Post)
    assert kinds(made.tell(NotWritten(post.request_id))) == [(1025, SEND_FAILED)]


# News.


def test_the_users_streams_are_told_to_the_fates() -> None:
    made = shell()
    made.answer(flying(made), ok(RESTING))
    assert kinds(made.tell(fill(50))) == [(1025, FILLED)]
    assert kinds(made.tell(update("canceled", left=100))) == [(1025, CANCELLED)]
    made.answer(flying(made, 2049), ok(RESTING.__class__(outcome=Outcome.RESTING, oid=6)))
    made.tell(Told(NonUserCancels(orders=(Ended(coin="BTC", market=0, oid=6),))))
    assert [order.order_id for order in made.fates.live_orders()] == [2049]
    assert told(made.tell(Listed([], made.now_ns // MS, made.now_ns))) == []
    assert told(made.tell(FillsRead(0, made.now_ns // MS, made.now_ns))) == []


def test_what_the_fates_report_is_passed_on() -> None:
    made = shell()
    made.answer(flying(made), ok(RESTING))
    effects = made.tell(update("somethingNew"))
    assert only(effects, Found).report.code is FateCode.UNRECOGNISED_STATUS


# Nonces.


def test_nonces_are_reserved_ahead_and_a_failure_is_tried_again() -> None:
    made = Shell()
    mark = only(made.tell(Start()), WriteMark).mark
    assert mark > NOW_NS // MS
    assert reports(made.tell(MarkFailed())) == [ReportCode.MARK_FAILED]
    found = every(made.run(2 * S), WriteMark)
    assert len(found) == 1
    made.tell(MarkWritten(found[0].mark))
    assert every(made.run(2 * S), WriteMark) == [], "more than half is left"
    assert every(made.run(6 * S), WriteMark)
    with pytest.raises(NonceError, match="is not the mark that was asked for"):
        made.tell(MarkWritten(1))


def test_the_first_nonce_goes_to_a_noop_once_all_is_ready() -> None:
    made = Shell()
    made.tell(Start())
    made.tell(LaneUp(0, 10))
    made.tell(NonceEvidence(0))
    assert every(made.history, Post) == []
    effects = made.tell(MarkWritten(made.one(WriteMark).mark))
    assert types(made, effects) == ["noop"]
    assert made.tell(LaneUp(1, 11)) == [], "once is enough"


def test_a_first_noop_that_never_left_is_sent_again() -> None:
    made = Shell()
    made.tell(Start())
    made.tell(NonceEvidence(0))
    made.tell(MarkWritten(made.one(WriteMark).mark))
    noop = only(made.tell(LaneUp(0, 10)), Post)
    made.tell(NotWritten(noop.request_id))
    assert types(made, made.tell(LaneUp(0, 11))) == ["noop"]


def test_a_first_noop_without_an_answer_is_sent_again_as_it_is() -> None:
    made = Shell()
    made.tell(Start())
    made.tell(NonceEvidence(0))
    made.tell(MarkWritten(made.one(WriteMark).mark))
    noop = only(made.tell(LaneUp(0, 10)), Post)
    effects = made.run(3 * S)
    again = only(effects, Post)
    assert made.bodies[again.request_id] == made.bodies[noop.request_id]
    assert told(effects) == []
    assert reports(made.answer(again, DONE)) == []
    assert made.gateway.is_quiet


def test_evidence_of_a_nonce_that_is_not_ours_halts_once() -> None:
    made = shell()
    assert reports(made.tell(NonceEvidence(NOW_NS // MS + 10**6))) == [ReportCode.NONCE_ROLLED_BACK]
    assert reports(made.tell(NonceEvidence(NOW_NS // MS + 10**6))) == []
    assert made.tell(Resume()) == []
    assert made.tell(Resume()) == [], "nothing to resume from"


# The scheduled cancel.


def test_a_scheduled_cancel_is_refused_voided_unknown_or_never_left() -> None:
    made = shell()
    time_ms = NOW_NS // MS + 60_000
    assert reports(Shell().tell(Deadman(time_ms))) == [ReportCode.NO_NONCE, ReportCode.DEADMAN_REFUSED]

    def sent() -> Post:
        return every(made.tell(Deadman(time_ms)), Post)[0]

    effects = made.answer(sent(), no("Cannot set scheduled cancel time until enough volume traded."))
    assert reports(effects) == [ReportCode.ACTION_REFUSED, ReportCode.DEADMAN_REFUSED]
    assert reports(made.tell(NotWritten(sent().request_id))) == [ReportCode.DEADMAN_REFUSED]
    sent()
    noop = only(made.run(3 * S), Post)
    assert reports(made.answer(noop, DONE)) == [ReportCode.VOIDED, ReportCode.DEADMAN_REFUSED]
    sent()
    noop = only(made.run(3 * S), Post)
    assert reports(made.answer(noop, USED)) == [ReportCode.LANDED, ReportCode.DEADMAN_UNKNOWN]


# Timers and time.


def test_timers_replace_each_other_and_stale_ones_do_no_harm() -> None:
    made = shell()
    made.run(10 * S)
    made.history.clear()
    made.answer(flying(made), ok(RESTING))
    assert every(made.history, SetTimer) == [SetTimer(TimerName.WATCH, NOW_NS + 13 * S)]
    made.run(S)
    made.history.clear()
    flying(made, 2049)
    assert every(made.history, SetTimer) == [], "the earlier timer serves, and is set again then"
    made.run(2 * S)
    assert made.timers[TimerName.WATCH] == NOW_NS + 14 * S
    assert told(made.tell(Timer(TimerName.WATCH, 0))) == []


def test_time_does_not_run_backwards() -> None:
    made = shell()
    made.now_ns -= 1
    with pytest.raises(AssertionError, match="time does not run backwards"):
        made.tell(BlockTime(1))
    with pytest.raises(AssertionError, match="time does not run backwards"):
        made.send(place())


def test_what_is_written_of_a_second_request_is_not_told() -> None:
    made = shell()
    flying(made)
    noop = only(made.run(3 * S), Post)
    assert made.written(noop) == []
    assert made.tell(Written(10**6, made.now_ns)) == []
