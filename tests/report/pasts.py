"""Synthetic pasts of an account: a small venue in plain Python that books money and tells what the real one would.

It knows nothing of how a past is split: it has cash, positions and prices, pays funding at each hour, and writes down
what it did as the records that `hlhft.report.venue_records` reads.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from itertools import count

from hlhft.hyperliquid.cloids import Cloid
from hlhft.report.attribution import HOUR_NS
from hlhft.report.venue_records import DECIMALS, UNIT, Flow, Held, History, Mids, PastFill, PastFunding, Reading
from hlhft.units import Market

BTC = Market.perpetual("BTC", asset_id=0, size_decimals=5)
DOGE = Market.perpetual("DOGE", asset_id=1, size_decimals=0)
HYPE = Market.spot("@1", asset_id=10_001, size_decimals=2)
MARKETS = (BTC, DOGE, HYPE)
PRICES = (100_000, 250_000, 25_000_000)  # ticks at first
MICRO = UNIT // 10**6
MS = 1_000_000
MINUTE = 60_000 * MS
START = 1_760_000_400_000 * MS  # within an hour
OWNERS = {7: "glft", 8: "carry"}
MAKER, TAKER = Fraction(15, 100_000), Fraction(45, 100_000)
ADDRESS = "0x" + "ab" * 20


def price_unit(market: Market) -> int:
    """1e-12 in a tick."""
    return 10 ** (DECIMALS - market.price_decimals)


def size_unit(market: Market) -> int:
    """1e-12 in a lot."""
    return 10 ** (DECIMALS - market.size_decimals)


def cut(amount: Fraction, unit: int = MICRO) -> int:
    """Cut toward zero to whole units."""
    whole = abs(amount) // unit * unit
    return int(whole if amount >= 0 else -whole)


@dataclass
class Account:
    """One account at the small venue. Amounts in 1e-12; markets by their place in MARKETS."""

    cash: Fraction = Fraction(10_000 * UNIT)
    now_ns: int = START
    ticks: list[int] = field(default_factory=lambda: list(PRICES))
    over: list[int] = field(default_factory=lambda: [0, 0, 0])  # ticks of the mark over the mid
    held: list[int] = field(default_factory=lambda: [0, 0, 0])
    cost: list[Fraction] = field(default_factory=lambda: [Fraction(0)] * 3)  # of what is held, positive
    rate: int = UNIT // 80_000
    fills: list[PastFill] = field(default_factory=list)
    fundings: list[PastFunding] = field(default_factory=list)
    flows: list[Flow] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    mids: list[list[tuple[int, int]]] = field(default_factory=lambda: [[], [], []])

    def __post_init__(self) -> None:
        self._numbers = count(1)
        for place in range(3):
            self.quote(place, PRICES[place])

    def quote(self, place: int, ticks: int, over: int = 0) -> None:
        """Where the market is from now on, and its mark over the mid."""
        self.now_ns += MS
        self.ticks[place], self.over[place] = ticks, over
        self.mids[place].append((self.now_ns, 2 * ticks * price_unit(MARKETS[place])))

    def carry(self, place: int, lots: int, cost_ticks: int) -> None:
        """A position that is there before anything is told."""
        market = MARKETS[place]
        self.held[place] = lots * size_unit(market)
        self.cost[place] = Fraction(abs(self.held[place]) * cost_ticks * price_unit(market), UNIT)

    def wait(self, ns: int) -> None:
        """Time passes, and funding is paid at each hour."""
        end_ns = self.now_ns + max(ns, MS)
        for hour in range(self.now_ns // HOUR_NS + 1, end_ns // HOUR_NS + 1):
            self.now_ns = hour * HOUR_NS + 59 * MS
            for place, market in enumerate(MARKETS[:2]):
                if self.held[place]:
                    self._fund(place, market)
        self.now_ns = max(end_ns, self.now_ns + MS)

    def _fund(self, place: int, market: Market) -> None:
        price = self.ticks[place] * price_unit(market)
        amount = cut(Fraction(-self.held[place] * price * self.rate, UNIT * UNIT))
        self.cash += amount
        self.fundings.append(
            PastFunding(
                coin=market.name, ts_ns=self.now_ns, amount=amount, position=self.held[place], rate=self.rate,
                hash=f"0x{next(self._numbers):064x}",
            )
        )  # fmt: skip

    def fill(
        self,
        place: int,
        side: int,
        lots: int,
        away: int = 0,
        *,
        taker: bool = False,
        owner: int = 0,
        free: bool = False,
    ) -> None:
        """A fill `away` ticks from the mid; what a rebate or a fee is, its rate says; `free` is without one."""
        self.now_ns += MS
        market, number = MARKETS[place], next(self._numbers)
        price, size = (self.ticks[place] + away) * price_unit(market), lots * size_unit(market)
        worth = Fraction(price * size, UNIT)
        rate = Fraction(0) if free else TAKER if taker else MAKER if place else -MAKER / 5
        in_coin = place == 2 and side > 0
        fee = cut(size * rate, 10**4) if in_coin else cut(worth * rate)
        start = self.held[place]
        closed = self._book(place, side, price, size) if place < 2 else 0
        fill = PastFill(
            coin=market.name, ts_ns=self.now_ns, side=side, price=price, size=size, start=start, closed=closed, fee=fee,
            fee_token="HYPE" if in_coin else "USDC", tid=number, oid=1_000 + number, is_taker=taker,
            direction="", hash=f"0x{number:064x}",
            cloid=Cloid(owner, 3, number).number() if owner else None,
        )  # fmt: skip
        self.cash -= side * worth + (0 if in_coin else fee)
        self.held[place] += fill.change
        self.fills.append(fill)

    def _book(self, place: int, side: int, price: int, size: int) -> int:
        """Books the cost by average entry prices, and returns what the venue says was realised."""
        start = self.held[place]
        if start * side >= 0:
            self.cost[place] += Fraction(price * size, UNIT)
            return 0
        closed, direction = min(size, abs(start)), 1 if start > 0 else -1
        entry = self.cost[place] * UNIT / abs(start)
        realised = cut(Fraction(direction * closed * (price - cut(entry, price_unit(MARKETS[place]))), UNIT))
        if size > closed:
            self.cost[place] = Fraction(price * (size - closed), UNIT)
        else:
            self.cost[place] *= Fraction(abs(start) - closed, abs(start))
        return realised

    def transfer(self, micro: int) -> None:
        """Money that comes or leaves."""
        self.now_ns += MS
        self.cash += micro * MICRO
        number = next(self._numbers)
        self.flows.append(
            Flow(ts_ns=self.now_ns, kind="deposit", amount=micro * MICRO, hash=f"0x{number:064x}", text=str(number))
        )

    def receive(self, lots: int) -> None:
        """Tokens of the spot pair that come, or leave below 0."""
        self.now_ns += MS
        size, number = lots * size_unit(HYPE), next(self._numbers)
        self.held[2] += size
        self.flows.append(
            Flow(
                ts_ns=self.now_ns, kind="spotTransfer", amount=0, coin=HYPE.name, size=size, hash=f"0x{number:064x}",
                text=str(number),
            )
        )  # fmt: skip

    def look(self) -> Reading:
        """What the venue says the account is worth and holds."""
        self.now_ns += MS
        cash, held = self.cash, {}
        for place, market in enumerate(MARKETS):
            if not self.held[place]:
                continue
            mark = (self.ticks[place] + self.over[place] * (place < 2)) * price_unit(market)
            unrealised = None
            if place < 2:
                worth = Fraction(self.held[place] * mark, UNIT)
                cash += worth
                unrealised = cut(worth - (1 if self.held[place] > 0 else -1) * self.cost[place])
            held[market.name] = Held(size=self.held[place], mark_double=2 * mark, unrealised=unrealised)
        assert cash.denominator == 1, "what the venue books is whole"
        self.readings.append(Reading(ts_ns=self.now_ns, cash=int(cash), held=held))
        return self.readings[-1]

    def history(self, *, with_mids: bool = True) -> History:
        """All of it: the first reading is the opening."""
        known = {
            market.name: Mids(tuple(time for time, _ in own), tuple(double for _, double in own))
            for market, own in zip(MARKETS, self.mids, strict=True)
        }
        return History(
            address=ADDRESS,
            fills=tuple(self.fills),
            fundings=tuple(self.fundings),
            flows=tuple(self.flows),
            opening=self.readings[0],
            readings=tuple(self.readings[1:]),
            mids=known if with_mids else {},
            mids_from="the venue of the test",
            markets={market.name: market for market in MARKETS},
        )
