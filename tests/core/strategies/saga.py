"""A venue for two legs, spot and a perpetual, where a test says what becomes of each order and when we hear of it.

Prices stand still: a lot of either market costs 1001 micro-USDC at the offer. What is executed and what we know of it
are two things; `apart_max` is measured on what is executed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from hlhft.core.step import prepare_view
from hlhft.events import EventKind as Kind
from hlhft.strategies import load, pair_legs
from hlhft.units import MarketKind
from tests.core.worlds import COIN, MS, SECOND, USDC, World, event

SPOT, PERP = 0, 1
RATE_E12 = 100_000_000  # 0.01 % an hour
LEAST = 10 * USDC  # the venue's smallest order
OUTCOMES = ("filled", "partly", "rejected", "unknown and filled", "unknown and gone", "late")
ANSWER_NS = 50 * MS
PROOF_NS = 4 * SECOND  # until the fate of an order that was lost is proven
LATE_NS = 8 * SECOND
_ALO, _PLACE, _CANCEL = 0, 1, 2


class Report(NamedTuple):
    """What we shall hear of an order, and when."""

    due_ns: int
    number: int
    kind: Kind
    market: int
    order_id: int
    lots: int
    left: int


class Desk:
    """A core that runs the funding strategy on one pair, and the venue that it meets.

    `outcomes` says what becomes of the first orders of each leg, by market; all later ones are filled.
    """

    def __init__(
        self, outcomes: Sequence[Sequence[str]] = ((), ()), *, rate_e12: int = RATE_E12, **params: float
    ) -> None:
        chosen = {"position_notional_usdc": 250.0, "unhedged_notional_usdc": 100.0, "retry_s": 1.0, **params}
        self.world = World(markets=2, strategy="funding", params=chosen, decide_on_frame=0)
        self.world.data.markets["kind"][SPOT] = int(MarketKind.SPOT)
        self.world.data.markets["minimum_notional_micro"] = LEAST
        prepare_view(self.world.data, self.world.lane)
        legs = [replace(COIN, kind=kind) for kind in (MarketKind.SPOT, MarketKind.PERPETUAL)]
        pair_legs(load("funding"), chosen, legs, self.world.lane.positions)
        self.rate(rate_e12)
        self.outcomes = [list(one) for one in outcomes]
        self.held = [0, 0]
        self.apart_max = 0
        self.resting: dict[int, tuple[int, int, int]] = {}  # order id -> market, side, lots
        self.reports: list[Report] = []
        self.sent: list[tuple[int, int, int, int]] = []  # market, side, lots, time in force
        self.number = 0
        self.idle_apart_ns = 0  # longest time that legs stood apart while nothing was under way
        self.since_ns = 0

    def rate(self, rate_e12: int) -> None:
        """The funding rate from now on."""
        self.world.data.books[PERP]["funding_rate_e12"] = rate_e12
        self.world.data.books[PERP]["context_time_ns"] = self.world.now

    # The venue.

    def execute(self, market: int, side: int, lots: int) -> None:
        """Something is executed: what stands apart now is measured."""
        self.held[market] += side * lots
        self.apart_max = max(self.apart_max, abs(sum(self.held)))

    def report(self, after_ns: int, kind: Kind, market: int, order_id: int, lots: int = 0, left: int = 0) -> None:
        """We hear this later."""
        self.number += 1
        self.reports.append(Report(self.world.now + after_ns, self.number, kind, market, order_id, lots, left))

    def place(self, market: int, side: int, lots: int, order_id: int, time_in_force: int, reduce_only: int) -> None:
        """An order arrives and meets its fate."""
        self.sent.append((market, side, lots, time_in_force))
        fate = self.outcomes[market].pop(0) if self.outcomes[market] else "filled"
        if market == SPOT and side < 0:
            assert lots <= self.held[SPOT], "sells spot that is not there"
        if reduce_only:
            assert side * self.held[market] < 0
            lots = min(lots, abs(self.held[market]))
        if fate == "rejected":
            self.report(ANSWER_NS, Kind.ORDER_REJECTED, market, order_id, left=6)
            return
        if fate.startswith("unknown"):
            self.report(ANSWER_NS, Kind.ORDER_UNKNOWN, market, order_id)
            if fate == "unknown and filled":
                self.execute(market, side, lots)
                self.report(PROOF_NS, Kind.ORDER_FILLED, market, order_id, lots)
            else:
                self.report(PROOF_NS, Kind.ORDER_CANCELLED, market, order_id, lots)
            return
        delay = LATE_NS if fate == "late" else ANSWER_NS
        filled = 0 if fate == "resting" else lots // 2 if fate == "partly" else lots
        if time_in_force == _ALO:
            self.report(ANSWER_NS, Kind.ORDER_ACKNOWLEDGED, market, order_id, lots)
            if filled < lots:
                self.resting[order_id] = (market, side, lots - filled)
        if filled > 0:
            self.execute(market, side, filled)
            self.report(delay, Kind.ORDER_FILLED, market, order_id, filled, lots - filled)
        if filled < lots and time_in_force != _ALO:
            self.report(delay, Kind.ORDER_EXPIRED, market, order_id, lots - filled)

    def cancel(self, market: int, order_id: int) -> None:
        """A cancel arrives: what rests goes, of anything else the fill is under way."""
        if self.resting.pop(order_id, None) is not None:
            self.report(ANSWER_NS, Kind.ORDER_CANCELLED, market, order_id)

    def fill_rest(self) -> None:
        """Somebody takes everything that rests."""
        for order_id, (market, side, lots) in self.resting.items():
            self.execute(market, side, lots)
            self.report(ANSWER_NS, Kind.ORDER_FILLED, market, order_id, lots)
        self.resting.clear()

    # Our side.

    def take(self, commands: int) -> None:
        """What the core sent goes to the venue."""
        assert commands == len(self.world.raw)
        for command in self.world.raw:
            market, order_id = int(command["market"]), int(command["order_id"])
            if command["kind"] == _PLACE:
                self.place(
                    market, int(command["side"]), int(command["size_lots"]), order_id, int(command["time_in_force"]),
                    int(command["reduce_only"]),
                )  # fmt: skip
            else:
                self.cancel(market, order_id)

    def hear(self, report: Report) -> None:
        """One report reaches the core."""
        order = self.world.lane.orders[report.market, report.order_id & 1023]
        news = event(
            report.kind, self.world.now, market=report.market, order_id=report.order_id, side=int(order["side"]),
            price_ticks=int(order["price_ticks"]), size_lots=report.lots, aux0=report.left,
        )  # fmt: skip
        self.take(len(self.world.feed(news)))

    def step(self, after_ns: int = SECOND) -> None:
        """Goes to the next report, or `after_ns` further, and decides."""
        self.reports.sort()
        until = self.world.now + after_ns
        if self.reports and self.reports[0].due_ns <= until:
            report = self.reports.pop(0)
            self.world.now = max(self.world.now, report.due_ns)
            self.hear(report)
        else:
            self.world.now = until
        self.take(len(self.world.decide()))
        self.measure()

    def measure(self) -> None:
        """How long legs have stood apart, as far as we know, with no order alive."""
        known = [int(self.world.position(market)["position_lots"]) for market in (SPOT, PERP)]
        alive = any(self.world.position(market)["active_count"] for market in (SPOT, PERP))
        if alive or abs(sum(known)) < 10_500:
            self.since_ns = 0
            return
        self.since_ns = self.since_ns or self.world.now
        self.idle_apart_ns = max(self.idle_apart_ns, self.world.now - self.since_ns)

    def run(self, steps: int, *, until: Callable[[Desk], bool] = lambda desk: False) -> None:
        """So many steps; what rests is taken now and then. Ends early when `until` holds."""
        for number in range(steps):
            if number % 4 == 3:
                self.fill_rest()
            self.step()
            if until(self):
                return

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is under way."""
        return not self.reports and not self.resting

    @property
    def phase(self) -> int:
        """The pair's phase."""
        return int(self.world.script[0]["phase"][0])

    @property
    def taken_back(self) -> int:
        """Hedges that came too late."""
        return int(self.world.script[0]["taken_back"][0])
