"""Where our order stands in a recorded price level: the queue models.

A recorded level shows how many lots rest there, not whose. A model keeps `front`, the lots ahead of our order, and
moves it when trades print at the price and when the level's total changes. `front` is a float64 in lots, never more
than the level's new total after a change of it, possibly negative after a trade: then that many lots of the trade were
ours.

Bias, stated: RISK_AVERSE advances on trades only, so it fills latest; the probability models assume that a decrease
which no trade explains is spread over the queue by position, f(back) / (f(back) + f(front)) and relatives. Their
arithmetic, clamps and treatment of 0/0 (the new total decides) agree with hftbacktest's models to the record
(tests/bench). That includes an estimate far below 0 when most of a level leaves at once: where orders fill in parts it
counts as 0, or the next trade would fill more than it held.

ORDER_LEVEL assumes nothing: where the recording says whose order a change of the level is, what stood ahead is known.
Changes of which that is not known move the queue as under RISK_AVERSE. It expects a trade before the changes of the
level that it causes.
"""

from __future__ import annotations

import math
from enum import IntEnum

from hlhft.compiled import compiled


class QueueModel(IntEnum):
    """How the lots ahead of an order shrink when the level does."""

    RISK_AVERSE = 0
    POWER = 1  # f(back) / (f(back) + f(front)), f(x) = x^n
    POWER_TOTAL = 2  # f(back) / f(back + front), f(x) = x^n
    POWER_COMPLEMENT = 3  # 1 - f(front / (front + back)), f(x) = x^n
    LOG = 4  # f(back) / (f(back) + f(front)), f(x) = ln(1 + x)
    LOG_TOTAL = 5  # f(back) / f(back + front), f(x) = ln(1 + x)
    ORDER_LEVEL = 6  # exact by the age of the order that changed; RISK_AVERSE where the recording does not name it


_RISK_AVERSE, _ORDER_LEVEL = 0, 6


@compiled
def _power(x, n):
    if n == 2.0:
        return x * x
    if x < 0.0 and n != math.floor(n):
        return math.nan
    if x == 0.0 and n < 0.0:
        return math.inf
    return x**n


@compiled
def _log(x):
    if x <= -1.0:
        return -math.inf if x == -1.0 else math.nan
    return math.log(1.0 + x)


@compiled
def _ratio(numerator, denominator):
    if denominator == 0.0:
        return math.nan if numerator == 0.0 or math.isnan(numerator) else math.inf
    return numerator / denominator


@compiled
def probability_behind(model, power, lot_size, front, back):
    """The probability that a lot which left the level stood behind us; NaN when the level was empty.

    `front` and `back` in lots; the logarithmic family works on base units, hence `lot_size`.
    """
    if model == 1:
        behind = _power(back, power)
        return _ratio(behind, behind + _power(front, power))
    if model == 2:
        return _ratio(_power(back, power), _power(back + front, power))
    if model == 3:
        return 1.0 - _power(_ratio(front, front + back), power)
    behind = _log(back * lot_size)
    if model == 4:
        return _ratio(behind, behind + _log(front * lot_size))
    return _ratio(behind, _log((back + front) * lot_size))


@compiled
def front_after_change(model, power, lot_size, front, traded, before, after):
    """Lots ahead after the level went from `before` to `after` lots, `traded` of it already counted from trades."""
    if model == _RISK_AVERSE or model == _ORDER_LEVEL:
        return min(front, float(after))
    change = float(before - after) - traded
    if change < 0.0:
        return min(front, float(after))
    back = float(before) - front
    behind = probability_behind(model, power, lot_size, front, back)
    if math.isinf(behind):
        behind = 1.0
    estimate = front - (1.0 - behind) * change + min(back - behind * change, 0.0)
    if math.isnan(estimate):
        return float(after)
    return min(estimate, float(after))


@compiled
def after_order_change(front, traded, before, after, is_ahead):
    """Lots ahead and lots traded but not yet gone, after one recorded order took the level from `before` to `after`.

    `is_ahead`: the order stands ahead of ours. What trades already took off explains a decrease first; the rest was
    cancelled, and moves us up by exactly that when it stood ahead. An increase ahead moves us back by as much.
    """
    gone = float(before - after)
    if gone <= 0.0:
        return front - gone if is_ahead else front, traded
    explained = min(gone, traded)
    if is_ahead:
        front = max(front - (gone - explained), 0.0)
    return front, traded - explained


@compiled
def lots_reached(front):
    """Whole lots of a trade that went past everything ahead of us: -front rounded half away from zero, at least 0."""
    if front >= 0.0 or math.isnan(front):
        return 0
    return int(math.floor(-front + 0.5))
