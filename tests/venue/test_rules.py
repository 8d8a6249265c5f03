"""The two rule sets, number by number, and the limit on open orders."""

from __future__ import annotations

import pytest

from hlhft.units import MICRO
from hlhft.venue import rules
from hlhft.venue.queue import QueueModel


def values(record) -> dict[str, float]:
    return {name: record[name].item() for name in record.dtype.names}


def test_hyperliquid_is_the_venue_reference():
    record = rules.hyperliquid()
    assert record.shape == (1,)
    assert values(record[0]) == {
        "enforce_validation": 1,
        "minimum_notional_micro": 10 * MICRO,
        "band_e6": 950_000,
        "value_max_leverage_25_micro": 30_000_000 * MICRO,
        "value_max_leverage_20_micro": 5_000_000 * MICRO,
        "value_max_leverage_10_micro": 2_000_000 * MICRO,
        "value_max_leverage_1_micro": 500_000 * MICRO,
        "limit_value_factor": 10,
        "open_orders_max": 1000,
        "open_orders_reduce_only_max": 1000,
        "enforce_margin": 1,
        "trigger_slippage_e6": 100_000,
        "twap_interval_ns": 30 * 10**9,
        "twap_slippage_e6": 30_000,
        "twap_catch_up": 3,
        "twap_random_e6": 200_000,
        "twap_ns_min": 300 * 10**9,
        "twap_ns_max": 86_400 * 10**9,
        "schedule_ahead_ns_min": 5 * 10**9,
        "schedule_volume_micro_min": 1_000_000 * MICRO,
        "schedule_firings_max": 10,
        "priority_window_ns": 400 * 10**6,
        "queue_model": QueueModel.POWER,
        "queue_power": 2.0,
        "partial_fills": 1,
        "taker_fills_at_touch": 0,
        "alo_jumper_share_e6": 0,
        "block_ns": 78_000_000,
        "block_deviation_ns": 30_000_000,
        "block_ns_min": 1_000_000,
        "block_ns_max": 215_000_000,
    }


def test_hftbacktest_refuses_nothing_and_fills_whole():
    record = rules.hftbacktest()
    assert record.shape == (1,)
    set_on = {name: value for name, value in values(record[0]).items() if value != 0}
    assert set_on == {"queue_power": 1.0, "taker_fills_at_touch": 1}
    assert record[0]["queue_model"] == QueueModel.RISK_AVERSE


@pytest.mark.parametrize("make", [rules.hyperliquid, rules.hftbacktest])
def test_each_caller_has_its_own(make):
    mine = make()
    mine["minimum_notional_micro"] = 123
    assert make()["minimum_notional_micro"] != 123
