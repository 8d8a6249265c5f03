"""The rows that one watches answer the questions of a glance, with the limits that the settings have."""

from __future__ import annotations

from hlhft.config.settings import Config
from hlhft.monitor.board_trading import LATENCY, MONEY, ORDERS, OVERVIEW, limit
from hlhft.monitor.metrics import METRICS, Kind, Source
from hlhft.monitor.panels import Colour, Panel, Row, Step, View
from hlhft.monitor.selectors import selectors


def panel(row: Row, title: str) -> Panel:
    return next(each for each in row.panels if each.title == title)


def names(*panels: Panel) -> set[str]:
    return {selector.name for each in panels for query in each.queries for selector in selectors(query.expression)}


def test_a_limit_is_bad_from_its_value_on() -> None:
    assert limit(3) == (Step(None, Colour.GOOD), Step(3, Colour.BAD))


def test_a_glance_tells_stage_breakers_money_inventory_budgets_and_uptime() -> None:
    assert {
        "hlhft_stage",
        "hlhft_breaker_tripped",
        "hlhft_process_up",
        "hlhft_quoting_seconds_total",
        "hlhft_equity_usdc",
        "hlhft_profit_usdc",
        "hlhft_profit_total_usdc",
        "hlhft_drawdown_ratio",
        "hlhft_inventory_skew_percent",
        "hlhft_budget_ratio",
        "hlhft_tick_to_trade_seconds_bucket",
        "hlhft_unknown_orders",
    } <= names(*OVERVIEW.panels)


def test_inventory_is_a_gauge_from_short_to_long_and_alike_on_both_sides() -> None:
    inventory = panel(OVERVIEW, "Inventory")
    assert (inventory.view, inventory.minimum, inventory.maximum) == (View.GAUGE, -100, 100)
    colours = [step.colour for step in inventory.steps]
    bounds = [step.value for step in inventory.steps if step.value is not None]
    assert colours == colours[::-1]
    assert bounds == [-bound for bound in reversed(bounds)]


def test_limits_are_the_settings() -> None:
    risk = Config().risk
    assert panel(OVERVIEW, "Tick to trade").steps[-1] == Step(risk.tick_to_trade_ms_max / 1000, Colour.BAD)
    assert panel(OVERVIEW, "Drawdown").steps[-1] == Step(risk.drawdown_share_max, Colour.BAD)
    assert panel(OVERVIEW, "Drawdown").maximum == risk.drawdown_share_max
    assert panel(ORDERS, "Age of the oldest unknown order").steps[-1] == Step(60, Colour.BAD)


def test_every_time_of_the_engine_has_a_heat_map_of_its_buckets() -> None:
    shown = {each for each in LATENCY.panels if each.view is View.HEATMAP}
    assert names(*shown) == {
        f"hlhft_{name}_seconds_bucket"
        for name in ("tick_to_trade", "acknowledgement", "feed_latency", "step", "loop_lateness")
    }
    elsewhere = {"hlhft_journal_sync_seconds_bucket", "hlhft_signal_data_age_seconds_bucket"}
    histograms = {m.name for m in METRICS if m.kind is Kind.HISTOGRAM and m.source is Source.ENGINE}
    assert names(*shown) | elsewhere == {f"{name}_bucket" for name in histograms}


def test_a_limit_with_a_metric_of_its_own_is_drawn_beside_what_it_limits() -> None:
    for row, title, limited, limiting in (
        (MONEY, "Drawdown and its limit", "hlhft_drawdown_ratio", "hlhft_drawdown_limit_ratio"),
        (MONEY, "Positions and their limits", "hlhft_position_usdc", "hlhft_position_limit_usdc"),
        (MONEY, "Exposure and its limit", "hlhft_exposure_usdc", "hlhft_exposure_limit_usdc"),
        (ORDERS, "Budgets", "hlhft_budget_ratio", "hlhft_budget_reserve_ratio"),
        (ORDERS, "Budgets in numbers", "hlhft_budget_used", "hlhft_budget_limit"),
    ):
        assert names(panel(row, title)) == {limited, limiting}


def test_tables_are_turned_by_labels_that_their_query_keeps() -> None:
    tables = [each for row in (MONEY, ORDERS) for each in row.panels if each.view is View.TABLE]
    assert len(tables) == 3
    for each in tables:
        (query,) = each.queries
        assert f"sum by ({each.rows}, {each.columns})" in query.expression
        assert each.is_instant
