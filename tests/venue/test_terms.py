"""What markets ask for unless told otherwise."""

from __future__ import annotations

import numpy as np

from hlhft.units import Market
from hlhft.venue.terms import new_terms

USDC = 1_000_000


def test_terms_follow_from_the_markets():
    markets = np.concatenate(
        [
            Market.perpetual("BTC", asset_id=0, size_decimals=5, maximum_leverage=40).record(),
            Market.spot("PURR/USDC", asset_id=10_000, size_decimals=0).record(),
            Market.perpetual("SOL", asset_id=5, size_decimals=2, maximum_leverage=20).record(),
            Market.spot("HYPE/USDC", asset_id=10_107, size_decimals=2).record(),
        ]
    )
    terms = new_terms(markets)
    assert terms["impact_notional_micro"].tolist() == [20_000 * USDC, 6_000 * USDC, 6_000 * USDC, 6_000 * USDC]
    assert terms["base_token"].tolist() == [0, 1, 0, 2]
    assert terms["quote_token"].tolist() == [0, 0, 0, 0]
    assert terms["lot_units"].tolist() == [0, 10**8, 0, 10**6]
    assert not terms["isolated_only"].any()
    assert not terms["strict_isolated"].any()
