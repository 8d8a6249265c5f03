"""A recorder from its start to its end: the venue asked, the disk's thread, the connection, signals and status."""

from __future__ import annotations

import asyncio
import logging
import random
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import uvloop

from hlhft.config.settings import Config
from hlhft.data.recorder.disk import Disk, DiskSettings
from hlhft.data.recorder.metrics import Look, RecorderMetrics
from hlhft.data.recorder.queue import LineQueue
from hlhft.data.recorder.raw import Lock
from hlhft.data.recorder.settings import connection_settings, share_of, streams_of, websocket_url
from hlhft.data.recorder.status import Status, delays_of
from hlhft.data.recorder.venue import Venue, VenueError
from hlhft.data.recorder.wire import Wire
from hlhft.hyperliquid.backoff import DRAWS
from hlhft.hyperliquid.connection import Connection
from hlhft.hyperliquid.connection_table import State
from hlhft.hyperliquid.decode import Decoder
from hlhft.units import Market

STATUS_EVERY_S = 10.0
NUMBERS_EVERY_S = 1.0
CLOCK_EVERY_S = 600.0  # between two questions for the venue's time
OFFSET_MS_MAX = 1_000  # between this clock and the venue's without a warning; a block is up to half a second old
SWITCH_S = 0.001
WARMING = b'{"channel":"pong"}'
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What is recorded from where to where."""

    base_url: str
    coins: tuple[str, ...]
    catalogue: Path
    raw: Path | None
    free_bytes_min: int
    queue_bytes_max: int


class Recording:
    """One recorder. `wall_ns` stamps; tests shift it."""

    def __init__(
        self,
        place: Place,
        config: Config,
        *,
        show: Callable[[Status], None],
        ready: Callable[[list[Market]], None] = lambda markets: None,
        wall_ns: Callable[[], int] = time.time_ns,
        metrics: Callable[[], RecorderMetrics] | None = None,
    ) -> None:
        """`show` hears the status every STATUS_EVERY_S and at the end, `ready` the markets before anything is recorded;
        `metrics` is opened then, and written every NUMBERS_EVERY_S. Raises ShareError, and ValueError for a base URL
        that is none."""
        self.place = place
        self.disk: Disk | None = None
        self.wire: Wire | None = None
        self.is_interrupted = False
        self._share = share_of(config)
        self._connection = Connection(
            connection_settings(websocket_url(place.base_url), self._share),
            connects=self._share.connects,
            messages=self._share.messages,
        )
        self._queue = LineQueue(place.queue_bytes_max)
        self._show, self._ready = show, ready
        self._wall_ns = wall_ns
        self._open_metrics = metrics
        self._stopped = asyncio.Event()
        self._system = random.SystemRandom()

    def stop(self, *, is_interrupted: bool = False) -> None:
        """Completes what is open, then ends `run`. To be called on its event loop."""
        self.is_interrupted |= is_interrupted
        self._stopped.set()

    async def run(self) -> Status:
        """Records until `stop`; returns the last status. Raises DataError when the folder has another recorder or its
        disk refuses to begin or to end, MarketError and VenueError when the venue does not know the coins or says
        nothing."""
        place = self.place
        lock = Lock(place.raw or place.catalogue)
        try:
            async with Venue(place.base_url) as venue:
                markets = await venue.markets(place.coins)
                streams = streams_of(markets, self._share)
                self.disk = disk = Disk(
                    DiskSettings(
                        catalogue=place.catalogue, raw=place.raw, url=place.base_url, markets=tuple(markets),
                        free_bytes_min=place.free_bytes_min,
                    ),
                    _LOG.warning,
                )  # fmt: skip
                disk.offset_ms = await self._offset_ms(venue)
                disk.start()
                self.wire = Wire(
                    self._connection, streams, markets, self._queue, wall_ns=self._wall_ns,
                    monotonic_ns=time.monotonic_ns, draw=lambda: self._system.randrange(DRAWS), say=_say,
                )  # fmt: skip
                Decoder(markets).decode(WARMING, 1)  # compiled, or loaded, before the first frame waits for it
                self._ready(markets)
                await self._record(venue, disk, self.wire)
                ended = self.status()
                self._show(ended)
                return ended
        finally:
            lock.close()

    def status(self) -> Status:
        """What it does now."""
        assert self.disk is not None and self.wire is not None, "it runs"
        disk, wire = self.disk, self.wire
        is_on = self._connection.state in (State.LIVE, State.STALE)
        return Status(
            state=str(self._connection.state),
            coins=tuple(dict.fromkeys(market.name for market in disk.settings.markets)),
            local_ns=wire.last_ns,
            frames=wire.frames,
            events=disk.events,
            parts=disk.parts,
            connects=wire.counters["connects"],
            gaps=disk.gaps,
            faults=disk.faults,
            dropped_frames=self._queue.dropped_frames,
            unwritten_frames=disk.unwritten_frames,
            is_disk_full=disk.is_full,
            waiting_bytes=self._queue.waiting_bytes,
            free_bytes=disk.free_bytes,
            stale=tuple(f"{stream.kind} of {stream.subject}" for stream in wire.stale) if is_on else (),
            delays=delays_of(disk.latencies),
            venue_clock_ahead_ms=disk.offset_ms,
        )

    def look(self) -> Look:
        """What it does now, as far as numbers tell; cheap enough for every second."""
        assert self.disk is not None and self.wire is not None, "it runs"
        disk, wire = self.disk, self.wire
        return Look(
            frames=wire.frames,
            frame_bytes=wire.frame_bytes,
            silent_ns=self._wall_ns() - wire.frame_ns if wire.frame_ns else None,
            gaps=disk.gaps,
            dropped_frames=self._queue.dropped_frames,
            is_live=wire.is_live,
            is_whole=not wire.stale and not disk.is_full,
            waiting_bytes=self._queue.waiting_bytes,
        )

    async def _record(self, venue: Venue, disk: Disk, wire: Wire) -> None:
        loop = asyncio.get_running_loop()
        metrics = None if self._open_metrics is None else self._open_metrics()
        asks = loop.create_task(self._ask_for_the_time(venue, disk))
        writes = loop.create_task(self._write_numbers(metrics))
        with ThreadPoolExecutor(1, "recorder's disk") as threads:
            work = partial(disk.run, self._queue, wall_ns=self._wall_ns, monotonic_ns=time.monotonic_ns)
            writer = loop.run_in_executor(threads, work)
            stopped = loop.create_task(self._stopped.wait())
            broken: asyncio.Future[None] = loop.create_future()
            watched: list[asyncio.Future[Any]] = [stopped, writer, broken]
            loop.set_exception_handler(partial(_break, broken))
            try:
                wire.start()
                while not any(one.done() for one in watched):
                    await asyncio.wait(watched, timeout=STATUS_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
                    if not any(one.done() for one in watched):
                        self._show(self.status())
            finally:
                for task in (asks, stopped, writes):
                    task.cancel()
                await wire.stop()
                self._queue.close(wire.stamp())
            await writer
            if metrics is not None:
                metrics.write(self.look(), time.monotonic_ns())
                metrics.close()
            if broken.done():
                broken.result()

    async def _write_numbers(self, metrics: RecorderMetrics | None) -> None:
        while metrics is not None:
            metrics.write(self.look(), time.monotonic_ns())
            await asyncio.sleep(NUMBERS_EVERY_S)

    async def _ask_for_the_time(self, venue: Venue, disk: Disk) -> None:
        while True:
            await asyncio.sleep(CLOCK_EVERY_S)
            disk.offset_ms = await self._offset_ms(venue)

    async def _offset_ms(self, venue: Venue) -> int | None:
        try:
            offset_ms = await venue.offset_ms(self._wall_ns)
        except VenueError as error:
            _LOG.info("the venue does not tell its time: %s", error)
            return None
        if abs(offset_ms) > OFFSET_MS_MAX:
            side = "behind" if offset_ms > 0 else "ahead of"
            _LOG.warning("this clock is %.1f s %s the venue's: let a time service set it", abs(offset_ms) / 1000, side)
        return offset_ms


def run(recording: Recording, stopping: Sequence[int], interrupting: Sequence[int]) -> Status:
    """Runs a recording on an event loop of its own until one of these signals comes; of the second kind says so."""

    async def life() -> Status:
        loop = asyncio.get_running_loop()
        for number in stopping:
            loop.add_signal_handler(number, recording.stop)
        for number in interrupting:
            loop.add_signal_handler(number, lambda: recording.stop(is_interrupted=True))
        return await recording.run()

    # The thread that stamps what comes should not wait for the disk's thread as long as is usual.
    sys.setswitchinterval(SWITCH_S)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(life())


def _break(broken: asyncio.Future[None], loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """An invariant does not hold: what came is completed, and the recorder ends with the error."""
    loop.default_exception_handler(context)
    error = context.get("exception")
    if error is not None and not broken.done():
        broken.set_exception(error)


def _say(sentence: str, is_alarming: bool) -> None:
    _LOG.log(logging.WARNING if is_alarming else logging.INFO, "%s", sentence)
