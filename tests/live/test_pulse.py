"""The beat of the loop: lateness is seen, told once, and garbage waits for quiet moments."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator

import pytest

from hlhft.live import pulse as pulses
from hlhft.live.pulse import FULL_EVERY_NS, MIDDLE_EVERY_NS, PERIOD_NS, QUIET_NS, Pulse
from tests.live.test_timers import Loop

TOLD_NS = 50_000_000


class Beating:
    def __init__(self, *, collects: bool = False) -> None:
        self.loop = Loop()
        self.loop.now_ns = 10**18
        self.late: list[int] = []
        self.pulse = Pulse(self.loop, self.loop.clock, told_ns=TOLD_NS, late=self.late.append)  # type: ignore[arg-type]
        self.pulse.start(collects=collects)

    def run(self, ns: int) -> None:
        self.loop.run_until(self.loop.now_ns + ns)

    def freeze(self, ns: int) -> int:
        """The process stands still, and then a socket is served before the timer."""
        self.loop.now_ns += ns
        return self.pulse.lateness_ns(self.loop.now_ns)


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    yield
    gc.unfreeze()
    gc.enable()


def test_in_time_nothing_is_late():
    beating = Beating()
    beating.run(20 * PERIOD_NS)
    assert beating.pulse.lateness.count == 20
    assert beating.pulse.lateness.maximum == 0
    assert beating.pulse.lateness_ns(beating.loop.now_ns + PERIOD_NS // 2) == 0
    assert not beating.late


def test_a_freeze_is_seen_by_the_first_callback_and_told_once():
    beating = Beating()
    beating.run(PERIOD_NS)
    assert beating.freeze(200_000_000) == 190_000_000
    assert beating.freeze(1_000_000) == 191_000_000
    assert beating.late == [190_000_000]
    beating.run(0)
    assert beating.pulse.lateness.maximum == 191_000_000
    assert beating.pulse.lateness_ns(beating.loop.now_ns) == 0
    assert beating.pulse.counters["times the loop was late"] == 1


def test_a_freeze_that_no_callback_saw_is_told_by_the_beat():
    beating = Beating()
    beating.run(PERIOD_NS)
    beating.loop.now_ns += 300_000_000
    beating.run(0)
    assert beating.late == [290_000_000]


def test_a_little_late_is_counted_and_not_told():
    beating = Beating()
    assert beating.freeze(PERIOD_NS + TOLD_NS) == TOLD_NS
    assert not beating.late


def test_before_it_starts_and_after_it_stops_nothing_beats():
    beating = Beating()
    beating.pulse.stop()
    assert not beating.loop.waiting
    beating.pulse.stop()
    fresh = Pulse(beating.loop, beating.loop.clock, told_ns=1, late=beating.late.append)  # type: ignore[arg-type]
    assert fresh.lateness_ns(beating.loop.now_ns) == 0


def test_garbage_waits_for_a_quiet_moment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pulses, "YOUNG_MAX", 0)
    beating = Beating(collects=True)
    assert not gc.isenabled()
    beating.pulse.busy_ns = beating.loop.now_ns + PERIOD_NS - QUIET_NS
    beating.run(PERIOD_NS)
    assert not beating.pulse.counters
    beating.run(PERIOD_NS)
    assert beating.pulse.counters == {"collections of generation 0": 1}
    beating.loop.now_ns += MIDDLE_EVERY_NS
    beating.run(PERIOD_NS)
    beating.loop.now_ns += FULL_EVERY_NS
    beating.run(PERIOD_NS)
    assert beating.pulse.counters["collections of generation 1"] >= 1
    assert beating.pulse.counters["collections of generation 2"] >= 1
    beating.pulse.stop()
    assert gc.isenabled()


def test_too_much_garbage_is_collected_even_when_it_is_not_quiet(monkeypatch: pytest.MonkeyPatch):
    beating = Beating(collects=True)
    monkeypatch.setattr(pulses, "YOUNG_MAX", 10**9)
    beating.run(PERIOD_NS)
    assert not beating.pulse.counters
    monkeypatch.setattr(pulses, "YOUNG_MAX", 0)
    monkeypatch.setattr(pulses, "YOUNG_FORCED", -1)
    beating.pulse.busy_ns = beating.loop.now_ns + PERIOD_NS
    beating.run(PERIOD_NS)
    assert beating.pulse.counters == {"collections of generation 0": 1}


class Turning(Loop):
    """A loop whose next turn a test takes."""

    def __init__(self) -> None:
        super().__init__()
        self.soon: list[Callable[[], None]] = []

    def call_soon(self, call: Callable[[], None]) -> None:
        self.soon.append(call)

    def turn(self) -> int:
        """Calls what is to be called in this turn; returns how much that was."""
        calls, self.soon = self.soon, []
        for call in calls:
            call()
        return len(calls)


def test_a_loop_that_polls_has_something_to_do_in_each_turn_until_it_is_stopped():
    loop = Turning()
    pulse = Pulse(loop, loop.clock, told_ns=TOLD_NS, late=lambda late_ns: None)  # type: ignore[arg-type]
    pulse.start(collects=False, polls=True)
    assert [loop.turn() for _ in range(100)] == [1] * 100
    pulse.stop()
    assert [loop.turn() for _ in range(3)] == [1, 0, 0]
    pulse.start(collects=False)
    assert loop.turn() == 0
