"""Bad days with a name: what happens when, and what must be seen, as data.

The first twenty are the complaints of docs/promises.md by their numbers; the others what a network does at the worst
moment. All promises are judged in each of them as in any other run, and it must trade again afterwards.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from hlhft.hyperliquid.gateway_mode import Mode
from hlhft.hyperliquid.supervisor_table import Stage
from hlhft.simulation.account import COINS
from hlhft.simulation.engine_process import LABEL
from hlhft.simulation.faults import FaultKind, read_plan
from hlhft.simulation.judge import Violation
from hlhft.simulation.run import MEMORY, Run
from hlhft.simulation.settings import DEFAULT, RunSettings
from hlhft.simulation.stream import WINDOW_BYTES
from hlhft.simulation.time import MS, SECOND
from hlhft.simulation.world import World

LOOK_NS = 100 * MS
SEED = 3
CALLS_MAX = 5_000  # that wait for their time in all of a world
SOCKETS_MAX = 6  # of an engine: three lines, and the exchange may not have noticed yet that one before is gone
ASKED_MAX = 32  # questions of an engine that wait for their answer
Look = Callable[[World], bool]


class Sight(StrEnum):
    """What can be seen of a world."""

    TRADES = "it trades: it agrees with the exchange, and its data are fresh"
    QUOTES = "it has orders at the exchange"
    IS_EMPTY = "no own order is at the exchange"
    IS_HALTED = "it is halted"
    IS_NOT_HALTED = "it is not halted"
    IS_OFFLINE = "no connection of the engine stands at the exchange"
    DOUBTS = "an order's fate is unknown"
    IS_CERTAIN = "no order's fate is unknown"
    IS_FLAT = "no position is held"
    HOLDS = "a position is held"
    AGREES = "engine and exchange name the same positions"
    IS_ACCOUNTED = "funding was paid, and it and the fees are in the engine's books as in the exchange's"
    POST_ONLY = "what takes waits for the end of the post-only window"
    ONE_MARKET = "it has orders in the market that is left, and in no other"
    OTHERS_STAND = "orders of others stand"
    HAS_RESTARTED = "a second session runs"
    IS_REPLAYED = "a session that was killed has replayed to its last state"
    ALL_REPLAYED = "each session that was killed has, and more than one"
    IS_BOUNDED = "nothing waits without bound"
    IS_DEAD = "no engine lives"


def _trades(world: World) -> bool:
    return world.engine is not None and world.engine.is_trading


def _halted(world: World) -> bool:
    return world.engine is not None and world.engine.engine.stage is Stage.HALTED


def _doubts(world: World) -> bool:
    engine = world.engine
    return engine is not None and any(engine.engine.parts.fates.doubts(engine.host.now_ns()))


def _agrees(world: World) -> bool:
    return world.engine is not None and world.engine.positions() == world.exchange.positions()


def _is_accounted(world: World) -> bool:
    """Of one session, which began with the account."""
    engine, exchange = world.engine, world.exchange
    if engine is None or engine.session > 1:
        return False
    theirs = exchange.machine.kernel.chain.exchange.holdings[exchange.number(), : len(COINS)]
    ours = engine.engine.parts.brain.lane.positions
    names = ("fee_micro", "funding_micro")
    rows = [COINS.index(market.name) for market in engine.markets]
    is_same = all(bool((ours[name] == theirs[name][rows]).all()) for name in names)
    return is_same and all(bool(theirs[name].any()) for name in names)


def _is_bounded(world: World) -> bool:
    sockets = world.network.of(LABEL)
    asked = 0 if world.engine is None else world.engine.hub.http.under_way
    waits = any(one.unread_bytes >= WINDOW_BYTES or one.waiting_bytes >= WINDOW_BYTES for one in sockets)
    return world.time.waiting < CALLS_MAX and len(sockets) <= SOCKETS_MAX and asked <= ASKED_MAX and not waits


def _rows(world: World) -> set[int]:
    return {order.row for order, _ in world.judge.own_orders()}


SIGHTS: Mapping[Sight, Look] = {
    Sight.TRADES: _trades,
    Sight.QUOTES: lambda world: bool(world.judge.own_orders()),
    Sight.IS_EMPTY: lambda world: not world.judge.own_orders(),
    Sight.IS_HALTED: _halted,
    Sight.IS_NOT_HALTED: lambda world: not _halted(world),
    Sight.IS_OFFLINE: lambda world: not world.network.of("engine"),
    Sight.DOUBTS: _doubts,
    Sight.IS_CERTAIN: lambda world: not _doubts(world),
    Sight.IS_FLAT: lambda world: not any(world.exchange.positions()),
    Sight.HOLDS: lambda world: any(world.exchange.positions()),
    Sight.AGREES: _agrees,
    Sight.IS_ACCOUNTED: _is_accounted,
    Sight.POST_ONLY: lambda world: (
        world.engine is not None and world.engine.engine.orders.gateway.mode is Mode.POST_ONLY
    ),
    Sight.ONE_MARKET: lambda world: _rows(world) == {COINS.index(coin) for coin in world.exchange.coins} != {0, 1},
    Sight.OTHERS_STAND: lambda world: bool(world.exchange.shocks.foreign()),
    Sight.HAS_RESTARTED: lambda world: world.engine is not None and world.engine.session > 1,
    Sight.IS_REPLAYED: lambda world: world.judge.replays > 0,
    Sight.ALL_REPLAYED: lambda world: world.judge.replays >= world.misfortune.counts[FaultKind.ENGINE_KILL] > 1,
    Sight.IS_BOUNDED: _is_bounded,
    Sight.IS_DEAD: lambda world: world.engine is None,
}


class Expectation(NamedTuple):
    """Seen at least once between two times after the start, or with `always` at every look there."""

    sight: Sight
    from_s: float
    until_s: float
    always: bool = False

    def __str__(self) -> str:
        how = "all the time" if self.always else "at some time"
        return f"{self.sight.value}: {how} from {self.from_s:g} s to {self.until_s:g} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One bad day. `plan` as of `hlhft.simulation.faults.read_plan`."""

    name: str
    about: str
    plan: str
    seconds: float
    seen: tuple[Expectation, ...]
    settings: RunSettings = DEFAULT


class Verdict(NamedTuple):
    """What became of one: the promise that broke, and what was not seen."""

    violation: Violation | None
    unseen: tuple[Expectation, ...]

    @property
    def is_well(self) -> bool:
        """Whether all was as it must be."""
        return self.violation is None and not self.unseen


def play(scenario: Scenario, seed: int = SEED) -> Verdict:
    """Runs one and looks ten times a second for what must be seen."""
    with tempfile.TemporaryDirectory(prefix="hlhft-scenario-", dir=MEMORY if MEMORY.is_dir() else None) as folder:
        run = Run(seed, Path(folder), read_plan(scenario.plan), scenario.settings)
        watch = _Watch(run.world, scenario)
        violation = None
        try:
            run.live(round(scenario.seconds * SECOND))
        except Violation as broken:
            violation = broken
        if run.world.engine is not None:
            run.world.engine.kill(loses=True)
        return Verdict(violation, watch.unseen())


class _Watch:
    """Looks at a world again and again."""

    def __init__(self, world: World, scenario: Scenario) -> None:
        self._world = world
        self._expected = scenario.seen
        self._start_ns = world.time.now_ns
        self._until_ns = self._start_ns + round(scenario.seconds * SECOND)
        self._looks = [0] * len(scenario.seen)
        self._hits = [0] * len(scenario.seen)
        self._look()

    def _look(self) -> None:
        time = self._world.time
        at_s = (time.now_ns - self._start_ns) / SECOND
        for place, one in enumerate(self._expected):
            if one.from_s <= at_s <= one.until_s:
                self._looks[place] += 1
                self._hits[place] += SIGHTS[one.sight](self._world)
        if time.now_ns < self._until_ns:
            time.at(time.now_ns + LOOK_NS, self._look)

    def unseen(self) -> tuple[Expectation, ...]:
        """What was expected, and was not so."""
        return tuple(
            one
            for one, looks, hits in zip(self._expected, self._looks, self._hits, strict=True)
            if (hits < looks if one.always else hits == 0) or looks == 0
        )


def _soon(sight: Sight, from_s: float, until_s: float) -> Expectation:
    return Expectation(sight, from_s, until_s)


def _always(sight: Sight, from_s: float, until_s: float) -> Expectation:
    return Expectation(sight, from_s, until_s, always=True)


_POOR = replace(DEFAULT, account_usdc=2_000)
_ASKS = (
    Scenario(
        name="01-nonces",
        about="the clock leaps back under load, and the engine is killed in between",
        plan="10:clock-step:20:-900,15:engine-kill:0.5:0,20:engine-kill:0.5:1,35:clock-step:10:900",
        seconds=60,
        seen=(_soon(Sight.HAS_RESTARTED, 16, 20), _soon(Sight.QUOTES, 45, 60)),
    ),
    Scenario(
        name="02-connections-drop",
        about="all connections drop, and come back with all they are subscribed to",
        plan="20:cut:0:1000",
        seconds=60,
        seen=(_soon(Sight.IS_OFFLINE, 20, 21), _soon(Sight.TRADES, 20.5, 45), _soon(Sight.QUOTES, 30, 60)),
    ),
    Scenario(
        name="03-connected-and-silent",
        about="the books come no more on a connection that stands",
        plan="20:mute:40:0",
        seconds=80,
        seen=(_soon(Sight.IS_EMPTY, 20, 56), _always(Sight.IS_EMPTY, 57, 60), _soon(Sight.QUOTES, 60, 80)),
    ),
    Scenario(
        name="04-fills-while-away",
        about="prices leap through the quotes while nothing gets through",
        plan="20:partition:4:0,21:price-jump:0:-15,22:price-jump:0:30",
        seconds=70,
        seen=(_soon(Sight.HOLDS, 21, 25), _soon(Sight.AGREES, 26, 50), _soon(Sight.TRADES, 26, 60)),
    ),
    Scenario(
        name="05-no-answer",
        about="actions are executed and not answered, nor are their orders told",
        plan="20:silent-actions:10:0,20:mute:10:4",
        seconds=100,
        seen=(_soon(Sight.DOUBTS, 20, 30), _always(Sight.IS_CERTAIN, 70, 100), _soon(Sight.QUOTES, 70, 100)),
    ),
    Scenario(
        name="06-amends-race-fills",
        about="amends and cancels come late, and prices leap through what they mean",
        plan="10:slow-cancels:40:2000,15:price-jump:0:10,20:price-jump:0:-10,25:price-jump:0:10,30:price-jump:0:-10",
        seconds=60,
        settings=replace(DEFAULT, amends=True, order_usdc=500, position_usdc=700),
        seen=(_soon(Sight.HOLDS, 15, 50), _soon(Sight.QUOTES, 50, 60)),
    ),
    Scenario(
        name="07-valid-prices",
        about="prices leap far, to where the grid is another",
        plan="10:price-shock:0:-280,20:price-shock:0:250,30:price-shock:0:200,40:price-shock:0:-250",
        seconds=60,
        seen=tuple(_soon(Sight.QUOTES, at, at + 10) for at in (10, 20, 30, 40)),
    ),
    Scenario(
        name="08-too-many-requests",
        about="HTTP 429, before and after, and budgets that are small",
        plan="10:busy-before:8:0,25:busy-after:8:0,40:busy-before:3:0",
        seconds=100,
        settings=replace(DEFAULT, messages_per_minute=300, address_actions=1_500),
        seen=(_soon(Sight.QUOTES, 45, 100), _soon(Sight.TRADES, 45, 100)),
    ),
    Scenario(
        name="09-key-is-not-known",
        about="the owner takes the engine's key away, and gives it a new one",
        plan="20:key-revoked:15:0",
        seconds=80,
        seen=(_soon(Sight.IS_EMPTY, 20, 34), _soon(Sight.QUOTES, 40, 80)),
    ),
    Scenario(
        name="10-money-moves",
        about="half of a small account is taken out, twice, and paid in again",
        plan="20:transfer:0:-20000,30:transfer:0:-20000,40:transfer:0:1500",
        seconds=60,
        settings=_POOR,
        seen=(_always(Sight.IS_NOT_HALTED, 0, 60), _soon(Sight.QUOTES, 30, 40)),
    ),
    Scenario(
        name="11-which-market",
        about="a market ends: the numbers of the others stay what they are",
        plan="20:delisting:0.5:0,60:engine-kill:1:0",
        seconds=110,
        seen=(_soon(Sight.ONE_MARKET, 40, 60), _soon(Sight.ONE_MARKET, 70, 110)),
    ),
    Scenario(
        name="12-words-nobody-knows",
        about="what became of orders is told in a word that nobody knows",
        plan="20:unknown-status:3:0",
        seconds=80,
        seen=(_soon(Sight.IS_EMPTY, 20, 30), _soon(Sight.QUOTES, 60, 80)),
    ),
    Scenario(
        name="13-upgrade",
        about="after an upgrade only post-only orders are taken, and positions are to be closed",
        plan="20:upgrade:1:60,46:operator-halt:2:1",
        seconds=150,
        seen=(_soon(Sight.QUOTES, 30, 45), _soon(Sight.POST_ONLY, 46, 50), _soon(Sight.TRADES, 90, 150)),
    ),
    Scenario(
        name="14-killed",
        about="the engine is killed, and orders of others are there",
        plan="10:foreign-orders:50:0,20:engine-kill:20:0",
        seconds=80,
        seen=(
            _always(Sight.IS_EMPTY, 30, 39),
            _always(Sight.OTHERS_STAND, 12, 58),
            _soon(Sight.IS_DEAD, 20, 40),
            _soon(Sight.QUOTES, 45, 80),
        ),
    ),
    Scenario(
        name="15-kill-switch",
        about="prices leap against positions, and the engine is killed while it is halted",
        plan="30:price-jump:0:-100,34:engine-kill:0.3:1",
        seconds=70,
        settings=_POOR,
        seen=(
            _soon(Sight.IS_HALTED, 30, 34),
            _always(Sight.IS_HALTED, 34.5, 34.9),
            _soon(Sight.IS_EMPTY, 30, 35),
            _soon(Sight.IS_FLAT, 30, 45),
            _soon(Sight.TRADES, 40, 70),
        ),
    ),
    Scenario(
        name="16-funding-and-fees",
        about="funding is at its cap over a full hour, and fees rise",
        plan="5:fee-tier:120:30,100:funding-spike:120:1,150:transfer:0:1000",
        seconds=200,
        seen=(
            _soon(Sight.HOLDS, 170, 178),
            _always(Sight.IS_NOT_HALTED, 0, 200),
            _soon(Sight.AGREES, 180, 200),
            _soon(Sight.IS_ACCOUNTED, 180, 200),
        ),
    ),
    Scenario(
        name="17-replay",
        about="kills and a power cut while it trades",
        plan="15:engine-kill:0.5:0,30:engine-power-cut:2:0,45:engine-kill:1:1",
        seconds=70,
        seen=(
            _soon(Sight.IS_REPLAYED, 15, 16),
            _always(Sight.ALL_REPLAYED, 46, 70),
            _soon(Sight.QUOTES, 60, 70),
        ),
    ),
    Scenario(
        name="18-nothing-grows",
        about="nobody reads, pieces are torn, answers come twice and late",
        plan="10:slow-reader:10:0,10:tears:40:900,20:answers-twice:20:0,30:answers-late:9:900,30:requests-twice:9:500",
        seconds=80,
        seen=(_always(Sight.IS_BOUNDED, 0, 80), _soon(Sight.QUOTES, 60, 80)),
    ),
    Scenario(
        name="19-reducing-fails",
        about="closing orders are refused as a whole, again and again",
        plan="30:batch-error:4:0,30:operator-halt:12:1",
        seconds=80,
        seen=(
            _always(Sight.HOLDS, 30, 33.9),
            _always(Sight.IS_HALTED, 30.2, 42),
            _soon(Sight.IS_EMPTY, 30, 34),
            _always(Sight.IS_FLAT, 39, 42),
            _soon(Sight.QUOTES, 45, 80),
        ),
    ),
    Scenario(
        name="20-slow-book",
        about="the books are silent for a little, and touch and trades go on",
        plan="20:mute:2:0,30:mute:2:0",
        seconds=60,
        seen=(_soon(Sight.QUOTES, 20, 22), _soon(Sight.QUOTES, 30, 32), _soon(Sight.TRADES, 32, 40)),
    ),
)
_NETWORK = (
    Scenario(
        name="drop-in-handshake", about="connections drop while they are made", plan="20:cut:0:1000,20:cut-at:8:0",
        seconds=70, seen=(_soon(Sight.IS_EMPTY, 20, 32), _soon(Sight.TRADES, 29, 70)),
    ),
    Scenario(
        name="drop-at-first-read", about="connections drop with the first message", plan="20:cut-at:8:1", seconds=70,
        seen=(_soon(Sight.IS_OFFLINE, 20, 28), _soon(Sight.TRADES, 29, 70)),
    ),
    Scenario(
        name="repeated-drops", about="connections drop again and again, and nothing is out of order",
        plan=",".join(f"{at}:cut:0:1000" for at in range(15, 51, 5)), seconds=80,
        seen=(_soon(Sight.IS_OFFLINE, 15, 51), _soon(Sight.AGREES, 55, 80)),
    ),
    Scenario(
        name="partition-while-reconnecting", about="nothing gets through just when connections are made again",
        plan="20:cut:0:1000,20.01:partition:6:0", seconds=70,
        seen=(_always(Sight.IS_OFFLINE, 20.1, 26), _soon(Sight.TRADES, 27, 70)),
    ),
    Scenario(
        name="partition-in-backoff", about="nothing gets through while it waits to connect again",
        plan="20:cut-at:4:0,20:cut:0:1000,24:partition:8:0,33:partition:4:0", seconds=90,
        seen=(_soon(Sight.IS_OFFLINE, 24, 37), _soon(Sight.TRADES, 37, 90)),
    ),
    Scenario(
        name="silent-until-timeout", about="connections are gone, and no end notices", plan="20:half-open:0:1000",
        seconds=70, seen=(_soon(Sight.IS_EMPTY, 20, 32), _soon(Sight.TRADES, 25, 70)),
    ),
    Scenario(
        name="peer-stops-reading", about="the exchange does not read what it is sent", plan="20:peer-stalls:10:0",
        seconds=110, seen=(_soon(Sight.DOUBTS, 20, 32), _soon(Sight.QUOTES, 35, 110)),
    ),
    Scenario(
        name="drop-while-sends-wait", about="connections drop while what was sent waits to be read",
        plan="20:peer-stalls:6:0,23:cut:0:1000", seconds=70,
        seen=(_soon(Sight.DOUBTS, 20, 30), _always(Sight.IS_CERTAIN, 45, 70), _soon(Sight.QUOTES, 40, 70)),
    ),
    Scenario(
        name="drop-before-answer", about="connections drop when an action has arrived, before its answer",
        plan="20:cut-at:6:3", seconds=70,
        seen=(_soon(Sight.DOUBTS, 20, 30), _always(Sight.IS_CERTAIN, 45, 70), _soon(Sight.TRADES, 27, 70)),
    ),
    Scenario(
        name="write-lost", about="an action was handed over, and its connection drops before it has left",
        plan="20:cut-at:6:2", seconds=70,
        seen=(_soon(Sight.DOUBTS, 20, 30), _always(Sight.IS_CERTAIN, 45, 70), _soon(Sight.TRADES, 27, 70)),
    ),
)  # fmt: skip
SCENARIOS: Mapping[str, Scenario] = {one.name: one for one in (*_ASKS, *_NETWORK)}


def scenarios_table() -> str:
    """All of them as a Markdown table, one line each; the documentation prints it."""
    rows = ["| scenario | what happens | what must be seen |", "| --- | --- | --- |"]
    rows += [f"| {one.name} | {one.about} | {'; '.join(map(str, one.seen))} |" for one in SCENARIOS.values()]
    return "\n".join(rows)
