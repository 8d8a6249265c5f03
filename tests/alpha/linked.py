"""An engine's link on its own: real sockets, a stand-in for the core's way, rows that a test makes up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import uvloop

from hlhft.alpha.schema import ROW_DTYPE, FeatureSchema
from hlhft.alpha.sockets import Keys
from hlhft.config.folders import AlphaPlaces
from hlhft.hyperliquid.backoff import connect_budget, message_budget
from hlhft.hyperliquid.decode import Row
from hlhft.live.alpha_link import AlphaLink, AlphaParts, LinkSettings
from hlhft.live.clock import Clock
from hlhft.live.hub import Hub
from hlhft.live.timers import Timers
from hlhft.units import Market
from tests.alpha.wired import SESSION

WITHIN_S = 20.0
SCHEMA = FeatureSchema(levels=1)
MARKETS = (
    Market.perpetual("BTC", asset_id=0, size_decimals=5, maximum_leverage=40),
    Market.perpetual("ETH", asset_id=1, size_decimals=4, maximum_leverage=25),
)
NO_EVENTS = np.zeros(0)


def on_loop(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work())


async def until(look: Callable[[], object], *, within_s: float = WITHIN_S) -> None:
    async with asyncio.timeout(within_s):
        while True:
            if look():
                return
            await asyncio.sleep(0.005)


class MadeRows:
    """Rows as a test makes them: `made` is what the next frame leads to."""

    def __init__(self, schema: FeatureSchema = SCHEMA) -> None:
        self.schema = schema
        self.ready: tuple[np.ndarray, np.ndarray] | None = None  # what the next frame leads to, made already
        self.made: list[tuple[int, int]] = []  # market, sequence
        self.kept: dict[int, list[int]] = {}

    def row(self, market: int, sequence: int) -> tuple[np.ndarray, np.ndarray]:
        heads = np.zeros(1, ROW_DTYPE)
        heads["market"], heads["sequence"], heads["flags"] = market, sequence, 1
        heads["ts_local_ns"] = heads["ts_exch_ns"] = time.time_ns()
        values = np.sin(sequence + np.arange(self.schema.columns, dtype=np.float32))[None, :].astype(np.float32)
        return heads, values

    def rows(self, events: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        if self.ready is not None:
            return self.ready
        made, self.made = self.made, []
        if not made:
            return np.zeros(0, ROW_DTYPE), np.zeros((0, self.schema.columns), np.float32)
        parts = [self.row(*each) for each in made]
        for market, sequence in made:
            self.kept.setdefault(market, []).append(sequence)
        return np.concatenate([heads for heads, _ in parts]), np.concatenate([values for _, values in parts])

    def newest(self, market: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        parts = [self.row(market, sequence) for sequence in self.kept.get(market, [])[-count:]]
        if not parts:
            return np.zeros(0, ROW_DTYPE), np.zeros((0, self.schema.columns), np.float32)
        return np.concatenate([heads for heads, _ in parts]), np.concatenate([values for _, values in parts])


class Core:
    """Stands where the core's way is, and writes down what it is told."""

    def __init__(self) -> None:
        self.frames: list[list[Row]] = []
        self.heard: asyncio.Future[int] | None = None  # when the next frame was told, of perf_counter_ns

    def turn(self) -> int:
        return time.time_ns()

    def tell(self, rows: Sequence[Row]) -> None:
        if self.heard is not None and not self.heard.done():
            self.heard.set_result(time.perf_counter_ns())
        self.frames.append(list(rows))

    @property
    def rows(self) -> list[Row]:
        return [row for frame in self.frames for row in frame]


class Linked:
    """A link that stands; made on a running loop."""

    def __init__(self, folder: Path, *, keys: Keys | None = None, places: AlphaPlaces | None = None, **changes: Any):
        loop, clock = asyncio.get_running_loop(), Clock()
        self.core = Core()
        self.hub = Hub(
            clock=clock, timers=Timers(loop, clock), http=None, keeper=None,  # type: ignore[arg-type]
            connects=connect_budget(), messages=message_budget(),
        )  # fmt: skip
        self.hub.dispatch = self.core  # type: ignore[assignment]
        self.rows = MadeRows(changes.pop("schema", SCHEMA))
        self.places = places or AlphaPlaces(*(f"ipc://{folder}/{name}" for name in ("f.sock", "n.sock", "s.sock")))
        observer = changes.pop("observer", None)
        settings = {
            "places": self.places, "keys": keys, "models": frozenset(), "time_to_live_ns": 1_000_000_000,
            "policy_time_to_live_ns": 10_000_000_000, "move_e9_max": 2_000_000, **changes,
        }  # fmt: skip
        parts = AlphaParts(settings=LinkSettings(**settings), session=SESSION, rows=self.rows, observer=observer)
        self.link = AlphaLink(self.hub, parts, markets=MARKETS)

    def publish(self, *made: tuple[int, int]) -> None:
        self.rows.made = list(made)
        self.link.publish(NO_EVENTS, 0)

    @property
    def said(self) -> list[str]:
        return [happening.text for happening in self.hub.happenings]

    def close(self) -> None:
        self.link.close()
        self.hub.timers.close()
