"""One process in virtual time: its event loop, as far as the live parts use one, and its clock. It can be killed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hlhft.simulation.time import SECOND, Call, Time


class Host:
    """A loop and a clock (`hlhft.live.loop`). Nothing happens in it once it is killed."""

    def __init__(self, time: Time) -> None:
        self.time = time
        self.is_dead = False
        self.steps = 0  # of the wall clock, as of a clock: none here

    def kill(self) -> None:
        """From now on nothing happens here any more."""
        self.is_dead = True

    def _do(self, work: Callable[..., object], values: tuple[Any, ...]) -> None:
        if not self.is_dead:
            work(*values)

    # The clock.

    def now_ns(self) -> int:
        """The time, as of a clock that is never wrong."""
        return self.time.now_ns

    def discipline(self) -> int:
        """Nothing to take up."""
        return 0

    # The loop.

    def at(self, at_ns: int, work: Callable[..., object], *values: Any) -> Call:
        """Happens here at this time."""
        return self.time.at(at_ns, self._do, work, values)

    def call_soon(self, callback: Callable[..., object], *args: Any) -> Call:
        """In the next turn."""
        return self.at(self.time.now_ns, callback, *args)

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> Call:
        """After so many seconds."""
        return self.at(self.time.now_ns + round(delay * SECOND), callback, *args)

    def set_exception_handler(self, handler: object) -> None:
        """None is needed: what raises ends the run."""
