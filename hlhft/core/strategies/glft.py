"""Guéant, Lehalle and Fernandez-Tapia's asymptotic quotes (2013), calibrated online; the default strategy.

With fill intensity A exp(-k d) and volatility sigma, risk aversion gamma and xi = gamma, the half-spread and the skew per
unit of inventory are

    c1 = ln(1 + gamma / k) / gamma
    c2 = sqrt(gamma / (2 A k) (1 + gamma / k)^(k / gamma + 1))
    half-spread = c1 + sigma c2 / 2        skew = sigma c2

in ticks and order sizes. A, k and sigma come from the features, bounded by the parameters; until they are known the
fall-back values stand. The half-spread covers the maker fee, the centre follows the micro-price, funding above 0.002 % an
hour and a valid signal; the inventory cap takes the growing side away.
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
    intensity_a,
    intensity_k,
    order_lots,
    put_ladder,
    signal_shift,
    volatility,
)

NAME = "glft"
FEATURES = Feature.ALL
INTERVAL_NS = 0
ON_FRAME = True
ON_FILL = True
PARAMS = {
    "gamma": Parameter(0.05, 1e-6, 10.0, "1/tick", "risk aversion per tick of risk on one order size"),
    "order_notional_usdc": Parameter(500.0, 1.0, 1e7, "USDC", "value of one order"),
    "position_notional_usdc": Parameter(5000.0, 1.0, 1e9, "USDC", "largest position worth holding"),
    "levels": Parameter(1, 1, 20, "count", "price levels quoted a side"),
    "level_gap_bp": Parameter(1.0, 0.0, 1000.0, "bp", "distance between levels"),
    "fee_coverage": Parameter(1.0, 0.0, 10.0, "share", "share of the maker fee that the half-spread must cover"),
    "half_spread_bp_min": Parameter(0.0, 0.0, 1000.0, "bp", "smallest half-spread"),
    "half_spread_bp_max": Parameter(50.0, 0.1, 10000.0, "bp", "largest half-spread"),
    "micro_weight": Parameter(0.5, 0.0, 1.0, "share", "how far the centre moves from the mid to the micro-price"),
    "funding_weight": Parameter(8.0, 0.0, 100.0, "hours", "hours of funding that move the quotes"),
    "signal_weight": Parameter(1.0, 0.0, 10.0, "share", "share of a signal's expected move that moves the centre"),
    "signal_bp_max": Parameter(5.0, 0.0, 100.0, "bp", "largest move by a signal"),
    "volatility_fallback": Parameter(5.0, 1e-6, 1e6, "ticks/sqrt(s)", "volatility until it is measured"),
    "intensity_a_fallback": Parameter(1.0, 1e-3, 1e3, "1/s", "fill intensity at the mid until it is calibrated"),
    "intensity_k_fallback": Parameter(0.05, 1e-4, 10.0, "1/tick", "its decay until it is calibrated"),
}
MEMORY_DTYPE = np.dtype([("decisions", np.int64)])


@compiled
def coefficients(gamma, a, k):  # type: ignore[no-untyped-def]
    """c1 and c2 of the paper's asymptotic solution; finite for positive inputs within the parameters' ranges."""
    ratio = gamma / k
    c1 = math.log(1.0 + ratio) / gamma
    # (1 + r)^(1/r + 1) as an exponential: 1/r can be large while ln(1 + r) is small.
    power = (1.0 + ratio) * math.exp(min(math.log(1.0 + ratio) / ratio, 50.0))
    c2 = math.sqrt(gamma / (2.0 * a * k) * power)
    return c1, c2


@compiled
def quote_market(view, params, quotes):  # type: ignore[no-untyped-def]
    """Quotes one market; returns the number of quotes."""
    if view["best_bid_ticks"] <= 0 or view["best_ask_ticks"] <= view["best_bid_ticks"]:
        return 0
    mid = 0.5 * (view["best_bid_ticks"] + view["best_ask_ticks"])
    features = view["features"]
    lots = order_lots(view, params["order_notional_usdc"], mid)
    cap_lots = order_lots(view, params["position_notional_usdc"], mid)
    if lots == 0:
        return 0
    sigma = volatility(view, 1, params["volatility_fallback"], 0.01 * mid)
    a = intensity_a(view, params["intensity_a_fallback"], 1e-3, 1e3)
    k = intensity_k(view, params["intensity_k_fallback"], 1e-4, 10.0)
    c1, c2 = coefficients(params["gamma"], a, k)
    half = max(c1 + 0.5 * sigma * c2, fee_floor(view, mid, params["fee_coverage"]))
    half = min(max(half, params["half_spread_bp_min"] * 1e-4 * mid), params["half_spread_bp_max"] * 1e-4 * mid)
    centre = mid
    if features["ready"] & 1:
        centre += params["micro_weight"] * (features["micro_price"] - mid)
    centre += signal_shift(view, mid, params["signal_weight"], params["signal_bp_max"] * 1e-4 * mid)
    centre += funding_shift(view, mid, params["funding_weight"])
    skew = sigma * c2 * float(view["position_lots"]) / float(lots)
    bound = 2.0 * params["half_spread_bp_max"] * 1e-4 * mid
    centre -= min(max(skew, -bound), bound)
    gap = params["level_gap_bp"] * 1e-4 * mid
    return put_ladder(quotes, view, centre, half, lots, cap_lots, int(params["levels"]), gap)


def quote(view, params, memory, quotes):  # type: ignore[no-untyped-def]
    """Two sides around the risk-adjusted centre in the first market."""
    memory["decisions"] += 1
    return quote_market(view[0], params, quotes)
