"""The books find every placement, forget the oldest that are over, and bound what they hold."""

from __future__ import annotations

import pytest

from hlhft.hyperliquid.cloids import CloidError
from hlhft.hyperliquid.fates_ledger import Ledger, chain
from hlhft.hyperliquid.fates_records import DEFAULTS, FateCode, FatesError, FateSettings, Placement, Reason
from hlhft.hyperliquid.fates_table import State
from hlhft.hyperliquid.reading import TEXT_MAX
from tests.hyperliquid.fate_news import NOW, OWNER, SESSION, T0, S, cloid


def ledger(**settings: int) -> Ledger:
    return Ledger(owner=OWNER, session=SESSION, settings=FateSettings(**settings))


def placement(
    order_id: int, revision: int = 0, *, session: int = SESSION, previous: Placement | None = None
) -> Placement:
    return Placement(order_id, revision, session, 1, 1, 1000, 10, T0, False, False, NOW, previous)


def finish(books: Ledger, one: Placement) -> None:
    one.state = State.CANCELLED
    books.finish(one)


@pytest.mark.parametrize(("owner", "session"), [(0, 1), (1, 0), (2**24, 1)])
def test_owner_and_session_are_in_range(owner: int, session: int) -> None:
    with pytest.raises(CloidError):
        Ledger(owner=owner, session=session, settings=DEFAULTS)


def test_a_placement_is_found_by_either_name() -> None:
    books = ledger()
    one, other = placement(1024), placement(2049)
    books.add(one)
    books.add(other)
    books.name(one, 77)
    assert books.find(cloid(1024), 0) is one
    assert books.find(None, 77) is one
    assert books.find(cloid(1024, owner=OWNER + 1), 77) is one, "the venue's id says whose it is"
    assert books.find(cloid(3), 5) is None
    assert books.find(None, 0) is None
    assert books.cloid_of(one) == cloid(1024)


def test_a_session_keeps_its_orders_apart() -> None:
    books = ledger()
    ours, theirs = placement(1024), placement(2049, 4, session=SESSION - 1)
    books.add(ours)
    books.adopt(theirs)
    assert books.find(cloid(2049, 4, session=SESSION - 1), 0) is theirs
    assert books.find(cloid(2049, 4), 0) is None
    assert books.find(cloid(1024, session=SESSION - 1), 0) is None
    assert books.ours(cloid(1, session=9)) is not None
    assert books.ours(cloid(1, owner=OWNER + 1)) is None
    assert books.ours(None) is None


def test_revisions_of_an_order_are_found_each() -> None:
    books = ledger()
    first = placement(1024)
    second = placement(1024, 1, previous=first)
    books.add(first)
    books.add(second)
    assert list(chain(second)) == [second, first]
    assert books.newest(first) is second
    assert books.current(1024) is second
    assert (books.find(cloid(1024), 0), books.find(cloid(1024, 1), 0)) == (first, second)
    assert books.find(cloid(1024, 2), 0) is None
    assert (books.revision(1024, 0), books.revision(1024, 2), books.revision(5, 0)) == (first, None, None)
    finish(books, second)
    assert books.current(1024) is first
    finish(books, first)
    assert books.current(1024) is None


def test_what_is_over_leaves_the_chain_and_is_found_by_its_venue_id() -> None:
    books = ledger()
    newest: Placement | None = None
    each = []
    for revision in range(5):
        newest = placement(1024, revision, previous=newest)
        books.add(newest)
        books.name(newest, 100 + revision)
        each.append(newest)
    for revision in (0, 2, 3, 4):
        finish(books, each[revision])
    books.trim(each[4])
    assert list(chain(each[4])) == [each[4], each[1]]
    assert books.current(1024) is each[1]
    assert books.find(cloid(1024, 3), 103) is each[3]
    assert books.find(cloid(1024, 3), 0) is None


def test_a_name_is_kept_and_another_is_reported() -> None:
    books = ledger()
    one = placement(1024)
    books.add(one)
    for oid in (0, 77, 77, 0):
        books.name(one, oid)
    assert books.take_reports() == ()
    books.name(one, 78)
    assert one.oid == 77
    assert [report.code for report in books.take_reports()] == [FateCode.CONTRADICTION]


def test_the_oldest_that_are_over_are_forgotten() -> None:
    books = ledger(finished_max=1)
    each = [placement(number) for number in (1, 2)]
    for one in each:
        books.add(one)
        books.name(one, 100 + one.order_id)
    adopted = placement(3, session=SESSION - 1)
    books.adopt(adopted)
    for one in (adopted, *each):
        finish(books, one)
    assert books.find(cloid(3, session=SESSION - 1), 0) is None
    assert (books.find(cloid(1), 0), books.find(None, 101)) == (None, None)
    assert books.find(cloid(2), 0) is each[1]
    assert books.live == {}
    assert list(books.orders) == [2]


def test_an_order_outlives_its_refused_modification() -> None:
    books = ledger(finished_max=1)
    first = placement(1024)
    second = placement(1024, 1, previous=first)
    books.add(first)
    books.add(second)
    finish(books, second)
    other = placement(5)
    books.add(other)
    finish(books, other)
    assert books.orders[1024] is first
    third = placement(1024, 2, previous=first)
    books.add(third)
    finish(books, first)
    assert books.orders[1024] is third, "what was forgotten was not the newest"
    finish(books, third)
    assert books.newest(first) is third
    books.add(placement(6))
    finish(books, books.orders[6])
    assert books.newest(first) is first


def test_room_is_bounded() -> None:
    books = ledger(live_max=1)
    books.require_room(1)
    books.add(placement(1))
    assert not books.has_room(1)
    with pytest.raises(FatesError, match="1 orders are not over: nothing more may be sent"):
        books.require_room(1)
    with pytest.raises(FatesError):
        books.adopt(placement(2, session=2))


def test_a_doubt_keeps_its_earliest_time_and_ends_with_its_order() -> None:
    books = ledger()
    one = placement(1)
    books.add(one)
    books.doubt(one, Reason.SILENT, NOW + S)
    books.doubt(one, Reason.SILENT, NOW + 2 * S)
    assert one.ask_ns == NOW + S
    books.doubt(one, Reason.ABSENT, NOW + 3 * S)
    assert (one.reason, one.ask_ns) == (Reason.ABSENT, NOW + 3 * S)
    finish(books, one)
    assert books.doubtful == {}
    assert one.reason is Reason.NONE


def test_reports_are_cut_and_bounded_and_fetched_once() -> None:
    books = ledger(reports_max=1)
    books.report(FateCode.MISFIT, None, "x" * 1000)
    books.report(FateCode.MISFIT, placement(1), "lost")
    (report,) = books.take_reports()
    assert (report.order_id, len(report.detail)) == (0, TEXT_MAX)
    assert books.take_reports() == ()
    assert (books.counters["MISFIT"], books.counters["reports lost"]) == (2, 1)
    books.report(FateCode.MISFIT, placement(1), "told")
    assert books.take_reports()[0].detail == "Placement(1, revision=0, SENT, filled=0/10, oid=0): told"
