"""What actions cost of the address, as the core is told of it beside its own count."""

from __future__ import annotations

from hlhft.hyperliquid.gateway_events import AnsweredElsewhere, BudgetTold, Post, ReportCode, SentElsewhere
from tests.hyperliquid.gateways import (
    ADDRESS_ACTIONS,
    EXPIRED,
    RESTING,
    Shell,
    counted,
    every,
    no,
    ok,
    only,
    place,
    reports,
)


def shell() -> Shell:
    made = Shell()
    made.begin()
    return made


def flying(made: Shell, order_id: int = 1025) -> Post:
    return only(made.send(place(order_id)), Post)


def test_an_expired_action_is_counted_as_the_venue_charges_it() -> None:
    made = shell()
    effects = made.answer(only(made.send(place(1025), place(2049)), Post), EXPIRED)
    assert reports(effects) == [ReportCode.EXPIRED]
    assert made.gateway.counters["actions charged for expiry"] == 10
    assert counted(effects) == 8, "five for each leg, of which the core has counted one"
    assert made.gateway.counters["actions refused: EXPIRED"] == 1


def test_an_address_without_actions_left_is_told_in_numbers_where_the_text_has_them() -> None:
    made = shell()
    effects = made.answer(flying(made), no("Too many cumulative requests sent (12 > 10) for cumulative volume"))
    assert only(effects, BudgetTold) == BudgetTold(12, 10)
    assert reports(effects) == [ReportCode.ADDRESS_EXHAUSTED]
    effects = made.answer(flying(made, 2049), no("Too many cumulative requests sent"))
    assert every(effects, BudgetTold) == [] and reports(effects) == [ReportCode.ADDRESS_EXHAUSTED]


def test_what_left_by_another_way_is_counted_and_what_the_venue_may_lack() -> None:
    made = shell()
    assert counted(made.tell(SentElsewhere(4))) == 4
    assert made.gateway.uncounted(made.now_ns, made.now_ns)[0][5] == 4, "nobody answered it"
    assert counted(made.tell(AnsweredElsewhere(4))) == 0
    assert made.gateway.uncounted(made.now_ns, made.now_ns) == []
    before_ns, made.now_ns = made.now_ns - 1, made.now_ns + 1
    made.send(place(1025), place(2049))
    rows = made.gateway.uncounted(before_ns, made.now_ns)
    assert [(row[1], row[5], row[7]) for row in rows] == [(made.now_ns, 7, ADDRESS_ACTIONS)], "the first noop, too"
    assert made.gateway.uncounted(made.now_ns, made.now_ns)[0][5] == 2
    made.answer(only(every(made.history, Post), Post), ok(RESTING, RESTING))
    assert made.gateway.uncounted(made.now_ns, made.now_ns) == []
