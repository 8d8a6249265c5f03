"""A whole venue that hosts an order flow made of a feed's rows, and what its book shows."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from hlhft.events import EventKind
from hlhft.exchange.flow.feeding import FeedFlow
from hlhft.ladder import LADDER_DTYPE, top_levels
from hlhft.units import Market
from hlhft.venue import rules as rule_sets
from hlhft.venue.blocks import ACTION_DTYPE, ActionKind, TimeInForce
from hlhft.venue.chain import run_block
from hlhft.venue.chain_state import new_chain

BACK, FLOW, USER = 1, 2, 3  # accounts: the background's two, then a client's
FIRST_ACCOUNT = BACK
BLOCK_NS = 75_000_000
LEVEL_DTYPE = np.dtype([("price_ticks", np.int64), ("size_lots", np.int64)])


class Host:
    """Blocks at given times; clients' legs come before the flow's, as in the exchange."""

    def __init__(
        self,
        flow: FeedFlow,
        markets: Sequence[Market],
        base_ticks: Sequence[int],
        *,
        width: int = 1 << 16,
        legs_max: int = 2_000,
        start_ns: int = 0,
    ) -> None:
        self.flow = flow
        rules = rule_sets.hyperliquid()
        records = np.concatenate([market.record() for market in markets])
        self.chain = new_chain(
            records, rules, accounts=5, base_ticks=list(base_ticks), width=width, slots=2_000, start_ns=start_ns,
            legs_max=legs_max,
        )  # fmt: skip
        self.exchange = self.chain.exchange
        self.legs = np.zeros(legs_max, ACTION_DTYPE)
        self.told = hashlib.sha256()
        self.fills: list[np.void] = []
        self.events = self.exchange.events[:0]

    def block(self, ts_ns: int, *client: dict[str, int], feed: bool = True) -> np.ndarray:
        """Runs the block at `ts_ns` and returns its events; with `feed` off the flow is not asked."""
        self.legs[:] = 0
        for row, fields in enumerate(client):
            self.legs[row]["action"] = row + 1
            for name, value in fields.items():
                self.legs[row][name] = value
        count = len(client)
        if feed:
            count += self.flow.legs(self.chain, self.legs, count, ts_ns)
        run_block(self.chain, self.legs, count, ts_ns)
        engine = self.exchange.engine[0]
        assert self.chain.state[0]["broken"] == 0
        events = self.exchange.events[: engine["event_count"]].copy()
        assert set(events["leg"]) >= set(range(count)), "every leg is answered"
        engine["event_count"] = 0
        self.told.update(self.legs[:count].tobytes())
        self.told.update(events.tobytes())
        self.fills += [row for row in events if row["kind"] == EventKind.ORDER_FILLED and row["account"] >= USER]
        self.events = events
        return events

    def book(self, market: int = 0, levels: int = 20) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """(price, lots) of both sides, best first."""
        return book_of(self.exchange.ladders[market], self.exchange.cells[market], levels)

    def position(self, account: int, market: int = 0) -> int:
        return int(self.exchange.holdings[account, market]["position_lots"])


def book_of(ladder: np.void, cells: np.ndarray, levels: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """(price, lots) of both sides of a ladder, best first."""
    assert ladder.dtype == LADDER_DTYPE
    out = np.zeros(levels, LEVEL_DTYPE)
    sides = []
    for row in range(2):
        count = int(top_levels(ladder, cells, row, out))
        sides.append([(int(price), int(lots)) for price, lots in out[:count]])
    return sides[0], sides[1]


def deposit(account: int = USER, micro: int = 10**12) -> dict[str, int]:
    """A leg that funds a client."""
    return {"kind": ActionKind.DEPOSIT, "account": account, "amount": micro}


def order(side: int, ticks: int, lots: int, tif: int = TimeInForce.ALO, **more: int) -> dict[str, int]:
    """A leg of the client's."""
    return {
        "kind": ActionKind.PLACE, "account": USER, "side": side, "price_ticks": ticks, "size_lots": lots,
        "time_in_force": int(tif), **more,
    }  # fmt: skip
