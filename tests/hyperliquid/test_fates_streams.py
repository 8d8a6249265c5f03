"""Updates, fills and cancels by the venue, in whatever order they come."""

from __future__ import annotations

from itertools import permutations

import pytest

from hlhft.events import EventFlag, EventKind
from hlhft.hyperliquid.fates import Fates
from hlhft.hyperliquid.fates_records import FateCode, FatesError, FateSettings, Reason
from hlhft.hyperliquid.fates_words import STATUSES, Says
from hlhft.hyperliquid.reading import Fault
from tests.hyperliquid.fate_news import (
    BTC,
    ETH,
    NOW,
    SELL,
    T0,
    S,
    cloid,
    command,
    ended,
    field,
    fill,
    fills,
    kinds,
    new_fates,
    ok,
    open_order,
    orders,
    placed,
    resting,
    rests,
    update,
)

K = EventKind


def codes(fates: Fates) -> list[FateCode]:
    return [report.code for report in fates.take_reports()]


# Updates.


@pytest.mark.parametrize("word", [word for word, meaning in STATUSES.items() if meaning.says is Says.REJECTED])
def test_every_rejection_ends_an_order_that_was_not_heard_of(word: str) -> None:
    fates = placed(1024)
    (row,) = fates.updated(update(1024, word), NOW)
    assert (field(row, "kind"), field(row, "aux0")) == (K.ORDER_REJECTED, STATUSES[word].code)
    assert fates.is_done(1024)


@pytest.mark.parametrize("word", [word for word, meaning in STATUSES.items() if meaning.says is Says.ENDED])
def test_every_end_ends_an_order_that_rests(word: str) -> None:
    fates = resting(1024)
    (row,) = fates.updated(update(1024, word), NOW)
    assert (field(row, "kind"), field(row, "aux0")) == (K.ORDER_CANCELLED, STATUSES[word].code)
    assert field(row, "size_lots") == 10


@pytest.mark.parametrize("word", ["triggered", "quantumCanceled"])
def test_a_status_that_ours_never_have_is_loud(word: str) -> None:
    fates = resting(1024)
    assert kinds(fates.updated(update(1024, word), NOW)) == [K.ORDER_UNKNOWN]
    assert codes(fates) == [FateCode.UNRECOGNISED_STATUS]
    assert [one.reason for one in fates.doubts(NOW)] == [Reason.UNRECOGNISED]


def test_an_update_without_numbers_tells_nothing_of_sizes() -> None:
    fates = resting(1024)
    told = update(1024, "canceled", left=0, size_lots=0, fault=Fault.TOO_FINE)
    assert kinds(fates.updated(told, NOW)) == [K.ORDER_UNKNOWN]
    assert codes(fates) == [FateCode.UNREADABLE]


def test_an_unknown_word_without_numbers_is_reported_for_its_word() -> None:
    fates = resting(1024)
    fates.updated(update(1024, "quantum", fault=Fault.TOO_FINE), NOW)
    assert codes(fates) == [FateCode.UNRECOGNISED_STATUS]


def test_an_update_may_come_before_the_answer() -> None:
    fates = placed(1024)
    (row,) = fates.updated(update(1024, "open", time_ms=77), NOW)
    assert (field(row, "kind"), field(row, "ts_exch_ns")) == (K.ORDER_ACKNOWLEDGED, NOW + 77_000_000)
    assert fates.answered(1, ok(rests(1124)), NOW) == [], "once"


def test_an_open_update_with_less_left_announces_fills() -> None:
    fates = resting(1024)
    assert fates.updated(update(1024, "open", left=4), NOW) == []
    assert fates.doubts(NOW) == ()
    (doubt,) = fates.doubts(NOW + S)
    assert (doubt.reason, doubt.since_ms) == (Reason.FILLS_MISSING, T0 - 10_000)
    fates.filled(fills(fill(1024, 1, 6)), NOW)
    assert fates.doubts(NOW + S) == ()


def test_old_news_does_not_revive_an_order() -> None:
    fates = resting(1024)
    fates.updated(update(1024, "canceled", time_ms=300), NOW)
    assert fates.updated(update(1024, "open", time_ms=100), NOW) == []
    assert fates.updated(update(1024, "canceled", time_ms=300), NOW) == []
    assert fates.counters["late"] == 2
    assert codes(fates) == []
    fates.updated(update(1024, "open", time_ms=301), NOW)
    assert codes(fates) == [FateCode.CONTRADICTION]
    assert fates.is_done(1024)


def test_a_life_in_any_order_ends_alike() -> None:
    told = [
        update(1024, "open", time_ms=100),
        update(1024, "open", left=4, time_ms=200),
        update(1024, "canceled", left=2, time_ms=300),
        fills(fill(1024, 1, 6, time_ms=200)),
        fills(fill(1024, 2, 2, time_ms=250)),
    ]
    for order in permutations(told):
        fates = placed(1024)
        rows = []
        for news in order:
            rows += fates.filled(news, NOW) if hasattr(news, "fills") else fates.updated(news, NOW)
        assert fates.is_done(1024)
        assert sum(field(row, "size_lots") for row in rows if field(row, "kind") == K.ORDER_FILLED) == 8
        assert [field(row, "size_lots") for row in rows if field(row, "kind") == K.ORDER_CANCELLED] == [2]
        assert codes(fates) == []


def test_strangers_are_counted_and_left_alone() -> None:
    fates = resting(1024)
    assert fates.updated(update(5, "filled", cloid=None), NOW) == []
    assert fates.updated(update(5, "filled", cloid=cloid(5, owner=8)), NOW) == []
    assert fates.filled(fills(fill(5, 1, 3, cloid=None)), NOW) == []
    assert fates.counters["foreign"] == 3
    assert codes(fates) == [FateCode.FOREIGN]


def test_a_fill_is_foreign_if_nobody_here_placed_it_and_the_core_did_not_begin_with_it() -> None:
    fates = resting(1024)
    fates.begun(T0, NOW)
    stranger = fill(5, 1, 3, cloid=None)
    assert fates.is_foreign(stranger) and fates.is_foreign(fill(5, 1, 3, cloid=cloid(5, owner=8)))
    assert not fates.is_foreign(fill(1024, 1, 3)), "ours"
    assert not fates.is_foreign(fill(1024, 1, 3, cloid=None, oid=1124)), "ours, known by the venue's id"
    assert not fates.is_foreign(fill(5, 1, 3, cloid=cloid(5, session=2))), "of an earlier session"
    assert not fates.is_foreign(fill(5, 1, 3, cloid=None, market=-1, fault=Fault.OTHER_COIN)), "no market of ours"
    assert not fates.is_foreign(fill(5, 1, 3, cloid=None, time_ms=0)), "the core began with it"
    assert not new_fates(begun_ms=None).is_foreign(stranger), "it has not begun"


# Fills.


def test_a_fill_is_booked_once() -> None:
    fates = resting(1024)
    assert len(fates.filled(fills(fill(1024, 1, 4), fill(1024, 1, 4)), NOW)) == 1
    assert fates.filled(fills(fill(1024, 1, 4), is_snapshot=True), NOW) == []
    assert fates.counters["fills known"] == 2


def test_a_fill_of_a_snapshot_that_is_news_says_that_it_is_old() -> None:
    fates = resting(1024)
    (row,) = fates.filled(fills(fill(1024, 1, 4), is_snapshot=True), NOW)
    assert field(row, "flags") & EventFlag.BACKFILL


def test_a_fill_without_a_client_order_id_is_known_by_the_venues() -> None:
    fates = resting(1024)
    (row,) = fates.filled(fills(fill(1024, 1, 10, cloid=None)), NOW)
    assert (field(row, "order_id"), field(row, "aux0")) == (1024, 0)


def test_a_fill_may_be_the_first_that_is_heard() -> None:
    fates = placed(1024)
    (row,) = fates.filled(fills(fill(1024, 1, 4)), NOW)
    assert field(row, "aux0") == 6
    (row,) = fates.answered(1, ok(rests(1124)), NOW)
    assert (field(row, "kind"), field(row, "size_lots")) == (K.ORDER_ACKNOWLEDGED, 6)


@pytest.mark.parametrize(("fee_micro", "told"), [(7, 28_000), (-7, -28_000), (0, 0)])
def test_a_fee_in_another_token_is_worth_the_price_of_the_fill(fee_micro: int, told: int) -> None:
    fates = resting(1024)
    one = fill(1024, 1, 4, price_ticks=400_000, fee_micro=fee_micro, fee_token="UETH")
    (row,) = fates.filled(fills(one), NOW)
    assert field(row, "aux1") == told, "an ether costs 4000"


def test_more_than_an_order_had_is_reported_and_booked() -> None:
    fates = resting(1024)
    (row,) = fates.filled(fills(fill(1024, 1, 12)), NOW)
    assert (field(row, "size_lots"), field(row, "aux0")) == (12, 0)
    assert codes(fates) == [FateCode.OVERFILLED]
    assert len(fates.filled(fills(fill(1024, 2, 1)), NOW)) == 1
    assert codes(fates) == [FateCode.OVERFILLED, FateCode.CONTRADICTION]


def test_more_fills_than_an_end_told_of_are_reported() -> None:
    fates = resting(1024)
    fates.filled(fills(fill(1024, 1, 4)), NOW)
    assert kinds(fates.updated(update(1024, "canceled", left=8), NOW)) == [K.ORDER_CANCELLED]
    assert codes(fates) == [FateCode.CONTRADICTION]


@pytest.mark.parametrize("other", [{"side": SELL}, {"market": BTC}])
def test_a_fill_that_does_not_fit_its_order_is_reported(other: dict[str, int]) -> None:
    fates = resting(1024)
    assert len(fates.filled(fills(fill(1024, 1, 4, **other)), NOW)) == 1
    assert codes(fates) == [FateCode.CONTRADICTION]


def test_a_fill_of_what_was_proven_dead_is_booked_and_loud() -> None:
    fates = placed(1024)
    fates.refused(1, "Insufficient margin to place order.", NOW)
    (row,) = fates.filled(fills(fill(1024, 1, 4)), NOW)
    assert field(row, "kind") == K.ORDER_FILLED
    assert codes(fates) == [FateCode.CONTRADICTION]
    assert fates.is_done(1024)


def test_a_fill_that_cannot_be_booked_is_loud_once() -> None:
    fates = resting(1024)
    broken = fills(fill(1024, 1, 0, fault=Fault.TOO_FINE))
    assert fates.filled(broken, NOW) + fates.filled(broken, NOW) == []
    assert codes(fates) == [FateCode.FILL_UNREADABLE]
    fates.filled(fills(fill(9, 1, 0, market=-1, cloid=cloid(9, session=1), fault=Fault.OTHER_COIN)), NOW)
    assert fates.counters["fills elsewhere"] == 1
    assert codes(fates) == []


def test_a_fill_of_an_order_that_is_not_in_the_books_is_money() -> None:
    fates = new_fates()
    (earlier,) = fates.filled(fills(fill(9, 1, 4, cloid=cloid(9, session=2))), NOW)
    assert field(earlier, "order_id") == 0, "its number may be another order's of this session"
    assert codes(fates) == []
    (ours,) = fates.filled(fills(fill(9, 2, 4)), NOW)
    assert (field(ours, "order_id"), field(ours, "aux0")) == (9, 0)
    assert codes(fates) == [FateCode.OWN_UNKNOWN]


def test_a_fill_older_than_memory_is_left_out() -> None:
    fates = new_fates(settings=FateSettings(fills_max=1))
    fates.sent(orders(1, command(1024)))
    told = [fill(1024, tid, 1, time_ms=time_ms) for tid, time_ms in ((1, 10), (2, 20), (1, 10))]
    assert len(fates.filled(fills(*told), NOW)) == 2
    assert codes(fates) == [FateCode.FILL_TOO_OLD]


# The beginning.


def test_fills_wait_for_the_position_that_the_core_begins_with() -> None:
    fates = new_fates(begun_ms=None)
    old, new = fill(9, 1, 4, time_ms=100, cloid=cloid(9, session=2)), fill(9, 2, 3, cloid=cloid(9, session=2))
    assert fates.filled(fills(old, new, is_snapshot=True), NOW) == []
    (row,) = fates.begun(T0 + 100, NOW)
    assert field(row, "size_lots") == 3
    assert field(row, "flags") & EventFlag.BACKFILL
    assert len(fates.filled(fills(fill(9, 3, 1, cloid=cloid(9, session=2))), NOW)) == 1


def test_each_market_may_begin_at_its_own_block() -> None:
    fates = new_fates(begun_ms=None)
    both = [fill(9, tid, 1, market=market, cloid=cloid(9, session=2)) for tid, market in ((1, BTC), (2, ETH))]
    fates.filled(fills(*both), NOW)
    (row,) = fates.begun([T0 + 199, T0 + 200], NOW)
    assert field(row, "market") == BTC
    with pytest.raises(FatesError, match="1 blocks for 2 markets"):
        fates.begun([T0], NOW)


def test_to_begin_again_moves_the_line_only() -> None:
    fates = resting(1024)
    assert fates.begun(T0 + 200, NOW) == []
    (row,) = fates.filled(fills(fill(1024, 1, 4)), NOW)
    assert (field(row, "kind"), field(row, "size_lots")) == (K.ORDER_ACKNOWLEDGED, 6)
    (row,) = fates.filled(fills(fill(1024, 2, 6)), NOW)
    assert (field(row, "kind"), field(row, "size_lots")) == (K.ORDER_CANCELLED, 0), "the core has no other end for it"
    assert len(fates.filled(fills(fill(1024, 3, 6)), NOW)) == 0


def test_a_fill_that_an_adopted_order_had_before_is_money_only() -> None:
    fates = new_fates()
    earlier = cloid(1024, session=2)
    fates.adopted(open_order(1024, left=7, cloid=earlier), T0 + 300, NOW)
    (row,) = fates.filled(fills(fill(1024, 1, 3, time_ms=300, cloid=earlier)), NOW)
    assert (field(row, "size_lots"), field(row, "aux0")) == (3, 7)


def test_only_so_many_fills_wait() -> None:
    fates = new_fates(settings=FateSettings(held_max=1), begun_ms=None)
    fates.filled(fills(*(fill(9, tid, 1, cloid=cloid(9, session=2)) for tid in (1, 2))), NOW)
    assert codes(fates) == [FateCode.FILLS_LOST]
    assert len(fates.begun(0, NOW)) == 1


# Cancels by the venue.


def test_a_cancel_by_the_venue_waits_for_what_was_filled() -> None:
    fates = resting(1024)
    assert fates.ended(ended(1124), NOW) == []
    assert [one.reason for one in fates.doubts(NOW + S)] == [Reason.END_UNTOLD]
    (row,) = fates.updated(update(1024, "marginCanceled"), NOW)
    assert (field(row, "kind"), field(row, "aux0")) == (K.ORDER_CANCELLED, 19)
    assert fates.ended(ended(1124, 9), NOW) == []
    assert fates.counters["ended unknown"] == 1
