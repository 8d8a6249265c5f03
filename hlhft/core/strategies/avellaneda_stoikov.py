"""Avellaneda and Stoikov's quotes (2008), over a finite horizon that restarts, or an infinite one.

Finite: reservation price s - q gamma sigma^2 (T - t), total spread gamma sigma^2 (T - t) + (2 / gamma) ln(1 + gamma / k).
Infinite: with omega = gamma^2 sigma^2 (q_max + 1)^2 / 2 the reservation bid and ask are s + ln(1 + (+-1 - 2 q) gamma^2
sigma^2 / (2 omega - gamma^2 q^2 sigma^2)) / gamma, each widened by ln(1 + gamma / k) / gamma (section 3 of the paper).

Inventory q is in order sizes, prices in ticks.
"""

from __future__ import annotations

import math

import numpy as np

from hlhft.compiled import compiled
from hlhft.core.state import Feature
from hlhft.core.strategies.common import (
    Parameter,
    fee_floor,
    funding_shift,
    intensity_k,
    order_lots,
    put_quote,
    side_lots,
    volatility,
)

NAME = "avellaneda_stoikov"
FEATURES = Feature.MICRO_PRICE | Feature.VOLATILITY | Feature.INTENSITY
INTERVAL_NS = 0
ON_FRAME = True
ON_FILL = True
PARAMS = {
    "gamma": Parameter(0.05, 1e-6, 10.0, "1/tick", "risk aversion per tick of risk on one order size"),
    "horizon_s": Parameter(60.0, 0.0, 86400.0, "s", "length of the session that restarts; 0 for the infinite horizon"),
    "order_notional_usdc": Parameter(500.0, 1.0, 1e7, "USDC", "value of one order"),
    "position_notional_usdc": Parameter(5000.0, 1.0, 1e9, "USDC", "largest position worth holding"),
    "fee_coverage": Parameter(1.0, 0.0, 10.0, "share", "share of the maker fee that the half-spread must cover"),
    "half_spread_bp_max": Parameter(50.0, 0.1, 10000.0, "bp", "largest half-spread"),
    "funding_weight": Parameter(8.0, 0.0, 100.0, "hours", "hours of funding that move the quotes"),
    "volatility_fallback": Parameter(5.0, 1e-6, 1e6, "ticks/sqrt(s)", "volatility until it is measured"),
    "intensity_k_fallback": Parameter(0.05, 1e-4, 10.0, "1/tick", "decay of fill intensity until it is calibrated"),
}
MEMORY_DTYPE = np.dtype([("session_start_ns", np.int64)])


@compiled
def finite(gamma, sigma, k, inventory, left_s):  # type: ignore[no-untyped-def]
    """Distances of bid and ask below and above the mid, in ticks, with `left_s` seconds of the session to go."""
    risk = gamma * sigma * sigma * left_s
    half = 0.5 * risk + math.log(1.0 + gamma / k) / gamma
    return half + inventory * risk, half - inventory * risk


@compiled
def infinite(gamma, sigma, k, inventory, inventory_max):  # type: ignore[no-untyped-def]
    """The same for the infinite horizon; |inventory| is taken as at most `inventory_max`, where the logarithms exist."""
    q = min(max(inventory, -inventory_max), inventory_max)
    variance = gamma * gamma * sigma * sigma
    # omega as in the module's text; 2 omega - variance q^2 is positive for every |q| <= inventory_max.
    denominator = variance * (inventory_max + 1.0) * (inventory_max + 1.0) - variance * q * q
    if denominator <= 0.0:
        return math.log(1.0 + gamma / k) / gamma, math.log(1.0 + gamma / k) / gamma
    widen = math.log(1.0 + gamma / k) / gamma
    bid = math.log(max(1.0 + (-1.0 - 2.0 * q) * variance / denominator, 1e-9)) / gamma
    ask = math.log(max(1.0 + (1.0 - 2.0 * q) * variance / denominator, 1e-9)) / gamma
    return widen - bid, widen + ask


@compiled
def _left_s(view, params, memory):  # type: ignore[no-untyped-def]
    """Seconds to the end of the running session; sessions restart one after another."""
    horizon_ns = int(params["horizon_s"] * 1e9)
    elapsed = view["now_ns"] - memory["session_start_ns"]
    if memory["session_start_ns"] == 0 or elapsed >= horizon_ns:
        memory["session_start_ns"] = view["now_ns"]
        elapsed = 0
    return (horizon_ns - elapsed) * 1e-9


def quote(view, params, memory, quotes):  # type: ignore[no-untyped-def]
    """One bid and one ask in the first market."""
    market = view[0]
    if market["best_bid_ticks"] <= 0 or market["best_ask_ticks"] <= market["best_bid_ticks"]:
        return 0
    mid = 0.5 * (market["best_bid_ticks"] + market["best_ask_ticks"])
    lots = order_lots(market, params["order_notional_usdc"], mid)
    cap_lots = order_lots(market, params["position_notional_usdc"], mid)
    if lots == 0:
        return 0
    sigma = volatility(market, 1, params["volatility_fallback"], 0.01 * mid)
    k = intensity_k(market, params["intensity_k_fallback"], 1e-4, 10.0)
    inventory = float(market["position_lots"]) / float(lots)
    if params["horizon_s"] > 0.0:
        below, above = finite(params["gamma"], sigma, k, inventory, _left_s(market, params, memory))
    else:
        below, above = infinite(params["gamma"], sigma, k, inventory, max(float(cap_lots) / float(lots), 1.0))
    floor = fee_floor(market, mid, params["fee_coverage"])
    wider = max(2.0 * floor - (below + above), 0.0) * 0.5
    most = params["half_spread_bp_max"] * 1e-4 * mid
    centre = mid + funding_shift(market, mid, params["funding_weight"])
    below = min(max(below + wider, -most), most)
    above = min(max(above + wider, -most), most)
    count = put_quote(quotes, 0, market, 1, centre - below, side_lots(market, 1, lots, cap_lots), 0.0)
    return put_quote(quotes, count, market, -1, centre + above, side_lots(market, -1, lots, cap_lots), 0.0)
