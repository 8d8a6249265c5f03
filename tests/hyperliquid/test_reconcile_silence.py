"""A reconciliation and a venue that is silent, late, talks nonsense, or says more than one reading holds."""

from __future__ import annotations

import pytest

from hlhft.events import EventKind
from hlhft.hyperliquid.connection_table import ImpossibleEvent
from hlhft.hyperliquid.reconcile_events import (
    Agreed,
    Answer,
    Ask,
    AskOwn,
    Begin,
    CorePositions,
    FillsRead,
    Reason,
    Report,
    ReportCode,
    SetTimer,
    TellFills,
    TellListing,
    Timer,
    TimerName,
)
from hlhft.hyperliquid.reconcile_table import Event, State
from tests.hyperliquid.reconciles import (
    BEGIN_MS,
    LATENCY_NS,
    MS,
    START,
    Desk,
    S,
    again,
    begun,
    filled,
)


def test_a_venue_that_says_nothing_is_asked_again_for_ever() -> None:
    desk = begun()
    desk.venue.broken["openOrders"] = None
    desk.tell(Begin(2, Reason.CONNECTED))
    desk.run(120 * S)
    assert desk.all(Agreed) == [] and len(desk.asked("openOrders")) > 10
    assert {ReportCode.UNANSWERED, ReportCode.STUCK} <= desk.reports()
    assert [one.code for one in desk.all(Report)].count(ReportCode.STUCK) == 1
    del desk.venue.broken["openOrders"]
    assert isinstance(desk.answer(), Agreed)


@pytest.mark.parametrize("body", [b"<html>busy</html>", b"null", b"[", b'{"status":"err"}'])
def test_what_is_no_answer_is_asked_for_again(body: bytes) -> None:
    desk = begun()
    desk.venue.broken["clearinghouseState"] = body
    desk.tell(Begin(2, Reason.CONNECTED))
    desk.run(2 * S)
    unreadable = [one for one in desk.all(Report) if one.code is ReportCode.UNREADABLE]
    assert unreadable and body.decode()[:5] in unreadable[0].detail
    desk.venue.broken.clear()
    assert isinstance(desk.answer(), Agreed)


def test_answers_that_never_come_are_asked_for_again() -> None:
    desk = begun()
    desk.is_answering = False
    desk.tell(Begin(2, Reason.CONNECTED))
    desk.run(20 * S)
    lost = list(desk.pending)
    assert ReportCode.UNANSWERED in desk.reports()
    desk.is_answering = True
    assert isinstance(desk.answer(), Agreed)
    before = desk.machine.counters["events out of date"]
    assert before > 0, "the first answers were awaited no more"
    for _, ask in lost:
        desk.tell(Answer(ask.request_id, desk.venue.answer(ask.body), 0))
    assert desk.machine.counters["events out of date"] == before + len(lost)


def test_fills_are_asked_for_once_the_listing_has_come_however_late() -> None:
    """What it lacks may have been filled until then."""
    desk = begun()
    desk.venue.broken["openOrders"] = None
    desk.tell(Begin(2, Reason.CONNECTED))
    desk.run(20 * S)
    assert desk.asked("openOrders") and not desk.asked("userFillsByTime")
    del desk.venue.broken["openOrders"]
    assert isinstance(desk.answer(), Agreed)
    (listing,), (read,) = desk.all(TellListing), desk.all(FillsRead)
    (fills_ns,) = (at_ns for at_ns, effect in desk.history if isinstance(effect, Ask) and b"FillsByTime" in effect.body)
    assert read.asked_ns == listing.come_ns == fills_ns > desk.now_ns - S and fills_ns > 20 * S
    assert read.through_ms == listing.block_ms < fills_ns // MS - 10_000 + BEGIN_MS


def test_what_a_round_can_do_without_is_given_up() -> None:
    desk = begun(seldom_rounds=1)
    desk.venue.broken["userFees"] = None
    began_ns = desk.now_ns
    assert isinstance(again(desk), Agreed)
    assert desk.now_ns == began_ns + 3 * LATENCY_NS, "where somebody waits it is not waited for"
    assert ReportCode.GIVEN_UP in desk.reports() and len(desk.asked("userFees")) == 1
    desk.run(40 * S)
    assert len(desk.asked("userFees")) == 2 + 3, "asked again while fills were read; the slow lane has time"
    first = Desk()
    first.venue.broken["userFees"] = None
    first.tell(START)
    first.run(60 * S)
    assert first.all(Agreed) == [], "a session does not begin without its fees"


def test_equity_is_not_told_without_balances() -> None:
    desk = begun()
    desk.venue.broken["spotClearinghouseState"] = None
    assert isinstance(again(desk), Agreed)
    assert desk.rows(EventKind.EQUITY_STATE) == []
    desk.venue.broken.clear()
    desk.venue.balances = [{"coin": "USDC", "token": 0, "hold": "0.0", "total": "x"}]
    assert isinstance(again(desk, 3), Agreed)
    assert desk.rows(EventKind.EQUITY_STATE) == []


def test_an_answer_twice_or_of_an_older_number_changes_nothing() -> None:
    desk = begun()
    desk.tell(Begin(2, Reason.CONNECTED))
    asks = desk.all(Ask)
    desk.tell(Begin(3, Reason.RESUBSCRIBED))
    for ask in asks:
        assert desk.tell(Answer(ask.request_id, desk.venue.answer(ask.body), 0)) == []
    agreed = desk.answer()
    assert isinstance(agreed, Agreed) and agreed.number == 3
    assert [one.number for one in desk.all(Agreed)] == [3]


def test_our_own_side_of_an_older_question_changes_nothing() -> None:
    desk = begun()
    stale = desk.own(0)
    assert desk.tell(stale) == [] and desk.machine.counters["events out of date"] == 1
    desk.tell(Begin(2, Reason.CONNECTED))
    assert desk.tell(stale) == []
    assert isinstance(desk.answer(), Agreed)
    assert desk.tell(desk.own(desk.all(AskOwn)[-1].number)) == []


def test_begin_while_comparing_begins_again() -> None:
    desk = Desk()
    held_back: list[CorePositions] = []

    def own(number: int) -> CorePositions:
        held_back.append(Desk.own(desk, number))
        return CorePositions(0, (), (), ())

    desk.own = own  # type: ignore[method-assign]
    desk.tell(START)
    desk.until(AskOwn)
    assert desk.machine.state is State.COMPARING
    desk.tell(Begin(2, Reason.START))
    assert desk.machine.state is State.READING
    desk.tell(held_back[0])
    assert desk.machine.counters["events out of date"] == 2


def test_timers_out_of_date_do_no_harm() -> None:
    desk = begun()
    for name in TimerName:
        assert not [one for one in desk.tell(Timer(name, 0)) if not isinstance(one, SetTimer)]
    assert desk.machine.counters["timers too early"] == 4
    desk.run(31 * S)
    assert ReportCode.AGREED in desk.reports()


def test_what_cannot_happen_is_an_error() -> None:
    desk = Desk()
    with pytest.raises(ImpossibleEvent, match="read cannot happen to a reconciliation that is off"):
        desk.machine._run(Event.READ, START)


def test_fills_are_read_page_by_page() -> None:
    desk = begun()
    first_ms = BEGIN_MS - 9_000
    desk.venue.fills = [filled("0.1", ms=first_ms + tid // 1_000, tid=tid) for tid in range(5_500)]
    assert isinstance(again(desk), Agreed)
    starts = [one["startTime"] for one in desk.asked("userFillsByTime")]
    assert starts[1:] == [first_ms + 1, first_ms + 2, first_ms + 3, first_ms + 4]
    (told,) = desk.all(TellFills)
    assert {fill.tid for fill in told.fills.fills} == set(range(5_500))


def test_more_pages_than_the_venue_tells_are_no_whole_reading() -> None:
    desk = begun()
    desk.venue.fills = [filled("0.1", ms=BEGIN_MS - 9_000 + tid // 1_000, tid=tid) for tid in range(9_000)]
    assert isinstance(again(desk), Agreed)
    assert len(desk.asked("userFillsByTime")) == 6
    assert ReportCode.FILLS_BEYOND in desk.reports() and desk.all(FillsRead) == []


def test_reading_keeps_within_its_weight() -> None:
    """Rounds that follow each other at once: within any minute no more is asked for than the share and what is kept."""
    desk = begun()
    for number in range(2, 32):
        desk.tell(Begin(number, Reason.CONNECTED))
        desk.answer()
    asked = [(at_ns, effect.weight) for at_ns, effect in desk.history if isinstance(effect, Ask)]
    for end_ns, _ in asked:
        assert sum(weight for at_ns, weight in asked if end_ns - 60 * S < at_ns <= end_ns) <= 900
    assert desk.now_ns > 60 * S
