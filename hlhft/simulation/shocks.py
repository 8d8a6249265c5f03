"""What a venue, a market and the account's owner do to whoever trades there, beyond network and processes.

Prices leap, a market ends, positions are closed by the venue, funding and fees change, and the owner moves money and
trades by hand. What only a block can do waits for the next one; what waits for an exchange that is down is done once it
is back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from hlhft.exchange.machine import Flow
from hlhft.exchange.synthetic_flow import SyntheticFlow
from hlhft.simulation.account import ACCOUNT, COINS, ENGINE, signer_of
from hlhft.simulation.client import CHAIN, order, orders
from hlhft.simulation.faults import Fault, FaultKind
from hlhft.simulation.time import SECOND
from hlhft.units import MICRO
from hlhft.venue.adl import DELEVERAGED, DELEVERAGES, equity_micro, move_between
from hlhft.venue.blocks import ActionKind
from hlhft.venue.chain_state import Chain
from hlhft.venue.matching import cancel_all
from hlhft.venue.outcomes import tell
from hlhft.venue.refusals import Refusal
from hlhft.venue.trade_ledger import book_trades

if TYPE_CHECKING:
    from hlhft.simulation.exchange_process import ExchangeProcess

MILLE = 1000
_E6 = 1_000_000
_LIQUIDATION = 55  # hlhft.events.EventKind
LEAST_E6, MOST_E6 = 700_000, 1_300_000  # of its price at the start a price stays within
PREMIUM_E12 = 400_000_000_000  # for which the rate of an hour is at its cap of 4 %
DOUBLE_TAKER_E9 = 900_000  # twice what the lowest tier pays
TENTH_BASIS_POINT_E9 = 10_000
NEW_KEYS = 256  # the numbers of keys that the engine gets later begin here
STRANGER = 99  # the number of a key that nobody uses
FOREIGN_ORDERS = 3  # on each side
FOREIGN_USDC = 60
FOREIGN_CLOID = "0x" + "0f" * 16  # bears nobody's mark
BlockWork = Callable[[Chain, int], None]


class ShockedFlow:
    """An order flow that stays out of markets that have ended, and blocks that do more than anybody asked for."""

    kind: ClassVar[str] = SyntheticFlow.kind

    def __init__(self, inner: SyntheticFlow) -> None:
        self.inner = inner
        self.accounts: Sequence[int] = inner.accounts
        self.ended: frozenset[int] = frozenset()
        self.each_block: dict[FaultKind, BlockWork] = {}
        self._next: list[BlockWork] = []

    def in_next_block(self, work: BlockWork) -> None:
        """The next block begins with it."""
        self._next.append(work)

    def legs(self, chain: Chain, legs: np.ndarray, first: int, ts_ns: int) -> int:
        """As of a flow."""
        works, self._next = [*self._next, *self.each_block.values()], []
        if works:
            chain.state[0]["events_booked"] = 0
            for work in works:
                work(chain, ts_ns)
            book_trades(chain, ts_ns)
        count = self.inner.legs(chain, legs, first, ts_ns)
        if not self.ended:
            return count
        written = legs[first : first + count]
        # Comparisons: np.isin sorts, and takes most of a block's time.
        is_kept = (written["kind"] == ActionKind.ORACLE_PRICE) | (written["kind"] == ActionKind.EXTERNAL_MARK)
        is_kept |= np.logical_and.reduce([written["market"] != market for market in self.ended])
        # Rows of bytes: numpy copies records field by field.
        rows = written.view(np.uint8).reshape(count, legs.dtype.itemsize)
        kept = rows[is_kept]
        rows[:] = 0
        rows[: len(kept)] = kept
        return len(kept)

    def state(self) -> dict[str, Any]:
        """As of a flow."""
        return self.inner.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        """As of a flow."""
        self.inner.restore(state)


_IS_FLOW: type[Flow] = ShockedFlow


class Shocks:
    """Does them to one exchange."""

    def __init__(self, exchange: ExchangeProcess) -> None:
        self.touched_ns = 0  # when somebody else did something to the account's orders or positions last
        self.filled_ns = 0  # when an order of the owner was filled last, or went away
        self._has_orders = False  # whether the owner ever placed orders that rest
        self._waiting_lots = 0  # of these
        self.engine_number = ENGINE  # of the key that the engine is to have
        self.revoked = False  # whether one was ever taken away
        self._exchange = exchange
        self._liquidations = 0  # of the account, that were seen
        self._taken_micro = 0  # out of the account, and not back
        self.begins: dict[FaultKind, Callable[[Fault], None]] = {
            FaultKind.PRICE_JUMP: lambda fault: self.leap(fault.size),
            FaultKind.PRICE_SHOCK: lambda fault: self.leap(fault.size),
            FaultKind.LIQUIDATION: self._take_margin,
            FaultKind.DELEVERAGING: lambda fault: self._in_block(self._deleverage),
            FaultKind.FUNDING_SPIKE: self._spike,
            FaultKind.FEE_TIER: self._change_fees,
            FaultKind.TRANSFER: self._transfer,
            FaultKind.HAND_TRADE: self._trade,
            FaultKind.FOREIGN_ORDERS: lambda fault: self._place(),
            FaultKind.KEY_REVOKED: lambda fault: exchange.once_up(self._revoke),
        }
        self.ends: dict[FaultKind, Callable[[Fault], None]] = {
            FaultKind.LIQUIDATION: lambda fault: exchange.once_up(self._give_back),
            FaultKind.FUNDING_SPIKE: lambda fault: self._calm(),
            FaultKind.FEE_TIER: lambda fault: exchange.once_up(self._usual_fees),
            FaultKind.FOREIGN_ORDERS: lambda fault: exchange.once_up(self._clear),
            FaultKind.KEY_REVOKED: lambda fault: exchange.once_up(self._approve),
        }
        self._usual: tuple[np.ndarray, np.ndarray] | None = None

    # Prices.

    def leap(self, share_e3: int, *, rows: Sequence[int] = range(len(COINS))) -> None:
        """The prices of these markets leap by so many per mille."""

        def leap(chain: Chain, ts_ns: int) -> None:
            for row in rows:
                reference = exchange.reference_ticks[row]
                exchange.flow.inner.leap(
                    row, share_e3 * MILLE, least=reference * LEAST_E6 // _E6, most=reference * MOST_E6 // _E6
                )

        exchange = self._exchange
        self._in_block(leap)

    def look(self) -> None:
        """Blocks were executed: whoever owns the account is liquidated by any price that leaps far enough."""
        liquidations = self._exchange.machine.records.liquidations
        if liquidations != self._liquidations:
            self._liquidations, self.touched_ns = liquidations, self._exchange.time.now_ns
        if self._has_orders:
            records = self._exchange.records().open
            waiting_lots = sum(records[number].lots for _, number in self.foreign())
            if waiting_lots < self._waiting_lots:
                self.filled_ns = self._exchange.time.now_ns
            self._waiting_lots = waiting_lots

    def _take_margin(self, fault: Fault) -> None:
        """The owner takes out what can be taken, and prices leap against the positions that are left behind."""
        if self._exchange.is_dead:
            return
        held = self._exchange.positions()
        state = self._exchange.account_state()
        amount = int(float(state["withdrawable"]) * MICRO) - MICRO
        if not any(held) or amount <= 0:
            return
        self._send_out(amount)
        self.touched_ns = self._exchange.time.now_ns
        for row, lots in enumerate(held):
            if lots:
                against = fault.size if lots < 0 else -fault.size
                self._exchange.time.at(
                    self._exchange.time.now_ns + SECOND, lambda row=row, by=against: self.leap(by, rows=(row,))
                )

    def _send_out(self, amount: int) -> None:
        self._taken_micro += amount
        self._act({"type": "usdClassTransfer", **CHAIN, "amount": _usdc(amount), "toPerp": False})

    def _give_back(self) -> None:
        amount, self._taken_micro = self._taken_micro, 0
        if amount > 0:
            self._exchange.machine.deposit(ACCOUNT, amount)

    # Positions.

    def _deleverage(self, chain: Chain, ts_ns: int) -> None:
        """Whoever lost to us cannot pay: our positions end at the mark."""
        venue, account = chain.exchange, self._exchange.number()
        for row in range(len(COINS)):
            held = int(venue.holdings[account, row]["position_lots"])
            loser = self._on_other_side(chain, row, held)
            if loser < 0:
                continue
            lots = min(abs(held), abs(int(venue.holdings[loser, row]["position_lots"])))
            ticks = int(venue.marks[row])
            closed = lots if held > 0 else -lots
            own, before = equity_micro(venue, loser, -1), equity_micro(venue, account, -1)
            tell(venue, _LIQUIDATION, loser, row, ticks, -closed, DELEVERAGES, own, ts_ns)
            tell(venue, _LIQUIDATION, account, row, ticks, closed, DELEVERAGED, before, ts_ns)
            move_between(venue, loser, account, row, ticks, lots, ts_ns)
            self.touched_ns = self._exchange.time.now_ns

    def _on_other_side(self, chain: Chain, row: int, held: int) -> int:
        """The account of the flow that holds most against ours, -1 where nobody does."""
        holdings = chain.exchange.holdings["position_lots"][:, row]
        against = {number: -int(np.sign(held)) * int(holdings[number]) for number in self._exchange.flow.accounts}
        best = max(against, key=lambda number: (against[number], -number))
        return best if held and against[best] > 0 else -1

    def settle(self, row: int) -> None:
        """A market has ended: what rests there ends, and our position ends at the oracle's price."""

        def settle(chain: Chain, ts_ns: int) -> None:
            venue, account = chain.exchange, self._exchange.number()
            for number in range(len(venue.collateral)):
                cancel_all(venue, number, row, Refusal.REQUESTED, ts_ns)
            held = int(venue.holdings[account, row]["position_lots"])
            if held:
                other = max(self._exchange.flow.accounts)
                move_between(venue, account, other, row, int(chain.prices[row]["oracle_ticks"]), abs(held), ts_ns)
            self.touched_ns = self._exchange.time.now_ns

        self._exchange.flow.in_next_block(settle)

    # Funding and fees.

    def _spike(self, fault: Fault) -> None:
        def spike(chain: Chain, ts_ns: int) -> None:
            for funding in chain.funding:
                funding["samples"] = max(int(funding["samples"]), 1)
                funding["premium_sum_e12"] = fault.size * PREMIUM_E12 * int(funding["samples"])

        if fault.size:
            self._exchange.flow.each_block[FaultKind.FUNDING_SPIKE] = spike

    def _calm(self) -> None:
        def calm(chain: Chain, ts_ns: int) -> None:
            chain.funding["premium_sum_e12"] = 0

        self._exchange.flow.each_block.pop(FaultKind.FUNDING_SPIKE, None)
        self._exchange.flow.in_next_block(calm)

    def _change_fees(self, fault: Fault) -> None:
        if self._exchange.is_dead:
            return
        chain, account = self._exchange.machine.kernel.chain, self._exchange.number()
        holdings = chain.exchange.holdings[account]
        if self._usual is None:
            self._usual = holdings["maker_rate_e9"].copy(), holdings["taker_rate_e9"].copy()
        holdings["maker_rate_e9"] = fault.size * TENTH_BASIS_POINT_E9
        holdings["taker_rate_e9"] = DOUBLE_TAKER_E9
        chain.fees.fixed[account] = 1

    def _usual_fees(self) -> None:
        if self._usual is None:
            return
        chain, account = self._exchange.machine.kernel.chain, self._exchange.number()
        holdings = chain.exchange.holdings[account]
        holdings["maker_rate_e9"], holdings["taker_rate_e9"] = self._usual
        chain.fees.fixed[account] = 0
        self._usual = None

    # The owner.

    def _transfer(self, fault: Fault) -> None:
        if self._exchange.is_dead:
            return
        # At most half of what can be taken out, so that it goes on.
        free = int(float(self._exchange.account_state()["withdrawable"]) * MICRO)
        amount = fault.size * MICRO if fault.size > 0 else min(-fault.size * MICRO, free // 2)
        if amount <= 0:
            return
        if fault.size > 0:
            self._exchange.machine.deposit(ACCOUNT, amount)
        else:
            self._act({"type": "usdClassTransfer", **CHAIN, "amount": _usdc(amount), "toPerp": False})

    def _trade(self, fault: Fault) -> None:
        """By hand, at market: buys or sells so many USDC of a market."""
        if self._exchange.is_dead or not fault.size:
            return
        row = fault.at_ns % len(COINS)
        if row in self._exchange.flow.ended:
            return
        self._act(orders(self._order(row, buys=fault.size > 0, usdc=abs(fault.size), away_e3=-20, tif="Ioc")))
        self.touched_ns = self._exchange.time.now_ns

    def _place(self) -> None:
        """Orders that are not the engine's, some of them without a client id."""
        if self._exchange.is_dead:
            return
        placed = [
            self._order(row, buys=buys, usdc=FOREIGN_USDC, away_e3=40 + 5 * place, tif="Alo", has_cloid=place == 0)
            for row in range(len(COINS)) if row not in self._exchange.flow.ended
            for buys in (True, False) for place in range(FOREIGN_ORDERS)
        ]  # fmt: skip
        self._act(orders(*placed))
        self._has_orders = True
        self.touched_ns = self._exchange.time.now_ns

    def _order(
        self, row: int, *, buys: bool, usdc: int, away_e3: int, tif: str, has_cloid: bool = False
    ) -> dict[str, Any]:
        market, mark = self._exchange.markets[row], int(self._exchange.marks()[row])
        side = 1 if buys else -1
        ticks = market.quantise(mark * (1 - side * away_e3 / MILLE), side=side)
        lots = max(1, usdc * MICRO // max(market.micro(mark, 1), 1))
        return order(
            asset=row, buys=buys, price=market.price_text(ticks), size=market.size_text(lots), tif=tif,
            cloid=FOREIGN_CLOID if has_cloid else None,
        )  # fmt: skip

    def foreign(self) -> list[tuple[int, int]]:
        """The orders of the account that bear no mark of ours, as market and number."""
        own = self._exchange.own_numbers()
        return [(one.row, number) for number, one in self._exchange.records().open.items() if number not in own]

    def _clear(self) -> None:
        """The owner cancels what is left of his orders."""
        left = [{"a": row, "o": number} for row, number in self.foreign()]
        if left:
            self._act({"type": "cancel", "cancels": left})

    def _revoke(self) -> None:
        """Another key under the same name takes its place."""
        self.revoked = True
        self._act(approval(ENGINE, of=STRANGER))

    def _approve(self) -> None:
        """A key that was taken away is no API wallet again (venue reference section 5.4): the owner makes a new one."""
        self.engine_number = max(self.engine_number + 1, NEW_KEYS)
        self._act(approval(ENGINE, of=self.engine_number))

    def _act(self, action: dict[str, Any]) -> None:
        self._exchange.owner_acts(action)

    def _in_block(self, work: BlockWork) -> None:
        self._exchange.flow.in_next_block(work)


def approval(number: int, *, of: int | None = None) -> dict[str, Any]:
    """The action that makes the key of that number an API wallet; with `of` another one in its place."""
    address = signer_of(number if of is None else of).address
    return {"type": "approveAgent", **CHAIN, "agentAddress": address, "agentName": f"agent {number}"}


def _usdc(micro: int) -> str:
    return f"{micro // MICRO}.{micro % MICRO:06d}".rstrip("0").rstrip(".")
