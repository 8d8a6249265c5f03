"""What an account has, as the venue writes it: the algebra of venue reference section 3.2, in whole numbers until the
text is made.

Amounts are cut off (toward zero) at six decimals, entry prices at the market's, ratios and liquidation prices at ten:
entry price, margin and return on equity of the recorded account of 2026 come out to the last digit.
"""

from __future__ import annotations

from fractions import Fraction

from hlhft.exchange.fill_records import MICRO_DECIMALS, Entry
from hlhft.exchange.listing import Listed
from hlhft.exchange.memory import AccountRecords
from hlhft.exchange.records import Records
from hlhft.hyperliquid.wire import answer_number
from hlhft.venue.chain_state import Chain
from hlhft.venue.margin import (
    available_micro,
    cross_equity_micro,
    cross_maintenance_micro,
    isolated_equity_micro,
    maintenance_micro,
)
from hlhft.venue.transfers import account_withdrawable_micro

RATIO_DECIMALS = 10


def usd(micro: int) -> str:
    """Micro-USDC as the wire shows it."""
    return answer_number(micro, MICRO_DECIMALS)


def ratio_text(ratio: Fraction) -> str:
    """A ratio or price cut off at ten decimals."""
    scaled = abs(ratio.numerator) * 10**RATIO_DECIMALS // ratio.denominator
    return answer_number(-scaled if ratio < 0 else scaled, RATIO_DECIMALS)


def entry_text(entry: Entry, listed: Listed) -> str:
    """The average entry price with the market's decimals, cut off; "0.0" without a position."""
    ticks = entry.basis_quanta // abs(entry.lots) if entry.lots else 0
    return answer_number(ticks, listed.market.price_decimals)


def liquidation_price(
    tiers: tuple[tuple[int, int], ...], *, lots: int, mark_ticks: int, equity_micro: int, other_micro: int, unit: int
) -> Fraction | None:
    """The mark in ticks, exact, at which equity no longer covers maintenance margin; None when it would be 0 or less.

    `equity_micro` is the account's (cross) or the position's (isolated), `other_micro` the maintenance margin of the
    account's other cross positions, `unit` the micro-USDC in a tick times a lot, `tiers` as in a listing. The formula
    is venue reference section 10's, with the tier that holds at the price itself.
    """
    side = 1 if lots > 0 else -1
    size = abs(lots) * unit
    price = deduction = Fraction(0)
    rate_before = Fraction(1, 2 * tiers[0][1])
    for row, (bound, leverage) in enumerate(tiers):
        rate = Fraction(1, 2 * leverage)
        deduction += bound * (rate - rate_before)
        rate_before = rate
        available = equity_micro - other_micro - (mark_ticks * size * rate - deduction)
        price = mark_ticks - side * available / size / (1 - rate * side)
        if price <= 0 or (row + 1 < len(tiers) and price * size < tiers[row + 1][0]):
            break
    return price if price > 0 else None


class AccountView:
    """One account as the chain and the records have it now. Made for one answer, then dropped."""

    def __init__(self, chain: Chain, records: Records, account: int) -> None:
        self.account = account
        self.chain = chain
        self.listing = records.listing
        self.records: AccountRecords = records.account(account)
        exchange = chain.exchange
        self._holdings = exchange.holdings[account]
        self._margins = exchange.margins[account]
        self.cross_equity = int(
            cross_equity_micro(
                exchange.collateral[account], self._holdings, self._margins, exchange.markets, exchange.marks
            )
        )
        self.cross_maintenance = int(
            cross_maintenance_micro(self._holdings, self._margins, exchange.markets, exchange.marks, exchange.tiers)
        )
        self.available = int(
            available_micro(
                exchange.collateral[account],
                self._holdings,
                self._margins,
                exchange.resting[account],
                exchange.markets,
                exchange.marks,
            )
        )

    def lots(self, row: int) -> int:
        """The signed position in a market."""
        return int(self._holdings[row]["position_lots"])

    def mark(self, row: int) -> int:
        """The mark of a market in ticks, 0 unknown."""
        return int(self.chain.exchange.marks[row])

    def is_isolated(self, row: int) -> bool:
        """Whether the market's margin is its own."""
        return bool(self._margins[row]["isolated"])

    def leverage(self, row: int) -> int:
        """The account's leverage setting in a market."""
        return int(self._holdings[row]["leverage"])

    def notional(self, row: int) -> int:
        """|position| x mark in micro-USDC."""
        return self.listing.markets[row].market.micro(self.mark(row), abs(self.lots(row)))

    def isolated_equity(self, row: int) -> int:
        """Equity of an isolated position in micro-USDC."""
        exchange = self.chain.exchange
        return int(
            isolated_equity_micro(self._holdings[row], self._margins[row], exchange.markets[row], exchange.marks[row])
        )

    def margin_used(self, row: int) -> int:
        """What a position ties up in micro-USDC: its share of a cross account, or all of an isolated one."""
        if self.is_isolated(row):
            return self.isolated_equity(row)
        return self.notional(row) // max(self.leverage(row), 1)

    def withdrawable(self) -> int:
        """What may leave the cross account in micro-USDC."""
        return int(account_withdrawable_micro(self.chain.exchange, self.account))

    def leverage_shape(self, row: int) -> dict[str, object]:
        """The leverage setting; an isolated position's with its raw USD."""
        if not self.is_isolated(row):
            return {"type": "cross", "value": self.leverage(row)}
        signed = self.notional(row) * (1 if self.lots(row) > 0 else -1)
        raw = usd(self.isolated_equity(row) - signed)
        return {"type": "isolated", "value": self.leverage(row), "rawUsd": raw}

    def entry(self, row: int) -> Entry:
        """Entry prices as remembered, brought to the position that the chain has."""
        remembered = self.records.entries.get(row, Entry())
        lots = self.lots(row)
        if remembered.lots != lots:
            remembered.adjust(lots, self.mark(row))
        return remembered

    def position(self, row: int) -> dict[str, object]:
        """The shape of one position."""
        listed = self.listing.markets[row]
        market = listed.market
        lots, mark, notional, entry = self.lots(row), self.mark(row), self.notional(row), self.entry(row)
        side = 1 if lots > 0 else -1
        basis = market.micro(1, entry.basis_quanta)
        profit = side * (notional - basis)
        leverage = max(self.leverage(row), 1)
        margin = Fraction(basis, leverage)
        return {
            "coin": market.name,
            "szi": answer_number(lots, market.size_decimals),
            "leverage": self.leverage_shape(row),
            "entryPx": entry_text(entry, listed),
            "positionValue": usd(notional),
            "unrealizedPnl": usd(profit),
            "returnOnEquity": ratio_text(profit / margin) if margin else "0.0",
            "liquidationPx": self._liquidation_text(row, lots, mark),
            "marginUsed": usd(self.margin_used(row)),
            "maxLeverage": market.maximum_leverage,
            "cumFunding": {
                "allTime": usd(entry.funding_paid_micro),
                "sinceOpen": usd(entry.funding_since_open_micro),
                "sinceChange": usd(entry.funding_since_change_micro),
            },
        }

    def _liquidation_text(self, row: int, lots: int, mark: int) -> str | None:
        listed = self.listing.markets[row]
        tiers = listed.tiers or ((0, listed.market.maximum_leverage),)
        if self.is_isolated(row):
            equity, others = self.isolated_equity(row), 0
        else:
            own = int(maintenance_micro(self.chain.exchange.tiers[row], self.notional(row)))
            equity, others = self.cross_equity, self.cross_maintenance - own
        price = liquidation_price(
            tiers,
            lots=lots,
            mark_ticks=mark,
            equity_micro=equity,
            other_micro=others,
            unit=listed.market.micro(1, 1),
        )
        return None if price is None else ratio_text(price / 10**listed.market.price_decimals)

    def state(self, time_ms: int) -> dict[str, object]:
        """The shape of `clearinghouseState`."""
        held = [row for row in self.listing.perpetuals if self.lots(row) != 0]
        isolated = [row for row in held if self.is_isolated(row)]
        equity = self.cross_equity + sum(self.isolated_equity(row) for row in isolated)
        cross = [row for row in held if not self.is_isolated(row)]
        return {
            "marginSummary": self._summary(equity, held),
            "crossMarginSummary": self._summary(self.cross_equity, cross),
            "crossMaintenanceMarginUsed": usd(self.cross_maintenance),
            "withdrawable": usd(self.withdrawable()),
            "assetPositions": [{"type": "oneWay", "position": self.position(row)} for row in held],
            "time": time_ms,
        }

    def _summary(self, equity: int, rows: list[int]) -> dict[str, object]:
        signed = sum(self.notional(row) * (1 if self.lots(row) > 0 else -1) for row in rows)
        return {
            "accountValue": usd(equity),
            "totalNtlPos": usd(sum(self.notional(row) for row in rows)),
            "totalRawUsd": usd(equity - signed),
            "totalMarginUsed": usd(sum(self.margin_used(row) for row in rows)),
        }

    def available_to_trade(self, row: int) -> tuple[int, int]:
        """What the account can still buy and sell in a market in micro-USDC of margin. Closing needs none, and frees
        what a cross position ties up for as much on the other side (the venue's own sum is unverified)."""
        free = max(self.available, 0)
        closing = 2 * self.margin_used(row) if not self.is_isolated(row) else self.margin_used(row)
        lots = self.lots(row)
        return (free + (closing if lots < 0 else 0), free + (closing if lots > 0 else 0))

    def active_asset(self, row: int, user: str) -> dict[str, object]:
        """The shape of `activeAssetData`; what can be traded is margin times leverage at the mark."""
        listed, mark = self.listing.markets[row], self.mark(row)
        market = listed.market
        sides = self.available_to_trade(row)
        unit = market.micro(mark, 1)
        sizes = [margin * self.leverage(row) // unit if unit else 0 for margin in sides]
        return {
            "user": user,
            "coin": market.name,
            "leverage": self.leverage_shape(row),
            "maxTradeSzs": [answer_number(size, market.size_decimals) for size in sizes],
            "availableToTrade": [usd(margin) for margin in sides],
            "markPx": answer_number(mark, market.price_decimals),
        }
