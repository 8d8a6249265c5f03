"""What a market asks for beside its MARKET_DTYPE record: margin, impact notional, and the tokens of a spot pair.

Amounts of tokens are whole 1e-8; token 0 is USDC.
"""

from __future__ import annotations

import numpy as np

from hlhft.units import SPOT_MAX_DECIMALS, MarketKind
from hlhft.venue.funding import IMPACT_NOTIONAL_MAJOR_MICRO, IMPACT_NOTIONAL_MICRO

USDC_TOKEN = 0

_MAJOR_LEVERAGE = 25  # BTC and ETH offer this much, no other market does (venue reference section 10)

TERMS_DTYPE = np.dtype(
    [
        ("isolated_only", np.int64),
        ("strict_isolated", np.int64),  # margin of a position can only grow
        ("impact_notional_micro", np.int64),
        ("base_token", np.int64),  # spot: what is traded
        ("quote_token", np.int64),  # spot: what it is paid in
        ("lot_units", np.int64),  # spot: 1e-8 of the base token in a lot
    ]
)


def new_terms(markets: np.ndarray) -> np.ndarray:
    """What MARKET_DTYPE[M] `markets` ask for unless told otherwise, dtype TERMS_DTYPE.

    Spot markets trade token 1, 2, … in their order, for USDC.
    """
    terms = np.zeros(len(markets), TERMS_DTYPE)
    token = USDC_TOKEN
    for row, market in zip(terms, markets):
        major = market["maximum_leverage"] >= _MAJOR_LEVERAGE
        row["impact_notional_micro"] = IMPACT_NOTIONAL_MAJOR_MICRO if major else IMPACT_NOTIONAL_MICRO
        if market["kind"] == MarketKind.SPOT:
            token += 1
            row["base_token"] = token
            row["lot_units"] = 10 ** (SPOT_MAX_DECIMALS - int(market["size_decimals"]))
    return terms
