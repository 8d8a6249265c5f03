"""Settings become the core's whole numbers exactly, each limit once, and the venue's and the mission's figures hold."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.backtest.replay import ReplayPlan
from hlhft.config import settings
from hlhft.config.settings import (
    Config,
    Limits,
    Risk,
    Shares,
    exact,
    fields,
    limit_values,
    mission_limits,
    sections,
    whole,
)
from hlhft.core.state import LIMITS_DTYPE
from hlhft.data.profiles import PROFILES
from hlhft.hyperliquid import cloids
from hlhft.strategies import BUILT_IN, DEFAULT
from hlhft.venue import rules

# What a run, its strategy or the kind of recording decides.
NOT_SET_BY_LIMITS = {
    "address_enforced", "features", "interval_ns", "decide_on_frame", "decide_on_fill", "markets", "spot_held_only",
}  # fmt: skip


def test_every_limit_of_the_core_is_set_by_one_setting() -> None:
    named = [field.extra["limit"] for field in fields() if "limit" in field.extra]
    assert len(named) == len(set(named))
    assert set(named) == set(LIMITS_DTYPE.names or ()) - NOT_SET_BY_LIMITS


def test_the_defaults_in_whole_units() -> None:
    values = limit_values(Config())
    assert values["tick_to_trade_ns_max"] == 150_000_000
    assert values["drawdown_e6_max"] == 30_000
    assert values["position_notional_micro_max"] == 20_000_000_000
    assert values["exposure_micro_max"] == 40_000_000_000
    assert values["order_notional_micro_max"] == 5_000_000_000
    assert values["price_band_e6"] == 50_000
    assert values["margin_distance_e6_min"] == 500_000
    assert values["feed_age_ns_max"] == 30_000_000_000
    assert values["rejections_max"] == 100
    assert values["batch_window_ns"] == 2_000_000
    assert values["open_orders_max"] == 1000
    assert values["expires_after_ns"] == 3_000_000_000
    assert whole(Config(), "backtest.capital_usdc") == 10_000_000_000
    assert whole(Config(), "backtest.record_interval_ms") == 1_000_000_000
    assert whole(Config(), "limits.address_actions") == 10_000


def test_the_engine_gets_its_share_of_what_the_ip_may() -> None:
    values = limit_values(Config())  # 80 percent of 1200, 2000 and 100
    assert (values["ip_weight_per_minute"], values["messages_per_minute"]) == (960, 1600)
    assert values["posts_in_flight_max"] == 80
    assert values["address_reserve"] == 1000, "the address is the engine's alone"
    narrow = Limits(posts_in_flight_max=3, share=Shares(engine_percent=33))
    assert limit_values(Config(limits=narrow))["posts_in_flight_max"] == 1, "rounded down, and never to nothing"
    assert limit_values(Config(limits=narrow))["ip_weight_per_minute"] == 396


def test_the_mission_bounds_are_bounds_of_their_settings() -> None:
    assert mission_limits() == {"tick_to_trade_ns_max": 150_000_000, "drawdown_e6_max": 30_000}
    for wrong in ({"tick_to_trade_ms_max": 150.001}, {"drawdown_share_max": 0.030001}, {"drawdown_share_max": 0}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(wrong, Risk)
    assert limit_values(Config(risk=Risk(drawdown_share_max=0.01)))["drawdown_e6_max"] == 10_000
    for risk in (Risk(tick_to_trade_ms_max=150.1), Risk(drawdown_share_max=0.05), Risk(drawdown_share_max=0)):
        with pytest.raises(ValueError, match="is the mission's and can be tightened, never loosened: at most"):
            limit_values(Config(risk=risk))


def test_the_venue_has_one_figure_everywhere() -> None:
    assert settings.OPEN_ORDERS == rules.OPEN_ORDERS_BASE
    assert settings.OPEN_ORDERS_LIMIT == rules.OPEN_ORDERS_LIMIT
    assert ReplayPlan.address_actions == settings.ADDRESS_ACTIONS
    by_path = {field.path: field for field in fields()}
    profiles = ", ".join(f'"{name}"' for name in sorted({"auto", *PROFILES}))
    assert by_path["backtest.feed_profile"].expected == f"one of {profiles}"
    assert by_path["strategy.name"].default == DEFAULT
    assert by_path["account.owner"].meta.le == cloids.OWNER_MAX
    assert all(name in by_path["strategy.name"].meta.description for name in BUILT_IN)  # type: ignore[operator]


def test_fields_and_sections_are_in_order_and_complete() -> None:
    assert [path for path, _ in sections()] == [
        "strategy", "strategy.fitted", "risk", "limits", "limits.share", "batch", "data", "backtest", "account",
        "engine", "market_data", "gateway", "journal", "watchdog", "alpha", "recorder", "metrics", "log",
    ]  # fmt: skip
    paths = [field.path for field in fields()]
    assert len(paths) == len(set(paths)) == sum(1 for _ in fields())
    assert (
        paths.index("limits.address_reserve")
        < paths.index("limits.share.engine_percent")
        < paths.index("batch.window_ms")
    )
    for field in fields():
        assert field.meta.description, field.path
        assert field.of(Config()) == field.default, field.path


def test_what_a_value_may_be_is_said_in_words() -> None:
    said = {field.path: field.expected for field in fields()}
    assert said["risk.tick_to_trade_ms_max"] == "a number above 0, at most 150"
    assert said["risk.rejections_max"] == "a whole number from 0 to 1000000"
    assert said["strategy.name"] == "a text"
    assert said["strategy.interval_ms"] == "a number from 0 to 3600000"
    assert said["strategy.params"] == "a table whose every value is a number"
    assert said["backtest.rules"] == 'one of "hftbacktest", "hyperliquid"'
    assert said["backtest.budgets_enforced"] == "true or false"
    assert said["engine.coins"] == "a list whose every item is a text"
    assert said["account.address"] == "a text, an address of 0x and 40 hex digits or nothing"


@given(st.integers(0, 10**15), st.sampled_from([1, 1000, 1_000_000, 10**12]))
def test_a_number_becomes_the_whole_number_that_it_is_written_as(units: int, scale: int) -> None:
    written = Decimal(units) / scale
    value = float(written)
    if Decimal(repr(value)) == written:  # fewer digits than a float holds
        assert exact(value, scale) == units
    assert exact(units, scale) == units * scale


def test_a_number_finer_than_the_unit_is_refused() -> None:
    assert exact(0.03, 1_000_000) == 30_000
    assert exact(0.29, 100) == 29, "in floats, 0.29 x 100 is 28.999999999999996"
    with pytest.raises(ValueError, match=r"^1\.5e-06 is finer than 0\.000001$"):
        exact(1.5e-06, 1_000_000)


def test_largest_settings_fit_64_bits_in_a_spot_market() -> None:
    """The gate multiplies a cap by the market's denominator, 100 where price and size share eight decimals."""
    for field in fields():
        largest = getattr(field.meta, "le", None)
        if largest is not None and "limit" in field.extra:
            assert exact(largest, field.extra.get("scale", 1)) * 100 < 2**63, field.path


def test_settings_hold_neither_numba_nor_the_core(repository: Path) -> None:
    """The watchdog reads settings and must run without either."""
    script = (
        "import sys, hlhft.config.show, hlhft.log\n"
        "found = [name for name in sys.modules if name == 'numba' or name.startswith('hlhft.core')]\n"
        "sys.exit(', '.join(found) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=repository, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
