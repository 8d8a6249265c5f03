"""Where a session's money comes from while it runs: spread, inventory, basis, fees and funding, each from its records.

The same split as `hlhft.report.attribution` makes of a finished run, kept as sums, so that it costs a few additions a
fill. The change in equity comes from cash, position and mark instead, so what the parts do not explain is a residual
and shows that a record is missing. Everything is whole: a grain is the micro-USDC over twice the finest market's
denominator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hlhft.live.view import Profit
from hlhft.units import MICRO, Market


@dataclass(slots=True)
class _Sums:
    """One market; prices are twice the ticks, money is grains over the market's scale until it is read."""

    position_lots: int = 0
    mid_half_ticks: int = 0
    spread: int = 0
    inventory: int = 0
    cash: int = 0  # negative of what was paid for what was bought
    fee_micro: int = 0
    funding_micro: int = 0


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
        sums.cash = -position_lots * 2 * mark_ticks
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
        self, market: int, *, side: int, price_ticks: int, size_lots: int, mid_half_ticks: int, fee_micro: int
    ) -> None:
        """Takes a fill of ours, side 1 bought and -1 sold, at the mid known then; 0 leaves the last one.

        Before any mid is known the price itself stands for it: such a fill makes no spread.
        """
        self.moved(market, mid_half_ticks=mid_half_ticks)
        sums = self._sums[market]
        if not sums.mid_half_ticks:
            sums.mid_half_ticks = 2 * price_ticks
        change = side * size_lots
        sums.spread += change * (sums.mid_half_ticks - 2 * price_ticks)
        sums.cash -= change * 2 * price_ticks
        sums.position_lots += change
        sums.fee_micro += fee_micro

    def funded(self, market: int, *, amount_micro: int) -> None:
        """Takes a payment of funding, positive when it was received."""
        self._sums[market].funding_micro += amount_micro

    def position_lots(self, market: int) -> int:
        """The position that the fills add up to."""
        return self._sums[market].position_lots

    def profit(self, market: int | None = None) -> Profit:
        """The split of one market, or of all, in USDC."""
        chosen = range(len(self._sums)) if market is None else (market,)
        parts = [self._parts(one) for one in chosen]
        total, spread, inventory, basis, fees, funding = (sum(column) for column in zip(*parts, strict=True))
        usdc = self._grains_per_micro * MICRO
        return Profit(
            total=total / usdc,
            spread=spread / usdc,
            inventory=inventory / usdc,
            basis=basis / usdc,
            fees=fees / usdc,
            funding=funding / usdc,
            residual=(total - spread - inventory - basis - fees - funding) / usdc,
        )

    def _parts(self, market: int) -> tuple[int, ...]:
        """Total, spread, inventory, basis, fees and funding of one market in grains."""
        sums, scale = self._sums[market], self._scales[market]
        value = self._marks[market] or sums.mid_half_ticks
        fees, funding = -sums.fee_micro * self._grains_per_micro, sums.funding_micro * self._grains_per_micro
        held = sums.cash + sums.position_lots * value
        basis = sums.position_lots * (value - sums.mid_half_ticks)
        total = held * scale + fees + funding
        return total, sums.spread * scale, sums.inventory * scale, basis * scale, fees, funding
