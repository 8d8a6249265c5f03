"""The store's work on one thread of its own: a disk that takes its time keeps no frame waiting.

What is written in order stays in order. A halt is waited for, as nothing may follow it that it should have prevented.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from hlhft.live.store import StoreError

WAITING_MAX = 256  # jobs; more mean a disk that does not keep up, and are refused
WAIT_S = 5.0

# A table that cannot be read is the disk's failure as well as one that cannot be written.
_FAILURES = (StoreError, sqlite3.Error)

Done = Callable[[str], None]  # the sentence of what failed, empty when nothing did


class Keeper:
    """Does what is to be done with the store, one after the other."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.failures = 0
        self._loop = loop
        self._waiting = 0
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")

    def later(self, work: Callable[[], object], done: Done | None = None) -> None:
        """Does it soon; `done` hears in the loop how it went, never within this call."""
        if self._waiting >= WAITING_MAX:
            self.failures += 1
            if done is not None:
                self._loop.call_soon(done, "the disk does not keep up")
            return
        self._waiting += 1

        def told(future: Future[object]) -> None:
            self._loop.call_soon_threadsafe(self._over, future, done)

        self._thread.submit(work).add_done_callback(told)

    def now(self, work: Callable[[], object]) -> str:
        """Does it, after what waits, and returns how it went. For what may not be postponed only."""
        future = self._thread.submit(work)
        try:
            future.result(WAIT_S)
        except _FAILURES as error:
            self.failures += 1
            return str(error)
        except TimeoutError:
            self.failures += 1
            return f"the store was not written within {WAIT_S:g} s"
        return ""

    def close(self) -> None:
        """Waits for what is under way; nothing is told any more."""
        self._thread.shutdown(wait=True)

    def _over(self, future: Future[object], done: Done | None) -> None:
        """Raises what is no failure of the store, in the loop."""
        self._waiting -= 1
        error = future.exception()
        if error is not None:
            self.failures += 1
            if not isinstance(error, _FAILURES):
                raise error
        if done is not None:
            done("" if error is None else str(error))
