"""One run: faults for a span, then none, and what must hold by then. A run is a seed, a span and a plan."""

from __future__ import annotations

import hashlib
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from hlhft.hyperliquid.supervisor_events import HaltCause
from hlhft.hyperliquid.supervisor_table import Stage
from hlhft.simulation.account import READ_NS_MAX
from hlhft.simulation.faults import Fault, FaultKind, plan
from hlhft.simulation.judge import Promise, Violation
from hlhft.simulation.settings import RunSettings
from hlhft.simulation.time import MS, SECOND
from hlhft.simulation.world import World

LOOK_NS = 200 * MS
CONVERGES_NS_MAX = 180 * SECOND  # connects are few in a minute, and a watchdog clears first
AGREES_NS_MAX = READ_NS_MAX + 60 * SECOND  # what was traded by hand just before is found by two, and a restart follows
RESUME_NS = 5 * SECOND  # an operator looks at a halted engine so often
# And restarts so seldom one whose account disagrees: a restart reads a minute's worth of weight.
RESTART_NS = 45 * SECOND
REASON = "the simulation's operator"
DISAGREES = "does not agree"  # why a resume is refused once somebody else has traded
MEMORY = Path("/dev/shm")  # noqa: S108 - where it is there, files are made in memory


@dataclass(kw_only=True)
class Outcome:
    """What a run came to."""

    seed: int
    violation: Violation | None = None
    virtual_ns: int = 0
    events: int = 0
    actions: int = 0
    venue_events: int = 0
    sessions: int = 0
    resumed: int = 0
    journal: str = ""  # of all its bytes
    faults: Counter[FaultKind] = field(default_factory=Counter)


class Run:
    """A world and its operator, who starts both processes and resumes what is halted."""

    def __init__(self, seed: int, folder: Path, faults: Sequence[Fault], settings: RunSettings | None = None) -> None:
        self.world = World(seed, folder, faults, settings)
        self.outcome = Outcome(seed=seed)
        self._looked_ns = self._restarted_ns = 0
        self._disagreed = False  # whether it was halted for that when it was resumed last

    def live(self, span_ns: int, until_ns: int | None = None) -> None:
        """Faults for a span, then none; ends at `until_ns` where that comes before. Raises Violation."""
        world = self.world
        world.start_watchdog()
        world.start_engine()
        if until_ns is not None and until_ns < span_ns:
            self._pass(until_ns)
            return
        self._pass(span_ns)
        world.misfortune.end()
        self._wait(self._is_well, CONVERGES_NS_MAX, Promise.CONVERGES)
        self._wait(self._is_agreed, AGREES_NS_MAX, Promise.AGREES)
        self._wait(self._is_paid, READ_NS_MAX, Promise.PROFIT)
        engine = world.engine
        assert engine is not None
        world.kill_engine(loses=False)

    def _is_well(self) -> bool:
        engine = self.world.engine
        if engine is None or self.world.watchdog is None or not engine.is_trading:
            return False
        return not any(doubt for doubt in engine.engine.parts.fates.doubts(engine.host.now_ns()))

    def _is_agreed(self) -> bool:
        return self.world.agrees()

    def _is_paid(self) -> bool:
        return self.world.engine is not None and not self.world.judge.money.missing(self.world.engine)

    # Time.

    def _pass(self, wait_ns: int) -> None:
        until_ns = self.world.time.now_ns + wait_ns
        while self.world.time.now_ns < until_ns:
            self.world.time.run(min(RESUME_NS, until_ns - self.world.time.now_ns))
            self._operate()

    def _wait(self, look: Callable[[], bool], limit_ns: int, promise: Promise) -> None:
        began_ns = self.world.time.now_ns
        while not look():
            if self.world.time.now_ns - began_ns > limit_ns:
                raise Violation(promise, f"not within {limit_ns / SECOND:.0f} s: {self._words()}")
            self.world.time.run(LOOK_NS)
            if self.world.time.now_ns - self._looked_ns >= RESUME_NS:
                self._operate()

    def _operate(self) -> None:
        self._looked_ns = self.world.time.now_ns
        process = self.world.engine
        if process is None or process.host.is_frozen or self.world.misfortune.is_halting:
            return
        if process.key != self.world.exchange.shocks.engine_number:
            self._restarted_ns = 0
            self._restart()
            return
        if process.engine.stage is Stage.HALTED:
            halt = process.engine.supervisor.halt
            asked = process.host.does(process.engine.resume, REASON)
            self.outcome.resumed += asked.is_done
            disagrees = halt is not None and halt.cause is HaltCause.DISAGREEMENT
            # Whatever halted it first, it may have come to disagree since; then a resume is refused with these words.
            differs = not asked.is_done and DISAGREES in asked.sentence
            # Who was resumed for nothing, too: a comparison that was under way had let the operator.
            if differs or (disagrees and (not asked.is_done or self._disagreed)):
                self._restart()
            self._disagreed = disagrees

    def _restart(self) -> None:
        """Somebody else traded, or there is a new key: a new session begins with what the exchange holds."""
        now_ns = self.world.time.now_ns
        if self.world.misfortune.may_start and now_ns - self._restarted_ns > RESTART_NS:
            self._restarted_ns = now_ns
            self.world.kill_engine(loses=False)
            self.world.start_engine()

    def _words(self) -> str:
        """What the engine said last."""
        engine = self.world.engine
        if engine is None:
            return "there is no engine"
        said = "; ".join(happening.text for happening in list(engine.hub.happenings)[-8:])
        return (
            f"stage {engine.engine.stage}, positions {engine.positions()} and {self.world.exchange.positions()} there, "
            f"{self.world.judge.money.missing(engine) or 'the money adds up'}, "
            f"{len(engine.orders())} orders and {len(self.world.judge.own_orders())} there, it said: {said}"
        )


class _Verdict:
    """Puts the promise that broke within it into an outcome; whatever else is raised there broke inside the engine or
    its watchdog, as nothing in a simulation raises by itself."""

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: TracebackType | None) -> bool:
        if isinstance(error, Violation):
            self._outcome.violation = error
        elif isinstance(error, Exception):
            last = traceback.extract_tb(trace)[-1]
            where = f"{Path(last.filename).name}, line {last.lineno}, {last.name}"
            self._outcome.violation = Violation(Promise.ALIVE, f"{type(error).__name__}: {error} ({where})")
        return isinstance(error, Exception)


def run(
    seed: int,
    span_ns: int,
    faults: Sequence[Fault] | None = None,
    *,
    settings: RunSettings | None = None,
    until_ns: int | None = None,
) -> Outcome:
    """One run, with the seed's own plan and settings unless others are given; what breaks is said, and not raised. It
    ends after `until_ns` where that is within the span."""
    with tempfile.TemporaryDirectory(prefix="hlhft-simulation-", dir=MEMORY if MEMORY.is_dir() else None) as folder:
        one = Run(seed, Path(folder), plan(seed, span_ns) if faults is None else faults, settings)
        outcome, world = one.outcome, one.world
        began_ns = world.time.now_ns
        with _Verdict(outcome):
            one.live(span_ns, until_ns)
        if world.engine is not None:
            world.engine.kill(loses=True)
        outcome.virtual_ns = world.time.now_ns - began_ns
        outcome.events, outcome.actions = world.judge.events, world.judge.actions
        outcome.venue_events = world.exchange.venue_events
        outcome.faults = world.misfortune.counts
        digest = hashlib.sha256()
        for path in sorted((Path(folder) / "journal").iterdir()):
            digest.update(path.read_bytes())
            outcome.sessions += path.name.endswith("-000000.journal")
        outcome.journal = digest.hexdigest()
        return outcome
