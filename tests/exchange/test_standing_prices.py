from __future__ import annotations

import numpy as np

from hlhft.exchange.kernel import Kernel
from hlhft.exchange.standing_prices import StandingPrices
from hlhft.venue.blocks import ACTION_DTYPE, ActionKind
from tests.exchange.clients import small_settings


def test_the_same_prices_come_again_and_again() -> None:
    chain = Kernel(small_settings()).chain
    prices = StandingPrices([5, 7], interval_ns=100)
    legs = np.zeros(8, ACTION_DTYPE)
    assert prices.legs(chain, legs, 3, 1000) == 2
    assert legs["kind"][3:5].tolist() == [ActionKind.ORACLE_PRICE] * 2
    assert legs["price_ticks"].tolist() == [0, 0, 0, 5, 7, 0, 0, 0]
    assert prices.legs(chain, legs, 3, 1099) == 0
    again = StandingPrices([1, 1], interval_ns=100)
    again.restore(prices.state())
    assert again.legs(chain, legs, 0, 1099) == 0
    assert again.legs(chain, legs, 0, 1100) == 2
    assert legs["price_ticks"][:2].tolist() == [5, 7]
    assert list(prices.accounts) == []
