"""An engine that only writes down what an operator tells it, behind a real control socket."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from hlhft.live.control import ControlServer, Outcome, Reloaded
from hlhft.live.view import Status
from tests.live.samples import full_status


class Engine:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.fills = 0
        self.halted = ""
        self.refuses = False
        self.reloaded = Reloaded(
            is_done=False, sentence="nothing changed", refused=("engine.coins: changes with a restart only",)
        )

    def status(self) -> Status:
        return full_status(counters={"fills": self.fills}, halt=self.halted)

    def halt(self, reason: str) -> Outcome:
        return self._done("halt", reason)

    def resume(self, reason: str) -> Outcome:
        return self._done("resume", reason)

    def flatten(self, reason: str) -> Outcome:
        return self._done("flatten", reason)

    def reload(self) -> Reloaded:
        return self.reloaded

    def _done(self, command: str, reason: str) -> Outcome:
        self.told.append((command, reason))
        return Outcome(is_done=not self.refuses, sentence=f"{command} {'refused' if self.refuses else 'done'}")


@contextmanager
def serving(server: ControlServer) -> Iterator[None]:
    """Runs the server on a loop of its own, as the engine does on its."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
        yield
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
        asyncio.run_coroutine_threadsafe(_finish(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _finish() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    for _ in range(3):  # what is closed is gone one turn later
        await asyncio.sleep(0)
