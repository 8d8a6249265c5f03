"""What the live parts need of an event loop: asyncio's has it, and so has the process of a simulation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Handle(Protocol):
    """A call that is to come."""

    def cancel(self) -> None:
        """It does not come."""


class Loop(Protocol):
    """Calls that come in this process, one after the other."""

    def call_soon(self, callback: Callable[..., object], *args: Any) -> Handle:
        """In the next turn."""

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> Handle:
        """After so many seconds or a little later."""

    def set_exception_handler(self, handler: Callable[[Any, dict[str, Any]], object] | None) -> None:
        """What hears of calls that raise; None: whoever did before."""


class Time(Protocol):
    """The time of this process, as `hlhft.live.clock.Clock` has it."""

    @property
    def steps(self) -> int:
        """Leaps of the wall clock so far."""

    def now_ns(self) -> int:
        """Nanoseconds since the Unix epoch, never before what was returned earlier."""

    def discipline(self) -> int:
        """Looks at the wall clock; returns by how much it leapt, 0 for not."""
