"""Who else trades where no order flow does: a book that stands, and somebody who takes when a test says so."""

from __future__ import annotations

import threading
from decimal import Decimal
from types import TracebackType

from tests.conformance.desk import ALO, IOC, Desk, Trader, statuses
from tests.endtoend.house import CLIENT_LABEL, eventually

FUNDS_USDC = 1_000_000_000
LEVELS_BP = (20, 30, 40)  # from the oracle; who quotes nearer to it is hit first
LEVEL_USDC = 50_000
REACH_BP = 15  # a taker's limit: nearer than the first level
STEP = Decimal("0.001")  # sizes that every perpetual of these tests has
STIR_BP = 25  # behind the first level: what changes there is seen, and no price depends on it
STIR_S = 0.2
GONE_S = 20.0


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
        self.prices = {coin: desk.price(coin) for coin in coins}
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
                oids = [
                    self._stirrer.rest(coin, True, self._size(coin, 1_000), self._price(coin, -STIR_BP), ALO)
                    for coin in self.coins
                ]
                exchange.bulk_cancel([{"coin": coin, "oid": oid} for coin, oid in zip(self.coins, oids, strict=True)])

    def _trader(self, desk: Desk, name: str) -> Trader:
        trader = desk.trader(FUNDS_USDC)
        trader.exchange.session.headers[CLIENT_LABEL] = name
        return trader

    def make(self, coin: str) -> None:
        """Rests the book of a coin around its price."""
        orders = [
            {
                "coin": coin, "is_buy": is_buy, "sz": self._size(coin, LEVEL_USDC), "reduce_only": False,
                "limit_px": self._price(coin, -distance if is_buy else distance), "order_type": ALO,
            }
            for distance in LEVELS_BP for is_buy in (True, False)
        ]  # fmt: skip
        told = statuses(self.maker.exchange.bulk_orders(orders))
        assert all("resting" in status for status in told), told

    def clear(self, coin: str) -> None:
        """Ends the maker's orders of a coin."""
        orders = [{"coin": coin, "oid": order["oid"]} for order in self.maker.open_orders() if order["coin"] == coin]
        assert statuses(self.maker.exchange.bulk_cancel(orders))

    def move(self, coin: str, price: int) -> None:
        """Moves the market: its book ends, whoever quoted beside it goes, and it stands anew around the price."""
        with self._moves:
            self.clear(coin)
            self._desk.admin({"coin": coin, "oracle": str(price)})
            self.prices[coin] = price
            eventually(lambda: not any(self._desk.book(coin)), within_s=GONE_S)
            self.make(coin)

    def take(self, coin: str, *, is_buy: bool, usdc: float) -> Decimal:
        """Takes so much from whoever quotes inside the maker's levels; what was filled."""
        price = self._price(coin, REACH_BP if is_buy else -REACH_BP)
        told = self.taker.order(coin, is_buy, self._size(coin, usdc), price, IOC)
        return Decimal(told["filled"]["totalSz"]) if "filled" in told else Decimal(0)

    def _price(self, coin: str, bp: int) -> float:
        return float(round(self.prices[coin] * (1 + bp / 10_000)))

    def _size(self, coin: str, usdc: float) -> float:
        return float((Decimal(usdc) / self.prices[coin] / STEP).to_integral_value() * STEP)
