"""Faults of a plan, done to a world: what begins, and what is as before once it is over.

Two faults of one kind may overlap: then the first that ends, ends both. Once `end` was called, all are over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from hlhft.simulation.engine_process import LABEL
from hlhft.simulation.faults import Fault, FaultKind
from hlhft.simulation.network import Moment
from hlhft.simulation.time import MS, SECOND

if TYPE_CHECKING:
    from hlhft.simulation.world import World

MILLE = 1000
TOO_MANY, BAD_GATEWAY = 429, 502
# What a mute stream is: a fault's size is a place here.
STREAMS = (b"l2Book", b"bbo", b"trades", b"userFills", b"orderUpdates", b"activeAssetCtx")
BOOK = STREAMS[0]
EXPIRED = 1000
CLOCK_OFFSET_NS_MAX = 1 * SECOND  # engine.clock_offset_ms_max
BACK_NS = 30 * SECOND  # that a clock that was set back stays behind
RESTART_NS = 1 * SECOND  # between two tries to start an engine without an exchange
# Over at once: it is dead until it is started again, and the others are to do without it meanwhile.
_KILLS = frozenset({
    FaultKind.ENGINE_KILL, FaultKind.ENGINE_KILL_SENDING, FaultKind.ENGINE_POWER_CUT, FaultKind.CLOCK_BACK,
})  # fmt: skip
# Of no concern to a watchdog whose engine is dead.
_OF_ENGINE = _KILLS | {
    FaultKind.ENGINE_FREEZE, FaultKind.SLOW_READER, FaultKind.MUTE, FaultKind.BATCH_ERROR, FaultKind.UNKNOWN_STATUS,
    FaultKind.ANSWERS_TWICE, FaultKind.DISK_FULL, FaultKind.DISK_SLOW, FaultKind.CLOCK_STEP, FaultKind.CLOCK_DRIFT,
    FaultKind.OPERATOR_HALT, FaultKind.BEATS_LOST,
}  # fmt: skip
_Work = Callable[[Fault], None]


class Misfortune:
    """Does to `world` what a plan says, at its times."""

    def __init__(self, world: World, plan: Sequence[Fault]) -> None:
        self.counts: Counter[FaultKind] = Counter()
        self.changed_ns = 0  # when something began or ended last
        self.hindered_ns = 0  # the same of what a watchdog without an engine notices
        self.muted_ns = 0  # since when no book comes; 0 while they do
        self._world = world
        self._is_over = False
        self._doom: Fault | None = None  # that kills the engine with the next orders that it sends
        self._doom_ns = 0  # since when
        self._active: Counter[FaultKind] = Counter()
        self._begins: dict[FaultKind, _Work] = {
            FaultKind.ENGINE_KILL: self._kill_engine,
            FaultKind.ENGINE_KILL_SENDING: self._doom_engine,
            FaultKind.ENGINE_POWER_CUT: self._cut_power,
            FaultKind.ENGINE_FREEZE: self._freeze_engine,
            FaultKind.WATCHDOG_KILL: self._kill_watchdog,
            FaultKind.WATCHDOG_FREEZE: self._freeze_watchdog,
            FaultKind.EXCHANGE_KILL: self._kill_exchange,
            FaultKind.CUT: lambda fault: self._cut(fault, noticed=0.5),
            FaultKind.HALF_OPEN: lambda fault: self._cut(fault, noticed=0.0),
            FaultKind.SLOW_READER: lambda fault: self._read(reads=False),
            FaultKind.ROTATION: self._rotate,
            FaultKind.CLOCK_STEP: self._leap,
            FaultKind.CLOCK_BACK: self._put_ahead,
            FaultKind.OPERATOR_HALT: self._halt,
            FaultKind.UPGRADE: self._kill_exchange,
            FaultKind.DELISTING: self._kill_exchange,
            **world.exchange.shocks.begins,
        }
        self._ends: dict[FaultKind, _Work] = {
            FaultKind.ENGINE_FREEZE: self._thaw_engine,
            FaultKind.WATCHDOG_FREEZE: self._thaw_watchdog,
            FaultKind.EXCHANGE_KILL: self._return_exchange,
            FaultKind.SLOW_READER: lambda fault: self._read(reads=True),
            FaultKind.CLOCK_STEP: lambda fault: world.engine_wall.set_right(),
            FaultKind.UPGRADE: self._upgrade,
            FaultKind.DELISTING: self._delist,
            FaultKind.PEER_STALLS: lambda fault: world.network.peer_reads_on(),
            **world.exchange.shocks.ends,
        }
        start_ns = world.time.now_ns
        for fault in plan:
            world.time.at(start_ns + fault.at_ns, self._begin, fault)

    @property
    def is_calm(self) -> bool:
        """Whether no fault is under way."""
        return not self._active

    def has_only(self, kind: FaultKind, since_ns: int) -> bool:
        """Whether nothing but a fault of this kind is under way, and has been since then."""
        return self._active.keys() == {kind} and self.changed_ns <= since_ns

    @property
    def hinders(self) -> bool:
        """Whether a fault is under way that a watchdog without an engine notices."""
        return bool(set(self._active) - _OF_ENGINE)

    @property
    def is_halting(self) -> bool:
        """Whether an operator wants it to stay halted."""
        return self._active[FaultKind.OPERATOR_HALT] > 0

    @property
    def may_start(self) -> bool:
        """Whether the look before a start of an engine finds the exchange and a clock that is right."""
        is_there = not self._world.exchange.is_dead and not self._world.network.weather.is_down
        return is_there and abs(self._world.engine_wall.error_ns) <= CLOCK_OFFSET_NS_MAX

    def end(self) -> None:
        """Whatever is under way is over, and nothing comes any more."""
        self._is_over, self._doom = True, None
        for kind in tuple(self._active):
            self._end(Fault(0, kind, 0, 0))
        self._active.clear()
        self._world.engine_wall.set_right()
        self._changed()

    def engine_turned(self) -> None:
        """Something happened in the engine: whether it has sent orders, and is to die of it."""
        if self._doom is not None and self._world.judge.placed_ns > self._doom_ns:
            fault, self._doom = self._doom, None
            self._world.time.at(self._world.time.now_ns, self._meet_doom, fault)

    def _begin(self, fault: Fault) -> None:
        if self._is_over:
            return
        self.counts[fault.kind] += 1
        self._changed(fault.kind)
        if fault.length_ns and fault.kind not in _KILLS:
            self._active[fault.kind] += 1
            self._world.time.at(self._world.time.now_ns + fault.length_ns, self._over, fault)
        work = self._begins.get(fault.kind)
        if work is not None:
            work(fault)
        self._weather(fault)

    def _over(self, fault: Fault) -> None:
        if self._is_over or not self._active[fault.kind]:
            return
        del self._active[fault.kind]
        self._end(fault)
        self._changed(fault.kind)

    def _end(self, fault: Fault) -> None:
        work = self._ends.get(fault.kind)
        if work is not None:
            work(fault)
        self._weather(None, fault.kind)

    def _changed(self, kind: FaultKind | None = None) -> None:
        self.changed_ns = self._world.time.now_ns
        if kind not in _OF_ENGINE:
            self.hindered_ns = self.changed_ns

    # What is a number or a switch: on with a fault, off without.

    def _weather(self, fault: Fault | None, over: FaultKind | None = None) -> None:
        kind = over if fault is None else fault.kind
        size = 0 if fault is None else fault.size
        is_on = fault is not None
        weather, mischief = self._world.network.weather, self._world.exchange.mischief
        engine = self._world.engine
        match kind:
            case FaultKind.PARTITION:
                weather.is_down = is_on or self._world.exchange.is_dead
                self._part(is_on=is_on)
            case FaultKind.MUTE:
                weather.mutes = frozenset({STREAMS[size]}) if is_on else frozenset()
                self.muted_ns = self._world.time.now_ns if weather.mutes & {BOOK} else 0
            case FaultKind.TEARS:
                weather.tears = size / MILLE
            case FaultKind.REQUESTS_LOST:
                weather.requests_lost = size / MILLE
            case FaultKind.ANSWERS_LOST:
                weather.answers_lost = size / MILLE
            case FaultKind.ANSWERS_LATE:
                weather.answers_late_ns = size * MS
            case FaultKind.REQUESTS_TWICE:
                weather.requests_twice = size / MILLE
            case FaultKind.BUSY_BEFORE | FaultKind.BAD_GATEWAY_BEFORE:
                weather.refused_before = _status(kind) if is_on else 0
            case FaultKind.BUSY_AFTER | FaultKind.BAD_GATEWAY_AFTER:
                weather.refused_after = _status(kind) if is_on else 0
            case FaultKind.BEATS_LOST:
                self._world.beat_loss = size / MILLE
            case FaultKind.SILENT_ACTIONS:
                mischief.answers_none, mischief.tells_none = is_on, size == 1
            case FaultKind.ANSWERS_TWICE:
                mischief.answers_twice = is_on
            case FaultKind.BATCH_ERROR:
                mischief.batch_error = is_on
            case FaultKind.CUT_AT:
                weather.cuts_at = Moment(size) if is_on else None
            case FaultKind.PEER_STALLS:
                weather.peer_reads = not is_on
            case FaultKind.SLOW_CANCELS:
                mischief.cancels_late_ns = size * MS
            case FaultKind.UNKNOWN_STATUS:
                mischief.unknown_status = is_on
            case FaultKind.DISK_FULL if engine is not None:
                engine.disk.is_full = is_on
            case FaultKind.DISK_SLOW if engine is not None:
                engine.disk.sync_ns = size * MS
            case FaultKind.CLOCK_DRIFT:
                self._world.engine_wall.drift(size)
            case _:
                pass

    # Processes.

    def _kill_engine(self, fault: Fault) -> None:
        if self._world.engine is not None:
            self._world.kill_engine(loses=bool(fault.size))
            self._restart_engine(fault.length_ns)

    def _doom_engine(self, fault: Fault) -> None:
        """Of two such faults under way the later one counts."""
        self._doom, self._doom_ns = fault, self._world.time.now_ns

    def _put_ahead(self, fault: Fault) -> None:
        if self._world.engine_wall.error_ns == 0:
            self._world.engine_wall.leap(fault.size * MS)
            self._doom_engine(fault)

    def _meet_doom(self, fault: Fault) -> None:
        """Its orders are under way; of a clock that was ahead they have nonces that are, too."""
        if self._is_over or self._world.engine is None:
            return
        self._changed(fault.kind)
        if fault.kind is FaultKind.CLOCK_BACK:
            wall = self._world.engine_wall
            wall.leap(-fault.size * MS - wall.error_ns)
            self._world.time.at(self._world.time.now_ns + BACK_NS, wall.set_right)
        self._world.kill_engine(loses=fault.kind is FaultKind.ENGINE_KILL_SENDING and bool(fault.size))
        self._restart_engine(fault.length_ns)

    def _cut_power(self, fault: Fault) -> None:
        if self._world.engine is not None:
            self._world.cut_power()
            self._restart_engine(fault.length_ns)

    def _restart_engine(self, wait_ns: int) -> None:
        self._world.time.at(self._world.time.now_ns + wait_ns, self._start_engine)

    def _start_engine(self) -> None:
        """Starts one; without an answer from the exchange it ends before it has done anything, and is started again."""
        self._changed()
        if not self.may_start:
            self._restart_engine(RESTART_NS)
        elif self._world.engine is None:
            self._world.start_engine()

    def _freeze_engine(self, fault: Fault) -> None:
        if self._world.engine is not None:
            self._world.engine.freeze()

    def _thaw_engine(self, fault: Fault) -> None:
        if self._world.engine is not None:
            self._world.engine.thaw()

    def _kill_watchdog(self, fault: Fault) -> None:
        if self._world.watchdog is not None:
            self._world.kill_watchdog(loses=bool(fault.size))
            self._world.time.at(self._world.time.now_ns + fault.length_ns, self._start_watchdog)

    def _start_watchdog(self) -> None:
        self._changed()
        if self._world.watchdog is None:
            self._world.start_watchdog()

    def _freeze_watchdog(self, fault: Fault) -> None:
        if self._world.watchdog is not None:
            self._world.watchdog.freeze()

    def _thaw_watchdog(self, fault: Fault) -> None:
        if self._world.watchdog is not None:
            self._world.watchdog.thaw()

    def _kill_exchange(self, fault: Fault) -> None:
        if not self._world.exchange.is_dead:
            self._world.kill_exchange()

    def _return_exchange(self, fault: Fault) -> None:
        if self._world.exchange.is_dead:
            self._world.return_exchange()
            self._world.network.weather.is_down = bool(self._active[FaultKind.PARTITION])

    def _upgrade(self, fault: Fault) -> None:
        if self._world.exchange.is_dead:
            self._world.exchange.upgrade(fault.size * SECOND)
        self._return_exchange(fault)

    def _delist(self, fault: Fault) -> None:
        if self._world.exchange.is_dead:
            self._world.exchange.delist(fault.size)
        self._return_exchange(fault)

    # Connections.

    def _part(self, *, is_on: bool) -> None:
        """What was lost in a partition comes some time after it: only then it is as before."""
        network = self._world.network
        if is_on:
            network.part()
        else:
            self._world.time.at(network.join(), self._changed, FaultKind.PARTITION)

    def _cut(self, fault: Fault, *, noticed: float) -> None:
        network = self._world.network
        chosen = [one for one in network.connections.values() if network.random.random() < fault.size / MILLE]
        network.cut(chosen, noticed=noticed)

    def _rotate(self, fault: Fault) -> None:
        network = self._world.network
        for one in list(network.connections.values()):
            if network.random.random() < fault.size / MILLE:
                self._world.exchange.close(one, EXPIRED, "Expired")

    def _read(self, *, reads: bool) -> None:
        for one in self._world.network.of(LABEL):
            if reads:
                one.go_on()
            else:
                one.stand_still()

    # The rest.

    def _leap(self, fault: Fault) -> None:
        self._world.engine_wall.leap(fault.size * MS)

    def _halt(self, fault: Fault) -> None:
        """Once it is over, the operator of the run resumes what is halted."""
        engine = self._world.engine
        if engine is not None and not engine.host.is_frozen:
            ask = engine.engine.flatten if fault.size else engine.engine.halt
            engine.host.call_soon(ask, "the plan says so")


def _status(kind: FaultKind) -> int:
    return TOO_MANY if kind in (FaultKind.BUSY_BEFORE, FaultKind.BUSY_AFTER) else BAD_GATEWAY
