"""An engine, its watchdog and an exchange in virtual time, on a network that misbehaves; each of them can be killed."""

from __future__ import annotations

from pathlib import Path
from random import Random

from hlhft.config.load import load
from hlhft.config.settings import Config
from hlhft.hyperliquid.cloids import Cloid
from hlhft.simulation.crowd import Crowd
from hlhft.simulation.engine_process import EngineProcess
from hlhft.simulation.network import Network
from hlhft.simulation.time import MS, SECOND, Time
from hlhft.simulation.venue import ACCOUNT, Venue
from hlhft.simulation.watchdog_process import WatchdogProcess

SETTINGS = """
[account]
network = "local"
base_url = "http://exchange"
address = "{address}"
owner = 7
[engine]
coins = ["BTC", "ETH"]
[strategy]
name = "two_sided"
[strategy.params]
half_spread_bp = 5
[risk]
order_notional_usdc_max = 2000
"""


def config_in(folder: Path) -> Config:
    """The settings of an engine, through a file as those of a user are."""
    path = folder / "config.toml"
    path.write_text(SETTINGS.format(address=ACCOUNT))
    return load(path, {}).config


class World:
    """All of it. The engine and the watchdog are None while they are dead."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.random = Random(seed)  # noqa: S311 - a run is to be repeated
        self.folder = folder
        self.config = config_in(folder)
        self.time = Time()
        self.venue = Venue(self.time, seed + 1)
        self.network = Network(self.time, Random(seed + 2), self.venue)  # noqa: S311
        self.crowd = Crowd(self.venue, Random(seed + 3))  # noqa: S311
        self.engine: EngineProcess | None = None
        self.watchdog: WatchdogProcess | None = None
        self.beat_loss = 0.0
        self.time.run(5 * SECOND)

    def start_engine(self) -> None:
        """A new session."""
        assert self.engine is None, "one at a time"
        self.engine = EngineProcess(self)

    def start_watchdog(self) -> None:
        """One that knows nothing of before."""
        assert self.watchdog is None, "one at a time"
        self.watchdog = WatchdogProcess(self)

    def kill_engine(self) -> None:
        """Its orders stand."""
        assert self.engine is not None
        self.engine.kill(loses=self.random.random() < 0.5)
        self.engine = None

    def kill_watchdog(self) -> None:
        """Nobody watches."""
        assert self.watchdog is not None
        self.watchdog.kill(loses=self.random.random() < 0.5)
        self.watchdog = None

    def kill_exchange(self) -> None:
        """Nobody hears of it any more."""
        self.venue.kill()
        self.network.is_down = True
        self.network.cut(sorted(self.network.wires, key=lambda wire: wire.connection))

    def return_exchange(self) -> None:
        """As it was at its last block."""
        self.network.is_down = False
        self.venue.come_back()

    def carry(self, message: bytes) -> None:
        """A beat on its way."""
        if self.random.random() >= self.beat_loss:
            self.time.at(self.time.now_ns + self.random.randrange(1, 3) * MS, self._hear, message)

    def _hear(self, message: bytes) -> None:
        if self.watchdog is not None:
            self.watchdog.hear(message)

    def unowned(self) -> list[Cloid]:
        """Own orders at the venue whose owner is dead."""
        session = 0 if self.engine is None else self.engine.session
        return [mark for mark in self.venue.own_orders().values() if mark.session != session]

    def agrees(self) -> bool:
        """Whether engine and venue name the same orders and positions."""
        engine = self.engine
        assert engine is not None
        return engine.positions() == self.venue.positions() and engine.orders() == set(self.venue.own_orders())
