"""Replay rows: every event there and back, what does not fit, and the range of prices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.backtest.rows import (
    BBO,
    DELAY_LIMIT_NS,
    EXCHANGE_BIT,
    FAULT_KIND,
    FAULT_ORDER_EXCHANGE,
    FAULT_ORDER_LOCAL,
    FAULT_PRICE,
    FAULT_SIZE,
    FRAME_BIT,
    FUNDING,
    KIND_MASK,
    LEVEL,
    LOCAL_BIT,
    LOTS_SHIFT,
    MARK,
    ORACLE,
    ORDER_AGE,
    ROW_DTYPE,
    SELL_BIT,
    SNAPSHOT_LEVEL,
    TRADE,
    has_touch,
    price_range,
)
from hlhft.data.readers import hftbacktest_npz
from hlhft.events import EventKind
from hlhft.units import LOTS_MAX, TICKS_MAX
from tests.backtest.feed import BOTH, END, EXCHANGE, LOCAL, T, convert, event


def seen(rows: np.ndarray, bit: int) -> list[tuple[int, ...]]:
    """What one side sees: time, kind, frame end, side, price, lots."""
    out = []
    for row in rows:
        word = int(row["word"])
        if word & bit:
            late = int(row["delay_ns"]) if bit == LOCAL_BIT and word & EXCHANGE_BIT else 0
            end = int(bool(word & FRAME_BIT)) if bit == LOCAL_BIT else 0
            side = -1 if word & SELL_BIT else 1
            kind, ticks = word & KIND_MASK, int(row["price_ticks"])
            out.append((int(row["ts_ns"]) + late, kind, end, side, ticks, word >> LOTS_SHIFT))
    return out


def plain(kind: int, **fields: int) -> tuple[np.ndarray, list[tuple[int, ...]], list[tuple[int, ...]]]:
    made = event(kind, price_ticks=612_345, size_lots=77, side=-1, flags=BOTH | END, **fields)
    return made, [(T, kind, 0, -1, 612_345, 77)], [(T + 100, kind, 1, -1, 612_345, 77)]


class TestEvents:
    @pytest.mark.parametrize("kind", [EventKind.DEPTH_LEVEL, EventKind.BBO, EventKind.TRADE, EventKind.DEPTH_CLEAR])
    def test_a_price_kind_is_one_row_for_both_sides(self, kind):
        made, venue, ours = plain(kind)
        rows, read, fault, place = convert(made)
        assert (len(rows), read, fault, place) == (1, 1, 0, -1)
        assert (seen(rows, EXCHANGE_BIT), seen(rows, LOCAL_BIT)) == (venue, ours)

    def test_a_clear_of_both_sides_is_two_rows_and_one_frame(self):
        rows, *_ = convert(event(EventKind.DEPTH_CLEAR, flags=BOTH | END))
        assert seen(rows, LOCAL_BIT) == [(T + 100, 2, 0, 1, 0, 0), (T + 100, 2, 1, -1, 0, 0)]

    @pytest.mark.parametrize("kind", [EventKind.SNAPSHOT_BEGIN, EventKind.SNAPSHOT_END])
    def test_a_snapshot_mark_keeps_its_channel(self, kind):
        rows, *_ = convert(event(kind, aux0=20, aux1=1, flags=BOTH | END))
        assert seen(rows, LOCAL_BIT) == [(T + 100, kind, 1, 1, 0, 81)]

    @pytest.mark.parametrize("rate", [-12_500_000, 0, 40_000_000_000])
    def test_an_asset_context_is_mark_oracle_and_rate(self, rate):
        rows, *_ = convert(event(EventKind.ASSET_CONTEXT, price_ticks=500, order_id=501, aux0=rate, flags=BOTH | END))
        assert seen(rows, LOCAL_BIT) == [
            (T + 100, MARK, 0, 1, 500, 0),
            (T + 100, ORACLE, 0, 1, 501, 0),
            (T + 100, FUNDING, 1, 1, 0, rate),
        ]

    @pytest.mark.parametrize(("flags", "venue", "ours"), [(EXCHANGE, 1, 0), (LOCAL, 0, 1), (0, 0, 0)])
    def test_a_row_is_there_for_whom_it_was_visible(self, flags, venue, ours):
        rows, *_ = convert(event(EventKind.TRADE, flags=flags, price_ticks=5, size_lots=1))
        assert (len(seen(rows, EXCHANGE_BIT)), len(seen(rows, LOCAL_BIT))) == (venue, ours)

    @pytest.mark.parametrize(
        ("delay", "count"), [(-1, 2), (0, 1), (DELAY_LIMIT_NS, 1), (DELAY_LIMIT_NS + 1, 2), (-(10**15), 2)]
    )
    def test_a_delay_that_no_row_holds_becomes_a_row_for_each_side(self, delay, count):
        rows, *_ = convert(event(EventKind.TRADE, delay=delay, price_ticks=5, size_lots=3, flags=BOTH | END))
        assert len(rows) == count
        assert seen(rows, EXCHANGE_BIT) == [(T, TRADE, 0, 1, 5, 3)]
        assert seen(rows, LOCAL_BIT) == [(T + delay, TRADE, 1, 1, 5, 3)]

    def test_the_largest_price_and_size_fit(self):
        rows, *_ = convert(event(EventKind.DEPTH_LEVEL, price_ticks=TICKS_MAX, size_lots=LOTS_MAX, side=-1))
        assert seen(rows, EXCHANGE_BIT) == [(T, LEVEL, 0, -1, TICKS_MAX, LOTS_MAX)]

    def test_other_markets_are_passed_over(self):
        one, two = event(EventKind.TRADE, price_ticks=5, market=1), event(EventKind.TRADE, price_ticks=6, market=2)
        rows, read, _, _ = convert(one, two, event(99, market=1), market=2)
        assert (len(rows), read, int(rows[0]["price_ticks"])) == (1, 3, 6)


class TestOrderAge:
    @pytest.mark.parametrize("age", [0, 999, 1000, 1_234_567_891, 86_400_000_000_123, 1000 * 2**46 - 1])
    def test_the_order_stands_before_its_level_exact_and_only_for_the_venue(self, age):
        level = event(EventKind.DEPTH_LEVEL, price_ticks=90, size_lots=4, side=-1, aux1=T - age)
        rows, *_ = convert(level)
        assert [int(row["word"]) & KIND_MASK for row in rows] == [ORDER_AGE, LEVEL]
        assert seen(rows, EXCHANGE_BIT)[0] == (T, ORDER_AGE, 0, -1, 90, age // 1000)
        assert int(rows[0]["delay_ns"]) == age % 1000
        assert seen(rows, LOCAL_BIT) == [(T + 100, LEVEL, 0, -1, 90, 4)]

    @pytest.mark.parametrize("placed", [0, SNAPSHOT_LEVEL])
    def test_without_an_order_there_is_none(self, placed):
        rows, *_ = convert(event(EventKind.DEPTH_LEVEL, price_ticks=90, size_lots=4, aux1=placed))
        assert len(rows) == 1

    def test_an_imported_snapshot_is_marked_as_its_reader_marks_it(self):
        assert hftbacktest_npz.SNAPSHOT_LEVEL == SNAPSHOT_LEVEL

    def test_what_only_we_saw_has_none(self):
        rows, *_ = convert(event(EventKind.DEPTH_LEVEL, price_ticks=90, flags=LOCAL, aux1=T - 5))
        assert len(rows) == 1
        rows, *_ = convert(event(EventKind.TRADE, price_ticks=90, aux1=T - 5))
        assert len(rows) == 1


class TestFaults:
    @pytest.mark.parametrize(
        ("bad", "fault"),
        [
            (event(0), FAULT_KIND),
            (event(EventKind.ORDER_FILLED), FAULT_KIND),
            (event(EventKind.TRADE, price_ticks=-1), FAULT_PRICE),
            (event(EventKind.TRADE, price_ticks=TICKS_MAX + 1), FAULT_PRICE),
            (event(EventKind.TRADE, size_lots=-1), FAULT_SIZE),
            (event(EventKind.TRADE, size_lots=LOTS_MAX + 1), FAULT_SIZE),
            (event(EventKind.ASSET_CONTEXT, order_id=-1), FAULT_PRICE),
            (event(EventKind.ASSET_CONTEXT, order_id=TICKS_MAX + 1), FAULT_PRICE),
            (event(EventKind.ASSET_CONTEXT, aux0=2**46), FAULT_SIZE),
            (event(EventKind.ASSET_CONTEXT, aux0=-(2**46)), FAULT_SIZE),
            (event(EventKind.DEPTH_LEVEL, aux1=T + 1), FAULT_SIZE),  # changed before it was placed
            (event(EventKind.DEPTH_LEVEL, aux1=T - 1000 * 2**46), FAULT_SIZE),  # more than two years old
            (event(EventKind.TRADE, at=T - 1, delay=101), FAULT_ORDER_EXCHANGE),
            (event(EventKind.TRADE, at=T, delay=99), FAULT_ORDER_LOCAL),
        ],
    )
    def test_the_first_event_that_does_not_fit_ends_it(self, bad, fault):
        good = event(EventKind.TRADE, price_ticks=5, size_lots=1)
        assert convert(good, bad, good)[1:] == (1, fault, 1)
        assert len(convert(good, bad)[0]) == 1

    def test_clocks_are_carried_from_call_to_call_and_each_for_its_side(self):
        last = np.full(2, -(2**63), np.int64)
        convert(event(EventKind.TRADE), last=last)
        assert last.tolist() == [T, T + 100]
        assert convert(event(EventKind.TRADE, at=T - 1, delay=200), last=last)[2] == FAULT_ORDER_EXCHANGE
        # A row that a side does not see may have any time on its clock.
        assert convert(event(EventKind.TRADE, at=T - 1, delay=200, flags=LOCAL), last=last)[2] == 0
        assert convert(event(EventKind.TRADE, at=T, delay=-50, flags=EXCHANGE), last=last)[2] == 0
        assert last.tolist() == [T, T + 199]


KINDS = st.sampled_from([EventKind.DEPTH_LEVEL, EventKind.BBO, EventKind.TRADE])


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            KINDS, st.integers(0, 50), st.integers(0, 2**33), st.integers(0, 7), st.integers(0, TICKS_MAX),
            st.integers(0, LOTS_MAX), st.sampled_from([1, -1]), st.integers(0, 10**7),
        ),
        max_size=20,
    )
)  # fmt: skip
def test_each_side_sees_its_events_and_nothing_else(drawn):
    events, venue, ours = [], [], []
    now, local = T, T
    for kind, wait, late, flags, ticks, lots, side, age in drawn:
        now, local = now + wait, max(local, now + late - 2**32)
        named = age if kind == EventKind.DEPTH_LEVEL and age % 2 else 0
        made = event(kind, at=now, delay=local - now, flags=flags, price_ticks=ticks, size_lots=lots, side=side)
        made["aux1"] = now - named if named else 0
        events.append(made)
        if flags & EXCHANGE and named:
            venue.append((now, ORDER_AGE, 0, side, ticks, named // 1000))
        if flags & EXCHANGE:
            venue.append((now, kind, 0, side, ticks, lots))
        if flags & LOCAL:
            ours.append((local, kind, int(bool(flags & END)), side, ticks, lots))
    if events:
        rows, read, fault, _ = convert(*events)
        assert (read, fault) == (len(events), 0)
        assert (seen(rows, EXCHANGE_BIT), seen(rows, LOCAL_BIT)) == (venue, ours)


@pytest.mark.parametrize(("kinds", "count", "expected"), [
    ((LEVEL, MARK, TRADE), 3, True), ((BBO,), 1, True), ((LEVEL, ORACLE), 2, False), ((LEVEL, TRADE), 1, False),
    ((), 0, False),
])  # fmt: skip
def test_a_touch_is_a_trade_or_a_best_price(kinds, count, expected):
    rows = np.zeros(len(kinds), ROW_DTYPE)
    rows["word"] = [kind | EXCHANGE_BIT for kind in kinds]
    assert bool(has_touch(rows, count)) is expected


class TestPriceRange:
    def range_of(self, *rows: tuple[int, int]) -> tuple[int, int]:
        made = np.zeros(len(rows), ROW_DTYPE)
        for row, (kind, ticks) in zip(made, rows, strict=True):
            row["word"], row["price_ticks"] = kind, ticks
        low, high = price_range(made, len(made))
        return int(low), int(high)

    def test_trades_and_best_prices_decide(self):
        assert self.range_of((TRADE, 50), (BBO, 70), (LEVEL, 1), (LEVEL, 9999), (MARK, 3), (BBO, 0)) == (50, 70)

    def test_levels_do_without_them(self):
        assert self.range_of((LEVEL, 7), (LEVEL, 3), (ORDER_AGE, 1), (ORACLE, 99)) == (3, 7)

    def test_without_a_price_there_is_none(self):
        assert self.range_of((FUNDING, 0), (TRADE, 0)) == (0, -1)

    def test_only_the_counted_rows_count(self):
        made = np.zeros(2, ROW_DTYPE)
        made["word"], made["price_ticks"] = TRADE, [5, 9]
        assert tuple(map(int, price_range(made, 1))) == (5, 5)
