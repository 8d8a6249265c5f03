"""An engine in this process against an exchange in a thread: what tests of the live parts run in."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import uvloop

from hlhft.config.load import Loaded, load
from hlhft.exchange.machine import Machine
from hlhft.exchange.server import Clock as ExchangeClock
from hlhft.exchange.server import Server
from hlhft.hyperliquid.cloids import parse
from hlhft.hyperliquid.supervisor_events import Exit
from hlhft.live.engine import Engine
from hlhft.live.process import Orders, run
from tests.exchange.clients import small_settings
from tests.live.watched import Account, signer_of

WITHIN_S = 20.0
OWNER = 7
COINS = ("BTC", "ETH")
BTC, ETH = 0, 1
PRICES = {BTC: 110_000, ETH: 4_000}


class Exchange:
    """A server in a thread of its own; it may go down and come back on the same port with all that it knew."""

    def __init__(self, **changes: Any) -> None:
        start_ns = time.time_ns()
        self.machine = Machine(small_settings(start_ns=start_ns, with_limits=False, **changes))
        self.server = Server(self.machine, ExchangeClock(start_ns))
        self.loop = uvloop.new_event_loop()
        self._ready = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        assert self._ready.wait(60)
        self.port = self.server.port
        self.url = f"http://127.0.0.1:{self.port}"

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self.server.start())
        self._ready.set()
        self.loop.run_forever()
        left = asyncio.all_tasks(self.loop)
        for task in left:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self.loop.close()

    def _do(self, work: Callable[[], Any]) -> None:
        asyncio.run_coroutine_threadsafe(work(), self.loop).result(30)

    def say_oracle(self, coin: str, price: str) -> None:
        """The oracle's price from now on."""
        self.loop.call_soon_threadsafe(self.machine.set_oracle, coin, price)

    def go_down(self) -> None:
        """Nobody listens any more."""
        self._do(self.server.stop)

    def come_back(self) -> None:
        """It listens again, with all that it knew."""
        clock = self.server.clock
        clock.go_on_from(self.machine.time_ns)
        self.server = Server(self.machine, clock)
        self._do(lambda: self.server.start("127.0.0.1", self.port))

    def stop(self) -> None:
        """Ends it."""
        self.go_down()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(30)


class Trader(Account):
    """Somebody else at the exchange, who makes a market and trades."""

    def orders(self, *each: tuple[int, bool, str, str, str]) -> list[Any]:
        """Orders as (asset, is a buy, price, size, time in force); the statuses."""
        made = [
            {"a": asset, "b": buy, "p": price, "s": size, "r": False, "t": {"limit": {"tif": tif}}}
            for asset, buy, price, size, tif in each
        ]
        return list(self.act({"type": "order", "orders": made, "grouping": "na"})["data"]["statuses"])

    def make(self, asset: int) -> None:
        """Two sides, a thousandth from the middle."""
        middle = PRICES[asset]
        self.orders(
            (asset, True, str(middle - middle // 1000), "1", "Alo"),
            (asset, False, str(middle + middle // 1000), "1", "Alo"),
        )


def write_settings(folder: Path, exchange: Exchange, account: Account, **sections: str) -> Path:
    """A file of settings, and the key of the account's agent beside it. `sections` are lines that go into them."""
    key = folder / "agent.key"
    if not key.exists():
        key.touch(mode=0o600)
        key.write_text("0x" + (255 - account.signer_number).to_bytes(1, "big").hex() * 32 + "\n")
    lines = {
        "account": f'network = "local"\nbase_url = "{exchange.url}"\naddress = "{account.address}"\n'
        f'key_file = "{key}"\nowner = {OWNER}\n',
        "engine": f'coins = ["BTC", "ETH"]\nstate_folder = "{folder / "state"}"\n',
        "strategy": 'name = "two_sided"\n[strategy.params]\nhalf_spread_bp = 5\n',
        "journal": "segment_mib = 4\n",
        "risk": "order_notional_usdc_max = 2000\n",
    }
    path = folder / "config.toml"
    path.write_text("".join(f"[{name}]\n{text}{sections.get(name, '')}\n" for name, text in lines.items()))
    return path


class Owner(Account):
    """The account that the engine trades, with an agent approved."""

    def __init__(self, url: str, number: int) -> None:
        self.signer_number = number
        super().__init__(url, number)
        self.act(
            {
                "type": "approveAgent", "signatureChainId": "0x66eee", "hyperliquidChain": "Testnet",
                "agentAddress": signer_of(255 - number).address, "agentName": "engine",
            }
        )  # fmt: skip

    def own_orders(self) -> list[dict[str, Any]]:
        """What rests and bears the engine's mark."""
        found = []
        for order in self.ask("openOrders"):
            mark = parse(int(order["cloid"], 16)) if order.get("cloid") else None
            if mark is not None and mark.owner == OWNER:
                found.append(order)
        return found

    def sides(self, coin: str) -> set[str]:
        """The sides on which the engine's orders rest."""
        return {order["side"] for order in self.own_orders() if order["coin"] == coin}

    def position(self, coin: str) -> float:
        """The signed size."""
        held = [entry["position"] for entry in self.ask("clearinghouseState")["assetPositions"]]
        return next((float(one["szi"]) for one in held if one["coin"] == coin), 0.0)


async def until(look: Callable[[], object], *, within_s: float = WITHIN_S) -> None:
    """Waits until something is so; what looks may block, so it does so in a thread."""
    async with asyncio.timeout(within_s):
        while not await asyncio.to_thread(look):
            await _moment()


async def _moment() -> None:
    await asyncio.sleep(0.01)


def loaded(path: Path, environment: Mapping[str, str] | None = None) -> Loaded:
    return load(path, environment or {})


@contextlib.asynccontextmanager
async def engine(path: Path, **more: Any) -> AsyncIterator[tuple[Engine, asyncio.Task[Exit]]]:
    """A running engine; it is stopped at the end unless it has ended."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[Engine] = loop.create_future()
    task = loop.create_task(
        run(Orders(loaded=loaded(path), environment={}, on_ready=ready.set_result, compresses=False, **more))
    )
    await asyncio.wait((task, ready), return_when=asyncio.FIRST_COMPLETED)
    if not ready.done():
        ready.cancel()
        task.result()
    running = ready.result()
    try:
        yield running, task
    finally:
        if not task.done():
            running.stop("the test is over")
            async with asyncio.timeout(WITHIN_S):
                await asyncio.wait((task,))
        if not task.cancelled():
            task.exception()


def run_on_uvloop(work: Callable[[], Awaitable[None]]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work())  # type: ignore[arg-type]
