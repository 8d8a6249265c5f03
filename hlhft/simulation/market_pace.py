"""How much happens in the markets of a run: as much as in a recording, or not more than a simulation needs.

What a run shows of an engine takes events and actions, not their abundance, and each costs time that other runs could
have. So most runs are lean: at least LEAST_EVENTS_PER_S happen in a market, and their prices move as far with each.
"""

from __future__ import annotations

import math
from dataclasses import replace

from hlhft.exchange.flow.parameters import shipped
from hlhft.exchange.flow.state import MarketFlow
from hlhft.exchange.opening import FLOW_ACCOUNT, listed
from hlhft.exchange.settings import ExchangeSettings
from hlhft.exchange.synthetic_flow import SyntheticFlow

LEAST_EVENTS_PER_S = 20  # in each market of a lean run: what becomes of orders, and who trades
BUSY = (1.0, 1.0)  # of BTC and ETH, as shares of what was recorded
LEAN = (0.85, 0.2)  # as much as LEAST_EVENTS_PER_S asks for


def paced(numbers: MarketFlow, pace: float) -> MarketFlow:
    """The same market in which everything happens `pace` > 0 times as often; what happens is as large as it was."""
    return replace(
        numbers,
        diffusion_bp=numbers.diffusion_bp * math.sqrt(pace),
        jumps_per_minute=numbers.jumps_per_minute * pace,
        follow_s=numbers.follow_s / pace,
        maker_period_s=numbers.maker_period_s / pace,
        joins_per_s=numbers.joins_per_s * pace,
        improves_per_s=numbers.improves_per_s * pace,
        joiner_life_s=numbers.joiner_life_s / pace,
        bursts_per_minute=numbers.bursts_per_minute * pace,
        informed_per_s=numbers.informed_per_s * pace,
        momentum_per_s=numbers.momentum_per_s * pace,
    )


def paced_flow(settings: ExchangeSettings, paces: tuple[float, ...]) -> SyntheticFlow:
    """The synthetic order flow of the listed coins, each at its pace."""
    markets, flows = listed(settings), shipped()
    numbers = [paced(flows[market.name], pace) for market, pace in zip(markets, paces, strict=True)]
    return SyntheticFlow(markets, numbers, first_account=FLOW_ACCOUNT, seed=settings.seed)
