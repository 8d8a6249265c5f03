"""An engine killed at a random moment, a thousand times in virtual time: empty is never said too early.

The engine places orders that are under way for a while and executed unless they have expired by then; listings lag;
beats, requests and answers are lost; sockets come and go. Each life is a number, which repeats it.
"""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.hyperliquid.watchdog_beats import EngineState
from hlhft.hyperliquid.watchdog_events import Lane, SocketDown, SocketUp, Start
from hlhft.hyperliquid.watchdog_table import State
from tests.hyperliquid.watchdog_bench import MS, OTHER, SECOND, Bench

LIVES = 1_000
GROUPS = 20
EXPIRES_AFTER_MS = 3_000
LAG_MS_MAX = 250  # what the watchdog's margin allows a listing to lag behind the time that was read
UNDER_WAY_MS_MAX = 4_000


class Engine:
    """An engine that trades until it is killed; what it sends is executed later, or never."""

    def __init__(self, bench: Bench, random: Random) -> None:
        self.bench = bench
        self.random = random
        self.sent = 0
        self.last_expiry_ms = 0
        self.executed: list[tuple[int, int]] = []  # (when it shows, oid), all that the venue will ever execute
        self.loss = random.choice([0.0, 0.2, 0.6])  # of beats

    def trade(self, *, is_last: bool = False) -> None:
        """Sends an order; the last one is executed and shown as late as that is possible."""
        self.sent += 1
        now_ms = self.bench.now_ms
        expiry_ms = now_ms + EXPIRES_AFTER_MS
        self.last_expiry_ms = max(self.last_expiry_ms, expiry_ms)
        executed_ms = now_ms + self.random.choice([20, 80, 300, self.random.randrange(UNDER_WAY_MS_MAX)])
        lag_ms = self.random.randrange(LAG_MS_MAX + 1)
        if is_last:
            executed_ms, lag_ms = expiry_ms, LAG_MS_MAX
        if executed_ms <= expiry_ms:
            shown = (executed_ms + lag_ms, 1000 + self.sent)
            self.executed.append(shown)
            self.bench.venue.late.append(shown)

    def live(self, steps: int) -> None:
        """Trades and beats, about 50 ms a step; the last thing that it does is to send an order."""
        for step in range(steps):
            if self.random.random() < 0.7:
                self.trade()
            if step % 4 == 0 and self.random.random() >= self.loss:
                self.bench.beat(EngineState.TRADING, last_expiry_ms=self.last_expiry_ms, orders=self.sent)
            disturb(self.bench, self.random)
            self.bench.run(self.random.randrange(1, 100) * MS)
        self.trade(is_last=True)


def disturb(bench: Bench, random: Random) -> None:
    """Now and then, the watchdog's ways to the venue change."""
    match random.randrange(40):
        case 0:
            bench.feed(SocketUp())
        case 1:
            bench.feed(SocketDown())
        case 2:
            bench.lost_lanes = {random.choice(list(Lane))}
        case 3:
            bench.lost_lanes = set()
        case 4:
            bench.venue.is_dead = random.random() < 0.5


def kill_one(seed: int) -> None:
    random = Random(seed)
    bench = Bench(latency_ms=random.choice([1, 20, 200, 700]), weight_per_minute_max=1200)
    engine = Engine(bench, random)
    bench.venue.place(3, owner=OTHER)
    bench.feed(Start())
    engine.live(random.randrange(1, 120))
    killed_ns = bench.now_ns
    while bench.machine.state is not State.EMPTY:
        assert bench.now_ns - killed_ns < 90 * SECOND, "never proven"
        if bench.now_ns - killed_ns < 10 * SECOND:
            disturb(bench, random)
        else:
            bench.lost_lanes, bench.venue.is_dead = set(), False
        bench.run(50 * MS)
    assert set(bench.venue.orders) == {3}, "empty was said, and an order rests"
    assert not bench.venue.late, "empty was said, and an order is still to come"
    proven = bench.machine.proven
    assert proven is not None
    assert all(shown_ms <= bench.now_ms for shown_ms, _ in engine.executed)
    bench.run(5 * SECOND)
    assert bench.machine.state is State.EMPTY


@pytest.mark.parametrize("group", range(GROUPS))
def test_empty_is_never_said_too_early(group: int) -> None:
    for seed in range(group, LIVES, GROUPS):
        try:
            kill_one(seed)
        except AssertionError as error:
            raise AssertionError(f"kill_one({seed}): {error}") from error


@given(data=st.data())
def test_whatever_happens_no_order_of_others_is_touched_and_empty_is_true(data: st.DataObject) -> None:
    bench = Bench()
    bench.venue.place(3, owner=OTHER)
    bench.venue.place(4, owner=None)
    oid = 100
    bench.feed(Start())
    states = st.sampled_from(list(EngineState))
    for _ in range(data.draw(st.integers(1, 25))):
        match data.draw(st.sampled_from(["beat", "wait", "place", "up", "down", "dead", "alive", "restart"])):
            case "beat":
                fields = {"orders": data.draw(st.integers(-1, 2)), "reconciliation": data.draw(st.integers(0, 2))}
                bench.beat(data.draw(states), **fields)
            case "wait":
                bench.run(data.draw(st.integers(1, 4000)) * MS)
            case "place":
                oid += 1
                bench.venue.place(oid)
            case "up":
                bench.feed(SocketUp())
            case "down":
                bench.feed(SocketDown())
            case "dead":
                bench.venue.is_dead = True
            case "alive":
                bench.venue.is_dead = False
            case _:
                bench.session += 1
    assert {3, 4} <= set(bench.venue.orders)
    # Whatever it was, once the engine is gone for good and the venue answers, nothing of it is left.
    bench.venue.is_dead = False
    bench.run(200 * SECOND)
    assert set(bench.venue.orders) == {3, 4}
    assert bench.machine.state in (State.EMPTY, State.WAITING)
