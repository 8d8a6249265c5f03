"""What evidence does to placements, alone and modified."""

from __future__ import annotations

from itertools import permutations, product
from typing import Any

import pytest

from hlhft.events import EventKind
from hlhft.hyperliquid.fates import Fates
from hlhft.hyperliquid.fates_ledger import Ledger
from hlhft.hyperliquid.fates_life import DENIALS_MAX, Life, Telling
from hlhft.hyperliquid.fates_records import DEFAULTS, HALTING, Chain, FateCode, Placement, Reason
from hlhft.hyperliquid.fates_table import TRANSITIONS, Evidence, State, Told
from hlhft.hyperliquid.fates_words import Code
from tests.hyperliquid.fate_news import (
    NOW,
    OWNER,
    SESSION,
    SUCCESS,
    T0,
    S,
    cancels,
    cloid,
    command,
    error,
    field,
    fill,
    fills,
    kinds,
    modifies,
    ok,
    resting,
    rests,
    status,
    update,
)

K = EventKind
TOLD = {
    Told.NOTHING: [],
    Told.ACKNOWLEDGED: [K.ORDER_ACKNOWLEDGED],
    Told.CANCELLED: [K.ORDER_CANCELLED],
    Told.EXPIRED: [K.ORDER_EXPIRED],
    Told.REJECTED: [K.ORDER_REJECTED],
    Told.UNKNOWN: [K.ORDER_UNKNOWN],
    Told.SEND_FAILED: [K.COMMAND_SEND_FAILED],
    Told.LATE: [],
    Told.CONTRADICTION: [],
}


class Books:
    """A ledger with one order in a given state."""

    def __init__(self, state: State = State.SENT, **values: Any) -> None:
        self.ledger = Ledger(owner=OWNER, session=SESSION, settings=DEFAULTS)
        self.life = Life(self.ledger)
        self.one = Placement(1024, 0, SESSION, 1, 1, 1000, 10, T0, False, False, NOW, None)
        self.ledger.add(self.one)
        for name, value in values.items():
            setattr(self.one, name, value)
        self.one.state = state
        if self.one.is_done:
            self.ledger.finish(self.one)

    def telling(self) -> Telling:
        return Telling(NOW, [])

    @property
    def codes(self) -> list[FateCode]:
        return [report.code for report in self.ledger.take_reports()]


@pytest.mark.parametrize(
    ("state", "evidence"), [(state, evidence) for state, row in TRANSITIONS.items() for evidence in row]
)
def test_every_step_tells_what_its_row_says(state: State, evidence: Evidence) -> None:
    books = Books(state)
    telling = books.telling()
    books.life.learn(books.one, evidence, telling)
    following, told = TRANSITIONS[state][evidence]
    assert books.one.state is following
    assert books.one.is_done is (books.one.key not in books.ledger.live)
    is_shaken = (state, following) == (State.LIVE, State.DOUBTED)
    assert kinds(telling.rows) == ([K.ORDER_UNKNOWN] if is_shaken else TOLD[told])
    assert books.ledger.counters["late"] == (told is Told.LATE)
    assert books.codes == ([FateCode.CONTRADICTION] if told is Told.CONTRADICTION else [])


@pytest.mark.parametrize(("state", "evidence"), list(product([State.SENT, State.FILLED], [Evidence.WHOLE_CANCELLED])))
def test_what_has_no_row_is_an_error(state: State, evidence: Evidence) -> None:
    books = Books(state)
    with pytest.raises(AssertionError, match="WHOLE_CANCELLED of Placement"):
        books.life.learn(books.one, evidence, books.telling())


def test_an_order_is_acknowledged_once_and_after_each_doubt() -> None:
    books = Books()
    rows = []
    for evidence in (Evidence.RESTS, Evidence.SEEN, Evidence.LOSS, Evidence.RESTS, Evidence.SEEN, Evidence.SEEN):
        telling = books.telling()
        books.life.learn(books.one, evidence, telling)
        rows += kinds(telling.rows)
    assert rows == [K.ORDER_ACKNOWLEDGED, K.ORDER_UNKNOWN, K.ORDER_ACKNOWLEDGED]


def test_a_shrunk_order_announces_no_fills() -> None:
    books = Books(State.LIVE, reduce_only=True)
    books.life.rests(books.one, Evidence.RESTS, T0, 6, books.telling())
    assert books.one.reason is Reason.NONE


def test_a_doubt_about_a_modification_is_not_put_aside_for_fills() -> None:
    books = Books(State.LIVE)
    books.ledger.doubt(books.one, Reason.MODIFIED, NOW)
    books.life.rests(books.one, Evidence.RESTS, T0, 6, books.telling())
    assert books.one.reason is Reason.MODIFIED


@pytest.mark.parametrize(
    ("first", "second", "end_lots", "codes"),
    [
        ((6, False), (6, False), 6, []),
        ((6, False), (8, False), 8, [FateCode.CONTRADICTION]),
        ((8, False), (6, False), 8, [FateCode.CONTRADICTION]),
        ((8, False), (6, True), 6, []),
        ((6, True), (8, False), 6, []),
    ],
)
def test_of_two_claims_the_better_one_counts(
    first: tuple[int, bool], second: tuple[int, bool], end_lots: int, codes: list[FateCode]
) -> None:
    books = Books(State.LIVE)
    for lots, is_exact in (first, second):
        books.life.end(books.one, Code.REQUESTED, lots, books.telling(), is_exact=is_exact)
    assert books.one.end_lots == end_lots
    assert books.codes == codes


def test_what_shrinks_may_end_with_two_sizes() -> None:
    books = Books(State.LIVE, reduce_only=True)
    for lots in (6, 8):
        books.life.end(books.one, Code.REQUESTED, lots, books.telling())
    assert books.codes == []


def test_the_reason_of_an_end_is_the_most_exact_one() -> None:
    books = Books(State.LIVE)
    for code, time_ms in ((Code.NONE, 0), (Code.REQUESTED, 5), (Code.SELF_TRADE, 6), (Code.REQUESTED, 7)):
        books.life.end(books.one, code, 4, books.telling(), time_ms=time_ms)
    assert (books.one.code, books.one.ended_ms) == (Code.SELF_TRADE, 5)


def test_what_is_not_ending_is_not_closed() -> None:
    books = Books(State.LIVE)
    books.life.close(books.one, books.telling())
    assert books.one.state is State.LIVE


def test_what_is_over_is_not_lost() -> None:
    books = Books(State.FILLED)
    books.life.lose(books.one, Reason.SILENT, books.telling(), ask_ns=NOW)
    assert books.ledger.doubtful == {}


def test_a_reading_ends_a_doubt() -> None:
    books = Books(State.LIVE, absent_ms=T0, acknowledged=True)
    books.ledger.doubt(books.one, Reason.ABSENT, NOW)
    telling = books.telling()
    books.life.rests(books.one, Evidence.SEEN, T0 + 5, 0, telling)
    assert telling.rows == []
    assert (books.one.reason, books.one.absent_ms, books.one.lived_ms) == (Reason.NONE, 0, T0 + 5)


def test_an_end_before_news_that_it_rests_contradicts() -> None:
    books = Books(State.LIVE)
    books.life.end(books.one, Code.REQUESTED, 0, books.telling(), time_ms=T0 + 5)
    books.life.rests(books.one, Evidence.RESTS, T0 + 5, 0, books.telling())
    assert books.codes == []
    books.life.rests(books.one, Evidence.RESTS, T0 + 6, 0, books.telling())
    assert books.codes == [FateCode.CONTRADICTION]


def test_more_fills_than_the_end_says_contradict() -> None:
    books = Books(State.LIVE, filled_lots=5)
    books.life.end(books.one, Code.REQUESTED, 4, books.telling())
    assert (books.one.state, books.codes) == (State.CANCELLED, [FateCode.CONTRADICTION])


def test_an_end_of_what_is_over_is_late() -> None:
    books = Books(State.FILLED)
    books.life.end(books.one, Code.REQUESTED, 4, books.telling())
    assert books.one.end_lots == -1
    assert books.ledger.counters["late"] == 1


def test_missing_fills_are_asked_for_until_they_come() -> None:
    books = Books(State.LIVE)
    books.life.rests(books.one, Evidence.RESTS, T0, 6, books.telling())
    assert (books.one.reason, books.one.ask_ns) == (Reason.FILLS_MISSING, NOW + DEFAULTS.settle_ns)
    books.one.filled_lots = 6
    books.life.check_fills(books.one, NOW)
    assert books.one.reason is Reason.NONE


def test_readings_may_lag_behind_an_end_but_not_for_ever() -> None:
    """Any number of answers to questions that were asked before the end may come after it, as late as they may be."""
    books = Books(State.LIVE)
    books.life.end(books.one, Code.REQUESTED, -1, books.telling())
    late, too_late = (
        books.telling()._replace(now_ns=books.telling().now_ns + DEFAULTS.answer_ns + more) for more in (0, 1)
    )
    for _ in range(DENIALS_MAX + 1):
        books.life.rests(books.one, Evidence.SEEN, T0, 0, late)
    for _ in range(DENIALS_MAX - 1):
        books.life.rests(books.one, Evidence.SEEN, T0, 0, too_late)
    books.life.rests(books.one, Evidence.RESTS, T0, 0, too_late)
    assert books.codes == []
    for _ in range(2):
        books.life.rests(books.one, Evidence.SEEN, T0, 0, too_late)
    assert books.codes == [FateCode.CONTRADICTION]
    assert books.one.state is State.ENDING


@pytest.mark.parametrize(("evidence", "reason"), [(Evidence.RESTS, Reason.NONE), (Evidence.FILL, Reason.SILENT)])
def test_a_sign_of_life_ends_a_doubt_when_it_says_that_it_rests(evidence: Evidence, reason: Reason) -> None:
    books = Books()
    books.life.lose(books.one, Reason.SILENT, books.telling(), ask_ns=NOW)
    books.life.learn(books.one, evidence, books.telling())
    assert books.one.reason is reason


def test_what_is_refused_and_what_is_not_recognised() -> None:
    books, telling = Books(), Books().telling()
    books.life.unrecognised(books.one, "blue", telling)
    assert books.codes == [FateCode.UNRECOGNISED_STATUS]
    assert books.one.reason is Reason.UNRECOGNISED
    books.life.reject(books.one, Code.MARGIN, telling)
    assert [(field(row, "kind"), field(row, "aux0")) for row in telling.rows] == [
        (K.ORDER_UNKNOWN, 0), (K.ORDER_REJECTED, 3)
    ]  # fmt: skip


# Modified orders.


def modified(**more: int) -> Fates:
    fates = resting(1024)
    assert fates.sent(modifies(2, command(1024, price_ticks=990, **more))) == []
    return fates


def test_a_modification_is_told_when_both_are_known() -> None:
    fates = modified(size_lots=7)
    assert fates.answered(2, ok(rests(500)), NOW) == [], "how much of the old one was filled is not known"
    assert [one.left_lots for one in fates.live_orders()] == [10, 7]
    (row,) = fates.updated(update(1024, "canceled", left=6), NOW) + fates.filled(fills(fill(1024, 1, 4)), NOW)[1:]
    assert (field(row, "kind"), field(row, "price_ticks"), field(row, "size_lots")) == (K.ORDER_ACKNOWLEDGED, 990, 7)
    assert field(row, "aux0") == 500


def story() -> list[Any]:
    """An order is filled in part, modified, and the new one is filled in whole."""
    new = cloid(1024, 1)
    return [
        (2, ok(rests(500, cloid=new))),
        update(1024, "canceled", left=6, time_ms=300),
        update(1024, "open", left=7, size_lots=7, oid=500, cloid=new, time_ms=300),
        fills(fill(1024, 1, 4)),
        fills(fill(1024, 2, 7, oid=500, cloid=new, time_ms=400)),
    ]


@pytest.mark.parametrize("order", list(permutations(range(5))))
def test_a_modification_in_any_order_ends_alike(order: tuple[int, ...]) -> None:
    fates, told = modified(size_lots=7), story()
    rows, worst = [], 0
    for place in order:
        news = told[place]
        if isinstance(news, tuple):
            rows += fates.answered(*news, NOW)
        else:
            rows += fates.filled(news, NOW) if hasattr(news, "fills") else fates.updated(news, NOW)
        booked = sum(field(row, "size_lots") for row in rows if field(row, "kind") == K.ORDER_FILLED)
        worst = booked + sum(one.left_lots for one in fates.live_orders())
        assert worst >= 11, "what was filled in truth"
    assert worst == 11
    assert fates.is_done(1024)
    assert [report for report in fates.take_reports() if report.code in HALTING] == []
    # It ends once: with a last fill that leaves nothing, or by a cancel of what was never there.
    ends = [row for row in rows if field(row, "kind") == K.ORDER_CANCELLED]
    lasts = [row for row in rows if field(row, "kind") == K.ORDER_FILLED and field(row, "aux0") == 0]
    assert len(ends) + len(lasts) == 1
    assert all(field(row, "size_lots") == 0 for row in ends)


def test_a_filled_modification_is_told_with_what_the_old_one_may_still_bring() -> None:
    fates = modified(size_lots=7)
    fates.answered(2, ok(rests(500)), NOW)
    (row,) = fates.filled(fills(fill(1024, 1, 7, oid=500, cloid=cloid(1024, 1))), NOW)
    assert field(row, "aux0") == 10
    (row,) = fates.updated(update(1024, "canceled"), NOW)
    assert (field(row, "kind"), field(row, "size_lots")) == (K.ORDER_CANCELLED, 0)


def test_a_modified_order_is_cancelled_as_one() -> None:
    fates = modified(size_lots=7)
    fates.answered(2, ok(rests(500)), NOW)
    fates.updated(update(1024, "canceled"), NOW)
    fates.sent(cancels(3, 1024))
    assert fates.answered(3, ok(SUCCESS, kind="cancel"), NOW) == []
    gone = update(1024, "canceled", left=7, size_lots=7, oid=500, cloid=cloid(1024, 1), time_ms=900)
    (row,) = fates.updated(gone, NOW)
    assert (field(row, "kind"), field(row, "size_lots"), field(row, "aux0")) == (K.ORDER_CANCELLED, 7, 21)


def test_an_immediate_modification_expires() -> None:
    fates = modified(size_lots=7, time_in_force=2)
    fates.updated(update(1024, "canceled"), NOW)
    gone = update(1024, "filled", left=3, size_lots=7, oid=500, cloid=cloid(1024, 1), time_ms=900)
    fates.updated(gone, NOW)
    rows = fates.filled(fills(fill(1024, 1, 4, oid=500, cloid=cloid(1024, 1))), NOW)
    assert kinds(rows) == [K.ORDER_FILLED, K.ORDER_EXPIRED]
    assert field(rows[1], "size_lots") == 3


def test_a_cancel_that_was_refused_waits_for_the_modification() -> None:
    fates = modified()
    fates.sent(cancels(3, 1024, batch_id=0)._replace(revisions=(0,)))
    text = error("Fast cancel cannot cancel trigger orders.")
    assert fates.answered(3, ok(text, kind="cancel"), NOW) == []
    fates.updated(update(1024, "canceled"), NOW)
    fates.answered(2, ok(rests(500)), NOW)
    fates.sent(cancels(4, 1024))
    assert kinds(fates.answered(4, ok(text, kind="cancel"), NOW)) == [K.CANCEL_REJECTED]


def test_an_unknown_modification_that_rests_after_all_is_acknowledged() -> None:
    fates = modified()
    assert kinds(fates.silent(2, NOW)) == [K.ORDER_UNKNOWN]
    assert fates.silent(2, NOW) == []
    seen = status(1024, "open", oid=500, cloid=cloid(1024, 1))
    assert fates.status_read(1024, seen, T0, NOW) == []
    rows = fates.updated(update(1024, "canceled"), NOW)
    assert kinds(rows) == [K.ORDER_ACKNOWLEDGED]
    assert fates.doubts(NOW + 9 * S) == ()


def test_a_refused_modification_leaves_the_old_order_or_ends_it() -> None:
    fates = modified()
    rows = fates.refused(2, "Action already expired", NOW)
    assert [(field(row, "kind"), field(row, "aux0")) for row in rows] == [
        (K.CANCEL_REJECTED, 13), (K.ORDER_ACKNOWLEDGED, 1124)
    ]  # fmt: skip
    assert fates.updated(update(1024, "open", time_ms=150), NOW) == [], "that is known"
    fates = modified()
    fates.updated(update(1024, "canceled"), NOW)
    (row,) = fates.refused(2, "Action already expired", NOW)
    assert (field(row, "kind"), field(row, "aux0")) == (K.ORDER_REJECTED, 13)


def test_a_refused_modification_does_not_end_what_was_told_unknown_as_refused() -> None:
    fates = modified()
    fates.silent(2, NOW)
    fates.updated(update(1024, "canceled"), NOW)
    (row,) = fates.voided(2, NOW)
    assert (field(row, "kind"), field(row, "size_lots")) == (K.ORDER_CANCELLED, 10)


def test_both_refused_leave_nothing() -> None:
    books = Books(State.SENT)
    second = Placement(1024, 1, SESSION, 1, 1, 1000, 10, T0, False, False, NOW, books.one)
    books.ledger.add(second)
    telling = books.telling()
    books.life.prove(books.one, telling)
    assert telling.rows == []
    second.chain = Chain.UNKNOWN
    books.life.prove(second, telling)
    assert kinds(telling.rows) == [K.ORDER_CANCELLED]
