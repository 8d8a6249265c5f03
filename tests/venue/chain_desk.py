"""A whole venue to send legs to: two perpetuals and a spot pair, and what happened in words."""

from __future__ import annotations

from typing import Any

import numpy as np

from hlhft.events import EventKind
from hlhft.units import Market
from hlhft.venue import rules as rule_sets
from hlhft.venue.blocks import ACTION_DTYPE, ActionKind, TimeInForce
from hlhft.venue.chain import run_block
from hlhft.venue.chain_state import new_chain
from hlhft.venue.margin import tier_table
from hlhft.venue.refusals import Refusal

USDC = 1_000_000
COIN = 10**8
SECOND = 1_000_000_000
START = 1_760_000_000 * SECOND  # not on an hour: 2025-10-09 08:53:20

# BTC: a tick is 0.1 USDC and a lot 0.00001, so a lot at 1000.0 (10,000 ticks) is worth 0.01 USDC. ETH likewise.
BTC = Market.perpetual("BTC", asset_id=0, size_decimals=5, maximum_leverage=40)
ETH = Market.perpetual("ETH", asset_id=1, size_decimals=5, maximum_leverage=10)
# HYPE: a tick is 1e-6 USDC and a lot 0.01.
HYPE = Market.spot("HYPE/USDC", asset_id=10_001, size_decimals=2)
MARKETS = np.concatenate([BTC.record(), ETH.record(), HYPE.record()])
TIERS = np.array([tier_table([(0, 40), (10_000 * USDC, 20)]), tier_table([(0, 10)]), tier_table([(0, 1)])])
AT = 10_000  # where everything trades

PERP, OTHER, SPOT = 0, 1, 2
BUY, SELL = 1, -1
ALO, GTC, IOC = TimeInForce.ALO, TimeInForce.GTC, TimeInForce.IOC


class ChainDesk:
    """Blocks for tests: legs wait until `run`; prices 5,000 to 14,999 ticks."""

    def __init__(self, *, accounts: int = 5, slots: int = 256, **options: Any) -> None:
        rules = rule_sets.hyperliquid()
        rules["minimum_notional_micro"] = 0
        records = MARKETS.copy()
        records["minimum_notional_micro"] = 0
        self.chain = new_chain(
            records, rules, accounts=accounts, base_ticks=[5_000] * 3, width=10_000, slots=slots, start_ns=START,
            tiers=TIERS, legs_max=256, **options,
        )  # fmt: skip
        self.exchange = self.chain.exchange
        self.now_ns = START
        self._waiting: list[dict[str, int]] = []
        self._actions = 0

    def leg(self, kind: ActionKind, account: int = 0, **fields: int) -> ChainDesk:
        self._actions += 1
        self._waiting.append({"action": self._actions, "kind": kind, "account": account, **fields})
        return self

    def place(
        self, account: int, side: int, price: int, lots: int, tif: int = GTC, market: int = PERP, **more: int
    ) -> ChainDesk:
        return self.leg(
            ActionKind.PLACE, account, market=market, side=side, price_ticks=price, size_lots=lots, time_in_force=tif,
            **more,
        )  # fmt: skip

    def oracle(self, price: int = AT, market: int = PERP) -> ChainDesk:
        return self.leg(ActionKind.ORACLE_PRICE, market=market, price_ticks=price)

    def mark(self, price: int, market: int = PERP) -> ChainDesk:
        """Two of the three prices behind the mark, so that it is this one."""
        return self.oracle(price, market).leg(ActionKind.EXTERNAL_MARK, market=market, price_ticks=price)

    def deposit(self, account: int, micro: int, token: int = 0) -> ChainDesk:
        return self.leg(ActionKind.DEPOSIT, account, amount=micro, token=token)

    def open(self, *accounts: int, micro: int = 1_000 * USDC) -> ChainDesk:
        """Prices for both perpetuals, and collateral for the accounts."""
        self.oracle().oracle(market=OTHER)
        for account in accounts:
            self.deposit(account, micro)
        self.run()
        return self

    def trade(self, buyer: int, seller: int, lots: int, price: int = AT, market: int = PERP) -> None:
        """The seller takes the buyer's order."""
        self.place(buyer, BUY, price, lots, ALO, market).place(seller, SELL, price, lots, GTC, market)
        kinds = [event[0] for event in self.run()]
        assert kinds.count(EventKind.ORDER_FILLED) == 2, kinds

    def run(self, after_ns: int = 75_000_000) -> list[tuple[Any, ...]]:
        """Executes what waits as the next block; (kind, account, …) of each event, and nothing is lost."""
        legs = np.zeros(len(self._waiting), ACTION_DTYPE)
        for row, fields in zip(legs, self._waiting):
            for name, value in fields.items():
                row[name] = value
        self._waiting.clear()
        self.now_ns += after_ns
        run_block(self.chain, legs, len(legs), self.now_ns)
        engine = self.exchange.engine[0]
        self.raw = self.exchange.events[: engine["event_count"]].copy()
        engine["event_count"] = 0
        assert self.chain.state[0]["broken"] == 0
        assert {int(row["leg"]) for row in self.raw} >= set(range(len(legs))), "every leg is answered"
        return [told(row) for row in self.raw]

    def only(self, kind: EventKind) -> list[np.void]:
        """The events of a kind in the last block."""
        return [row for row in self.raw if row["kind"] == kind]

    def refusals(self) -> list[Refusal]:
        """The refusals of the last block, 0 for a leg that was done."""
        found = []
        for row in self.raw:
            if row["kind"] in (EventKind.ACTION_REFUSED, EventKind.ORDER_REJECTED):
                found.append(Refusal(int(row["aux0"])))
            elif row["kind"] == EventKind.ACTION_DONE:
                found.append(Refusal.NONE)
        return found

    def do(self, kind: ActionKind, account: int, **fields: int) -> Refusal:
        """The outcome of one leg in a block of its own."""
        self.leg(kind, account, **fields).run()
        (found,) = self.refusals()
        return found

    def position(self, account: int, market: int = PERP) -> int:
        return int(self.exchange.holdings[account, market]["position_lots"])

    def collateral(self, account: int) -> int:
        return int(self.exchange.collateral[account])


def told(row: np.void) -> tuple[Any, ...]:
    return (EventKind(int(row["kind"])), *(int(row[n]) for n in ("account", "market", "size_lots", "aux0", "aux1")))
