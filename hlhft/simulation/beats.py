"""A pulse whose beats happen only where they make a difference.

A beat that is in time changes nothing but when the next is due. A hundred of them a second would be most of what
happens in a simulation, so a pulse is moved on over those that are behind it whenever something else happens in its
process. It beats by itself only where it may find itself late: after its clock was set, and in a process that stands
still.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from hlhft.simulation.time import SECOND, Call, Time

NEVER_NS = 2**62


class Beating(Protocol):
    """What beats, as `hlhft.live.pulse.Pulse` does: each beat makes the next one due one period later by its clock."""

    due_ns: int


class Beats:
    """The loop of one pulse, in place of that of its process; `does` does what is due there at a time."""

    def __init__(self, time: Time, pulse: Beating, does: Callable[..., Call]) -> None:
        self.due_ns = NEVER_NS  # true time of the first beat that was not made up for; NEVER_NS while one is on its way
        self._time = time
        self._pulse = pulse
        self._does = does
        self._period_ns = 0
        self._call: Call | None = None
        self._beat: Callable[..., object] | None = None

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> Beats:
        """The next beat, which comes one `delay` after this one. It takes no arguments."""
        assert not args
        self._period_ns = round(delay * SECOND)
        self.due_ns = self._time.now_ns + self._period_ns
        self._beat, self._call = callback, None
        return self

    def call_soon(self, callback: Callable[..., object], *args: Any) -> Call:
        """As of a loop: in the next turn of the process."""
        return self._does(self._time.now_ns, callback, *args)

    def set_exception_handler(self, handler: object) -> None:
        """None is needed: what raises ends the run."""

    def cancel(self) -> None:
        """It beats no more."""
        self.due_ns = NEVER_NS
        if self._call is not None:
            self._call.cancel()

    def catch_up(self) -> None:
        """What was due before now was in time. One that is due just now comes after what was to happen now."""
        if self.due_ns < self._time.now_ns:
            passed_ns = -((self.due_ns - self._time.now_ns) // self._period_ns) * self._period_ns
            self.due_ns += passed_ns
            self._pulse.due_ns += passed_ns

    def wake(self) -> None:
        """The next beat may not be in time: it happens."""
        self.catch_up()
        if self.due_ns != NEVER_NS:
            assert self._beat is not None
            self._call, self.due_ns = self._does(self.due_ns, self._beat), NEVER_NS
