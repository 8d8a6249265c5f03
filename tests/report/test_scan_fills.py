"""A quoter at the touch of one market: money by hand, and streamed as if all were looked at at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.data.errors import DataError
from hlhft.report import scan_fills
from hlhft.report.scan_fills import (
    AT_HORIZONS,
    BLOCK_NS,
    E6,
    FILLS,
    HORIZONS_NS,
    LAST,
    LOTS_MAX,
    PRO_RATA,
    SPREAD,
    VALUE,
    Watched,
    left_out,
    quote_lots,
    shared,
    touches_of,
)
from hlhft.units import Market
from tests.report.tape import BUY, MARKET, SECOND, SELL, START_NS, Tape, by_hand, cut_at

MICRO = 1e-6
QUOTE = 10_200  # 100 lots at 102
VALUE_AT, MOVED_AT, FUNDING_AT = (slice(AT_HORIZONS + place, None, 3) for place in range(3))


def watched(tape: Tape | np.ndarray, *, quote_micro: int = QUOTE, cuts: tuple[int, ...] = ()) -> Watched:
    found = Watched(MARKET, quote_micro)
    for rows in cut_at(tape.blocks() if isinstance(tape, Tape) else tape, cuts):
        found.take(rows)
    found.finish()
    return found


def total(tape: Tape | np.ndarray, **options: Any) -> np.ndarray:
    return watched(tape, **options).sums().sum(axis=0)


def quoted() -> Tape:
    """100 to 102, 300 lots at the ask; 101 to 103 from half a second on; 110 to 112 after half a minute."""
    return Tape().bbo(0, 100, 102, 50, 300).bbo(500, 101, 103).still(30_000, 70_000, 110, 112)


def test_a_fill_pro_rata_earns_half_the_spread_and_loses_what_the_mid_moves() -> None:
    """100 lots behind 300 get a quarter of the 200 that trade at 102: 50 lots, sold one tick above the mid of 101."""
    sums = total(quoted().trade(100, BUY, 102, 200))
    assert sums[PRO_RATA, : SPREAD + 1] == pytest.approx([1, 50 * 102 * MICRO, 50 * MICRO])
    assert sums[PRO_RATA, VALUE_AT] == pytest.approx([50 * 102 * MICRO] * 3)
    assert sums[PRO_RATA, MOVED_AT] == pytest.approx([0.0, 0.0, -50 * 9 * MICRO])
    assert not sums[LAST].any()


def test_a_trade_through_the_price_fills_all_of_the_order_wherever_it_stands() -> None:
    """A sale at 99 goes through the bid of 100: 102 lots are bought one tick below the mid of 101."""
    sums = total(quoted().trade(100, SELL, 100, 50).trade(100, SELL, 99, 7))
    for queue in (PRO_RATA, LAST):
        assert sums[queue, : SPREAD + 1] == pytest.approx([1, 102 * 100 * MICRO, 102 * MICRO])
        assert sums[queue, MOVED_AT] == pytest.approx([102 * 2 * MICRO, 102 * 2 * MICRO, 102 * 11 * MICRO])


def test_a_better_price_than_the_touch_passes_us_by() -> None:
    found = watched(quoted().trade(100, BUY, 101, 500).trade(200, SELL, 101, 500))
    assert not found.sums().any()
    assert found.counts["trades"] == 2


def test_the_touch_is_that_before_the_block_and_not_the_one_the_block_left() -> None:
    """In its own block the touch has become 101 to 103: the order was still at 102."""
    assert total(quoted().trade(500, BUY, 103, 10))[LAST, SPREAD] == pytest.approx(100 * MICRO)


def test_trades_of_one_block_and_side_fill_an_order_once() -> None:
    tape = quoted().trade(100, BUY, 102, 150).trade(100, SELL, 100, 10).trade(100, BUY, 102, 50).trade(100, BUY, 102, 9)
    sums = total(tape)
    assert sums[PRO_RATA, FILLS] == 2
    # 209 of 400 lots at the ask with a quarter of them ours; at the bid 102 of 152 and 10 that trade.
    bought = 10 * (102 * E6 // 152) / E6
    assert sums[PRO_RATA, VALUE] == pytest.approx((209 * 0.25 * 102 + bought * 100) * MICRO)


def test_a_fill_without_a_later_book_is_left_out_and_counted() -> None:
    tape = Tape().bbo(0, 100, 102).bbo(15_000, 100, 102).trade(10_000, BUY, 103, 1)
    found = watched(tape)
    sums = found.sums()[0, LAST]
    assert sums[FILLS] == 1
    assert (sums[VALUE_AT] > 0).tolist() == [True, False, False]
    assert [found.counts[left_out(horizon)] for horizon in HORIZONS_NS] == [0, 1, 1]


def test_the_end_of_a_session_ends_what_is_known() -> None:
    """After the clear nothing is known until the next best price, and the minute before is not carried over it."""
    tape = Tape().bbo(0, 100, 102).trade(500, BUY, 103, 1).bbo(5_000, 100, 102).clear(20_000).trade(20_500, BUY, 103, 1)
    found = watched(tape.still(21_000, 90_000, 200, 202))
    assert found.counts["trades_without_a_touch_before"] == 1
    assert found.sums()[0, LAST][VALUE_AT].tolist() == pytest.approx([102 * 100 * MICRO, 0.0, 0.0])
    assert found.watched_ns == 5 * SECOND + 69 * SECOND


def test_a_mid_told_at_the_horizon_counts() -> None:
    tape = Tape().bbo(0, 100, 102).trade(500, BUY, 103, 1).bbo(1_499, 101, 103).bbo(1_500, 104, 106)
    assert total(tape)[LAST, MOVED_AT][0] == pytest.approx(100 * (102 - 105) * MICRO)


def test_block_by_block_is_the_same_as_all_at_once() -> None:
    tape = Tape()
    for second in range(200):
        tape.trade(1000 * second, BUY if second % 3 else SELL, 103 if second % 3 else 99, 1 + second)
        tape.bbo(1000 * second, 100 - second % 5, 102 + second % 7)
    rows = tape.blocks()
    expected = by_hand(rows, QUOTE)
    for cuts in ((), tuple(range(200))):
        found = watched(rows, cuts=cuts)
        assert sorted(found.blocks) == sorted(expected)
        assert found.counts[left_out(HORIZONS_NS[-1])] == 20
        for key, sums in expected.items():
            np.testing.assert_allclose(found.blocks[key], sums, rtol=1e-12)


def test_after_a_minute_of_silence_nothing_is_known() -> None:
    """Neither a trade of the silent time counts, nor the mid at its end for what was filled before."""
    tape = Tape().bbo(0, 100, 102).trade(59_000, BUY, 103, 1).trade(60_001, BUY, 103, 1).bbo(60_002, 100, 102)
    for cuts in ((), (0,), (1,), (2,)):
        found = watched(tape, cuts=cuts)
        assert found.counts["trades_without_a_touch_before"] == 1
        assert found.sums()[0, LAST, FILLS] == 1
        assert not found.sums()[0, LAST, VALUE_AT].any()
        assert found.watched_ns == 0
    within = watched(Tape().bbo(0, 100, 102).trade(59_000, BUY, 103, 1).bbo(60_000, 100, 102))
    assert within.sums()[0, LAST, VALUE_AT].astype(bool).tolist() == [True, False, False]


def test_one_sided_and_crossed_touches_quote_nothing() -> None:
    tape = Tape().bbo(0, 100, 0).trade(100, BUY, 103, 1).bbo(200, 103, 102).trade(300, SELL, 90, 1).bbo(9_000, 1, 2)
    found = watched(tape)
    assert len(found.sums()) == 0
    assert found.counts["trades_without_a_touch_before"] == 2
    assert found.watched_ns == 0


def test_funding_is_paid_by_what_is_held_over_the_hour_at_the_rate_told_before_it() -> None:
    """Short from half a second before the hour: longs pay 1 % of an oracle at 1000, and one second is over the hour."""
    hour_ms = 3_600_000
    tape = Tape().still(hour_ms - 9_000, hour_ms + 90_000, 100, 102).trade(hour_ms - 500, BUY, 103, 1)
    tape.context(hour_ms - 9_000, 5 * 10**11, 1000).context(hour_ms - 200, 10**10, 1000).context(hour_ms, 7 * 10**11, 9)
    assert total(tape)[LAST, FUNDING_AT] == pytest.approx([100 * 10 * MICRO] * 3)
    assert watched(tape).counts["fills_over_an_hour_without_a_funding_rate"] == 0
    bought = total(tape.trade(hour_ms - 500, SELL, 90, 1))
    assert bought[LAST, FUNDING_AT] == pytest.approx([(100 - 102) * 10 * MICRO] * 3)


def test_no_hour_or_no_rate_is_no_funding_and_the_latter_is_counted() -> None:
    tape = Tape().still(3_599_000, 3_700_000, 100, 102).trade(3_599_500, BUY, 103, 1)
    found = watched(tape.trade(3_610_000, BUY, 103, 1).context(3_650_000, 10**10, 1000))
    assert not found.sums()[:, LAST, FUNDING_AT].any()
    assert found.counts["fills_over_an_hour_without_a_funding_rate"] == 1
    assert found.funding_rates == (10**10, 1)


def test_the_mark_stands_in_for_an_oracle_that_is_not_told() -> None:
    tape = Tape().still(3_599_000, 3_700_000, 100, 102).trade(3_599_500, BUY, 103, 1)
    assert total(tape.context(3_599_000, 10**10, mark=1000))[LAST, FUNDING_AT][0] == pytest.approx(100 * 10 * MICRO)


def test_spread_is_weighted_by_time() -> None:
    found = watched(Tape().bbo(0, 99, 101).bbo(3_000, 98, 102).bbo(4_000, 98, 102), cuts=(0, 1))
    assert found.watched_ns == 4 * SECOND
    assert found.spread_ns / found.watched_ns == pytest.approx((3 * 0.02 + 1 * 0.04) / 4)


def test_turnover_is_that_of_everybody() -> None:
    assert watched(quoted().trade(100, BUY, 102, 200)).turnover_usdc == pytest.approx(200 * 102 * MICRO)


def test_a_side_is_kept_until_it_is_told_anew() -> None:
    rows = Tape().bbo(0, 100, 102, 5, 6).bbo(1, 101, 103, 7, 8).blocks()
    touches = touches_of(rows[:-1], touches_of(rows[:0], rows[:0]))
    last = touches[-1]
    assert (last["bid_ticks"], last["ask_ticks"], last["bid_lots"], last["ask_lots"]) == (101, 102, 7, 6)
    assert touches_of(rows[-1:], touches[-1:])["bid_ticks"].tolist() == [101]


def test_what_is_summed_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_fills, "BLOCKS_MAX", 1)
    tape = Tape().still(0, 900_000, 100, 102).trade(100, BUY, 103, 1).trade(400_000, BUY, 103, 1)
    with pytest.raises(DataError, match="scan a shorter time"):
        watched(tape)


def test_memory_is_the_last_minute() -> None:
    found = Watched(MARKET, QUOTE)
    for second in range(0, 600, 5):
        tape = Tape().bbo(1000 * second, 100, 102).trade(1000 * second + 1, BUY, 103, 1).context(1000 * second + 2, 1)
        found.take(tape.blocks())
        assert max(len(found._touches), len(found._contexts), len(found._waiting)) <= 16


@given(
    st.integers(1, 2**31 - 1), st.integers(0, 2**46), st.integers(0, 2**46), st.integers(1, 10**15), st.integers(0, 6)
)
def test_a_share_is_rounded_down_and_never_more_than_the_order(
    price: int, depth: int, traded: int, quote_micro: int, decimals: int
) -> None:
    market = Market.perpetual("ANY", asset_id=0, size_decimals=decimals)
    (lots,) = quote_lots(np.array([price]), market, quote_micro).tolist()
    assert lots == min(max(quote_micro // price, 1), LOTS_MAX)
    (size_e6,) = shared(np.array([lots]), np.array([depth]), np.array([traded])).tolist()
    exact = min(traded, depth + lots) * lots * E6 / (depth + lots)
    assert 0 <= size_e6 <= lots * E6
    assert size_e6 <= exact * (1 + 1e-12)
    assert exact - size_e6 <= min(traded, depth + lots) * (1 + 1e-9)


OPERATIONS = st.one_of(
    st.tuples(st.just("bbo"), st.integers(95, 105), st.integers(-1, 4), st.integers(0, 50)),
    st.tuples(st.just("trade"), st.sampled_from([BUY, SELL]), st.integers(93, 108), st.integers(1, 80)),
    st.tuples(st.just("context"), st.integers(-(10**10), 10**10), st.integers(1, 200), st.just(0)),
    st.tuples(st.just("clear"), st.just(0), st.just(0), st.just(0)),
)
# Most of a tape lies around a full hour.
TAPES = st.lists(st.tuples(st.sampled_from([0, 1, 400, 1_000, 10_000, 30_000]), OPERATIONS), min_size=1, max_size=40)


def taped(operations: list[tuple[int, tuple[Any, ...]]]) -> Tape:
    tape, at_ms = Tape(), 3_550_000
    for after_ms, (kind, first, second, third) in operations:
        at_ms += after_ms
        if kind == "bbo":
            tape.bbo(at_ms, first, first + second, third, third + 1)
        elif kind == "trade":
            tape.trade(at_ms, first, second, third)
        elif kind == "context":
            tape.context(at_ms, first, second)
        else:
            at_ms += 1
            tape.clear(at_ms)
    return tape


@settings(max_examples=60)
@given(TAPES, st.lists(st.integers(0, 100), max_size=6), st.sampled_from([1, 1_000, 50_000]))
def test_streamed_in_any_pieces_it_is_what_one_does_by_hand(
    operations: list[tuple[int, tuple[Any, ...]]], cuts: list[int], quote_micro: int
) -> None:
    rows = taped(operations).blocks()
    expected = by_hand(rows, quote_micro)
    found = watched(rows, quote_micro=quote_micro, cuts=tuple(cuts))
    assert sorted(found.blocks) == sorted(expected)
    for key, sums in expected.items():
        np.testing.assert_allclose(found.blocks[key], sums, rtol=1e-12, atol=1e-18)


@settings(max_examples=40)
@given(TAPES)
def test_a_mirrored_market_gives_mirrored_results(operations: list[tuple[int, tuple[Any, ...]]]) -> None:
    """Prices around 100 turned over, buyers for sellers: the same fills, and the same gains in ticks."""
    rows = taped([one for one in operations if one[1][0] != "context"]).blocks()
    mirrored = rows.copy()
    priced = rows["price_ticks"] > 0
    mirrored["price_ticks"][priced] = 200 - rows["price_ticks"][priced]
    mirrored["side"] = -rows["side"]
    one, other = (total(each, quote_micro=1) for each in (rows, mirrored))
    for columns in (FILLS, SPREAD, MOVED_AT):
        np.testing.assert_allclose(one[:, columns], other[:, columns], rtol=1e-12, atol=1e-18)


@settings(max_examples=30)
@given(st.integers(1, 50), st.integers(1, 9), st.integers(1, 10**6))
def test_a_constant_market_earns_half_its_spread_with_every_fill(fills: int, half: int, quote_micro: int) -> None:
    tape = Tape().bbo(0, 1000 - half, 1000 + half)
    for number in range(fills):
        side = BUY if number % 2 else SELL
        tape.trade(1000 * (number + 1), side, 1000 + side * half, 30).bbo(1000 * (number + 1), 1000 - half, 1000 + half)
    tape.still(1000 * fills + 1000, 1000 * fills + 61_000, 1000 - half, 1000 + half)
    sums = total(tape, quote_micro=quote_micro)
    assert sums[PRO_RATA, FILLS] == fills
    assert sums[PRO_RATA, MOVED_AT] == pytest.approx([sums[PRO_RATA, SPREAD]] * 3)
    lots = sums[PRO_RATA, SPREAD] / half / MICRO
    assert 0 < lots <= 30 * fills


@settings(max_examples=20)
@given(TAPES, st.integers(1, 500))
def test_nothing_later_than_a_minute_changes_what_a_fill_made(
    operations: list[tuple[int, tuple[Any, ...]]], price: int
) -> None:
    tape = taped(operations)
    end_ms = int((tape.blocks()["ts_exch_ns"][-1] - START_NS) // 1_000_000)
    tape.still(end_ms + 1, end_ms + 60_001, 90, 95)
    before = watched(tape)
    after = watched(tape.still(end_ms + 60_002, end_ms + 200_000, price, price + 7))
    assert sorted(before.blocks) == sorted(after.blocks)
    for key, sums in before.blocks.items():
        np.testing.assert_array_equal(after.blocks[key], sums)


def test_blocks_are_five_minutes() -> None:
    assert BLOCK_NS == 300 * SECOND
    tape = Tape().still(0, 400_000, 100, 102).trade(1, BUY, 103, 1).trade(299_999, BUY, 103, 1)
    found = watched(tape.trade(300_000, BUY, 103, 1))
    assert found.sums()[:, LAST, FILLS].tolist() == [2, 1]
