"""Each kind of fault does what it says, and is over afterwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hlhft.hyperliquid.supervisor_table import Stage
from hlhft.simulation.engine_process import LABEL
from hlhft.simulation.exchange_process import Mischief
from hlhft.simulation.faults import RULES, Fault, FaultKind
from hlhft.simulation.misfortune import STREAMS, Misfortune
from hlhft.simulation.network import Moment, Weather
from hlhft.simulation.time import MS, SECOND
from hlhft.simulation.world import World
from tests.simulation.worlds import engine_of, pass_until, world_of

LENGTH_NS = 200 * MS
# What a kind makes of the world while it lasts, each as large as it gets.
SWITCHES: dict[FaultKind, Callable[[World], bool]] = {
    FaultKind.ENGINE_FREEZE: lambda world: engine_of(world).host.is_frozen,
    FaultKind.WATCHDOG_FREEZE: lambda world: world.watchdog is not None and world.watchdog.host.is_frozen,
    FaultKind.PARTITION: lambda world: world.network.weather.is_down and world.network.weather.is_parted,
    FaultKind.MUTE: lambda world: world.network.weather.mutes == {STREAMS[-1]},
    FaultKind.SLOW_READER: lambda world: not any(one.back.reads for one in world.network.of(LABEL)),
    FaultKind.TEARS: lambda world: world.network.weather.tears == 1,
    FaultKind.REQUESTS_LOST: lambda world: world.network.weather.requests_lost == 0.3,
    FaultKind.ANSWERS_LOST: lambda world: world.network.weather.answers_lost == 0.3,
    FaultKind.ANSWERS_LATE: lambda world: world.network.weather.answers_late_ns == 9 * SECOND,
    FaultKind.REQUESTS_TWICE: lambda world: world.network.weather.requests_twice == 0.5,
    FaultKind.BUSY_BEFORE: lambda world: world.network.weather.refused_before == 429,
    FaultKind.BUSY_AFTER: lambda world: world.network.weather.refused_after == 429,
    FaultKind.BAD_GATEWAY_BEFORE: lambda world: world.network.weather.refused_before == 502,
    FaultKind.BAD_GATEWAY_AFTER: lambda world: world.network.weather.refused_after == 502,
    FaultKind.BEATS_LOST: lambda world: world.beat_loss == 1,
    FaultKind.SILENT_ACTIONS: lambda world: world.exchange.mischief.answers_none,
    FaultKind.ANSWERS_TWICE: lambda world: world.exchange.mischief.answers_twice,
    FaultKind.BATCH_ERROR: lambda world: world.exchange.mischief.batch_error,
    FaultKind.DISK_FULL: lambda world: engine_of(world).disk.is_full,
    FaultKind.DISK_SLOW: lambda world: engine_of(world).disk.sync_ns == 5 * SECOND,
    FaultKind.CLOCK_STEP: lambda world: world.engine_wall.error_ns == 2 * SECOND,
    FaultKind.CLOCK_DRIFT: lambda world: world.engine_wall.drift_ppm == 200,
    FaultKind.SLOW_CANCELS: lambda world: world.exchange.mischief.cancels_late_ns == 3 * SECOND,
    FaultKind.CUT_AT: lambda world: world.network.weather.cuts_at is Moment.ANSWER,
    FaultKind.PEER_STALLS: lambda world: not world.network.weather.peer_reads,
    # The last one, as it halts.
    FaultKind.UNKNOWN_STATUS: lambda world: world.exchange.mischief.unknown_status,
}


def suffers(world: World, kind: FaultKind, *, length_ns: int = LENGTH_NS, size: int | None = None) -> None:
    """Has it come now."""
    largest = RULES[kind].largest if size is None else size
    world.misfortune = Misfortune(world, [Fault(0, kind, length_ns, largest)])
    world.time.run(1)


def test_what_is_switched_on_is_off_again(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    for kind, holds in SWITCHES.items():
        assert not holds(world), kind
        suffers(world, kind)
        assert holds(world) and not world.misfortune.is_calm, kind
        world.time.run(LENGTH_NS // 2)
        assert holds(world), kind
        world.time.run(LENGTH_NS)
        assert not holds(world) and world.misfortune.is_calm, kind
        assert world.misfortune.counts == {kind: 1}
    assert world.network.weather == Weather() and world.exchange.mischief == Mischief()


def test_the_end_of_all_faults_is_at_once(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    plan = [Fault(0, kind, 60 * SECOND, RULES[kind].largest) for kind in SWITCHES]
    world.misfortune = Misfortune(world, [*plan, Fault(SECOND, FaultKind.ENGINE_KILL, SECOND, 0)])
    world.time.run(1)
    assert all(holds(world) for kind, holds in SWITCHES.items() if kind not in _SAME)
    world.misfortune.end()
    assert not any(holds(world) for holds in SWITCHES.values())
    engine = world.engine
    world.time.run(3 * SECOND)
    assert world.engine is engine, "what was to come does not"


# Two kinds that are one number: the later is on.
_SAME = frozenset(
    {FaultKind.BUSY_BEFORE, FaultKind.BUSY_AFTER, FaultKind.BAD_GATEWAY_BEFORE, FaultKind.BAD_GATEWAY_AFTER}
)


@pytest.mark.parametrize("kind", [FaultKind.ENGINE_KILL, FaultKind.ENGINE_POWER_CUT])
def test_an_engine_that_is_killed_comes_back_and_trades(tmp_path: Path, kind: FaultKind) -> None:
    world = world_of(tmp_path)
    session = engine_of(world).session
    suffers(world, kind, length_ns=2 * SECOND)
    assert world.engine is None and world.misfortune.is_calm
    world.time.run(SECOND)
    assert world.engine is None
    pass_until(world, lambda: world.engine is not None and world.engine.is_trading)
    assert engine_of(world).session == session + 1


def test_a_watchdog_that_is_killed_comes_back(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    before = world.watchdog
    suffers(world, FaultKind.WATCHDOG_KILL)
    assert world.watchdog is None
    world.time.run(SECOND)
    assert world.watchdog is not None and world.watchdog is not before


def test_an_exchange_that_goes_down_goes_on_where_it_was(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    session, orders = engine_of(world).session, world.judge.own_orders()
    suffers(world, FaultKind.EXCHANGE_KILL, length_ns=SECOND)
    assert world.exchange.is_dead and world.network.weather.is_down and not world.network.connections
    world.time.run(2 * SECOND)
    assert not world.exchange.is_dead and not world.network.weather.is_down
    assert {mark for _, mark in world.judge.own_orders()} <= {mark for _, mark in orders}
    pass_until(world, lambda: engine_of(world).is_trading)
    assert engine_of(world).session == session


@pytest.mark.parametrize("kind", [FaultKind.CUT, FaultKind.HALF_OPEN, FaultKind.ROTATION])
def test_connections_that_are_lost_are_made_again(tmp_path: Path, kind: FaultKind) -> None:
    world = world_of(tmp_path)
    before = set(world.network.connections)
    assert len(before) == 4, "three of the engine, and the watchdog's"
    suffers(world, kind, length_ns=0)
    assert not world.network.connections and world.misfortune.is_calm
    pass_until(world, lambda: engine_of(world).is_trading and len(world.network.connections) == len(before))
    assert not before & set(world.network.connections)


def test_a_partition_is_over_once_what_it_caught_has_come(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    sockets = set(world.network.connections)
    suffers(world, FaultKind.PARTITION, length_ns=2 * SECOND)
    world.time.run(2 * SECOND)
    over_ns = world.misfortune.changed_ns
    assert world.misfortune.is_calm and not world.network.weather.is_parted
    assert not all(one.stands for one in world.network.connections.values())
    world.time.run(2 * SECOND)
    assert set(world.network.connections) == sockets and all(one.stands for one in world.network.connections.values())
    assert over_ns < world.misfortune.changed_ns <= over_ns + 2 * SECOND


@pytest.mark.parametrize("size", [0, 1])
def test_an_operator_halts_or_flattens(tmp_path: Path, size: int) -> None:
    world = world_of(tmp_path)
    suffers(world, FaultKind.OPERATOR_HALT, size=size)
    pass_until(world, lambda: engine_of(world).engine.stage is Stage.HALTED)
    pass_until(world, lambda: not world.judge.own_orders())
    if size:
        pass_until(world, lambda: not any(world.exchange.positions()))


def test_every_kind_is_done(tmp_path: Path) -> None:
    others = {
        FaultKind.ENGINE_KILL, FaultKind.ENGINE_POWER_CUT, FaultKind.WATCHDOG_KILL, FaultKind.EXCHANGE_KILL,
        FaultKind.CUT, FaultKind.HALF_OPEN, FaultKind.ROTATION, FaultKind.OPERATOR_HALT, FaultKind.UPGRADE,
        FaultKind.DELISTING, FaultKind.ENGINE_KILL_SENDING, FaultKind.CLOCK_BACK,
    }  # fmt: skip
    shocks = set(world_of(tmp_path).exchange.shocks.begins)
    assert others | shocks | set(SWITCHES) == set(FaultKind) and not (others | shocks) & set(SWITCHES)


@pytest.mark.parametrize(("size", "loses"), [(0, False), (1, True)])
def test_an_engine_that_is_killed_just_as_it_sends_orders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, *, loses: bool
) -> None:
    world = world_of(tmp_path)
    killed, kill = [], world.kill_engine

    def note(*, loses: bool) -> None:
        killed.append((world.time.now_ns - world.judge.placed_ns, loses))
        kill(loses=loses)

    monkeypatch.setattr(world, "kill_engine", note)
    suffers(world, FaultKind.ENGINE_KILL_SENDING, length_ns=2 * SECOND, size=size)
    pass_until(world, lambda: world.engine is None)
    ((waited_ns, lost),) = killed
    assert waited_ns < 20 * MS and lost is loses, "with the next that happens in it"
    pass_until(world, lambda: world.engine is not None, limit_s=3)
    assert engine_of(world).session == 2 and len(killed) == 1


def test_a_clock_that_is_ahead_before_a_restart_and_behind_after_it(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    suffers(world, FaultKind.CLOCK_BACK, size=500)
    assert world.engine_wall.error_ns == 500 * MS
    pass_until(world, lambda: world.engine is None)
    assert world.engine_wall.error_ns == -500 * MS
    pass_until(world, lambda: world.engine is not None, limit_s=1)
    pass_until(world, lambda: world.engine_wall.error_ns == 0, limit_s=31)


def test_the_end_of_all_faults_spares_an_engine_that_was_to_be_killed(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    suffers(world, FaultKind.CLOCK_BACK, size=500)
    world.misfortune.end()
    before_ns = world.judge.placed_ns
    pass_until(world, lambda: world.judge.placed_ns > before_ns)
    world.time.run(SECOND)
    assert engine_of(world).session == 1 and world.engine_wall.error_ns == 0
