"""What holds of every connection, whatever happens to it. A failing seed is in the name of its test."""

from __future__ import annotations

import random

import pytest

from hlhft.hyperliquid.backoff import DRAWS, Budget, connect_budget
from hlhft.hyperliquid.connection import PING
from hlhft.hyperliquid.connection_events import (
    Acknowledged,
    Closed,
    Desire,
    ErrorFrame,
    MarketFresh,
    MarketStale,
    Open,
    Pong,
    PullQuotes,
    Reconcile,
    Report,
    ReportCode,
    Send,
    Start,
    Stop,
    TransportUp,
    Upgraded,
)
from hlhft.hyperliquid.connection_table import State
from hlhft.hyperliquid.subscriptions import Stage, Stream, message
from tests.hyperliquid.connections import BBO, CONTEXT, ETH, FAST, TRADES, UPDATES, S, Shell

EVERYTHING = (UPDATES, FAST, BBO, TRADES, CONTEXT, ETH)
WITH_SOCKET = {State.SUBSCRIBING, State.RECONCILING, State.LIVE, State.STALE}
SEEDS = range(30)


class World:
    """A venue that answers or does not, and a network that breaks, drawn from a seed."""

    def __init__(self, seed: int, *, connects: Budget | None = None) -> None:
        self.random = random.Random(seed)
        self.shell = Shell(*EVERYTHING, connects=connects)
        self.wanted: tuple[Stream, ...] = EVERYTHING
        self.seen = 0
        self.asked: list[bytes] = []
        self.shell.tell(Start())

    def step(self, *, faults: bool) -> None:
        """One thing happens."""
        shell, state = self.shell, self.shell.connection.state
        shell.draw = self.random.randrange(DRAWS)
        self.collect()
        chance = self.random.random()
        if faults and chance < 0.03 and shell.socket:
            shell.tell(Closed(shell.socket, shell.draw, *self.random.choice([(1006, ""), (1000, "Expired")])))
        elif faults and chance < 0.05:
            self.wanted = tuple(self.random.sample(EVERYTHING, self.random.randrange(len(EVERYTHING) + 1)))
            shell.tell(Desire(self.wanted))
        elif state is State.CONNECTING and not (faults and chance < 0.2):
            shell.tell(TransportUp(shell.socket))
        elif state is State.HANDSHAKING and not (faults and chance < 0.2):
            shell.tell(Upgraded(shell.socket))
        elif state in WITH_SOCKET and self.asked:
            self.answer(self.asked.pop(0), is_lost=faults and chance < 0.1)
        elif state is State.RECONCILING and not (faults and chance < 0.4):
            shell.reconcile()
        elif state in WITH_SOCKET and chance < (0.6 if faults else 0.9):
            for stream in EVERYTHING:
                shell.data(stream, 1000 + shell.now_ns // 10**6)
            shell.now_ns += S // 3
        else:
            shell.now_ns += self.random.randrange(S)
        while shell.next_ns() is not None and (shell.next_ns() or 0) <= shell.now_ns:
            shell.fire()

    def collect(self) -> None:
        """What was sent since, on the present socket."""
        new, self.seen = self.shell.history[self.seen :], len(self.shell.history)
        for _, effect in new:
            if isinstance(effect, Open):
                self.asked = []
            elif isinstance(effect, Send) and effect.socket == self.shell.socket:
                self.asked.append(effect.payload)

    def answer(self, payload: bytes, *, is_lost: bool) -> None:
        if is_lost:
            return
        if payload == PING:
            self.shell.tell(Pong(self.shell.socket))
            return
        for stream in EVERYTHING:
            for method in ("subscribe", "unsubscribe"):
                if payload == message(method, stream):
                    self.shell.tell(Acknowledged(self.shell.socket, method, stream.subscription()))

    def run(self, steps: int, *, faults: bool) -> None:
        for _ in range(steps):
            self.step(faults=faults)
        self.collect()


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_happens(seed: int) -> None:
    world = World(seed)
    world.run(300, faults=True)
    world.run(300, faults=False)
    check_connects([now_ns for now_ns, effect in world.shell.history if isinstance(effect, Open)])
    check_order(world)
    check_reconciled(world)
    # Faults are over: what is wanted is there.
    connection = world.shell.connection
    assert connection.state is State.LIVE
    assert all(connection._subscriptions.stage(stream.key) is Stage.ACTIVE for stream in world.wanted)
    assert all(connection.is_fresh(stream.market) for stream in world.wanted)
    world.shell.tell(Stop())
    before = len(world.shell.history)
    world.run(20, faults=False)
    assert len(world.shell.history) == before, "nothing after it was closed"


def check_connects(times: list[int]) -> None:
    for start_ns in times:
        assert len([time for time in times if start_ns <= time < start_ns + 60 * S]) <= 30


def check_order(world: World) -> None:
    """A market is told stale before anything is sent to begin or mend it, and its quotes are pulled if it was fresh."""
    fresh: dict[int, bool | None] = {}
    pulled: set[int] = set()
    for number, (_, effect) in enumerate(world.shell.history):
        if isinstance(effect, MarketFresh):
            fresh[effect.market] = True
        elif isinstance(effect, MarketStale):
            if fresh.get(effect.market):
                assert world.shell.history[number + 1][1] == PullQuotes(effect.market)
            fresh[effect.market] = False
            pulled.add(effect.market)
        elif isinstance(effect, Send):
            for stream in EVERYTHING:
                if effect.payload == message("subscribe", stream):
                    assert fresh[stream.market] is False, f"{stream} is asked for while its market is fresh"


def check_reconciled(world: World) -> None:
    """Between a socket and the first market told fresh on it there is a reconciliation."""
    is_reconciled = False
    for _, effect in world.shell.history:
        if isinstance(effect, Open):
            is_reconciled = False
        elif effect == Report(ReportCode.LIVE):
            is_reconciled = True
        elif isinstance(effect, MarketFresh):
            assert is_reconciled
        elif isinstance(effect, Reconcile):
            is_reconciled = False


@pytest.mark.parametrize("seed", range(3))
def test_a_venue_that_is_down_is_asked_seldom_by_all_together_and_for_ever(seed: int) -> None:
    draws = random.Random(seed)
    connects = connect_budget()
    shells = [Shell(FAST, connects=connects, draw=draws.randrange(DRAWS)) for _ in range(20)]
    times = []
    for shell in shells:
        shell.tell(Start())
    now_ns = 0
    while now_ns < 600 * S:
        for shell in shells:
            shell.now_ns = now_ns
            if shell.socket:
                times.append(now_ns)
                shell.tell(Closed(shell.socket, draws.randrange(DRAWS)))
        due = [(shell.next_ns() or 0, number) for number, shell in enumerate(shells)]
        now_ns, first = min(due)
        shells[first].now_ns = now_ns
        shells[first].fire()
    check_connects(times)
    assert len(times) >= 280, "the budget is used up, and nobody stops asking"


def test_an_error_of_nobody_changes_nothing() -> None:
    world = World(0)
    world.run(100, faults=False)
    assert world.shell.tell(ErrorFrame(world.shell.socket, "?")) == [Report(ReportCode.ERROR_UNMATCHED, "?")]
