"""`make kills`: engine, watchdog, exchange and connections killed at random moments in virtual time, a thousand times.

    python -m tests.simulation.kills [--kills N] [--seed N]

After each kill: within a bound no own order at the exchange whose owner is dead; whatever was killed comes back, agrees
with the exchange and trades; and once the crowd is quiet, orders and positions are the same on both sides. Throughout,
no signer uses a nonce for two actions. A life is a number, which repeats it.
"""

from __future__ import annotations

import argparse
import heapq
import logging
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hlhft.core.risk import Breaker
from hlhft.hyperliquid.supervisor_events import HaltCause
from hlhft.simulation.heartbeats import EXPIRES_AFTER_MS
from hlhft.simulation.time import MS, SECOND
from hlhft.simulation.world import World

KILLS_OF_LIFE = 20  # of one exchange, before the next is made
CROWD = "127.0.0.1"  # whose requests are no matter here
LOOK_NS = 50 * MS
# Expiry, what a watchdog takes for death or waits for a first beat, and the sweep.
CLEARED_NS_MAX = EXPIRES_AFTER_MS * MS + 5 * SECOND + 2 * SECOND
LOST_NS = 25 * SECOND  # on top, on a network that loses requests: each is waited for for five
MISFORTUNE_NS = 20 * SECOND  # once all have come back, before nothing is lost any more
TRADES_NS_MAX = 120 * SECOND  # until it trades again then: connects are few in a minute
AGREES_NS_MAX = 20 * SECOND  # once nobody trades; a socket that is cut is noticed after five
QUIET_NS = 1 * SECOND


@dataclass
class Tally:
    """What happened in some lives."""

    kills: Counter[str] = field(default_factory=Counter)
    orders: int = 0  # that stood, or were under way, when their owner was killed
    orphaned: int = 0  # kills that left some
    cleared_ns_max: int = 0  # from when somebody could
    trades_ns_max: int = 0  # from when all were back
    resumed: int = 0  # halts, by an operator
    agreed: int = 0  # times that both sides said the same
    virtual_ns: int = 0
    requests: int = 0  # that were signed, and of these sent again, and nonces used up by a noop
    repeats: int = 0
    noops: int = 0
    sweeps: int = 0  # proofs of a watchdog that nothing is left

    def line(self) -> str:
        """All of it in one line."""
        kinds = ", ".join(f"{count} of the {name}" for name, count in sorted(self.kills.items()))
        return (
            f"{self.kills.total():,} kills ({kinds}) in {self.virtual_ns / 3600e9:.1f} virtual hours: "
            "0 orders unowned, 0 nonces twice, 0 positions apart; "
            f"{self.orphaned} left {self.orders:,} orders, gone after at most {self.cleared_ns_max / 1e9:.2f} s; "
            f"trading again after at most {self.trades_ns_max / 1e9:.1f} s; "
            f"{self.resumed} halts resumed; agreed {self.agreed} times; "
            f"{self.sweeps} proofs of the watchdog; {self.requests:,} actions signed, {self.repeats} sent again, "
            f"{self.noops} noops"
        )


class Life:
    """One world, in which something is killed again and again."""

    def __init__(self, seed: int, folder: Path, tally: Tally) -> None:
        self.world = World(seed, folder)
        self.tally = tally
        self._random = self.world.random
        self._returns: list[tuple[int, int, Callable[[], None]]] = []  # when what is dead comes back, a heap
        self._count = 0
        self._changed_ns = 0  # when something was killed or came back last
        self._is_clear = True

    def live(self, kills: int) -> None:
        """Kills so often; raises AssertionError for what does not hold."""
        world = self.world
        began_ns = world.time.now_ns
        world.start_watchdog()
        world.start_engine()
        world.crowd.is_trading = True
        self._recover("start")
        for _ in range(kills):
            world.network.loss = self._random.choice([0.0, 0.0, 0.02, 0.1])
            world.beat_loss = self._random.choice([0.0, 0.0, 0.1])
            self._pass(self._random.randrange(5 * SECOND))
            victim = self._kill()
            # Some are killed before they have come to themselves.
            if self._random.random() < 0.7:
                self._recover(f"kill of the {victim}")
        self._recover("life")
        self._note_sweeps()
        machine = world.venue.machine
        self.tally.virtual_ns += world.time.now_ns - began_ns
        self.tally.requests += sum(client[0] != CROWD for client, _ in machine.signed)
        self.tally.repeats += machine.repeats
        self.tally.noops += machine.noops

    # One kill.

    def _kill(self) -> str:
        """Kills one of those that live, and says when it comes back; at once, as with a service manager, or later."""
        world = self.world
        chances = {"connections": 2}
        if world.engine is not None:
            chances["engine"] = 6
        if world.watchdog is not None:
            chances["watchdog"] = 3
        if not world.network.is_down:
            chances["exchange"] = 1
        victim = self._random.choices(list(chances), list(chances.values()))[0]
        self.tally.kills[victim] += 1
        self._changed()
        if victim == "engine":
            self._kill_engine()
        elif victim == "watchdog":
            self._note_sweeps()
            world.kill_watchdog()
            self._return_after(self._random.randrange(100 * MS, 8 * SECOND), world.start_watchdog)
        elif victim == "exchange":
            world.kill_exchange()
            self._return_after(self._random.randrange(100 * MS, 10 * SECOND), world.return_exchange)
        else:
            self._cut()
        return victim

    def _kill_engine(self) -> None:
        world = self.world
        assert world.engine is not None
        standing = len(world.engine.orders())
        self.tally.orders += standing
        self.tally.orphaned += standing > 0
        world.kill_engine()
        # Of what stands nothing is to be taken away by trades alone.
        world.crowd.is_trading = self._random.random() < 0.3
        latest_ns = self._random.choice([500 * MS, 4 * SECOND, 30 * SECOND])
        self._return_after(self._random.randrange(50 * MS, latest_ns), self._start_engine)

    def _start_engine(self) -> None:
        """Starts one; without an answer from the exchange it ends before it has done anything, and is started again."""
        if self.world.network.is_down:
            self._return_after(1 * SECOND, self._start_engine)
        else:
            self.world.start_engine()

    def _cut(self) -> None:
        """Cuts some sockets, and now and then all ways for a while."""
        network = self.world.network
        network.cut(
            [one for one in sorted(network.wires, key=lambda wire: wire.connection) if self._random.random() < 0.7]
        )
        if not network.is_down and self._random.random() < 0.5:
            network.is_down = True
            self._return_after(self._random.randrange(50 * MS, 8 * SECOND), self._heal)

    def _heal(self) -> None:
        self.world.network.is_down = False

    def _return_after(self, wait_ns: int, work: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._returns, (self.world.time.now_ns + wait_ns, self._count, work))

    def _changed(self) -> None:
        self._changed_ns = self.world.time.now_ns
        self._is_clear = False

    def _note_sweeps(self) -> None:
        if self.world.watchdog is not None:
            self.tally.sweeps += self.world.watchdog.reports["EMPTY"]

    # What must hold.

    def _recover(self, after: str) -> None:
        """All come back, with misfortune for a while and then without: it trades, and both sides say the same."""
        world = self.world
        while self._returns:
            self._pass(LOOK_NS)
        returned_ns = world.time.now_ns
        while not self._trades() and world.time.now_ns < returned_ns + MISFORTUNE_NS:
            self._pass(LOOK_NS)
        if world.network.loss:
            self._changed()
        world.network.loss = world.beat_loss = 0.0
        self._wait(self._trades, TRADES_NS_MAX, f"the engine does not trade again after a {after}")
        self.tally.trades_ns_max = max(self.tally.trades_ns_max, world.time.now_ns - returned_ns)
        world.crowd.is_trading = False
        self._pass(QUIET_NS)
        self._wait(world.agrees, AGREES_NS_MAX, f"engine and exchange disagree after a {after}")
        self.tally.agreed += 1
        world.crowd.is_trading = True

    def _look(self) -> None:
        """Whether what stands has an owner, or had one a moment ago."""
        world = self.world
        waited_ns = world.time.now_ns - self._changed_ns
        unowned = world.unowned()
        if world.engine is not None:
            assert world.engine.engine.end is None, "nobody stopped the engine"
            assert not (unowned and world.engine.is_trading), f"it trades, and orders are nobody's: {unowned[:3]}"
        if not unowned and not self._is_clear:
            self._is_clear = True
            self.tally.cleared_ns_max = max(self.tally.cleared_ns_max, waited_ns)
        if not unowned or world.network.is_down or world.watchdog is None:
            return
        self._is_clear = False
        lost = world.network.loss > 0
        allowed_ns = CLEARED_NS_MAX + (LOST_NS if lost else 0)
        assert waited_ns <= allowed_ns, (
            f"{waited_ns / 1e9:.1f} s after something was killed or came back {len(unowned)} orders are nobody's: "
            f"{unowned[:3]}"
        )

    # Time.

    def _pass(self, wait_ns: int) -> None:
        """Lets time pass, and what is due to come back do so; looks at it again and again."""
        time = self.world.time
        until_ns = time.now_ns + wait_ns
        while time.now_ns < until_ns:
            next_ns = min(until_ns, time.now_ns + LOOK_NS, self._returns[0][0] if self._returns else until_ns)
            time.run(next_ns - time.now_ns)
            self._look()
            while self._returns and self._returns[0][0] <= time.now_ns:
                heapq.heappop(self._returns)[2]()
                self._changed()

    def _wait(self, look: Callable[[], bool], limit_ns: int, fault: str) -> None:
        began_ns = self.world.time.now_ns
        while not look():
            waited_ns = self.world.time.now_ns - began_ns
            assert waited_ns < limit_ns, f"{fault}: {waited_ns / 1e9:.0f} s, {self._words()}"
            self._pass(LOOK_NS)

    def _trades(self) -> bool:
        """Whether it trades; an operator resumes what halted over orders whose fate was unknown for too long."""
        process = self.world.engine
        if process is not None and process.engine.supervisor.halt is not None:
            halt = process.engine.supervisor.halt
            is_expected = halt.cause is HaltCause.BREAKER and halt.breaker == Breaker.UNKNOWN_ORDER
            assert is_expected, f"halted, {halt.reason}: {self._words()}"
            if self._random.random() < LOOK_NS / SECOND:
                self.tally.resumed += process.engine.resume("the exchange answers again").is_done
        return self.world.engine is not None and self.world.engine.is_trading

    def _words(self) -> str:
        """What the engine said last."""
        engine = self.world.engine
        assert engine is not None
        orders, known = self.world.venue.own_orders(), engine.orders()
        said = "; ".join(happening.text for happening in list(engine.hub.happenings)[-12:])
        return (
            f"stage {engine.engine.stage}, positions {engine.positions()} and {self.world.venue.positions()} there, "
            f"orders only here {[hex(one) for one in known - set(orders)]}, only there "
            f"{[hex(one) for one in set(orders) - known]}, it said: {said}"
        )


def live(seed: int, kills: int, tally: Tally) -> None:
    """One life. Raises AssertionError with the call that repeats it."""
    with tempfile.TemporaryDirectory(prefix="hlhft-kills-") as folder:
        try:
            Life(seed, Path(folder), tally).live(kills)
        except AssertionError as error:
            raise AssertionError(f"live({seed}, {kills}), kill {tally.kills.total()}: {error}") from error


def main() -> int:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(description="Kills engines, watchdogs and connections in virtual time.")
    parser.add_argument("--kills", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)  # an engine says a lot about its network
    began_s, tally, seed = time.monotonic(), Tally(), arguments.seed
    while tally.kills.total() < arguments.kills:
        live(seed, min(KILLS_OF_LIFE, arguments.kills - tally.kills.total()), tally)
        print(f"seed {seed}: {tally.kills.total():,} kills, {time.monotonic() - began_s:.0f} s", flush=True)
        seed += 1
    print(tally.line())
    return 0


if __name__ == "__main__":
    sys.exit(main())
