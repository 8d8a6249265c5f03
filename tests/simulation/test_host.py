"""A process does nothing once it is dead, does late what was due while it stood still, and has a clock of its own."""

from __future__ import annotations

from hlhft.simulation.host import Host, Wall
from hlhft.simulation.time import MS, SECOND, START_NS, Time


def host() -> tuple[Time, Wall, Host]:
    time = Time()
    wall = Wall(time)
    return time, wall, Host(time, wall)


def test_calls_come_in_order_and_each_is_told() -> None:
    time, _, one = host()
    happened: list[str] = []
    one.after = lambda: happened.append("told")
    one.call_later(0.5, happened.append, "later")
    one.call_soon(happened.append, "soon")
    one.call_later(0.1, happened.append, "never").cancel()
    time.run(SECOND)
    assert happened == ["soon", "told", "later", "told"]


def test_nothing_happens_in_a_dead_process() -> None:
    time, _, one = host()
    happened: list[int] = []
    one.call_later(0.5, happened.append, 1)
    one.kill()
    one.call_soon(happened.append, 2)
    time.run(SECOND)
    assert happened == []


def test_a_frozen_process_catches_up() -> None:
    time, _, one = host()
    happened: list[int] = []
    for wait_ms in (100, 200, 600):
        one.call_later(wait_ms / 1000, happened.append, wait_ms)
    time.run(150 * MS)
    one.freeze()
    time.run(350 * MS)
    assert happened == [100]
    one.thaw()
    assert happened == [100, 200]
    time.run(SECOND)
    assert happened == [100, 200, 600]


def test_what_is_cancelled_while_a_process_catches_up_does_not_happen() -> None:
    """As in a loop of asyncio, where a timer that is due can still be cancelled."""
    time, _, one = host()
    happened: list[str] = []
    second = one.call_later(0.2, happened.append, "second")

    def first() -> None:
        happened.append("first")
        second.cancel()

    one.call_later(0.1, first)
    one.freeze()
    time.run(SECOND)
    one.thaw()
    time.run(SECOND)
    assert happened == ["first"]


def test_its_clock_follows_a_wall_clock_that_drifts_and_leaps() -> None:
    time, wall, one = host()
    wall.drift(100)
    time.run(10 * SECOND)
    assert (wall.error_ns, one.now_ns() - START_NS) == (MS, 10 * SECOND)
    assert one.discipline() == 0
    assert one.now_ns() - time.now_ns == MS
    wall.leap(2 * SECOND)
    assert one.discipline() == 2 * SECOND
    assert (one.now_ns() - time.now_ns, one.steps) == (2 * SECOND + MS, 1)
    wall.set_right()
    assert wall.error_ns == 0
    before_ns = one.now_ns()
    assert one.discipline() == -2 * SECOND - MS
    assert one.now_ns() == before_ns, "it waits, and never runs backwards"


def test_the_wall_clock_outlives_a_process() -> None:
    time, wall, one = host()
    wall.leap(-SECOND)
    one.kill()
    assert Host(time, wall).now_ns() == time.now_ns - SECOND
