"""Charts hold a bounded number of points, keep extremes, and leave out what says nothing."""

from __future__ import annotations

import json
from dataclasses import replace

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.report import plots
from hlhft.report.attribution import HOUR_NS
from hlhft.report.details import HOURS_MAX
from hlhft.report.fill_rates import FillBand
from hlhft.report.markouts import Markout
from hlhft.units import Market
from tests.report import sample_run
from tests.report.histories import FINE, PERPETUAL, SECOND, History, scenario, traded


def traces(figure: dict) -> dict[str, dict]:
    return {trace["name"]: trace for trace in figure["data"]}


@settings(max_examples=40)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=400), st.integers(4, 50))
def test_thinning_is_bounded_and_keeps_ends_and_extremes(values: list[float], points: int) -> None:
    array = np.array(values)
    places = plots.thinned(array, points)
    assert len(places) <= max(points, 4)
    assert (np.diff(places) > 0).all()
    assert (places[0], places[-1]) == (0, len(values) - 1)
    assert array[places].min() == array.min() and array[places].max() == array.max()


def test_nothing_thins_to_nothing() -> None:
    assert plots.thinned(np.zeros(0)).tolist() == []


def test_profit_and_the_parts_that_there_are() -> None:
    one = scenario(traded(6))
    found = traces(plots.equity_figure(one))
    assert list(found) == ["spread captured", "inventory", "profit"]  # no fees, no funding
    assert found["profit"]["y"] == [0.0, 0.0, 6.0]
    assert found["spread captured"]["y"][-1] == 6.0
    assert found["profit"]["x"][1] - found["profit"]["x"][0] == 300_000
    assert found["profit"]["line"]["color"] == plots.INK


def test_the_mid_is_drawn_where_it_is_known_and_fills_at_their_price() -> None:
    made = History([PERPETUAL])
    made.record()
    made.wait(SECOND)
    made.fill(1, 500_000, 100, mid=0)
    made.quote(0, 500_000, 500_010)
    made.record()
    found = traces(plots.price_figure(scenario(made), 0))
    assert found["mid"]["y"][-1] == 50_000.5
    assert found["buys"]["y"] == [50_000.0]
    assert found["buys"]["text"] == ["0.001, queue reached"]
    assert found["sells"]["y"] == []


def test_many_fills_are_drawn_in_part_and_it_is_said() -> None:
    made = History([PERPETUAL])
    for _ in range(plots.MARKERS_MAX + 5):
        made.fill(-1, 500_000, 1, mid=1_000_000)
    made.quote(0, 500_000, 500_010)
    made.record()
    found = traces(plots.price_figure(scenario(made), 0))
    assert len(found["sells (800 of 805 shown)"]["x"]) == plots.MARKERS_MAX


def test_inventory_is_one_filled_line_or_one_a_market() -> None:
    (only,) = plots.inventory_figure(scenario(traded(6)))["data"]
    assert (only["name"], only["fill"], only["line"]["shape"]) == ("BTC", "tozeroy", "hv")
    assert max(only["y"]) > 0.0
    made = History([PERPETUAL, FINE])
    made.record()
    several = plots.inventory_figure(scenario(made))["data"]
    assert [trace["name"] for trace in several] == ["BTC", "FINE"]
    assert "fill" not in several[0] and several[0]["line"]["color"] != several[1]["line"]["color"]


def test_the_most_traded_markets_are_charted() -> None:
    markets = [Market.perpetual(f"M{index}", asset_id=index, size_decimals=2) for index in range(plots.MARKETS_MAX + 2)]
    made = History(markets)
    for index in range(2, len(markets)):
        made.fill(1, 100, 100 + index, market=index, mid=200)
    made.record()
    one = scenario(made)
    assert plots.charted_markets(one) == list(range(2, len(markets)))
    assert len(plots.inventory_figure(one)["data"]) == plots.MARKETS_MAX
    assert plots.charted_markets(one, most_traded_first=True) == list(range(len(markets) - 1, 1, -1))
    assert plots.figures([one])[0]["prices"][0]["market"] == "M9"


def test_markouts_without_a_band_are_not_drawn() -> None:
    known = Markout(group="all", horizon_s=1.0, fills=9, mean_bp=0.5, error_bp=0.1, blocks=6, band_bp=0.2)
    unknown = Markout(group="all", horizon_s=60.0, fills=2, mean_bp=-90.0, error_bp=None, blocks=1, band_bp=None)
    reason = Markout(group="crossed", horizon_s=1.0, fills=9, mean_bp=0.0, error_bp=0.0, blocks=9, band_bp=0.0)
    lone = Markout(group="taker", horizon_s=1.0, fills=1, mean_bp=0.0, error_bp=None, blocks=1, band_bp=None)
    one = replace(scenario(traded(6)), markouts=(known, unknown, reason, lone))
    found = traces(plots.markout_figure(one))
    assert set(found) == {"all", "crossed"}
    assert (found["all"]["x"], found["all"]["y"], found["all"]["error_y"]["array"]) == (["1 s"], [0.5], [0.2])
    assert (found["all"]["visible"], found["crossed"]["visible"]) == (True, "legendonly")


def test_drawdown_is_from_the_highest_so_far_and_begins_with_the_capital() -> None:
    made = History([PERPETUAL])
    for mark in (1_000_000, 990_000, 1_020_000, 1_010_000):
        made.quote(0, mark - 1, mark + 1)
        if not made.samples:
            made.fill(1, mark, 100, mid=2 * mark)
        made.record()
        made.wait(SECOND)
    (line,) = plots.drawdown_figure(scenario(made))["data"]
    assert line["y"] == [0.0, -1.0, 0.0, -1.0]
    assert plots.drawdown_figure(scenario(History([PERPETUAL])))["data"][0]["y"] == []


def test_hours_are_bars_of_their_parts_and_a_single_one_is_none() -> None:
    assert plots.spans_figure(scenario(traded(6)))["data"] == []
    one = scenario(traded(6))
    hours = {hour * HOUR_NS: one.split.parts for hour in range(2)}
    found = plots.spans_figure(replace(one, split=replace(one.split, by_hour=hours)))
    assert found["layout"]["barmode"] == "relative"
    assert {trace["name"]: trace["y"] for trace in found["data"]} == {
        "spread captured": [6.0, 6.0],
        "profit": [6.0, 6.0],
    }
    assert found["data"][0]["x"] == [0, 3_600_000]
    many = {hour * HOUR_NS: one.split.parts for hour in range(HOURS_MAX + 1)}
    daily = plots.spans_figure(replace(one, split=replace(one.split, by_hour=many)))
    assert traces(daily)["profit"]["y"] == [144.0, 144.0, 144.0, 6.0]


def test_fill_rates_have_their_band_on_either_side() -> None:
    band = FillBand(
        label="at the touch", orders=40, filled=10, share=0.25, low=0.2, high=0.4, wait_ns_median=None,
        markout_bp=None, markout_error_bp=None,
    )  # fmt: skip
    (trace,) = plots.fill_rate_figure([band, replace(band, orders=plots.ORDERS_MIN - 1)])["data"]
    assert (trace["x"], trace["y"], trace["text"]) == ([25.0], ["at the touch"], ["10 of 40 orders"])
    assert (trace["error_x"]["array"], trace["error_x"]["arrayminus"]) == ([15.0], [5.0])
    assert plots.fill_rate_figure([])["data"][0]["x"] == []


def test_what_has_nothing_to_draw_is_not_drawn() -> None:
    (drawn,) = plots.figures([scenario(History([PERPETUAL]))])
    assert {name for name, figure in drawn.items() if figure is None} == {
        "equity", "inventory", "drawdown", "spans", "markouts", "distance", "queue", "comparison",
    }  # fmt: skip


def test_a_real_run_is_bounded_and_plain() -> None:
    found = plots.figures(sample_run.results().scenarios)
    text = msgspec.json.encode(found)
    assert json.loads(text) == found
    for one in found:
        for figure in (*(figure for figure in one.values() if isinstance(figure, dict)), *one["prices"]):
            assert figure["data"]
            assert all(len(trace["x"]) == len(trace["y"]) <= plots.POINTS_MAX for trace in figure["data"])
    assert len(text) < 2_000_000
