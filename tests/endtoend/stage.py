"""Everything that is watched, as processes, and the Prometheus that watches it.

Four hosts, each with settings, folders and an exporter of its own: `main` has all processes; `small` an engine with
little money and a disk of its own; `away` the second watchdog of `main`; `sick` a process that is none of hlhft's.
Between each and the venue stands somebody who passes on what is said, or does not. Nobody trades but the engines and a
crowd that does nothing unless told, so that the venue's ledger stands still while a test looks at it.
"""

from __future__ import annotations

import secrets
import signal
import socket
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from hlhft.config.load import Loaded, load
from hlhft.config.settings import Config
from hlhft.config.show import as_toml
from hlhft.live.control import ControlClient, ControlError
from hlhft.live.view import Status
from hlhft.monitor.alerts import GROUP, RULES_FILE, alerts, as_text, rule
from hlhft.monitor.prometheus import configuration, target_of
from tests.conformance.desk import Trader
from tests.endtoend.between import Between
from tests.endtoend.crowd import Crowd
from tests.endtoend.disk import Disk
from tests.endtoend.house import CLIENT_LABEL, START_S, House, Process, eventually, free_port
from tests.endtoend.kernel_clock import KernelClock
from tests.endtoend.prometheus import Prometheus

COINS, SMALL_COINS = ("BTC", "ETH"), ("SOL",)  # what main trades, and small; neither is the other's market
LINES = {"engine": "run", "watchdog": "watchdog", "exporter": "exporter", "recorder": "record"}
MODULES = {"alpha": "tests.endtoend.alpha_process", "sick": "tests.endtoend.sick"}
SMALL_USDC = 2_000
MEMORY = Path("/proc/meminfo")
PARAMETERS = {"half_spread_bp": 5}
# The share of their times that alerts wait and look back here, "" for all others. A watchdog hears nothing for 15 s in
# good order, and an engine takes longer to connect each time, so those keep more; what takes hours keeps less.
PACES = {"": 0.01, "WatchdogBlind": 0.3, "ProcessRestarting": 0.02, "ReconnectStorm": 0.02, "MemoryGrowth": 0.001}


class Host:
    """One machine as far as settings and processes go: `file` are its settings, what it writes lies in `folder`."""

    def __init__(self, folder: Path, text: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.file = folder / "config.toml"
        self.text = text
        self.file.write_text(text)
        self.config: Config = load(self.file, {}).config
        self.processes: dict[str, Process] = {}
        self.under: dict[str, tuple[str, ...]] = {}  # commands that run these

    @property
    def instance(self) -> str:
        """What Prometheus calls it."""
        return target_of(self.config)

    def start(self, *names: str) -> None:
        """Starts processes; does not wait for anything."""
        for name in names:
            before = self.processes.get(name)
            assert before is None or not before.is_running, f"{name} runs already"
            if name in MODULES:
                self.processes[name] = Process([str(self.file)], self.folder, module=MODULES[name])
            else:
                line = [LINES[name], "--config", str(self.file)]
                self.processes[name] = Process(line, self.folder, under=self.under.get(name, ()))

    def kill(self, name: str) -> None:
        """Ends a process without a word."""
        self.processes[name].kill()

    def freeze(self, name: str) -> None:
        """Lets a process stand still."""
        self.processes[name].signal(signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """Lets it go on."""
        self.processes[name].signal(signal.SIGCONT)

    def status(self) -> Status | None:
        """What the engine says of itself; None while it does not answer."""
        try:
            with ControlClient(Path(self.config.engine.state_folder) / "control.sock") as client:
                return client.status()
        except ControlError:
            return None

    def stage(self) -> str:
        """The engine's stage, empty while it does not answer."""
        told = self.status()
        return "" if told is None else told.stage

    def quotes(self) -> bool:
        """Whether the engine quotes both sides of all its markets, by its own word."""
        told = self.status()
        if told is None or told.stage != "quoting":
            return False
        return all({quote.side for quote in market.quotes} == {1, -1} for market in told.markets)

    def end(self, *, shows: bool) -> None:
        """Ends all that runs; shows what it said."""
        for name, process in self.processes.items():
            if process.is_running:
                process.signal(signal.SIGCONT)
                process.kill()
            if shows:
                print(f"--- {name} in {self.folder}\n{process.output[-3000:]}")


class Stage:
    """The hosts, their venue, and Prometheus. To be used as a context, which starts everything and waits until both
    engines quote and all hosts are scraped."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._kept = ExitStack()

    def __enter__(self) -> Stage:
        with ExitStack() as stack:
            self.clock = stack.enter_context(KernelClock())
            self.clock.say(is_synchronised=True)
            self.disk = stack.enter_context(Disk(self.folder))
            self.house = stack.enter_context(
                House(self.folder, coins=(*COINS, *SMALL_COINS), exchange=("--no-limits", "--flow", "none"))
            )
            desk = self.house.desk
            self.crowd = stack.enter_context(Crowd(desk, (*COINS, *SMALL_COINS)))
            self.trader, self.poor = self.house.trader, desk.trader(SMALL_USDC)
            # Between the venue and main, its recorder, small, and away.
            self.between, self.beside, self.near, self.far = (
                stack.enter_context(Between(self.house.url)) for _ in range(4)
            )
            self.hosts = self._hosts()
            self.main, self.small, self.away, self.sick = self.hosts
            stack.push(self._end)
            self.sick.start("sick", "exporter")
            self.away.start("watchdog", "exporter")
            self.main.start("engine", "watchdog", "exporter", "recorder", "alpha")
            self.small.start("engine", "exporter")
            self.prometheus = stack.enter_context(self._prometheus())
            eventually(lambda: self._are_running() and self.main.quotes() and self.small.quotes(), within_s=START_S)
            # It may take seconds until Prometheus looks at its targets for the first time.
            eventually(lambda: len(self.prometheus.query("up == 1")) == len(self.hosts), within_s=START_S)
            self._kept = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._kept.__exit__(kind, error, where)

    def _end(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        for host in self.hosts:
            host.end(shows=kind is not None)

    @property
    def main_account(self) -> str:
        """Its address, as the metrics name it."""
        return self.main.config.account.address

    def _are_running(self) -> bool:
        for host in self.hosts:
            for name, process in host.processes.items():
                assert process.is_running, f"{name} in {host.folder} ended: {process.output}"
        return True

    def _hosts(self) -> tuple[Host, ...]:
        beat = f"{socket.gethostname()}:{free_port()}"
        keys = self._approved(self.trader, "engine", "watchdog", "second")
        poor_keys = self._approved(self.poor, "engine", "watchdog")
        secret = self.folder / "heartbeat.secret"
        secret.touch(mode=0o600)
        secret.write_text(secrets.token_hex(32) + "\n")
        watched = {"secret_file": str(secret)}
        main = self._host(
            "main", self.trader, keys, url=self.between.url,
            watchdog={**watched, "key_file": str(keys[1]), "remote_heartbeat": beat},
            metrics={"processes": ["engine", "watchdog", "alpha", "recorder"]},
            recorder={"coins": COINS, "base_url": self.beside.url, "disk_free_gib_min": 0.1},
            alpha={"enabled": True, "levels": 5, "half_life_ms": 640, "decision_ms": 1000, "time_to_live_ms": 3000},
            engine={"reconcile_ms": 4000}, risk={"unknown_age_ms_max": 8000, "rejections_max": 10},
        )  # fmt: skip
        small = self._host(
            "small", self.poor, poor_keys, url=self.near.url, watchdog={"key_file": str(poor_keys[1])},
            metrics={"processes": ["engine"]},
            engine={"coins": SMALL_COINS, "journal_folder": str(self.disk.path / "journal"), "reconcile_ms": 4000},
            strategy={"name": "two_sided", "params": {**PARAMETERS, "order_notional_usdc": 2_000}},
            risk={"drawdown_share_max": 0.01},
        )  # fmt: skip
        away = self._host(
            "away", self.trader, keys, url=self.far.url,
            watchdog={**watched, "key_file": str(keys[2]), "heartbeat": beat}, metrics={"processes": ["watchdog"]},
        )  # fmt: skip
        sick = self._host("sick", self.trader, keys, url=self.house.url, metrics={"processes": ["engine"]})
        # What the kernel says of the host's memory, as the exporter of this host sees it: a file that can be changed.
        self.memory = self.folder / "meminfo"
        self.memory.write_text(MEMORY.read_text())
        mounts = f'mount --bind {self.memory} {MEMORY} && exec "$@"'
        sick.under["exporter"] = ("unshare", "--mount", "sh", "-c", mounts, "sh")
        return main, small, away, sick

    def _host(self, name: str, trader: Trader, keys: list[Path], *, url: str, **sections: dict[str, Any]) -> Host:
        folder = self.disk.memory / name
        sections["engine"] = {"coins": COINS, "state_folder": str(folder / "state"), **sections.get("engine", {})}
        sections["metrics"] = {"port": free_port(), **sections["metrics"]}
        told = {
            "strategy": {"name": "two_sided", "params": PARAMETERS},
            "account": {"network": "local", "base_url": url, "address": trader.address, "key_file": str(keys[0])},
            "data": {"catalogue": str(folder / "catalog")},
            "journal": {"segment_mib": 4},
            **sections,
        }
        return Host(folder, as_toml(Loaded(msgspec.convert(told, Config), {})))

    def _approved(self, trader: Trader, *names: str) -> list[Path]:
        """Files of the keys of new API wallets of an account."""
        found = []
        trader.exchange.session.headers[CLIENT_LABEL] = "test"
        for name in names:
            answer, key = trader.exchange.approve_agent(name)
            assert answer["status"] == "ok", answer
            path = self.folder / f"{trader.address}-{name}.key"
            path.touch(mode=0o600)
            path.write_text(f"{key}\n")
            found.append(path)
        return found

    def _prometheus(self) -> Prometheus:
        targets = [host.instance for host in self.hosts]
        told = configuration(targets, rules=RULES_FILE, alertmanagers=())
        rules = at_paces(self.main.config)
        return Prometheus(
            self.folder / "prometheus", configuration=as_text(told), files={RULES_FILE: as_text(rules)}
        )  # fmt: skip


def at_paces(config: Config) -> dict[str, Any]:
    """The rules with times that a test can wait for."""
    found = [
        rule(alert) for name, pace in PACES.items() for alert in alerts(config, pace=pace)
        if name == alert.name or (name == "" and alert.name not in PACES)
    ]  # fmt: skip
    return {"groups": [{"name": GROUP, "rules": found}]}
