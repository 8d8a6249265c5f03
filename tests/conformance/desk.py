"""The exchange as a stranger meets it: its address, the official SDK, and a door through which money comes in.

Nothing here knows hlhft: what is sent and what is expected comes from the venue reference (sections 1 to 9) and from
the SDK, whose classes are used as they are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, TypeVar

import requests
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils import keccak
from hyperliquid.exchange import Exchange
from hyperliquid.info import Info
from hyperliquid.utils.signing import get_timestamp_ms, sign_l1_action
from hyperliquid.utils.types import Cloid

Found = TypeVar("Found")

DEADLINE_S = 10.0
PAUSE_S = 0.01
REQUEST_S = 20.0
ALO = {"limit": {"tif": "Alo"}}
GTC = {"limit": {"tif": "Gtc"}}
IOC = {"limit": {"tif": "Ioc"}}
NEVER_PLACED = "Order was never placed, already canceled, or filled."
MICRO = Decimal("0.000001")


def eventually(look: Callable[[], Found], *, within_s: float = DEADLINE_S) -> Found:
    """The first true thing that `look` returns; fails when the time is up, and shows what it returned last."""
    deadline = time.monotonic() + within_s
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"still {found!r} after {within_s} s"
        time.sleep(PAUSE_S)


def truncated(value: Decimal) -> Decimal:
    """Cut toward zero at six decimals, as the venue does with fees (venue reference section 3.2)."""
    return (value / MICRO).to_integral_value("ROUND_DOWN") * MICRO


def trigger(price: float, tpsl: str, *, is_market: bool = True) -> dict[str, Any]:
    """The order type of a take-profit or stop-loss in the SDK's form."""
    return {"trigger": {"triggerPx": price, "isMarket": is_market, "tpsl": tpsl}}


class Desk:
    """One exchange: where it is, what is read there without a key, and new traders with money."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.socket_url = "ws" + url.removeprefix("http") + "/ws"
        self.http = requests.Session()
        self.info = Info(url, skip_ws=True)
        self.traders: list[Trader] = []
        self._keys = 0
        self._movers: list[Trader] = []

    # Reading.

    def ask(self, body: dict[str, Any]) -> Any:
        """The answer to an info request that the SDK does not know."""
        response = self.http.post(f"{self.url}/info", json=body, timeout=REQUEST_S)
        assert response.status_code == 200, (body, response.status_code, response.text)
        return response.json()

    def now_ms(self) -> int:
        """The time at the exchange."""
        return int(self.ask({"type": "exchangeStatus"})["time"])

    def context(self, coin: str) -> dict[str, Any]:
        """Prices, funding and open interest of a market."""
        meta, contexts = self.info.meta_and_asset_ctxs()
        (found,) = (context for asset, context in zip(meta["universe"], contexts) if asset["name"] == coin)
        return dict(found)

    def price(self, coin: str, factor: float = 1.0) -> int:
        """A whole-number price near the oracle's: valid at any number of figures."""
        return round(float(self.context(coin)["oraclePx"]) * factor)

    def book(self, coin: str) -> list[list[tuple[Decimal, Decimal, int]]]:
        """Bids and asks as (price, size, number of orders), the best first."""
        levels = self.info.l2_snapshot(coin)["levels"]
        return [[(Decimal(level["px"]), Decimal(level["sz"]), level["n"]) for level in side] for side in levels]

    # What no client of the real venue can do.

    def admin(self, body: dict[str, Any]) -> None:
        """A request that only a client on the same machine may make."""
        response = self.http.post(f"{self.url}/admin", json=body, timeout=REQUEST_S)
        assert response.status_code == 200, (body, response.status_code, response.text)

    def deposit(self, address: str, usdc: int) -> None:
        """Money out of nothing."""
        self.admin({"address": address, "usdc": usdc})

    def move(self, coin: str, price: int) -> None:
        """Moves the market to a price: a trade there and then the oracle, so that the mark has no reason to lag.

        The books must not hold an order that would trade at this price first. Returns once the mark is there.
        """
        if not self._movers:
            self._movers = [self.trader(100_000_000) for _ in range(2)]
            self.traders = [trader for trader in self.traders if trader not in self._movers]
        seller, buyer = self._movers
        seller.rest(coin, False, 1, price, ALO)
        assert "filled" in buyer.order(coin, True, 1, price, IOC)
        self.admin({"coin": coin, "oracle": str(price)})
        eventually(lambda: abs(Decimal(self.context(coin)["markPx"]) / price - 1) < Decimal("0.01"))

    # Traders.

    def wallet(self) -> LocalAccount:
        """A key that nobody used before."""
        self._keys += 1
        return Account.from_key(keccak(f"conformance {self._keys}".encode()))

    def trader(self, usdc: int = 1_000_000) -> Trader:
        """A new account with money."""
        wallet = self.wallet()
        if usdc:
            self.deposit(wallet.address.lower(), usdc)
            eventually(lambda: Decimal(self.info.user_state(wallet.address.lower())["withdrawable"]) == usdc)
        trader = Trader(self, Exchange(wallet, self.url), wallet.address.lower())
        self.traders.append(trader)
        return trader

    def sweep(self) -> None:
        """Ends all orders of all traders, so that the next test finds empty books."""
        for trader in self.traders:
            orders = self.info.frontend_open_orders(trader.address)
            if orders:
                trader.exchange.set_expires_after(None)
                trader.exchange.bulk_cancel([{"coin": order["coin"], "oid": order["oid"]} for order in orders])
        self.traders.clear()


class Trader:
    """An account and the SDK's `Exchange` that signs for it; what it owns is read through the desk's own `Info`."""

    def __init__(self, desk: Desk, exchange: Exchange, address: str) -> None:
        self.desk = desk
        self.exchange = exchange
        self.address = address

    # Acting.

    def order(self, coin: str, is_buy: bool, size: float, price: float, kind: Any = GTC, **options: Any) -> Any:
        """The one status of the answer to one order."""
        return only(self.exchange.order(coin, is_buy, size, price, kind, **options))

    def rest(self, coin: str, is_buy: bool, size: float, price: float, kind: Any = GTC, **options: Any) -> int:
        """Places an order that must rest; its id."""
        status = self.order(coin, is_buy, size, price, kind, **options)
        assert "resting" in status, status
        return int(status["resting"]["oid"])

    def post(
        self, action: dict[str, Any], *, nonce: int | None = None, instead: Mapping[str, Any] = MappingProxyType({})
    ) -> Any:
        """Signs and posts an action that the SDK has no method for; `instead` replaces parts of the signed request."""
        exchange = self.exchange
        nonce = get_timestamp_ms() if nonce is None else nonce
        signature = sign_l1_action(
            exchange.wallet, action, exchange.vault_address, nonce, exchange.expires_after, is_mainnet=False
        )
        request = {
            "action": action,
            "nonce": nonce,
            "signature": signature,
            "vaultAddress": exchange.vault_address,
            "expiresAfter": exchange.expires_after,
        }
        return exchange.post("/exchange", {**request, **instead})

    # What the exchange says about the account.

    def state(self) -> dict[str, Any]:
        """The account's margin state."""
        return dict(self.desk.info.user_state(self.address))

    def value(self) -> Decimal:
        """The account's equity in USDC."""
        return Decimal(self.state()["marginSummary"]["accountValue"])

    def position(self, coin: str) -> dict[str, Any] | None:
        """The position in a market, None when there is none."""
        held = [entry["position"] for entry in self.state()["assetPositions"]]
        return next((position for position in held if position["coin"] == coin), None)

    def signed_size(self, coin: str) -> Decimal:
        """The position's size, negative when short."""
        position = self.position(coin)
        return Decimal(0) if position is None else Decimal(position["szi"])

    def open_orders(self) -> list[dict[str, Any]]:
        """What rests, and what waits for its trigger."""
        return list(self.desk.info.open_orders(self.address))

    def open_ids(self) -> set[int]:
        """The ids of the same."""
        return {order["oid"] for order in self.open_orders()}

    def word(self, oid: int | Cloid) -> str:
        """The status of an order of this account, present or past."""
        info = self.desk.info
        found = (
            info.query_order_by_cloid(self.address, oid)
            if isinstance(oid, Cloid)
            else info.query_order_by_oid(self.address, oid)
        )
        return str(found["order"]["status"] if found["status"] == "order" else found["status"])

    def newest_word(self) -> str:
        """The status of the youngest order that the account ever sent."""
        newest = max(self.desk.info.historical_orders(self.address), key=lambda entry: entry["order"]["oid"])
        return str(newest["status"])

    def fills(self) -> list[dict[str, Any]]:
        """The account's fills, the newest first."""
        return list(self.desk.info.user_fills(self.address))

    def spot_usdc(self) -> Decimal:
        """USDC on the spot side."""
        balances = self.desk.info.spot_user_state(self.address)["balances"]
        return sum((Decimal(balance["total"]) for balance in balances if balance["coin"] == "USDC"), Decimal(0))


def statuses(answer: Any) -> list[Any]:
    """The statuses of an answer to orders or cancels."""
    assert answer["status"] == "ok", answer
    return list(answer["response"]["data"]["statuses"])


def only(answer: Any) -> Any:
    """The one status of an answer."""
    (status,) = statuses(answer)
    return status


def default(answer: Any) -> bool:
    """Whether an action that has nothing to tell was done."""
    return bool(answer == {"status": "ok", "response": {"type": "default"}})


def refusal(answer: Any) -> str:
    """Why the exchange refused an action as a whole."""
    assert answer["status"] == "err", answer
    return str(answer["response"])
