"""One market's metrics: prices, position, profit, orders, fills, and what models say, as the engine has them."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from hlhft.core.signals import E6
from hlhft.core.state import ORDER_DTYPE, POSITION_DTYPE, OrderState
from hlhft.live.engine import Engine
from hlhft.live.profit import ProfitTally
from hlhft.live.sheet import Sheet
from hlhft.monitor.block import BlockWriter
from hlhft.units import FUNDING_SCALE, MICRO, RATE_SCALE

NS_PER_S = 1e9
E9_PER_BP = 1e5
_WAYS = (("buy", "maker"), ("buy", "taker"), ("sell", "maker"), ("sell", "taker"))  # as ProfitTally.fills has them
_OUTCOMES = ("hit", "miss", "flat")  # as hlhft.live.signal_judge.Outcome numbers them
_OUTPUTS = (("gamma", 1.0), ("signal", 1.0), ("spread", 1.0), ("asymmetry", 0.0))  # and what stands without a policy
_RESTING = frozenset({OrderState.OPEN, OrderState.PARTIAL, OrderState.CANCEL_SENT, OrderState.REPLACING})
_POSITION = POSITION_DTYPE.names or ()
_STATE, _SIDE, _PRICE, _UNKNOWN_NS = (
    (ORDER_DTYPE.names or ()).index(name) for name in ("state", "side", "price_ticks", "unknown_ns")
)


class OrderScan(NamedTuple):
    """The orders of one market at one moment."""

    bids: int = 0  # that rest
    asks: int = 0
    best_bid_ticks: int = 0  # of ours, 0 for none
    best_ask_ticks: int = 0
    unknown: int = 0
    unknown_ns: int = 0  # since when the fate of the oldest such order is unknown


class MarketMetrics:
    """Copies what is known of one market, the row of the engine's."""

    def __init__(self, engine: Engine, row: int, tally: ProfitTally, block: BlockWriter) -> None:
        market = engine.parts.markets[row]
        self.scan = OrderScan()  # of the last copy
        self._engine = engine
        self._row = row
        self._tally = tally
        self._sheet = Sheet(block, market.name)
        # A division gives the number nearest to the decimal one, a multiplication with 10^-n does not.
        self._ticks, self._lots = 10.0**market.price_decimals, 10.0**market.size_decimals  # in one

    def copy(self, now_ns: int, passed_s: float) -> None:
        """Copies all of it; `passed_s` of trading since the last time, 0 before the first decision."""
        brain, row = self._engine.parts.brain, self._row
        position = dict(zip(_POSITION, brain.lane.positions[row].item(), strict=True))
        book = brain.data.books[row]
        mark_ticks = int(book["mark_ticks"])
        self._copy_position(position["position_lots"], mark_ticks)
        self._copy_profit()
        self._copy_book(book, mark_ticks, now_ns)
        for liquidity in ("maker", "taker"):
            self._sheet["hlhft_fee_ratio", liquidity] = position[f"{liquidity}_rate_e9"] / RATE_SCALE
        self._copy_orders(int(book["best_bid_ticks"]), int(book["best_ask_ticks"]), position["active_count"], passed_s)
        self._copy_fills()
        self._copy_signal(position, now_ns)
        self._copy_policy(position, now_ns)

    def _copy_position(self, lots: int, mark_ticks: int) -> None:
        sheet, limits = self._sheet, self._engine.parts.brain.limits
        market = self._engine.parts.markets[self._row]
        worth = market.micro(mark_ticks, abs(lots)) / MICRO if mark_ticks or not lots else math.nan
        limit, lots_max = (
            int(limits[name][0]) for name in ("position_notional_micro_max", "position_lots_max")
        )  # fmt: skip
        if limit:
            share = worth * MICRO / limit
        else:
            share = abs(lots) / lots_max if lots_max else math.nan
        sheet["hlhft_position_size"] = lots / self._lots
        sheet["hlhft_position_usdc"] = math.copysign(worth, lots) if lots else 0.0
        sheet["hlhft_position_limit_usdc"] = limit / MICRO
        sheet["hlhft_inventory_skew_percent"] = math.copysign(min(100.0 * share, 100.0), lots) if lots else 0.0

    def _copy_profit(self) -> None:
        sheet = self._sheet
        self._engine.value(self._row)
        profit = self._tally.profit(self._row)
        sheet["hlhft_profit_usdc", "spread"] = profit.spread
        sheet["hlhft_profit_usdc", "inventory"] = profit.inventory
        sheet["hlhft_profit_usdc", "basis"] = profit.basis
        sheet["hlhft_profit_usdc", "fees"] = profit.fees - profit.rebates
        sheet["hlhft_profit_usdc", "rebates"] = profit.rebates
        sheet["hlhft_profit_usdc", "funding"] = profit.funding
        sheet["hlhft_profit_total_usdc"] = profit.total
        sheet["hlhft_profit_realised_usdc"] = profit.realised
        sheet["hlhft_profit_unrealised_usdc"] = profit.unrealised
        sheet["hlhft_profit_residual_usdc"] = profit.residual

    def _copy_book(self, book: Any, mark_ticks: int, now_ns: int) -> None:
        sheet = self._sheet
        received_ns = int(book["time_local_ns"])
        sheet["hlhft_best_price", "bid"] = self._price(int(book["best_bid_ticks"]))
        sheet["hlhft_best_price", "ask"] = self._price(int(book["best_ask_ticks"]))
        sheet["hlhft_mark_price"] = self._price(mark_ticks)
        sheet["hlhft_funding_rate_ratio"] = int(book["funding_rate_e12"]) / FUNDING_SCALE
        sheet["hlhft_feed_fresh"] = float(self._engine.feed.fresh[self._row])
        sheet["hlhft_feed_age_seconds"] = (now_ns - received_ns) / NS_PER_S if received_ns else math.nan

    def _price(self, ticks: int) -> float:
        return ticks / self._ticks if ticks else math.nan

    def _copy_orders(self, bid_ticks: int, ask_ticks: int, active: int, passed_s: float) -> None:
        sheet, lane, row = self._sheet, self._engine.parts.brain.lane, self._row
        scan = self.scan = scan_orders(lane.orders[row], lane.active[row][:active]) if active else OrderScan()
        middle = (bid_ticks + ask_ticks) / 2 if bid_ticks and ask_ticks else math.nan
        for side, count, best, sign in (
            ("buy", scan.bids, scan.best_bid_ticks, 1), ("sell", scan.asks, scan.best_ask_ticks, -1),
        ):  # fmt: skip
            sheet["hlhft_quotes", side] = count
            sheet["hlhft_quote_distance_ratio", side] = sign * (middle - best) / middle if count else math.nan
        is_quoting = scan.bids > 0 and scan.asks > 0
        sheet["hlhft_quoting"] = float(is_quoting)
        sheet.add("hlhft_quoting_seconds_total", passed_s if is_quoting else 0.0)

    def _copy_fills(self) -> None:
        sheet = self._sheet
        for (side, liquidity), (count, worth) in zip(_WAYS, self._tally.fills(self._row), strict=True):
            sheet["hlhft_fills_total", side, liquidity] = count
            sheet["hlhft_filled_usdc_total", side, liquidity] = worth

    def _copy_signal(self, position: dict[str, int], now_ns: int) -> None:
        sheet, judged = self._sheet, self._engine.judge.markets[self._row]
        stands = position["signal_until_ns"] > now_ns
        sheet["hlhft_signal_bp"] = position["signal_e9"] / E9_PER_BP if stands else 0.0
        sheet["hlhft_signal_deviation_bp"] = position["signal_deviation_e9"] / E9_PER_BP if stands else 0.0
        sheet["hlhft_signal_standing"] = float(stands)
        sheet["hlhft_signal_age_seconds"] = (now_ns - judged.data_ns) / NS_PER_S if judged.data_ns else math.nan
        for outcome, count in zip(_OUTCOMES, judged.counts, strict=True):
            sheet["hlhft_signals_judged_total", outcome] = count
        sheet["hlhft_signal_surprise_total"] = judged.surprise

    def _copy_policy(self, position: dict[str, int], now_ns: int) -> None:
        sheet = self._sheet
        stands = position["policy_until_ns"] > now_ns
        sheet["hlhft_policy_standing"] = float(stands)
        for name, without in _OUTPUTS:
            sheet["hlhft_policy_output", name] = position[f"policy_{name}_e6"] / E6 if stands else without


def scan_orders(orders: np.ndarray, active: np.ndarray) -> OrderScan:
    """What ORDER_DTYPE `orders` are like at the places `active`, int16[n]."""
    bids = asks = unknown = unknown_ns = best_bid = best_ask = 0
    for order in orders[active].tolist():
        state, price = order[_STATE], order[_PRICE]
        if state in _RESTING:
            if order[_SIDE] > 0:
                bids += 1
                best_bid = max(best_bid, price)
            else:
                asks += 1
                best_ask = min(best_ask, price) if best_ask else price
        elif state == OrderState.UNKNOWN:
            unknown += 1
            unknown_ns = min(unknown_ns, order[_UNKNOWN_NS]) if unknown_ns else order[_UNKNOWN_NS]
    return OrderScan(bids, asks, best_bid, best_ask, unknown, unknown_ns)
