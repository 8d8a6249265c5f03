"""An engine, its watchdog and an exchange in virtual time, on a network that misbehaves; each of them can be killed.

Everything that is drawn comes from the seed: each part of the world draws from a generator of its own, so that a fault
less does not change what the others draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np

from hlhft.config.load import load
from hlhft.config.settings import limit_values
from hlhft.simulation.engine_process import EngineProcess
from hlhft.simulation.exchange_process import OPENING_NS, ExchangeProcess
from hlhft.simulation.faults import Fault
from hlhft.simulation.host import Wall
from hlhft.simulation.judge import Judge
from hlhft.simulation.misfortune import Misfortune
from hlhft.simulation.network import Network
from hlhft.simulation.settings import RunSettings, drawn
from hlhft.simulation.time import MS, Time
from hlhft.simulation.watchdog_process import WatchdogProcess


class World:
    """All of it. The engine and the watchdog are None while they are dead."""

    def __init__(
        self, seed: int, folder: Path, plan: Sequence[Fault] = (), settings: RunSettings | None = None
    ) -> None:
        self.settings = drawn(seed) if settings is None else settings
        self.random = _generator(seed, "processes")
        self.folder = folder
        self.time = Time()
        self.beat_loss = 0.0
        self.engine_wall, self.watchdog_wall = Wall(self.time), Wall(self.time)
        self._beats = _generator(seed, "beats")
        path = folder / "config.toml"
        path.write_text(self.settings.text())
        self.config = load(path, {}).config
        self.cap_micro = limit_values(self.config)["position_notional_micro_max"]
        self.engine: EngineProcess | None = None
        self.watchdog: WatchdogProcess | None = None
        self.judge = Judge(self)
        self.exchange = ExchangeProcess(self.time, seed, self.judge, self.settings)
        self.network = Network(self.time, _generator(seed, "network"), self.exchange)
        self.misfortune = Misfortune(self, ())
        self.time.run(OPENING_NS + self.settings.expires_after_ms * MS)
        self.markets = tuple(self.exchange.found().markets)
        self.misfortune = Misfortune(self, plan)

    def start_engine(self) -> None:
        """A new session."""
        assert self.engine is None, "one at a time"
        self.engine = EngineProcess(self)
        self.judge.begins(self.engine)

    def start_watchdog(self) -> None:
        """One that knows nothing of before."""
        assert self.watchdog is None, "one at a time"
        self.watchdog = WatchdogProcess(self)

    def engine_turned(self) -> None:
        """Something happened in the engine."""
        self.judge.engine_turned()
        self.misfortune.engine_turned()

    def kill_engine(self, *, loses: bool) -> None:
        """Its orders stand; what was copied into its journal is there."""
        engine, self.engine = self.engine, None
        assert engine is not None
        engine.kill(loses=loses)
        self.judge.ends(engine)
        self.judge.session_over(engine)

    def cut_power(self) -> None:
        """As a kill, and what was not flushed is torn."""
        engine, self.engine = self.engine, None
        assert engine is not None
        engine.kill(loses=True)
        self.judge.ends(engine)
        engine.disk.cut_power()

    def kill_watchdog(self, *, loses: bool) -> None:
        """Nobody watches."""
        assert self.watchdog is not None
        self.watchdog.kill(loses=loses)
        self.watchdog = None

    def kill_exchange(self) -> None:
        """Nobody hears of it any more."""
        self.exchange.kill()
        self.network.weather.is_down = True
        self.network.cut(self.network.connections.values())
        self.network.lose()

    def return_exchange(self) -> None:
        """As it was at its last block."""
        self.network.weather.is_down = False
        self.exchange.come_back()

    def carry(self, message: bytes) -> None:
        """A beat on its way."""
        if self._beats.random() >= self.beat_loss:
            self.time.at(self.time.now_ns + self._beats.randrange(1, 3) * MS, self._hear, message, self.time.now_ns)

    def _hear(self, message: bytes, carried_ns: int) -> None:
        if self.watchdog is not None:
            self.watchdog.hear(message, carried_ns)

    def agrees(self) -> bool:
        """Whether engine and exchange name the same orders, but for those that are under way, and positions."""
        engine = self.engine
        if engine is None:
            return False
        there = {mark.number() for _, mark in self.judge.own_orders()}
        return engine.positions() == self.exchange.positions() and engine.resting() <= there <= engine.orders()

    @property
    def marks(self) -> np.ndarray:
        """The exchange's marks, in ticks by market."""
        return self.exchange.marks()


def _generator(seed: int, part: str) -> Random:
    return Random(f"{part} of {seed}")  # noqa: S311 - a run is to be repeated
