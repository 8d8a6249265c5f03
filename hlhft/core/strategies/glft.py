"""Guéant, Lehalle and Fernandez-Tapia's asymptotic quotes (2013), calibrated online; the default strategy.

With fill intensity A exp(-k d) on each side, volatility sigma and risk aversion gamma, the half-spread and the skew per
unit of inventory are, in the form of Guéant (2017) with its parameter xi,

    c1 = ln(1 + xi / k) / xi
    c2 = sqrt(gamma / (2 A k) (1 + xi / k)^(k / xi + 1))
    half-spread = c1 + sigma c2 / 2        skew = sigma c2

in basis points and order sizes. xi = gamma is exponential utility (the paper of 2013), xi = 0 its limit c1 = 1 / k,
c2 = sqrt(gamma e / (2 A k)): a penalty on inventory alone. A, k and sigma come from the features, bounded by the
parameters; until they are known the fall-back values stand. The half-spread covers the maker fee; the centre follows
the micro-price, funding above 0.002 % an hour and a valid signal; the inventory cap takes the growing side away. A
valid policy multiplies gamma, the signal's weight and the half-spread before fees, and moves the centre by a share of
it.
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
    intensity_a,
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

NAME = "glft"
FEATURES = Feature.ALL
INTERVAL_NS = 0
ON_FRAME = True
ON_FILL = True
PARAMS = {
    "gamma": Parameter(0.05, 1e-6, 10.0, "1/bp", "risk aversion per basis point of risk on one order"),
    "xi_share": Parameter(1.0, 0.0, 1.0, "share", "xi over gamma: 1 exponential utility, 0 inventory penalty alone"),
    "order_notional_usdc": Parameter(500.0, 1.0, 1e7, "USDC", "value of one order"),
    "position_notional_usdc": Parameter(5000.0, 1.0, 1e9, "USDC", "largest position worth holding"),
    "levels": Parameter(1, 1, 20, COUNT, "price levels quoted a side"),
    "level_gap_bp": Parameter(1.0, 0.0, 1000.0, "bp", "distance between levels"),
    "fee_coverage": Parameter(1.0, 0.0, 10.0, "share", "share of the maker fee that the half-spread must cover"),
    "half_spread_bp_min": Parameter(0.0, 0.0, 1000.0, "bp", "smallest half-spread"),
    "half_spread_bp_max": Parameter(50.0, 0.1, 10000.0, "bp", "largest half-spread; also bounds the skew"),
    "micro_weight": Parameter(0.5, 0.0, 1.0, "share", "how far the centre moves from the mid to the micro-price"),
    "funding_weight": Parameter(8.0, 0.0, 100.0, "hours", "hours of funding above the threshold that move the quotes"),
    "funding_bp_max": Parameter(5.0, 0.0, 100.0, "bp", "largest move by funding"),
    "signal_weight": Parameter(1.0, 0.0, 10.0, "share", "share of a signal's expected move that moves the centre"),
    "signal_bp_max": Parameter(5.0, 0.0, 100.0, "bp", "largest move by a signal"),
    "volatility_scale": Parameter(1, 0, 2, COUNT, "which volatility: 0 is 1 s, 1 is 10 s, 2 is 60 s"),
    "volatility_bp_fallback": Parameter(0.5, 0.0, 1000.0, "bp/sqrt(s)", "volatility until it is measured"),
    "volatility_bp_min": Parameter(0.02, 0.0, 1000.0, "bp/sqrt(s)", "smallest volatility believed"),
    "volatility_bp_max": Parameter(20.0, 0.0, 1000.0, "bp/sqrt(s)", "largest volatility believed"),
    "intensity_a_fallback": Parameter(1.0, 1e-3, 1e3, "1/s", "fill intensity at the mid until it is calibrated"),
    "intensity_a_min": Parameter(0.01, 1e-3, 1e3, "1/s", "smallest fill intensity believed"),
    "intensity_a_max": Parameter(100.0, 1e-3, 1e3, "1/s", "largest fill intensity believed"),
    "intensity_k_fallback": Parameter(1.0, 1e-3, 1e3, "1/bp", "its decay until it is calibrated"),
    "intensity_k_min": Parameter(0.05, 1e-3, 1e3, "1/bp", "smallest decay believed"),
    "intensity_k_max": Parameter(100.0, 1e-3, 1e3, "1/bp", "largest decay believed"),
}
MEMORY_DTYPE = np.dtype([("decisions", np.int64)])
_RATIO_SMALL = 1e-6
_E = 2.718281828459045


@compiled
def coefficients(gamma, xi, a, k):
    """c1 and c2 of the asymptotic solution; finite for gamma, a, k > 0 and xi >= 0 in the parameters' ranges."""
    ratio = xi / k
    if ratio < _RATIO_SMALL:
        # The limit, where ln(1 + ratio) / ratio loses its digits.
        c1, power = 1.0 / k, _E
    else:
        log = math.log(1.0 + ratio)
        c1, power = log / xi, (1.0 + ratio) * math.exp(log / ratio)
    return c1, math.sqrt(gamma / (2.0 * a * k) * power)


@compiled
def spread_and_skew_bp(view, mid, params):
    """The model's half-spread, before fees, and its skew per order size held, in basis points."""
    sigma = volatility_bp(
        view, mid, int(params["volatility_scale"]), params["volatility_bp_fallback"],
        params["volatility_bp_min"], params["volatility_bp_max"],
    )  # fmt: skip
    a = intensity_a(view, params["intensity_a_fallback"], params["intensity_a_min"], params["intensity_a_max"])
    k = intensity_k_per_bp(
        view, mid, params["intensity_k_fallback"], params["intensity_k_min"], params["intensity_k_max"]
    )
    gamma = policy_gamma(view, params["gamma"])
    c1, c2 = coefficients(gamma, params["xi_share"] * gamma, a, k)
    return c1 + 0.5 * sigma * c2, sigma * c2


@compiled
def quote_market(view, params, quotes):
    """Quotes one market; returns the number of quotes."""
    if not has_touch(view):
        return 0
    mid = mid_ticks(view)
    lots = order_lots(view, params["order_notional_usdc"], mid)
    cap_lots = order_lots(view, params["position_notional_usdc"], mid)
    if lots == 0:
        return 0
    half_bp, skew_bp = spread_and_skew_bp(view, mid, params)
    half_bp = max(after_fees(view, policy_half_bp(view, half_bp), params["fee_coverage"]), params["half_spread_bp_min"])
    half_bp = min(half_bp, params["half_spread_bp_max"])
    bound_bp = 2.0 * params["half_spread_bp_max"]
    shift_bp = -min(max(skew_bp * float(view["position_lots"]) / float(lots), -bound_bp), bound_bp)
    shift_bp += signal_bp(view, params["signal_weight"], params["signal_bp_max"])
    shift_bp += policy_shift_bp(view, half_bp)
    shift_bp += funding_bp(view, params["funding_weight"], params["funding_bp_max"])
    centre = mid + shift_bp * BP * mid
    if view["features"]["ready"] & 1:
        centre += params["micro_weight"] * (view["features"]["micro_price"] - mid)
    gap = params["level_gap_bp"] * BP * mid
    return put_ladder(quotes, view, centre, half_bp * BP * mid, lots, cap_lots, int(params["levels"]), gap)


def quote(view, params, memory, quotes):
    """Two sides around the risk-adjusted centre in every market."""
    memory["decisions"] += 1
    count = 0
    for index in range(len(view)):
        count += quote_market(view[index], params, quotes[count:])
    return count
