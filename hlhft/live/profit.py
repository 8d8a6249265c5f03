"""Where a session's money comes from while it runs: spread, inventory, basis, fees, rebates and funding, each from its
records; and, by the other split, what closed trades gained at average cost and what the open position did.

The same split as `hlhft.report.attribution` makes of a finished run, kept as sums, so that it costs a few additions a
fill. The change in equity comes from cash, position and mark instead, so what the parts do not explain is a residual
and shows that a record is missing. Everything is whole: a grain is the micro-USDC over twice the finest market's
denominator. What a part of a position cost is rounded down to a grain; the rest of the position bears the difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from hlhft.live.view import Profit
from hlhft.units import MICRO, Market


class Booked(NamedTuple):
    """What fills and payments of one market add up to, whole, under the names that the core's books have for it."""

    position_lots: int
    cash_quanta: int  # ticks x lots, negative after buying
    fee_micro: int  # paid, less rebates
    funding_micro: int  # received


@dataclass(slots=True)
class _Sums:
    """One market; prices are twice the ticks, money is grains over the market's scale until it is read."""

    position_lots: int = 0
    mid_half_ticks: int = 0
    spread: int = 0
    inventory: int = 0
    cash: int = 0  # negative of what was paid for what was bought
    cost: int = 0  # of the open position at average cost, of its sign
    realised: int = 0
    fee_micro: int = 0  # paid
    rebate_micro: int = 0  # received
    funding_micro: int = 0
    # By how a fill came: bought as maker and as taker, sold as maker and as taker.
    fills: list[int] = field(default_factory=lambda: [0] * 4)
    filled: list[int] = field(default_factory=lambda: [0] * 4)  # what they were worth


class ProfitTally:
    """The running split of `markets`, which are flat at its beginning, or valued at the mark given to `opened`."""

    def __init__(self, markets: Sequence[Market]) -> None:
        records = [market.record()[0] for market in markets]
        denominator = max((int(record["micro_denominator"]) for record in records), default=1)
        self._scales = [
            int(record["micro_numerator"]) * (denominator // int(record["micro_denominator"])) for record in records
        ]
        self._grains_per_micro = 2 * denominator
        self._sums = [_Sums() for _ in markets]
        self._marks = [0] * len(markets)  # twice the ticks, 0 unknown

    def opened(self, market: int, *, position_lots: int, mark_ticks: int) -> None:
        """Begins with a position of an earlier session, worth 0 at its mark. Nothing was told of the market yet."""
        sums = self._sums[market]
        assert sums == _Sums(), "a market is opened before anything else"
        sums.position_lots = position_lots
        sums.cost = position_lots * 2 * mark_ticks
        sums.cash = -sums.cost
        sums.mid_half_ticks = self._marks[market] = 2 * mark_ticks

    def moved(self, market: int, *, mid_half_ticks: int, mark_ticks: int = 0) -> None:
        """Takes the market's mid, twice its ticks, and its mark; 0 where unknown, which leaves the last one."""
        sums = self._sums[market]
        if mid_half_ticks:
            if sums.mid_half_ticks:
                sums.inventory += sums.position_lots * (mid_half_ticks - sums.mid_half_ticks)
            sums.mid_half_ticks = mid_half_ticks
        if mark_ticks:
            self._marks[market] = 2 * mark_ticks

    def filled(
        self,
        market: int,
        *,
        side: int,
        price_ticks: int,
        size_lots: int,
        mid_half_ticks: int,
        fee_micro: int,
        is_maker: bool,
    ) -> None:
        """Takes a fill of ours, side 1 bought and -1 sold, at the mid known then; 0 leaves the last one. A fee below 0
        is a rebate.

        Before any mid is known the price itself stands for it: such a fill makes no spread.
        """
        self.moved(market, mid_half_ticks=mid_half_ticks)
        sums = self._sums[market]
        if not sums.mid_half_ticks:
            sums.mid_half_ticks = 2 * price_ticks
        change = side * size_lots
        sums.spread += change * (sums.mid_half_ticks - 2 * price_ticks)
        sums.cash -= change * 2 * price_ticks
        _realise(sums, change, 2 * price_ticks)
        sums.position_lots += change
        if fee_micro > 0:
            sums.fee_micro += fee_micro
        else:
            sums.rebate_micro -= fee_micro
        way = (0 if side > 0 else 2) + (0 if is_maker else 1)
        sums.fills[way] += 1
        sums.filled[way] += size_lots * 2 * price_ticks

    def funded(self, market: int, *, amount_micro: int) -> None:
        """Takes a payment of funding, positive when it was received."""
        self._sums[market].funding_micro += amount_micro

    def position_lots(self, market: int) -> int:
        """The position that the fills add up to."""
        return self._sums[market].position_lots

    def booked(self, market: int) -> Booked:
        """What the fills and payments add up to, without what they were split into."""
        sums = self._sums[market]
        return Booked(sums.position_lots, sums.cash // 2, sums.fee_micro - sums.rebate_micro, sums.funding_micro)

    def grains(self, market: int) -> tuple[int, ...]:
        """Total, spread, inventory, basis, fees, rebates, funding, realised and unrealised of one market in grains.
        The total comes from cash, position, fees and funding, and is the sum of the six that follow it."""
        return self._parts(market)

    def fills(self, market: int) -> tuple[tuple[int, float], ...]:
        """How many fills there were and their worth in USDC, of those bought as maker and as taker, sold as maker and
        as taker."""
        sums = self._sums[market]
        usdc = self._grains_per_micro * MICRO
        return tuple(
            (count, worth * self._scales[market] / usdc)
            for count, worth in zip(sums.fills, sums.filled, strict=True)
        )  # fmt: skip

    def profit(self, market: int | None = None) -> Profit:
        """The split of one market, or of all, in USDC."""
        chosen = range(len(self._sums)) if market is None else (market,)
        parts = [self._parts(one) for one in chosen]
        total, spread, inventory, basis, fees, rebates, funding, realised, unrealised = (
            sum(column) for column in zip(*parts, strict=True)
        )
        usdc = self._grains_per_micro * MICRO
        return Profit(
            total=total / usdc,
            spread=spread / usdc,
            inventory=inventory / usdc,
            basis=basis / usdc,
            fees=(fees + rebates) / usdc,
            funding=funding / usdc,
            residual=(total - spread - inventory - basis - fees - rebates - funding) / usdc,
            rebates=rebates / usdc,
            realised=realised / usdc,
            unrealised=unrealised / usdc,
        )

    def _parts(self, market: int) -> tuple[int, ...]:
        """Total, spread, inventory, basis, fees, rebates, funding, realised and unrealised of one market in grains."""
        sums, scale, grains = self._sums[market], self._scales[market], self._grains_per_micro
        value = self._marks[market] or sums.mid_half_ticks
        fees, rebates, funding = -sums.fee_micro * grains, sums.rebate_micro * grains, sums.funding_micro * grains
        held = sums.cash + sums.position_lots * value
        basis = sums.position_lots * (value - sums.mid_half_ticks)
        total = held * scale + fees + rebates + funding
        unrealised = sums.position_lots * value - sums.cost
        return (
            total, sums.spread * scale, sums.inventory * scale, basis * scale, fees, rebates, funding,
            sums.realised * scale, unrealised * scale,
        )  # fmt: skip


def _realise(sums: _Sums, change: int, half_ticks: int) -> None:
    """Takes what a fill closes out of the position's cost, and puts what it opens in. `change` lots, signed, at a price
    of `half_ticks`; the position is that before it."""
    position = sums.position_lots
    closed = 0
    if position * change < 0:
        closed = -position if abs(change) >= abs(position) else change
        cost = sums.cost * -closed // position
        sums.realised += -closed * half_ticks - cost
        sums.cost -= cost
    sums.cost += (change - closed) * half_ticks
