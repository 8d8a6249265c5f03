"""Whether money adds up: the parts of an engine's profit, the books of its core, and the exchange's own ledger.

Three records of the same money. The tally (`hlhft.live.profit`) splits it into parts, the core (`hlhft.core.orders`)
books it, and the exchange (`hlhft.venue.holding`) moved it. They are compared market by market: cash in quanta (ticks x
lots), fees, rebates and funding in micro-USDC, transfers in micro-USDC. All of that is whole, and nothing is rounded
here: what is rounded is each fee and each payment of funding, to a micro-USDC, once, by the exchange, which tells it.

The engine hears of everything later than it happens. So while it runs only what cannot be a matter of time is held
against the exchange; once all is over, everything.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hlhft.hyperliquid.wire import ms_of
from hlhft.live.profit import ProfitTally
from hlhft.simulation.account import COINS
from hlhft.simulation.time import MS, SECOND
from hlhft.venue.spot import UNITS_PER_MICRO

if TYPE_CHECKING:
    from hlhft.simulation.engine_process import EngineProcess
    from hlhft.simulation.world import World

BLOCKS_MAX = 2048  # of the ledger that are remembered, two minutes; a session that begins with an older one is not held
PAYMENTS_MAX = 8784  # of funding of one session that are remembered, a year of hours; beyond, the oldest is forgotten
TOUCH_NS = 5 * SECOND  # from what somebody else asks for to its block
_USDC = 0  # hlhft.venue.transfers: the token of spot balances that is money
_BOOKED = ("cash_quanta", "fee_micro")


class Ledger(NamedTuple):
    """The account at the exchange, as of a block: what it held and moved by market, and what was paid in."""

    block_ms: int
    holdings: np.ndarray  # hlhft.venue.holding.HOLDING_DTYPE[M]
    marks: np.ndarray  # int64[M], ticks
    paid_in_micro: int  # less what was taken out; what lies on its spot account is still there


class Money:
    """Holds one world's engine against its exchange. Answers are sentences, empty where all is well."""

    def __init__(self, world: World) -> None:
        self.held = 0  # times that an engine had as many fills as the exchange, and its money was compared
        self._world = world
        self._blocks: deque[Ledger] = deque(maxlen=BLOCKS_MAX)
        self._opening: Ledger | None = None  # that the session began with
        self._payments: tuple[deque[int], ...] = ()  # sums of funding since then, by market of the exchange
        self._seen = b""  # what was looked at last

    def begins(self) -> None:
        """A session began."""
        self._opening, self._payments, self._seen = None, (), b""

    def block(self) -> None:
        """Blocks were executed."""
        exchange = self._world.exchange
        venue, number = exchange.machine.kernel.chain.exchange, exchange.number()
        ledger = Ledger(
            ms_of(exchange.machine.time_ns), venue.holdings[number, : len(COINS)].copy(), exchange.marks().copy(),
            int(venue.collateral[number]) + int(venue.tokens[number, _USDC]) // UNITS_PER_MICRO,
        )  # fmt: skip
        self._blocks.append(ledger)
        if self._opening is not None:
            self._note_payments(ledger)
        elif self._world.engine is not None:
            self._begin(self._world.engine)

    def look(self, process: EngineProcess) -> str:
        """What is wrong after something happened in the engine."""
        positions = process.engine.parts.brain.lane.positions
        seen = positions["fills"].tobytes() + positions["funding_micro"].tobytes()
        if seen == self._seen or process.engine.dispatch.is_behind:
            return ""
        self._seen = seen
        for row, market in enumerate(process.markets):
            wrong = _of_parts(process.tally, row, positions[row]) or self._of_books(process, row, positions[row])
            if wrong:
                return f"{market.name}: {wrong}"
        return ""

    def missing(self, process: EngineProcess) -> str:
        """What the engine's books lack of the exchange's, or have beyond them; all that happened has been told."""
        if not self._is_held(process):
            return ""
        assert self._opening is not None, "what is held has a beginning"
        lane = process.engine.parts.brain.lane
        now = self._blocks[-1]
        for market, booked in zip(process.markets, lane.positions, strict=True):
            ours, theirs = self._sides(market.name, booked, now)
            for name in ("fills", "position_lots", *_BOOKED, "funding_micro"):
                if ours[name] != theirs[name]:
                    return f"{market.name}: {name} {ours[name]} in the engine's books, {theirs[name]} in the exchange's"
        moved = now.paid_in_micro - self._opening.paid_in_micro
        told = int(lane.lane["transfers_micro"][0])
        return (
            "" if told == moved else f"transfers of {told} micro-USDC in the engine's books, {moved} in the exchange's"
        )

    # Parts.

    def _of_books(self, process: EngineProcess, row: int, booked: np.void) -> str:
        """What is wrong with the core's books of a market, however late they are."""
        if not self._is_held(process):
            return ""
        ours, theirs = self._sides(process.markets[row].name, booked, self._blocks[-1])
        if ours["fills"] > theirs["fills"]:
            return f"{ours['fills']} fills in the engine's books, {theirs['fills']} in the exchange's"
        paid = self._payments[COINS.index(process.markets[row].name)]
        if ours["funding_micro"] not in paid:
            return f"funding of {ours['funding_micro']} micro-USDC was never what the exchange had paid: {list(paid)}"
        if ours["fills"] < theirs["fills"] or ours["position_lots"] != theirs["position_lots"]:
            return ""
        self.held += 1
        for name in _BOOKED:
            if ours[name] != theirs[name]:
                return f"{name} {ours[name]} in the engine's books, {theirs[name]} in the exchange's, of the same fills"
        return ""

    def _sides(self, coin: str, booked: np.void, now: Ledger) -> tuple[dict[str, int], dict[str, int]]:
        """What a market did since the session began by the core's books, and by the exchange's. A position that was
        there is bought at its mark in the core's, so its cash begins with that."""
        assert self._opening is not None, "what is held has a beginning"
        at = COINS.index(coin)
        then, later = self._opening.holdings[at], now.holdings[at]
        theirs = {name: int(later[name]) - int(then[name]) for name in (*_BOOKED, "funding_micro", "fills")}
        ours = {name: int(booked[name]) for name in (*theirs, "position_lots")}
        ours["cash_quanta"] += int(then["position_lots"]) * int(self._opening.marks[at])
        theirs["position_lots"] = int(later["position_lots"])
        return ours, theirs

    def _is_held(self, process: EngineProcess) -> bool:
        """Whether the books are comparable: the session's beginning is known, and nobody else has traded since."""
        if self._opening is None and self._blocks:
            self._begin(process)
        touched_ns = max(self._world.exchange.shocks.touched_ns, self._world.judge.closed_ns)
        begun_ms = process.engine.accounts.reconciliation.begun_ms
        return self._opening is not None and touched_ns + TOUCH_NS < begun_ms * MS

    def _begin(self, process: EngineProcess) -> None:
        """Finds the block that the session began with, once it has."""
        begun_ms = process.engine.accounts.reconciliation.begun_ms
        if not self._blocks[0].block_ms <= begun_ms:
            return
        after = [ledger for ledger in self._blocks if ledger.block_ms > begun_ms]
        self._opening = self._blocks[-len(after) - 1]
        self._payments = tuple(deque((0,), PAYMENTS_MAX) for _ in COINS)
        for ledger in after:
            self._note_payments(ledger)

    def _note_payments(self, ledger: Ledger) -> None:
        assert self._opening is not None, "payments are counted from a beginning"
        paid = ledger.holdings["funding_micro"] - self._opening.holdings["funding_micro"]
        for sums, amount in zip(self._payments, paid, strict=True):
            if sums[-1] != amount:
                sums.append(int(amount))


def _of_parts(tally: ProfitTally, market: int, booked: np.void) -> str:
    """What is wrong with the parts of a market's profit beside the core's books."""
    total, *parts = tally.grains(market)
    if total != sum(parts[:6]):
        return f"the parts of its profit are {parts[:6]}, {sum(parts[:6])} grains, and its equity changed by {total}"
    one = tally.booked(market)
    for name in one._fields:
        if getattr(one, name) != booked[name]:
            return f"{name} {getattr(one, name)} in the parts of its profit, {booked[name]} in the core's books"
    return ""
