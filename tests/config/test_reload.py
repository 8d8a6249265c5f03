"""A running engine takes parameters, tighter limits and log levels, and says of everything else that it did not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.config.reload import reload_of
from hlhft.config.settings import Config, Field, fields

RISK = [field for field in fields() if field.path.startswith("risk.") and not field.path.endswith("window_ms")]


def config(**sections: dict[str, Any]) -> Config:
    return msgspec.convert(sections, Config)


def test_nothing_changed_changes_nothing() -> None:
    assert reload_of(Config(), Config()).applied == reload_of(Config(), Config()).refused == ()


def test_parameters_and_log_levels_are_taken() -> None:
    fresh = config(strategy={"params": {"gamma": 0.5}}, log={"level": "info", "modules": {"hlhft.live": "debug"}})
    done = reload_of(Config(), fresh)
    assert done.config == fresh
    assert (done.applied, done.refused) == (("strategy.params", "log.level", "log.modules"), ())


@pytest.mark.parametrize(
    ("section", "changed", "sentence"),
    [
        ("strategy", {"name": "two_sided"}, "strategy.name: changes with a restart only"),
        ("account", {"address": "0x" + "1" * 40}, "account.address: changes with a restart only"),
        ("engine", {"coins": ["BTC"]}, "engine.coins: changes with a restart only"),
        ("risk", {"rejection_window_ms": 5}, "risk.rejection_window_ms: changes with a restart only"),
        ("risk", {"feed_age_ms_max": 30_001}, "risk.feed_age_ms_max: 30001 would loosen the 30000 in force, which"),
        ("risk", {"order_notional_usdc_max": 0}, "risk.order_notional_usdc_max: 0 would loosen the 5000 in force"),
        ("risk", {"margin_distance_share_min": 0.4}, "risk.margin_distance_share_min: 0.4 would loosen the 0.5 in"),
    ],
)
def test_what_needs_a_restart_is_refused_by_name(section: str, changed: dict[str, Any], sentence: str) -> None:
    done = reload_of(Config(), config(**{section: changed}, log={"level": "error"}))
    assert done.refused[0].startswith(sentence) and len(done.refused) == 1
    assert done.applied == ("log.level",), "the rest is taken all the same"
    assert done.config == config(log={"level": "error"})


def test_a_limit_that_was_off_can_be_set_and_the_mission_s_can_be_tightened() -> None:
    fresh = config(risk={"position_lots_max": 7, "drawdown_share_max": 0.01, "margin_distance_share_min": 0.75})
    done = reload_of(Config(), fresh)
    assert (done.config, done.refused) == (fresh, ())


@given(st.sampled_from(RISK), st.integers(0, 100), st.integers(0, 100))
def test_no_reload_loosens_a_limit(field: Field, before: int, after: int) -> None:
    name = field.path.removeprefix("risk.")
    step = 0.0001 if "share" in name else 1
    least = 0 if field.meta.gt is None else 1

    def limited(steps: int) -> Config:
        return msgspec.convert({"risk": {name: max(steps, least) * step}}, Config)

    now, taken = field.of(limited(before)), field.of(reload_of(limited(before), limited(after)).config)
    if name.endswith("_min"):
        assert taken >= now
    else:
        assert taken == now or 0 < taken < now or now == 0
