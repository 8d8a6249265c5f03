"""How much was traded."""

from __future__ import annotations

from hlhft.exchange.candles import DAY_MS, MINUTE_MS
from hlhft.exchange.volumes import ACCOUNT_DAYS, DayVolumes, MarketDay, date_text

T0 = 1_770_076_800_000  # 2026-02-03 00:00 UTC


def test_a_market_forgets_what_is_older_than_a_day():
    day = MarketDay()
    day.observe(T0, 100, 1000, 10)
    day.observe(T0 + 5, 101, 500, 5)
    day.observe(T0 + DAY_MS, 120, 240, 2)
    assert (day.quanta, day.lots, day.previous_ticks()) == (1740, 17, 100)
    day.observe(T0 + DAY_MS + 2 * MINUTE_MS, 130, 130, 1)
    assert (day.quanta, day.lots, day.previous_ticks()) == (370, 3, 120)


def test_it_forgets_also_while_nothing_is_traded():
    day = MarketDay()
    assert day.previous_ticks() == 0
    day.observe(T0, 100, 1000, 10)
    day.forget(T0 + 3 * DAY_MS)
    assert (day.quanta, day.lots, day.previous_ticks()) == (0, 0, 0)


def test_an_account_is_counted_by_utc_day_and_side():
    volumes = DayVolumes()
    volumes.observe(T0 + 1, 10, taken=True)
    volumes.observe(T0 + 2, 5, taken=False)
    volumes.observe(T0 + DAY_MS, 7, taken=True)
    assert [volumes.on(T0), volumes.on(T0 + DAY_MS), volumes.on(T0 - DAY_MS)] == [(10, 5), (7, 0), (0, 0)]
    assert volumes.total_micro == 22


def test_days_beyond_those_that_fees_need_are_forgotten_but_not_the_total():
    volumes = DayVolumes()
    for day in range(ACCOUNT_DAYS + 3):
        volumes.observe(T0 + day * DAY_MS, 1, taken=True)
    assert volumes.on(T0 + 2 * DAY_MS) == (0, 0)
    assert volumes.on(T0 + 3 * DAY_MS) == (1, 0)
    assert volumes.total_micro == ACCOUNT_DAYS + 3


def test_a_date_is_written_as_the_venue_writes_it():
    assert date_text(T0) == "2026-02-03"
