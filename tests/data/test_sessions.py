"""Repeated trades, backfill, and what a gap does to the book."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.data import sessions
from hlhft.data.merge import Events
from hlhft.data.sessions import GAP_NS, Sessions, TradeMemory, without_rows
from hlhft.data.tally import Tally
from hlhft.events import EventKind
from tests.data.making import (  # fmt: skip
    BACKFILL,
    BOTH,
    END,
    EXCHANGE,
    LOCAL,
    SYNTHETIC,
    bbo,
    columns,
    joined,
    snapshot,
    together,
    trade,
)

BID, ASK = (100, 5), (101, 5)


def test_a_trade_is_known_by_market_time_and_id() -> None:
    memory = TradeMemory()
    assert memory.is_new(0, 10, 7)
    assert not memory.is_new(0, 10, 7)
    assert memory.is_new(1, 10, 7)
    assert memory.is_new(0, 11, 7)
    assert memory.is_new(0, 10, 8)


def test_a_trade_without_id_is_always_new() -> None:
    memory = TradeMemory()
    assert memory.is_new(0, 10, 0)
    assert memory.is_new(0, 10, 0)


def test_memory_is_bounded_and_forgets_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "REMEMBERED_TRADES_MAX", 2)
    memory = TradeMemory()
    assert all(memory.is_new(0, 10, identity) for identity in (1, 2, 3))
    assert not memory.is_new(0, 10, 2)
    assert memory.is_new(0, 10, 1)


def test_repeats_are_dropped_counted_and_the_frame_ends_at_what_stays() -> None:
    tally, memory = Tally(), TradeMemory()
    rows = joined([
        trade(10, 1, 100, 1, 1),
        together(trade(20, 1, 100, 1, 2), trade(10, 1, 100, 1, 1)),
        trade(10, 1, 100, 1, 1),
        bbo(30, BID, ASK),
    ])  # fmt: skip
    kept = memory.without_repeats(rows, tally)
    assert columns(kept, "kind", "order_id", "flags") == [
        (6, 1, BOTH | END), (6, 2, BOTH | END), (5, 0, BOTH), (5, 0, BOTH | END),
    ]  # fmt: skip
    assert tally["duplicate_trades"] == 2
    assert columns(tally.first["duplicate_trades"], "ts_exch_ns", "order_id") == [(10, 1)]
    fresh = trade(40, 1, 100, 1, 3)
    assert memory.without_repeats(fresh, tally) is fresh


def test_a_frame_whose_rows_all_go_vanishes() -> None:
    rows = joined([bbo(10, BID, ASK), bbo(20, BID, ASK)])
    kept = without_rows(rows, np.array([False, False, True, False]))
    assert columns(kept, "ts_exch_ns", "flags") == [(20, BOTH | END)]
    assert len(without_rows(rows, np.zeros(4, bool))) == 0


def test_an_array_of_repeats_alone_leaves_nothing() -> None:
    tally, memory = Tally(), TradeMemory()
    memory.without_repeats(trade(10, 1, 100, 1, 1), tally)
    assert len(memory.without_repeats(joined([trade(10, 1, 100, 1, 1)] * 2), tally)) == 0
    assert tally["duplicate_trades"] == 2


def marked(arrays: list[Events], markets: int = 1) -> tuple[Events, Counter[str]]:
    counts: Counter[str] = Counter()
    return joined(Sessions(markets, counts).marked(iter(arrays))), counts


def test_trades_before_the_first_book_are_backfill_which_the_venue_does_not_see() -> None:
    rows, counts = marked([joined([
        trade(5, 1, 100, 1, 1, local=50),
        bbo(10, BID, ASK, local=60),
        trade(9, 1, 100, 1, 2, local=70),  # older than the first book, though it arrives later
        trade(10, 1, 100, 1, 3, local=80),
    ])])  # fmt: skip
    trades = rows[rows["kind"] == EventKind.TRADE]
    assert trades["flags"].tolist() == [LOCAL | END | BACKFILL, LOCAL | END | BACKFILL, BOTH | END]
    assert counts == {"sessions": 1, "backfill_trades": 2}


def test_each_market_has_its_own_first_book() -> None:
    rows, _ = marked(
        [joined([bbo(10, BID, ASK), trade(11, 1, 100, 1, 1, market=1), snapshot(12, [BID], [ASK], market=1),
                 trade(13, 1, 100, 1, 2, market=1)])], markets=2,
    )  # fmt: skip
    trades = rows[rows["kind"] == EventKind.TRADE]
    assert trades["flags"].tolist() == [LOCAL | END | BACKFILL, BOTH | END]


def test_a_gap_starts_a_session_and_clears_each_book_before_its_first() -> None:
    later = 100 + GAP_NS + 1
    rows, counts = marked([joined([
        bbo(10, BID, ASK, local=100),
        trade(20, 1, 100, 1, 1, local=later),
        bbo(30, BID, ASK, local=later + 1),
    ])])  # fmt: skip
    assert counts["sessions"] == 2
    assert columns(rows, "kind", "ts_exch_ns", "side", "price_ticks", "flags") == [
        (5, 10, 1, 100, BOTH), (5, 10, -1, 101, BOTH | END),
        (6, 20, 1, 100, LOCAL | END | BACKFILL),
        (2, 30, 0, 0, BOTH | SYNTHETIC), (5, 30, 1, 100, BOTH), (5, 30, -1, 101, BOTH | END),
    ]  # fmt: skip


def test_a_silence_of_just_the_gap_is_no_new_session() -> None:
    _, counts = marked([bbo(10, BID, ASK, local=100), bbo(30, BID, ASK, local=100 + GAP_NS)])
    assert counts["sessions"] == 1


MESSAGES = st.lists(
    st.tuples(st.sampled_from(["bbo", "trade", "book"]), st.integers(0, 1), st.sampled_from([1, 5, GAP_NS + 1])),
    max_size=10,
)


@given(MESSAGES)
@settings(max_examples=50)
def test_marks_do_not_depend_on_how_rows_are_cut(messages: list[tuple[str, int, int]]) -> None:
    now, arrays = 1, []
    for number, (kind, market, step) in enumerate(messages):
        now += step
        if kind == "bbo":
            arrays.append(bbo(now, BID, ASK, market=market))
        elif kind == "trade":
            arrays.append(trade(now - number % 3, 1, 100, 1, number + 1, local=now + 1000, market=market))
        else:
            arrays.append(snapshot(now, [BID], [ASK], market=market))
    whole, whole_counts = marked([joined(arrays)], markets=2)
    parts, counts = marked([*arrays, joined([])], markets=2)
    assert parts.tobytes() == whole.tobytes()
    assert +counts == +whole_counts
    backfill = (whole["flags"] & BACKFILL) != 0
    assert not (whole["flags"][backfill] & EXCHANGE).any()
    assert (whole["kind"] == EventKind.DEPTH_CLEAR).sum() <= 2 * max(counts["sessions"] - 1, 0)
