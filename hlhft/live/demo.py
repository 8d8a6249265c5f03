"""A rehearsal of live trading on this machine: an exchange, a watchdog, an engine and the exporter of their metrics,
each a process of its own.

The same commands as a user runs, with settings in a file that a user could run again. The exchange tells where it
listens and which test account has money; that account's key approves two API wallets made for the occasion, one for the
engine and one for the watchdog. The end is in order: the engine stops and proves itself empty, then the watchdog, then
the exporter, then the exchange is asked once more, then it goes.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from hlhft.alpha.schema import FeatureSchema
from hlhft.config.load import Loaded
from hlhft.config.settings import Config
from hlhft.config.show import as_toml
from hlhft.hyperliquid import account_requests
from hlhft.hyperliquid.account import AccountReader
from hlhft.hyperliquid.account_requests import InfoKind
from hlhft.hyperliquid.reading import Fault
from hlhft.hyperliquid.signing import Signer
from hlhft.live.asking import Venue
from hlhft.live.child import Child, start
from hlhft.live.control import ControlClient, ControlError
from hlhft.live.view import Status
from hlhft.live.wallets import WalletError, approve

COINS = ("BTC", "ETH", "SOL", "WLFI")
START_S = 300.0  # the first run compiles
COMPILING_S = 5.0  # what takes longer compiles, or the machine is busy
COMPILING = "Still starting: the first time, hlhft compiles for this machine, which takes a minute or so"
STOP_S = 30.0
EMPTY_TRIES = 3
LOOPBACK = "127.0.0.1"
_POLL_S = 0.1

Say = Callable[[str], None]


class DemoError(Exception):
    """A demo that could not be held: which of its processes failed, and what it said."""


class Ready(msgspec.Struct, frozen=True):
    """What an exchange writes once it answers (`hlhft exchange --ready-file`)."""

    url: str
    coins: tuple[str, ...]
    test_account: str
    test_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A demo: where its files go, what is traded, and the settings over the defaults.

    `features`: of the model whose `hlhft alpha` the engine tells rows and listens to; None: of none. `metrics_port`:
    where Prometheus may ask, on this machine only; 0: any that is free.
    """

    folder: Path
    coins: tuple[str, ...] = COINS
    seed: int = 1
    strategy: str = "glft"
    params: dict[str, float] = field(default_factory=dict)
    features: FeatureSchema | None = None
    metrics_port: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How it ended. `open_orders` None: the exchange did not say."""

    engine: int  # exit codes
    watchdog: int
    exporter: int
    open_orders: int | None
    account_usdc: float | None

    @property
    def is_empty(self) -> bool:
        """The exchange itself lists no order of the account."""
        return self.open_orders == 0


class Demo:
    """A running demo. Made by `held`, which ends it whatever happens."""

    def __init__(self, plan: Plan, sockets: Path, say: Say) -> None:
        self.plan = plan
        self.children: list[Child] = []
        self.control = sockets / "control.sock"
        self._heartbeat = sockets / "heartbeat.sock"
        self._sockets = sockets
        self._say = say
        self._ready: Ready | None = None
        self._metrics_port = plan.metrics_port

    @property
    def journal(self) -> Path:
        """The folder of the engine's journal."""
        return self.plan.folder / "state" / "journal"

    @property
    def settings(self) -> Path:
        """The file of the settings, for commands beside it."""
        return self.plan.folder / "settings.toml"

    @property
    def metrics(self) -> str:
        """Where Prometheus may ask, once it has begun."""
        return f"http://{LOOPBACK}:{self._metrics_port}/metrics"

    def begin(self) -> None:
        """Starts all four, and returns when the engine and the exporter answer. Raises DemoError, OSError."""
        folder, plan = self.plan.folder, self.plan
        self._say("Starting an exchange on this machine")
        ready_file = folder / "exchange.json"
        exchange = self._start(
            "exchange", "--port", "0", "--seed", str(plan.seed), "--coins", ",".join(plan.coins),
            "--ready-file", str(ready_file), "--state", str(folder / "exchange.state"),
        )  # fmt: skip
        if not exchange.wait_for(ready_file, within_s=COMPILING_S) and exchange.is_running:
            self._say(COMPILING)
        if not exchange.wait_for(ready_file, within_s=START_S):
            raise _failed(exchange, "did not begin to answer")
        ready = msgspec.json.decode(ready_file.read_bytes(), type=Ready)
        self._ready = ready
        self._say(f"It answers at {ready.url}; approving API wallets for the engine and its watchdog")
        settings = self.settings
        self._metrics_port = self._metrics_port or _free_port()
        settings.write_text(as_toml(Loaded(self._settings(ready), {})), encoding="utf-8")
        self._say("Starting the watchdog, the engine, and the exporter of their metrics")
        self._start("watchdog", "--config", str(settings))
        engine = self._start("run", "--config", str(settings))
        exporter_file = folder / "exporter.json"
        exporter = self._start("exporter", "--config", str(settings), "--ready-file", str(exporter_file))
        self._wait_for_engine(engine)
        if not exporter.wait_for(exporter_file, within_s=START_S):
            raise _failed(exporter, "did not begin to answer")
        self._say(f"Metrics for Prometheus are at {self.metrics}")

    def status(self, client: ControlClient) -> Status:
        """What the engine says of itself. Raises DemoError when one of the processes ended, with its last words."""
        for child in self.children:
            if not child.is_running:
                raise _failed(child, "ended by itself")
        try:
            return client.status()
        except ControlError as error:
            raise DemoError(str(error)) from None

    def end(self) -> Ending:
        """Stops the engine, watchdog and exporter, then the exchange once it said what is left. Can be called once."""
        exchange, watchdog, engine, exporter = self.children
        self._say("Stopping the engine: it cancels its orders and proves that none is left")
        engine_code = engine.stop(within_s=STOP_S)
        watchdog_code = watchdog.stop(within_s=STOP_S)
        exporter_code = exporter.stop(within_s=STOP_S)
        open_orders, account_usdc = self._left()
        exchange.stop(within_s=STOP_S)
        return Ending(
            engine=engine_code, watchdog=watchdog_code, exporter=exporter_code, open_orders=open_orders,
            account_usdc=account_usdc,
        )  # fmt: skip

    def _start(self, *arguments: str) -> Child:
        child = start(arguments, log=self.plan.folder / f"{arguments[0]}.log")
        self.children.append(child)
        return child

    def _settings(self, ready: Ready) -> Config:
        """Settings with keys that were made and approved for this demo."""
        plan, state = self.plan, self.plan.folder / "state"
        state.mkdir(mode=0o700, exist_ok=True)
        owner = Signer(bytes.fromhex(ready.test_key.removeprefix("0x")))
        files = {
            name: _made_key(owner, Venue(ready.url), name, state / f"{name}.key") for name in ("engine", "watchdog")
        }
        return msgspec.convert(
            {
                "strategy": {"name": plan.strategy, "params": plan.params},
                "account": {
                    "network": "local", "base_url": ready.url, "address": owner.address,
                    "key_file": str(files["engine"]),
                },
                "engine": {
                    "coins": ready.coins, "state_folder": str(state), "control_socket": str(self.control),
                },
                "watchdog": {"key_file": str(files["watchdog"]), "heartbeat": str(self._heartbeat)},
                "journal": {"segment_mib": 64, "total_gib_max": 2},
                "log": {"level": "info"},
                "metrics": {"address": LOOPBACK, "port": self._metrics_port},
                "alpha": self._alpha(),
            },
            Config,
        )  # fmt: skip

    def _alpha(self) -> dict[str, Any]:
        """That section of the settings; its sockets stand with the others, where paths are short."""
        features = self.plan.features
        if features is None:
            return {}
        places = {name: f"ipc://{self._sockets / name}.sock" for name in ("features", "snapshot", "signals")}
        return {
            "enabled": True, "levels": features.levels, "clock_ms": features.clock_ms,
            "half_life_ms": features.half_life_ms, **places,
        }  # fmt: skip

    def _wait_for_engine(self, engine: Child) -> None:
        began, was_told = time.monotonic(), False
        with ControlClient(self.control) as client:
            while time.monotonic() < began + START_S:
                if not engine.is_running:
                    raise _failed(engine, "ended before it traded")
                with contextlib.suppress(ControlError):
                    client.status()
                    return
                if not was_told and time.monotonic() > began + COMPILING_S:
                    self._say(COMPILING)
                    was_told = True
                time.sleep(_POLL_S)
        raise _failed(engine, f"did not answer within {START_S:g} s")

    def _left(self) -> tuple[int | None, float | None]:
        """Open orders and value of the account by the exchange's own word; None where it says nothing."""
        ready = self._ready
        assert ready is not None, "a demo that ends has begun"
        venue, reader = Venue(ready.url), AccountReader((), user=ready.test_account)
        open_orders, account_usdc = None, None
        for _ in range(EMPTY_TRIES):
            listed = venue.info(account_requests.of_user(InfoKind.OPEN_ORDERS, ready.test_account).body)
            told = venue.info(account_requests.of_user(InfoKind.STATE, ready.test_account).body)
            orders = None if listed.body is None else reader.open_orders(listed.body)
            state = None if told.body is None else reader.state(told.body)
            if state is not None and not isinstance(state, Fault):
                account_usdc = state.account_value_micro / 1e6
            if orders is not None and not isinstance(orders, Fault):
                open_orders = len(orders)
                break
        return open_orders, account_usdc


@contextmanager
def held(plan: Plan, say: Say) -> Iterator[Demo]:
    """A demo that has begun; when the block is left, nothing of it runs any more. Raises DemoError, OSError."""
    plan.folder.mkdir(parents=True, exist_ok=True)
    # A path of a socket is short, and a folder of runs may lie deep.
    sockets = Path(tempfile.mkdtemp(prefix="hlhft-"))
    demo = Demo(plan, sockets, say)
    try:
        demo.begin()
        yield demo
    finally:
        for child in reversed(demo.children):
            child.stop(within_s=STOP_S)
        shutil.rmtree(sockets, ignore_errors=True)


def _made_key(owner: Signer, venue: Venue, name: str, path: Path) -> Path:
    """A new key in a file of its own, approved by the owner as an API wallet of this name. Raises DemoError."""
    key = secrets.token_bytes(32)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(f"0x{key.hex()}\n")
    try:
        approve(venue, owner, name, Signer(key).address)
    except WalletError as error:
        raise DemoError(str(error)) from None
    return path


def _free_port() -> int:
    """A port that nobody listens on at this moment; who takes it first has it. Raises OSError."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def _failed(child: Child, what: str) -> DemoError:
    words = child.last_words
    return DemoError(f"the {child.name} {what}{f': {words}' if words else ''} (all of it is in {child.log})")
