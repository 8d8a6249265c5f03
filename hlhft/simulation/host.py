"""One process in virtual time: its event loop, as far as the live parts use one, and its clock.

It can be killed, and frozen: what is due while it stands still is done once it goes on, in the order of its times. Its
clock is the one of production over a wall clock that drifts and leaps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from hlhft.live.clock import Clock
from hlhft.simulation.beats import Beating, Beats
from hlhft.simulation.time import SECOND, Call, Time

WAITING_MAX = 100_000  # calls of a frozen process; more is an error of the simulation
PPM = 1_000_000
Result = TypeVar("Result")


class Wall:
    """The wall clock of a machine: it drifts, and somebody sets it. It outlives the processes there."""

    def __init__(self, time: Time) -> None:
        self.drift_ppm = 0
        self._time = time
        self._error_ns = 0  # beside the drift since then
        self._since_ns = time.now_ns

    @property
    def error_ns(self) -> int:
        """What it shows less the true time."""
        return self._error_ns + (self._time.now_ns - self._since_ns) * self.drift_ppm // PPM

    def now_ns(self) -> int:
        """What it shows."""
        return self._time.now_ns + self.error_ns

    def drift(self, ppm: int) -> None:
        """It gains or loses so much from now on."""
        self._error_ns, self._since_ns, self.drift_ppm = self.error_ns, self._time.now_ns, ppm

    def leap(self, step_ns: int) -> None:
        """Somebody sets it."""
        self._error_ns += step_ns

    def set_right(self) -> None:
        """Somebody sets it to the true time, and it drifts no more."""
        self._error_ns, self._since_ns, self.drift_ppm = 0, self._time.now_ns, 0


class HostCall(Call):
    """A call of a process: it waits where that stands still, and can be cancelled until it really happens."""

    __slots__ = ("host",)

    def __init__(self, host: Host, work: Callable[..., object], values: tuple[Any, ...]) -> None:
        super().__init__(work, values)
        self.host = host

    def happen(self) -> None:
        """Its time has come: now, or once the process goes on, or never."""
        self.host.due(self)


class Host:
    """A loop and a clock (`hlhft.live.loop`). Nothing happens in it once it is killed."""

    def __init__(self, time: Time, wall: Wall) -> None:
        self.time = time
        self.is_dead = self.is_frozen = False
        self.after: Callable[[], None] = lambda: None  # what happened here; called after each of it
        self._waiting: list[HostCall] = []
        self._wall = wall
        self._clock = Clock(wall_ns=wall.now_ns, monotonic_ns=lambda: time.now_ns)
        self._beats: Beats | None = None
        self.now_ns: Callable[[], int] = self._clock.now_ns  # the time as this process has it

    def carry(self, pulse: Beating) -> Beats:
        """The loop of a pulse that beats here."""
        self._beats = Beats(self.time, pulse, self.at)
        return self._beats

    def kill(self) -> None:
        """From now on nothing happens here any more."""
        self.is_dead = True
        self._waiting.clear()

    def freeze(self) -> None:
        """From now on what happens here waits."""
        if self._beats is not None:
            self._beats.wake()
        self.is_frozen = True

    def thaw(self) -> None:
        """What waits is done, and all goes on."""
        self.is_frozen = False
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            self.due(call)

    def due(self, call: HostCall) -> None:
        """The call's time has come."""
        if self.is_dead or call.work is None:
            return
        if self.is_frozen:
            self._waiting.append(call)
            assert len(self._waiting) < WAITING_MAX, "a frozen process has more and more to do"
            return
        self.does(call.work, *call.values)

    def does(self, work: Callable[..., Result], *values: Any) -> Result:
        """Happens here now, in a process that lives and does not stand still."""
        if self._beats is not None:
            self._beats.catch_up()
        result = work(*values)
        self.after()
        return result

    # The clock.

    @property
    def steps(self) -> int:
        """Leaps of the wall clock so far."""
        return self._clock.steps

    def discipline(self) -> int:
        """As of a clock."""
        is_right = self.now_ns() == self._wall.now_ns() == self.time.now_ns
        if self._beats is not None and not is_right:
            self._beats.wake()  # this clock may be set
        return self._clock.discipline()

    # The loop.

    def at(self, at_ns: int, work: Callable[..., object], *values: Any) -> Call:
        """Happens here at this true time."""
        call = HostCall(self, work, values)
        self.time.put(at_ns, call)
        return call

    def call_soon(self, callback: Callable[..., object], *args: Any) -> Call:
        """In the next turn."""
        return self.at(self.time.now_ns, callback, *args)

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> Call:
        """After so many seconds."""
        return self.at(self.time.now_ns + round(delay * SECOND), callback, *args)

    def set_exception_handler(self, handler: object) -> None:
        """None is needed: what raises ends the run."""
