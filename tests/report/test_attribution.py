"""The parts of a profit sum to the change in equity, and a record that is lost, doubled, turned, altered or late leaves
just its own worth."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.report.attribution import HOUR_NS, PART_NAMES, Attribution, Parts, attribute
from tests.report import sample_run
from tests.report.histories import FINE, PERPETUAL, SECOND, SPOT, History

MARKETS = (PERPETUAL, SPOT, FINE)
MICRO = 1_000_000

market = st.integers(0, len(MARKETS) - 1)
ticks = st.integers(2, 2**31 - 2)
lots = st.integers(1, 2**26)  # thirty fills of these fit the cash that is booked in 64 bits
fee = st.integers(-(10**9), 10**9)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("fill"), market, st.sampled_from([1, -1]), ticks, lots, fee, st.one_of(st.just(0), ticks)),
        st.tuples(st.just("fund"), market, st.integers(-(10**9), 10**9)),
        st.tuples(st.just("quote"), market, ticks, st.integers(0, 1000), ticks),
        st.tuples(st.just("record")),
        st.tuples(st.just("wait"), st.integers(0, 2 * HOUR_NS)),
    ),
    max_size=30,
)


def history(chosen: list[tuple]) -> History:
    """A history of these steps, ending with a record of every market at a known mark."""
    made = History(MARKETS)
    for name, *values in chosen:
        if name == "fill":
            place, side, price, size, charged, mid = values
            made.fill(side, price, size, market=place, fee=charged, mid=mid)
        elif name == "fund":
            made.wait(1)  # in a replay, payments come before the record of their instant
            made.fund(values[1], market=values[0])
        elif name == "quote":
            place, bid, gap, mark = values
            made.quote(place, bid, bid + gap, mark)
        elif name == "record":
            made.record()
        else:
            made.wait(values[0])
    made.wait(1)
    for place in range(len(MARKETS)):
        made.quote(place, 50_000, 50_002, 50_003)
    made.record()
    return made


def equity(made: History) -> Fraction:
    """The change in equity in USDC, from what was booked."""
    total = Fraction(0)
    for one, book in zip(made.markets, made.books, strict=True):
        unit = Fraction(1, 10 ** (one.price_decimals + one.size_decimals))
        total += (book.cash + book.lots * book.mark) * unit
        total += Fraction(book.funding - book.fee, MICRO)
    return total


def usdc(split: Attribution, grains: int) -> Fraction:
    return Fraction(grains, split.grains_per_micro * MICRO)


def worth(row: np.void, *, mark: int = 50_003) -> Fraction:
    """What a record of the log adds to equity by the end, in USDC."""
    one = MARKETS[int(row["market"])]
    if row["kind"] == 50:
        return Fraction(int(row["aux0"]), MICRO)
    unit = Fraction(1, 10 ** (one.price_decimals + one.size_decimals))
    gained = int(row["side"]) * int(row["size_lots"]) * (mark - int(row["price_ticks"])) * unit
    return gained - Fraction(int(row["aux1"]), MICRO)


@settings(max_examples=60)
@given(steps)
def test_the_identity_closes_at_every_record(chosen: list[tuple]) -> None:
    made = history(chosen)
    split = attribute(MARKETS, made.log, made.records)
    assert (split.residual, split.residual_largest) == (0, 0)
    assert split.parts.total == split.equity_change
    assert usdc(split, split.equity_change) == equity(made)
    assert split.parts.fees <= 0 <= split.parts.rebates
    by_side = split.by_side["buy"] + split.by_side["sell"]
    assert by_side.values()[:5] == split.parts.values()[:5]
    assert by_side.funding == 0
    assert sum(split.by_hour.values(), Parts()) == split.parts
    assert all(one.residual == 0 for one in split.markets)


@settings(max_examples=60)
@given(steps.filter(lambda chosen: any(step[0] in ("fill", "fund") for step in chosen)), st.data())
def test_a_record_lost_doubled_turned_or_altered_leaves_its_own_worth(chosen: list[tuple], data: st.DataObject) -> None:
    made = history(chosen)
    log = made.log
    place = data.draw(st.integers(0, len(log) - 1))
    row = log[place]

    def residual(changed: np.ndarray) -> Fraction:
        split = attribute(MARKETS, changed, made.records)
        return usdc(split, split.residual)

    assert residual(np.delete(log, place)) == worth(row)
    assert residual(np.insert(log, place, row)) == -worth(row)
    turned = log.copy()
    for name in ("side", "aux0"):
        turned[name][place] *= -1
    assert residual(turned) == worth(row) - worth(turned[place])
    altered = log.copy()
    altered["aux1" if row["kind"] == 18 else "aux0"][place] += 7
    assert residual(altered) == worth(row) - worth(altered[place]) != 0


def test_a_record_that_comes_late_shows_at_the_records_it_missed() -> None:
    made = History([PERPETUAL])
    made.quote(0, 99, 101, 100)
    made.record()
    made.wait(SECOND)
    made.fill(1, 90, 4, fee=3, mid=200)
    made.wait(SECOND)
    made.record()
    made.wait(2 * SECOND)
    made.record()
    log = made.log
    log["ts_local_ns"] += 2 * SECOND
    split = attribute([PERPETUAL], log, made.records)
    assert split.residual == 0
    # At the second record equity has 4 lots bought at 90 and worth 100, less the fee, and the log does not yet.
    assert usdc(split, split.residual_largest) == Fraction(4 * 10 - 3, MICRO)


def test_a_fill_at_the_instant_of_a_record_comes_where_the_record_counts_it() -> None:
    made = History([PERPETUAL])
    made.quote(0, 99, 101, 100)
    made.fill(1, 98, 3, mid=200)
    made.record()
    made.fill(1, 97, 5, mid=200)
    made.fund(-9)
    made.wait(1)
    made.record()
    split = attribute([PERPETUAL], made.log, made.records)
    assert split.residual_largest == 0
    assert [usdc(split, int(value)) * MICRO for value in split.markets[0].path.equity] == [6, 6 + 15 - 9]


def test_the_parts_of_a_hand_made_history() -> None:
    """Bought 10 at 100 with the mid at 101, mid then 104, mark 103: spread 10, inventory 30, basis -10, fee 5."""
    made = History([PERPETUAL])
    made.quote(0, 99, 103, 101)
    made.record()
    made.wait(SECOND)
    made.fill(1, 100, 10, fee=5, mid=202)
    made.fund(-2)
    made.wait(SECOND)
    made.quote(0, 103, 105, 103)
    made.record()
    split = attribute([PERPETUAL], made.log, made.records)
    found = {name: usdc(split, value) * MICRO for name, value in zip(PART_NAMES, split.parts.values(), strict=True)}
    assert found == {"spread": 10, "inventory": 30, "basis": -10, "fees": -5, "rebates": 0, "funding": -2}
    assert usdc(split, split.equity_change) * MICRO == 23
    (only,) = split.markets
    assert only.path.ts_ns.tolist() == [made.start_ns, made.start_ns + 2 * SECOND]
    assert only.path.mid_half_ticks.tolist() == [202, 208]
    assert [usdc(split, int(value)) * MICRO for value in only.path.equity] == [0, 23]


def test_a_rebate_is_no_negative_fee() -> None:
    made = History([PERPETUAL])
    made.fill(-1, 100, 10, fee=-4, mid=200)
    made.quote(0, 99, 101, 100)
    made.record()
    split = attribute([PERPETUAL], made.log, made.records)
    assert (split.parts.fees, usdc(split, split.parts.rebates)) == (0, Fraction(4, MICRO))
    assert split.by_side["sell"].rebates == split.parts.rebates


def test_an_unknown_mid_is_the_last_known_one_and_before_that_the_first() -> None:
    made = History([PERPETUAL])
    made.fill(1, 100, 1)
    made.quote(0, 99, 101)
    made.record()
    made.quote(0, 99, 0)
    made.record()
    split = attribute([PERPETUAL], made.log, made.records)
    assert split.markets[0].path.mid_half_ticks.tolist() == [200, 200]
    assert split.parts.spread == 0


def test_without_any_mid_prices_of_fills_stand_for_it() -> None:
    made = History([PERPETUAL])
    made.fill(1, 100, 1)
    made.fill(-1, 103, 1)
    made.record()
    split = attribute([PERPETUAL], made.log, made.records)
    assert usdc(split, split.parts.inventory) == Fraction(3, MICRO)
    assert split.residual_largest == 0


def test_learning_is_in_order_of_the_log_though_its_times_are_not() -> None:
    made = History([PERPETUAL])
    made.quote(0, 99, 101, 100)
    made.fill(1, 100, 2, mid=200)
    made.fill(-1, 101, 2, mid=200)
    made.wait(SECOND)
    made.record()
    log = made.log
    log["ts_local_ns"][1] -= 5
    assert attribute([PERPETUAL], log, made.records).residual_largest == 0


def test_sums_beyond_64_bits_stay_exact() -> None:
    made = History([FINE])
    made.fill(1, 2**31 - 1, 2**31, mid=2**31)
    made.quote(0, 2**30, 2**30, 2**30)
    made.record()
    split = attribute([FINE], made.log, made.records)
    assert split.markets[0].path.parts.dtype == object
    assert split.residual_largest == 0
    assert usdc(split, split.equity_change) == Fraction(2**31 * (2**30 - 2**31 + 1), 10**13)
    small = attribute(MARKETS, history([]).log, history([]).records)
    assert small.markets[0].path.parts.dtype == np.int64


def test_nothing_splits_into_nothing() -> None:
    made = History(MARKETS)
    split = attribute(MARKETS, made.log, made.records)
    assert (split.parts, split.equity_change, split.residual_largest, split.by_hour) == (Parts(), 0, 0, {})
    assert attribute([], made.log, made.records).parts == Parts()


def test_money_is_written_exactly() -> None:
    made = History([PERPETUAL])
    made.fill(1, 3, 1, mid=5)
    made.quote(0, 2, 3, 3)
    made.record()
    split = attribute([PERPETUAL], made.log, made.records)
    assert split.usdc_text(split.parts.spread) == "-0.0000005"
    assert split.usdc(split.parts.spread) == -5e-7
    spot = attribute([SPOT], np.zeros(0, made.log.dtype), np.zeros(0, made.records.dtype))
    assert spot.usdc_text(spot.grains_per_micro * MICRO) == "1"
    assert spot.usdc_text(1) == "0.000000005"


@pytest.mark.parametrize("number", range(3))
def test_the_parts_of_a_real_run_sum(number: int) -> None:
    run = sample_run.backtest()
    output = run.outputs[number]
    fills = output.fills[output.fills["ts_local_ns"] <= output.records["ts_ns"][-1]]
    assert len(fills) > 0
    split = attribute(run.recording.markets, fills, output.records)
    assert (split.residual, split.residual_largest) == (0, 0)
