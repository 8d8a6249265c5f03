"""Orders that close positions of perpetuals: reduce-only, immediate or cancelled, within a distance of the mark.

They carry no client order id, so that nobody takes them for the engine's, and cannot rest. What the book does not hold
within that distance stays open, and the next round tries again. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from hlhft.hyperliquid.watchdog_reading import Asset, Position
from hlhft.units import TICKS_MAX, Market, UnitsError

BPS = 10_000


def closing_orders(
    positions: Sequence[Position], assets: Mapping[str, Asset], slippage_bps: int
) -> list[dict[str, Any]]:
    """One order a position, as the wire has it. Positions of unknown markets, and of sizes that are no whole number of
    lots, have none."""
    made = (_closing_order(position, assets.get(position.coin), slippage_bps) for position in positions)
    return [order for order in made if order is not None]


def _closing_order(position: Position, asset: Asset | None, slippage_bps: int) -> dict[str, Any] | None:
    if asset is None:
        return None
    market = Market.perpetual(position.coin, asset_id=asset.asset_id, size_decimals=asset.size_decimals)
    side = -1 if position.is_long else 1
    try:
        size = market.size_text(market.lots(position.size))
    except UnitsError:
        return None
    return {
        "a": asset.asset_id,
        "b": side > 0,
        "p": market.price_text(_limit_ticks(market, position.mark, side, slippage_bps)),
        "s": size,
        "r": True,
        "t": {"limit": {"tif": "Ioc"}},
    }


def _limit_ticks(market: Market, mark: Decimal, side: int, slippage_bps: int) -> int:
    """The worst price to trade at, valid and never worse than the distance; one grid step at least."""
    exact = mark.scaleb(market.price_decimals) * (BPS + side * slippage_bps) / BPS
    rounding = ROUND_FLOOR if side > 0 else ROUND_CEILING
    ticks = min(max(int(exact.to_integral_value(rounding)), 1), TICKS_MAX)
    step = market.grid_step(ticks)
    # A buy must not pay more, so it is rounded down; a sale must not get less.
    down = max(ticks - ticks % step, step)
    return down if side > 0 or ticks % step == 0 else down + step
