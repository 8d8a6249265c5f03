"""What one account holds in one market, and what a fill does to it.

Cash is kept in quanta (ticks x lots), which is exact in every market; fees and funding in micro-USDC as the venue books
them. Position, cash and fees change only here, so the sum of all fills is the position, always. The sums are exact
while all that the account ever traded in the market stays below 2^63 quanta, on a perpetual 9.2e12 USDC.
"""

from __future__ import annotations

import numpy as np

from hlhft.compiled import compiled
from hlhft.venue.fees import fee_micro, notional_micro

HOLDING_DTYPE = np.dtype(
    [
        ("position_lots", np.int64),
        ("cash_quanta", np.int64),
        ("fee_micro", np.int64),
        ("funding_micro", np.int64),
        ("maker_quanta", np.int64),
        ("taker_quanta", np.int64),
        ("traded_lots", np.int64),
        ("fills", np.int64),
        ("maker_rate_e9", np.int64),
        ("taker_rate_e9", np.int64),
        ("leverage", np.int64),
    ]
)


@compiled
def apply_fill(holding, market, side, ticks, lots, maker):
    """Books a fill of `lots` > 0 at `ticks` for side +1 or -1, `maker` 1 or 0; returns its fee in micro-USDC."""
    quanta = ticks * lots
    holding["position_lots"] += side * lots
    holding["cash_quanta"] -= side * quanta
    holding["traded_lots"] += lots
    holding["fills"] += 1
    rate = holding["maker_rate_e9"] if maker else holding["taker_rate_e9"]
    if maker:
        holding["maker_quanta"] += quanta
    else:
        holding["taker_quanta"] += quanta
    fee = fee_micro(notional_micro(market, ticks, lots), rate)
    holding["fee_micro"] += fee
    return fee
