"""The whole house as processes: an exchange, an engine and a watchdog, each started as a user starts it.

What is true at the venue is read with the official SDK, never through hlhft; what the engine says of itself comes from
its control socket.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
from eth_account import Account
from eth_account.signers.local import LocalAccount
from hyperliquid.exchange import Exchange

from hlhft.exchange.server import CLIENT_LABEL
from hlhft.hyperliquid.cloids import parse
from hlhft.hyperliquid.gateway_events import ReportCode
from hlhft.live.control import ControlClient, ControlError
from hlhft.live.view import Status
from tests.conformance.desk import IOC, Desk, Trader

ROOT = Path(__file__).resolve().parents[2]
START_S = 300.0  # the first start compiles, on a machine that may be busy with other tests
STOP_S = 30.0
LINES_MAX = 5_000
PAUSE_S = 0.1
LABELS = 100  # a client may read the open orders sixty times a minute
OWNER = 77
NONCE_USED = f"gateway: {ReportCode.NONCE_USED.name}"  # the engine's counter; it is there once it counts
EXPIRY_S = 3.0  # the default of batch.expires_after_ms


def eventually(look: Callable[[], Any], *, within_s: float) -> None:
    """Returns once `look` says something true; fails when the time is up. Looks less often than the venue minds."""
    deadline = time.monotonic() + within_s
    while not (found := look()):
        assert time.monotonic() < deadline, f"still {found!r} after {within_s} s"
        time.sleep(PAUSE_S)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment() -> dict[str, str]:
    """That of a user of this checkout, compiled."""
    found = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "NO_PROXY": "127.0.0.1"}
    found.pop("NUMBA_DISABLE_JIT", None)  # the venue cannot tell, but for the time it takes
    return found


def environment_in(folder: Path) -> dict[str, str]:
    """The same with a state folder below this one where the settings name none: that of whoever runs the tests may be
    in use."""
    return {**environment(), "XDG_STATE_HOME": str(state_home(folder))}


def state_home(folder: Path) -> Path:
    """Where processes in this folder keep what they know. Its name is short: the path of a socket has 107 bytes."""
    return folder.absolute() / "s"


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A command of hlhft that ends by itself."""
    line = [sys.executable, "-m", "hlhft", *arguments]
    return subprocess.run(
        line, cwd=folder, env=environment_in(folder), capture_output=True, text=True, timeout=START_S, check=False
    )


class Process:
    """One command of hlhft; its output is read as it comes, so that it never waits for a reader."""

    def __init__(
        self, arguments: list[str], folder: Path, *, module: str = "hlhft", under: tuple[str, ...] = ()
    ) -> None:
        """`under` is a command that runs it, as unshare does."""
        self.arguments = arguments
        self.lines: deque[str] = deque(maxlen=LINES_MAX)
        self.popen = subprocess.Popen(
            [*under, sys.executable, "-m", module, *arguments], cwd=folder, env=environment_in(folder),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            self.lines.append(line)

    @property
    def output(self) -> str:
        """Everything it has said lately."""
        return "".join(list(self.lines))

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.popen.poll() is None

    def signal(self, number: int) -> None:
        """Sends a signal."""
        self.popen.send_signal(number)

    def ended(self, within_s: float = STOP_S) -> int:
        """Its exit code, once it has ended by itself."""
        code = self.popen.wait(timeout=within_s)
        self._reader.join(timeout=STOP_S)
        if self.popen.stdout is not None:
            self.popen.stdout.close()
        return code

    def stop(self) -> int:
        """Asks it to end; its exit code."""
        self.signal(signal.SIGTERM)
        return self.ended()

    def kill(self) -> None:
        """Ends it without a word."""
        self.popen.kill()
        self.ended()


class House:
    """An exchange with a funded account, and room for its engine and watchdog. To be used as a context."""

    def __init__(
        self,
        folder: Path,
        *,
        coins: tuple[str, ...] = ("BTC", "ETH"),
        exchange: tuple[str, ...] = (),
        settings: str = "",
    ) -> None:
        """`exchange` are further options of the exchange, `settings` TOML that goes behind the generated sections."""
        self.folder = folder
        self.coins = coins
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.config = folder / "config.toml"
        self.state = folder / "state"
        self._options = exchange
        self._settings = settings
        self.exchange = self._start_exchange()
        self.engine: Process | None = None
        self.watchdog: Process | None = None
        self._taker: Trader | None = None
        self.desk = Desk(self.url)
        self._looks = 0
        self.trader = self.desk.trader(100_000)
        self.trader.exchange.session.headers[CLIENT_LABEL] = "test"
        self.address = self.trader.address
        self.agents = [self._agent(name) for name in ("engine", "watchdog")]
        self._write_config()

    def __enter__(self) -> House:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        for process in (self.engine, self.watchdog, self.exchange):
            if process is not None and process.is_running:
                process.signal(signal.SIGCONT)
                process.kill()
            if kind is not None and process is not None:
                print(f"--- {' '.join(process.arguments)}\n{process.output[-6000:]}")

    def _look(self) -> None:
        """Lets what is asked next count as another client's: a test looks more often than one client may."""
        self._looks += 1
        for client in (self.desk.http, self.desk.info.session):
            client.headers[CLIENT_LABEL] = f"test {self._looks % LABELS}"

    # Processes.

    def _start_exchange(self) -> Process:
        where = ["--port", str(self.port), "--state", str(self.folder / "exchange.state")]
        line = ["exchange", "--coins", ",".join(self.coins), "--seed", "7", *where, *self._options]
        process = Process(line, self.folder)
        eventually(lambda: not process.is_running or self._listens(), within_s=START_S)
        assert process.is_running, process.output
        return process

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def restart_exchange(self) -> None:
        """Starts it again, with what it knew."""
        self.exchange = self._start_exchange()

    def start_engine(self, *, until: tuple[str, ...] = ("quoting",)) -> Process:
        """Starts the engine, and waits until it is in one of these stages."""
        self.engine = engine = Process(["run", "--config", str(self.config)], self.folder)
        eventually(lambda: not engine.is_running or self.stage() in until, within_s=START_S)
        assert engine.is_running, engine.output
        return engine

    def start_watchdog(self) -> Process:
        """Starts the watchdog."""
        self.watchdog = Process(["watchdog", "--config", str(self.config)], self.folder)
        return self.watchdog

    # The engine's own word.

    def control(self) -> ControlClient:
        """A client of the control socket."""
        return ControlClient(self.state / "control.sock")

    def status(self) -> Status | None:
        """What the engine says of itself; None while it does not answer."""
        try:
            with self.control() as client:
                return client.status()
        except ControlError:
            return None

    def stage(self) -> str:
        """The engine's stage, empty while it does not answer."""
        told = self.status()
        return "" if told is None else told.stage

    # The venue's word.

    def own_orders(self) -> list[dict[str, Any]]:
        """The account's open orders that carry this engine's mark."""
        self._look()
        return [order for order in self.trader.open_orders() if self._is_own(order)]

    def _is_own(self, order: dict[str, Any]) -> bool:
        mark = parse(int(order["cloid"], 16)) if order.get("cloid") else None
        return mark is not None and mark.owner == OWNER

    def positions(self) -> dict[str, str]:
        """Signed sizes of the positions, by coin."""
        self._look()
        held = [entry["position"] for entry in self.trader.state()["assetPositions"]]
        return {position["coin"]: position["szi"] for position in held}

    def quotes_both_sides(self) -> bool:
        """Whether every market has an own bid and an own ask at the venue."""
        sides = {(order["coin"], order["side"]) for order in self.own_orders()}
        return sides >= {(coin, side) for coin in self.coins for side in "AB"}

    def quotes_within(self, seconds: float) -> None:
        """Waits until both sides of every market are quoted; shows what the engine says when they are not."""
        deadline = time.monotonic() + seconds
        while not self.quotes_both_sides():
            if time.monotonic() > deadline:
                told = self.status()
                shown = "no answer" if told is None else msgspec.json.format(msgspec.json.encode(told)).decode()
                raise AssertionError(f"after {seconds} s {self.own_orders()}, and the engine says {shown}")
            time.sleep(PAUSE_S)

    def hit(self, coin: str) -> None:
        """Sells into the engine's best bid of a coin, and through all that stands before it."""
        if self._taker is None:
            self._taker = self.desk.trader(1_000_000_000)
            self._taker.exchange.session.headers[CLIENT_LABEL] = "taker"
        bids = [order for order in self.own_orders() if order["coin"] == coin and order["side"] == "B"]
        if not bids:
            return
        price = max(Decimal(order["limitPx"]) for order in bids)
        before = sum(size for at, size, _ in self.desk.book(coin)[0] if at >= price)
        self._taker.order(coin, False, float(before), float(price), IOC)

    def empty_within(self, seconds: float) -> float:
        """Waits until the venue has no own order, stays so for longer than a late one could come; returns the seconds
        until the last was seen."""
        began = last = time.monotonic()
        while time.monotonic() - last < 1.0:
            if self.own_orders():
                last = time.monotonic()
                assert last - began < seconds, f"own orders after {seconds} s: {self.own_orders()}"
        return last - began

    # Keys and settings.

    def _agent(self, name: str) -> Path:
        """Approves a new API wallet; the file of its key."""
        answer, key = self.trader.exchange.approve_agent(name)
        assert answer["status"] == "ok", answer
        path = self.folder / f"{name}.key"
        path.touch(mode=0o600)
        path.write_text(f"{key}\n")
        return path

    def _write_config(self) -> None:
        secret = self.folder / "heartbeat.secret"
        secret.touch(mode=0o600)
        secret.write_text(secrets.token_hex(32) + "\n")
        names = ", ".join(f'"{coin}"' for coin in self.coins)
        self.config.write_text(
            f"""
[account]
network = "local"
base_url = "{self.url}"
address = "{self.address}"
key_file = "{self.agents[0]}"
owner = {OWNER}

[engine]
coins = [{names}]
state_folder = "{self.state}"

[journal]
segment_mib = 16

[watchdog]
key_file = "{self.agents[1]}"
secret_file = "{secret}"
{self._settings}
"""
        )

    def second_client(self) -> Trader:
        """The same account in other hands: its orders are not the engine's."""
        wallet: LocalAccount = self.trader.exchange.wallet
        other = Exchange(Account.from_key(wallet.key), self.url)
        other.session.headers[CLIENT_LABEL] = "other"
        return Trader(self.desk, other, self.address)
