"""Candles in all intervals."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.exchange.candles import DAY_MS, INTERVAL_MS, MINUTE_MS, Candles, end_of, start_of
from tests.exchange.hall import LISTING

BTC = LISTING.markets[0]
T0 = 1_769_900_400_000  # 2026-01-31 23:00 UTC
ALWAYS = (0, 2**53)


def test_a_minute_is_shown_as_the_venue_shows_it():
    candles = Candles(BTC)
    for ticks, lots in ((1000, 5), (1200, 1), (900, 2), (1100, 3)):
        candles.trade(T0 + 1, ticks, lots)
    assert candles.between("1m", *ALWAYS) == [
        {
            "t": T0,
            "T": T0 + 59_999,
            "s": "BTC",
            "i": "1m",
            "o": "100.0",
            "c": "110.0",
            "h": "120.0",
            "l": "90.0",
            "v": "0.00011",
            "n": 4,
        }
    ]


def test_before_the_first_trade_there_is_none():
    candles = Candles(BTC)
    assert candles.between("1h", *ALWAYS) == []
    assert candles.latest("1m") is None


def test_minutes_add_up_to_hours_and_an_unfinished_hour_is_shown_too():
    candles = Candles(BTC)
    candles.trade(T0, 1000, 1)
    candles.trade(T0 + 30 * MINUTE_MS, 1300, 2)
    candles.trade(T0 + 60 * MINUTE_MS, 1100, 4)
    hours = candles.between("1h", *ALWAYS)
    assert [(hour["t"], hour["o"], hour["h"], hour["c"], hour["v"], hour["n"]) for hour in hours] == [
        (T0, "100.0", "130.0", "130.0", "0.00003", 2),
        (T0 + 60 * MINUTE_MS, "110.0", "110.0", "110.0", "0.00004", 1),
    ]


def test_a_range_takes_those_that_begin_in_it():
    candles = Candles(BTC)
    for minute in range(4):
        candles.trade(T0 + minute * MINUTE_MS, 1000 + minute, 1)
    found = candles.between("1m", T0 + MINUTE_MS, T0 + 2 * MINUTE_MS)
    assert [candle["o"] for candle in found] == ["100.1", "100.2"]


def test_the_oldest_is_forgotten():
    candles = Candles(BTC, candles_max=3)
    for minute in range(10):
        candles.trade(T0 + minute * MINUTE_MS, 1000, 1)
    assert len(candles.between("1m", *ALWAYS)) == 4  # three, and the one that is open


def test_a_month_is_one_of_the_calendar():
    begin = int(datetime(2026, 2, 1, tzinfo=UTC).timestamp()) * 1000
    end = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp()) * 1000
    assert start_of("1M", begin + 5 * DAY_MS) == begin
    assert end_of("1M", begin) == end - 1
    assert end_of("1h", T0) == T0 + 3_599_999


@given(
    st.lists(
        st.tuples(st.integers(0, 400 * MINUTE_MS), st.integers(1, 10**6), st.integers(1, 10**4)),
        min_size=1,
        max_size=40,
    )
)
@pytest.mark.parametrize("interval", ["3m", "1h", "1M"])
def test_every_interval_tells_the_same_trades(interval, trades):
    candles = Candles(BTC)
    trades.sort()
    for after_ms, ticks, lots in trades:
        candles.trade(T0 + after_ms, ticks, lots)
    found = candles.between(interval, *ALWAYS)
    assert sum(int(candle["n"]) for candle in found) == len(trades)  # type: ignore[call-overload]
    assert found[0]["o"] == BTC.market.price_text(trades[0][1]) or "." in str(found[0]["o"])
    assert [candle["t"] for candle in found] == sorted({start_of(interval, T0 + after) for after, _, _ in trades})
    assert float(str(found[-1]["c"])) == trades[-1][1] / 10
    assert max(float(str(candle["h"])) for candle in found) == max(ticks for _, ticks, _ in trades) / 10


def test_all_intervals_of_the_venue_are_there():
    assert list(INTERVAL_MS) == ["1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "8h", "12h", "1d", "3d", "1w", "1M"]
