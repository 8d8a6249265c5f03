"""What the venue refuses before it looks at the book: a code of `hlhft.venue.refusals`, 0 when the order may go on.

Sources: venue reference sections 2 (grid, minimum, maximum, band), 4.4 (texts) and 7 (open orders). The venue's own
order of these checks is not known; here it goes from what is wrong with the order to what is wrong around it.
"""

from __future__ import annotations

from hlhft.compiled import compiled
from hlhft.units import TICKS_MAX, grid_step
from hlhft.venue.fees import notional_micro

# Codes as in hlhft.venue.refusals; the compiled subset wants plain constants.
_ACCEPTED, _TICK, _MINIMUM_NOTIONAL, _PRICE_BAND = 0, 1, 2, 7
_ORDER_TOO_LARGE, _ZERO_SIZE, _INVALID_PRICE, _TOO_MANY_OPEN_ORDERS = 8, 9, 10, 14

_EXACT_MAX = 2**62  # products stay below this, so that no check relies on overflow
_E6 = 1_000_000


@compiled
def is_on_grid(market, ticks):
    """Whether `ticks` > 0 is a valid price of the MARKET_DTYPE record: its grid rule only, not the band."""
    step = grid_step(ticks, market["grid_rule"], market["grid_step_ticks"], market["whole_unit_ticks"])
    return ticks % step == 0


@compiled
def is_within_band(ticks, reference_ticks, band_e6):
    """Whether the price is at most band_e6 x 1e-6 of the reference away from it; true without reference or band."""
    if reference_ticks <= 0 or band_e6 <= 0:
        return True
    return abs(ticks - reference_ticks) * _E6 <= band_e6 * reference_ticks


@compiled
def market_value_max_micro(market, rules):
    """The largest market order in micro-USDC, by the leverage that the market offers; limit orders may be larger."""
    leverage = market["maximum_leverage"]
    if leverage >= 25:
        return rules["value_max_leverage_25_micro"]
    if leverage >= 20:
        return rules["value_max_leverage_20_micro"]
    if leverage >= 10:
        return rules["value_max_leverage_10_micro"]
    return rules["value_max_leverage_1_micro"]


@compiled
def is_reducing(side, size_lots, reduce_only, position_lots):
    """Whether the order can only reduce the position: marked so, or against the position and no larger than it."""
    return reduce_only != 0 or side * position_lots + size_lots <= 0


@compiled
def check_value(market, side, price_ticks, size_lots, reduce_only, position_lots, rules):
    """The refusal for what the order is worth at its limit: too much, too little, or 0. Price and size are positive."""
    if size_lots > _EXACT_MAX // (price_ticks * market["micro_numerator"]):
        return _ORDER_TOO_LARGE
    value = notional_micro(market, price_ticks, size_lots)
    if value > market_value_max_micro(market, rules) * rules["limit_value_factor"]:
        return _ORDER_TOO_LARGE
    minimum = max(rules["minimum_notional_micro"], market["minimum_notional_micro"])
    # Closing orders are exempt: what is left of a position could not be closed otherwise (venue reference section 2).
    if value < minimum and not is_reducing(side, size_lots, reduce_only, position_lots):
        return _MINIMUM_NOTIONAL
    return _ACCEPTED


@compiled
def check_order(market, side, price_ticks, size_lots, reduce_only, position_lots, reference_ticks, open_orders, rules):
    """The refusal code of a limit order, 0 when it may be matched.

    `market` and `rules` are MARKET_DTYPE and RULES_DTYPE records; `side` +1 or -1; `position_lots` is signed and of
    this market; `reference_ticks` is the price the band is measured from, 0 when there is none: then no band holds;
    `open_orders` counts what the account has resting. Whether a reduce-only order reduces is the matching's business.
    """
    if rules["enforce_validation"] == 0:
        return _ACCEPTED
    if size_lots <= 0:
        return _ZERO_SIZE
    if price_ticks <= 0 or price_ticks > TICKS_MAX:
        return _INVALID_PRICE
    if not is_on_grid(market, price_ticks):
        return _TICK
    if not is_within_band(price_ticks, reference_ticks, rules["band_e6"]):
        return _PRICE_BAND
    code = check_value(market, side, price_ticks, size_lots, reduce_only, position_lots, rules)
    if code != _ACCEPTED:
        return code
    limit = rules["open_orders_max"]
    if reduce_only != 0:
        limit = min(limit, rules["open_orders_reduce_only_max"])
    return _TOO_MANY_OPEN_ORDERS if open_orders >= limit else _ACCEPTED
