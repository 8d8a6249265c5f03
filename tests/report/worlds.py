"""Two worlds of a comparison, booked by hand: histories of a lane with the orders that were placed."""

from __future__ import annotations

from typing import Any

import numpy as np

from hlhft.report.attribution import attribute
from hlhft.report.comparison import PLACED_DTYPE, World
from hlhft.units import GridRule, Market
from tests.report.histories import SECOND, History

# A tick times a lot is one micro-USDC: 1000 lots at 1000 ticks are one USDC.
COIN = Market(name="COIN", asset_id=0, price_decimals=3, size_decimals=3, grid_rule=GridRule.FIXED)
OTHER = Market(name="OTHER", asset_id=1, price_decimals=3, size_decimals=3, grid_rule=GridRule.FIXED)
START = 19_675 * 86_400 * SECOND  # a whole day


class Hand:
    """A world that is made fill by fill; mids after each fill are given with it."""

    def __init__(self, name: str, *markets: Market) -> None:
        self.name = name
        self.history = History(markets or (COIN,), start_ns=START)
        self.placed: list[tuple[int, ...]] = []
        self.later: list[tuple[int, int]] = []
        for market in range(len(self.history.markets)):
            self.history.quote(market, 999, 1001, 1000)
        self.history.record()

    def order(self, order_id: int, side: int, ticks: int, lots: int, *, market: int = 0) -> None:
        """An order is placed now."""
        self.placed.append((self.history.now_ns, order_id, market, side, ticks, lots))

    def fill(
        self, order_id: int, side: int, ticks: int, lots: int, *, later: tuple[int, int] = (0, 0), **more: Any
    ) -> None:
        """It fills now; `later` are twice the mids 1 s and 10 s after it."""
        self.history.fill(side, ticks, lots, mid=2000, order_id=order_id, **more)
        self.later.append(later)

    def world(self) -> World:
        """What happened."""
        self.history.record()
        lane = self.history.lane()
        return World(
            name=self.name,
            lane=lane,
            split=attribute(lane.markets, lane.log, lane.records),
            placed=np.array(self.placed, PLACED_DTYPE),
            mid_half_ticks=np.array(self.later, np.int64).reshape(-1, 2),
        )
