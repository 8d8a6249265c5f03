"""The rule set of a venue: every number and switch by which one kernel is Hyperliquid or hftbacktest's exchange.

Rules are data, one RULES_DTYPE record, never module globals: a run keeps the bytes it ran under. `hyperliquid()` is
the venue as in venue reference sections 2, 7 and 8; `hftbacktest()` switches off what that simulator does not model.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hlhft.units import MICRO

RULES_DTYPE = np.dtype(
    [
        # What is refused before matching (hlhft.venue.validation).
        ("enforce_validation", np.int64),  # 0: every order is taken as it comes
        ("minimum_notional_micro", np.int64),  # of an order that opens or increases; a market may ask for more
        ("band_e6", np.int64),  # farthest distance from the reference price, share of it in 1e-6; 0 no band
        ("value_max_leverage_25_micro", np.int64),  # largest market order where leverage 25 or more is offered
        ("value_max_leverage_20_micro", np.int64),  # the same for 20 to 24
        ("value_max_leverage_10_micro", np.int64),  # the same for 10 to 19
        ("value_max_leverage_1_micro", np.int64),  # the same below 10
        ("limit_value_factor", np.int64),  # a limit order may be this many times as large as a market order
        ("open_orders_max", np.int64),
        ("open_orders_reduce_only_max", np.int64),  # reduce-only orders are refused from this many open orders on
        ("enforce_margin", np.int64),  # order-level matching checks margin at placement and when a maker is matched
        # Orders that wait, orders in parts, what pays for its place (hlhft.venue.triggers, twap, scheduled_cancel,
        # priority).
        ("trigger_slippage_e6", np.int64),  # how far from its trigger price a market order may execute
        ("twap_interval_ns", np.int64),
        ("twap_slippage_e6", np.int64),  # how far from the middle of the book a part may execute
        ("twap_catch_up", np.int64),  # a part may be this many times the usual one
        ("twap_random_e6", np.int64),  # how far a randomised part may differ from the usual one
        ("twap_ns_min", np.int64),
        ("twap_ns_max", np.int64),
        ("schedule_ahead_ns_min", np.int64),
        ("schedule_volume_micro_min", np.int64),  # traded so far
        ("schedule_firings_max", np.int64),  # a UTC day
        ("priority_window_ns", np.int64),  # orders of a level younger than this give way to those that pay more
        # How own orders meet a recorded market (hlhft.venue.recorded, hlhft.venue.queue).
        ("queue_model", np.int64),  # hlhft.venue.queue.QueueModel
        ("queue_power", np.float64),  # the exponent n of the power family
        ("partial_fills", np.int64),  # 0: an order that is reached fills whole
        ("taker_fills_at_touch", np.int64),  # 1: a taker fills whole at the best price, however little rests there
        ("alo_jumper_share_e6", np.int64),  # share of what joins a young level that goes ahead of us
        # When actions are executed (hlhft.venue.blocks).
        ("block_ns", np.int64),  # mean block spacing; 0: no blocks, every action at once
        ("block_deviation_ns", np.int64),
        ("block_ns_min", np.int64),
        ("block_ns_max", np.int64),
    ]
)

# Venue reference section 7: of an account without volume, and of any; what lies between is not modelled.
OPEN_ORDERS_BASE = 1000
OPEN_ORDERS_LIMIT = 5000

_QUEUE_POWER = 1  # QueueModel.POWER
_QUEUE_RISK_AVERSE = 0  # QueueModel.RISK_AVERSE

_HYPERLIQUID: Mapping[str, float] = {
    "enforce_validation": 1,
    "minimum_notional_micro": 10 * MICRO,
    "band_e6": 950_000,
    "value_max_leverage_25_micro": 30_000_000 * MICRO,
    "value_max_leverage_20_micro": 5_000_000 * MICRO,
    "value_max_leverage_10_micro": 2_000_000 * MICRO,
    "value_max_leverage_1_micro": 500_000 * MICRO,
    "limit_value_factor": 10,
    "open_orders_max": OPEN_ORDERS_BASE,
    "open_orders_reduce_only_max": OPEN_ORDERS_BASE,
    "enforce_margin": 1,
    # Venue reference sections 4.1 to 4.3 and 9; the range of the durations is not in it (unverified).
    "trigger_slippage_e6": 100_000,
    "twap_interval_ns": 30_000_000_000,
    "twap_slippage_e6": 30_000,
    "twap_catch_up": 3,
    "twap_random_e6": 200_000,
    "twap_ns_min": 5 * 60 * 1_000_000_000,
    "twap_ns_max": 24 * 3600 * 1_000_000_000,
    "schedule_ahead_ns_min": 5_000_000_000,
    "schedule_volume_micro_min": 1_000_000 * MICRO,
    "schedule_firings_max": 10,
    "priority_window_ns": 400_000_000,
    "queue_model": _QUEUE_POWER,
    "queue_power": 2.0,
    "partial_fills": 1,
    # No recording shows who paid for priority (venue reference section 9), so nobody is assumed to.
    "alo_jumper_share_e6": 0,
    # Venue reference section 8 and appendix D: mean 78 ms, deviation 30, between 1 and 215.
    "block_ns": 78_000_000,
    "block_deviation_ns": 30_000_000,
    "block_ns_min": 1_000_000,
    "block_ns_max": 215_000_000,
}

_HFTBACKTEST: Mapping[str, float] = {
    "queue_model": _QUEUE_RISK_AVERSE,
    "queue_power": 1.0,
    "taker_fills_at_touch": 1,
}


def hyperliquid() -> np.ndarray:
    """Hyperliquid's rules for an account without volume, shape (1,), dtype RULES_DTYPE, the caller's to change."""
    return _rules(_HYPERLIQUID)


def hftbacktest() -> np.ndarray:
    """The rules of hftbacktest's exchange without partial fills, shape (1,): nothing is refused, fills are whole."""
    return _rules(_HFTBACKTEST)


def _rules(values: Mapping[str, float]) -> np.ndarray:
    rules = np.zeros(1, dtype=RULES_DTYPE)
    for name, value in values.items():
        rules[name] = value
    return rules
