"""A pulse that beats only where it matters is never told from one that always beats."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hlhft.live.pulse import PERIOD_NS, Pulse
from hlhft.simulation.host import Host, Wall
from hlhft.simulation.time import MS, SECOND, START_NS, Time

STEPS = ("look", "look", "freeze", "thaw", "leap", "drift", "set right", "discipline")
LAST_NS = 101 * MS  # no beat is due just then
Looks = list[tuple[int, int, int]]


def seen(steps: list[tuple[int, str]], *, is_lazy: bool) -> tuple[Looks, list[int], int]:
    """The time, what is due and how late it is at each look; what was told to be late; and the calls that came."""
    time = Time()
    wall = Wall(time)
    host = Host(time, wall)
    told: list[int] = []
    pulse = Pulse(host, host, told_ns=50 * MS, late=told.append)
    if is_lazy:
        pulse.loop = host.carry(pulse)
    pulse.start(collects=False)
    looks: Looks = []
    calls = [0]

    def count() -> None:
        calls[0] += 1

    def look() -> None:
        late_ns = pulse.lateness_ns(host.now_ns())
        looks.append((time.now_ns - START_NS, pulse.due_ns, late_ns))

    works = {
        "look": look, "leap": lambda: wall.leap(400 * MS), "drift": lambda: wall.drift(150),
        "set right": wall.set_right, "discipline": host.discipline,
    }  # fmt: skip
    host.after = count
    for wait_us, step in steps:
        time.run(wait_us * 1000)
        if step == "freeze":
            host.freeze()
        elif step == "thaw":
            host.thaw()
        else:
            host.call_soon(works[step])
    host.thaw()
    time.run(LAST_NS)
    host.does(look)
    return looks, told, calls[0]


@given(st.lists(st.tuples(st.integers(1, 400_000).map(lambda us: us | 1), st.sampled_from(STEPS)), max_size=25))
def test_nobody_sees_the_difference(steps: list[tuple[int, str]]) -> None:
    always, lazily = seen(steps, is_lazy=False), seen(steps, is_lazy=True)
    assert lazily[:2] == always[:2]
    assert lazily[2] <= always[2]


def test_it_does_not_beat_where_nothing_is_wrong() -> None:
    looks, told, calls = seen([(10_000_000, "look"), (1, "discipline")], is_lazy=True)
    assert (told, calls) == ([], 3)
    assert looks[0] == (10 * SECOND, START_NS + 10 * SECOND, 0), "what is due now comes afterwards"
    assert looks[1][1] == START_NS + 10 * SECOND + 100 * MS + PERIOD_NS, "a beat a period, though none came"


def test_it_beats_and_is_late_once_the_clock_was_set() -> None:
    _, told, calls = seen([(1_000_001, "leap"), (1, "discipline")], is_lazy=True)
    assert told == [400 * MS]
    assert calls == 4, "both, one beat, and the last look"


def test_it_is_stopped() -> None:
    time = Time()
    host = Host(time, Wall(time))
    pulse = Pulse(host, host, told_ns=50 * MS, late=lambda late_ns: None)
    pulse.loop = host.carry(pulse)
    pulse.start(collects=False)
    pulse.stop()
    host.freeze()
    host.thaw()
    time.run(SECOND)
    assert pulse.due_ns == 0 and time.waiting == 0
