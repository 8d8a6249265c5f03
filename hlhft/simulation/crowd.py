"""Everybody else at the exchange."""

from __future__ import annotations

from random import Random
from typing import Any

from hlhft.hyperliquid.signing import Signer
from hlhft.simulation.client import CHAIN, Client, order, orders
from hlhft.simulation.time import MS, SECOND, START_NS
from hlhft.simulation.venue import BTC, ENGINE, ETH, MAKER, PRICES, TAKER, TICKS, TRADED, WATCHDOG, Venue
from hlhft.units import MICRO

SIZES = {BTC: "0.004", ETH: "0.1"}


class Crowd:
    """Everybody else: somebody makes a market, somebody takes, and prices walk."""

    def __init__(self, venue: Venue, random: Random) -> None:
        self.is_trading = False
        self._venue = venue
        self._random = random
        machine = venue.machine
        self._maker, self._taker, self._traded = (
            Client(number, nonce=START_NS // MS + 1000 * number) for number in (MAKER, TAKER, TRADED)
        )
        self._middle = {row: PRICES[row] * TICKS[row] for row in PRICES}
        self._quoted: dict[int, int] = {}
        for client, usdc in ((self._maker, 10_000_000), (self._taker, 10_000_000), (self._traded, 100_000)):
            machine.deposit(client.address, usdc * MICRO)
        venue.time.at(venue.time.now_ns + SECOND, self._open)

    def _open(self) -> None:
        for number in (ENGINE, WATCHDOG):
            agent = {"type": "approveAgent", **CHAIN, "agentAddress": Signer(bytes([number]) * 32).address}
            self._act(self._traded, {**agent, "agentName": f"agent {number}"})
        for row in PRICES:
            self._quote(row)
        self._turn()

    def _act(self, client: Client, action: dict[str, Any]) -> None:
        taken = self._venue.machine.admit(client.body(action), client.label, self._venue.time.now_ns)
        assert isinstance(taken, int), taken

    def _turn(self) -> None:
        if self.is_trading and not self._venue.is_dead:
            row = self._random.choice((BTC, ETH))
            if self._random.random() < 0.7:
                self._take(row)
            else:
                self._walk(row)
        time = self._venue.time
        time.at(time.now_ns + self._random.randrange(50, 400) * MS, self._turn)

    def _take(self, row: int) -> None:
        buys = self._random.random() < 0.5
        price = self._text(row, self._middle[row] * (1005 if buys else 995) // 1000)
        self._act(self._taker, orders(order(asset=row, buys=buys, price=price, size=SIZES[row], tif="Ioc")))

    def _walk(self, row: int) -> None:
        middle, start = self._middle[row], PRICES[row] * TICKS[row]
        moved = middle + self._random.randrange(-5, 6) * start // 10_000
        self._middle[row] = min(max(moved, start * 995 // 1000), start * 1005 // 1000)
        old = [{"asset": row, "cloid": _cloid(row, side, self._quoted[row])} for side in (0, 1)]
        self._act(self._maker, {"type": "cancelByCloid", "cancels": old})
        self._quote(row)

    def _quote(self, row: int) -> None:
        self._quoted[row] = self._quoted.get(row, 0) + 1
        made = []
        for side, far in enumerate((999, 1001)):
            price = self._text(row, self._middle[row] * far // 1000)
            cloid = _cloid(row, side, self._quoted[row])
            made.append(order(asset=row, buys=side == 0, price=price, size="5", tif="Alo", cloid=cloid))
        self._act(self._maker, orders(*made))

    def _text(self, row: int, units: int) -> str:
        return str(units) if TICKS[row] == 1 else f"{units // TICKS[row]}.{units % TICKS[row]}"


def _cloid(row: int, side: int, number: int) -> str:
    return f"0x{(number << 8) + row * 2 + side:032x}"
