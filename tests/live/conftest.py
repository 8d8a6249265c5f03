"""One exchange a module: what the tests of the live parts trade at."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.live.engines import Exchange, Trader


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    """An exchange without limits, in a thread."""
    there = Exchange()
    yield there
    there.stop()


@pytest.fixture(scope="module")
def market(exchange: Exchange) -> Trader:
    """Somebody who makes a market in both coins."""
    trader = Trader(exchange.url, 3)
    for asset in (0, 1):
        trader.make(asset)
    return trader
