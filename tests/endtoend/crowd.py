"""Who else trades where no order flow does: a book that stands, and somebody who takes when a test says so."""

from __future__ import annotations

import threading
from decimal import Decimal
from types import TracebackType
from typing import Any

from tests.conformance.desk import ALO, IOC, Desk, Trader, statuses
from tests.endtoend.house import CLIENT_LABEL, eventually

FUNDS_USDC = 1_000_000_000
LEVELS_BP = (20, 30, 40)  # from the oracle; who quotes nearer to it is hit first
LEVEL_USDC = 50_000
REACH_BP = 15  # a taker's limit: nearer than the first level
FINE_ABOVE = 1_000  # coins that are dearer have sizes of three decimals, the others of two
STIR_BP = 25  # behind the first level: what changes there is seen, and no price depends on it
STIR_S = 0.4
STIR_USDC = 1_000
GONE_S = 20.0
EMPTY_LOOKS = 6


def valid(price: float) -> float:
    """A price that every perpetual of these tests takes: of five figures (venue reference section 3.1)."""
    return float(f"{price:.5g}")


class Crowd:
    """A maker far from the touch and a taker who meets whoever quotes inside. To be used as a context, in which the
    book changes all the time behind the maker's first level: data come, and nothing that money depends on moves."""

    def __init__(self, desk: Desk, coins: tuple[str, ...]) -> None:
        self.coins = coins
        self._desk = desk
        self.maker, self.taker, self._stirrer = (self._trader(desk, name) for name in ("maker", "taker", "stirrer"))
        self._over = threading.Event()
        self._moves = threading.Lock()
        self._thread = threading.Thread(target=self._stir, daemon=True)
        self.prices = {coin: float(desk.price(coin)) for coin in coins}
        self.first_prices = dict(self.prices)
        for coin in coins:
            self.make(coin)

    def __enter__(self) -> Crowd:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _stir(self) -> None:
        """Places an order far away in each coin and ends it, again and again."""
        exchange = self._stirrer.exchange
        while not self._over.wait(STIR_S):
            with self._moves:
                orders = [self._order(coin, is_buy=True, bp=-STIR_BP, usdc=STIR_USDC) for coin in self.coins]
                told = statuses(exchange.bulk_orders(orders))
                oids = [status["resting"]["oid"] for status in told]
                exchange.bulk_cancel([{"coin": coin, "oid": oid} for coin, oid in zip(self.coins, oids, strict=True)])

    def _trader(self, desk: Desk, name: str) -> Trader:
        trader = desk.trader(FUNDS_USDC)
        trader.exchange.session.headers[CLIENT_LABEL] = name
        return trader

    def make(self, coin: str) -> None:
        """Rests the book of a coin around its price."""
        orders = [
            self._order(coin, is_buy=is_buy, bp=-distance if is_buy else distance, usdc=LEVEL_USDC)
            for distance in LEVELS_BP
            for is_buy in (True, False)
        ]
        told = statuses(self.maker.exchange.bulk_orders(orders))
        assert all("resting" in status for status in told), told

    def clear(self, coin: str) -> None:
        """Ends the maker's orders of a coin."""
        orders = [{"coin": coin, "oid": order["oid"]} for order in self.maker.open_orders() if order["coin"] == coin]
        assert statuses(self.maker.exchange.bulk_cancel(orders))

    def move(self, coin: str, price: float) -> None:
        """Moves the market: its book ends, whoever quoted beside it goes, and it stands anew around the price."""
        with self._moves:
            self.clear(coin)
            self.prices[coin] = valid(price)
            self._desk.admin({"coin": coin, "oracle": f"{self.prices[coin]:g}"})
            looks = [0]

            def is_empty() -> bool:
                """For some looks in a row: what was under way would come between."""
                looks[0] = 0 if any(self._desk.book(coin)) else looks[0] + 1
                return looks[0] > EMPTY_LOOKS

            eventually(is_empty, within_s=GONE_S)
            self.make(coin)

    def take(self, coin: str, *, is_buy: bool, usdc: float) -> Decimal:
        """Takes so much from whoever quotes inside the maker's levels; what was filled."""
        price = self._price(coin, REACH_BP if is_buy else -REACH_BP)
        told = self.taker.order(coin, is_buy, self._size(coin, usdc), price, IOC)
        return Decimal(told["filled"]["totalSz"]) if "filled" in told else Decimal(0)

    def _order(self, coin: str, *, is_buy: bool, bp: int, usdc: float) -> dict[str, Any]:
        return {
            "coin": coin, "is_buy": is_buy, "sz": self._size(coin, usdc), "limit_px": self._price(coin, bp),
            "order_type": ALO, "reduce_only": False,
        }  # fmt: skip

    def _price(self, coin: str, bp: int) -> float:
        return valid(self.prices[coin] * (1 + bp / 10_000))

    def _size(self, coin: str, usdc: float) -> float:
        return round(usdc / self.prices[coin], 2 if self.prices[coin] < FINE_ABOVE else 3)
