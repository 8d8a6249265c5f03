"""One process in virtual time: its event loop as far as the live parts use one, and its clock. It can be killed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hlhft.simulation.time import SECOND, Call, Time


class Host:
    """One process: an event loop as far as the live parts use one. Nothing happens in it once it is killed."""

    def __init__(self, time: Time) -> None:
        self.time = time
        self.is_dead = False
        self.steps = 0  # of the wall clock, as of a clock: none here

    def kill(self) -> None:
        """From now on nothing happens here any more."""
        self.is_dead = True

    @contextmanager
    def running(self) -> Iterator[None]:
        """Whatever asks for the running loop finds this one."""
        before = asyncio._get_running_loop()
        asyncio._set_running_loop(self)  # type: ignore[arg-type]
        try:
            yield
        finally:
            asyncio._set_running_loop(before)

    def _do(self, work: Callable[..., None], values: tuple[Any, ...]) -> None:
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

    def at(self, at_ns: int, work: Callable[..., None], *values: Any) -> Call:
        """Happens here at this time."""
        return self.time.at(at_ns, self._do, work, values)

    def call_soon(self, work: Callable[..., None], *values: Any) -> Call:
        """As of a loop."""
        return self.at(self.time.now_ns, work, *values)

    def call_later(self, wait_s: float, work: Callable[..., None], *values: Any) -> Call:
        """As of a loop."""
        return self.at(self.time.now_ns + round(wait_s * SECOND), work, *values)

    def create_future(self) -> asyncio.Future[Any]:
        """As of a loop."""
        return asyncio.Future(loop=self)  # type: ignore[arg-type]

    def get_debug(self) -> bool:
        """As of a loop."""
        return False

    def set_exception_handler(self, handler: object) -> None:
        """None is needed: what raises ends the test."""
