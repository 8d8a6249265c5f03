"""The disk of a simulated process: what is written when, and what a kill loses."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random

from hlhft.live.keeper import Done
from hlhft.simulation.host import Host
from hlhft.simulation.time import MS


class Disk:
    """The thread that writes: what has not been written when the process is killed never is."""

    def __init__(self, host: Host, random: Random) -> None:
        self.failures = 0
        self._host = host
        self._random = random
        self._waiting: deque[tuple[Callable[[], object], Done | None]] = deque()

    def later(self, work: Callable[[], object], done: Done | None = None) -> None:
        """Writes it soon, and tells later still."""
        self._waiting.append((work, done))
        self._host.at(self._host.now_ns() + self._random.randrange(1, 30) * MS, self._next)

    def now(self, work: Callable[[], object]) -> str:
        """Writes what waits, and this."""
        while self._waiting:
            self._next()
        work()
        return ""

    def _next(self) -> None:
        if self._waiting:
            work, done = self._waiting.popleft()
            work()
            if done is not None:
                self._host.at(self._host.now_ns() + self._random.randrange(1, 5) * MS, done, "")
