"""Timers of many owners on a loop whose time a test moves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from hlhft.hyperliquid.backoff import DRAWS
from hlhft.live.clock import Clock
from hlhft.live.timers import NAMES_MAX, STALE_MAX, Timers

SECOND_NS = 1_000_000_000


class Alarm:
    """A handle of the stand-in loop."""

    def __init__(self, at_ns: int, ring: Callable[[], None]) -> None:
        self.at_ns = at_ns
        self.ring = ring
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class Loop:
    """As much of an event loop as timers need, in virtual time."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.alarms: list[Alarm] = []
        self.clock = Clock(wall_ns=lambda: self.now_ns, monotonic_ns=lambda: self.now_ns)

    def call_later(self, wait_s: float, ring: Callable[[], None]) -> Alarm:
        self.alarms.append(Alarm(self.now_ns + round(wait_s * SECOND_NS), ring))
        return self.alarms[-1]

    @property
    def waiting(self) -> list[Alarm]:
        return [alarm for alarm in self.alarms if not alarm.is_cancelled]

    def run_until(self, now_ns: int) -> None:
        while due := sorted((a for a in self.waiting if a.at_ns <= now_ns), key=lambda alarm: alarm.at_ns):
            self.now_ns = max(self.now_ns, due[0].at_ns)
            self.alarms.remove(due[0])
            due[0].ring()
        self.now_ns = now_ns


class Desk:
    def __init__(self, **more: Any) -> None:
        self.loop = Loop()
        self.timers = Timers(self.loop, self.loop.clock, **more)  # type: ignore[arg-type]
        self.fired: list[tuple[str, str, int]] = []
        for owner in ("a", "b"):
            self.timers.own(owner, lambda name, draw, owner=owner: self.note(owner, name))

    def note(self, owner: str, name: str) -> None:
        self.fired.append((owner, name, self.loop.now_ns))


def test_they_fire_in_the_order_of_their_times():
    desk = Desk()
    desk.timers.set("a", "late", 30)
    desk.timers.set("b", "early", 10)
    desk.timers.set("a", "middle", 20)
    assert len(desk.loop.waiting) == 1
    desk.loop.run_until(100)
    assert desk.fired == [("b", "early", 10), ("a", "middle", 20), ("a", "late", 30)]
    assert len(desk.timers) == 0
    assert not desk.loop.waiting


def test_one_of_a_name_replaces_the_one_before():
    desk = Desk()
    desk.timers.set("a", "x", 10)
    desk.timers.set("b", "x", 40)
    desk.timers.set("a", "x", 20)
    desk.loop.run_until(30)
    desk.timers.set("b", "x", 35)
    desk.loop.run_until(100)
    assert desk.fired == [("a", "x", 20), ("b", "x", 35)]


def test_what_is_past_fires_in_the_next_turn_and_not_within_the_call():
    desk = Desk()
    desk.loop.now_ns = 50
    desk.timers.set("a", "x", 10)
    assert not desk.fired
    desk.loop.run_until(50)
    assert desk.fired == [("a", "x", 50)]


def test_a_timer_set_by_one_that_fires_waits_for_another_turn():
    desk = Desk()
    rounds: list[int] = []
    turns: list[int] = []  # how many had fired when the call that set the next one returned

    def again(name: str, draw: int) -> None:
        rounds.append(desk.loop.now_ns)
        if len(rounds) < 3:
            desk.timers.set("c", "x", 0)
            turns.append(len(rounds))

    desk.timers.own("c", again)
    desk.timers.set("c", "x", 5)
    desk.loop.run_until(9)
    assert rounds == [5, 5, 5]
    assert turns == [1, 2]


def test_one_that_is_replaced_by_another_that_fires_first_does_not_fire():
    desk = Desk()
    desk.timers.own("c", lambda name, draw: desk.timers.set("a", "x", 90))
    desk.timers.set("c", "x", 10)
    desk.timers.set("a", "x", 10)
    desk.loop.run_until(10)
    fired_early = list(desk.fired)
    desk.loop.run_until(100)
    assert fired_early in ([], [("a", "x", 10)])
    assert desk.fired[-1] == ("a", "x", 90)


def test_each_firing_brings_a_draw():
    desk = Desk(draw=iter(range(7, 99)).__next__)
    draws: list[int] = []
    desk.timers.own("c", lambda name, draw: draws.append(draw))
    for name in ("x", "y"):
        desk.timers.set("c", name, 1)
    desk.loop.run_until(1)
    assert draws == [7, 8]
    assert 0 <= Desk().timers.draw() < DRAWS


def test_the_heap_stays_small_however_often_a_timer_is_set():
    desk = Desk()
    for at_ns in range(10 * STALE_MAX, 0, -1):
        desk.timers.set("a", "x", 10**12 + at_ns)
    assert len(desk.timers._heap) <= STALE_MAX + 1
    desk.loop.run_until(10**12 + 1)
    assert desk.fired == [("a", "x", 10**12 + 1)]


def test_too_many_names_and_unknown_owners_are_errors():
    desk = Desk()
    for number in range(NAMES_MAX):
        desk.timers.set("a", str(number), 1)
    with pytest.raises(AssertionError, match="timers are few"):
        desk.timers.set("a", "one more", 1)
    with pytest.raises(AssertionError, match="nobody has no timers"):
        desk.timers.set("nobody", "x", 1)
    with pytest.raises(AssertionError, match="a has timers already"):
        desk.timers.own("a", lambda name, draw: None)


def test_nothing_fires_once_closed_not_even_what_is_due_with_the_one_that_closes():
    desk = Desk()
    desk.timers.own("c", lambda name, draw: desk.timers.close())
    desk.timers.set("c", "x", 1)
    desk.timers.set("c", "y", 1)
    desk.timers.set("a", "z", 2)
    desk.loop.run_until(100)
    assert not desk.fired
    assert not desk.loop.waiting


def test_a_real_loop_rings_in_time():
    async def run() -> float:
        loop = asyncio.get_running_loop()
        clock = Clock()
        timers = Timers(loop, clock)
        done: asyncio.Future[int] = loop.create_future()
        timers.own("a", lambda name, draw: done.set_result(clock.now_ns()))
        at_ns = clock.now_ns() + 5_000_000
        timers.set("a", "x", at_ns)
        late_ns = await asyncio.wait_for(done, 10) - at_ns
        timers.close()
        return late_ns

    assert asyncio.run(run()) >= 0
