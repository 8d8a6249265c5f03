"""An embedded exchange with a market of its own in a thread, which notes every frame that it sends."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import uvloop

from hlhft.exchange import opening
from hlhft.exchange.machine import Machine
from hlhft.exchange.server import Clock, Server

READY_S = 120.0
COINS = ("BTC", "ETH")
SPEED = 4.0  # exchange seconds a second: tests wait for what happens


class Hall:
    """A seeded exchange; to be used as a context. `stop` and `start` as often as wanted: it is the same exchange."""

    def __init__(self, seed: int = 7, *, speed: float = SPEED) -> None:
        self.sent: list[tuple[int, bytes, int]] = []  # (the exchange's number of the socket, frame, monotonic time)
        self._speed = speed
        settings = opening.open_settings(COINS, seed=seed, with_limits=False, start_ns=time.time_ns())
        self.machine = opening.open_machine(settings, synthetic=True)
        for _ in range(2):
            self.machine.advance(self.machine.next_deadline_ns())
        opening.warm(self.machine)
        self.port = 0
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Hall:
        self._thread.start()
        self.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(READY_S)
        self._loop.close()

    def last_socket(self) -> list[tuple[bytes, int]]:
        """What the newest socket was sent, in order."""
        newest = max((number for number, _, _ in self.sent), default=0)
        return [(frame, at_ns) for number, frame, at_ns in self.sent if number == newest]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Serves; blocks that nobody could see meanwhile happen at once."""
        clock = Clock(time.time_ns(), speed=self._speed)
        while self.machine.next_deadline_ns() < clock.now_ns():
            self.machine.advance(self.machine.next_deadline_ns())
        clock.go_on_from(max(self.machine.time_ns, clock.now_ns()))
        self.server = _Noting(self.machine, clock, self.sent)
        self._run(self.server.start(port=self.port))
        self.port = self.server.port

    def stop(self) -> None:
        """Hangs up."""
        self._run(self.server.stop())

    def _run(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(READY_S)


class _Noting(Server):
    """A server that notes what it sends."""

    def __init__(self, machine: Machine, clock: Clock, sent: list[tuple[int, bytes, int]]) -> None:
        super().__init__(machine, clock)
        self._sent = sent

    def _send(self, connection: int, frame: bytes) -> None:
        self._sent.append((connection, frame, time.monotonic_ns()))
        super()._send(connection, frame)
