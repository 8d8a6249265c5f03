"""Avellaneda and Stoikov's quotes (2008), over a finite horizon that restarts, or an infinite one.

Finite: reservation price s - q gamma sigma^2 (T - t), total spread gamma sigma^2 (T - t) + (2 / gamma) ln(1 + gamma /
k). Infinite: with omega = gamma^2 sigma^2 (q_max + 1)^2 / 2 the reservation bid and ask are s + ln(1 + (+-1 - 2 q)
gamma^2 sigma^2 / (2 omega - gamma^2 q^2 sigma^2)) / gamma, each widened by ln(1 + gamma / k) / gamma, as the paper's
quotes are. With that omega, sigma cancels: only a sigma of 0 makes a difference.

Inventory q is in order sizes, distances in basis points of the mid. A valid policy multiplies gamma, the signal's
weight and the half-spread before fees, and moves the centre by a share of it.
"""

from __future__ import annotations

import math

import numpy as np

from hlhft.compiled import compiled
from hlhft.core.state import Feature
from hlhft.core.strategies.common import (
    BP,
    COUNT,
    Parameter,
    after_fees,
    funding_bp,
    has_touch,
    intensity_k_per_bp,
    mid_ticks,
    order_lots,
    policy_gamma,
    policy_half_bp,
    policy_shift_bp,
    put_ladder,
    signal_bp,
    volatility_bp,
)

NAME = "avellaneda_stoikov"
FEATURES = Feature.VOLATILITY | Feature.INTENSITY
INTERVAL_NS = 0
ON_FRAME = True
ON_FILL = True
PARAMS = {
    "gamma": Parameter(0.05, 1e-6, 10.0, "1/bp", "risk aversion per basis point of risk on one order"),
    "horizon_s": Parameter(60.0, 0.0, 86400.0, "s", "length of the session that restarts; 0 for the infinite horizon"),
    "order_notional_usdc": Parameter(500.0, 1.0, 1e7, "USDC", "value of one order"),
    "position_notional_usdc": Parameter(5000.0, 1.0, 1e9, "USDC", "largest position worth holding"),
    "levels": Parameter(1, 1, 20, COUNT, "price levels quoted a side"),
    "level_gap_bp": Parameter(1.0, 0.0, 1000.0, "bp", "distance between levels"),
    "fee_coverage": Parameter(1.0, 0.0, 10.0, "share", "share of the maker fee that the half-spread must cover"),
    "half_spread_bp_max": Parameter(50.0, 0.1, 10000.0, "bp", "largest half-spread; also bounds the skew"),
    "funding_weight": Parameter(8.0, 0.0, 100.0, "hours", "hours of funding above the threshold that move the quotes"),
    "funding_bp_max": Parameter(5.0, 0.0, 100.0, "bp", "largest move by funding"),
    "signal_weight": Parameter(1.0, 0.0, 10.0, "share", "share of a signal's expected move that moves the centre"),
    "signal_bp_max": Parameter(5.0, 0.0, 100.0, "bp", "largest move by a signal"),
    "volatility_scale": Parameter(1, 0, 2, COUNT, "which volatility: 0 is 1 s, 1 is 10 s, 2 is 60 s"),
    "volatility_bp_fallback": Parameter(0.5, 0.0, 1000.0, "bp/sqrt(s)", "volatility until it is measured"),
    "volatility_bp_min": Parameter(0.02, 0.0, 1000.0, "bp/sqrt(s)", "smallest volatility believed"),
    "volatility_bp_max": Parameter(20.0, 0.0, 1000.0, "bp/sqrt(s)", "largest volatility believed"),
    "intensity_k_fallback": Parameter(1.0, 1e-3, 1e3, "1/bp", "decay of fill intensity until it is calibrated"),
    "intensity_k_min": Parameter(0.05, 1e-3, 1e3, "1/bp", "smallest decay believed"),
    "intensity_k_max": Parameter(100.0, 1e-3, 1e3, "1/bp", "largest decay believed"),
}
MEMORY_DTYPE = np.dtype([("session_start_ns", np.int64)])
_ARGUMENT_MIN = 1e-9  # at the largest inventory the growing side's logarithm has argument 0: never quote there


@compiled
def finite(gamma, sigma, k, inventory, left_s):
    """Distances of bid and ask below and above the mid with `left_s` seconds of the session to go."""
    risk = gamma * sigma * sigma * left_s
    half = 0.5 * risk + math.log(1.0 + gamma / k) / gamma
    return half + inventory * risk, half - inventory * risk


@compiled
def infinite(gamma, sigma, k, inventory, inventory_max):
    """The same for the infinite horizon; |inventory| counts as at most `inventory_max`, where the logarithms exist."""
    widen = math.log(1.0 + gamma / k) / gamma
    if sigma <= 0.0:
        return widen, widen
    q = min(max(inventory, -inventory_max), inventory_max)
    # 2 omega - gamma^2 q^2 sigma^2 over gamma^2 sigma^2, positive for every |q| <= inventory_max.
    denominator = (inventory_max + 1.0) * (inventory_max + 1.0) - q * q
    bid = math.log(max(1.0 + (-1.0 - 2.0 * q) / denominator, _ARGUMENT_MIN)) / gamma
    ask = math.log(max(1.0 + (1.0 - 2.0 * q) / denominator, _ARGUMENT_MIN)) / gamma
    return widen - bid, widen + ask


@compiled
def left_s(view, params, memory):
    """Seconds to the end of the running session; sessions restart one after another, the first at the first call."""
    horizon_ns = int(params["horizon_s"] * 1e9)
    elapsed = view["now_ns"] - memory["session_start_ns"]
    if memory["session_start_ns"] == 0 or elapsed >= horizon_ns:
        memory["session_start_ns"] = view["now_ns"]
        elapsed = 0
    return float(horizon_ns - elapsed) * 1e-9


@compiled
def distances_bp(view, params, memory, mid, inventory, inventory_max):
    """The model's distances of bid and ask from the mid, in basis points, before fees."""
    sigma = volatility_bp(
        view, mid, int(params["volatility_scale"]), params["volatility_bp_fallback"],
        params["volatility_bp_min"], params["volatility_bp_max"],
    )  # fmt: skip
    k = intensity_k_per_bp(
        view, mid, params["intensity_k_fallback"], params["intensity_k_min"], params["intensity_k_max"]
    )
    gamma = policy_gamma(view, params["gamma"])
    if params["horizon_s"] > 0.0:
        return finite(gamma, sigma, k, inventory, left_s(view, params, memory))
    return infinite(gamma, sigma, k, inventory, inventory_max)


@compiled
def quote_market(market, params, memory, quotes):
    """Quotes one market; returns the number of quotes."""
    if not has_touch(market):
        return 0
    mid = mid_ticks(market)
    lots = order_lots(market, params["order_notional_usdc"], mid)
    cap_lots = order_lots(market, params["position_notional_usdc"], mid)
    if lots == 0:
        return 0
    inventory = float(market["position_lots"]) / float(lots)
    inventory_max = max(float(cap_lots) / float(lots), 1.0)
    below, above = distances_bp(market, params, memory, mid, inventory, inventory_max)
    most = params["half_spread_bp_max"]
    half_bp = policy_half_bp(market, 0.5 * (below + above))
    half_bp = min(after_fees(market, half_bp, params["fee_coverage"]), most)
    shift_bp = min(max(0.5 * (above - below), -2.0 * most), 2.0 * most)
    shift_bp += signal_bp(market, params["signal_weight"], params["signal_bp_max"])
    shift_bp += policy_shift_bp(market, half_bp)
    shift_bp += funding_bp(market, params["funding_weight"], params["funding_bp_max"])
    unit = BP * mid
    return put_ladder(
        quotes, market, mid + shift_bp * unit, half_bp * unit, lots, cap_lots, int(params["levels"]),
        params["level_gap_bp"] * unit,
    )  # fmt: skip


def quote(view, params, memory, quotes):
    """Two sides around the reservation price in every market; all share one session."""
    count = 0
    for index in range(len(view)):
        count += quote_market(view[index], params, memory, quotes[count:])
    return count
