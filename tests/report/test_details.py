"""The tables of a scenario: what is there is told, in whole rows, and what is not there makes no table."""

from __future__ import annotations

from dataclasses import replace

from hlhft.report import details
from hlhft.report.attribution import HOUR_NS, Parts
from hlhft.report.details import by_day
from hlhft.report.fill_rates import FillBand, FillRates
from hlhft.report.grid import Grid
from hlhft.report.latencies import Latency
from hlhft.report.numbers import DASH
from tests.report import sample_run
from tests.report.histories import PERPETUAL, SECOND, History, scenario, traded

BAND = FillBand(
    label="at the touch", orders=1200, filled=30, share=0.025, low=0.0175, high=0.0356, wait_ns_median=2 * SECOND,
    markout_bp=-0.5, markout_error_bp=None,
)  # fmt: skip
NEVER = replace(BAND, label="better than the touch", filled=0, share=0.0, low=0.0, wait_ns_median=None, markout_bp=None)


def by_title(grids: tuple[Grid, ...]) -> dict[str, Grid]:
    return {one.title: one for one in grids}


def test_nothing_makes_no_table() -> None:
    assert details.details(scenario(History([PERPETUAL]))) == ()


def test_what_fills_were_worth_and_what_was_taken_back() -> None:
    made = History([PERPETUAL])
    made.fill(1, 100, 1, mid=202, reason=2)
    made.record()
    one = scenario(made)
    means = {0.0: 100.0, 10.0: 25.0}
    points = tuple(
        replace(point, mean_bp=means.get(point.horizon_s, 50.0), error_bp=None if point.horizon_s == 1.0 else 5.0)
        for point in one.markouts
    )
    found = by_title(details.details(replace(one, markouts=points)))["Adverse selection, bp of the value"]
    assert [row[0] for row in found.rows] == ["all", "buys", "traded through"]
    assert found.rows[0] == ("all", "1", "+100.00 ± 5.00", "too few", "+25.00 ± 5.00", "75 %")


def test_nothing_that_was_captured_is_taken_back() -> None:
    made = History([PERPETUAL])
    made.fill(1, 100, 1, mid=200)
    made.fill(1, 100, 1, mid=0)
    made.record()
    found = by_title(details.details(scenario(made)))["Adverse selection, bp of the value"]
    assert {row[-1] for row in found.rows} == {DASH}


def test_which_orders_filled() -> None:
    rates = FillRates(orders=1200, filled=30, is_cut=True, by_distance=(NEVER, BAND), by_queue=())
    found = by_title(details.details(replace(scenario(History([PERPETUAL])), fill_rates=rates)))
    (only,) = found.values()
    assert only.rows == (
        ("better than the touch", "1,200", "0", "0.0 %", "0.0 % to 3.6 %", DASH, DASH),
        ("at the touch", "1,200", "30", "2.5 %", "1.8 % to 3.6 %", "2 s", "too few"),
    )
    assert only.note.endswith("These are the first 1,200 orders.")
    rates = replace(rates, is_cut=False, by_queue=(BAND,))
    found = by_title(details.details(replace(scenario(History([PERPETUAL])), fill_rates=rates)))
    assert list(found) == [
        "Which orders filled, by distance from the touch",
        "Which orders filled, by the queue that they joined",
    ]
    assert "the first" not in found["Which orders filled, by distance from the touch"].note


def test_the_money_by_side_market_hour_and_strategy() -> None:
    one = scenario(traded(6))
    found = by_title(details.details(replace(one, by_strategy={"glft": one.split.parts})))
    sides = found["By side and market, USDC"]
    assert sides.heads == ("fills", "profit", "spread captured", "inventory")
    assert [row[0] for row in sides.rows] == ["buys", "sells", "BTC"]
    assert sides.rows[2] == ("BTC", "+6.00", "+6.00", "0.00")
    assert found["By strategy, USDC"].rows == (("glft", "+6.00", "+6.00"),)
    assert found["By hour, USDC"].rows == (("2023-11-14 22:00", "+6.00", "+6.00"),)


def test_many_hours_are_told_by_day_and_many_days_in_part() -> None:
    made, hours = traded(6), {HOUR_NS * hour: Parts(spread=hour) for hour in range(details.HOURS_MAX + 1)}
    days = by_day(hours)
    assert list(days) == [0, details.DAY_NS, 2 * details.DAY_NS, 3 * details.DAY_NS]
    assert days[0].spread == sum(range(24)) and sum(one.spread for one in days.values()) == sum(range(73))
    one = scenario(made)
    longer = replace(one, split=replace(one.split, by_hour=hours))
    assert [row[0] for row in by_title(details.details(longer))["By day, USDC"].rows] == [
        "1970-01-01", "1970-01-02", "1970-01-03", "1970-01-04",
    ]  # fmt: skip
    ages = {details.DAY_NS * day: Parts() for day in range(details.DAYS_MAX + 1)}
    cut = by_title(details.details(replace(one, split=replace(one.split, by_hour=ages))))["By day, USDC"]
    assert (len(cut.rows), cut.rows[0][0]) == (details.DAYS_MAX, "1970-01-02")
    assert "The newest 400 days." in cut.note


def test_how_long_things_took() -> None:
    took = Latency(name="the feed", count=1000, p50_ns=200_000, p90_ns=1_000_000, p99_ns=2_000_000, max_ns=3 * SECOND)
    (only,) = details.details(scenario(History([PERPETUAL])), [took])
    assert only.rows == (("the feed", "1,000", "0.2 ms", "1 ms", "2 ms", "3 s"),)


def test_a_real_run_has_all_its_tables() -> None:
    for one in sample_run.results().scenarios:
        assert list(by_title(details.details(one))) == [
            "Adverse selection, bp of the value",
            "Which orders filled, by distance from the touch",
            "Which orders filled, by the queue that they joined",
            "By side and market, USDC",
            "By strategy, USDC",
            "By hour, USDC",
        ]
