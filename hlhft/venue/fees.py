"""Trading fees as the venue charges them: notional x rate, truncated toward zero at six decimals, both signs.

Source: venue reference section 10; the truncation was verified on recorded fills (section 3.2, userFills).
"""

from __future__ import annotations

from hlhft.compiled import compiled

RATE_SCALE = 1_000_000_000


@compiled
def fee_micro(notional_micro, rate_e9):
    """The fee in micro-USDC for a notional in micro-USDC at a rate in 1e-9; negative for a rebate.

    Exact for |notional| below 9.2e18 micro-USDC and |rate| below 1e9: the product is split so that it cannot overflow.
    """
    magnitude = abs(notional_micro)
    rate = abs(rate_e9)
    fee = (magnitude // RATE_SCALE) * rate + (magnitude % RATE_SCALE) * rate // RATE_SCALE
    if (notional_micro < 0) != (rate_e9 < 0):
        return -fee
    return fee


@compiled
def notional_micro(market, ticks, lots):
    """ticks x lots of a MARKET_DTYPE record in micro-USDC, truncated toward zero where the market is finer."""
    quanta = ticks * lots
    if quanta < 0:
        return -(-quanta * market["micro_numerator"] // market["micro_denominator"])
    return quanta * market["micro_numerator"] // market["micro_denominator"]
